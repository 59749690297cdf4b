//! What /proc says of processes. Nothing is cached: an answer is true for the
//! moment of one decision and no longer.

use std::ffi::CStr;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::unistd::{Pid, getpid};

use super::file::{self, Directory};
use super::words::{Words, leaked};
use super::{clock, memory};
use crate::text::bytes::c_string;
use crate::text::line::Line;
use crate::text::number::number;
use crate::text::process::{Process, Status, Who};
use crate::text::time::Time;

/// Enough for every field that is wanted of stat.
const FILE: usize = 4096;
/// So long a process may take to be looked at: ten times what it takes.
const EACH: Time = Time::nanos(100_000);
/// So much of a command line is read.
pub const COMMAND_LINE: usize = 256;

/// All of /proc.
pub struct Everybody {
    /// In the order of pids, in which the kernel lists them; we are among them.
    pub list: Vec<Process>,
    /// Those that are there and may not be looked at (hidepid=1).
    pub unseen: u64,
}

/// None where /proc is missing, cannot be listed, or shows another PID namespace,
/// whose numbers would mean somebody else; and if it takes longer than `until` and
/// [`EACH`]: where hundreds want the CPU, a look can take many seconds.
pub fn everybody(until: Time) -> Option<Everybody> {
    let late = |seen: usize| clock::is_past(until + EACH.times(seen as u64));
    if late(0) || !is_our_namespace() {
        return None;
    }
    let mut directory = Directory::open(c_string!("/proc")).ok()?;
    let mut all = Everybody { list: Vec::new(), unseen: 0 };
    while let Some(name) = directory.entry() {
        if late(all.list.len()) {
            return None;
        }
        let pid = number(name.ok()?.to_bytes()).and_then(|pid| i32::try_from(pid).ok());
        let Some(pid) = pid else { continue };
        match stat(Pid::from_raw(pid)) {
            Ok(process) => memory::push(&mut all.list, process?)?,
            // It has gone since.
            Err(Errno::ENOENT | Errno::ESRCH) => {}
            Err(Errno::EPERM | Errno::EACCES) => all.unseen += 1,
            // EMFILE, say, is not about it: then nobody can be named, and that is
            // not the same as that nobody is there.
            Err(_) => return None,
        }
    }
    Some(all)
}

/// That /proc/self has our number proves nothing: an outer namespace may have
/// given us the same one. NSpid lists our numbers from the namespace of this /proc
/// to our own, so that a single one means that these are the same. Linux before
/// 4.1 does not say; there only PID 1 can be sure, for an outer one is another.
fn is_our_namespace() -> bool {
    let us = getpid();
    let same = status_of(c_string!("/proc/self/status")).and_then(|status| status.own_namespace);
    let number = read(c_string!("/proc/self/stat"), |text| Process::parse(text).map(|own| own.pid));
    number == Ok(Some(us)) && same.unwrap_or(us.as_raw() == 1)
}

/// Our children but this one, zombies too, in one look. None without
/// CONFIG_PROC_CHILDREN, or where /proc is none of ours.
#[inline(never)] // its buffer is a page of the caller's stack
pub fn children_but(main: Pid) -> Option<Vec<Pid>> {
    let file = file::open(c_string!("/proc/thread-self/children"), libc::O_RDONLY).ok()?;
    let mut others = Vec::new();
    let mut pid = 0_i32;
    let mut chunk = [0; FILE];
    loop {
        let bytes = file::read_on(&file, &mut chunk).ok()?;
        if bytes.is_empty() {
            break;
        }
        for &byte in bytes {
            if byte.is_ascii_digit() {
                pid = pid.saturating_mul(10).saturating_add(i32::from(byte - b'0'));
            } else {
                if pid != main.as_raw() {
                    memory::push(&mut others, Pid::from_raw(pid))?;
                }
                pid = 0;
            }
        }
    }
    (others.is_empty() || is_our_namespace()).then_some(others)
}

/// None if there is no such process, or if it may not be looked at.
pub fn process(pid: Pid) -> Option<Process> {
    stat(pid).ok()?
}

/// As it is now; None if the number does not mean this process any more. An error
/// (ENFILE) says nothing of it.
pub fn again(process: &Process) -> Result<Option<Process>, Errno> {
    match stat(process.pid) {
        Ok(now) => Ok(now.filter(|now| now.is(process))),
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

pub fn parent(pid: Pid) -> Option<Pid> {
    process(pid).map(|process| process.parent)
}

pub fn status(pid: Pid) -> Option<Status> {
    status_of(path(pid, "/status").as_c_str())
}

/// Its argv, each word with a NUL behind it, as far as the buffer holds it: empty
/// for a zombie.
pub fn command_line(pid: Pid, buffer: &mut [u8]) -> &[u8] {
    let file = file::open(path(pid, "/cmdline").as_c_str(), libc::O_RDONLY);
    file.and_then(|file| file::read(&file, buffer)).unwrap_or_default()
}

/// The whole of its argv, for as long as we live. None if it may not be read.
pub fn argv(pid: Pid) -> Option<Words> {
    words(path(pid, "/cmdline").as_c_str())
}

/// The environment that it was started with. That of another user needs
/// CAP_SYS_PTRACE.
pub fn environ(pid: Pid) -> Option<Words> {
    words(path(pid, "/environ").as_c_str())
}

fn words(path: &CStr) -> Option<Words> {
    let mut words = Vec::new();
    let mut word = Vec::new();
    for &byte in &whole(path)? {
        if byte != 0 {
            memory::push(&mut word, byte)?;
        } else {
            memory::push(&mut words, leaked(std::mem::take(&mut word))?)?;
        }
    }
    Words::leaked(words.into_iter())
}

/// A file of any length.
fn whole(path: &CStr) -> Option<Vec<u8>> {
    let file = file::open(path, libc::O_RDONLY).ok()?;
    let mut bytes = Vec::new();
    let mut chunk = [0; FILE];
    loop {
        match file::read_on(&file, &mut chunk).ok()? {
            [] => return Some(bytes),
            more => more.iter().try_for_each(|byte| memory::push(&mut bytes, *byte))?,
        }
    }
}

/// Whether it runs the file that we run, as far as that can be seen: another user's
/// needs CAP_SYS_PTRACE.
pub fn is_same_executable(pid: Pid) -> bool {
    let (mut theirs, mut ours) = ([0; FILE], [0; FILE]);
    let theirs = file::read_link(path(pid, "/exe").as_c_str(), &mut theirs);
    theirs.is_ok() && theirs == file::read_link(c_string!("/proc/self/exe"), &mut ours)
}

/// For people.
pub fn who(process: &Process) -> Who {
    let mut buffer = [0; COMMAND_LINE];
    let command = command_line(process.pid, &mut buffer);
    let command = if command.iter().all(|&byte| byte == 0) { process.name() } else { command };
    let age = clock::boot_ticks().saturating_sub(process.start) / clock::TICKS;
    Who::new(process.pid, command, age)
}

/// What stands behind a descriptor of a process, by the kernel's own name for it:
/// `pipe:[4711]`, `/dev/null`.
pub fn descriptor(pid: Pid, fd: u8, buffer: &mut [u8]) -> Result<&[u8], Errno> {
    let mut path = path(pid, "/fd/");
    file::read_link(path.put(fd).as_c_str(), buffer)
}

fn stat(pid: Pid) -> Result<Option<Process>, Errno> {
    read(path(pid, "/stat").as_c_str(), Process::parse)
}

/// Somebody may be in 65,536 groups, and these come before what is wanted.
fn status_of(path: &CStr) -> Option<Status> {
    Status::parse(&whole(path)?)
}

fn read<T>(path: &CStr, parse: impl Fn(&[u8]) -> Option<T>) -> Result<Option<T>, Errno> {
    let file = file::open(path, libc::O_RDONLY)?;
    file::read(file.as_fd(), &mut [0; FILE]).map(parse)
}

fn path(pid: Pid, file: &str) -> Line<32> {
    let mut line = Line::<32>::new();
    line.put("/proc/").put(pid).put(file);
    line
}
