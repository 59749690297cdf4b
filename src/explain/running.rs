//! What runs: the tree below the drainit of this container, and what a stop would
//! do to each process now. It signals nobody.

use nix::unistd::{Pid, getpid};

use super::{Page, command};
use crate::cli::{self, Request};
use crate::config::Config;
use crate::family::Eyes;
use crate::kernel::memory;
use crate::kernel::proc::{self, Everybody};
use crate::kernel::words::Words;
use crate::policy::application::{self, Role, Sight};
use crate::policy::drain::Leftovers;
use crate::policy::relay::Relay;
use crate::policy::schedule::Target;
use crate::text::bytes::after;
use crate::text::line::{Line, Writer};
use crate::text::process::Process;
use crate::text::signal::Signal;
use crate::text::time::Time;
use crate::tree::Tree;

const EYES: Eyes = Eyes { until: Time::NEVER };

/// What a stop would do to what runs in this PID namespace.
#[cold]
#[inline(never)]
pub fn running(config: &Config, environ: Words) -> u8 {
    let mut page = Page::new(config);
    let Some(all) = proc::everybody(Time::NEVER) else {
        page.text(
            "/proc cannot be read, or shows another PID namespace: nothing is known of what runs.",
        );
        page.end();
        return crate::config::OWN_FAILURE;
    };
    if all.unseen > 0 {
        page.line(|line| {
            _ = line
                .put(all.unseen)
                .put(" processes may not be looked at (hidepid?) and are left out.");
        });
    }
    let columns = columns(environ);
    let pid_1 = Pid::from_raw(1);
    let is_ours = |pid: Pid| pid != getpid() && proc::is_same_executable(pid);
    if is_ours(pid_1) {
        explain(&mut page, config, pid_1, &all, columns);
        return page.end();
    }
    let others = all.list.iter().map(|process| process.pid).filter(|pid| is_ours(*pid));
    let mut found = false;
    for pid in others {
        found = true;
        explain(&mut page, config, pid, &all, columns);
    }
    if !found {
        no_drainit(&mut page, &all);
    }
    page.end()
}

/// Where the terminal's width is not known.
const COLUMNS: usize = 80;

fn columns(environ: Words) -> usize {
    let value = environ.iter().find_map(|word| after(word.to_bytes(), b"COLUMNS="));
    let columns = value.and_then(crate::text::number::number).unwrap_or(COLUMNS as u64);
    (columns as usize).clamp(40, 400)
}

/// PID 1 is somebody else: what that means for all below it.
fn no_drainit(page: &mut Page, all: &Everybody) {
    let Some(first) = all.list.iter().find(|process| process.pid.as_raw() == 1) else {
        return page.text("PID 1 may not be looked at: whether it is drainit is not known.");
    };
    page.line(|line| {
        _ = line.put("PID 1 is no drainit, as far as can be seen: ").put(&proc::who(first))
    });
    page.text(match EYES.relay(first) {
        Some(Relay::Shell) => "A shell passes no signal on: a stop reaches it alone, and all others are killed with it.",
        _ => "A stop reaches it alone. Whoever is left when it exits is killed with it.",
    });
}

/// One drainit and all below it.
#[cold]
fn explain(page: &mut Page, own: &Config, drainit: Pid, all: &Everybody, columns: usize) {
    let argv = proc::argv(drainit);
    let environ = proc::environ(drainit);
    if environ.is_none() {
        page.text(
            "Its environment may not be read: DRAINIT_* variables are not taken into account.",
        );
    }
    let none = || Words::leaked(std::iter::empty());
    let (Some(argv), Some(environ)) = (argv, environ.or_else(none)) else {
        return page.text("Its command line cannot be read: what it would do is not known.");
    };
    let config = match cli::parse(argv.iter(), environ.iter()) {
        Request::Run(config) | Request::Explain(config) => config,
        _ => return page.text("It runs no command: it only reaps."),
    };
    let mut list = Vec::new();
    let copied = all.list.iter().try_for_each(|process| memory::push(&mut list, *process));
    let Some(tree) = copied.and_then(|()| Tree::below(drainit, list)) else { return };
    // Orphans are below it or execed later: none is older. They lead no group in its
    // session, as a rule: then the main child is gone.
    let age = |process: &&Process| (process.start, process.pid);
    let leads = |process: &&Process| {
        process.session == tree.session
            && (process.group == process.pid || process.group.as_raw() == 0)
    };
    let main = tree.ours().min_by_key(age).filter(leads).map(|main| main.pid);
    if main.is_none() {
        page.text("The main child seems to be gone.");
    }
    let plan = Plan::new(&config, &tree, main, drainit);
    page.line(|line| {
        line.put("drainit is pid ").put(drainit).put("; a stop now would do this (");
        line.put("--signal-to ").put(config.policy.signal_to.name()).put("):");
    });
    let width = tree.list.iter().map(|process| plan.width(process)).max().unwrap_or(0);
    for top in tree.ours() {
        show(page, &plan, &tree, top, Layout { depth: 0, fate: width, columns });
    }
    for process in all.list.iter().filter(|process| is_execed(all, process, drainit)) {
        let layout = Layout { depth: 0, fate: width, columns };
        row(page, process, b"not ours (exec): ends with the container", None, layout);
    }
    if !own.json {
        page.text("");
    }
    command::stop(&config, page);
    command::warnings(&config, page);
    warnings(page, &plan, &tree);
}

/// What an engine execed into the container: its parent is outside.
fn is_execed(all: &Everybody, process: &Process, drainit: Pid) -> bool {
    let by_pid = |pid: Pid| all.list.iter().find(|other| other.pid == pid);
    let top = std::iter::successors(Some(process), |below| by_pid(below.parent)).take(64).last();
    drainit.as_raw() == 1
        && top.is_some_and(|top| top.parent.as_raw() == 0 && top.pid != drainit)
        && process.pid != getpid()
}

#[derive(Clone, Copy)]
struct Layout {
    depth: usize,
    /// The width of the last column.
    fate: usize,
    columns: usize,
}

/// What would happen to each.
struct Plan<'a> {
    config: &'a Config,
    main: Option<Pid>,
    drainit: Pid,
    roles: Vec<(Process, Role)>,
}

impl<'a> Plan<'a> {
    fn new(config: &'a Config, tree: &Tree, main: Option<Pid>, drainit: Pid) -> Plan<'a> {
        let target = config.policy.signal_to;
        let by_role = matches!(target, Target::App | Target::Main);
        let roles = by_role.then(|| application::roles(tree, main, target, &EYES)).flatten();
        Plan { config, main, drainit, roles: roles.unwrap_or_default() }
    }

    fn role(&self, process: &Process) -> Option<Role> {
        self.roles.iter().find(|(other, _)| other.is(process)).map(|(_, role)| *role)
    }

    fn fate(&self, process: &Process) -> Line<80> {
        let mut line = Line::<80>::new();
        let policy = &self.config.policy;
        // The first that is sent, where a stop begins with one.
        let stops = self.config.stop.iter().filter(|signal| *signal != Signal::TERM);
        let term = self.config.stop.holds(Signal::TERM).then_some(Signal::TERM);
        let begins = term.into_iter().chain(stops).find_map(|s| self.config.rewritten(s));
        let first = policy.schedule.steps().first();
        let signal = first.and_then(|step| step.signal).or(begins).unwrap_or(Signal::TERM);
        let leaves = policy.leftovers == Leftovers::Leave;
        let speaks = policy.schedule.by_hand;
        let in_group = Some(process.group) == self.main;
        let asks = policy.leftovers == Leftovers::Ask;
        match (policy.signal_to, self.role(process)) {
            _ if process.zombie => line.put("ended, not yet reaped by its parent"),
            _ if begins.is_none() => line.put("nothing: --rewrite drops every stop signal"),
            (_, role) if leaves && role != Some(Role::Application) && !in_group => {
                line.put("left behind once the main child is gone")
            }
            (_, Some(Role::Helper)) if speaks => line.put("helper: left to the schedule"),
            (Target::All, _) => line.put(signal).put(" at once"),
            (Target::Group, _) if in_group => line.put(signal).put(" at once"),
            (Target::Group, _) if asks => line.put("SIGTERM once the main child is gone"),
            (_, Some(Role::Application)) => line.put("application: ").put(signal).put(" at once"),
            (_, Some(Role::Guard)) => line.put("relay: not told, ends after what it runs"),
            (_, Some(Role::Helper)) if asks => line.put("SIGTERM once the main child is gone"),
            (_, Some(Role::Helper)) => line.put("helper: SIGTERM once the application is gone"),
            (_, Some(Role::Reader)) => line.put("pipeline reader: ends by itself"),
            (_, Some(Role::Trapped)) => line.put("told by its script, which has a trap"),
            (_, Some(Role::Job)) if asks => line.put("SIGTERM once the main child is gone"),
            (_, Some(Role::Job)) => {
                line.put("job: left to finish");
                if let Some(at) = policy.schedule.last_call() {
                    line.put(", SIGTERM at ").put(at);
                }
                &mut *line
            }
            (_, None) if asks => line.put("SIGTERM once the main child is gone"),
            (_, None) => line.put("its parent's affair"),
        };
        line
    }

    fn width(&self, process: &Process) -> usize {
        self.fate(process).as_bytes().len()
    }
}

/// A process and all below it.
fn show(page: &mut Page, plan: &Plan, tree: &Tree, top: &Process, layout: Layout) {
    let fate = plan.fate(top);
    row(page, top, fate.as_bytes(), plan.role(top), layout);
    let below = Layout { depth: layout.depth + 1, ..layout };
    // Deeper than this nobody reads on, and a chain of thousands has an end.
    if layout.depth < 64 {
        for child in tree.children(top.pid) {
            show(page, plan, tree, child, below);
        }
    }
}

/// `    17   3m  sh -c sidekiq       application: SIGTERM at once`
#[cold]
fn row(page: &mut Page, process: &Process, fate: &[u8], role: Option<Role>, layout: Layout) {
    let who = proc::who(process);
    let mut line: Line = Line::new();
    if page.report.config.json {
        page.report.object(crate::report::event::PROCESS, &mut line);
        line.put(",\"pid\":").put(process.pid).put(",\"parent\":").put(process.parent);
        line.put(",\"age_s\":").put(who.age_s()).put(",\"command\":\"").json(who.command());
        line.put("\",\"role\":").put(role.map_or("null", json_role));
        line.put(",\"fate\":\"").json(fate).put("\"}\n");
        return page.raw(&line);
    }
    let mut pid = Line::<16>::new();
    pid.put(process.pid);
    let mut age = Line::<16>::new();
    age.put(coarse(who.age_s()));
    pad(&mut line, PID.saturating_sub(pid.as_bytes().len()));
    line.raw(pid.as_bytes());
    pad(&mut line, AGE.saturating_sub(age.as_bytes().len()));
    line.raw(age.as_bytes()).put("  ");
    pad(&mut line, 2 * layout.depth.min(8));
    let left = layout.columns.saturating_sub(line.as_bytes().len() + 2 + layout.fate).max(8);
    let command = who.command();
    let shown = if command.len() > left { left.saturating_sub(3) } else { command.len() };
    line.foreign(command, shown);
    pad(&mut line, left.saturating_sub(command.len()) + 2);
    page.raw(line.raw(fate).put("\n"));
}

fn json_role(role: Role) -> &'static str {
    match role {
        Role::Application => "\"application\"",
        Role::Guard => "\"relay\"",
        Role::Helper => "\"helper\"",
        Role::Reader => "\"reader\"",
        Role::Trapped => "\"trapped\"",
        Role::Job => "\"job\"",
    }
}

const PID: usize = 7;
const AGE: usize = 6;

/// The largest unit of an age.
fn coarse(seconds: u64) -> Time {
    Time::seconds(match seconds {
        0..60 => seconds,
        60..3600 => seconds / 60 * 60,
        _ => seconds / 3600 * 3600,
    })
}

fn pad(line: &mut Writer, spaces: usize) {
    for _ in 0..spaces {
        line.put(" ");
    }
}

/// What people would wish to have known before the stop.
fn warnings(page: &mut Page, plan: &Plan, tree: &Tree) {
    let policy = &plan.config.policy;
    let jobs = || tree.ours().filter(|process| Some(process.pid) != plan.main);
    let told = matches!(policy.signal_to, Target::Group | Target::All);
    if told && jobs().next().is_some() {
        page.line(|line| {
            line.put("WARNING: ")
                .put(jobs().count())
                .put(" that nobody else looks after would be asked, and cut ");
            line.put("if they cannot handle SIGTERM; --signal-to app leaves jobs to finish.");
        });
    }
    let main = plan.main.and_then(|main| tree.get(main));
    if policy.signal_to == Target::Main
        && main.and_then(|main| EYES.relay(main)) == Some(Relay::Shell)
    {
        page.text("WARNING: the main child is a shell, and passes no signal on; --signal-to app also signals");
        page.text("    what it is running.");
    }
    let Some(drainit) = proc::status(plan.drainit) else { return };
    for process in tree.living().filter(|_| !drainit.may_kill) {
        if proc::status(process.pid).is_some_and(|status| status.user != drainit.user) {
            page.line(|line| {
                line.put("WARNING: ")
                    .put(&proc::who(process))
                    .put(" is another user's, and drainit ");
                line.put("lacks CAP_KILL: it can be neither asked nor killed.");
            });
        }
    }
}
