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

/// A process by name, for the reports.
pub struct Who {
    pub process: Process,
    command: Line<COMMAND>,
}

/// How much of a command line is shown.
const COMMAND: usize = 72;
/// How many are named of each kind; the others are counted. Both kinds at their
/// longest fit a line, so that a JSON object is never cut.
pub const NAMED: usize = 8;

impl Who {
    pub fn new(process: &Process) -> Who {
        let mut command = Line::new();
        command.foreign(process.command(&mut [0; 256]), COMMAND - 3);
        Who { process: *process, command }
    }

    fn age(&self) -> u64 {
        sys::boot_ticks().saturating_sub(self.process.start) / sys::TICKS
    }

    /// `pid 17 "sleep 100" (age 3s)`
    pub fn write(&self, line: &mut Line) {
        line.text("pid ").pid(self.process.pid).text(" \"");
        line.raw(self.command.as_bytes()).text("\" (age ").number(self.age()).text("s)");
    }

    fn write_json(&self, line: &mut Line) {
        line.text("{\"pid\":").pid(self.process.pid).text(",\"command\":\"");
        line.json(self.command.as_bytes()).text("\",\"age_s\":").number(self.age()).text("}");
    }
}

/// The final report.
pub struct Summary<'a> {
    pub main: Pid,
    pub main_status: Option<WaitStatus>,
    /// Whoever was seen during the drain, the main child too.
    pub seen: &'a [Who],
    /// There may have been more than that.
    pub more: bool,
    pub killed: &'a [Process],
    pub killed_by_name: &'a [Who],
    pub kills: u64,
    /// Not everybody has ended: `--leftovers leave`.
    pub left: bool,
    pub took: Time,
    pub stopped: bool,
    pub history: Option<History>,
    pub exit_code: u8,
}

impl Summary<'_> {
    fn others(&self) -> impl Iterator<Item = &Who> {
        let killed = |who: &Who| self.killed.iter().any(|other| other.is(&who.process));
        self.seen.iter().filter(move |who| who.process.pid != self.main && !killed(who))
    }
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

    /// To stderr if somebody was killed or -v was given. To the termination log
    /// if a stop or a kill is to be told: never beside the message of an
    /// application that ended by itself, or where Kubernetes would else show
    /// its last lines.
    pub fn summary(&self, summary: &Summary) {
        let aloud = summary.kills > 0 || self.hears(Level::Doing);
        let wanted = summary.kills > 0 || summary.stopped;
        let file = self.config.termination_log.filter(|_| wanted);
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
        let written =
            sys::open(path, flags).and_then(|file| sys::write_now(&file, line.as_bytes()));
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
            names(line, summary.killed_by_name.iter(), summary.kills);
            line.text("; ");
        }
        let count = summary.others().count() as u64;
        line.text(if summary.left { "left behind " } else { "finished " }).number(count);
        line.text(if summary.more { " or more" } else { "" });
        names(line, summary.others(), count);
        line.text("; drained in ").duration(summary.took).text("; main child ");
        line.pid(summary.main);
        ended(line.text(" "), summary.main_status);
        if let Some(history) = summary.history {
            line.text("; ").number(history.runs).text(" runs, ").number(history.failures);
            line.text(" failed, longest pause ").duration(history.longest_pause);
        }
        line.text("; exit code ").number(summary.exit_code.into()).text("\n");
    }

    fn as_json(&self, summary: &Summary, line: &mut Line) {
        line.text("{\"program\":\"drainit\",\"event\":\"report\",\"grace_ms\":");
        match self.config.policy.schedule.grace() {
            Some(grace) => line.number(grace.as_millis()),
            None => line.text("null"),
        };
        line.text(",\"drain_ms\":").number(summary.took.as_millis());
        line.text(",\"killed_count\":").number(summary.kills).text(",\"killed\":[");
        objects(line, summary.killed_by_name.iter());
        let others = if summary.left { "left" } else { "finished" };
        line.text("],\"").text(others).text("_count\":").number(summary.others().count() as u64);
        line.text(",\"").text(others).text("\":[");
        objects(line, summary.others());
        line.text("],\"main_pid\":").pid(summary.main);
        line.text(",\"main_signal\":");
        match summary.main_status.and_then(WaitStatus::signal) {
            Some(signal) => line.number(signal as u64),
            None => line.text("null"),
        };
        if let Some(history) = summary.history {
            line.text(",\"runs\":")
                .number(history.runs)
                .text(",\"failures\":")
                .number(history.failures);
            line.text(",\"longest_pause_ms\":").number(history.longest_pause.as_millis());
        }
        line.text(",\"exit_code\":").number(summary.exit_code.into()).text("}\n");
    }
}

fn names<'a>(line: &mut Line, all: impl Iterator<Item = &'a Who>, count: u64) {
    for (n, who) in all.take(NAMED).enumerate() {
        who.write(line.text(if n == 0 { ": " } else { ", " }));
    }
    if count > NAMED as u64 {
        line.text(", and ").number(count - NAMED as u64).text(" more");
    }
}

fn objects<'a>(line: &mut Line, all: impl Iterator<Item = &'a Who>) {
    for (n, who) in all.take(NAMED).enumerate() {
        who.write_json(line.text(if n == 0 { "" } else { "," }));
    }
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
    let _ = sys::write_now(sys::standard(libc::STDERR_FILENO), line.as_bytes());
}
