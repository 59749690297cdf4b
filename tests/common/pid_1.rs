//! A PID namespace in which a test's init is the real PID 1, and what is said in
//! there. Nothing in here knows drainit, nor what a test waits for.
//!
//! The kernel ends what a test leaves behind, and an init that signals the wrong
//! processes finds only the test's own.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Instant;
use std::{fs, ptr, thread};

pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// What is to be PID 1 is still to be added, after setsid's `options`.
pub fn unshare(options: &[&str]) -> Command {
    let mut unshare = Command::new("unshare");
    if !is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"]);
    // PID 1 leads a session and a group of its own, as with Docker; else both are
    // outside, and `kill(0)` would reach the tests themselves.
    unshare.arg("setsid").args(options);
    // SAFETY: system calls and nothing else.
    unsafe { unshare.pre_exec(begin_cleanly) };
    unshare
}

fn begin_cleanly() -> io::Result<()> {
    // SAFETY: four words of zero are the kernel's sigaction for SIG_DFL.
    unsafe {
        // The namespace must not outlive a test run that is killed.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // Not what the tests were started with: nohup ignores HUP, a script's
        // background INT and QUIT, and glibc's posix_spawn, by which cargo starts
        // us, 32; glibc's own sigaction refuses to mend that.
        let default = [0_u64; 4];
        for signal in 1..=64 {
            libc::syscall(libc::SYS_rt_sigaction, signal, &default, ptr::null_mut::<u64>(), 8);
        }
    }
    Ok(())
}

/// A running namespace. Dropped, it is killed.
pub struct Namespace(Child);

impl Namespace {
    /// The command is gone then, and with it our copies of its ends of pipes.
    pub fn start(mut unshare: Command) -> Namespace {
        Namespace(unshare.spawn().expect("unshare and setsid: install util-linux"))
    }

    /// As a pid of the tests' own namespace.
    pub fn pid_1(&self) -> Option<u32> {
        children(self.0.id()).first().copied()
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.0.wait().expect("unshare is our child")
    }

    /// `--kill-child` takes PID 1 along, and the kernel the namespace.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The children of a process, oldest first.
pub fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect()
}

/// A signal from outside, as an engine sends it.
pub fn kill(pid: u32, signal: i32) {
    // SAFETY: a system call without memory; a pid is neither 0 nor negative.
    let sent = unsafe { libc::kill(pid.cast_signed(), signal) };
    assert_eq!(sent, 0, "signal {signal} to {pid}: {}", io::Error::last_os_error());
}

/// What is written into a pipe, line by line.
pub struct Lines {
    lines: Receiver<String>,
    /// All that was waited for so far, in order.
    pub heard: Vec<String>,
    unread: Vec<String>,
}

impl Lines {
    pub fn of(source: impl Read + Send + 'static) -> Lines {
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                // Nobody listens any more when the test has what it wanted.
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Lines { lines, heard: Vec::new(), unread: Vec::new() }
    }

    /// The next line that is like this, whatever came in between: the order of
    /// lines from different processes is nobody's promise.
    pub fn take(&mut self, until: Instant, like: impl Fn(&str) -> bool) -> Option<String> {
        loop {
            if let Some(at) = self.unread.iter().position(|line| like(line)) {
                return Some(self.unread.remove(at));
            }
            let line = self.lines.recv_timeout(until - Instant::now()).ok()?;
            self.heard.push(line.clone());
            self.unread.push(line);
        }
    }

    /// All of it, up to its end.
    pub fn rest(&mut self, until: Instant) -> Option<&[String]> {
        loop {
            match self.lines.recv_timeout(until - Instant::now()) {
                Ok(line) => self.heard.push(line),
                Err(RecvTimeoutError::Disconnected) => return Some(&self.heard),
                Err(RecvTimeoutError::Timeout) => return None,
            }
        }
    }

    /// All that was said, waited for or not: for people, when it is over.
    pub fn transcript(&self) -> Vec<String> {
        self.heard.iter().cloned().chain(self.lines.try_iter()).collect()
    }
}
