//! Wait status -> exit code. Pure.

use super::line::{Put, Writer};
use super::signal::Signal;

/// What waitpid says of a child: how it ended, or that it stopped. Not an exit
/// code: that has no word for signals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitStatus(pub i32);

impl WaitStatus {
    /// The child's own code, or 128+n if signal n ended it, as a shell has it.
    pub fn exit_code(self) -> u8 {
        match self.signal() {
            // RTMAX is 64: 192 at most.
            Some(signal) => 128 + signal.0,
            None => libc::WEXITSTATUS(self.0) as u8,
        }
    }

    pub fn exited(code: u8) -> WaitStatus {
        WaitStatus(i32::from(code) << 8)
    }

    pub fn ended_by(signal: Signal) -> WaitStatus {
        WaitStatus(i32::from(signal.0))
    }

    /// The signal that ended it.
    pub fn signal(self) -> Option<Signal> {
        libc::WIFSIGNALED(self.0).then(|| Signal(libc::WTERMSIG(self.0) as u8))
    }

    /// The signal that stopped it, if it is only stopped and lives.
    pub fn stopped(self) -> Option<Signal> {
        libc::WIFSTOPPED(self.0).then(|| Signal(libc::WSTOPSIG(self.0) as u8))
    }

    /// Whether it only runs on after a stop, and lives.
    pub fn continued(self) -> bool {
        libc::WIFCONTINUED(self.0)
    }
}

/// `exited with 3`, `was ended by SIGTERM`
impl Put for WaitStatus {
    fn put_on(self, line: &mut Writer) {
        match self.signal() {
            Some(signal) => line.put("was ended by ").put(signal),
            None => line.put("exited with ").put(self.exit_code()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_and_every_signal() {
        for code in 0..=255u8 {
            let status = WaitStatus::exited(code);
            assert_eq!((status.exit_code(), status.signal(), status.stopped()), (code, None, None));
        }
        for signal in 1..=64 {
            let ended = WaitStatus::ended_by(Signal(signal));
            let dumped_core = WaitStatus(ended.0 | 0x80);
            for status in [ended, dumped_core] {
                assert_eq!(status.exit_code(), 128 + signal);
                assert_eq!((status.signal(), status.stopped()), (Some(Signal(signal)), None));
                assert!(!status.continued());
            }
        }
        for signal in 1..=64 {
            let stopped = WaitStatus(i32::from(signal) << 8 | 0x7f);
            assert_eq!((stopped.stopped(), stopped.signal()), (Some(Signal(signal)), None));
        }
        let continued = WaitStatus(0xffff);
        assert_eq!(
            (continued.continued(), continued.stopped(), continued.signal()),
            (true, None, None)
        );
    }
}
