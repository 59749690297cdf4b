//! The loop: wait for a signal or a deadline, forward, collect who ended, let the
//! policy decide, act. One thread, no wake-up while idle. Nothing in here panics or
//! returns early while the main child lives.

use nix::unistd::{Pid, getpid};

use crate::config::{Config, OWN_FAILURE};
use crate::family::{Family, Purpose, say_orphan};
use crate::kernel::signals::{Sender, Wake};
use crate::kernel::spawn::{Command, Started};
use crate::kernel::wait::Sweep;
use crate::kernel::{clock, file, signals, wait};
use crate::ledger::{Fate, Row};
use crate::policy::drain::{Action, Event, Leftovers, REAPING, State};
use crate::policy::restart::{End, History, Run, When};
use crate::policy::schedule::Target;
use crate::report::{Reporter, event};
use crate::summary::{self, Summary};
use crate::text::bytes::c_string;
use crate::text::signal::Signal;
use crate::text::status::WaitStatus;
use crate::text::time::Time;

/// A stop that lasts this long is said; at -v it is said this often.
const PATIENCE: Time = Time::seconds(5);
/// Of the time, sweeps among the living get this part at most.
const REST: u64 = 9;
/// A sweep that is put off is made up for after this at the latest: a look is long,
/// too, where we were frozen in it.
const LONGEST_REST: Time = Time::millis(100);
/// One in so many sweeps is timed, and each from one that is slow on.
const SAMPLED: u32 = 64;
/// A pause that a person would notice.
const NOTICED: Time = Time::millis(500);

/// Runs the command until it and all that it left are gone; the exit code.
pub fn run(config: &Config, mut command: Command, descriptors: file::Inherited) -> u8 {
    let report = Reporter { config };
    // A later run is to have them as well, and the folder we stand in.
    let mut inherited = Some(descriptors).filter(|_| config.restart.when == When::No);
    let mut history = History::default();
    loop {
        let started = restarts_clock(config);
        let (end, mut drain) = match command.start() {
            Ok(child) => {
                if let Some(descriptors) = inherited.take() {
                    descriptors.close();
                    let _ = nix::unistd::chdir(c_string!("/"));
                }
                let mut drain = Drain::new(config, &child);
                drain.wait_for_all();
                (drain.end(), Some(drain))
            }
            Err(failure) => {
                let code = report.not_started(command.name(), failure);
                if history.runs == 0 {
                    return code;
                }
                // A deploy that replaces the file: a failure like any other.
                (End::NotStarted(WaitStatus::exited(code)), None)
            }
        };
        let run = Run { started, ended: restarts_clock(config), end };
        let (after, next) = config.restart.after(history, run);
        history = after;
        if let Some(drain) = &mut drain {
            drain.say_losses();
            if next.is_none() || drain.family.somebody_was_killed() {
                drain.farewell(history);
            }
        }
        say_failure(&report, run, history, next);
        if next.is_none_or(|start| !pause(&report, start)) {
            if let Some(drain) = drain.as_mut().filter(|drain| !drain.said) {
                // In the pause after it.
                drain.stopped = true;
                drain.farewell(history);
            }
            let code = match (&drain, end) {
                (Some(drain), _) => drain.exit_code(),
                (None, End::NotStarted(status)) => config.exit_code(Some(status), false),
                (None, _) => OWN_FAILURE,
            };
            // What goes with the process is not freed before it.
            std::mem::forget(drain);
            return code;
        }
    }
}

/// Without further runs nobody asks how long this one took.
fn restarts_clock(config: &Config) -> Time {
    if config.restart.when == When::No { Time::ZERO } else { clock::now() }
}

/// catatonit's -P: nothing but reaping, until a stop signal.
pub fn reap_until_stopped(config: &Config) -> u8 {
    pause(&Reporter { config }, Time::NEVER);
    0
}

/// The time between two runs: whether it went by without a stop signal. A stop that
/// is pending is taken even where there is no time to wait.
fn pause(report: &Reporter, until: Time) -> bool {
    let length = until - clock::now();
    // Not the delay of a job that ends well many times a second.
    if length >= NOTICED && until != Time::NEVER {
        report.say(event::PAUSE, |line| _ = line.put("next run in ").put(length.rounded()));
    }
    let reaped = |pid: Pid, status: WaitStatus| say_orphan(report, pid, status);
    let stops = |signal: Signal| {
        report.config.stop.holds(signal) && report.config.rewritten(signal).is_some()
    };
    let mut sweep = Sweep::Done;
    loop {
        let next = if sweep == Sweep::Cut { Time::ZERO } else { until };
        match signals::wait(next) {
            Wake::Deadline if sweep == Sweep::Cut => {}
            Wake::Deadline => return true,
            Wake::Signal(signal, _) => {
                report.say(event::SIGNAL, |line| _ = line.put("received ").put(signal));
                if stops(signal) {
                    return false;
                }
            }
            Wake::Child(pid) => wait::one(pid, reaped),
        }
        sweep = wait::all(true, reaped).0;
    }
}

/// A container that crash-loops in silence is worse than one that crashes.
fn say_failure(report: &Reporter, run: Run, history: History, next: Option<Time>) {
    let status = match run.end {
        End::Failure(status) => Some(status),
        End::NotStarted(_) => None,
        End::Success | End::Stopped | End::LeftSomebody => return,
    };
    if report.config.restart.when == When::No {
        return;
    }
    report.say(event::RUN_FAILED, |line| {
        line.put("run ").put(history.runs).put(" failed: it ");
        match status {
            Some(status) => line.put(status).put(" after ").put(run.ended - run.started),
            None => line.put("was not started"),
        };
        line.put("; ").put(history.in_a_row).put(" in a row; ");
        match next {
            Some(start) => line.put("next run in ").put(start - run.ended),
            None => line.put("the last one"),
        };
    });
}

/// One run, from a main child that lives to the end of its drain.
struct Drain<'a> {
    config: &'a Config,
    report: Reporter<'a>,
    family: Family<'a>,
    state: State,
    /// The clock as it was last read: once for each wake-up.
    now: Time,
    /// A stop signal came: no further run.
    stopped: bool,
    childless: bool,
    /// The deadline came.
    killed: bool,
    /// What the OOM killer's count rose by.
    oom_kills: u64,
    /// The last words were said.
    said: bool,
    sweeps: u32,
    /// No sweep is needed before this, after a slow one; one is due at that time.
    rest_until: Time,
    sweep_at: Time,
    began: Time,
    ended: Time,
    say_at: Time,
    /// The last call began.
    called: bool,
    said_no_stop_signal: bool,
}

impl<'a> Drain<'a> {
    fn new(config: &'a Config, child: &Started) -> Drain<'a> {
        let report = Reporter { config };
        Drain {
            config,
            report,
            family: Family::new(report, child),
            state: State::Running,
            now: Time::ZERO,
            stopped: false,
            childless: false,
            killed: false,
            oom_kills: 0,
            said: false,
            sweeps: 0,
            rest_until: Time::ZERO,
            sweep_at: Time::NEVER,
            began: Time::ZERO,
            ended: Time::ZERO,
            say_at: Time::NEVER,
            called: false,
            said_no_stop_signal: false,
        }
    }

    fn wait_for_all(&mut self) {
        // Who became a zombie before we were there wakes nobody.
        self.sweep(true);
        while self.state != State::Over {
            let wake = signals::wait(self.next_wake());
            // A signal that is to be forwarded goes first: to a main child that has
            // ended it goes as to a zombie.
            if let Wake::Signal(signal, sender) = wake {
                self.signal(signal, sender);
            }
            // While nothing depends on it the clock is not read.
            if self.state != State::Running || self.rest_until > Time::ZERO {
                self.now = clock::now();
            }
            self.collect(wake);
            self.time();
        }
        self.ended = self.now;
    }

    fn next_wake(&self) -> Time {
        let deadline = self.config.policy.deadline(self.state).unwrap_or(Time::NEVER);
        deadline.min(self.say_at).min(self.sweep_at)
    }

    /// Of what a SIGCHLD says only the pid is used. A signal may stand before a
    /// SIGCHLD in the queue for as long as somebody sends it, so that every wake-up
    /// collects.
    fn collect(&mut self, wake: Wake) {
        self.family.decided();
        let (family, killing) = (&mut self.family, is_killing(self.state));
        let lived = family.main.lives();
        if let Wake::Child(pid) = wake {
            wait::one(pid, |pid, status| family.reaped(pid, status, killing));
        }
        // Among thousands of living children sweeps are dear: they get a tenth of the
        // time, and one that is put off is made up for then. A reaped orphan then
        // costs 0.3 of what tini pays (benches: 5,000 live). What the end of the main
        // child means does not wait: that depends on whether others are left.
        if self.now >= self.rest_until || lived != family.main.lives() {
            self.sweep(lived);
        } else {
            self.sweep_at = self.sweep_at.min(self.rest_until);
        }
    }

    /// `lived`: so did the main child when we woke.
    fn sweep(&mut self, lived: bool) {
        let (family, killing) = (&mut self.family, is_killing(self.state));
        self.sweeps = self.sweeps.wrapping_add(1);
        let timed = self.rest_until > Time::ZERO || self.sweeps % SAMPLED == 0;
        let (sweep, slow) = wait::all(timed, |pid, status| family.reaped(pid, status, killing));
        let main_went = lived && !family.main.lives();
        match sweep {
            Sweep::Childless => {
                self.childless = true;
                self.family.ledger.rows_mut().for_each(Row::gone);
                return self.handle(Event::Childless);
            }
            Sweep::Done => {
                self.sweep_at = Time::NEVER;
                self.rest_until = Time::ZERO;
                self.family.settled();
            }
            Sweep::Cut => {
                self.sweep_at = Time::ZERO;
                self.rest_until = self.rest_until.min(self.now);
            }
        }
        if slow > Time::ZERO {
            self.rest_until = clock::now() + slow.times(REST).min(LONGEST_REST);
            self.sweep_at = self.sweep_at.max(self.rest_until);
        }
        if main_went {
            if self.state == State::Running {
                self.now = clock::now();
            }
            self.handle(Event::MainGone);
        }
        let helpers = matches!(self.state, State::Draining { helpers: true, .. });
        if helpers && self.family.application_is_gone() {
            self.handle(Event::ApplicationGone);
        }
        // Whoever was born while we killed. As PID 1 leaving ends them.
        if is_killing(self.state) && getpid().as_raw() != 1 {
            self.family.kill();
        }
    }

    fn signal(&mut self, signal: Signal, sender: Sender) {
        if signal == Signal::CONT {
            self.family.continued();
        }
        self.family.heard(signal, sender == Sender::Kernel);
        self.report.say(event::SIGNAL, |line| {
            line.put("received ").put(signal);
            match sender {
                Sender::Process(pid) => line.put(" from pid ").put(pid),
                Sender::Outside => line.put(" from outside"),
                Sender::Kernel => line.put(" from the kernel"),
            };
        });
        let Some(rewritten) = self.config.rewritten(signal) else {
            return self.report.say(event::DROP, |line| _ = line.put("dropped it, by --rewrite"));
        };
        if self.config.stop.holds(signal) {
            self.stopped = true;
            self.now = clock::now();
            self.handle(Event::Stop(rewritten));
            // The first step is due at once.
            self.time();
        } else {
            self.handle(Event::Other(rewritten));
            self.say_no_stop_signal(signal, sender);
        }
    }

    /// What images have for a STOPSIGNAL. As a stop signal by default it would end a
    /// JVM at a thread dump; so it is passed on, and said once.
    fn say_no_stop_signal(&mut self, signal: Signal, sender: Sender) {
        let from_engine = sender == Sender::Outside && getpid().as_raw() == 1;
        let begun = self.state != State::Running || self.said_no_stop_signal;
        if begun || !from_engine || !Signal::STOPSIGNALS.contains(&signal) {
            return;
        }
        self.said_no_stop_signal = true;
        self.report.say(event::NO_STOP_SIGNAL, |line| {
            line.put("passed ").put(signal).put(" on, and no stop began; if it is the image's ");
            line.put("STOPSIGNAL: --stop-signal ").put(signal.short()).put(",TERM,INT");
        });
    }

    /// Whatever is due by now, each step once.
    fn time(&mut self) {
        while self.config.policy.deadline(self.state).is_some_and(|at| at <= self.now) {
            self.handle(Event::Time);
        }
        if self.say_at <= self.now {
            self.say_waiting();
            let again = self.report.hears(event::SIGNAL);
            self.say_at = if again { self.now + PATIENCE } else { Time::NEVER };
        }
    }

    fn say_waiting(&mut self) {
        let schedule = &self.config.policy.schedule;
        self.family.say_waiting(self.now - self.began, schedule.last_call(), schedule.grace());
    }

    fn handle(&mut self, event: Event) {
        let before = self.state;
        let (state, action) = self.config.policy.next(before, event, self.now);
        self.state = state;
        if before == State::Running && state != State::Running {
            self.began = self.now;
            if state != State::Over {
                self.say_at = self.now + PATIENCE;
                self.family.drain_begins(self.began);
            }
        }
        match action {
            Action::Nothing => {
                if matches!(event, Event::Stop(_) | Event::Other(_)) && state == before {
                    self.report.say(event::NOBODY, |line| _ = line.put("nobody is told"));
                }
            }
            Action::Send(signal, target) => self.send(signal, target, event),
            Action::Ask => self.family.ask(),
            Action::AskHelpers => self.family.ask_helpers(),
            Action::Kill => {
                self.killed = true;
                self.say_at = Time::NEVER;
                self.report.say(event::DEADLINE, |line| _ = line.put("the grace period is over"));
                self.family.kill();
                // That may have taken longer than they are given to be reaped.
                self.state = State::Killed { until: clock::now() + REAPING };
            }
        }
    }

    fn send(&mut self, signal: Signal, target: Target, event: Event) {
        // By a schedule's own signal is asked whom that would end: TSTP makes a
        // Sidekiq quiet.
        let stops = matches!(event, Event::Stop(_))
            || !self.config.policy.schedule.by_hand
            || self.config.stop.holds(signal)
            || [Signal::TERM, Signal::QUIT].contains(&signal);
        let purpose = match (event, target) {
            (Event::Other(_), _) => Purpose::Forward,
            (_, Target::Tops | Target::Leaves) => Purpose::LastCall,
            _ if stops => Purpose::Stop,
            _ => Purpose::Forward,
        };
        let called = purpose == Purpose::LastCall && !std::mem::replace(&mut self.called, true);
        if called && self.now - self.began >= PATIENCE {
            self.say_waiting();
        }
        self.family.send(signal, target, purpose);
    }

    /// How the run ended, for the restart policy.
    fn end(&self) -> End {
        let status = self.family.main.status;
        match status {
            _ if self.stopped || self.family.main.was_interrupted() => End::Stopped,
            // Never two at once, not even beside one that SIGKILL does not end.
            _ if !self.childless => End::LeftSomebody,
            Some(status) if self.config.mapped(status.exit_code()) != 0 => End::Failure(status),
            Some(_) | None => End::Success,
        }
    }

    fn exit_code(&self) -> u8 {
        let killed = self.family.somebody_was_killed();
        self.config.exit_code(self.family.main.status, killed)
    }

    /// What was lost in this run.
    fn say_losses(&mut self) {
        if !self.childless && !self.killed {
            // Who is left is who is left now.
            self.family.look();
        }
        self.oom_kills = self.family.oom_kills();
        self.family.say_oom(self.oom_kills);
        summary::say_cut(&self.family.ledger, &self.report);
    }

    /// The last words.
    fn farewell(&mut self, history: History) {
        self.said = true;
        let family = &self.family;
        let end_with_us = family.uncounted && getpid().as_raw() == 1;
        Summary {
            main: family.main.pid,
            main_status: family.main.status,
            by_forwarded: family.main.was_ended_by_forwarded(),
            ledger: &family.ledger,
            complete: family.complete,
            uncounted: family.uncounted,
            hidden: !self.childless
                && !end_with_us
                && self.config.policy.leftovers != Leftovers::Leave
                && family.main.status.is_some()
                && family.ledger.count(Fate::Left) + family.ledger.count(Fate::Killed) == 0,
            took: self.ended - self.began,
            stopped: self.stopped,
            oom_kills: self.oom_kills,
            history: (self.config.restart.when != When::No).then_some(history),
            exit_code: self.exit_code(),
        }
        .say(&self.report);
    }
}

fn is_killing(state: State) -> bool {
    matches!(state, State::Killed { .. })
}
