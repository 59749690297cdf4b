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
            Some(relay @ (Relay::Shell | Relay::Mksh)) => {
                let shell = Shell::of(tree, &member, relay, sight);
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
    fn of(tree: &'a Tree, process: &'a Process, relay: Relay, sight: &impl Sight) -> Shell<'a> {
        let status = sight.status(process);
        // In dash, bash, busybox ash, zsh and ksh93 exactly where there is a TERM trap. Whoever
        // traps that is taken to trap its other stop signals too, for of INT the
        // bit says nothing: bash catches that to wait.
        let trapped =
            relay == Relay::Shell && status.is_some_and(|status| status.caught.holds(Signal::TERM));
        let mut shell = Shell { tree, process, trapped, youngest: None, foreground: false };
        let age = |child: &Process| (child.start, child.pid);
        let workers =
            || tree.children(process.pid).filter(|child| !reads(tree, process, child, sight));
        let youngest = workers().map(age).max();
        shell.youngest = youngest;
        shell.foreground = tree
            .children(process.pid)
            .any(|child| !reads(tree, process, child, sight) && shell.is_foreground(child, sight));
        shell
    }

    fn role(&self, child: &Process, sight: &impl Sight) -> Role {
        if reads(self.tree, self.process, child, sight) {
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
}

/// Whether a shell's child has for its stdin a pipe that somebody beside it writes to.
/// Who cannot be looked into may be that writer, unless the pipe is the shell's own
/// stdin. `echo conf | server` has no living writer: the server is told.
fn reads(tree: &Tree, shell: &Process, child: &Process, sight: &impl Sight) -> bool {
    let stdin = sight.stream(child, 0);
    let writes = |other: &Process| {
        [1, 2]
            .map(|fd| sight.stream(other, fd))
            .iter()
            .any(|stream| *stream == stdin || *stream == Stream::Unseen)
    };
    matches!(stdin, Stream::Pipe(_))
        && sight.stream(shell, 0) != stdin
        && tree.children(shell.pid).any(|other| !other.is(child) && writes(other))
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
            let is_shell = matches!(relay, Relay::Shell | Relay::Mksh);
            for child in tree.children(process.pid) {
                if !is_shell || !reads(tree, &process, child, sight) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::process::tests::process;
    use crate::text::signal::Signals;
    use std::collections::HashMap;

    const MAIN: i32 = 2;
    const OUR_SESSION: i32 = 1;

    /// A tree written by hand: whoever stands in it, with what can be seen of it.
    #[derive(Default)]
    struct Scene {
        list: Vec<Process>,
        status: HashMap<i32, Status>,
        streams: HashMap<(i32, u8), Stream>,
        names: HashMap<i32, String>,
    }

    /// How a child was started.
    #[derive(Clone, Copy)]
    enum Start {
        /// By a shell, in its foreground.
        Plain,
        /// In the foreground, and it catches INT: python, ruby, node.
        CatchesInt,
        /// The same with QUIT: socat, Celery, wherever they were started.
        CatchesBoth,
        /// By a shell with `&`.
        Background,
        /// The shell has a TERM trap.
        Trap,
    }
    use Start::*;

    impl Scene {
        fn new() -> Scene {
            let us = Process { session: Pid::from_raw(OUR_SESSION), ..process(1, 0, "drainit") };
            Scene { list: vec![us], ..Scene::default() }
        }

        fn with(self, pid: i32, parent: i32, name: &str, start: Start) -> Scene {
            self.in_session(OUR_SESSION, pid, parent, name, start)
        }

        fn in_session(
            mut self,
            session: i32,
            pid: i32,
            parent: i32,
            name: &str,
            start: Start,
        ) -> Scene {
            let int = Signals::of(Signal::INT);
            let both = int.and(Signal::QUIT);
            let (ignored, caught) = match start {
                Plain => (Signals::NONE, Signals::NONE),
                CatchesInt => (Signals::NONE, int),
                CatchesBoth => (Signals::NONE, both),
                Background => (both, Signals::NONE),
                Trap => (Signals::NONE, Signals::of(Signal::TERM)),
            };
            self.status.insert(pid, Status { ignored, caught, ..Status::default() });
            self.names.insert(pid, name.to_owned());
            self.list
                .push(Process { session: Pid::from_raw(session), ..process(pid, parent, name) });
            self
        }

        /// `writer | reader`, in a pipe of this number.
        fn pipe(mut self, pipe: u64, writer: i32, reader: i32) -> Scene {
            self.streams.insert((writer, 1), Stream::Pipe(pipe));
            self.streams.insert((reader, 0), Stream::Pipe(pipe));
            self
        }

        fn stream(mut self, pid: i32, fd: u8, stream: Stream) -> Scene {
            self.streams.insert((pid, fd), stream);
            self
        }

        /// Another user's, and we lack the capabilities.
        fn unseen(mut self, pid: i32) -> Scene {
            (0..3).for_each(|fd| _ = self.streams.insert((pid, fd), Stream::Unseen));
            self
        }

        fn tree(&self) -> Tree {
            Tree::below(Pid::from_raw(1), self.list.clone()).unwrap()
        }

        fn roles_for(&self, main: Option<i32>, whom: Target) -> Vec<(i32, Role)> {
            let roles = roles(&self.tree(), main.map(Pid::from_raw), whom, self).unwrap();
            roles.iter().map(|(process, role)| (process.pid.as_raw(), *role)).collect()
        }

        fn app(&self) -> Vec<(i32, Role)> {
            self.roles_for(Some(MAIN), Target::App)
        }
    }

    impl Sight for Scene {
        fn relay(&self, process: &Process) -> Option<Relay> {
            Relay::named(self.names[&process.pid.as_raw()].as_bytes())
        }

        fn status(&self, process: &Process) -> Option<Status> {
            self.status.get(&process.pid.as_raw()).copied()
        }

        fn stream(&self, process: &Process, fd: u8) -> Stream {
            let seen = self.streams.get(&(process.pid.as_raw(), fd));
            seen.copied().unwrap_or(Stream::Other)
        }
    }

    use Role::{Application as App, Guard, Helper, Job, Reader, Trapped};

    #[test]
    fn one_program() {
        let scene =
            Scene::new().with(2, 1, "gunicorn", CatchesInt).with(3, 2, "gunicorn", CatchesInt);
        assert_eq!(scene.app(), [(2, App)], "its pool is its own affair");
    }

    #[test]
    fn a_shell_and_nested_shells() {
        let scene = Scene::new()
            .with(2, 1, "sh", Plain)
            .with(3, 2, "bash", Plain)
            .with(4, 3, "sidekiq", CatchesInt)
            .with(5, 4, "job", Plain);
        assert_eq!(scene.app(), [(2, App), (3, App), (4, App)]);
    }

    #[test]
    fn a_pipelines_reader_ends_by_itself() {
        let scene = Scene::new()
            .with(2, 1, "sh", Plain)
            .with(3, 2, "sidekiq", CatchesInt)
            .with(4, 2, "tee", Plain)
            .pipe(77, 3, 4);
        assert_eq!(scene.app(), [(2, App), (3, App), (4, Reader)]);
        let stderr = scene.stream(3, 1, Stream::Other).stream(3, 2, Stream::Pipe(77));
        assert_eq!(stderr.app(), [(2, App), (3, App), (4, Reader)], "stderr alone");
    }

    #[test]
    fn who_cannot_be_looked_into_may_be_the_writer() {
        let scene = Scene::new()
            .with(2, 1, "sh", Plain)
            .with(3, 2, "worker", Plain)
            .with(4, 2, "tee", Plain)
            .pipe(77, 3, 4)
            .unseen(3);
        assert_eq!(scene.app(), [(2, App), (3, App), (4, Reader)]);
        // Unless the pipe is the shell's own stdin: docker run -i.
        let own = scene.stream(2, 0, Stream::Pipe(77));
        assert_eq!(own.app(), [(2, App), (3, App), (4, App)]);
    }

    #[test]
    fn a_pipe_whose_writer_is_gone_makes_no_reader() {
        let scene = Scene::new().with(2, 1, "sh", Plain).with(4, 2, "server", Plain).stream(
            4,
            0,
            Stream::Pipe(77),
        );
        assert_eq!(scene.app(), [(2, App), (4, App)], "echo conf | server");
    }

    #[test]
    fn beside_a_foreground_the_background_is_a_helper() {
        for (app, proxy) in [
            (Plain, Background),
            (CatchesInt, Background),
            (CatchesInt, CatchesBoth),
            (Plain, CatchesBoth),
        ] {
            let scene = Scene::new()
                .with(2, 1, "sh", Plain)
                .with(3, 2, "socat", proxy)
                .with(4, 2, "app", app);
            assert_eq!(scene.app(), [(2, App), (3, Helper), (4, App)]);
        }
    }

    #[test]
    fn without_a_foreground_all_are_the_application() {
        for start in [Background, CatchesBoth] {
            let scene = Scene::new()
                .with(2, 1, "bash", Plain)
                .with(3, 2, "celery", start)
                .with(4, 2, "celery", start);
            assert_eq!(scene.app(), [(2, App), (3, App), (4, App)], "a & b & wait");
        }
        // node sets INT and QUIT back, and is not the youngest.
        let scene = Scene::new()
            .with(2, 1, "bash", Plain)
            .with(3, 2, "node", CatchesInt)
            .with(4, 2, "python", Background);
        assert_eq!(scene.app(), [(2, App), (3, App), (4, App)]);
    }

    #[test]
    fn a_script_with_a_trap_passes_the_signal_on_itself() {
        for start in [Background, CatchesInt, CatchesBoth] {
            let scene = Scene::new().with(2, 1, "bash", Trap).with(3, 2, "node", start);
            assert_eq!(scene.app(), [(2, App), (3, Trapped)]);
        }
        let scene = Scene::new()
            .with(2, 1, "bash", Trap)
            .with(3, 2, "proxy", Background)
            .with(4, 2, "sleep", Plain);
        assert_eq!(scene.app(), [(2, App), (3, Helper), (4, App)], "its trap waits for sleep");
    }

    #[test]
    fn mksh_catches_term_without_a_trap() {
        let scene = Scene::new().with(2, 1, "mksh", Trap).with(3, 2, "celery", CatchesBoth);
        assert_eq!(scene.app(), [(2, App), (3, App)]);
    }

    #[test]
    fn guards_are_not_told_and_placeholders_are() {
        for guard in ["su", "runuser", "npm start", "npx"] {
            let scene = Scene::new()
                .with(2, 1, guard, CatchesInt)
                .with(3, 2, "sh", Plain)
                .with(4, 3, "app", Plain);
            assert_eq!(scene.app(), [(2, Guard), (3, App), (4, App)], "{guard}");
            assert_eq!(Scene::new().with(2, 1, guard, Plain).app(), [(2, App)], "with no child");
        }
        for placeholder in ["tail", "sleep", "cat", "setsid"] {
            let scene = Scene::new()
                .with(2, 1, placeholder, Plain)
                .with(3, 2, "celery", Background)
                .with(4, 2, "celery", CatchesBoth);
            assert_eq!(scene.app(), [(2, App), (3, App), (4, App)], "{placeholder}");
        }
    }

    #[test]
    fn daemons_are_helpers_and_orphans_of_our_session_are_jobs() {
        let scene = Scene::new()
            .with(2, 1, "app", Plain)
            .with(3, 1, "batch", Plain)
            .in_session(40, 41, 1, "celery", CatchesBoth)
            .in_session(50, 50, 1, "epmd", Plain)
            .in_session(50, 51, 50, "pool", Plain);
        assert_eq!(scene.app(), [(2, App), (3, Job), (41, Helper), (50, Helper)]);
        assert_eq!(scene.roles_for(Some(MAIN), Target::Main), scene.app());
    }

    #[test]
    fn two_sessions_outside_our_namespace_are_not_two() {
        let mut scene =
            Scene::new().in_session(0, 2, 1, "app", Plain).in_session(0, 3, 1, "x", Plain);
        scene.list[0].session = Pid::from_raw(0);
        assert_eq!(scene.app(), [(2, App), (3, Job)]);
    }

    #[test]
    fn after_the_main_childs_own_end_only_a_session_without_its_leader_is_a_daemons() {
        let scene = Scene::new()
            .with(3, 1, "batch", Plain)
            .in_session(50, 50, 1, "gzip", Plain)
            .in_session(60, 61, 1, "tail", Plain);
        let roles = scene.roles_for(None, Target::App);
        assert_eq!(roles, [(3, Job), (50, Job), (61, Helper)]);
    }

    #[test]
    fn main_alone_is_told_and_what_a_script_runs_helps() {
        let scene = Scene::new()
            .with(2, 1, "sh", Plain)
            .with(3, 2, "app", Plain)
            .with(4, 2, "tee", Plain)
            .pipe(77, 3, 4);
        let roles = scene.roles_for(Some(MAIN), Target::Main);
        assert_eq!(roles, [(2, App), (3, Helper), (4, Reader)]);
        let guard = Scene::new().with(2, 1, "su", Plain).with(3, 2, "app", Plain);
        assert_eq!(guard.roles_for(Some(MAIN), Target::Main), [(2, App), (3, Helper)]);
    }

    #[test]
    fn a_helper_is_told_through_its_relays() {
        let scene = Scene::new()
            .with(2, 1, "sh", Plain)
            .with(3, 2, "proxy", Background)
            .with(4, 2, "sleep", Plain);
        let tree = scene.tree();
        let told = helper(&tree, tree.get(Pid::from_raw(2)).unwrap(), &scene).unwrap();
        let told: Vec<_> =
            told.iter().map(|(process, role)| (process.pid.as_raw(), *role)).collect();
        assert_eq!(told, [(2, App), (3, App), (4, App)]);
    }

    fn pids(list: &[Process]) -> Vec<i32> {
        list.iter().map(|process| process.pid.as_raw()).collect()
    }

    #[test]
    fn the_last_call_goes_to_tops() {
        let scene = Scene::new()
            .with(2, 1, "postgres", CatchesBoth)
            .with(3, 2, "backend", Plain)
            .with(4, 1, "sh", Plain)
            .with(5, 4, "php", Plain)
            .with(6, 1, "manager", Plain)
            .with(7, 6, "worker", Plain)
            .with(8, 1, "sh", Plain)
            .with(9, 8, "dump", Plain)
            .with(10, 8, "gzip", Plain)
            .pipe(77, 9, 10);
        let tree = scene.tree();
        let asked = |process: &Process| process.pid.as_raw() == MAIN;
        let tops = tops(&tree, asked, &scene).unwrap();
        assert_eq!(pids(&tops), [6, 5, 9], "not the batch's shell, no worker, no reader");
        let had_term = |process: &Process| asked(process) || tops.iter().any(|top| top.is(process));
        let late = |process: &Process| tops.iter().any(|top| top.is(process));
        let last = |process: &&Process| is_last(&tree, process, had_term, late, &scene);
        let last: Vec<_> = tree.living().filter(last).map(|p| p.pid.as_raw()).collect();
        assert_eq!(last, [3, 10], "an idle backend; not who hears it from its manager");
    }

    #[test]
    fn a_shell_that_went_on_is_told_in_the_end() {
        let scene = Scene::new().with(4, 1, "sh", Plain).with(5, 4, "sleep", Plain);
        let tree = scene.tree();
        let all: Vec<_> =
            tree.living().filter(|p| is_last(&tree, p, |_| false, |_| false, &scene)).collect();
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn what_cannot_be_seen_is_told_like_the_rest() {
        let mut scene = Scene::new().with(2, 1, "sh", Plain).with(3, 2, "app", Background);
        scene.status.clear();
        assert_eq!(scene.app(), [(2, App), (3, App)]);
    }
}
