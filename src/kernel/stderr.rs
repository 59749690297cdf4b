//! Writing to standard error without waiting. A room of its own, since it has to
//! decide: no one call does that for every kind of file.

use std::ffi::{c_int, c_long};
use std::mem::MaybeUninit;

use nix::errno::Errno;

use super::file::{Standard, open, standard, write, written};
use crate::text::bytes::c_string;

const FD: c_int = libc::STDERR_FILENO;

/// One write that does not wait: EAGAIN instead, and the line is lost. O_NONBLOCK
/// on the descriptor would not do, since that belongs to everybody who has the
/// same pipe or terminal.
pub fn write_stderr(bytes: &[u8]) -> Result<(), Errno> {
    match kind() {
        // A file takes it; with RWF_NOWAIT it may say EAGAIN for want of a page.
        libc::S_IFREG => write(standard(Standard::Err), bytes).map(drop),
        libc::S_IFCHR => write_terminal(bytes),
        // POLLOUT of a socket means some room, not room for a line.
        libc::S_IFSOCK => {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            // SAFETY: `bytes` is only read.
            let sent = unsafe { libc::send(FD, bytes.as_ptr().cast(), bytes.len(), flags) };
            Errno::result(sent).map(drop)
        }
        _ => write_pipe(bytes),
    }
}

fn kind() -> libc::mode_t {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: it writes one stat, which is read only if it did.
    unsafe {
        let known = libc::fstat(FD, stat.as_mut_ptr()) == 0;
        if known { stat.assume_init().st_mode & libc::S_IFMT } else { 0 }
    }
}

/// A terminal knows no RWF_NOWAIT. Opened anew it can be O_NONBLOCK for us alone.
/// Where it cannot be opened (another user's, or no /proc), POLLOUT means room for
/// a byte: so byte by byte. What stays is another writer that takes the room in
/// between.
fn write_terminal(bytes: &[u8]) -> Result<(), Errno> {
    if let Ok(terminal) = open(c_string!("/proc/self/fd/2"), libc::O_WRONLY) {
        return write(terminal, bytes).map(drop);
    }
    for byte in bytes {
        has_room()?;
        write(standard(Standard::Err), std::slice::from_ref(byte))?;
    }
    Ok(())
}

/// Pipes know RWF_NOWAIT since Linux 6.4. Before, and where a sandbox forbids the
/// call: ask first, then write. A pipe that says POLLOUT has room for the 4096
/// bytes that a line is at most; what stays is another writer that fills it in
/// between.
fn write_pipe(bytes: &[u8]) -> Result<(), Errno> {
    let parts = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let here: c_long = -1;
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
        Ok(_) => Ok(()),
        Err(error @ (Errno::EAGAIN | Errno::EPIPE | Errno::EBADF)) => Err(error),
        Err(_) => {
            has_room()?;
            write(standard(Standard::Err), bytes).map(drop)
        }
    }
}

fn has_room() -> Result<(), Errno> {
    let mut poll = libc::pollfd { fd: FD, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one pollfd.
    let ready = unsafe { libc::poll(&mut poll, 1, 0) } == 1;
    if ready && poll.revents & libc::POLLOUT != 0 { Ok(()) } else { Err(Errno::EAGAIN) }
}
