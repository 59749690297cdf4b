//! The only waits.

use std::ffi::c_int;

use nix::errno::Errno;
use nix::unistd::{Pid, getpid};

use super::clock;
use crate::text::status::WaitStatus;
use crate::text::time::Time;

/// Makes every orphan below us ours. PID 1 is that anyway; with
/// `shareProcessNamespace: true` it is the pause container, and not we. EINVAL
/// before Linux 3.4: then PID 1 reaps them, and we do not know them.
pub fn adopt_orphans() -> Result<(), Errno> {
    let set = nix::sys::prctl::set_child_subreaper(true);
    set.or_else(|error| if getpid().as_raw() == 1 { Ok(()) } else { Err(error) })
}

/// What a sweep came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sweep {
    /// No child is left.
    Childless,
    /// Children are left, and all of them live.
    Done,
    /// It took as long as a sweep may, or ended as many as one that is not timed: more
    /// may have ended.
    Cut,
}

/// How long a sweep may take. Thousands of orphans that come and go would else
/// keep us from the signals that wait for us.
const LONGEST: Time = Time::millis(10);

/// Reaps the child that a SIGCHLD named, if it has not been: its pid is found
/// without a walk over the living.
pub fn one(pid: Pid, each: impl FnOnce(Pid, WaitStatus)) {
    // ECHILD: reaped by the last sweep, or not ours, a SIGCHLD from kill(1).
    if let Ok(Some((pid, status))) = wait(pid.as_raw(), NOW) {
        each(pid, WaitStatus(status));
    }
}

/// So many looks between two readings of the clock.
const LOOKS: u32 = 8;
/// Looks that take longer walk over many that live: 5,000 of them in up to 1 ms.
const SLOW: Time = Time::nanos(100_000);

/// The sweep: reaps every child that has ended, and hands each to `each` (with
/// those that only stopped or run on). It cannot be left out: of the children that
/// end before SIGCHLD is taken, that names but the first (catatonit#4).
///
/// What it came to, and how long its slow looks took, if that is `timed`.
pub fn all(timed: bool, mut each: impl FnMut(Pid, WaitStatus)) -> (Sweep, Time) {
    let clock = || if timed { clock::now() } else { Time::ZERO };
    let began = clock();
    let (mut before, mut slow) = (began, Time::ZERO);
    loop {
        let mut end = None;
        for _ in 0..LOOKS {
            match wait(ANYBODY, NOW) {
                Ok(Some((pid, status))) => each(pid, WaitStatus(status)),
                Ok(None) => {
                    end = Some(Sweep::Done);
                    break;
                }
                // ECHILD; with these arguments there is no other (waitpid(2)).
                Err(_) => return (Sweep::Childless, slow),
            }
        }
        let now = clock();
        if now - before > SLOW {
            slow = slow + (now - before);
        }
        match end {
            Some(end) => return (end, slow),
            None if !timed || now - began >= LONGEST => return (Sweep::Cut, slow),
            None => before = now,
        }
    }
}

/// The process of a start that failed. It is as good as gone, and nobody's
/// orphan.
pub fn failed(pid: Pid) {
    let _ = wait(pid.as_raw(), 0);
}

/// Whether a child of ours is in this process group; takes nothing off it.
pub fn has_child_in(group: Pid) -> bool {
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let group = group.as_raw() as libc::id_t;
    // SAFETY: with NULL Linux writes nothing (waitid(2)).
    unsafe { libc::waitid(libc::P_PGID, group, std::ptr::null_mut(), flags) == 0 }
}

const NOW: c_int = libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED;
const ANYBODY: c_int = -1;

/// waitpid, raw: nix answers EINVAL for a child that a real-time signal ended,
/// and its pid is lost.
fn wait(pid: c_int, flags: c_int) -> Result<Option<(Pid, c_int)>, Errno> {
    let mut status = 0;
    // SAFETY: it writes one int.
    let pid = Errno::result(unsafe { libc::waitpid(pid, &mut status, flags) })?;
    Ok((pid != 0).then_some((Pid::from_raw(pid), status)))
}
