//! The main child and all below it: who is told, asked, killed. It acts and keeps
//! the ledger; when, and what, the policies say.

use nix::errno::Errno;
use nix::unistd::{Pid, getpgid, getpid};

use crate::config::Config;
use crate::kernel::cgroup::OomKills;
use crate::kernel::spawn::Started;
use crate::kernel::terminal::{self, Terminal};
use crate::kernel::{clock, kill, memory, proc, signals, wait};
use crate::ledger::{Asked, Fate, Ledger, Row};
use crate::policy::application::{self, Role, Sight, Stream};
use crate::policy::drain::Leftovers;
use crate::policy::relay::Relay;
use crate::policy::restart::When;
use crate::policy::schedule::Target;
use crate::report::{Reporter, event};
use crate::text::bytes::{after, before};
use crate::text::number::number;
use crate::text::process::{Process, Status};
use crate::text::signal::{Signal, Signals};
use crate::text::status::WaitStatus;
use crate::text::time::Time;
use crate::tree::Tree;

pub struct Family<'a> {
    config: &'a Config,
    report: Reporter<'a>,
    pub main: MainChild,
    pub ledger: Ledger,
    pub oom: Option<OomKills>,
    /// Everybody was looked at when the drain began.
    pub complete: bool,
    /// The deadline: nobody is looked at or told any more.
    until: Time,
    /// They were killed and not looked at before.
    pub uncounted: bool,
    /// The look with which the drain began, for the asking that follows at once.
    fresh: Option<Tree>,
    /// Its end was said to be the OOM killer's.
    said_oom: bool,
    /// A signal that the terminal has sent to the main child already.
    heard: Option<Signal>,
    said_unseen: bool,
}

/// The process that drainit started. Until we reap it, that is until it has a
/// status, its number is its own.
pub struct MainChild {
    pub pid: Pid,
    pub status: Option<WaitStatus>,
    terminal: Terminal,
    stopped: bool,
    /// We stopped because it was stopped.
    suspended: bool,
    sent: Signals,
    asked: bool,
    /// It was sent what would end it, and whether it was stopped is not known yet.
    unsettled: bool,
}

/// Why a signal is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To end: whoever has it is asked.
    Stop,
    /// The same, to who was asked by nobody before.
    LastCall,
    /// Somebody else's, passed on.
    Forward,
}

impl MainChild {
    pub fn lives(&self) -> bool {
        self.status.is_none()
    }

    fn sent(&mut self, signal: Signal, purpose: Purpose) {
        self.sent = self.sent.and(signal);
        self.asked |= purpose != Purpose::Forward;
        self.unsettled |= continues(signal);
    }

    /// It stays in our group, which has no number to signal it by.
    fn shares_our_group(&self) -> bool {
        self.terminal == Terminal::Unnamed
    }

    fn group(&self) -> Pid {
        if self.shares_our_group() { Pid::from_raw(0) } else { self.pid }
    }

    /// Ended by Ctrl-C at its terminal.
    pub fn was_interrupted(&self) -> bool {
        let had_terminal = self.terminal != Terminal::Elsewhere;
        had_terminal && self.status.and_then(WaitStatus::signal) == Some(Signal::INT)
    }

    /// By a signal that came to us and was passed on.
    pub fn was_ended_by_forwarded(&self) -> bool {
        let signal = self.status.and_then(WaitStatus::signal);
        signal.is_some_and(|signal| self.sent.holds(signal) && signal != Signal::KILL)
    }
}

impl<'a> Family<'a> {
    pub fn new(report: Reporter<'a>, started: &Started) -> Family<'a> {
        let main = MainChild {
            pid: started.pid,
            status: None,
            terminal: started.terminal,
            stopped: false,
            suspended: false,
            sent: Signals::NONE,
            asked: false,
            unsettled: false,
        };
        report.say(event::START, |line| _ = line.put("started main child ").put(main.pid));
        Family {
            config: report.config,
            report,
            main,
            ledger: Ledger::default(),
            oom: OomKills::watch(),
            complete: false,
            until: Time::NEVER,
            uncounted: false,
            fresh: None,
            said_oom: false,
            heard: None,
            said_unseen: false,
        }
    }

    // What was collected.

    /// A child of ours ended, stopped or runs on.
    pub fn reaped(&mut self, pid: Pid, status: WaitStatus, killing: bool) {
        let is_main = pid == self.main.pid && self.main.lives();
        if status.stopped().is_some() || status.continued() {
            if is_main {
                self.main.stopped = status.stopped().is_some();
                status.stopped().into_iter().for_each(|signal| self.stop_too(signal));
                // It stopped just before it was signalled: that we learn only now.
                if self.main.stopped && (self.main.asked || self.main.unsettled) {
                    let _ = kill::to_child(pid, Signal::CONT);
                }
            }
        } else if is_main {
            self.main.status = Some(status);
            self.ledger.reaped(pid, status);
            if self.main.terminal == Terminal::Ours {
                terminal::take_back(pid);
            }
            if status.signal() == Some(Signal::KILL) && !killing {
                self.say_killed_by_somebody_else();
            }
            self.report.say(event::MAIN, |line| {
                line.put("main child ").put(pid).put(" ").put(status);
            });
        } else {
            self.ledger.reaped(pid, status);
            say_orphan(&self.report, pid, status);
        }
    }

    /// The main child was stopped by its terminal (Ctrl-Z; a read or write from
    /// the background): so are we, for the shell that started us waits for us
    /// and not for it. By the same signal, which the kernel drops where nobody
    /// could continue us; but it drops a pending SIGCONT with it, and that may
    /// be for the main child. So only where there is a shell.
    fn stop_too(&mut self, signal: Signal) {
        let by_terminal = [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&signal);
        if by_terminal && terminal::has_shell_above() {
            self.main.suspended = true;
            kill::to_our_group(signal);
            signals::undergo(signal);
        }
    }

    /// `fg` or `bg` continued us: now for the group that Ctrl-Z had stopped.
    pub fn continued(&mut self) {
        if !self.main.lives() {
            return;
        }
        let ours = terminal::ours() == Terminal::Ours;
        if ours && !self.main.shares_our_group() && terminal::hand_over(self.main.pid) {
            self.main.terminal = Terminal::Ours;
        }
        if std::mem::take(&mut self.main.suspended) {
            let _ = kill::to_group(self.main.group(), Signal::CONT);
        }
    }

    /// The terminal's signals reach every member of its foreground group: the main
    /// child has this one, if it is in ours.
    pub fn heard(&mut self, signal: Signal, from_terminal: bool) {
        self.heard = Some(signal).filter(|_| from_terminal && self.main.shares_our_group());
    }

    /// All that is known by now was collected.
    pub fn settled(&mut self) {
        self.main.unsettled = false;
    }

    /// What was seen, and what the terminal has sent, is true for one decision.
    pub fn decided(&mut self) {
        self.fresh = None;
        self.heard = None;
    }

    // Whom the policies mean.

    /// The drain begins, by a stop or by the main child's own exit: before anybody
    /// is told, who is there and what each is to the stop.
    pub fn drain_begins(&mut self, began: Time) {
        let policy = &self.config.policy;
        let grace = policy.schedule.grace().filter(|grace| *grace > Time::ZERO);
        self.until = grace.map_or(Time::NEVER, |grace| began + grace);
        let by_role = policy.leftovers == Leftovers::Wait && !policy.schedule.by_hand;
        // Only for who asked for it, or needs it: it costs a walk over /proc.
        if by_role || self.report.hears(event::REPORT) || self.config.termination_log.is_some() {
            let Some(tree) = self.look() else { return };
            self.complete = true;
            if by_role {
                self.assign(&tree);
            }
            let us = getpid();
            self.ledger.rows_mut().for_each(|row| row.alone = row.process.parent == us);
            self.fresh = Some(tree);
            return;
        }
        // Our own children: what a script runs in the background is mostly not one.
        for pid in &proc::children_but(self.main.pid).unwrap_or_default() {
            let process = proc::process(*pid).filter(|process| !process.zombie);
            let row = process.and_then(|process| self.ledger.enter(&process, proc::who));
            row.into_iter().for_each(|row| row.alone = true);
        }
    }

    /// The roles of a look, entered into the ledger.
    fn assign(&mut self, tree: &Tree) {
        let whom = self.config.policy.signal_to;
        let roles = application::roles(tree, self.main_in(tree), whom, &self.eyes());
        for (process, role) in &roles.unwrap_or_default() {
            let row = self.ledger.row(process);
            row.into_iter().for_each(|row| _ = row.role.get_or_insert(*role));
        }
    }

    /// The main child, unless it has ended: the stop may be dequeued before the news
    /// of that.
    fn main_in(&self, tree: &Tree) -> Option<Pid> {
        let main = tree.get(self.main.pid).filter(|main| self.main.lives() && !main.zombie);
        main.map(|main| main.pid)
    }

    /// Whether nobody is left of the application. As soon as the main child is gone,
    /// who is left of it is our own, or below one of it that is: its end wakes us.
    pub fn application_is_gone(&mut self) -> bool {
        let of_it = |role| matches!(role, Some(Role::Application | Role::Guard));
        for row in self.ledger.rows_mut().filter(|row| of_it(row.role) && row.is_alive()) {
            match proc::again(&row.process) {
                Ok(None) => row.gone(),
                Ok(Some(now)) if now.zombie => {}
                Ok(Some(_)) | Err(_) => return false,
            }
        }
        true
    }

    // What is sent.

    pub fn send(&mut self, signal: Signal, target: Target, purpose: Purpose) {
        if clock::is_past(self.until) {
            return;
        }
        let hears = matches!(target, Target::Main | Target::App | Target::Group);
        if self.heard == Some(signal) && hears {
            self.main.asked |= purpose == Purpose::Stop;
            return;
        }
        self.report.say(event::SEND, |line| {
            line.put("sending ").put(signal).put(" to ").put(target.meaning());
        });
        match target {
            Target::Main | Target::App if !self.main.lives() => {}
            Target::Main => self.tell_main(signal, purpose),
            Target::Group if self.main.lives() && !self.main.shares_our_group() => {
                self.tell_group(signal, purpose);
            }
            Target::App => self.tell_application(signal, purpose),
            Target::Group => {
                let group = self.main.group();
                self.tell_each(signal, purpose, |process| process.group == group);
            }
            Target::All => self.tell_each(signal, purpose, |_| true),
            Target::Tops => self.tell_tops(signal, purpose),
            Target::Leaves => self.tell_leaves(signal, purpose),
        }
    }

    fn tell_main(&mut self, signal: Signal, purpose: Purpose) {
        let result = kill::to_child(self.main.pid, signal);
        if result.is_ok() {
            self.main.sent(signal, purpose);
        }
        if self.main.stopped && continues(signal) {
            let _ = kill::to_child(self.main.pid, Signal::CONT);
        }
        self.say_error(signal, self.main.pid, purpose, result);
    }

    fn tell_group(&mut self, signal: Signal, purpose: Purpose) {
        let result = self.signal_group(signal, purpose);
        // It may have left the group that it was started in, and nobody or somebody
        // else may be there.
        if getpgid(Some(self.main.pid)) != Ok(self.main.pid) {
            return self.tell_main(signal, purpose);
        }
        if result.is_ok() {
            self.main.sent(signal, purpose);
        }
        self.say_error(signal, self.main.pid, purpose, result);
    }

    fn signal_group(&mut self, signal: Signal, purpose: Purpose) -> Result<(), Errno> {
        let is_own = purpose != Purpose::Forward || signal == Signal::KILL;
        // Read before: who started before this has it for certain.
        let at = is_own.then(clock::boot_ticks);
        let result = kill::to_group(self.main.pid, signal);
        if self.main.stopped && continues(signal) {
            let _ = kill::to_group(self.main.pid, Signal::CONT);
        }
        if let Some(at) = at.filter(|_| result.is_ok()) {
            self.ledger.sent_to_group(self.main.pid, signal, at);
        }
        result
    }

    fn tell_application(&mut self, signal: Signal, purpose: Purpose) {
        let fresh = self.fresh.take();
        let tree = fresh.or_else(|| self.look());
        let roles = tree.as_ref().and_then(|tree| {
            // It may be there and not be shown.
            tree.get(self.main.pid)?;
            application::roles(tree, self.main_in(tree), Target::App, &self.eyes())
        });
        let Some(roles) = roles else {
            self.say_no_proc();
            return self.tell_main(signal, purpose);
        };
        for (process, role) in &roles {
            match role {
                Role::Application if process.pid == self.main.pid => {
                    self.tell_main(signal, purpose)
                }
                Role::Application => {
                    let row = self.ledger.row(process);
                    row.into_iter().for_each(|row| _ = row.role.get_or_insert(*role));
                    self.tell_one(signal, purpose, process);
                }
                Role::Guard | Role::Helper | Role::Reader | Role::Trapped | Role::Job => {}
            }
        }
    }

    fn tell_each(&mut self, signal: Signal, purpose: Purpose, meant: impl Fn(&Process) -> bool) {
        let Some(tree) = self.look() else {
            return self.tell_without_proc(signal, purpose);
        };
        for process in tree.living().filter(|process| meant(process)) {
            self.tell_one(signal, purpose, process);
        }
    }

    fn tell_tops(&mut self, signal: Signal, purpose: Purpose) {
        let Some(tree) = self.look() else {
            return self.tell_without_proc(signal, purpose);
        };
        let tops =
            application::tops(&tree, |process| self.asked(process) == Asked::Yes, &self.eyes());
        for process in &tops.unwrap_or_default() {
            self.tell_one(signal, purpose, process);
        }
    }

    fn tell_leaves(&mut self, signal: Signal, purpose: Purpose) {
        let Some(tree) = self.look() else {
            return self.tell_without_proc(signal, purpose);
        };
        let mut leaves = Vec::new();
        for process in tree.living() {
            let had_term = |process: &Process| self.had_term(process);
            let late = |process: &Process| self.ledger.asked_late(process);
            if application::is_last(&tree, process, had_term, late, &self.eyes()) {
                let _ = memory::push(&mut leaves, *process);
            }
        }
        for process in &leaves {
            self.tell_one(signal, purpose, process);
        }
    }

    /// SIGTERM to every straggler that has not been asked.
    pub fn ask(&mut self) {
        let Some(tree) = self.look() else {
            return self.tell_without_proc(Signal::TERM, Purpose::Stop);
        };
        for process in tree.living() {
            // Not to ask twice, who was perhaps asked counts as asked while there is
            // time; the last call takes no chance.
            if self.asked(process) == Asked::No {
                self.tell_one(Signal::TERM, Purpose::Stop, process);
            }
        }
    }

    /// SIGTERM to every helper that has not been asked.
    pub fn ask_helpers(&mut self) {
        let waits = |row: &Row| row.role == Some(Role::Helper) && row.is_alive();
        if !self.ledger.rows().any(waits) {
            return;
        }
        let Some(tree) = self.look() else { return };
        let mut told = Vec::new();
        for helper in self.ledger.rows().filter(|row| row.role == Some(Role::Helper)) {
            let top =
                tree.get(helper.process.pid).filter(|top| !top.zombie && top.is(&helper.process));
            let roles = top.and_then(|top| application::helper(&tree, top, &self.eyes()));
            for (process, role) in &roles.unwrap_or_default() {
                if *role == Role::Application && self.ledger.asked(process) == Asked::No {
                    let _ = memory::push(&mut told, *process);
                }
            }
        }
        for process in &told {
            self.tell_one(Signal::TERM, Purpose::Stop, process);
            let row = self.ledger.row(process);
            row.into_iter().for_each(|row| row.role = Some(Role::Helper));
        }
    }

    fn tell_one(&mut self, signal: Signal, purpose: Purpose, process: &Process) {
        if process.pid == self.main.pid && self.main.lives() {
            return self.tell_main(signal, purpose);
        }
        if clock::is_past(self.until) {
            return;
        }
        self.report.say(event::SEND, |line| {
            line.put("sending ").put(signal).put(" to ").put(&proc::who(process));
        });
        let result = kill::to_process(process, signal);
        if result.is_ok() {
            let asks = purpose != Purpose::Forward;
            let row = self.ledger.sent(process, signal, asks, purpose == Purpose::LastCall);
            row.into_iter().for_each(|row| row.alone |= asks && !self.main.lives());
        }
        if process.stopped && continues(signal) {
            let _ = kill::to_process(process, Signal::CONT);
        }
        self.say_error(signal, process.pid, purpose, result);
    }

    fn tell_without_proc(&mut self, signal: Signal, purpose: Purpose) {
        if !clock::is_past(self.until) {
            self.say_no_proc();
            self.tell_group_blindly(signal, purpose);
        }
    }

    /// Without /proc nobody can be named but the main child and its group, and that, once
    /// it is gone, only while a child of ours is in it: else its number may be anybody's.
    fn tell_group_blindly(&mut self, signal: Signal, purpose: Purpose) {
        match (self.main.lives(), self.main.shares_our_group()) {
            (true, true) => self.tell_main(signal, purpose),
            (true, false) => self.tell_group(signal, purpose),
            (false, true) => {}
            (false, false) if wait::has_child_in(self.main.pid) => {
                let result = self.signal_group(signal, purpose);
                self.say_error(signal, self.main.pid, purpose, result);
            }
            (false, false) => {}
        }
    }

    /// Kills until nobody new is found: what forks while we kill is found by the next
    /// look. Bounded, where it cannot keep up with a fork bomb or the CPU is scarce: as
    /// PID 1 that leaves, that is left to the end of the namespace.
    pub fn kill(&mut self) {
        let began = clock::now();
        let is_the_end = getpid().as_raw() == 1 && self.config.restart.when == When::No;
        self.until = if is_the_end { began + KILLING } else { Time::NEVER };
        let mut looked = false;
        while let Some(tree) = self.look() {
            looked = true;
            let mut found = false;
            for process in tree.living() {
                found |= self.kill_one(process);
            }
            if !found || clock::now() - began > KILLING {
                return;
            }
        }
        if !looked && !self.main.sent.holds(Signal::KILL) {
            self.kill_blindly();
        }
    }

    /// Whether it was there to be killed, and was not before.
    fn kill_one(&mut self, process: &Process) -> bool {
        if process.pid == self.main.pid && self.main.lives() {
            if self.main.sent.holds(Signal::KILL) {
                return false;
            }
            self.main.sent = self.main.sent.and(Signal::KILL);
            let result = kill::to_child(process.pid, Signal::KILL);
            if result.is_ok() {
                let _ = self.ledger.enter(process, proc::who);
                self.ledger.sent(process, Signal::KILL, false, false);
            }
            self.say_not_killed(process, result);
            return true;
        }
        let Some(row) = self.ledger.row(process) else { return false };
        if row.refused || row.had_kill() {
            return false;
        }
        let result = kill::to_process(process, Signal::KILL);
        row.refused = result.is_err();
        if result.is_ok() {
            self.ledger.sent(process, Signal::KILL, false, false);
        }
        self.say_not_killed(process, result);
        true
    }

    fn kill_blindly(&mut self) {
        let pid = self.main.pid;
        let is_anybody_told = self.main.lives() || wait::has_child_in(pid);
        self.uncounted = is_anybody_told || getpid().as_raw() == 1;
        self.report.say(event::NOT_KILLED, |line| {
            line.put("killing the process group of main child ").put(pid);
            line.put("; nobody else can be named, without /proc or in time");
        });
        self.tell_group_blindly(Signal::KILL, Purpose::Forward);
        self.main.sent = self.main.sent.and(Signal::KILL);
    }

    /// Whether SIGKILL was sent to anybody but who had ended before.
    pub fn somebody_was_killed(&self) -> bool {
        let signal = self.main.status.and_then(WaitStatus::signal);
        let blindly = self.main.sent.holds(Signal::KILL) && signal == Some(Signal::KILL);
        blindly || self.uncounted || self.ledger.count(Fate::Killed) > 0
    }

    // What is seen.

    /// Our descendants, entered into the ledger. Where another than PID 1 may be
    /// handed what is orphaned while we read, a few times anew; under a storm of
    /// exits the last list has to do.
    pub fn look(&mut self) -> Option<Tree> {
        let us = getpid();
        let mut all = proc::everybody(self.until)?;
        for _ in 0..LOOKS {
            if !Tree::may_lack_somebody(us, &all.list) {
                break;
            }
            all = proc::everybody(self.until)?;
        }
        if all.unseen > 0 && us.as_raw() == 1 && !std::mem::replace(&mut self.said_unseen, true) {
            self.report.say(event::UNSEEN, |line| {
                line.put(all.unseen).put(" in this container cannot be looked at (hidepid?): ");
                line.put("neither asked nor named");
            });
        }
        let tree = Tree::below(us, all.list)?;
        // The main child has a row once we kill it.
        let aside = self.main.lives() && !self.main.sent.holds(Signal::KILL);
        let main = Some(self.main.pid).filter(|_| aside);
        let others = tree.list.iter().filter(|process| Some(process.pid) != main);
        self.ledger.merge(others, proc::who)?;
        Some(tree)
    }

    fn eyes(&self) -> Eyes {
        Eyes { until: self.until }
    }

    fn asked(&self, process: &Process) -> Asked {
        if process.pid == self.main.pid && self.main.lives() {
            return if self.main.asked { Asked::Yes } else { Asked::No };
        }
        self.ledger.asked(process)
    }

    fn had_term(&self, process: &Process) -> bool {
        if process.pid == self.main.pid && self.main.lives() {
            return self.main.sent.holds(Signal::TERM);
        }
        self.ledger.had_term(process)
    }

    // What is said.

    /// Who is waited for, and since when that is known.
    pub fn say_waiting(&mut self, drained: Time, last_call: Option<Time>, deadline: Option<Time>) {
        let tree = self.look();
        if clock::is_past(self.until) {
            return;
        }
        self.report.say(event::WAITING, |line| {
            let Some(tree) = &tree else {
                line.put("waiting; /proc cannot be read to say for whom");
                return;
            };
            line.put("waiting for ")
                .put(tree.living().count())
                .put(" since ")
                .put(drained.rounded());
            for (n, process) in tree.living().take(NAMED).enumerate() {
                line.put(if n == 0 { ": " } else { ", " }).put(&proc::who(process));
                line.put(match self.asked(process) {
                    Asked::Yes => " was asked",
                    Asked::Perhaps => " was perhaps asked",
                    Asked::No => " was not asked",
                });
            }
            for (what, at) in [("last call", last_call), ("SIGKILL", deadline)] {
                if let Some(at) = at.filter(|at| *at > drained) {
                    line.put("; ").put(what).put(" in ").put((at - drained).rounded());
                }
            }
            if deadline.is_none() {
                line.put("; nobody is ever killed");
            }
        });
    }

    fn say_no_proc(&self) {
        if !clock::is_past(self.until) {
            self.report.say(event::NO_PROC, |line| _ = line.put("cannot name anybody in /proc"));
        }
    }

    /// ESRCH is no error: it was quicker. EPERM is a process that changed its
    /// user, where we are not root or lack CAP_KILL; tini ends over it.
    fn say_error(&self, signal: Signal, pid: Pid, purpose: Purpose, result: Result<(), Errno>) {
        let Err(error) = result else { return };
        let asks = purpose != Purpose::Forward;
        let said = if asks { event::NOT_ASKED } else { event::NOT_SENT };
        if error != Errno::ESRCH {
            self.report.say(said, |line| {
                line.put("cannot send ").put(signal).put(" to pid ").put(pid).put(": ");
                line.put(error);
                if error == Errno::EPERM {
                    line.put("; another user's, and we lack CAP_KILL?");
                }
            });
        }
    }

    fn say_not_killed(&self, process: &Process, result: Result<(), Errno>) {
        let Err(error) = result else { return };
        if error != Errno::ESRCH {
            self.report.say(event::NOT_KILLED, |line| {
                line.put("cannot kill ").put(&proc::who(process)).put(": ").put(error);
            });
        }
    }

    /// By how much the OOM killer's count rose since the start.
    pub fn oom_kills(&self) -> u64 {
        let oom = self.oom.as_ref();
        oom.and_then(|oom| Some(oom.now()?.saturating_sub(oom.before))).unwrap_or(0)
    }

    fn say_killed_by_somebody_else(&mut self) {
        let count = self.oom.as_ref().and_then(|oom| Some((oom.before, oom.now()?)));
        self.said_oom = count.is_some_and(|(before, after)| after > before);
        self.report.say(event::MAIN_KILLED, |line| {
            line.put("main child ").put(self.main.pid);
            line.put(" was ended by SIGKILL, and not by drainit; the cgroup's oom_kill count ");
            match count {
                Some((before, after)) if after > before => {
                    line.put("went up from ").put(before).put(" to ").put(after);
                    line.put(": out of memory");
                }
                Some(_) => _ = line.put("did not go up"),
                None => _ = line.put("cannot be read"),
            }
        });
    }

    /// The OOM killer's victims are said, unless the main child's end said it.
    pub fn say_oom(&self, kills: u64) {
        if kills > 0 && !self.said_oom {
            self.report.say(event::OOM, |line| {
                line.put("out of memory: the OOM killer ended ").put(kills);
                line.put(" in this container meanwhile; not the main child");
            });
        }
    }
}

/// An orphan ended; of one that only stopped or runs on nothing is said.
pub fn say_orphan(report: &Reporter, pid: Pid, status: WaitStatus) {
    if status.stopped().is_none() && !status.continued() {
        report.say(event::ORPHAN, |line| {
            line.put("reaped orphan ").put(pid).put(", which ").put(status);
        });
    }
}

/// So many are named in a line.
const NAMED: usize = 5;
/// How often everybody is looked at anew.
const LOOKS: usize = 8;
/// How long killing may go on beyond one look, which itself may be so late beside what
/// it takes for each.
const KILLING: Time = Time::millis(100);

/// A stopped process acts on what asks it to end only once it is continued.
fn continues(signal: Signal) -> bool {
    [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT].contains(&signal)
}

/// What the policies see of a process: /proc, and after a time nothing any more.
pub struct Eyes {
    pub until: Time,
}

impl Sight for Eyes {
    fn relay(&self, process: &Process) -> Option<Relay> {
        if clock::is_past(self.until) {
            return None;
        }
        Relay::of(process.name(), proc::command_line(process.pid, &mut [0; proc::COMMAND_LINE]))
    }

    fn status(&self, process: &Process) -> Option<Status> {
        proc::status(process.pid)
    }

    fn stream(&self, process: &Process, fd: u8) -> Stream {
        let mut buffer = [0; 64];
        let pipe = |name: &[u8]| number(before(after(name, b"pipe:[")?, b"]")?);
        match proc::descriptor(process.pid, fd, &mut buffer) {
            Ok(name) => pipe(name).map_or(Stream::Other, Stream::Pipe),
            Err(Errno::EACCES | Errno::EPERM) => Stream::Unseen,
            Err(_) => Stream::Other,
        }
    }
}
