//! The loop: wait for a signal or a deadline, collect who ended, let the policy
//! decide, act. One thread, no wake-up while idle. Nothing in here panics or
//! returns early while the main child lives.

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::child::{self, Failure, Started};
use crate::cli::Config;
use crate::drain::{Action, Event, State};
use crate::line::Line;
use crate::reap;
use crate::report::{self, Level, Reporter, Summary, Who};
use crate::restart::{History, Run, When};
use crate::schedule::Target;
use crate::signals::{self, Inherited, Signal, Wake};
use crate::status::WaitStatus;
use crate::sys::{self, Stack, Words};
use crate::time::Time;
use crate::tree::{self, Process};
use crate::{cgroup, send};

/// At -v a drain says how it goes, this often.
const PROGRESS: Time = Time::seconds(5);
/// So many processes are remembered by name.
const LEDGER: usize = 256;

struct Supervisor<'a> {
    config: &'a Config,
    report: Reporter<'a>,
    state: State,
    /// The main child. Until we reap it, that is until it has a status, its
    /// number is its own.
    main: Pid,
    main_status: Option<WaitStatus>,
    /// We gave it the terminal, and take it back.
    has_terminal: bool,
    /// We stopped because it was stopped.
    suspended: bool,
    /// A stop signal came: no further run.
    stopped: bool,
    childless: bool,
    /// No sweep is needed before this; one is due at that time.
    rest_until: Time,
    sweep_at: Time,
    drain_began: Time,
    drain_ended: Time,
    next_progress: Time,
    asked: Asked,
    /// Whoever was seen below us during the drain, the main child aside.
    ledger: Vec<Who>,
    killed: Vec<Process>,
    killed_by_name: Vec<Who>,
    /// Those that could not be killed, and were said to be so.
    spared: Vec<Process>,
    /// More than `killed` where /proc cannot say who it was.
    kills: u64,
    oom_kills: Option<u64>,
}

/// Who had SIGTERM from us. Nobody is asked twice: some programs take a second
/// SIGTERM for an order to hurry.
#[derive(Default)]
struct Asked {
    main: bool,
    /// The whole group at this time; who started later was not in it.
    group: Option<u64>,
    others: Vec<Process>,
}

/// Runs the command until it and all that it left are gone; the exit code.
pub fn run(config: &Config, command: Words, inherited: Inherited) -> u8 {
    let mut supervisor = Supervisor::new(config);
    if config.pause {
        supervisor.pause(Time::NEVER);
        return 0;
    }
    let mut stack = match Stack::for_exec(command) {
        Ok(stack) => stack,
        Err(error) => return supervisor.report.not_started(command, Failure::Fork(error)),
    };
    let mut history = History::default();
    loop {
        let started = sys::now();
        match child::start(command, inherited, &mut stack) {
            Ok(child) => supervisor.drain(child),
            Err(failure) => {
                let code = supervisor.report.not_started(command, failure);
                if history.runs == 0 {
                    return code;
                }
                // A deploy that replaces the file: a failure like any other.
                supervisor = Supervisor {
                    main_status: Some(WaitStatus::exited(code)),
                    ..Supervisor::new(config)
                };
            }
        }
        // A run that was told to end has not failed. And never two at once, not
        // even beside one that SIGKILL does not end.
        if supervisor.stopped || !supervisor.childless {
            history.runs += 1;
            return supervisor.farewell(history);
        }
        let success = supervisor.main_code() == 0;
        let run = Run { started, ended: sys::now(), success };
        let (after, next) = config.restart.after(history, run);
        history = after;
        match next {
            Some(start) => {
                let said = (supervisor.kills > 0).then(|| supervisor.farewell(history));
                if !supervisor.pause(start) {
                    return said.unwrap_or_else(|| supervisor.farewell(history));
                }
            }
            None => return supervisor.farewell(history),
        }
    }
}

impl<'a> Supervisor<'a> {
    fn new(config: &'a Config) -> Supervisor<'a> {
        Supervisor {
            config,
            report: Reporter::new(config),
            state: State::Over,
            main: Pid::from_raw(0),
            main_status: None,
            has_terminal: false,
            suspended: false,
            stopped: false,
            childless: true,
            rest_until: Time::ZERO,
            sweep_at: Time::NEVER,
            drain_began: Time::ZERO,
            drain_ended: Time::ZERO,
            next_progress: Time::NEVER,
            asked: Asked::default(),
            ledger: Vec::new(),
            killed: Vec::new(),
            killed_by_name: Vec::new(),
            spared: Vec::new(),
            kills: 0,
            oom_kills: None,
        }
    }

    /// One run, from a main child that lives to the end of its drain.
    fn drain(&mut self, child: Started) {
        *self = Supervisor {
            state: State::Running,
            main: child.pid,
            has_terminal: child.has_terminal,
            oom_kills: child.oom_kills,
            ..Supervisor::new(self.config)
        };
        self.say(Level::Doing, "start", |line| _ = line.text("started main child ").pid(child.pid));
        while self.state != State::Over {
            let wake = signals::wait(self.next_wake());
            self.collect(wake);
            if let Wake::Signal(signal, from) = wake {
                self.signal(signal, from);
            }
            self.time();
        }
        self.drain_ended = sys::now();
    }

    /// The time between two runs: whether it went by without a stop signal. A
    /// stop that is pending is taken even where there is no time to wait.
    fn pause(&mut self, until: Time) -> bool {
        let length = until - sys::now();
        // Not the delay of a job that ends well many times a second.
        if length >= Time::millis(500) && until != Time::NEVER {
            self.say(Level::Doing, "pause", |line| _ = line.text("next run in ").duration(length));
        }
        while !self.stopped {
            let wake = signals::wait((until != Time::NEVER).then_some(until));
            self.collect(wake);
            match wake {
                Wake::Signal(signal, from) => self.signal(signal, from),
                Wake::Deadline => return true,
            }
        }
        false
    }

    fn next_wake(&self) -> Option<Time> {
        let deadline = self.config.policy.deadline(self.state).unwrap_or(Time::NEVER);
        let at = deadline.min(self.next_progress).min(self.sweep_at);
        (at != Time::NEVER).then_some(at)
    }

    /// Exits go before signals: whatever woke us, nothing is then forwarded to
    /// a main child that is known to be dead. (To one that is not, it is to a
    /// zombie.) Of what a SIGCHLD says only the pid is used.
    fn collect(&mut self, wake: Wake) {
        let lived = self.main_status.is_none();
        if let Wake::Signal(Signal::CHLD, pid) = wake {
            reap::one(pid, |pid, status| self.reaped(pid, status));
        }
        // Among thousands of living children sweeps are dear: they get a tenth
        // of the time at most, and one that is put off is made up for then. A
        // reaped orphan then costs 0.3 of what tini pays (benches: 5,000 live).
        // Bounded, for a look is long also where we were frozen in it.
        let lives = self.state == State::Running && self.main_status.is_none();
        if lives && sys::now() < self.rest_until {
            self.sweep_at = self.rest_until;
            return;
        }
        let look = reap::all(|pid, status| self.reaped(pid, status));
        self.sweep_at = Time::NEVER;
        self.rest_until = sys::now() + look.unwrap_or_default().times(9).min(Time::millis(100));
        self.childless = look.is_none();
        if self.childless {
            self.handle(Event::Childless);
        } else if lived && self.main_status.is_some() {
            self.handle(Event::MainGone);
        }
        if let State::Killed { .. } = self.state {
            // Whoever was born while we killed.
            self.kill();
        }
    }

    fn reaped(&mut self, pid: Pid, status: WaitStatus) {
        let is_main = pid == self.main && self.main_status.is_none();
        if let Some(signal) = status.stopped() {
            if is_main {
                self.stop_too(Signal(signal as u8));
            }
            return;
        }
        if is_main {
            self.main_status = Some(status);
            if self.has_terminal {
                child::take_terminal_back(pid);
            }
            if status.signal() == Some(Signal::KILL.0.into())
                && !matches!(self.state, State::Killed { .. })
            {
                self.say_killed_by_somebody_else();
            }
            self.say(Level::Doing, "main", |line| {
                report::ended(line.text("main child ").pid(pid).text(" "), Some(status));
            });
        } else {
            let level = if self.config.say_orphans { Level::Warning } else { Level::Detail };
            self.say(level, "orphan", |line| {
                report::ended(line.text("reaped orphan ").pid(pid).text(", which "), Some(status));
            });
        }
    }

    /// The main child was stopped by its terminal (Ctrl-Z; a read or write from
    /// the background): so are we, for the shell that started us waits for us
    /// and not for it. By the same signal, which the kernel drops where nobody
    /// could continue us; but it drops a pending SIGCONT with it, and that may
    /// be for the main child. So only where there is a shell.
    fn stop_too(&mut self, signal: Signal) {
        let by_terminal = [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&signal);
        if by_terminal && child::has_shell_above() {
            self.suspended = true;
            send::to_our_group(signal);
            signals::undergo(signal);
        }
    }

    /// `fg` or `bg` continued us: now for the group that Ctrl-Z had stopped.
    fn continued(&mut self) {
        self.has_terminal |= child::hand_terminal_over(self.main);
        if std::mem::take(&mut self.suspended) {
            let _ = send::to_group(self.main, Signal::CONT);
        }
    }

    fn signal(&mut self, signal: Signal, from: Pid) {
        if signal == Signal::CHLD {
            return;
        }
        if signal == Signal::CONT && self.main_status.is_none() {
            self.continued();
        }
        self.say(Level::Doing, "signal", |line| {
            signal.write(line.text("received "));
            // The kernel (a terminal), or somebody outside our PID namespace.
            if from.as_raw() != 0 {
                line.text(" from pid ").pid(from);
            }
        });
        let Some(rewritten) = self.config.rewritten(signal) else {
            return self
                .say(Level::Doing, "drop", |line| _ = line.text("dropped it, by --rewrite"));
        };
        if self.config.is_stop(signal) {
            self.stopped = true;
            self.handle(Event::Stop(rewritten));
        } else {
            self.handle(Event::Other(rewritten));
        }
    }

    /// Whatever is due by now, each step once.
    fn time(&mut self) {
        while self.config.policy.deadline(self.state).is_some_and(|at| at <= sys::now()) {
            self.handle(Event::Time);
        }
        if self.next_progress <= sys::now() {
            self.say_progress();
        }
    }

    fn handle(&mut self, event: Event) {
        let before = self.state;
        let (state, action) = self.config.policy.next(before, event, sys::now());
        self.state = state;
        if before == State::Running && state != State::Running {
            self.drain_begins(event);
        }
        match action {
            Action::Nothing => {
                if matches!(event, Event::Stop(_) | Event::Other(_)) && state == before {
                    self.say(Level::Doing, "nobody", |line| _ = line.text("nobody is told"));
                }
            }
            Action::Send(signal, target) => self.send(signal, target),
            Action::Ask => self.ask(),
            Action::Kill => {
                self.say(Level::Doing, "deadline", |line| {
                    _ = line.text("the grace period is over")
                });
                self.kill();
            }
        }
    }

    fn drain_begins(&mut self, event: Event) {
        self.drain_began = sys::now();
        if self.names_finished() && event != Event::Childless {
            self.below();
        }
        if self.report.hears(Level::Doing) {
            self.next_progress = self.drain_began + PROGRESS;
        }
    }

    /// Only for who asked for it: it costs a walk over /proc at every stop.
    fn names_finished(&self) -> bool {
        self.report.hears(Level::Doing) || self.config.termination_log.is_some()
    }

    fn send(&mut self, signal: Signal, target: Target) {
        self.say(Level::Doing, "send", |line| {
            signal.write(line.text("sending "));
            line.text(" to ").text(target.meaning());
        });
        let main_lives = self.main_status.is_none();
        // Read before: who started before this is then asked for certain.
        let at = sys::boot_ticks();
        let result = match target {
            Target::Main if main_lives => send::to_child(self.main, signal),
            Target::Group if main_lives => send::to_group(self.main, signal),
            Target::Main | Target::App if !main_lives => return,
            Target::Main | Target::App | Target::Group | Target::All | Target::Leaves => {
                return self.send_each(signal, target);
            }
        };
        if signal == Signal::TERM {
            self.asked.main = true;
            if target == Target::Group {
                self.asked.group = Some(at);
            }
        }
        self.say_error(signal, self.main, result);
    }

    /// To those of our descendants that the target means, one by one.
    fn send_each(&mut self, signal: Signal, target: Target) {
        let list = match (self.below(), target) {
            (Some(list), Target::App) => tree::app(&list, self.main, Process::is_shell),
            (list, _) => list,
        };
        let Some(list) = list else {
            return self.send_blindly(signal, target);
        };
        for process in list.iter().filter(|process| !process.zombie) {
            let meant = match target {
                Target::Main | Target::App | Target::All => true,
                Target::Group => process.group == self.main,
                Target::Leaves => process.leaf && !self.was_asked(process, false),
            };
            if meant {
                self.send_one(signal, process);
            }
        }
    }

    fn ask(&mut self) {
        let Some(list) = self.below() else {
            return self.send_blindly(Signal::TERM, Target::All);
        };
        for process in list.iter().filter(|process| !process.zombie) {
            if !self.was_asked(process, true) {
                self.send_one(Signal::TERM, process);
            }
        }
    }

    fn send_one(&mut self, signal: Signal, process: &Process) {
        self.say(Level::Doing, "send", |line| {
            signal.write(line.text("sending "));
            Who::new(process).write(line.text(" to "));
        });
        if signal == Signal::TERM {
            let _ = sys::push(&mut self.asked.others, *process);
        }
        let result = send::to_process(process, signal);
        self.say_error(signal, process.pid, result);
    }

    /// Without /proc nobody can be named but the main child and its group, and
    /// that only while a child of ours is in it: else its number may be anybody's.
    fn send_blindly(&self, signal: Signal, target: Target) {
        self.say(Level::Doing, "no-proc", |line| _ = line.text("cannot name anybody in /proc"));
        let result = match target {
            Target::App => send::to_child(self.main, signal),
            _ if reap::has_child_in(self.main) => send::to_group(self.main, signal),
            _ => Err(Errno::ESRCH),
        };
        self.say_error(signal, self.main, result);
    }

    /// `same_tick` is the answer for a member of the group that started in the
    /// clock tick in which the group was asked: before or after, /proc cannot
    /// tell. Not to ask twice, it counts as asked while there is time; the last
    /// call takes no chance.
    fn was_asked(&self, process: &Process, same_tick: bool) -> bool {
        let is_main = process.pid == self.main && self.main_status.is_none();
        let with_group = |at| process.start < at || (same_tick && process.start == at);
        (is_main && self.asked.main)
            || (process.group == self.main && self.asked.group.is_some_and(with_group))
            || self.asked.others.iter().any(|other| other.is(process))
    }

    /// Kills until nobody new is found: what forks while we kill is found by
    /// the next look. Bounded; a fork bomb is left to the end of the namespace.
    fn kill(&mut self) {
        for _ in 0..16 {
            let Some(list) = tree::descendants() else {
                return self.kill_blindly();
            };
            let before = self.kills;
            for process in list.iter().filter(|process| !process.zombie) {
                self.kill_one(process);
            }
            if self.kills == before {
                return;
            }
        }
    }

    fn kill_one(&mut self, process: &Process) {
        let mut done = self.killed.iter().chain(&self.spared);
        if done.any(|other| other.is(process)) {
            return;
        }
        let named = self.killed_by_name.len() < report::NAMED;
        let who = named.then(|| Who::new(process));
        match send::to_process(process, Signal::KILL) {
            Ok(()) => {
                self.kills += 1;
                let _ = sys::push(&mut self.killed, *process);
                let _ = who.map(|who| sys::push(&mut self.killed_by_name, who));
            }
            Err(Errno::ESRCH) => {}
            // Another user's, where we are not root.
            Err(error) => {
                let _ = sys::push(&mut self.spared, *process);
                self.say(Level::Warning, "not-killed", |line| {
                    Who::new(process).write(line.text("cannot kill "));
                    line.text(": ").text(error.desc());
                });
            }
        }
    }

    fn kill_blindly(&mut self) {
        if self.kills == 0 {
            self.kills = 1;
            self.say(Level::Warning, "no-proc", |line| {
                line.text("killing the process group of main child ").pid(self.main);
                line.text("; without /proc nobody else can be named");
            });
            self.send_blindly(Signal::KILL, Target::Group);
        }
    }

    /// Our descendants, entered into the ledger.
    fn below(&mut self) -> Option<Vec<Process>> {
        let list = tree::descendants()?;
        for process in list.iter().filter(|process| !process.zombie) {
            let known = self.ledger.iter().any(|who| who.process.is(process));
            if process.pid != self.main && !known && self.ledger.len() < LEDGER {
                let _ = sys::push(&mut self.ledger, Who::new(process));
            }
        }
        Some(list)
    }

    /// The main child's, after `--success-code`.
    fn main_code(&self) -> u8 {
        // Without a status SIGKILL could not end it: what it would have been.
        let status = self.main_status.unwrap_or(WaitStatus::ended_by(Signal::KILL.0));
        self.config.mapped(status.exit_code())
    }

    /// The last words, and the exit code.
    fn farewell(&mut self, history: History) -> u8 {
        let killed = self.config.killed_exit_code.filter(|_| self.kills > 0);
        let exit_code = killed.unwrap_or(self.main_code());
        let more = self.ledger.len() == LEDGER;
        let mut left = Vec::new();
        if !self.childless {
            let alive = tree::descendants().unwrap_or_default();
            let is_killed = |who: &Process| self.killed.iter().any(|other| other.is(who));
            for process in alive.iter().filter(|process| !process.zombie && !is_killed(process)) {
                let _ = sys::push(&mut left, Who::new(process));
            }
        }
        let among = |list: &[Process], who: &Who| list.iter().any(|other| other.is(&who.process));
        self.ledger.retain(|who| {
            !among(&self.killed, who) && !left.iter().any(|other| other.process.is(&who.process))
        });
        self.report.summary(&Summary {
            main: self.main,
            main_status: self.main_status,
            finished: self.names_finished().then_some(&self.ledger),
            more,
            killed: &self.killed_by_name,
            kills: self.kills,
            left: &left,
            took: self.drain_ended - self.drain_began,
            history: (self.config.restart.when != When::No).then_some(history),
            stopped: self.stopped,
            exit_code,
        });
        exit_code
    }

    fn say(&self, level: Level, event: &str, write: impl FnMut(&mut Line)) {
        self.report.say(level, event, write);
    }

    /// ESRCH is no error: it was quicker. EPERM is a process that changed its
    /// user, where we are not root; tini ends over it.
    fn say_error(&self, signal: Signal, pid: Pid, result: Result<(), Errno>) {
        match result {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => self.say(Level::Doing, "error", |line| {
                signal.write(line.text("cannot send "));
                line.text(" to pid ").pid(pid).text(": ").text(error.desc());
            }),
        }
    }

    fn say_progress(&mut self) {
        self.next_progress = sys::now() + PROGRESS;
        let Some(list) = self.below() else { return };
        self.say(Level::Doing, "progress", |line| {
            let left = || list.iter().filter(|process| !process.zombie);
            line.number(left().count() as u64).text(" left");
            if let Some(deadline) = self.config.policy.schedule.grace() {
                let end = self.drain_began + deadline;
                line.text(", ").number((end - sys::now()).as_seconds()).text("s to the deadline");
            }
            for (n, process) in left().take(5).enumerate() {
                Who::new(process).write(line.text(if n == 0 { ": " } else { ", " }));
            }
        });
    }

    fn say_killed_by_somebody_else(&self) {
        self.say(Level::Warning, "main-killed", |line| {
            line.text("main child ")
                .pid(self.main)
                .text(" was ended by SIGKILL, and not by drainit; ");
            match (self.oom_kills, cgroup::oom_kills()) {
                (Some(before), Some(after)) if after > before => {
                    line.text("the cgroup's oom_kill count went up from ").number(before);
                    line.text(" to ").number(after).text(": out of memory");
                }
                (Some(_), Some(_)) => _ = line.text("the cgroup's oom_kill count did not go up"),
                _ => _ = line.text("the cgroup's oom_kill count cannot be read"),
            }
        });
    }
}
