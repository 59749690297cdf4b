//! Signals as numbers and names. Pure; receiving them is `kernel::signals`,
//! sending `kernel::kill`.

use signal_hook::low_level::signal_name;

use super::line::{Put, Writer};
use super::number::number;

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
    /// What images have for a STOPSIGNAL beside TERM and INT: nginx and php-fpm
    /// QUIT, httpd WINCH, systemd RTMIN+3 and PWR.
    pub const STOPSIGNALS: [Signal; 4] =
        [Signal::QUIT, Signal(libc::SIGWINCH as u8), Signal(libc::SIGPWR as u8), Signal(37)];

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
                signal.standard_name().is_some_and(|own| is_same(own.as_bytes(), name))
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

    /// As options and schedules take it: `TERM`, `RTMIN+3`; the bare number
    /// where the C library has no name for it (32, 33).
    pub fn short(self) -> Short {
        Short(self)
    }

    /// Whether it can be caught, and so forwarded. SIGCHLD is about our own
    /// children and concerns nobody else.
    pub fn forwardable(self) -> bool {
        ![Signal::KILL, Signal::STOP, Signal::CHLD].contains(&self)
    }
}

/// `SIGTERM`, `SIGRTMIN+3`.
impl Put for Signal {
    fn put_on(self, line: &mut Writer) {
        line.put("SIG").put(self.short());
    }
}

/// A signal's name without SIG.
pub struct Short(Signal);

impl Put for Short {
    fn put_on(self, line: &mut Writer) {
        let (signal, low) = (self.0, libc::SIGRTMIN() as u8);
        match signal.standard_name() {
            Some(name) => line.put(name),
            None if signal.0 == low => line.put("RTMIN"),
            None if signal.0 > low => line.put("RTMIN+").put(signal.0 - low),
            None => line.put(signal.0),
        };
    }
}

/// A set of signals, signal n at bit n-1: the kernel's own form of it, in masks
/// and in /proc/PID/status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Signals(pub u64);

impl Signals {
    pub const NONE: Signals = Signals(0);
    pub const ALL: Signals = Signals(u64::MAX);

    /// What is no signal is in no set.
    pub const fn of(signal: Signal) -> Signals {
        match 1_u64.checked_shl((signal.0 as u32).wrapping_sub(1)) {
            Some(bit) => Signals(bit),
            None => Signals::NONE,
        }
    }

    pub const fn and(self, signal: Signal) -> Signals {
        Signals(self.0 | Signals::of(signal).0)
    }

    pub const fn without(self, signal: Signal) -> Signals {
        Signals(self.0 & !Signals::of(signal).0)
    }

    pub const fn holds(self, signal: Signal) -> bool {
        self.0 & Signals::of(signal).0 != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Signal> {
        (1..=Signal::LAST).map(Signal).filter(move |signal| self.holds(*signal))
    }
}

fn strip<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    is_same(head, prefix).then_some(rest)
}

/// In any case of letters.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.eq_ignore_ascii_case(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::line::Line;

    fn name(signal: Signal) -> String {
        let mut line = Line::<16>::new();
        line.put(signal);
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
