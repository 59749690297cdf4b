//! Files and folders: open, read, write, list, close.

use std::ffi::{CStr, c_int, c_long};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::text::bytes::c_string;
use crate::text::number::number;

/// Standard input, output or error: they may be closed, and every use of them
/// allows for EBADF.
pub fn standard(fd: Standard) -> BorrowedFd<'static> {
    // SAFETY: it is used for one call. Where it was closed when we were started, a
    // file of ours may have its number; that is open for as long as it is used. (std's
    // handles come with buffers, locks and a panic.)
    unsafe { BorrowedFd::borrow_raw(fd as c_int) }
}

#[derive(Clone, Copy)]
pub enum Standard {
    In = libc::STDIN_FILENO as isize,
    Out = libc::STDOUT_FILENO as isize,
    Err = libc::STDERR_FILENO as isize,
}

/// Opens a file; never becomes anybody's terminal, never reaches the main child,
/// never waits for the other end of a FIFO.
pub fn open(path: &CStr, flags: c_int) -> Result<OwnedFd, Errno> {
    let flags = flags | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK;
    // SAFETY: a C string; the descriptor is new and ours alone.
    unsafe { owned(libc::open(path.as_ptr(), flags, 0o644)) }
}

/// The descriptor that a system call answered.
///
/// # Safety
///
/// It is -1, with errno set, or open and nobody else's.
pub(super) unsafe fn owned(fd: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: OwnedFd is a c_int other than -1 (repr(transparent)). from_raw_fd says
    // the same with a check that can panic, which the linker then keeps.
    Errno::result(fd).map(|fd| unsafe { std::mem::transmute::<c_int, OwnedFd>(fd) })
}

/// One read from the file's start; files of /proc and cgroups of up to a page
/// come whole.
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> Result<&[u8], Errno> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: it writes at most the buffer's length.
    let length = unsafe { libc::pread(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    let length = Errno::result(length)?;
    Ok(buffer.get(..length as usize).unwrap_or_default())
}

/// One read from where the last one ended.
pub fn read_on(fd: impl AsFd, buffer: &mut [u8]) -> Result<&[u8], Errno> {
    let length = nix::unistd::read(fd, buffer)?;
    Ok(buffer.get(..length).unwrap_or_default())
}

/// What a symbolic link says, as far as the buffer holds it.
pub fn read_link<'a>(path: &CStr, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    // SAFETY: a C string; it writes at most the buffer's length.
    let length = unsafe { libc::readlink(path.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    let length = Errno::result(length)?;
    Ok(buffer.get(..length as usize).unwrap_or_default())
}

/// One write to a file that was opened for it.
pub fn write(fd: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: `bytes` is only read.
    written(unsafe { libc::write(fd.as_fd().as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) }
        as c_long)
}

/// The signal that comes with a write that failed (write(2): a pipe without
/// readers, a file at its limit) is nobody's but ours: taken back, lest it wait
/// with those that are to be forwarded.
pub(super) fn written(result: c_long) -> Result<usize, Errno> {
    let result = Errno::result(result).map(|length| length as usize);
    let signal = match result {
        Err(Errno::EPIPE) => libc::SIGPIPE,
        Err(Errno::EFBIG) => libc::SIGXFSZ,
        Ok(_) | Err(_) => return result,
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

/// The names in a folder.
pub struct Directory(*mut libc::DIR);

impl Directory {
    pub fn open(path: &CStr) -> Result<Directory, Errno> {
        // SAFETY: a C string.
        let stream = unsafe { libc::opendir(path.as_ptr()) };
        if stream.is_null() { Err(Errno::last()) } else { Ok(Directory(stream)) }
    }

    /// None at the end. An error is not the end: whoever takes it for that takes
    /// a folder that cannot be read for one that is empty.
    pub fn entry(&mut self) -> Option<Result<&CStr, Errno>> {
        Errno::clear();
        // SAFETY: an open stream; the entry lives until the next call, which
        // the borrow holds off.
        unsafe {
            let entry = libc::readdir(self.0);
            if !entry.is_null() {
                // An entry is as long as its name: no reference to all of it.
                return Some(Ok(CStr::from_ptr((&raw const (*entry).d_name).cast())));
            }
        }
        Some(Errno::last()).filter(|error| *error != Errno::UnknownErrno).map(Err)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // SAFETY: opened in `open`, closed only here.
        unsafe { libc::closedir(self.0) };
    }
}

/// What we inherited beside the standard streams, which is the main child's alone
/// once it runs: a socket that it closes is then closed, a pipe that it closes has
/// its end.
pub struct Inherited(());

impl Inherited {
    /// # Safety
    ///
    /// Until it is closed or dropped nothing in this process owns a descriptor.
    pub unsafe fn new() -> Inherited {
        Inherited(())
    }

    pub fn close(self) {
        const FIRST: c_int = libc::STDERR_FILENO + 1;
        // SAFETY: plain numbers; nobody owns what is closed, as `new` was promised.
        let closed = unsafe {
            let last = c_long::from(u32::MAX);
            libc::syscall(libc::SYS_close_range, c_long::from(FIRST), last, 0 as c_long)
        };
        if closed != 0 {
            Inherited::close_each(FIRST);
        }
    }

    /// Before Linux 5.9, or where a sandbox knows no such call. Without /proc they
    /// stay open.
    #[cold]
    #[inline(never)]
    fn close_each(first: c_int) {
        let mut open = [false; 1024];
        if let Ok(mut list) = Directory::open(c_string!("/proc/self/fd")) {
            while let Some(Ok(name)) = list.entry() {
                let fd = number(name.to_bytes()).and_then(|fd| open.get_mut(fd as usize));
                fd.into_iter().for_each(|fd| *fd = true);
            }
        }
        for (fd, open) in (0..).zip(open).skip(first as usize) {
            if open {
                // SAFETY: as in `close`; that of the list itself is closed by now (EBADF).
                unsafe { libc::close(fd) };
            }
        }
    }
}
