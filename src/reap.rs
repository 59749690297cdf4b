//! The only waits.

use nix::unistd::Pid;

use crate::status::WaitStatus;
use crate::sys;

/// Makes every orphan below us ours. PID 1 is that anyway; with
/// `shareProcessNamespace: true` it is the pause container, and not we.
pub fn adopt_orphans() {
    // EINVAL before Linux 3.4: then PID 1 reaps them, and we do not know them.
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Reaps every child that has ended, hands each to `each` (with those that only
/// stopped), and says whether children are left.
///
/// `named` is the one that a SIGCHLD was about. Each `waitpid(-1)` walks the
/// list of the living, 5,000 of them in 30 µs, and finding the named one costs
/// no walk. The last walk cannot be saved: of the children that end before
/// SIGCHLD is taken, it names but the first (catatonit#4).
pub fn reap(named: Option<Pid>, mut each: impl FnMut(Pid, WaitStatus)) -> bool {
    let mut wait = |whom| {
        sys::wait(whom).map(|child| child.map(|(pid, status)| each(pid, WaitStatus(status))))
    };
    // Reaped already, by the last sweep, or not ours: a SIGCHLD from kill(1).
    let _ = named.map(&mut wait);
    loop {
        match wait(Pid::from_raw(-1)) {
            Ok(Some(())) => {}
            Ok(None) => return true,
            // ECHILD; with these arguments there is no other (waitpid(2)).
            Err(_) => return false,
        }
    }
}

/// Whether a child of ours is in this process group, living or not yet reaped.
pub fn has_child_in(group: Pid) -> bool {
    sys::has_child_in(group)
}
