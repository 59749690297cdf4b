//! A process, as /proc/PID/stat and /proc/PID/status tell it and as people are
//! told of it. Pure.

use nix::unistd::Pid;

use super::line::{Line, Put, Writer};
use super::number::number;
use super::signal::Signals;

/// One moment's truth about a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Process {
    pub pid: Pid,
    pub parent: Pid,
    pub group: Pid,
    pub session: Pid,
    /// In clock ticks since boot. With the pid it names one process for ever.
    pub start: u64,
    /// It ended and its parent has not reaped it. (A process whose main thread
    /// alone has ended is shown as Z too, and lives.)
    pub zombie: bool,
    pub stopped: bool,
    /// Cut by the kernel to 15 bytes.
    pub comm: [u8; 16],
}

impl Process {
    /// proc(5): pid (comm) state ppid pgrp session ... num_threads as the 20th
    /// field and starttime as the 22nd. comm may hold spaces and parentheses; the
    /// last one ends it.
    pub fn parse(stat: &[u8]) -> Option<Process> {
        let open = stat.iter().position(|&byte| byte == b'(')?;
        let close = stat.iter().rposition(|&byte| byte == b')')?;
        let mut comm = [0; 16];
        for (to, from) in comm.iter_mut().zip(stat.get(open + 1..close)?) {
            *to = *from;
        }
        let mut fields = stat.get(close + 2..)?.split(|&byte| byte == b' ');
        let state = fields.next()?;
        let (parent, group) = (pid(fields.next()?)?, pid(fields.next()?)?);
        let session = pid(fields.next()?)?;
        let (threads, start) = (number(fields.nth(13)?)?, number(fields.nth(1)?)?);
        Some(Process {
            pid: pid(stat.get(..open)?.trim_ascii_end())?,
            parent,
            group,
            session,
            start,
            zombie: matches!(state, b"Z" | b"X") && threads < 2,
            stopped: matches!(state, b"T"),
            comm,
        })
    }

    pub fn name(&self) -> &[u8] {
        self.comm.split(|&byte| byte == 0).next().unwrap_or_default()
    }

    pub fn is(&self, other: &Process) -> bool {
        self.identity() == other.identity()
    }

    pub fn identity(&self) -> (Pid, u64) {
        (self.pid, self.start)
    }
}

fn pid(text: &[u8]) -> Option<Pid> {
    Some(Pid::from_raw(number(text)?.try_into().ok()?))
}

/// What /proc/PID/status says and stat does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// The effective user.
    pub user: u64,
    pub ignored: Signals,
    pub caught: Signals,
    /// CAP_KILL: it may signal other users' processes.
    pub may_kill: bool,
    /// Its pid in the namespace of this /proc, and whether that is its own. None
    /// before Linux 4.1, which does not say.
    pub own_namespace: Option<bool>,
}

impl Status {
    pub fn parse(status: &[u8]) -> Option<Status> {
        let mut found = Status::default();
        for line in status.split(|&byte| byte == b'\n') {
            let mut words = line.split(|byte| byte.is_ascii_whitespace());
            match words.next() {
                Some(b"Uid:") => found.user = number(words.nth(1)?)?,
                Some(b"NSpid:") => found.own_namespace = Some(words.count() == 1),
                Some(b"SigIgn:") => found.ignored = set(words.next()?)?,
                Some(b"SigCgt:") => found.caught = set(words.next()?)?,
                // The last that is wanted.
                Some(b"CapEff:") => {
                    found.may_kill = set(words.next()?)?.0 & CAP_KILL != 0;
                    return Some(found);
                }
                Some(_) | None => {}
            }
        }
        None
    }
}

/// linux/capability.h
const CAP_KILL: u64 = 1 << 5;

fn set(digits: &[u8]) -> Option<Signals> {
    let digit = |&byte: &u8| char::from(byte).to_digit(16).map(u64::from);
    (digits.len() == 16)
        .then(|| digits.iter().try_fold(0, |sum, byte| Some(sum << 4 | digit(byte)?)))?
        .map(Signals)
}

/// How much of a command line is shown.
const COMMAND: usize = 72;

/// A process by name, as it was when it was seen: `pid 17 "sleep 100" (age 3s)`
pub struct Who {
    pub pid: Pid,
    command: Line<COMMAND>,
    age_s: u64,
}

impl Who {
    /// `command` is its argv, each word with a NUL behind it, or its comm.
    pub fn new(pid: Pid, command: &[u8], age_s: u64) -> Who {
        let mut line = Line::<COMMAND>::new();
        let end = command.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let shown = command.get(..end).unwrap_or_default();
        let most = COMMAND - "...".len();
        for &byte in shown.iter().take(most) {
            line.foreign(&[if byte == 0 { b' ' } else { byte }], 1);
        }
        line.put(if shown.len() > most { "..." } else { "" });
        Who { pid, command: line, age_s }
    }

    pub fn command(&self) -> &[u8] {
        self.command.as_bytes()
    }

    pub fn age_s(&self) -> u64 {
        self.age_s
    }
}

impl Put for &Who {
    fn put_on(self, line: &mut Writer) {
        line.put("pid ").put(self.pid).put(" \"").raw(self.command()).put("\" (age ");
        line.put(self.age_s).put("s)");
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A line of /proc/PID/stat.
    pub fn stat(pid: i32, parent: i32, session: i32, comm: &str, state: char) -> String {
        let start = pid * 10;
        format!(
            "{pid} ({comm}) {state} {parent} {pid} {session} 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {start} 0"
        )
    }

    pub fn process(pid: i32, parent: i32, comm: &str) -> Process {
        Process::parse(stat(pid, parent, 1, comm, 'S').as_bytes()).unwrap()
    }

    #[test]
    fn a_process_that_lost_its_main_thread_is_no_zombie() {
        for (state, threads, zombie) in
            [('Z', 1, true), ('X', 0, true), ('Z', 2, false), ('S', 1, false)]
        {
            let text = stat(2, 1, 1, "sh", state).replace(" 20 0 1 ", &format!(" 20 0 {threads} "));
            let process = Process::parse(text.as_bytes()).unwrap();
            assert_eq!(process.zombie, zombie, "{state} {threads}");
        }
    }

    #[test]
    fn a_command_name_that_looks_like_fields() {
        let process = process(42, 7, "a) Z 1 (b");
        assert_eq!((process.pid.as_raw(), process.parent.as_raw(), process.start), (42, 7, 420));
        assert_eq!(process.name(), b"a) Z 1 (b");
        assert!(!process.zombie);
    }

    #[test]
    fn what_is_no_stat() {
        for text in
            ["", "42", "42 (sh", "42 (sh)", "42 (sh) S", "x (sh) S 1 1", "42 (sh) S 1 1 1 0 -1"]
        {
            assert_eq!(Process::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn signals_and_namespaces_of_a_status() {
        let text = "Name:\tSigCgt:\nUid:\t0\t33\t33\t33\nNSpid:\t300\t300\nSigQ:\t0/1\n\
                    SigIgn:\t0000000000000006\nSigCgt:\t0000000000004000\n\
                    CapEff:\t0000000000000020\n";
        let status = Status::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (status.user, status.ignored, status.caught),
            (33, Signals(6), Signals(1 << 14))
        );
        assert_eq!((status.own_namespace, status.may_kill), (Some(false), true));
        let own = text.replace("NSpid:\t300\t300", "NSpid:\t300");
        assert_eq!(Status::parse(own.as_bytes()).unwrap().own_namespace, Some(true));
        let old = text.replace("NSpid:\t300\t300\n", "");
        assert_eq!(Status::parse(old.as_bytes()).unwrap().own_namespace, None);
        for text in ["", "SigIgn:\t1\nSigCgt:\t0\n", "SigIgn:\nSigCgt:\n", "Uid:\n"] {
            assert_eq!(Status::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_command_line_for_people() {
        let shown = |command: &[u8]| {
            let mut line = Line::<200>::new();
            line.put(&Who::new(Pid::from_raw(7), command, 3));
            String::from_utf8(line.as_bytes().to_vec()).unwrap()
        };
        assert_eq!(shown(b"sleep\x00100\x00"), "pid 7 \"sleep 100\" (age 3s)");
        assert_eq!(shown(b"a\x1b\xff"), "pid 7 \"a??\" (age 3s)");
        assert_eq!(shown(&[b'x'; 100]), format!("pid 7 \"{}...\" (age 3s)", "x".repeat(69)));
        assert_eq!(shown(&[b'x'; 69]), format!("pid 7 \"{}\" (age 3s)", "x".repeat(69)));
    }
}
