//! What is said, how loud and in which form. It never fails and never waits: a
//! stderr that is closed, full or gone loses lines, not the container.
//!
//! Silent unless work is lost or people wait; -v says what is done, -vv each reaped
//! process. Every line is one write of at most PIPE_BUF bytes. The last words of a
//! run are `summary`'s affair.

use std::ffi::CStr;

use nix::errno::Errno;

use crate::cli::Refusal;
use crate::config::{Config, OWN_FAILURE};
use crate::kernel::file::{self, Standard, standard};
use crate::kernel::spawn::Failure;
use crate::kernel::stderr::write_stderr;
use crate::text::line::{Line, Writer};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Something is lost or went wrong, or people wait: always said.
    Warning,
    /// -v
    Doing,
    /// -vv
    Detail,
}

/// What a line is about, by a name for programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    pub name: &'static str,
    pub level: Level,
}

/// The one list of events that programs read; docs/reports.md explains each.
pub mod event {
    use super::Level::{Detail, Doing, Warning};
    use super::{Event, Level};

    const fn event(name: &'static str, level: Level) -> Event {
        Event { name, level }
    }

    pub const REFUSED: &Event = &event("refused", Warning);
    pub const UNKNOWN_VARIABLE: &Event = &event("unknown-variable", Warning);
    pub const NOT_STARTED: &Event = &event("not-started", Warning);
    pub const CANNOT: &Event = &event("cannot", Warning);
    pub const START: &Event = &event("start", Doing);
    pub const SIGNAL: &Event = &event("signal", Doing);
    pub const NO_STOP_SIGNAL: &Event = &event("no-stop-signal", Warning);
    pub const DROP: &Event = &event("drop", Doing);
    pub const NOBODY: &Event = &event("nobody", Doing);
    pub const SEND: &Event = &event("send", Doing);
    pub const NOT_ASKED: &Event = &event("not-asked", Warning);
    pub const NOT_SENT: &Event = &event("not-sent", Doing);
    pub const NO_PROC: &Event = &event("no-proc", Doing);
    pub const UNSEEN: &Event = &event("unseen", Warning);
    pub const MAIN: &Event = &event("main", Doing);
    pub const MAIN_KILLED: &Event = &event("main-killed", Warning);
    pub const OOM: &Event = &event("oom", Warning);
    pub const ORPHAN: &Event = &event("orphan", Detail);
    pub const WAITING: &Event = &event("waiting", Warning);
    pub const DEADLINE: &Event = &event("deadline", Doing);
    pub const NOT_KILLED: &Event = &event("not-killed", Warning);
    pub const CUT: &Event = &event("cut", Warning);
    pub const REPORT: &Event = &event("report", Doing);
    pub const TERMINATION_LOG: &Event = &event("termination-log", Warning);
    pub const RUN_FAILED: &Event = &event("run-failed", Warning);
    pub const PAUSE: &Event = &event("pause", Doing);

    /// On stdout, not stderr: `--explain`.
    pub const EXPLAIN: &Event = &event("explain", Warning);
    pub const PROCESS: &Event = &event("process", Warning);

    pub const ALL: [&Event; 28] = [
        REFUSED,
        UNKNOWN_VARIABLE,
        NOT_STARTED,
        CANNOT,
        START,
        SIGNAL,
        NO_STOP_SIGNAL,
        DROP,
        NOBODY,
        SEND,
        NOT_ASKED,
        NOT_SENT,
        NO_PROC,
        UNSEEN,
        MAIN,
        MAIN_KILLED,
        OOM,
        ORPHAN,
        WAITING,
        DEADLINE,
        NOT_KILLED,
        CUT,
        REPORT,
        TERMINATION_LOG,
        RUN_FAILED,
        PAUSE,
        EXPLAIN,
        PROCESS,
    ];
}

/// So much of a path, a name or a value is shown.
pub const SHOWN: usize = 256;
/// Of a message: escaped for JSON it may grow to twice that, and its object is
/// whole.
const MESSAGE: usize = 1900;

#[derive(Clone, Copy)]
pub struct Reporter<'a> {
    pub config: &'a Config,
}

impl Reporter<'_> {
    pub fn hears(&self, event: &Event) -> bool {
        let orphans = event == event::ORPHAN && self.config.say_orphans;
        orphans || self.config.verbosity >= event.level as u64
    }

    /// `event` names the line for programs, `write` says it to people.
    pub fn say(&self, event: &Event, mut write: impl FnMut(&mut Writer)) {
        self.say_if_heard(event, &mut write);
    }

    #[inline(never)]
    fn say_if_heard(&self, event: &Event, write: &mut dyn FnMut(&mut Writer)) {
        if self.hears(event) {
            self.write(event, false, write);
        }
    }

    /// Said, and the last that is heard of this life: to the termination log too.
    pub fn fail(&self, event: &Event, mut write: impl FnMut(&mut Writer)) {
        self.write(event, true, &mut write);
    }

    /// Apart from `say`, whose callers would else each have two lines on their
    /// stack: four pages touched in a container that never says a word.
    #[cold]
    #[inline(never)]
    fn write(&self, event: &Event, log: bool, write: &mut dyn FnMut(&mut Writer)) {
        let mut message: Line = Line::new();
        write(&mut message);
        let message = message.as_bytes().get(..MESSAGE).unwrap_or(message.as_bytes());
        let mut line: Line = Line::new();
        if self.config.json {
            self.object(event, &mut line);
            line.put(",\"message\":\"").json(message).put("\"}\n");
        } else {
            line.put("drainit: ").raw(message).put("\n");
        }
        stderr(&line);
        if log {
            self.log(&line);
        }
    }

    /// The beginning of every object.
    pub fn object(&self, event: &Event, line: &mut Writer) {
        line.put("{\"program\":\"drainit\",\"event\":\"").put(event.name).put("\"");
    }

    /// Appends a line to the termination log, if there is one.
    #[cold]
    pub fn log(&self, line: &Writer) {
        let Some(path) = self.config.termination_log else { return };
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND;
        let written = file::open(path, flags).and_then(|file| file::write(&file, line.as_bytes()));
        if let Err(error) = written {
            self.say(event::TERMINATION_LOG, |line| {
                line.put("cannot write the termination log ").foreign(path.to_bytes(), SHOWN);
                line.put(": ").put(error);
            });
        }
    }

    /// The command that could not be started: the line, and the exit code for
    /// it, which are those of env(1).
    #[cold]
    pub fn not_started(&self, command: &CStr, failure: Failure) -> u8 {
        let (what, error, hint, code) = match failure {
            Failure::Process(error) => ("start a process for", error, NO_PROCESS, OWN_FAILURE),
            Failure::Exec(Errno::ENOENT) => ("find", Errno::ENOENT, NOT_FOUND, 127),
            Failure::Exec(error) => ("run", error, "", 126),
        };
        self.fail(event::NOT_STARTED, |line| {
            line.put("cannot ").put(what).put(" '").foreign(command.to_bytes(), SHOWN).put("': ");
            line.put(error).put(hint);
        });
        code
    }

    /// What the kernel does not let us do, and we cannot do without.
    #[cold]
    pub fn cannot(&self, what: &str, error: Errno) -> u8 {
        self.fail(event::CANNOT, |line| {
            line.put("cannot ").put(what).put(": ").put(error);
            line.put("; is there a seccomp filter?");
        });
        OWN_FAILURE
    }

    /// `--grace '5parsecs': not a duration; valid: 25, 25s, ...`
    #[cold]
    pub fn refuse(&self, refusal: &Refusal) -> u8 {
        self.fail(event::REFUSED, |line| {
            line.foreign(refusal.name, SHOWN);
            if let Some(value) = refusal.value {
                line.put(" '").foreign(value, SHOWN).put("'");
            }
            line.put(": ").put(refusal.why).put("; valid: ").put(refusal.valid);
        });
        if let (Some(value), Some(at), false) = (refusal.value, refusal.at, self.config.json) {
            let mut line: Line = Line::new();
            line.put("    ").foreign(value, POINTED).put("\n    ");
            for _ in 0..at.min(POINTED) {
                line.put(" ");
            }
            stderr(line.put("^\n"));
        }
        OWN_FAILURE
    }
}

/// So much of a value is shown again, with a mark below the place of the fault.
const POINTED: usize = 1024;
const NO_PROCESS: &str = "; is there a limit on processes (pids.max, --pids-limit, ulimit -u)?";
const NOT_FOUND: &str = "; looked along PATH (of a script, the interpreter may be missing)";

/// What `--version` prints: `drainit 0.1.0`, and ` - git.abc1234` if the build
/// was told its commit in DRAINIT_COMMIT. dockerd asks the init that it is given
/// and shows what stands behind `git.` (moby, parseInitVersion: one dot).
pub fn version() -> u8 {
    let mut line = Line::<64>::new();
    line.put("drainit ").put(env!("CARGO_PKG_VERSION"));
    if let Some(commit) = option_env!("DRAINIT_COMMIT") {
        line.put(" - git.").put(commit);
    }
    stdout(line.put("\n").as_bytes())
}

/// For `--help` and its like, which somebody reads or pipes: this one waits.
pub fn stdout(text: &[u8]) -> u8 {
    let mut rest = text;
    while !rest.is_empty() {
        match file::write(standard(Standard::Out), rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(error) => {
                let mut line: Line = Line::new();
                stderr(line.put("drainit: cannot write to stdout: ").put(error).put("\n"));
                return OWN_FAILURE;
            }
        }
    }
    0
}

pub fn stderr(line: &Writer) {
    let _ = write_stderr(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_for_programs() {
        for (n, event) in event::ALL.iter().enumerate() {
            assert!(event.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
            assert!(!event::ALL[..n].iter().any(|other| other.name == event.name));
        }
    }
}
