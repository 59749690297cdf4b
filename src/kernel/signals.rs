//! The signal state that we were given, and waiting for the next signal. What is
//! sent is `kill`'s affair.
//!
//! They are received by sigtimedwait on a blocked set: no handler, so that an
//! inherited ignore stays one (exec resets what is handled, not what is
//! ignored) and nothing runs between two instructions; no pipe, so that
//! real-time signals stay queued and no descriptor of ours exists.

use std::ffi::{c_int, c_long};
use std::mem::MaybeUninit;

use nix::errno::Errno;
use nix::unistd::{Pid, getppid};

use super::{clock, kill};
use crate::text::signal::{Signal, Signals};
use crate::text::time::Time;

/// The signal state that we were given and that the main child gets back. All
/// other dispositions we leave alone, and so they are inherited.
#[derive(Clone, Copy)]
pub struct Inherited {
    mask: Signals,
    ignored_sigchld: bool,
}

/// Blocks every signal: from here on none is lost, each waits to be taken. A
/// fault of our own still ends us, for the kernel unblocks what it forces.
pub fn block() -> Inherited {
    let mask = set_mask(Signals::ALL);
    // With SIGCHLD ignored the kernel reaps our children itself and every
    // status is lost (tini and catatonit then wait for ever).
    Inherited { mask, ignored_sigchld: ignore_sigchld(false) }
}

/// Whether the kernel lets us wait as we have to. A sandbox that does not would
/// have us spin once the main child runs.
pub fn can_be_received() -> Result<(), Errno> {
    match take(Signals::NONE, Some(Time::ZERO)) {
        Err(Errno::EAGAIN) => Ok(()),
        other => other.map(drop),
    }
}

/// Has the kernel send us `signal` when our parent dies.
pub fn on_parent_death(signal: Option<Signal>) {
    let Some(signal) = signal else { return };
    let parent = getppid();
    let Ok(number) = i32::from(signal.0).try_into() else { return };
    let set = nix::sys::prctl::set_pdeathsig(Some(number));
    // It may have died just before.
    if set.is_ok() && getppid() != parent {
        kill::to_ourselves(signal);
    }
}

impl Inherited {
    /// In the main child, between vfork and exec.
    pub fn restore(self) {
        if self.ignored_sigchld {
            ignore_sigchld(true);
        }
        set_mask(self.mask);
    }
}

/// Lets a pending signal do to us what it does by default, and returns once we
/// are continued, or at once where the kernel does not let it stop us.
pub fn undergo(signal: Signal) {
    set_mask(Signals::ALL.without(signal));
    set_mask(Signals::ALL);
}

#[derive(Clone, Copy)]
pub enum Wake {
    Signal(Signal, Sender),
    /// SIGCHLD: this child, and maybe others, ended, stopped or runs on.
    Child(Pid),
    Deadline,
}

/// Where a signal came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sender {
    /// The kernel: a terminal, for one.
    Kernel,
    /// By kill(2), from outside our PID namespace: an engine, say.
    Outside,
    Process(Pid),
}

/// Waits for the next signal, or until this time on `clock::now`'s clock; to
/// [`Time::NEVER`] for as long as it takes and without a wake-up in between.
pub fn wait(until: Time) -> Wake {
    loop {
        let timeout = (until != Time::NEVER).then(|| until - clock::now());
        match take(Signals::ALL, timeout) {
            Ok(info) => return wake(&info),
            Err(Errno::EAGAIN) => return Wake::Deadline,
            // EINTR: stopped and continued meanwhile (signal(7)).
            Err(_) => {}
        }
    }
}

/// siginfo.h; the libc crate has it for other systems alone.
const SI_KERNEL: c_int = 0x80;

fn wake(info: &libc::siginfo_t) -> Wake {
    // SAFETY: it is there for every signal that the kernel queues by itself or by
    // kill; for others it is a number that we do not use.
    let pid = Pid::from_raw(unsafe { info.si_pid() });
    let sender = match info.si_code {
        SI_KERNEL => Sender::Kernel,
        _ if pid.as_raw() == 0 => Sender::Outside,
        _ => Sender::Process(pid),
    };
    match Signal(info.si_signo as u8) {
        Signal::CHLD => Wake::Child(pid),
        signal => Wake::Signal(signal, sender),
    }
}

/// Takes the next pending signal of these, waiting for at most `timeout`. EAGAIN at
/// the timeout; EINTR after a stop.
fn take(signals: Signals, timeout: Option<Time>) -> Result<libc::siginfo_t, Errno> {
    let timeout = timeout.map(|length| libc::timespec {
        // A century, should time_t have 32 bits.
        tv_sec: length.as_seconds().min(i32::MAX as u64) as libc::time_t,
        tv_nsec: (length.as_nanos() % 1_000_000_000) as _,
    });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: every bit pattern is a set, and the kernel reads the first 8 bytes of
    // it; info is read only once the kernel has written it.
    unsafe {
        set.as_mut_ptr().cast::<[u8; 8]>().write(signals.0.to_ne_bytes());
        let signal = libc::sigtimedwait(set.as_ptr(), info.as_mut_ptr(), timeout);
        Errno::result(signal).map(|_| info.assume_init())
    }
}

/// Replaces the signal mask and returns the one before. By hand, since glibc
/// takes 32 and 33, which it keeps for its threads, out of every mask: sent
/// with kill they would end us, and a mask that holds them would not come back.
fn set_mask(mask: Signals) -> Signals {
    let mut before = 0_u64;
    // SAFETY: both point to the 8 bytes that the last argument promises.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            c_long::from(libc::SIG_SETMASK),
            &raw const mask.0,
            &raw mut before,
            8 as c_long,
        )
    };
    Signals(before)
}

/// Sets the disposition of SIGCHLD, ignored or default, and says whether it
/// was ignored.
fn ignore_sigchld(ignore: bool) -> bool {
    // SAFETY: zeroed is an empty mask and no flags; neither disposition runs code.
    unsafe {
        let mut new: libc::sigaction = std::mem::zeroed();
        new.sa_sigaction = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
        let mut old = new;
        libc::sigaction(libc::SIGCHLD as c_int, &new, &mut old);
        old.sa_sigaction == libc::SIG_IGN
    }
}
