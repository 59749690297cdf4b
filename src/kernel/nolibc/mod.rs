//! In place of a C library, where the release binary is linked without one
//! (build.rs). The kernel's own tools call such a thing nolibc.
//!
//! nix, libc and std call C functions by name. Of these the ones that are left
//! after link-time optimisation are here, so that the linker finds them, and
//! nothing else: it names what is missing, and drops what nobody calls.
//! A C library costs nine tenths of the file and two thirds of the time before
//! the main child runs, for locales, threads and streams that nobody here uses.
//!
//! | symbols | what they must do |
//! |---|---|
//! | `drainit_start` | in place of `_start`: the kernel's entry, calls `main` |
//! | `_exit` | ends the process, with no exit handlers |
//! | `memcpy` `memmove` `memset` `memcmp` `bcmp` `strlen` | what C says, and touch no byte beyond |
//! | `__errno_location` | one errno, for there are no threads |
//! | `syscall` | the call and up to six words; -1 and errno for an error, as all below |
//! | `getpid` `getppid` `getpgrp` `getpgid` `setpgid` `getsid` `tcgetpgrp` `tcsetpgrp` `prctl` | the call |
//! | `kill` `waitpid` `waitid` `clock_gettime` `chdir` | the call |
//! | `open` `close` `read` `pread` `write` `readlink` `fstat` `poll` `send` | the call; never a cancellation point |
//! | `sigtimedwait` | the call, for the 64 signals of the kernel's set |
//! | `sigemptyset` `sigaddset` | all 64 signals, 32 and 33 too, which glibc refuses |
//! | `sigaction` | SIG_DFL and SIG_IGN; ENOSYS for a handler, which would need a way back |
//! | `__libc_current_sigrtmin` `__libc_current_sigrtmax` | glibc's 34 and 64 |
//! | `clone` | runs a function on another stack, in a process that may share our memory |
//! | `opendir` `readdir` `closedir` | 32 KiB of entries at a time; errno tells an error from the end |
//! | `execvpe` | glibc's search of PATH, its default, and `/bin/sh` for what is no program |
//! | `#[global_allocator]` | in place of malloc: mappings, and lists of free pieces |
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
