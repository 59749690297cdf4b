//! The only kills. kill(-1) is not among them: outside a PID namespace it ends
//! the machine, and as PID 1 leaving does the same for the container.

use std::ffi::c_long;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::{Pid, getpid};

use super::file::owned;
use super::proc;
use crate::text::process::Process;
use crate::text::signal::Signal;

/// To a child of ours. Only our loop reaps: until then its number is its own.
pub fn to_child(pid: Pid, signal: Signal) -> Result<(), Errno> {
    kill(pid.as_raw(), signal)
}

/// To the process group of a leader that is not reaped yet, or of which a
/// member is known to live: until then its number is its own.
pub fn to_group(leader: Pid, signal: Signal) -> Result<(), Errno> {
    kill(-leader.as_raw(), signal)
}

/// Pending, like one from anybody else.
pub fn to_ourselves(signal: Signal) {
    let _ = kill(getpid().as_raw(), signal);
}

/// As the terminal does it: to us, and to the script between us and the shell.
pub fn to_our_group(signal: Signal) {
    let _ = kill(0, signal);
}

/// To a process that /proc showed. Others reap it, so that its number may mean
/// somebody else by now: the descriptor holds on to whoever it is, and the
/// start time, read after that, tells whether it is the one we saw.
pub fn to_process(process: &Process, signal: Signal) -> Result<(), Errno> {
    if process.parent == getpid() {
        return to_child(process.pid, signal);
    }
    let pidfd = match pidfd_open(process.pid) {
        Err(Errno::ESRCH) => return Err(Errno::ESRCH),
        // Before Linux 5.3, where a sandbox forbids it, without a descriptor left.
        pidfd => pidfd.ok(),
    };
    // Who has ended had it from nobody.
    proc::again(process)?.filter(|now| !now.zombie).ok_or(Errno::ESRCH)?;
    match pidfd.map(|pidfd| pidfd_kill(&pidfd, signal)) {
        Some(result @ (Ok(()) | Err(Errno::ESRCH))) => result,
        // The check alone, and a window of microseconds. A sandbox may answer with
        // any error; whether it is one of the process's own, kill tells.
        None | Some(Err(_)) => kill(process.pid.as_raw(), signal),
    }
}

/// For any signal number; nix knows no real-time signals.
fn kill(pid: i32, signal: Signal) -> Result<(), Errno> {
    // SAFETY: plain numbers.
    Errno::result(unsafe { libc::kill(pid, signal.0.into()) }).map(drop)
}

/// A file descriptor that means this process alone, whoever gets its number
/// next. ENOSYS before Linux 5.3.
fn pidfd_open(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: plain numbers; the descriptor is new and ours alone.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, c_long::from(pid.as_raw()), 0 as c_long);
        owned(fd as i32)
    }
}

fn pidfd_kill(pidfd: &OwnedFd, signal: Signal) -> Result<(), Errno> {
    let no_info: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: NULL makes the kernel fill in what kill(2) would.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            c_long::from(pidfd.as_raw_fd()),
            c_long::from(signal.0),
            no_info,
            0 as c_long,
        )
    };
    Errno::result(result).map(drop)
}
