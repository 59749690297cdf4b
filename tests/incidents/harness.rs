//! A container to be stopped, and jobs that say when they are in flight.
//!
//! The container is a PID namespace in which the init under test is the real
//! PID 1; the engine is played by the test: SIGTERM from outside, SIGKILL after
//! the stop time-out.

use std::env;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Write, pipe};
use std::mem;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub const DRAINIT: &str = env!("CARGO_BIN_EXE_drainit");
pub const TINI: &[&str] = &["tini", "--"];
pub const TINI_G: &[&str] = &["tini", "-g", "--"];

/// What the engine grants. The order that must hold: the application's own
/// time-out (5 s, in sidekiq/work.rb) < drainit's grace (10 s) < this.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// Until then whatever a test waits for has come: nothing here is bounded more
/// tightly, because the software is slow to start and the machine may be busy.
const GUARD: Duration = Duration::from_secs(90);

/// No test is skipped in silence: what is missing has a name and a package.
pub fn installed(program: &str, package: &str) {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).any(|dir| dir.join(program).is_file());
    assert!(found, "{program} is missing here: apt-get install {package}");
}

/// A directory of the test's own: the container's working directory.
pub struct Scratch(PathBuf);

impl Scratch {
    /// With `files`, each a path below the directory and its contents; a script with
    /// an interpreter in its first line can be executed.
    pub fn with(files: &[(&str, &str)]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        // Short: a socket's path has 107 bytes.
        let dir = env::temp_dir().join(format!("drainit-{}-{nth}", std::process::id()));
        for (name, contents) in files {
            let file = dir.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, contents).unwrap();
            if contents.starts_with("#!") {
                fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        Scratch(dir)
    }
}

impl std::ops::Deref for Scratch {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where jobs report: each connects to the socket `gate` as it begins, and
/// works on only when the test has said for how many seconds. So 'in flight when
/// the signal came' is a fact and not a matter of timing.
pub struct Gate(UnixListener);

impl Gate {
    pub fn at(dir: &Path) -> Self {
        // A listening socket takes a time-out for accept(2) from SO_RCVTIMEO;
        // std offers it for streams only.
        let listener = UnixListener::bind(dir.join("gate")).unwrap();
        let socket = UnixStream::from(OwnedFd::from(listener));
        socket.set_read_timeout(Some(GUARD)).unwrap();
        Gate(UnixListener::from(OwnedFd::from(socket)))
    }

    /// The next `count` jobs; returns when all of them are in flight.
    pub fn admit(&self, count: usize) -> Jobs {
        let next = |_| self.0.accept().expect("a job comes to the gate").0;
        Jobs((0..count).map(next).collect())
    }
}

/// Jobs in flight. They stay so for as long as the test keeps this and says nothing.
pub struct Jobs(Vec<UnixStream>);

/// What a job has left to do when the signal comes.
#[derive(Clone, Copy)]
pub enum Work {
    Seconds(f32),
    Endless,
}

/// Long after an init that does not wait is gone, and its namespace with it; well
/// within every time-out.
pub const A_WHILE: Work = Work::Seconds(2.0);

impl Jobs {
    pub fn have_left(&self, work: Work) {
        let Work::Seconds(seconds) = work else { return };
        for mut job in &self.0 {
            // A job that is dead already does not hear it, and the account shows it.
            let _ = writeln!(job, "{seconds}");
        }
    }
}

pub struct Container {
    unshare: Child,
    lines: Receiver<String>,
    transcript: String,
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
        // setsid: PID 1 has session and group 0 otherwise, which no engine does.
        let mut unshare = Command::new("setsid");
        unshare.args(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]);
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare
            .arg("--")
            .args(argv)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer);
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        let container = Container {
            unshare: unshare.spawn().unwrap(),
            lines,
            transcript: String::new(),
            since: Instant::now(),
        };
        drop(unshare); // and with it our copies of the pipe's other end
        container
    }

    /// Waits for a line that contains `words`.
    pub fn says(&mut self, words: &str) {
        let deadline = Instant::now() + GUARD;
        loop {
            match self.next_line(deadline) {
                Ok(line) if line.contains(words) => return,
                Ok(_) => (),
                Err(why) => panic!("never said {words:?}: {why}"),
            }
        }
    }

    /// The engine's SIGTERM, to PID 1 alone.
    pub fn terminate(&mut self) {
        self.since = Instant::now();
        self.signal(Signal::SIGTERM);
    }

    /// Waits for the end; after the stop time-out there is the engine's SIGKILL.
    pub fn end(mut self) -> End {
        let in_time = self.is_gone_within(STOP_TIMEOUT);
        if !in_time {
            self.signal(Signal::SIGKILL);
            assert!(self.is_gone_within(GUARD), "survives SIGKILL");
        }
        let seconds = self.since.elapsed().as_secs_f32();
        let status = self.unshare.wait().unwrap();
        End {
            // unshare cannot pass SIGKILL on as its own status.
            code: if in_time { status.code().unwrap() } else { 137 },
            seconds,
            transcript: mem::take(&mut self.transcript),
        }
    }

    /// Gone is EOF on the transcript. unshare holds it too and outlives PID 1, and
    /// PID 1 is not reaped before everything in its namespace is
    /// (zap_pid_ns_processes): what is counted after this does not change any more.
    fn is_gone_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            match self.next_line(deadline) {
                Ok(_) => (),
                Err(why) => return why == RecvTimeoutError::Disconnected,
            }
        }
    }

    fn next_line(&mut self, deadline: Instant) -> Result<String, RecvTimeoutError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = self.lines.recv_timeout(left)?;
        self.transcript += &line;
        self.transcript += "\n";
        Ok(line)
    }

    fn signal(&self, signal: Signal) {
        let unshare = self.unshare.id();
        let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children"));
        let init = children.unwrap().trim().parse().unwrap();
        kill(Pid::from_raw(init), signal).unwrap();
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
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        if thread::panicking() {
            self.is_gone_within(GUARD);
            eprintln!("--- the container said\n{}---", self.transcript);
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "exit {} after {:.1} s", self.code, self.seconds)?;
        write!(f, "--- the container said\n{}---", self.transcript)
    }
}
