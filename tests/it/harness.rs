//! How a test starts an init, hears the processes below it, and ends them all.
//! Nothing in here knows what drainit should do: that is in the tests; nor how a
//! PID namespace is made, which other suites want, too: that is in `pid_1`.
//!
//! No test sleeps to wait. That a worker has started, or that a signal has
//! arrived, is a line it writes. That a signal has *not* arrived is a fence: a
//! later signal that has. That everything is dead is the end of a pipe that
//! everything has inherited. `GUARD` is for what would hang.

#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/pid_1.rs"]
mod pid_1;

pub use machine::*;
pub use pid_1::*;

use nix::fcntl::OFlag;
use nix::pty;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any test needs; then the namespace is killed, and the test fails
/// with its transcript.
const GUARD: Duration = Duration::from_secs(10);

/// The last of the standard signals: whoever takes this one has taken, of all
/// that were sent before it, every other one first.
pub const FENCE: i32 = libc::SIGSYS;

/// How often a race is run.
pub fn rounds() -> usize {
    match std::env::var("DRAINIT_TEST_ROUNDS") {
        Ok(rounds) => rounds.parse().expect("DRAINIT_TEST_ROUNDS is a number"),
        Err(_) => 200,
    }
}

/// How much more time everything has: on an emulated machine, say.
fn patience() -> u32 {
    match std::env::var("DRAINIT_TEST_PATIENCE") {
        Ok(factor) => factor.parse().expect("DRAINIT_TEST_PATIENCE is a number"),
        Err(_) => 1,
    }
}

/// The init under test, with its options.
pub fn drainit(options: &[&str]) -> Scene {
    Scene::of(&[&[DRAINIT], options].concat())
}

/// Another init, for a control that has to fail.
pub fn peer(init: &[&str]) -> Scene {
    installed(init[0], init[0]);
    Scene::of(init)
}

/// No init at all: the command is PID 1 itself.
pub fn bare() -> Scene {
    Scene::of(&[])
}

/// What is going to be started, and in which state.
#[derive(Clone)]
pub struct Scene {
    init: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    prepared: String,
    below_pause: bool,
    bystander: Option<&'static str>,
    tty: bool,
    guard: Duration,
}

impl Scene {
    /// Any init, by its path.
    pub fn of(init: &[&str]) -> Scene {
        Scene {
            init: init.iter().map(OsString::from).collect(),
            env: vec![("PATH".into(), std::env::var_os("PATH").unwrap_or_default())],
            prepared: String::new(),
            below_pause: false,
            bystander: None,
            tty: false,
            guard: GUARD,
        }
    }

    pub fn options(mut self, options: &[&str]) -> Scene {
        self.init.extend(options.iter().map(OsString::from));
        self
    }

    /// The whole environment is PATH and what is given here.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Scene {
        self.env.push((name.as_ref().into(), value.as_ref().into()));
        self
    }

    /// Perl that runs, with POSIX at hand, in the process that then becomes the
    /// init: the state that the init is given.
    pub fn prepared(mut self, perl: &str) -> Scene {
        self.prepared.push_str(perl);
        self
    }

    /// The init is not PID 1: as in a pod with `shareProcessNamespace: true`,
    /// PID 1 only waits.
    pub fn below_pause(mut self) -> Scene {
        self.below_pause = true;
        self
    }

    /// As `below_pause`, with a perl worker that is none of the init's own. It
    /// gets SYS when the init has ended, and is waited for.
    pub fn beside(mut self, bystander: &'static str) -> Scene {
        self.bystander = Some(bystander);
        self.below_pause()
    }

    /// Stdin is a terminal, the session's own. Stdout and stderr stay pipes: what
    /// the terminal echoes does not get in between.
    pub fn on_tty(mut self) -> Scene {
        self.tty = true;
        self
    }

    pub fn guard(mut self, guard: Duration) -> Scene {
        self.guard = guard;
        self
    }

    pub fn perl(self, script: &str) -> Run {
        self.command(perl(script))
    }

    pub fn sh(self, script: &str) -> Run {
        self.command(["sh", "-c", script])
    }

    pub fn command<I>(self, command: I) -> Run
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let mut unshare = unshare(if self.tty { &["--ctty"] } else { &[] });
        match (self.below_pause, self.bystander) {
            (false, _) => &mut unshare,
            (true, None) => unshare.args(["sh", "-c", PAUSE, "pause"]),
            (true, Some(it)) => unshare.args(["sh", "-c", PAUSE_BESIDE, "pause", PRELUDE, it]),
        };
        if !self.prepared.is_empty() {
            let exec = "exec { $ARGV[0] } @ARGV or die \"exec: $!\"";
            unshare.args(["perl", "-MPOSIX", "-e", &self.prepared, "-e", exec, "--"]);
        }
        unshare.args(&self.init).args(command);
        unshare.env_clear().envs(self.env);
        Run::start(unshare, self.tty, self.below_pause, Instant::now() + self.guard * patience())
    }
}

/// What every worker begins with, in front of its own script.
pub const PRELUDE: &str = include_str!("worker.pl");

fn perl(script: &str) -> [&str; 5] {
    ["perl", "-e", PRELUDE, "-e", script]
}

/// PID 1 that stands for the pause container. The init is its youngest child.
const PAUSE: &str = r#""$@"; exit $?"#;
const PAUSE_BESIDE: &str = r#"
    perl -e "$1" -e "$2" & shift 2
    "$@"
    status=$?
    kill -SYS $!; wait $!
    exit $status
"#;

/// An init that is running, and all below it. Dropped, it is killed.
pub struct Run {
    namespace: Namespace,
    keys: Option<File>,
    out: Lines,
    err: Lines,
    below_pause: bool,
    guard: Instant,
}

/// How it ended.
#[derive(Debug)]
pub struct End {
    pub code: i32,
    /// What the workers said: stdout.
    pub out: Vec<String>,
    /// What drainit said: stderr, which is where a worker's own errors land, too.
    pub said: Vec<String>,
}

impl End {
    pub fn has(&self, line: &str) -> bool {
        self.out.iter().any(|said| said == line)
    }
}

impl Run {
    fn start(mut unshare: Command, tty: bool, below_pause: bool, guard: Instant) -> Run {
        let keys = if tty {
            let (keys, terminal) = terminal();
            unshare.stdin(terminal);
            keys
        } else {
            let (stdin, keys) = io::pipe().expect("a pipe");
            unshare.stdin(stdin);
            OwnedFd::from(keys)
        };
        let (out, stdout) = io::pipe().expect("a pipe");
        let (err, stderr) = io::pipe().expect("a pipe");
        unshare.stdout(stdout).stderr(stderr);
        Run {
            namespace: Namespace::start(unshare),
            keys: Some(keys.into()),
            out: Lines::of(out),
            err: Lines::of(err),
            below_pause,
            guard,
        }
    }

    /// Wait for this line from a worker.
    pub fn hears(&mut self, line: &str) {
        self.hears_like(line, |heard| heard == line);
    }

    /// Wait for a line that begins like this; what follows is returned.
    pub fn hears_after(&mut self, prefix: &str) -> String {
        let line = self.hears_like(prefix, |heard| heard.starts_with(prefix));
        line[prefix.len()..].to_owned()
    }

    /// The next line that begins like this; None where it all ends before.
    pub fn may_hear(&mut self, prefix: &str) -> Option<String> {
        self.out.take(self.guard, |heard| heard.starts_with(prefix))
    }

    fn hears_like(&mut self, what: &str, like: impl Fn(&str) -> bool) -> String {
        match self.out.take(self.guard, like) {
            Some(line) => line,
            None => self.fail(&format!("nobody said '{what}'")),
        }
    }

    /// Wait for a line on stderr that mentions this.
    pub fn says(&mut self, mention: &str) {
        if self.err.take(self.guard, |line| line.contains(mention)).is_none() {
            self.fail(&format!("stderr never mentioned '{mention}'"));
        }
    }

    /// All that the workers have said so far, in order.
    pub fn heard(&self) -> &[String] {
        &self.out.heard
    }

    /// Wait for a fact that nobody announces.
    pub fn until(&mut self, what: &str, fact: impl Fn(&Run) -> bool) {
        while !fact(self) {
            if Instant::now() > self.guard {
                self.fail(&format!("it never came that {what}"));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Write to the workers' stdin, or type on the terminal.
    pub fn types(&mut self, keys: &str) {
        let stdin = self.keys.as_mut().expect("stdin is open");
        // Where nobody reads any more, the next wait shows it.
        let _ = stdin.write_all(keys.as_bytes());
    }

    /// Give the terminal another size.
    pub fn resizes(&mut self) {
        let terminal = self.keys.as_ref().expect("a terminal").try_clone().expect("a copy");
        let stty = Command::new("stty").args(["rows", "50"]).stdin(terminal).status();
        assert!(stty.is_ok_and(|status| status.success()), "stty sets the size");
    }

    /// Whether the terminal belongs to somebody else than the shell that is PID 1.
    pub fn shell_waits(&self) -> bool {
        let terminal = self.keys.as_ref().expect("a terminal");
        nix::unistd::tcgetpgrp(terminal)
            .is_ok_and(|group| group.as_raw().cast_unsigned() != self.init())
    }

    /// The other end of stdin is closed; that of a terminal hangs up.
    pub fn hangs_up(&mut self) {
        self.keys = None;
    }

    /// Start a worker as `docker exec` does: in the namespace, on the same
    /// stdout, and with a parent outside, so that it is not below the init.
    pub fn enters(&self, script: &str) -> Child {
        let init = self.init();
        let mut nsenter = Command::new("nsenter");
        if !is_root() {
            nsenter.args(["--user", "--preserve-credentials"]);
        }
        nsenter.args(["--pid", "--target", &init.to_string(), "--"]).args(perl(script));
        let stdout = File::options().write(true).open(format!("/proc/{init}/fd/1"));
        nsenter.stdout(stdout.expect("the init's stdout")).spawn().expect("install util-linux")
    }

    /// A signal to the init.
    pub fn signal(&self, signal: i32) {
        kill(self.init(), signal);
    }

    /// The init, as a pid of the tests' own namespace.
    pub fn init(&self) -> u32 {
        let pid_1 = self.namespace.pid_1();
        let youngest = |pause| children(pause).last().copied();
        let init = if self.below_pause { pid_1.and_then(youngest) } else { pid_1 };
        init.unwrap_or_else(|| self.fail("the init is gone"))
    }

    /// The main child, likewise.
    pub fn main_child(&self) -> u32 {
        children(self.init()).first().copied().unwrap_or_else(|| self.fail("no main child"))
    }

    /// The init's status, once everything below it is dead.
    pub fn ends(mut self) -> End {
        self.end().unwrap_or_else(|| self.fail("it did not end"))
    }

    /// As `ends`; None when it did not end in time.
    pub fn ended(mut self) -> Option<End> {
        let end = self.end();
        if end.is_none() {
            eprintln!("it did not end\n{}", self.transcript());
        }
        end
    }

    fn end(&mut self) -> Option<End> {
        let out = self.out.rest(self.guard)?.to_vec();
        let said = self.err.rest(self.guard)?.to_vec();
        let status = self.namespace.wait();
        let code = status.code().or(status.signal().map(|signal| -signal));
        Some(End { code: code.expect("an exit or a signal"), out, said })
    }

    fn fail(&self, why: &str) -> ! {
        panic!("{why}\n{}", self.transcript())
    }

    fn transcript(&self) -> String {
        format!("stdout: {:#?}\nstderr: {:#?}", self.out.transcript(), self.err.transcript())
    }
}

/// A new terminal: the end where one types, and the end where programs sit.
fn terminal() -> (OwnedFd, File) {
    // Not openpty: other tests start processes meanwhile, which would inherit
    // its descriptors and keep the terminal from ever hanging up.
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let keys = pty::posix_openpt(flags).expect("a terminal");
    pty::grantpt(&keys).expect("ours");
    pty::unlockpt(&keys).expect("unlocked");
    let path = pty::ptsname_r(&keys).expect("a name");
    let terminal = File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path);
    (keys.into(), terminal.expect("the terminal opens"))
}

/// Everything below a process.
pub fn descendants(pid: u32) -> Vec<u32> {
    let below = children(pid);
    below.iter().copied().chain(below.iter().copied().flat_map(descendants)).collect()
}

/// A field of `/proc/PID/status`.
pub fn status_field(pid: u32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

pub fn is_stopped(pid: u32) -> bool {
    status_field(pid, "State").starts_with('T')
}
