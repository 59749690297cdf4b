//! Starting the main child, and whose terminal it is.

use nix::errno::Errno;
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getppid, getsid, setpgid, tcgetpgrp, tcsetpgrp};

use crate::cgroup;
use crate::reap;
use crate::signals::Inherited;
use crate::sys::{self, Stack, Words};
use crate::tree;

pub struct Started {
    pub pid: Pid,
    /// Our terminal's foreground group was ours, and is now the main child's.
    pub has_terminal: bool,
    /// The OOM killer's count at the start.
    pub oom_kills: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// No process: nothing was started.
    Fork(Errno),
    /// The command is none.
    Exec(Errno),
}

/// Starts the command as the leader of a group of its own. When this returns it
/// runs (or has failed) and its group exists, for we are suspended until then:
/// the setpgid of both sides that a fork needs, lest an early signal for the
/// group meet ESRCH, has no race to close.
pub fn start(command: Words, inherited: Inherited, stack: &mut Stack) -> Result<Started, Failure> {
    let mut failure = None;
    let mut has_terminal = false;
    let mut oom_kills = None;
    let child = || {
        has_terminal = is_foreground();
        oom_kills = cgroup::oom_kills();
        // A new child is no session leader and has not called exec: no error applies.
        let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
        if has_terminal {
            // SIGTTOU, which this would send, is blocked still.
            let _ = tcsetpgrp(sys::standard(libc::STDIN_FILENO), getpid());
        }
        // The last thing before exec: a signal that has waited for us to be
        // unblocked ends the child as it would have ended the command.
        inherited.restore();
        failure = Some(sys::exec(command));
    };
    let pid = sys::vfork(stack, child).map_err(Failure::Fork)?;
    match failure {
        None => Ok(Started { pid, has_terminal, oom_kills }),
        Some(error) => {
            reap::failed(pid);
            Err(Failure::Exec(error))
        }
    }
}

/// Whether stdin is a terminal whose foreground group is ours. A group of
/// another PID namespace reads as 0, and two of those cannot be told apart:
/// nobody's terminal is taken on a guess.
fn is_foreground() -> bool {
    let foreground = tcgetpgrp(sys::standard(libc::STDIN_FILENO));
    foreground.is_ok_and(|group| group.as_raw() != 0 && group == getpgrp())
}

/// The shell has put our group into the foreground (`fg`): the main child's it
/// is to be. Whether it was so.
pub fn hand_terminal_over(main: Pid) -> bool {
    is_foreground() && tcsetpgrp(sys::standard(libc::STDIN_FILENO), main).is_ok()
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
        above = tree::parent(above).unwrap_or(Pid::from_raw(0));
    }
    false
}

/// The main child is gone: Ctrl-C is for us again, a stop signal for the
/// stragglers. Not if the terminal is somebody else's by now.
pub fn take_terminal_back(main: Pid) {
    let stdin = sys::standard(libc::STDIN_FILENO);
    if tcgetpgrp(stdin) == Ok(main) {
        let _ = tcsetpgrp(stdin, getpgrp());
    }
}
