//! In place of a C library, where the release binary is linked without one
//! (build.rs). The kernel's own tools call such a thing nolibc.
//!
//! nix, libc and std call C functions by name. Of these the ones that are left
//! after link-time optimisation are here, so that the linker finds them, and
//! nothing else: it names what is missing, and drops what nobody calls.
//! A C library costs nine tenths of the file and two thirds of the time before
//! the main child runs, for locales, threads and streams that nobody here uses.
//!
//! | symbols | in place of the C library's |
//! |---|---|
//! | `drainit_start` | `_start`: the kernel's entry, calls `main` |
//! | `memcpy` `memmove` `memset` `memcmp` `bcmp` `strlen` | the same, a word or a byte at a time |
//! | `__errno_location` | one errno, for there are no threads |
//! | `kill`, `write` and the rest of `c.rs` | the same, a system call each |
//! | `sigaction` | for SIG_DFL and SIG_IGN only |
//! | `clone` | the same |
//! | `opendir` `readdir` `closedir` | the same, 32 KiB at a time |
//! | `execvpe` | the same: PATH, its default, `/bin/sh` for what is no program |
//! | `#[global_allocator]` | malloc: mappings, and lists of free pieces |
//!
//! The library target knows nothing of this: tests and fuzz targets run on the
//! system's C library, and `tests/nolibc.rs` compares the two.

pub mod alloc;
pub mod c;
pub mod directory;
pub mod exec;
pub mod memory;
#[cfg(not(test))]
mod start;
pub mod syscall;
