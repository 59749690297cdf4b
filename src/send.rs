//! The only kills. kill(-1) is not among them: outside a PID namespace it ends
//! the machine, and as PID 1 leaving does the same for the container.

use nix::errno::Errno;
use nix::unistd::{Pid, getpid};

use crate::signals::Signal;
use crate::sys;
use crate::tree::Process;

/// To the main child, which only our loop reaps: until then its number is its own.
pub fn to_child(pid: Pid, signal: Signal) -> Result<(), Errno> {
    and_continue(signal, |signal| sys::kill(pid, signal))
}

/// Pending, like one from anybody else.
pub fn to_ourselves(signal: Signal) {
    let _ = sys::kill(getpid(), signal.0.into());
}

/// As the terminal does it: to us, and to the script between us and the shell.
pub fn to_our_group(signal: Signal) {
    let _ = sys::kill(Pid::from_raw(0), signal.0.into());
}

/// To the process group of a leader that is not reaped yet, or of which a
/// member is known to live: until then its number is its own.
pub fn to_group(leader: Pid, signal: Signal) -> Result<(), Errno> {
    to_child(Pid::from_raw(-leader.as_raw()), signal)
}

/// To a process that /proc showed. Others reap it, so that its number may mean
/// somebody else by now: the descriptor holds on to whoever it is, and the
/// start time, read after that, tells whether it is the one we saw.
pub fn to_process(process: &Process, signal: Signal) -> Result<(), Errno> {
    match sys::pidfd_open(process.pid) {
        Ok(pidfd) => {
            process.again().ok_or(Errno::ESRCH)?;
            and_continue(signal, |signal| sys::pidfd_kill(&pidfd, signal))
        }
        Err(Errno::ESRCH) => Err(Errno::ESRCH),
        // Before Linux 5.3, where a sandbox forbids it, without a descriptor
        // left: the check alone, and a window of microseconds.
        Err(_) => {
            process.again().ok_or(Errno::ESRCH)?;
            to_child(process.pid, signal)
        }
    }
}

/// A stopped process acts on what asks it to end only once it is continued.
fn and_continue(signal: Signal, kill: impl Fn(i32) -> Result<(), Errno>) -> Result<(), Errno> {
    let result = kill(signal.0.into());
    if [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT].contains(&signal) {
        let _ = kill(Signal::CONT.0.into());
    }
    result
}
