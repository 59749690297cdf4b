//! A container to be stopped: a PID namespace in which the init under test is the
//! real PID 1. The engine is played by the test: SIGTERM from outside, SIGKILL
//! after the stop time-out. What its jobs are is in the tests.

#[path = "../common/gate.rs"]
mod gate;
#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/pid_1.rs"]
mod pid_1;
#[path = "../common/redis.rs"]
mod redis;

pub use gate::*;
pub use machine::*;
pub use pid_1::*;
pub use redis::*;

use std::fmt;
use std::io::pipe;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

pub const TINI: &[&str] = &["tini", "--"];
pub const TINI_G: &[&str] = &["tini", "-g", "--"];

/// It outlasts every time-out.
pub const ENDLESS: Work = None;

/// What the engine grants. The order that must hold: the application's own
/// time-out (5 s, in sidekiq/work.rb) < drainit's grace (10 s) < this.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

pub struct Container {
    namespace: Namespace,
    lines: Lines,
    since: Instant,
}

/// How it ended: the exit status (137 by the engine's SIGKILL), how long after the
/// stop signal, and all that was said.
pub struct End {
    pub code: i32,
    pub seconds: f32,
    pub transcript: String,
}

impl Container {
    /// Runs `command` below `init` in `dir`; without an init it is PID 1 itself.
    pub fn run(dir: &Path, init: &[&str], command: &[&str]) -> Self {
        let argv = [init, command].concat();
        installed(argv[0], argv[0]);
        let (reader, writer) = pipe().unwrap();
        let mut unshare = unshare(&[]);
        unshare.args(argv).current_dir(dir);
        unshare.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
        Container {
            namespace: Namespace::start(unshare),
            lines: Lines::of(reader),
            since: Instant::now(),
        }
    }

    /// Waits for a line that contains `words`.
    pub fn says(&mut self, words: &str) {
        let line = self.lines.take(Instant::now() + GUARD, |line| line.contains(words));
        assert!(line.is_some(), "never said {words:?}");
    }

    /// The engine's SIGTERM, to PID 1 alone.
    pub fn terminate(&mut self) {
        self.since = Instant::now();
        self.signal(libc::SIGTERM);
    }

    /// Waits for the end; after the stop time-out there is the engine's SIGKILL.
    pub fn end(mut self) -> End {
        let in_time = self.is_gone_within(STOP_TIMEOUT);
        if !in_time {
            self.signal(libc::SIGKILL);
            assert!(self.is_gone_within(GUARD), "survives SIGKILL");
        }
        let seconds = self.since.elapsed().as_secs_f32();
        let status = self.namespace.wait();
        End {
            // unshare cannot pass SIGKILL on as its own status.
            code: if in_time { status.code().unwrap() } else { 137 },
            seconds,
            transcript: self.lines.transcript().join("\n"),
        }
    }

    /// Gone is EOF on the transcript. unshare holds it too and outlives PID 1, and
    /// PID 1 is not reaped before everything in its namespace is
    /// (zap_pid_ns_processes): what is counted after this does not change any more.
    fn is_gone_within(&mut self, limit: Duration) -> bool {
        self.lines.rest(Instant::now() + limit).is_some()
    }

    fn signal(&self, signal: i32) {
        kill(self.namespace.pid_1().expect("PID 1"), signal);
    }
}

impl End {
    pub fn said_by_drainit(&self) -> String {
        let ours = ["drainit: ", "{\"program\":\"drainit\""];
        let lines = self.transcript.lines();
        let said = lines.filter(|line| ours.iter().any(|begin| line.starts_with(begin)));
        said.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if thread::panicking() {
            self.namespace.kill();
            self.is_gone_within(GUARD);
            eprintln!("--- the container said\n{}\n---", self.lines.transcript().join("\n"));
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "exit {} after {:.1} s", self.code, self.seconds)?;
        write!(f, "--- the container said\n{}\n---", self.transcript)
    }
}
