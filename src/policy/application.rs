//! Who is asked, for `app` and `main`. Pure: what it must know of a process beyond
//! its place in the tree it asks through [`Sight`].
//!
//! First the application: the main child; below a relay, what it runs. Then its
//! helpers: what a script left running beside it, and daemons. Never its jobs.

use nix::unistd::Pid;

use super::relay::Relay;
use super::schedule::Target;
use crate::kernel::memory;
use crate::text::process::{Process, Status};
use crate::text::signal::Signal;
use crate::tree::Tree;

/// What a process is to a stop. Whoever has none is the affair of somebody above
/// it that has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Told at once.
    Application,
    /// Part of the application, and not told: it ends after what it runs.
    Guard,
    /// Told once the application is gone.
    Helper,
    /// Of a pipeline: it ends by itself, with the end of its input.
    Reader,
    /// A child of a script that passes the signal on itself.
    Trapped,
    /// Left to finish.
    Job,
}

/// What can be seen of a process.
pub trait Sight {
    fn relay(&self, process: &Process) -> Option<Relay>;
    /// None if it may not be looked at.
    fn status(&self, process: &Process) -> Option<Status>;
    fn stream(&self, process: &Process, fd: u8) -> Stream;
}

/// What stands behind a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// By the number of its inode.
    Pipe(u64),
    Other,
    /// Another user's: that needs CAP_SYS_PTRACE, which containers lack.
    Unseen,
}

type Roles = Vec<(Process, Role)>;

/// The roles at a stop, in the order of telling: a shell before what it runs, lest it
/// run its next command. `main` is None once it is gone. None for want of memory.
pub fn roles(tree: &Tree, main: Option<Pid>, whom: Target, sight: &impl Sight) -> Option<Roles> {
    let mut roles = Vec::new();
    if let Some(top) = main.and_then(|main| tree.get(main)) {
        roles = below(tree, top, false, sight)?;
        if whom == Target::Main {
            for (process, role) in &mut roles {
                *role = match *role {
                    _ if process.is(top) => Role::Application,
                    Role::Application | Role::Guard => Role::Helper,
                    other => other,
                };
            }
        }
    }
    for process in tree.ours().filter(|process| Some(process.pid) != main) {
        // With the main child that was adopted before the stop, or else by its end,
        // like a job. Then only whose session has lost its leader is surely a
        // daemon, or was left behind by what an engine execed.
        let daemon = process.session != tree.session
            && (main.is_some() || tree.get(process.session).is_none());
        let role = if daemon { Role::Helper } else { Role::Job };
        memory::push(&mut roles, (*process, role))?;
    }
    Some(roles)
}

/// Who is told where this helper is: itself or, below a relay, what it runs.
pub fn helper(tree: &Tree, top: &Process, sight: &impl Sight) -> Option<Roles> {
    below(tree, top, true, sight)
}

/// The top and, below each relay in it, what that runs. By parents, not by groups:
/// Laravel's background batches share the main child's group, but they were
/// orphaned, and so they are left alone. `background`: what runs there is told with
/// the rest.
fn below(tree: &Tree, top: &Process, background: bool, sight: &impl Sight) -> Option<Roles> {
    let mut members = Vec::new();
    memory::push(&mut members, (*top, Role::Application))?;
    let mut next = 0;
    while let Some((member, role)) = members.get(next).copied() {
        let place = next;
        next += 1;
        if role != Role::Application {
            continue;
        }
        match sight.relay(&member) {
            None => {}
            Some(Relay::Shell) => {
                let shell = Shell::of(tree, &member, sight);
                for child in tree.children(member.pid) {
                    let role = match shell.role(child, sight) {
                        Role::Helper if background => Role::Application,
                        role => role,
                    };
                    memory::push(&mut members, (*child, role))?;
                }
            }
            Some(relay) => {
                // Without a child it waits for nobody.
                if relay == Relay::Guard && !tree.is_leaf(member.pid) {
                    members.get_mut(place).into_iter().for_each(|own| own.1 = Role::Guard);
                }
                for child in tree.children(member.pid) {
                    memory::push(&mut members, (*child, Role::Application))?;
                }
            }
        }
    }
    Some(members)
}

/// A shell and what is known of all that it runs.
struct Shell<'a> {
    tree: &'a Tree,
    process: &'a Process,
    trapped: bool,
    /// The youngest child that is no reader. A shell that waits for its foreground
    /// starts nobody else.
    youngest: Option<(u64, Pid)>,
    foreground: bool,
}

impl<'a> Shell<'a> {
    fn of(tree: &'a Tree, process: &'a Process, sight: &impl Sight) -> Shell<'a> {
        let status = sight.status(process);
        // In dash, bash, mksh and busybox ash exactly where there is a TERM trap. Whoever
        // traps that is taken to trap its other stop signals too, for of INT the
        // bit says nothing: bash catches that to wait.
        let trapped = status.is_some_and(|status| status.caught.holds(Signal::TERM));
        let mut shell = Shell { tree, process, trapped, youngest: None, foreground: false };
        let age = |child: &Process| (child.start, child.pid);
        let workers = || tree.children(process.pid).filter(|child| !shell.reads(child, sight));
        let youngest = workers().map(age).max();
        shell.youngest = youngest;
        shell.foreground = tree
            .children(process.pid)
            .any(|child| !shell.reads(child, sight) && shell.is_foreground(child, sight));
        shell
    }

    fn role(&self, child: &Process, sight: &impl Sight) -> Role {
        if self.reads(child, sight) {
            Role::Reader
        } else if self.is_foreground(child, sight) {
            Role::Application
        } else if self.foreground {
            Role::Helper
        } else if self.trapped {
            Role::Trapped
        } else {
            Role::Application
        }
    }

    /// POSIX: a script's background child starts with INT and QUIT ignored. Who has
    /// INT neither ignored nor caught is not in the background; who catches it may
    /// be (node sets both back to the default first). Below a trap only the first
    /// is sure enough, for what the script passes the signal to would hear it
    /// twice. Elsewhere the youngest counts too, if it has not touched QUIT.
    fn is_foreground(&self, child: &Process, sight: &impl Sight) -> bool {
        let Some(status) = sight.status(child) else { return false };
        let [int, quit] = [Signal::INT, Signal::QUIT];
        if status.ignored.holds(int) || status.ignored.holds(quit) {
            return false;
        }
        let youngest = self.youngest == Some((child.start, child.pid));
        let may_be = youngest && !status.caught.holds(quit);
        !status.caught.holds(int) || (!self.trapped && may_be)
    }

    /// Whether its stdin is a pipe that somebody beside it writes to. Who cannot be
    /// looked into may be that writer, unless the pipe is the shell's own stdin.
    /// `echo conf | server` has no living writer: the server is told.
    fn reads(&self, child: &Process, sight: &impl Sight) -> bool {
        let stdin = sight.stream(child, 0);
        let writes = |other: &Process| {
            [1, 2]
                .map(|fd| sight.stream(other, fd))
                .iter()
                .any(|stream| *stream == stdin || *stream == Stream::Unseen)
        };
        matches!(stdin, Stream::Pipe(_))
            && sight.stream(self.process, 0) != stdin
            && self.tree.children(self.process.pid).any(|other| !other.is(child) && writes(other))
    }
}

/// The last call: the top of everything left that was not asked, through relays to
/// what they run, so that a cut batch's shell still runs its clean-up. A pool's
/// manager, not its workers.
pub fn tops(
    tree: &Tree,
    was_asked: impl Fn(&Process) -> bool,
    sight: &impl Sight,
) -> Option<Vec<Process>> {
    let mut queue = Vec::new();
    for process in tree.ours() {
        memory::push(&mut queue, *process)?;
    }
    let mut tops = Vec::new();
    let mut next = 0;
    while let Some(process) = queue.get(next).copied() {
        next += 1;
        let relay = sight.relay(&process).filter(|_| !tree.is_leaf(process.pid));
        if let Some(relay) = relay {
            let shell = (relay == Relay::Shell).then(|| Shell::of(tree, &process, sight));
            for child in tree.children(process.pid) {
                if !shell.as_ref().is_some_and(|shell| shell.reads(child, sight)) {
                    memory::push(&mut queue, *child)?;
                }
            }
        } else if !was_asked(&process) {
            memory::push(&mut tops, process)?;
        }
    }
    Some(tops)
}

/// The last step before the end: each leaf that has not had SIGTERM and stands below
/// nobody who was asked only at the last call: an idle PostgreSQL backend that holds
/// up a smart shutdown, and not a pool's worker that hears it from its manager. A
/// shell that went on with its next command is a leaf's equal.
pub fn is_last(
    tree: &Tree,
    process: &Process,
    had_term: impl Fn(&Process) -> bool,
    asked_late: impl Fn(&Process) -> bool,
    sight: &impl Sight,
) -> bool {
    let went_on = || !tree.children(process.pid).any(&had_term) && sight.relay(process).is_some();
    !had_term(process)
        && (tree.is_leaf(process.pid) || went_on())
        && !tree.above(process).any(asked_late)
}
