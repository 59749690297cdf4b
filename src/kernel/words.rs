//! The words of argv and environ.

use std::ffi::{CStr, c_char};

use super::memory;
use crate::text::bytes::EMPTY;

/// A vector of C strings that ends with NULL, as execve(2) wants it and the kernel
/// gives it. It stays as it is as long as the process.
#[derive(Clone, Copy)]
pub struct Words {
    first: *const *const c_char,
    count: usize,
}

impl Words {
    /// # Safety
    ///
    /// `first` points to pointers to C strings, of which the last is NULL. All of
    /// it stays, unchanged, as long as the process.
    pub unsafe fn new(first: *const *const c_char) -> Words {
        // SAFETY: the caller's promise; the NULL is the last that is read.
        let count = (0..).take_while(|&n| unsafe { !(*first.add(n)).is_null() }).count();
        Words { first, count }
    }

    /// A vector of our own, never freed. None where there is no memory.
    pub fn leaked(words: impl Iterator<Item = &'static CStr>) -> Option<Words> {
        // SAFETY: they stay as they are.
        unsafe { Words::of_pointers(words.map(CStr::as_ptr)) }
    }

    /// # Safety
    ///
    /// Each points to a C string that stays; if one changes, nobody iterates.
    pub(super) unsafe fn of_pointers(words: impl Iterator<Item = *const c_char>) -> Option<Words> {
        let mut pointers = Vec::new();
        for word in words {
            memory::push(&mut pointers, word)?;
        }
        memory::push(&mut pointers, std::ptr::null())?;
        let pointers: &'static [*const c_char] = pointers.leak();
        Some(Words { first: pointers.as_ptr(), count: pointers.len() - 1 })
    }

    pub fn iter(self) -> impl Iterator<Item = &'static CStr> + Clone {
        // SAFETY: `count` pointers that stay, and none of them is NULL.
        let words = unsafe { std::slice::from_raw_parts(self.first, self.count) };
        // SAFETY: each is a C string that stays.
        words.iter().map(|&word| unsafe { CStr::from_ptr(word) })
    }

    /// Empty if there is none.
    pub fn first(self) -> &'static CStr {
        self.iter().next().unwrap_or(EMPTY)
    }

    pub fn count(self) -> usize {
        self.count
    }

    /// The words from the nth on, of which there may be none.
    pub fn skip(self, n: usize) -> Words {
        let n = n.min(self.count);
        // SAFETY: at most the place of the NULL.
        Words { first: unsafe { self.first.add(n) }, count: self.count - n }
    }

    pub(super) fn as_ptr(self) -> *const *const c_char {
        self.first
    }
}

/// Text with a NUL behind it that stays as long as the process. None where there
/// is no memory, or a NUL within.
pub fn leaked(mut text: Vec<u8>) -> Option<&'static CStr> {
    memory::push(&mut text, 0)?;
    let whole = !text.iter().rev().skip(1).any(|&byte| byte == 0);
    CStr::from_bytes_until_nul(text.leak()).ok().filter(|_| whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_where_they_end() {
        let words = Words::leaked([c"a", c"", c"c"].into_iter()).unwrap();
        let mut iter = words.iter();
        assert_eq!(iter.by_ref().collect::<Vec<_>>(), [c"a", c"", c"c"]);
        assert_eq!((iter.next(), iter.next()), (None, None), "fused");
        assert_eq!(words.skip(2).iter().collect::<Vec<_>>(), [c"c"]);
        for n in [3, 4, usize::MAX] {
            assert_eq!((words.skip(n).count(), words.skip(n).iter().next()), (0, None));
        }
        // SAFETY: a vector that `leaked` has made.
        assert_eq!(unsafe { Words::new(words.as_ptr()) }.count(), 3);
    }

    #[test]
    fn leaked_text() {
        assert_eq!(leaked(b"ab".to_vec()), Some(c"ab"));
        assert_eq!(leaked(b"a\0b".to_vec()), None);
    }
}
