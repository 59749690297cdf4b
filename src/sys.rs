//! The only unsafe code: what neither nix nor std offers, as safe functions
//! that decide nothing. Each block says why it is sound.

use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::time::Time;

/// The C library calls us, not std's runtime: that would ignore SIGPIPE behind
/// our back, and cost every container 80 µs and 250 kB.
// SAFETY: no other `main` is linked (`no_main`).
#[cfg(not(test))]
#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, argv: *const *const c_char, environ: *const *const c_char) -> c_int {
    let code = crate::main(Words(argv), Words(environ));
    // SAFETY: nothing is buffered, and nobody has registered an exit handler.
    unsafe { libc::_exit(code.into()) }
}

/// The words of argv or environ: a vector that ends with NULL. The kernel put
/// it above our stack, where it stays as long as the process.
#[derive(Clone, Copy)]
pub struct Words(*const *const c_char);

impl Words {
    pub fn iter(self) -> impl Iterator<Item = &'static CStr> + Clone {
        (0..).map_while(move |n| self.get(n))
    }

    /// The words from the nth on; the caller has seen that many.
    pub fn from(self, n: usize) -> Words {
        // SAFETY: at most the place of the NULL, by the caller's word.
        Words(unsafe { self.0.add(n) })
    }

    fn get(self, n: usize) -> Option<&'static CStr> {
        // SAFETY: `iter` stops at the NULL, so n lies within the vector, and
        // what is not NULL is a C string.
        unsafe {
            let word = *self.0.add(n);
            (!word.is_null()).then(|| CStr::from_ptr(word))
        }
    }
}

/// Standard input, output or error: they may be closed, and every use of them
/// allows for EBADF.
pub fn standard(fd: c_int) -> BorrowedFd<'static> {
    // SAFETY: the descriptor is used for a single call, and nobody closes one
    // meanwhile. (std's handles for these come with buffers, locks and a panic.)
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// CLOCK_MONOTONIC: no clock change moves a deadline.
pub fn now() -> Time {
    clock(libc::CLOCK_MONOTONIC)
}

/// The clock and the unit of `starttime` in /proc/PID/stat, clock ticks since
/// boot (proc(5)).
pub fn boot_ticks() -> u64 {
    clock(libc::CLOCK_BOOTTIME).as_millis() / (1000 / TICKS)
}

/// USER_HZ, the kernel's promise to user space on every architecture that
/// Rust has a Linux target for.
pub const TICKS: u64 = 100;

fn clock(id: libc::clockid_t) -> Time {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes one timespec; both clocks exist since Linux 2.6.39.
    unsafe { libc::clock_gettime(id, &mut now) };
    Time::seconds(now.tv_sec as u64) + Time::nanos(now.tv_nsec as u64)
}

/// Signals 1 to 64 as the kernel takes them, signal n at bit n-1.
pub type Mask = u64;

/// Replaces the signal mask and returns the one before. By hand, since glibc
/// takes 32 and 33, which it keeps for its threads, out of every mask: sent
/// with kill they would end us, and a mask that holds them would not come back.
pub fn set_mask(mask: Mask) -> Mask {
    let mut before: Mask = 0;
    // SAFETY: both point to the 8 bytes that the last argument promises.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            c_long::from(libc::SIG_SETMASK),
            &raw const mask,
            &raw mut before,
            c_long::from(8),
        )
    };
    before
}

/// Takes the next pending signal, waiting for at most `timeout`: its number
/// and, for SIGCHLD, whose. EAGAIN at the timeout; EINTR after a stop.
pub fn take_signal(timeout: Option<Time>) -> Result<(c_int, Pid), Errno> {
    let timeout = timeout.map(|length| libc::timespec {
        // A century, should time_t have 32 bits.
        tv_sec: length.as_seconds().min(i32::MAX as u64) as libc::time_t,
        tv_nsec: (length.as_nanos() % 1_000_000_000) as _,
    });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    // SAFETY: every bit pattern is a set; info is read only once the kernel has
    // written it, and its sender's pid is there for every signal that it queues
    // by itself or by kill (for others it is a number that we do not use).
    unsafe {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        all.as_mut_ptr().write_bytes(0xff, 1);
        let signal = libc::sigtimedwait(all.as_ptr(), info.as_mut_ptr(), timeout);
        Errno::result(signal).map(|n| (n, Pid::from_raw(info.assume_init().si_pid())))
    }
}

/// Sets the disposition of SIGCHLD, ignored or default, and says whether it
/// was ignored.
pub fn ignore_sigchld(ignore: bool) -> bool {
    // SAFETY: zeroed is an empty mask and no flags; neither disposition runs code.
    unsafe {
        let mut new: libc::sigaction = std::mem::zeroed();
        new.sa_sigaction = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
        let mut old = new;
        libc::sigaction(libc::SIGCHLD, &new, &mut old);
        old.sa_sigaction == libc::SIG_IGN
    }
}

/// waitpid, raw: nix answers EINVAL for a child that a real-time signal ended,
/// and its pid is lost.
pub fn wait(pid: Pid, flags: c_int) -> Result<Option<(Pid, c_int)>, Errno> {
    let mut status = 0;
    // SAFETY: it writes one int.
    let pid = Errno::result(unsafe { libc::waitpid(pid.as_raw(), &mut status, flags) })?;
    Ok((pid != 0).then_some((Pid::from_raw(pid), status)))
}

/// Whether a child of ours is in this process group; takes nothing off it.
pub fn has_child_in(group: Pid) -> bool {
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: it writes one siginfo, which nobody reads.
    unsafe {
        libc::waitid(libc::P_PGID, group.as_raw() as libc::id_t, info.as_mut_ptr(), flags) == 0
    }
}

/// kill(2) for any signal number; nix knows no real-time signals.
pub fn kill(pid: Pid, signal: c_int) -> Result<(), Errno> {
    // SAFETY: plain numbers.
    Errno::result(unsafe { libc::kill(pid.as_raw(), signal) }).map(drop)
}

/// A file descriptor that means this process alone, whoever gets its number
/// next. ENOSYS before Linux 5.3.
pub fn pidfd_open(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: plain numbers; the descriptor is new and ours alone.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, c_long::from(pid.as_raw()), 0 as c_long);
        Errno::result(fd as c_int).map(|fd| OwnedFd::from_raw_fd(fd))
    }
}

pub fn pidfd_kill(pidfd: &OwnedFd, signal: c_int) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;
    let no_info: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: NULL makes the kernel fill in what kill(2) would.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            c_long::from(pidfd.as_raw_fd()),
            c_long::from(signal),
            no_info,
            0 as c_long,
        )
    };
    Errno::result(result).map(drop)
}

/// Runs `body` in a new process that uses our memory while we are suspended,
/// until it has called exec or has ended: vfork, on a stack of its own so that
/// nothing returns twice. What `body` writes, we can read afterwards.
///
/// fork instead copies the page tables, and both processes then copy each page
/// they touch; it also needs a pipe to learn why exec failed. posix_spawn
/// neither restores what we restore nor knows terminals, and makes 124 calls.
/// All three of vfork's kind wait for a child that somebody stops before exec:
/// whoever sends it SIGSTOP in those microseconds stops us until SIGCONT.
pub fn vfork<F: FnMut()>(stack: &mut Stack, mut body: F) -> Result<Pid, Errno> {
    extern "C" fn run<F: FnMut()>(body: *mut c_void) -> c_int {
        // SAFETY: the closure below, whose owner is suspended.
        unsafe { (*body.cast::<F>())() };
        // SAFETY: without the parent's exit handlers.
        unsafe { libc::_exit(127) }
    }
    // SAFETY: the stack is as large as Stack says, and its end is aligned as the
    // C library's clone wants it; `body` outlives the call, since the parent runs on only when the
    // child no longer uses this memory. No signal has a handler, so that
    // nothing else runs on it.
    unsafe {
        let top = stack.0.as_mut_ptr().add(stack.0.capacity()).cast();
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        Errno::result(libc::clone(run::<F>, top, flags, (&raw mut body).cast())).map(Pid::from_raw)
    }
}

/// A stack for [`vfork`], kept for the next one. On the heap, which the C
/// library has made anyway: a mapping of its own would cost a system call, and
/// page tables to set up and tear down. It goes with the process.
pub struct Stack(ManuallyDrop<Vec<MaybeUninit<u128>>>);

impl Stack {
    /// 64 KiB for the C library's search of PATH, and room for the vector that
    /// it builds there if the file is a script without `#!`.
    pub fn for_exec(command: Words) -> Result<Stack, Errno> {
        let bytes = (64 << 10) + command.iter().count() * size_of::<usize>();
        let mut stack = Vec::new();
        let room = stack.try_reserve_exact(bytes.div_ceil(size_of::<u128>()));
        room.map(|()| Stack(ManuallyDrop::new(stack))).map_err(|_| Errno::ENOMEM)
    }
}

/// Becomes the command, found along PATH; returns only why it could not.
pub fn exec(command: Words) -> Errno {
    // SAFETY: a vector of C strings that ends with NULL; an empty one is
    // refused with the command line.
    unsafe { libc::execvp(*command.0, command.0) };
    Errno::last()
}

/// Opens a file; never becomes anybody's terminal, never reaches the child,
/// never waits for the other end of a FIFO.
pub fn open(path: &CStr, flags: c_int) -> Result<OwnedFd, Errno> {
    let flags = flags | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK;
    // SAFETY: a C string; the descriptor is new and ours alone.
    unsafe {
        let fd = libc::open(path.as_ptr(), flags, 0o644);
        Errno::result(fd).map(|fd| OwnedFd::from_raw_fd(fd))
    }
}

/// One read from the file's start; files of /proc and cgroups of up to a page
/// come whole.
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> Result<&[u8], Errno> {
    use std::os::fd::AsRawFd;
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: writes at most the buffer's length.
    let length = unsafe { libc::pread(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    let length = Errno::result(length)?;
    Ok(buffer.get(..length as usize).unwrap_or_default())
}

/// One write to a file that was opened for it.
pub fn write(fd: impl AsFd, bytes: &[u8]) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;
    // SAFETY: `bytes` is only read.
    written(unsafe { libc::write(fd.as_fd().as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) }
        as c_long)
}

/// One write to standard error that does not wait: EAGAIN instead, and the line
/// is lost. O_NONBLOCK on the descriptor would not do, since that belongs to
/// everybody who has the same pipe or terminal.
pub fn write_stderr(bytes: &[u8]) -> Result<(), Errno> {
    const FD: c_int = libc::STDERR_FILENO;
    let parts = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let here: c_long = -1;
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: it writes one stat, which is read only if it did.
    let kind = unsafe {
        let known = libc::fstat(FD, stat.as_mut_ptr()) == 0;
        if known { stat.assume_init().st_mode & libc::S_IFMT } else { 0 }
    };
    match kind {
        // A file takes it; with RWF_NOWAIT it may say EAGAIN for want of a page.
        libc::S_IFREG => return write(standard(FD), bytes),
        // A terminal knows no RWF_NOWAIT, and POLLOUT of it means some room, not
        // room for a line. Opened anew it can be O_NONBLOCK for us alone.
        libc::S_IFCHR => {
            return open(c"/proc/self/fd/2", libc::O_WRONLY).and_then(|fd| write(fd, bytes));
        }
        // POLLOUT of a socket means some room, too.
        libc::S_IFSOCK => {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            // SAFETY: `bytes` is only read.
            let sent = unsafe { libc::send(FD, bytes.as_ptr().cast(), bytes.len(), flags) };
            return Errno::result(sent).map(drop);
        }
        _ => {}
    }
    // SAFETY: one iovec over `bytes`, which is only read. The offset is passed in
    // two halves, as 32-bit kernels want it; 64-bit ones ignore the second.
    let result = written(unsafe {
        libc::syscall(
            libc::SYS_pwritev2,
            c_long::from(FD),
            &raw const parts,
            1 as c_long,
            here,
            here,
            c_long::from(libc::RWF_NOWAIT),
        )
    });
    match result {
        // Pipes know RWF_NOWAIT since Linux 6.4: before, ask first, then write.
        // A pipe that says POLLOUT has room for the 4096 bytes that a line is at
        // most; what stays is another writer that fills it in between.
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL | Errno::ESPIPE) => {
            let mut poll = libc::pollfd { fd: FD, events: libc::POLLOUT, revents: 0 };
            // SAFETY: one pollfd.
            let ready = unsafe { libc::poll(&mut poll, 1, 0) } == 1;
            if !ready || poll.revents & libc::POLLOUT == 0 {
                return Err(Errno::EAGAIN);
            }
            write(standard(FD), bytes)
        }
        result => result,
    }
}

/// The signal that comes with a write that failed (write(2): a pipe without
/// readers, a file at its limit) is nobody's but ours: taken back, lest it wait
/// with those that are to be forwarded.
fn written(result: c_long) -> Result<(), Errno> {
    let result = Errno::result(result).map(drop);
    let signal = match result {
        Err(Errno::EPIPE) => libc::SIGPIPE,
        Err(Errno::EFBIG) => libc::SIGXFSZ,
        Ok(()) | Err(_) => return result,
    };
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: an empty set with one signal in it, no siginfo wanted.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::sigtimedwait(set.as_ptr(), std::ptr::null_mut(), &now);
    }
    result
}

/// The names in a directory.
pub struct Directory(*mut libc::DIR);

impl Directory {
    pub fn open(path: &CStr) -> Option<Directory> {
        // SAFETY: a C string.
        let stream = unsafe { libc::opendir(path.as_ptr()) };
        (!stream.is_null()).then_some(Directory(stream))
    }

    pub fn next(&mut self) -> Option<&CStr> {
        // SAFETY: an open stream; the entry lives until the next call, which
        // the borrow holds off.
        unsafe {
            let entry = libc::readdir(self.0);
            (!entry.is_null()).then(|| CStr::from_ptr((*entry).d_name.as_ptr()))
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // SAFETY: opened in `open`, closed only here.
        unsafe { libc::closedir(self.0) };
    }
}

/// push that says None where there is no memory. `Vec::push` panics there, and
/// an init that panics takes the container with it.
pub fn push<T>(list: &mut Vec<T>, item: T) -> Option<()> {
    list.try_reserve(1).ok()?;
    // SAFETY: the room beyond the length is reserved, and written before it counts.
    unsafe {
        list.as_mut_ptr().add(list.len()).write(item);
        list.set_len(list.len() + 1);
    }
    Some(())
}
