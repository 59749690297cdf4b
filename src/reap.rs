//! The only waits.

use nix::unistd::Pid;

use crate::status::WaitStatus;
use crate::sys;
use crate::time::Time;

/// Makes every orphan below us ours. PID 1 is that anyway; with
/// `shareProcessNamespace: true` it is the pause container, and not we.
pub fn adopt_orphans() {
    // EINVAL before Linux 3.4: then PID 1 reaps them, and we do not know them.
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Reaps the child that a SIGCHLD named, if it has not been: its pid is found
/// without a walk over the living.
pub fn one(pid: Pid, each: impl FnOnce(Pid, WaitStatus)) {
    // ECHILD: reaped by the last sweep, or not ours, a SIGCHLD from kill(1).
    if let Ok(Some((pid, status))) = sys::wait(pid, NOW) {
        each(pid, WaitStatus(status));
    }
}

/// The sweep: reaps every child that has ended, and hands each to `each` (with
/// those that only stopped). It cannot be left out: of the children that end
/// before SIGCHLD is taken, that names but the first (catatonit#4).
///
/// None if no child is left; else how long the last look took, which found
/// nobody: it walks the list of the living, 5,000 of them in up to 1 ms.
pub fn all(mut each: impl FnMut(Pid, WaitStatus)) -> Option<Time> {
    loop {
        let began = sys::now();
        match sys::wait(Pid::from_raw(-1), NOW) {
            Ok(Some((pid, status))) => each(pid, WaitStatus(status)),
            Ok(None) => return Some(sys::now() - began),
            // ECHILD; with these arguments there is no other (waitpid(2)).
            Err(_) => return None,
        }
    }
}

/// The process of a start that failed. It is as good as gone, and nobody's
/// orphan.
pub fn failed(pid: Pid) {
    let _ = sys::wait(pid, 0);
}

const NOW: i32 = libc::WNOHANG | libc::WUNTRACED;

pub use sys::has_child_in;
