//! The C functions that are a system call each, or a little more.

use std::arch::global_asm;
use std::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void};

use libc::{
    clockid_t, id_t, idtype_t, nfds_t, off_t, pid_t, pollfd, siginfo_t, sigset_t, size_t, ssize_t,
    stat, timespec,
};

use super::syscall::{call, fail, result, syscall};

/// The kernel's sigset_t has 64 signals in 8 bytes; C's begins with them.
const SET: usize = 8;

/// A row a function: its signature, which the `const` holds to the libc
/// crate's, and the system call that it is.
macro_rules! functions {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty = $call:tt;)+) => {$(
        #[cfg_attr(not(test), unsafe(no_mangle))]
        pub unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            // SAFETY: the caller keeps the C function's promises, which are the call's.
            result(unsafe { syscall!$call }) as $result
        }
        const _: unsafe extern "C" fn($($type),*) -> $result = libc::$name;
    )+};
}

functions! {
    fn getpid() -> pid_t = (SYS_getpid);
    fn getppid() -> pid_t = (SYS_getppid);
    fn getpgrp() -> pid_t = (SYS_getpgid, 0);
    fn getpgid(pid: pid_t) -> pid_t = (SYS_getpgid, pid);
    fn setpgid(pid: pid_t, group: pid_t) -> c_int = (SYS_setpgid, pid, group);
    fn getsid(pid: pid_t) -> pid_t = (SYS_getsid, pid);
    fn tcsetpgrp(fd: c_int, group: pid_t) -> c_int = (SYS_ioctl, fd, libc::TIOCSPGRP, &raw const group);

    fn kill(pid: pid_t, signal: c_int) -> c_int = (SYS_kill, pid, signal);
    fn sigtimedwait(set: *const sigset_t, info: *mut siginfo_t, timeout: *const timespec) -> c_int =
        (SYS_rt_sigtimedwait, set, info, timeout, SET);
    fn waitpid(pid: pid_t, status: *mut c_int, options: c_int) -> pid_t =
        (SYS_wait4, pid, status, options, 0);
    fn waitid(kind: idtype_t, id: id_t, info: *mut siginfo_t, options: c_int) -> c_int =
        (SYS_waitid, kind, id, info, options, 0);

    fn chdir(path: *const c_char) -> c_int = (SYS_chdir, path);
    fn close(fd: c_int) -> c_int = (SYS_close, fd);
    fn read(fd: c_int, buffer: *mut c_void, bytes: size_t) -> ssize_t =
        (SYS_read, fd, buffer, bytes);
    fn pread(fd: c_int, buffer: *mut c_void, bytes: size_t, at: off_t) -> ssize_t =
        (SYS_pread64, fd, buffer, bytes, at);
    fn write(fd: c_int, buffer: *const c_void, bytes: size_t) -> ssize_t =
        (SYS_write, fd, buffer, bytes);
    fn send(fd: c_int, buffer: *const c_void, bytes: size_t, flags: c_int) -> ssize_t =
        (SYS_sendto, fd, buffer, bytes, flags, 0, 0);
    fn readlink(path: *const c_char, buffer: *mut c_char, bytes: size_t) -> ssize_t =
        (SYS_readlinkat, libc::AT_FDCWD, path, buffer, bytes);
    // With 64 bits the kernel's `stat` is C's.
    fn fstat(fd: c_int, to: *mut stat) -> c_int = (SYS_fstat, fd, to);
    fn clock_gettime(clock: clockid_t, to: *mut timespec) -> c_int =
        (SYS_clock_gettime, clock, to);
}

// Variadic in C, which Rust cannot define. Both machines pass the words of a
// variadic call just as those of any other, and what the caller did not give
// the kernel does not look at for his call.

#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    // SAFETY: the caller's.
    result(unsafe { syscall!(SYS_openat, libc::AT_FDCWD, path, flags, mode) }) as c_int
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn prctl(
    option: c_int,
    a: c_ulong,
    b: c_ulong,
    c: c_ulong,
    d: c_ulong,
) -> c_int {
    // SAFETY: the caller's.
    result(unsafe { syscall!(SYS_prctl, option, a, b, c, d) }) as c_int
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    // SAFETY: the caller's.
    result(unsafe { call(number, [a, b, c, d, e, f]) }) as c_long
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn _exit(code: c_int) -> ! {
    loop {
        // SAFETY: a plain number.
        unsafe { syscall!(SYS_exit_group, code) };
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn tcgetpgrp(fd: c_int) -> pid_t {
    let mut group: pid_t = 0;
    // SAFETY: it writes one pid_t.
    match result(unsafe { syscall!(SYS_ioctl, fd, libc::TIOCGPGRP, &raw mut group) }) {
        0 => group,
        _ => -1,
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn poll(fds: *mut pollfd, count: nfds_t, millis: c_int) -> c_int {
    let time =
        timespec { tv_sec: (millis / 1000).into(), tv_nsec: (millis % 1000 * 1_000_000).into() };
    let time = if millis < 0 { std::ptr::null() } else { &raw const time };
    // aarch64 has no poll. SAFETY: the caller's; no mask.
    result(unsafe { syscall!(SYS_ppoll, fds, count, time, 0, 0) }) as c_int
}

/// The kernel's `struct sigaction`, which is in another order than C's.
#[repr(C)]
struct Action {
    handler: usize,
    flags: c_ulong,
    restorer: usize,
    mask: u64,
}

/// For SIG_DFL and SIG_IGN: a handler would need a way back.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn sigaction(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    // SAFETY: the caller's: each is NULL or points to a sigaction; C's mask
    // begins with the kernel's.
    unsafe {
        let mask = |set: *const sigset_t| set.cast::<u64>().read();
        let new = new.as_ref().map(|new| Action {
            handler: new.sa_sigaction,
            flags: new.sa_flags as c_ulong,
            restorer: 0,
            mask: mask(&new.sa_mask),
        });
        if new.as_ref().is_some_and(|new| new.handler > libc::SIG_IGN) {
            return fail(libc::ENOSYS) as c_int;
        }
        let mut before = Action { handler: 0, flags: 0, restorer: 0, mask: 0 };
        let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let answer = result(syscall!(SYS_rt_sigaction, signal, new, &raw mut before, SET));
        if answer == 0 && !old.is_null() {
            old.write_bytes(0, 1);
            (*old).sa_sigaction = before.handler;
            (*old).sa_flags = before.flags as c_int;
            (&raw mut (*old).sa_mask).cast::<u64>().write(before.mask);
        }
        answer as c_int
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn sigemptyset(set: *mut sigset_t) -> c_int {
    // SAFETY: the caller's: a set.
    unsafe { set.write_bytes(0, 1) };
    0
}

/// For 1 to 64, the signals that there are.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn sigaddset(set: *mut sigset_t, signal: c_int) -> c_int {
    // SAFETY: the caller's: a set, which begins with 64 bits.
    unsafe { *set.cast::<u64>() |= 1 << (signal - 1) };
    0
}

/// glibc's range; users know the real-time signals by these numbers.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn __libc_current_sigrtmin() -> c_int {
    34
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn __libc_current_sigrtmax() -> c_int {
    64
}

/// clone(2), the C function: `body(argument)` runs in the new process, on the
/// stack that ends at `stack`, and its answer is the exit code.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn clone(
    body: extern "C" fn(*mut c_void) -> c_int,
    stack: *mut c_void,
    flags: c_int,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: the caller's.
    result(unsafe { nolibc_clone(body, stack, flags, argument) }) as c_int
}

unsafe extern "C" {
    fn nolibc_clone(
        body: extern "C" fn(*mut c_void) -> c_int,
        stack: *mut c_void,
        flags: c_int,
        argument: *mut c_void,
    ) -> isize;
}

// In assembly, since the child comes out of the same call with an empty stack. It
// finds what it needs in registers that the kernel leaves alone.

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".pushsection .text.nolibc_clone, \"ax\"",
    "nolibc_clone:",
    "mov r8, rdi",  // body
    "mov r9, rcx",  // argument
    "mov edi, edx", // flags
    "and rsi, -16", // stack
    "mov eax, {clone}",
    "syscall",
    "test rax, rax",
    "jz 2f",
    "ret",
    "2: xor ebp, ebp", // the outermost frame
    "mov rdi, r9",
    "call r8",
    "mov edi, eax",
    "mov eax, {exit}",
    "syscall",
    "ud2",
    ".popsection",
    clone = const libc::SYS_clone,
    exit = const libc::SYS_exit,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".pushsection .text.nolibc_clone, \"ax\"",
    "nolibc_clone:",
    "mov x9, x0",       // body
    "mov x10, x3",      // argument
    "mov w0, w2",       // flags
    "and x1, x1, #-16", // stack
    "mov x8, {clone}",
    "svc 0",
    "cbz x0, 2f",
    "ret",
    "2: mov x29, xzr", // the outermost frame
    "mov x30, xzr",
    "mov x0, x10",
    "blr x9",
    "mov x8, {exit}",
    "svc 0",
    "brk 1",
    ".popsection",
    clone = const libc::SYS_clone,
    exit = const libc::SYS_exit,
);
