//! What is wanted of us. Pure: `cli` makes it, everybody reads it.

use std::ffi::CStr;

use crate::policy::drain::Policy;
use crate::policy::restart;
use crate::text::signal::{Signal, Signals};
use crate::text::status::WaitStatus;

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Config {
    pub policy: Policy,
    pub restart: restart::Policy,
    /// Those that begin the drain, as they come.
    pub stop: Signals,
    pub rewrite: [u8; 65],
    pub success: [bool; 256],
    pub killed_exit_code: Option<u8>,
    pub parent_death: Option<Signal>,
    pub expand_env: bool,
    pub verbosity: u64,
    pub say_orphans: bool,
    pub json: bool,
    pub termination_log: Option<&'static CStr>,
    /// Which word of argv is the command.
    pub command: usize,
}

impl Config {
    /// What is sent where this signal came; None if it is dropped.
    pub fn rewritten(&self, signal: Signal) -> Option<Signal> {
        let to = self.rewrite.get(usize::from(signal.0)).copied().unwrap_or(signal.0);
        (to != 0).then_some(Signal(to))
    }

    /// `--success-code`: the main child's exit code as ours.
    pub fn mapped(&self, exit_code: u8) -> u8 {
        let success = self.success.get(usize::from(exit_code)) == Some(&true);
        if success { 0 } else { exit_code }
    }

    /// The main child's code, after `--success-code`; `--killed-exit-code` wins.
    /// Without a status not even SIGKILL has ended it: what it would have been.
    pub fn exit_code(&self, main: Option<WaitStatus>, somebody_was_killed: bool) -> u8 {
        let status = main.unwrap_or(WaitStatus::ended_by(Signal::KILL));
        match self.killed_exit_code {
            Some(code) if somebody_was_killed => code,
            Some(_) | None => self.mapped(status.exit_code()),
        }
    }
}

/// Bad input, or no process to be had; 126 and 127 are those of env(1).
pub const OWN_FAILURE: u8 = 125;
