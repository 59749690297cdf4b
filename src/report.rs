//! What is said, to whom, in which form. It never fails and never waits: a
//! stderr that is closed, full or gone loses lines, not the container.
//!
//! Silent unless something is lost; -v says what is done, -vv each reaped
//! process. Every line is one write of at most PIPE_BUF bytes.

use std::ffi::CStr;

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::OWN_FAILURE;
use crate::child::Failure;
use crate::cli::{Config, Mistake};
use crate::drain::Leftovers;
use crate::line::Line;
use crate::restart::History;
use crate::signals::Signal;
use crate::status::WaitStatus;
use crate::sys::{self, Words};
use crate::time::Time;
use crate::tree::Process;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something is lost or went wrong: always said.
    Warning,
    /// -v
    Doing,
    /// -vv
    Detail,
}

pub struct Reporter<'a> {
    config: &'a Config,
}

/// A process by name, as it was when it was seen.
pub struct Who {
    pub process: Process,
    command: Line<COMMAND>,
    /// In seconds.
    age: u64,
}

/// How much of a command line is shown.
const COMMAND: usize = 72;
/// How many are named of each kind; the others are counted. All kinds at their
/// longest fit a line, so that a JSON object is never cut.
pub const NAMED: usize = 5;

impl Who {
    pub fn new(process: &Process) -> Who {
        let mut command = Line::new();
        command.foreign(process.command(&mut [0; 256]), COMMAND - 3);
        let age = sys::boot_ticks().saturating_sub(process.start) / sys::TICKS;
        Who { process: *process, command, age }
    }

    /// `pid 17 "sleep 100" (age 3s)`
    pub fn write(&self, line: &mut Line) {
        line.text("pid ").pid(self.process.pid).text(" \"");
        line.raw(self.command.as_bytes()).text("\" (age ").number(self.age).text("s)");
    }

    fn write_json(&self, line: &mut Line) {
        line.text("{\"pid\":").pid(self.process.pid).text(",\"command\":\"");
        line.json(self.command.as_bytes()).text("\",\"age_s\":").number(self.age).text("}");
    }
}

/// The final report.
pub struct Summary<'a> {
    pub main: Pid,
    pub main_status: Option<WaitStatus>,
    /// Whoever was seen during the drain and is gone, the main child aside. None
    /// if nobody looked when it began: that costs a walk over /proc.
    pub finished: Option<&'a [Who]>,
    /// More have finished than are in the list.
    pub more: bool,
    pub killed: &'a [Who],
    /// More than are in the list.
    pub kills: u64,
    /// Alive still: `--leftovers leave`, or neither asked nor killed for want of
    /// a right to.
    pub left: &'a [Who],
    pub took: Time,
    pub stopped: bool,
    pub history: Option<History>,
    pub exit_code: u8,
}

impl Reporter<'_> {
    pub fn new(config: &Config) -> Reporter<'_> {
        Reporter { config }
    }

    pub fn hears(&self, level: Level) -> bool {
        self.config.verbosity >= level as u64
    }

    /// `event` names the line for programs, `write` says it to people.
    pub fn say(&self, level: Level, event: &str, mut write: impl FnMut(&mut Line)) {
        if self.hears(level) {
            self.line(event, &mut write);
        }
    }

    /// Apart from `say`, whose callers would else each have two lines on their
    /// stack: four pages touched in a container that never says a word.
    #[cold]
    #[inline(never)]
    fn line(&self, event: &str, write: &mut dyn FnMut(&mut Line)) {
        let mut message = Line::new();
        write(&mut message);
        let mut line = Line::new();
        if self.config.json {
            line.text("{\"program\":\"drainit\",\"event\":\"")
                .text(event)
                .text("\",\"message\":\"");
            // Escaped it may grow, and the object must be whole.
            let most = message.as_bytes().get(..1900).unwrap_or(message.as_bytes());
            line.json(most).text("\"}\n");
        } else {
            line.text("drainit: ").raw(message.as_bytes()).text("\n");
        }
        stderr(&line);
    }

    /// The command that could not be started: the line, and the exit code for
    /// it, which are those of env(1).
    #[cold]
    pub fn not_started(&self, command: Words, failure: Failure) -> u8 {
        let (what, error, hint, code) = match failure {
            Failure::Fork(error) => ("start a process for", error, FORK_HINT, OWN_FAILURE),
            Failure::Exec(Errno::ENOENT) => ("find", Errno::ENOENT, EXEC_HINT, 127),
            Failure::Exec(error) => ("run", error, "", 126),
        };
        let name = command.iter().next().unwrap_or_default().to_bytes();
        self.say(Level::Warning, "not-started", |line| {
            line.text("cannot ").text(what).text(" '").foreign(name, 256).text("': ");
            line.text(error.desc()).text(hint);
        });
        code
    }

    /// To stderr if somebody is lost or -v was given. To the termination log if
    /// a stop or a loss is to be told: never beside the message of an
    /// application that ended by itself, or where Kubernetes would else show its
    /// last lines.
    pub fn summary(&self, summary: &Summary) {
        let leave = self.config.policy.leftovers == Leftovers::Leave;
        let lost = summary.kills > 0 || (!leave && !summary.left.is_empty());
        let aloud = lost || self.hears(Level::Doing);
        let file = self.config.termination_log.filter(|_| lost || summary.stopped);
        if aloud || file.is_some() {
            self.write_summary(summary, aloud, file);
        }
    }

    #[cold]
    #[inline(never)]
    fn write_summary(&self, summary: &Summary, aloud: bool, file: Option<&CStr>) {
        let mut line = Line::new();
        if self.config.json {
            self.as_json(summary, &mut line)
        } else {
            self.as_text(summary, &mut line)
        }
        if aloud {
            stderr(&line);
        }
        let Some(path) = file else { return };
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND;
        let written = sys::open(path, flags).and_then(|file| sys::write(&file, line.as_bytes()));
        if let Err(error) = written {
            self.say(Level::Warning, "termination-log", |line| {
                line.text("cannot write the termination log ").foreign(path.to_bytes(), 256);
                line.text(": ").text(error.desc());
            });
        }
    }

    fn as_text(&self, summary: &Summary, line: &mut Line) {
        line.text("drainit: ");
        if summary.kills > 0 {
            line.text("killed ").number(summary.kills).text(" at the end of the grace period of ");
            line.duration(self.config.policy.schedule.grace().unwrap_or_default());
            names(line, summary.killed, summary.kills);
            line.text("; ");
        }
        if !summary.left.is_empty() {
            let count = summary.left.len() as u64;
            names(line.text("left behind ").number(count), summary.left, count);
            line.text("; ");
        }
        if let Some(finished) = summary.finished {
            let count = finished.len() as u64;
            line.text("finished ").number(count).text(if summary.more { " or more" } else { "" });
            names(line, finished, count);
            line.text("; ");
        }
        line.text("drained in ").duration(summary.took).text("; main child ").pid(summary.main);
        ended(line.text(" "), summary.main_status);
        if let Some(history) = summary.history {
            line.text("; runs ").number(history.runs).text(", failures ").number(history.failures);
            line.text(", longest pause ").duration(history.longest_pause);
        }
        line.text("; exit code ").number(summary.exit_code.into()).text("\n");
    }

    fn as_json(&self, summary: &Summary, line: &mut Line) {
        line.text("{\"program\":\"drainit\",\"event\":\"report\",\"grace_ms\":");
        optional(line, self.config.policy.schedule.grace().map(Time::as_millis));
        line.text(",\"drain_ms\":").number(summary.took.as_millis());
        line.text(",\"killed_count\":").number(summary.kills);
        objects(line.text(",\"killed\":"), summary.killed);
        line.text(",\"left_count\":").number(summary.left.len() as u64);
        objects(line.text(",\"left\":"), summary.left);
        optional(line.text(",\"finished_count\":"), summary.finished.map(|all| all.len() as u64));
        objects(line.text(",\"finished\":"), summary.finished.unwrap_or_default());
        line.text(",\"main_pid\":").pid(summary.main);
        let code = summary.main_status.map(|status| status.exit_code().into());
        optional(line.text(",\"main_code\":"), code);
        let signal = summary.main_status.and_then(WaitStatus::signal);
        optional(line.text(",\"main_signal\":"), signal.map(|signal| signal as u64));
        if let Some(history) = summary.history {
            line.text(",\"runs\":").number(history.runs);
            line.text(",\"failures\":").number(history.failures);
            line.text(",\"longest_pause_ms\":").number(history.longest_pause.as_millis());
        }
        line.text(",\"exit_code\":").number(summary.exit_code.into()).text("}\n");
    }
}

fn names(line: &mut Line, all: &[Who], count: u64) {
    for (n, who) in all.iter().take(NAMED).enumerate() {
        who.write(line.text(if n == 0 { ": " } else { ", " }));
    }
    if count > NAMED as u64 {
        line.text(", and ").number(count - NAMED as u64).text(" more");
    }
}

fn objects(line: &mut Line, all: &[Who]) {
    line.text("[");
    for (n, who) in all.iter().take(NAMED).enumerate() {
        who.write_json(line.text(if n == 0 { "" } else { "," }));
    }
    line.text("]");
}

fn optional(line: &mut Line, number: Option<u64>) {
    match number {
        Some(number) => line.number(number),
        None => line.text("null"),
    };
}

/// `exited with 3`, `was ended by SIGTERM`
pub fn ended(line: &mut Line, status: Option<WaitStatus>) {
    match status.map(|status| (status.signal(), status)) {
        Some((Some(signal), _)) => Signal(signal as u8).write(line.text("was ended by ")),
        Some((None, status)) => _ = line.text("exited with ").number(status.exit_code().into()),
        None => _ = line.text("is not gone"),
    }
}

const FORK_HINT: &str = "; is there a limit on processes (pids.max, --pids-limit, ulimit -u)?";
const EXEC_HINT: &str = "; looked along PATH (of a script, the interpreter may be missing)";

/// `drainit: --grace '5parsecs': not a duration; valid: 25, 25s, ...`
#[cold]
#[inline(never)]
pub fn mistake(mistake: &Mistake) -> u8 {
    let mut line = Line::new();
    line.text("drainit: ").foreign(mistake.name, 256);
    if let Some(value) = mistake.value {
        line.text(" '").foreign(value, 256).text("'");
    }
    line.text(": ").text(mistake.why).text("; valid: ").text(mistake.valid).text("\n");
    if let (Some(value), Some(at)) = (mistake.value, mistake.at) {
        line.text("    ").foreign(value, 1024).text("\n    ");
        for _ in 0..at.min(1024) {
            line.text(" ");
        }
        line.text("^\n");
    }
    stderr(&line);
    OWN_FAILURE
}

/// What `--version` prints: `drainit 0.1.0`, and ` - git.abc1234` if the build
/// was told its commit in DRAINIT_COMMIT. dockerd asks the init that it is given
/// and shows what stands behind `git.` (moby, parseInitVersion: one dot).
pub fn version() -> u8 {
    let mut line = Line::<64>::new();
    line.text("drainit ").text(env!("CARGO_PKG_VERSION"));
    if let Some(commit) = option_env!("DRAINIT_COMMIT") {
        line.text(" - git.").text(commit);
    }
    stdout(line.text("\n").as_bytes())
}

/// For `--help` and its like, which somebody reads or pipes: this one waits.
pub fn stdout(text: &[u8]) -> u8 {
    let mut rest = text;
    while !rest.is_empty() {
        match nix::unistd::write(sys::standard(libc::STDOUT_FILENO), rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(error) => {
                let mut line = Line::new();
                line.text("drainit: cannot write to stdout: ").text(error.desc()).text("\n");
                stderr(&line);
                return OWN_FAILURE;
            }
        }
    }
    0
}

fn stderr(line: &Line) {
    let _ = sys::write_stderr(line.as_bytes());
}
