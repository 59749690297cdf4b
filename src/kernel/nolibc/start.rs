//! From the kernel to `main`, and out.

use std::arch::naked_asm;
use std::ffi::{c_char, c_int};

unsafe extern "C" {
    fn main(argc: c_int, argv: *const *const c_char, environ: *const *const c_char) -> c_int;
}

/// Where the kernel jumps to, with argc, argv and the environment on the stack
/// and nothing else set up. Under a name of its own (build.rs says it to the
/// linker): a toolchain may bring a `_start` along.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn drainit_start() -> ! {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {}", "ud2", sym start);
    #[cfg(target_arch = "aarch64")]
    naked_asm!("mov x29, xzr", "mov x30, xzr", "mov x0, sp", "b {}", sym start);
}

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
