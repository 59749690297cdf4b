//! One line of text in a buffer of fixed size: no allocation, no panic, no
//! `core::fmt` (which links 250 kB of it). What does not fit is cut off.

use std::ffi::CStr;
use std::ops::{Deref, DerefMut};

use nix::unistd::Pid;

use super::bytes::EMPTY;
use super::time::Time;

/// PIPE_BUF: a write of at most this many bytes reaches a pipe whole or not at
/// all (pipe(7)), and it is what Kubernetes takes of a termination message.
pub const CAPACITY: usize = 4096;

/// Text, and its length, in a buffer of some size.
pub struct Text<B: ?Sized> {
    length: usize,
    bytes: B,
}

/// With a buffer of this size.
pub type Line<const N: usize = CAPACITY> = Text<[u8; N]>;

/// Whatever its size: the code that writes is there once, and not once a size.
pub type Writer = Text<[u8]>;

impl<const N: usize> Line<N> {
    pub const fn new() -> Line<N> {
        Text { length: 0, bytes: [0; N] }
    }
}

impl<const N: usize> Deref for Line<N> {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        self
    }
}

impl<const N: usize> DerefMut for Line<N> {
    fn deref_mut(&mut self) -> &mut Writer {
        self
    }
}

impl Writer {
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// For system calls: the text up to a NUL of its own, which is there as long
    /// as the text is shorter than the buffer.
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(EMPTY)
    }

    /// Adds text, a number, a pid, a length of time, a signal, a process: a chain
    /// of these reads forward.
    pub fn put(&mut self, item: impl Put) -> &mut Writer {
        item.put_on(self);
        self
    }

    // Not into each of its hundreds of callers: 11 kB.
    #[inline(never)]
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Writer {
        for &byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
        self
    }

    /// Somebody else's bytes, at most `most` of them: what a terminal would
    /// obey or a log would break at becomes `?`.
    pub fn foreign(&mut self, bytes: &[u8], most: usize) -> &mut Writer {
        for &byte in bytes.iter().take(most) {
            self.raw(&[if byte.is_ascii_graphic() || byte == b' ' { byte } else { b'?' }]);
        }
        self.put(if bytes.len() > most { "..." } else { "" })
    }

    /// The inside of a JSON string. Bytes that are not ASCII are `foreign`'s
    /// affair, so that no sequence is ever cut.
    pub fn json(&mut self, text: &[u8]) -> &mut Writer {
        for &byte in text {
            match byte {
                b'"' | b'\\' => self.raw(&[b'\\', byte]),
                _ => self.foreign(&[byte], 1),
            };
        }
        self
    }
}

impl<const N: usize> Default for Line<N> {
    fn default() -> Line<N> {
        Line::new()
    }
}

/// What a [`Line`] takes.
pub trait Put {
    fn put_on(self, line: &mut Writer);
}

impl Put for &str {
    fn put_on(self, line: &mut Writer) {
        line.raw(self.as_bytes());
    }
}

impl Put for u64 {
    fn put_on(self, line: &mut Writer) {
        let mut rest = self;
        let mut digits = [0; 20];
        let mut used = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            used += 1;
            if rest == 0 {
                break;
            }
        }
        line.raw(digits.get(digits.len() - used..).unwrap_or_default());
    }
}

impl Put for u8 {
    fn put_on(self, line: &mut Writer) {
        line.put(u64::from(self));
    }
}

impl Put for usize {
    fn put_on(self, line: &mut Writer) {
        line.put(self as u64);
    }
}

impl Put for Pid {
    fn put_on(self, line: &mut Writer) {
        line.put(self.as_raw() as u64);
    }
}

/// As the options take it: `1m30s`, `2s500ms`, `0s`, `infinity`.
impl Put for Time {
    fn put_on(self, line: &mut Writer) {
        if self == Time::NEVER {
            line.put("infinity");
            return;
        }
        let (seconds, millis) = (self.as_seconds(), self.as_millis() % 1000);
        for (number, unit) in
            [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s"), (millis, "ms")]
        {
            if number > 0 {
                line.put(number).put(unit);
            }
        }
        line.put(if seconds == 0 && millis == 0 { "0s" } else { "" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(write: impl FnOnce(&mut Line<CAPACITY>)) -> String {
        let mut line = Line::<CAPACITY>::new();
        write(&mut line);
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn numbers() {
        for number in [0, 7, 10, 4096, u64::MAX] {
            assert_eq!(line(|l| _ = l.put(number)), number.to_string());
        }
    }

    #[test]
    fn durations() {
        for (millis, text) in [
            (0, "0s"),
            (1, "1ms"),
            (500, "500ms"),
            (2_500, "2s500ms"),
            (25_000, "25s"),
            (60_000, "1m"),
            (90_000, "1m30s"),
            (3_600_000, "1h"),
            (3_661_000, "1h1m1s"),
        ] {
            assert_eq!(line(|l| _ = l.put(Time::millis(millis))), text);
        }
        assert_eq!(line(|l| _ = l.put(Time::NEVER)), "infinity");
    }

    #[test]
    fn what_a_terminal_would_obey_is_harmless() {
        let evil: Vec<u8> = (0..=255).collect();
        let shown = line(|l| _ = l.foreign(&evil, 256));
        assert_eq!(shown.len(), 256);
        assert!(shown.bytes().all(|b| (b' '..=b'~').contains(&b)));
        assert_eq!(line(|l| _ = l.foreign(b"abcdef", 3)), "abc...");
        assert_eq!(line(|l| _ = l.json(b"a\"b\\c\n")), r#"a\"b\\c?"#);
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let long = vec![b'x'; CAPACITY + 1];
        assert_eq!(line(|l| _ = l.raw(&long)).len(), CAPACITY);
    }
}
