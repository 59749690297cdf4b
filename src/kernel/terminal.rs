//! Whose terminal it is.

use std::os::fd::AsRawFd;

use nix::unistd::{Pid, getpgid, getpgrp, getppid, getsid, tcgetpgrp, tcsetpgrp};

use super::file::{Standard, standard};
use super::proc;

/// How our process group stands to the terminal on stdin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Terminal {
    /// There is none, or another group is in the foreground.
    Elsewhere,
    /// Ours is in the foreground, and can be named.
    Ours,
    /// Ours is in the foreground, and has no number: it belongs to another PID
    /// namespace (`unshare --pid --fork` without setsid, bwrap, nsenter). The
    /// terminal could be handed over, but never back.
    Unnamed,
}

/// A group of another PID namespace reads as 0, and two of those cannot be told
/// apart by number.
pub fn ours() -> Terminal {
    let stdin = standard(Standard::In);
    match tcgetpgrp(stdin) {
        Ok(group) if group != getpgrp() => Terminal::Elsewhere,
        Ok(group) if group.as_raw() != 0 => Terminal::Ours,
        Ok(_) if may_read() => Terminal::Unnamed,
        Ok(_) | Err(_) => Terminal::Elsewhere,
    }
}

/// A read of nothing takes nothing. Where SIGTTIN is blocked, as it is here, it
/// fails in the background (EIO; n_tty's job_control) and not in the foreground.
fn may_read() -> bool {
    // SAFETY: nothing is written for a length of 0.
    unsafe { libc::read(standard(Standard::In).as_raw_fd(), std::ptr::null_mut(), 0) == 0 }
}

/// Puts this group into the foreground. SIGTTOU, which that would send to a group
/// in the background, is blocked.
pub fn hand_over(group: Pid) -> bool {
    tcsetpgrp(standard(Standard::In), group).is_ok()
}

/// The main child is gone: Ctrl-C is for us again, a stop signal for the
/// stragglers. Not if the terminal is somebody else's by now.
pub fn take_back(main: Pid) {
    if tcgetpgrp(standard(Standard::In)) == Ok(main) {
        hand_over(getpgrp());
    }
}

/// Whether a shell with job control may have started us: an ancestor in our
/// session but not in our process group, whatever scripts are in between. Else
/// our group is orphaned (setpgid(2)), or we are PID 1.
pub fn has_shell_above() -> bool {
    let mut above = getppid();
    while above.as_raw() != 0 && getsid(Some(above)) == getsid(None) {
        if getpgid(Some(above)) != Ok(getpgrp()) {
            return true;
        }
        above = proc::parent(above).unwrap_or(Pid::from_raw(0));
    }
    false
}
