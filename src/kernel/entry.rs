//! Where the C library, or `nolibc`, calls us. Part of the binary alone: a test or a fuzz
//! target that links the library has a `main` of its own.

use std::ffi::{c_char, c_int};

use drainit::kernel::file::Inherited;
use drainit::kernel::words::Words;

/// Not std's runtime: that would ignore SIGPIPE behind our back, and cost every
/// container 80 µs and 250 kB.
// SAFETY: no other `main` is linked (`no_main`).
#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, argv: *const *const c_char, environ: *const *const c_char) -> c_int {
    // SAFETY: the kernel put both vectors above our stack, where they stay as long
    // as the process; nobody in here writes to them.
    let (argv, environ) = unsafe { (Words::new(argv), Words::new(environ)) };
    // SAFETY: `main` opens nothing that outlives a call before the main child runs.
    let descriptors = unsafe { Inherited::new() };
    let code = crate::main(argv, environ, descriptors);
    // SAFETY: nothing is buffered, and nobody has registered an exit handler.
    unsafe { libc::_exit(code.into()) }
}
