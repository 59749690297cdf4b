//! The one way into the kernel, and C's way to say what it answered.

use std::arch::asm;
use std::ffi::{c_int, c_long};
use std::sync::atomic::{AtomicI32, Ordering};

/// `syscall!(SYS_kill, pid, signal)`: what the kernel answers, a negative error
/// number included. Unsafe, as each call asks for its own care.
macro_rules! syscall {
    ($number:ident $(, $argument:expr)*) => {
        $crate::nolibc::syscall::call(libc::$number, [$($argument as usize),*])
    };
}
pub(super) use syscall;

#[inline(always)]
pub unsafe fn call<const N: usize>(number: c_long, arguments: [usize; N]) -> isize {
    let argument = |n: usize| arguments.get(n).copied().unwrap_or(0);
    // SAFETY: the caller's, who knows what this call does with its arguments.
    unsafe {
        raw(
            number as usize,
            argument(0),
            argument(1),
            argument(2),
            argument(3),
            argument(4),
            argument(5),
        )
    }
}

/// syscall(2), table "Architecture calling conventions".
#[cfg(target_arch = "x86_64")]
pub unsafe fn raw(
    number: usize,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> isize {
    let answer;
    // SAFETY: the caller's. The instruction itself overwrites rcx and r11.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => answer, in("rdi") a, in("rsi") b,
            in("rdx") c, in("r10") d, in("r8") e, in("r9") f, lateout("rcx") _,
            lateout("r11") _, options(nostack, preserves_flags))
    }
    answer
}

#[cfg(target_arch = "aarch64")]
pub unsafe fn raw(
    number: usize,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> isize {
    let answer;
    // SAFETY: the caller's.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a as isize => answer, in("x1") b,
            in("x2") c, in("x3") d, in("x4") e, in("x5") f, options(nostack, preserves_flags))
    }
    answer
}

/// One for all: there are no threads, and vfork's child had its parent's with
/// the C library, too.
static ERRNO: AtomicI32 = AtomicI32::new(0);

#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn __errno_location() -> *mut c_int {
    ERRNO.as_ptr()
}

/// -1 and errno for an error.
pub extern "C" fn result(answer: isize) -> isize {
    match answer {
        -4095..0 => fail(-answer as c_int),
        _ => answer,
    }
}

pub fn fail(error: c_int) -> isize {
    ERRNO.store(error, Ordering::Relaxed);
    -1
}

pub fn errno() -> c_int {
    ERRNO.load(Ordering::Relaxed)
}
