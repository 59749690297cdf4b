//! Starting the main child.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::unistd::{Pid, getpid, setpgid};

use super::memory;
use super::signals::Inherited;
use super::terminal::{self, Terminal};
use super::wait;
use super::words::Words;
use crate::text::line::Line;

/// The command and all that its start needs, made once for every run.
pub struct Command {
    words: Words,
    environ: Words,
    /// sd_listen_fds(3): descriptors are passed on to the process that this
    /// variable names. Where it named us, it names the main child.
    listen_pid: Option<&'static ListenPid>,
    inherited: Inherited,
    stack: Stack,
}

pub struct Started {
    pub pid: Pid,
    /// How our group stood to the terminal. It is now the main child's, if it
    /// was ours and could be named.
    pub terminal: Terminal,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// No process: nothing was started.
    Process(Errno),
    /// The command is none.
    Exec(Errno),
}

impl Command {
    /// ENOENT for no words at all, ENOMEM where there is no memory.
    pub fn new(words: Words, environ: Words, inherited: Inherited) -> Result<Command, Errno> {
        if words.count() == 0 {
            return Err(Errno::ENOENT);
        }
        let stack = Stack::for_exec(words)?;
        let variable =
            environ.iter().find(|word| word.to_bytes().starts_with(LISTEN_PID.as_bytes()));
        let (environ, listen_pid) = match variable.filter(|variable| names_us(variable)) {
            None => (environ, None),
            Some(ours) => {
                let (environ, own) = ListenPid::within(environ, ours)?;
                (environ, Some(own))
            }
        };
        Ok(Command { words, environ, listen_pid, inherited, stack })
    }

    pub fn name(&self) -> &'static CStr {
        self.words.first()
    }

    /// Starts the command as the leader of a group of its own. When this returns
    /// it runs (or has failed) and its group exists, for we are suspended until
    /// then: the setpgid of both sides that a fork needs, lest an early signal for
    /// the group meet ESRCH, has no race to close.
    ///
    /// It stays in our group where that has the terminal and no number: in a group
    /// of its own it would be stopped at its first read, and what is handed over
    /// could not be handed back to a script in our group that reads on.
    pub fn start(&mut self) -> Result<Started, Failure> {
        let terminal = terminal::ours();
        let Command { words, environ, listen_pid, inherited, .. } = *self;
        let mut failure = None;
        let child = || {
            if terminal != Terminal::Unnamed {
                // A new child is no session leader and has not called exec: no
                // error applies.
                let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
            }
            if terminal == Terminal::Ours {
                terminal::hand_over(getpid());
            }
            if let Some(variable) = listen_pid {
                variable.name(getpid());
            }
            // The last thing before exec: a signal that has waited for us to be
            // unblocked ends the child as it would have ended the command.
            inherited.restore();
            // SAFETY: `new` has seen at least one word.
            failure = Some(unsafe { exec(words, environ) });
        };
        let pid = vfork(&mut self.stack, child).map_err(Failure::Process)?;
        match failure {
            None => Ok(Started { pid, terminal }),
            Some(error) => {
                wait::failed(pid);
                if terminal == Terminal::Ours {
                    terminal::take_back(pid);
                }
                Err(Failure::Exec(error))
            }
        }
    }
}

const LISTEN_PID: &str = "LISTEN_PID=";
/// With the longest pid and a NUL.
const LISTEN_PID_SIZE: usize = 24;

fn names_us(variable: &CStr) -> bool {
    let mut ours = Line::<LISTEN_PID_SIZE>::new();
    ours.put(LISTEN_PID).put(getpid());
    ours.as_c_str() == variable
}

/// An environment's LISTEN_PID, written once the main child has a pid.
struct ListenPid(UnsafeCell<[u8; LISTEN_PID_SIZE]>);

impl ListenPid {
    /// A copy of the environment in which ours stands where `old` stood.
    fn within(environ: Words, old: &CStr) -> Result<(Words, &'static ListenPid), Errno> {
        let mut own = Vec::new();
        let empty = ListenPid(UnsafeCell::new([0; LISTEN_PID_SIZE]));
        memory::push(&mut own, empty).ok_or(Errno::ENOMEM)?;
        let own = own.leak().first().ok_or(Errno::ENOMEM)?;
        let word = |other: &'static CStr| {
            if other == old { own.0.get().cast_const().cast() } else { other.as_ptr() }
        };
        // SAFETY: ours is there for ever, and the words are for exec alone.
        let words = unsafe { Words::of_pointers(environ.iter().map(word)) };
        words.map(|words| (words, own)).ok_or(Errno::ENOMEM)
    }

    fn name(&self, pid: Pid) {
        let mut text = Line::<LISTEN_PID_SIZE>::new();
        text.put(LISTEN_PID).put(pid);
        let bytes = text.as_c_str().to_bytes_with_nul();
        // SAFETY: it fits, and nobody else looks at it meanwhile: one thread, and the
        // words that point to it are private to `Command`, which hands them to exec.
        unsafe { self.0.get().cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
}

/// Runs `body` in a new process that uses our memory while we are suspended,
/// until it has called exec or has ended: vfork, on a stack of its own so that
/// nothing returns twice. What `body` writes, we can read afterwards.
///
/// fork instead copies the page tables, and both processes then copy each page
/// they touch; it also needs a pipe to learn why exec failed. posix_spawn
/// neither restores what we restore nor knows terminals, and makes 124 calls.
/// All three of vfork's kind wait for a child that somebody stops before exec:
/// whoever sends it SIGSTOP in those microseconds stops us until SIGCONT.
fn vfork<F: FnMut()>(stack: &mut Stack, mut body: F) -> Result<Pid, Errno> {
    extern "C" fn run<F: FnMut()>(body: *mut c_void) -> c_int {
        // SAFETY: the closure below, whose owner is suspended.
        unsafe { (*body.cast::<F>())() };
        // SAFETY: without the parent's exit handlers.
        unsafe { libc::_exit(127) }
    }
    // SAFETY: the stack is as large as Stack says, and its end is aligned as the
    // C library's clone wants it; `body` outlives the call, since the parent runs
    // on only when the child no longer uses this memory. No signal has a handler,
    // so that nothing else runs on it.
    unsafe {
        let top = stack.0.as_mut_ptr_range().end.cast();
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        Errno::result(libc::clone(run::<F>, top, flags, (&raw mut body).cast())).map(Pid::from_raw)
    }
}

/// A stack for [`vfork`], kept for the next one. It goes with the process.
struct Stack(&'static mut [MaybeUninit<u128>]);

/// Of the first stack. Its end is used first, and is not that of a page: there lie
/// our other variables.
const FIRST: usize = (68 << 10) - 512;

impl Stack {
    /// 64 KiB for the C library's search of PATH, and room for the vector that
    /// it builds there if the file is a script without `#!`.
    ///
    /// The first is among our variables, unless the command is very long: a mapping
    /// would cost a system call, and two pages for its page tables.
    fn for_exec(command: Words) -> Result<Stack, Errno> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        static mut ROOM: [MaybeUninit<u128>; FIRST / size_of::<u128>()] =
            [MaybeUninit::uninit(); FIRST / size_of::<u128>()];
        let words = command.count().saturating_mul(size_of::<usize>());
        let bytes = words.saturating_add(64 << 10);
        if bytes <= FIRST && !TAKEN.swap(true, Ordering::Relaxed) {
            let room = &raw mut ROOM;
            // SAFETY: whoever has found it free has it alone, for ever.
            return Ok(Stack(unsafe { &mut *room }));
        }
        let mut stack = Vec::new();
        let size = bytes.div_ceil(size_of::<u128>());
        stack.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
        // SAFETY: so much is reserved, and any content will do.
        unsafe { stack.set_len(size) };
        Ok(Stack(stack.leak()))
    }
}

/// Becomes the command, found along PATH; returns only why it could not.
///
/// # Safety
///
/// There is at least one word.
unsafe fn exec(command: Words, environ: Words) -> Errno {
    // SAFETY: two vectors of C strings that end with NULL; the first is one.
    unsafe { libc::execvpe(*command.as_ptr(), command.as_ptr(), environ.as_ptr()) };
    Errno::last()
}
