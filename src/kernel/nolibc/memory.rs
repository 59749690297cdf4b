//! The functions that the compiler calls by itself. A word at a time, which is
//! fast enough for lines and lists of kilobytes.

use std::arch::asm;
use std::ffi::{c_char, c_int, c_void};

const WORD: usize = size_of::<usize>();

/// The compiler knows these functions by the look of their loops, and would
/// have each call itself. Something unknown in a loop hides it.
#[inline(always)]
fn hide() {
    // SAFETY: no instruction at all.
    unsafe { asm!("", options(nostack, preserves_flags)) }
}

#[inline(always)]
unsafe fn copy<T>(to: *mut u8, from: *const u8, at: usize) {
    // SAFETY: the caller's: `at` and what follows lies within both.
    unsafe { to.add(at).cast::<T>().write_unaligned(from.add(at).cast::<T>().read_unaligned()) }
    hide();
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, n: usize) -> *mut c_void {
    let mut at = 0;
    while n - at >= WORD {
        // SAFETY: the caller's: n bytes of both.
        unsafe { copy::<usize>(to.cast(), from.cast(), at) };
        at += WORD;
    }
    while at < n {
        // SAFETY: as above.
        unsafe { copy::<u8>(to.cast(), from.cast(), at) };
        at += 1;
    }
    to
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, n: usize) -> *mut c_void {
    // Upwards, each word is read before anything at or above it is written,
    // unless `to` begins within `from`.
    if to.addr().wrapping_sub(from.addr()) >= n {
        // SAFETY: the caller's, and memcpy goes upwards.
        return unsafe { memcpy(to, from, n) };
    }
    let mut at = n;
    while at >= WORD {
        at -= WORD;
        // SAFETY: the caller's: n bytes of both.
        unsafe { copy::<usize>(to.cast(), from.cast(), at) };
    }
    while at > 0 {
        at -= 1;
        // SAFETY: as above.
        unsafe { copy::<u8>(to.cast(), from.cast(), at) };
    }
    to
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn memset(to: *mut c_void, byte: c_int, n: usize) -> *mut c_void {
    let word = [byte as u8; WORD];
    let mut at = 0;
    while n - at >= WORD {
        // SAFETY: the caller's: n bytes.
        unsafe { to.byte_add(at).cast::<usize>().write_unaligned(usize::from_ne_bytes(word)) };
        at += WORD;
        hide();
    }
    while at < n {
        // SAFETY: as above.
        unsafe { to.byte_add(at).cast::<u8>().write(byte as u8) };
        at += 1;
        hide();
    }
    to
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn memcmp(a: *const c_void, b: *const c_void, n: usize) -> c_int {
    for at in 0..n {
        // SAFETY: the caller's: n bytes of both.
        let (a, b) =
            unsafe { (a.byte_add(at).cast::<u8>().read(), b.byte_add(at).cast::<u8>().read()) };
        if a != b {
            return c_int::from(a) - c_int::from(b);
        }
        hide();
    }
    0
}

/// memcmp that need not say which one is less.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn bcmp(a: *const c_void, b: *const c_void, n: usize) -> c_int {
    // SAFETY: the caller's.
    unsafe { memcmp(a, b, n) }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn strlen(text: *const c_char) -> usize {
    let mut n = 0;
    // SAFETY: the caller's: there is a NUL, and n does not pass it.
    while unsafe { text.add(n).read() } != 0 {
        n += 1;
        hide();
    }
    n
}
