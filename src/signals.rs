//! Signals as numbers and names, the signal state that we were given, and
//! waiting for the next one. What is sent is `send`'s affair.
//!
//! They are received by sigtimedwait on a blocked set: no handler, so that an
//! inherited ignore stays one (exec resets what is handled, not what is
//! ignored) and nothing runs between two instructions; no pipe, so that
//! real-time signals stay queued and no descriptor of ours exists.

use nix::errno::Errno;
use nix::unistd::{Pid, getppid};
use signal_hook::low_level::signal_name;

use crate::line::Line;
use crate::time::Time;
use crate::words::number;
use crate::{send, sys};

/// A signal's number, 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signal(pub u8);

/// Those that signal-hook's table lacks: STKFLT and PWR of Linux.
const UNCOMMON: [(u8, &str); 2] = [(16, "SIGSTKFLT"), (30, "SIGPWR")];

impl Signal {
    pub const HUP: Signal = Signal(libc::SIGHUP as u8);
    pub const INT: Signal = Signal(libc::SIGINT as u8);
    pub const QUIT: Signal = Signal(libc::SIGQUIT as u8);
    pub const KILL: Signal = Signal(libc::SIGKILL as u8);
    pub const TERM: Signal = Signal(libc::SIGTERM as u8);
    pub const CHLD: Signal = Signal(libc::SIGCHLD as u8);
    pub const CONT: Signal = Signal(libc::SIGCONT as u8);
    pub const TSTP: Signal = Signal(libc::SIGTSTP as u8);
    pub const TTIN: Signal = Signal(libc::SIGTTIN as u8);
    pub const TTOU: Signal = Signal(libc::SIGTTOU as u8);
    pub const STOP: Signal = Signal(libc::SIGSTOP as u8);
    pub const LAST: u8 = 64;

    /// `TERM`, `SIGTERM`, `15`, `RTMIN+3`, `RTMAX-1`; in any case of letters.
    pub fn parse(text: &[u8]) -> Option<Signal> {
        if let Some(number) = number(text) {
            return u8::try_from(number)
                .ok()
                .filter(|n| (1..=Signal::LAST).contains(n))
                .map(Signal);
        }
        let name = strip(text, b"SIG").unwrap_or(text);
        // At run time: what the C library keeps for itself differs (glibc 2, musl 3).
        let real_time = |base: i32, sign: u8, rest: &[u8]| match rest.split_first() {
            None => Some(base),
            Some((&first, digits)) if first == sign => {
                let offset = i32::try_from(number(digits)?).ok()?;
                Some(if sign == b'+' {
                    base.saturating_add(offset)
                } else {
                    base.saturating_sub(offset)
                })
            }
            Some(_) => None,
        };
        let (low, high) = (libc::SIGRTMIN(), libc::SIGRTMAX());
        if let Some(rest) = strip(name, b"RTMIN") {
            real_time(low, b'+', rest)
        } else if let Some(rest) = strip(name, b"RTMAX") {
            real_time(high, b'-', rest)
        } else {
            return (1..32).map(Signal).find(|signal| {
                signal.standard_name().is_some_and(|own| own.as_bytes().eq_ignore_ascii_case(name))
            });
        }
        .filter(|n| (low..=high).contains(n))
        .map(|n| Signal(n as u8))
    }

    /// Its name without SIG, if it is not a real-time signal.
    fn standard_name(self) -> Option<&'static str> {
        signal_name(self.0.into())
            .or_else(|| {
                UNCOMMON.iter().find(|(number, _)| *number == self.0).map(|(_, name)| *name)
            })
            .and_then(|name| name.strip_prefix("SIG"))
    }

    /// `SIGTERM`, `SIGRTMIN+3`.
    pub fn write(self, line: &mut Line) {
        self.write_short(line.text("SIG"));
    }

    /// As options and schedules take it: `TERM`, `RTMIN+3`; the bare number
    /// where the C library has no name for it (32, 33).
    pub fn write_short(self, line: &mut Line) {
        let low = libc::SIGRTMIN() as u8;
        match self.standard_name() {
            Some(name) => line.text(name),
            None if self.0 == low => line.text("RTMIN"),
            None if self.0 > low => line.text("RTMIN+").number((self.0 - low).into()),
            None => line.number(self.0.into()),
        };
    }

    /// Whether it can be caught, and so forwarded. SIGCHLD is about our own
    /// children and concerns nobody else.
    pub fn forwardable(self) -> bool {
        ![Signal::KILL, Signal::STOP, Signal::CHLD].contains(&self)
    }
}

fn strip<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The signal state that we were given and that the main child gets back. All
/// other dispositions we leave alone, and so they are inherited.
#[derive(Clone, Copy)]
pub struct Inherited {
    mask: sys::Mask,
    ignored_sigchld: bool,
}

/// Blocks every signal: from here on none is lost, each waits to be taken. A
/// fault of our own still ends us, for the kernel unblocks what it forces.
pub fn block() -> Inherited {
    let mask = sys::set_mask(sys::Mask::MAX);
    // With SIGCHLD ignored the kernel reaps our children itself and every
    // status is lost (tini and catatonit then wait for ever).
    Inherited { mask, ignored_sigchld: sys::ignore_sigchld(false) }
}

/// Has the kernel send us `signal` when our parent dies.
pub fn on_parent_death(signal: Option<Signal>) {
    let Some(signal) = signal else { return };
    let parent = getppid();
    let Ok(number) = i32::from(signal.0).try_into() else { return };
    let set = nix::sys::prctl::set_pdeathsig(Some(number));
    // It may have died just before.
    if set.is_ok() && getppid() != parent {
        send::to_ourselves(signal);
    }
}

impl Inherited {
    /// In the main child, between fork and exec.
    pub fn restore(self) {
        if self.ignored_sigchld {
            sys::ignore_sigchld(true);
        }
        sys::set_mask(self.mask);
    }
}

/// Lets a pending signal do to us what it does by default, and returns once we
/// are continued, or at once where the kernel does not let it stop us.
pub fn undergo(signal: Signal) {
    sys::set_mask(!(1 << (signal.0 - 1)));
    sys::set_mask(sys::Mask::MAX);
}

#[derive(Clone, Copy)]
pub enum Wake {
    /// A signal, and the process that it came from or, for SIGCHLD, is about.
    Signal(Signal, Pid),
    Deadline,
}

/// Waits for the next signal, or until `deadline` on `sys::now`'s clock; without
/// one, for as long as it takes and without a wake-up in between.
pub fn wait(deadline: Option<Time>) -> Wake {
    loop {
        match sys::take_signal(deadline.map(|at| at - sys::now())) {
            Ok((signal, pid)) => return Wake::Signal(Signal(signal as u8), pid),
            Err(Errno::EAGAIN) => return Wake::Deadline,
            // EINTR: stopped and continued meanwhile (signal(7)).
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(signal: Signal) -> String {
        let mut line = Line::new();
        signal.write(&mut line);
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn every_signal_is_read_as_it_is_written() {
        for signal in (1..=Signal::LAST).map(Signal) {
            let written = name(signal);
            let bare = written.strip_prefix("SIG").unwrap();
            assert_eq!(Signal::parse(bare.as_bytes()), Some(signal), "{written}");
            assert_eq!(Signal::parse(bare.to_lowercase().as_bytes()), Some(signal), "{written}");
            assert_eq!(Signal::parse(signal.0.to_string().as_bytes()), Some(signal));
        }
        assert_eq!(Signal::parse(b"sigRTMAX-2"), Some(Signal(62)));
    }

    #[test]
    fn what_is_no_signal() {
        for text in [
            "",
            "0",
            "65",
            "-1",
            "15x",
            "TER",
            "SIG",
            "SIGSIGTERM",
            "RTMIN-1",
            "RTMIN+31",
            "RTMIN+",
            "RTMIN+x",
            "RTMIN++3",
            "RTMAX+1",
            "RTMAX-31",
            "RTMIN+300",
            " TERM",
            "1 5",
            "+15",
        ] {
            assert_eq!(Signal::parse(text.as_bytes()), None, "{text:?}");
        }
    }
}
