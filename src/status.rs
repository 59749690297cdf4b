//! Wait status -> exit code. Pure.

/// What waitpid says of a child: how it ended, or that it stopped. Not an exit
/// code: that has no word for signals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitStatus(pub i32);

impl WaitStatus {
    /// The child's own code, or 128+n if signal n ended it, as a shell has it.
    pub fn exit_code(self) -> u8 {
        match self.signal() {
            // RTMAX is 64: 192 at most.
            Some(signal) => 128 + signal as u8,
            None => libc::WEXITSTATUS(self.0) as u8,
        }
    }

    pub fn exited(code: u8) -> WaitStatus {
        WaitStatus(i32::from(code) << 8)
    }

    pub fn ended_by(signal: u8) -> WaitStatus {
        WaitStatus(i32::from(signal))
    }

    /// The signal that ended it.
    pub fn signal(self) -> Option<i32> {
        libc::WIFSIGNALED(self.0).then(|| libc::WTERMSIG(self.0))
    }

    /// The signal that stopped it, if it is only stopped and lives.
    pub fn stopped(self) -> Option<i32> {
        libc::WIFSTOPPED(self.0).then(|| libc::WSTOPSIG(self.0))
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
            let ended = WaitStatus::ended_by(signal);
            let dumped_core = WaitStatus(ended.0 | 0x80);
            for status in [ended, dumped_core] {
                assert_eq!(status.exit_code(), 128 + signal);
                assert_eq!((status.signal(), status.stopped()), (Some(i32::from(signal)), None));
            }
        }
        for signal in 1..=64 {
            assert_eq!(WaitStatus(signal << 8 | 0x7f).stopped(), Some(signal));
        }
    }
}
