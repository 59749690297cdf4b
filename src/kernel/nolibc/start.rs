//! From the kernel to `main`, and out.

use std::arch::global_asm;
use std::ffi::{c_char, c_int};

unsafe extern "C" {
    fn main(argc: c_int, argv: *const *const c_char, environ: *const *const c_char) -> c_int;
}

// Where the kernel jumps to, with argc, argv and the environment on the stack
// and nothing else set up. Under a name of its own, which link.ld says to the
// linker: a toolchain may bring a `_start` along.

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".pushsection .text.drainit_start, \"ax\"",
    ".globl drainit_start",
    "drainit_start:",
    "xor ebp, ebp", // the outermost frame
    "mov rdi, rsp",
    "and rsp, -16",
    "call {start}",
    "ud2",
    ".popsection",
    start = sym start,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".pushsection .text.drainit_start, \"ax\"",
    ".globl drainit_start",
    "drainit_start:",
    "mov x29, xzr", // the outermost frame
    "mov x30, xzr",
    "mov x0, sp",
    "b {start}",
    ".popsection",
    start = sym start,
);

/// execve(2) and the ABI of each machine: argc, argv, NULL, environment, NULL.
unsafe extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: the kernel has laid the stack out like this.
    unsafe {
        let argc = *stack;
        let argv = stack.add(1).cast();
        let environ = stack.add(1 + argc + 1).cast();
        super::c::_exit(main(argc as c_int, argv, environ))
    }
}
