//! Who descends from us, read from /proc. Nothing is cached: a list is true for
//! the moment of one decision and no longer.

use std::ffi::CStr;

use nix::errno::Errno;
use nix::unistd::{Pid, getpid};

use crate::line::Line;
use crate::sys;
use crate::words::number;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Process {
    pub pid: Pid,
    pub parent: Pid,
    pub group: Pid,
    /// In clock ticks since boot. With the pid it names one process for ever.
    pub start: u64,
    /// It ended and its parent has not reaped it. (A process whose main thread
    /// alone has ended is shown as Z too, and lives.)
    pub zombie: bool,
    /// It has no living child.
    pub leaf: bool,
    /// Cut by the kernel to 15 bytes.
    comm: [u8; 16],
}

/// What runs a command in the foreground and passes no signal on: the shells,
/// and setsid, which waits likewise. Not by SigCgt in /proc/PID/status: php,
/// node, java and ruby show TERM as caught and still die of it.
const SHELLS: [&[u8]; 8] = [b"sh", b"dash", b"bash", b"ash", b"busybox", b"ksh", b"zsh", b"setsid"];

/// Whether this path, or the argv[0] of a login shell, is a shell's.
pub fn names_a_shell(path: &[u8]) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    SHELLS.contains(&name.strip_prefix(b"-").unwrap_or(name))
}

impl Process {
    pub fn comm(&self) -> &[u8] {
        self.comm.split(|&byte| byte == 0).next().unwrap_or_default()
    }

    /// By its comm, or by argv[0]: the comm of a script is the script's own
    /// name, and the kernel puts the `#!` line's interpreter into argv[0].
    /// (/proc/PID/exe would need ptrace rights over another user.)
    pub fn is_shell(&self) -> bool {
        let mut buffer = [0; 256];
        let first = self.cmdline(&mut buffer).split(|&byte| byte == 0).next();
        names_a_shell(self.comm()) || names_a_shell(first.unwrap_or_default())
    }

    pub fn is(&self, other: &Process) -> bool {
        (self.pid, self.start) == (other.pid, other.start)
    }

    /// As it is now, if the number still means this process.
    pub fn again(&self) -> Option<Process> {
        read(self.pid).ok()?.filter(|now| now.is(self))
    }

    /// Its command line for people, or its comm where that is empty (a zombie).
    pub fn command<'a>(&'a self, buffer: &'a mut [u8; 256]) -> &'a [u8] {
        let length = self.cmdline(buffer).len();
        let line = buffer.get_mut(..length).unwrap_or_default();
        line.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
        let line = line.trim_ascii_end();
        if line.is_empty() { self.comm() } else { line }
    }

    /// Its argv, each word with a NUL behind it, as far as the buffer holds it.
    fn cmdline<'a>(&self, buffer: &'a mut [u8; 256]) -> &'a [u8] {
        let path = path(self.pid, "/cmdline");
        let file = sys::open(path.as_c_str(), libc::O_RDONLY);
        file.and_then(|file| sys::read(&file, buffer)).unwrap_or_default()
    }
}

/// Every living or unreaped process below us, in the order of pids. None where
/// /proc is missing or shows another PID namespace, whose numbers would mean
/// somebody else.
///
/// As PID 1 we are the ancestor of all but what an engine `exec`ed into the
/// container: that has parent 0, and is neither waited for nor signalled.
pub fn descendants() -> Option<Vec<Process>> {
    let us = getpid();
    if process_of(c"/proc/self/stat").ok()??.pid != us {
        return None;
    }
    let mut all = everybody()?;
    // A parent that dies while we read hands its children to us; read before, a
    // child names a parent that the list lacks, and would be lost with all
    // below it. Then read again; under a storm of exits the last list has to do.
    for _ in 0..8 {
        let lost = |p: &Process| p.parent.as_raw() != 0 && find(&all, p.parent).is_none();
        if !all.iter().any(lost) {
            break;
        }
        all = everybody()?;
    }
    // A child mostly has a higher number than its parent, so that one or two
    // rounds find all; the rounds do not rely on it.
    let mut ours = Vec::new();
    for _ in &all {
        sys::push(&mut ours, false)?;
    }
    let mut found = true;
    while found {
        found = false;
        for (n, process) in all.iter().enumerate() {
            let parent = process.parent;
            let below = |n: usize| ours.get(n) == Some(&true);
            if !below(n) && (parent == us || find(&all, parent).is_some_and(below)) {
                ours.get_mut(n).into_iter().for_each(|ours| *ours = true);
                found = true;
            }
        }
    }
    let mut ours = ours.into_iter();
    all.retain(|_| ours.next() == Some(true));
    for n in 0..all.len() {
        let alive = all.get(n).filter(|process| !process.zombie).map(|process| process.parent);
        if let Some(parent) =
            alive.and_then(|parent| find(&all, parent)).and_then(|n| all.get_mut(n))
        {
            parent.leaf = false;
        }
    }
    Some(all)
}

/// Its place in a list that is in the order of pids.
fn find(list: &[Process], pid: Pid) -> Option<usize> {
    list.binary_search_by_key(&pid, |process| process.pid).ok()
}

/// `--signal-to app`: the main child and, below each shell in it, what that is
/// running. By parents, not by groups: Laravel's background batches share the
/// main child's group, but they were orphaned, and so they are left alone.
pub fn app(
    descendants: &[Process],
    main: Pid,
    is_shell: impl Fn(&Process) -> bool,
) -> Option<Vec<Process>> {
    let mut app = Vec::new();
    sys::push(&mut app, *descendants.get(find(descendants, main)?)?)?;
    let mut next = 0;
    while let Some(member) = app.get(next).copied() {
        next += 1;
        if !is_shell(&member) {
            continue;
        }
        for child in descendants.iter().filter(|process| process.parent == member.pid) {
            // Never twice, should numbers form a ring.
            if !app.contains(child) {
                sys::push(&mut app, *child)?;
            }
        }
    }
    Some(app)
}

/// All of /proc, which the kernel lists in the order of pids.
fn everybody() -> Option<Vec<Process>> {
    let mut directory = sys::Directory::open(c"/proc")?;
    let mut all = Vec::new();
    while let Some(name) = directory.next() {
        let pid = number(name.to_bytes()).and_then(|pid| i32::try_from(pid).ok());
        let Some(pid) = pid else { continue };
        // None has gone since. Any other error (EMFILE) is not about it: then
        // nobody can be named, and that is not the same as that nobody is there.
        if let Some(process) = read(Pid::from_raw(pid)).ok()? {
            sys::push(&mut all, process)?;
        }
    }
    Some(all)
}

pub fn parent(pid: Pid) -> Option<Pid> {
    read(pid).ok()?.map(|process| process.parent)
}

/// None if there is no such process.
fn read(pid: Pid) -> Result<Option<Process>, Errno> {
    match process_of(path(pid, "/stat").as_c_str()) {
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        result => result,
    }
}

fn process_of(stat: &CStr) -> Result<Option<Process>, Errno> {
    let mut buffer = [0; 1024];
    let file = sys::open(stat, libc::O_RDONLY)?;
    sys::read(&file, &mut buffer).map(parse)
}

/// proc(5): pid (comm) state ppid pgrp ... num_threads as the 20th field and
/// starttime as the 22nd.
/// comm may hold spaces and parentheses; the last one ends it.
fn parse(stat: &[u8]) -> Option<Process> {
    let open = stat.iter().position(|&byte| byte == b'(')?;
    let close = stat.iter().rposition(|&byte| byte == b')')?;
    let pid = |text| Some(Pid::from_raw(number(text)?.try_into().ok()?));
    let mut comm = [0; 16];
    for (to, from) in comm.iter_mut().zip(stat.get(open + 1..close)?) {
        *to = *from;
    }
    let mut fields = stat.get(close + 2..)?.split(|&byte| byte == b' ');
    let ended = matches!(fields.next()?, b"Z" | b"X");
    let (parent, group) = (pid(fields.next()?)?, pid(fields.next()?)?);
    let (threads, start) = (number(fields.nth(14)?)?, number(fields.nth(1)?)?);
    Some(Process {
        pid: pid(stat.get(..open)?.trim_ascii_end())?,
        zombie: ended && threads < 2,
        parent,
        group,
        start,
        leaf: true,
        comm,
    })
}

fn path(pid: Pid, file: &str) -> Line<32> {
    let mut line = Line::new();
    line.text("/proc/").number(pid.as_raw() as u64).text(file);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, comm: &str) -> Process {
        parse(stat(pid, parent, comm, 'S', 1).as_bytes()).unwrap()
    }

    fn stat(pid: i32, parent: i32, comm: &str, state: char, threads: u32) -> String {
        let start = pid * 10;
        format!(
            "{pid} ({comm}) {state} {parent} {pid} 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 {start} 0"
        )
    }

    #[test]
    fn a_process_that_lost_its_main_thread_is_no_zombie() {
        for (state, threads, zombie) in
            [('Z', 1, true), ('X', 0, true), ('Z', 2, false), ('S', 1, false)]
        {
            let process = parse(stat(2, 1, "sh", state, threads).as_bytes()).unwrap();
            assert_eq!(process.zombie, zombie, "{state} {threads}");
        }
    }

    #[test]
    fn a_command_name_that_looks_like_fields() {
        let process = process(42, 7, "a) Z 1 (b");
        assert_eq!((process.pid.as_raw(), process.parent.as_raw(), process.start), (42, 7, 420));
        assert_eq!(process.comm(), b"a) Z 1 (b");
        assert!(!process.zombie);
    }

    #[test]
    fn what_is_no_stat() {
        for text in
            ["", "42", "42 (sh", "42 (sh)", "42 (sh) S", "x (sh) S 1 1", "42 (sh) S 1 1 1 0 -1"]
        {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn app_goes_down_through_shells_and_no_further() {
        let tree = [
            process(2, 1, "sh"),
            process(3, 2, "bash"),
            process(4, 3, "sidekiq"),
            process(5, 4, "job"),
            process(6, 1, "batch"),
            process(7, 2, "tee"),
        ];
        let app = |main| {
            let app = app(&tree, Pid::from_raw(main), |process| names_a_shell(process.comm()));
            app.unwrap().iter().map(|process| process.pid.as_raw()).collect::<Vec<_>>()
        };
        assert_eq!(app(2), [2, 3, 7, 4]);
        assert_eq!(app(4), [4]);
    }

    #[test]
    fn shells_by_name() {
        for name in ["sh", "/bin/sh", "-bash", "/usr/bin/setsid", "busybox"] {
            assert!(names_a_shell(name.as_bytes()), "{name}");
        }
        for name in ["", "-", "shell", "sh/", "php", "/bin/sh/php", "--sh"] {
            assert!(!names_a_shell(name.as_bytes()), "{name}");
        }
    }
}
