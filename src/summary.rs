//! The last words of a run: what became of whom, as text and as JSON. Pure but for
//! the saying.

use nix::unistd::Pid;

use crate::ledger::{Fate, Ledger, Row};
use crate::policy::application::Role;
use crate::policy::drain::Leftovers;
use crate::policy::restart::History;
use crate::policy::schedule::Target;
use crate::report::{Reporter, event, stderr};
use crate::text::line::{Line, Writer};
use crate::text::process::Who;
use crate::text::signal::Signal;
use crate::text::status::WaitStatus;
use crate::text::time::Time;

pub struct Summary<'a> {
    pub main: Pid,
    pub main_status: Option<WaitStatus>,
    /// The main child was ended by a signal that we forwarded to it.
    pub by_forwarded: bool,
    pub ledger: &'a Ledger,
    /// Whether everybody was looked at when the drain began: that costs a walk over
    /// /proc, so that without it nobody knows who finished.
    pub complete: bool,
    /// They were killed and not looked at before.
    pub uncounted: bool,
    /// Children are left, and none that /proc shows.
    pub hidden: bool,
    pub took: Time,
    pub stopped: bool,
    /// What the OOM killer's count rose by.
    pub oom_kills: u64,
    pub history: Option<History>,
    pub exit_code: u8,
}

/// So many are named of each fate; the others are counted.
const NAMED: usize = 5;
/// Nobody is named beyond this, so that an object with the longest of names is never
/// cut at a line's 4,096 bytes: what follows them takes less than the rest.
const NAMES_END: usize = 3300;

impl Fate {
    /// In the report, and in its field names.
    fn word(self) -> (&'static str, &'static str) {
        match self {
            Fate::Killed => ("killed", "killed"),
            Fate::Cut => ("cut", "cut"),
            Fate::Left => ("left behind", "left"),
            Fate::Ended => ("ended by another signal", "ended"),
            Fate::Gone => ("gone, reaped by their own parents", "gone"),
            Fate::Finished => ("finished", "finished"),
        }
    }
}

/// Work that nobody else looks after was cut: who started it is not told of its
/// end, so people are.
pub fn say_cut(ledger: &Ledger, report: &Reporter) {
    let alone = |row: &Row| row.alone && row.role != Some(Role::Helper);
    let cut = || ledger.rows().filter(|row| alone(row) && ledger.fate(row) == Fate::Cut);
    let count = cut().count() as u64;
    if count == 0 {
        return;
    }
    report.say(event::CUT, |line| {
        line.put("cut ").put(count).put(" that nobody else looks after");
        names(line, cut().filter_map(|row| Some((row, ledger.name(row)?))), count);
        line.put(match (report.config.policy.signal_to, report.config.policy.leftovers) {
            (Target::Main | Target::App, Leftovers::Wait) => {
                "; a longer --grace leaves them more time"
            }
            (Target::Main | Target::App, _) => "; --leftovers wait leaves jobs to finish",
            _ => "; --signal-to app leaves jobs to finish",
        });
    });
}

impl Summary<'_> {
    /// To stderr if somebody is lost or -v was given. To the termination log if
    /// a stop or a loss is to be told: never beside the message of an application
    /// that ended by itself, or where Kubernetes would else show its last lines.
    pub fn say(&self, report: &Reporter) {
        let leave = report.config.policy.leftovers == Leftovers::Leave;
        let killed = self.uncounted || self.ledger.count(Fate::Killed) > 0;
        let left = self.hidden || self.ledger.count(Fate::Left) > 0;
        let lost = killed || (left && !leave);
        let oom = self.oom_kills > 0 && self.main_status.is_some_and(|s| s.signal().is_some());
        let said = lost || report.hears(event::REPORT);
        let logged = lost || self.stopped || self.by_forwarded || oom;
        if said || logged {
            self.write(report, said, logged);
        }
    }

    #[cold]
    #[inline(never)]
    fn write(&self, report: &Reporter, said: bool, logged: bool) {
        let mut line: Line = Line::new();
        if report.config.json {
            self.json(report, &mut line)
        } else {
            self.text(report, &mut line)
        }
        if said {
            stderr(&line);
        }
        if logged {
            report.log(&line);
        }
    }

    fn text(&self, report: &Reporter, line: &mut Writer) {
        line.put("drainit: ");
        for fate in Fate::ALL {
            let count = self.ledger.count(fate);
            let said = match fate {
                Fate::Killed => count > 0 || self.uncounted,
                Fate::Left => count > 0 && !self.uncounted,
                Fate::Finished => count > 0 || (self.complete && report.hears(event::REPORT)),
                Fate::Cut | Fate::Ended | Fate::Gone => count > 0,
            };
            if !said {
                continue;
            }
            line.put(fate.word().0).put(" ");
            let uncounted = fate == Fate::Killed && self.uncounted;
            match uncounted {
                true => line.put("some, uncounted,"),
                false => line.put(count),
            };
            if fate == Fate::Killed {
                let grace = report.config.policy.schedule.grace().unwrap_or_default();
                line.put(" at the end of the grace period of ").put(grace);
            }
            names(line, self.ledger.names(fate), if uncounted { 0 } else { count });
            line.put("; ");
        }
        if self.hidden {
            line.put("left somebody whom /proc does not show; ");
        }
        if self.oom_kills > 0 {
            line.put("out of memory: the OOM killer ended ").put(self.oom_kills).put("; ");
        }
        line.put("drained in ").put(self.took).put("; main child ").put(self.main).put(" ");
        match self.main_status {
            Some(status) => line.put(status),
            None => line.put("is not gone"),
        };
        if let Some(history) = self.history {
            line.put("; runs ").put(history.runs).put(", failures ").put(history.failures);
            line.put(", longest pause ").put(history.longest_pause);
        }
        line.put("; exit code ").put(self.exit_code).put("\n");
    }

    fn json(&self, report: &Reporter, line: &mut Writer) {
        report.object(event::REPORT, line);
        optional(
            line.put(",\"grace_ms\":"),
            report.config.policy.schedule.grace().map(Time::as_millis),
        );
        line.put(",\"drain_ms\":").put(self.took.as_millis());
        for fate in Fate::ALL {
            // Who is killed or left was looked at; of others some may never have been.
            let known = match fate {
                Fate::Killed | Fate::Left => !self.uncounted,
                _ => self.complete,
            };
            let name = fate.word().1;
            line.put(",\"").put(name).put("_count\":");
            optional(line, known.then_some(self.ledger.count(fate)));
            line.put(",\"").put(name).put("\":[");
            let named = if fate == Fate::Left && !known { 0 } else { NAMED };
            for (n, (row, who)) in self.ledger.names(fate).take(named).enumerate() {
                if line.as_bytes().len() < NAMES_END {
                    object(line.put(if n == 0 { "" } else { "," }), row, who);
                }
            }
            line.put("]");
        }
        line.put(",\"hidden\":").put(if self.hidden { "true" } else { "false" });
        line.put(",\"oom_kills\":").put(self.oom_kills);
        line.put(",\"main_pid\":").put(self.main);
        optional(
            line.put(",\"main_code\":"),
            self.main_status.map(|status| status.exit_code().into()),
        );
        let signal = self.main_status.and_then(WaitStatus::signal);
        optional(line.put(",\"main_signal\":"), signal.map(|signal| signal.0.into()));
        if let Some(history) = self.history {
            line.put(",\"runs\":").put(history.runs).put(",\"failures\":").put(history.failures);
            line.put(",\"longest_pause_ms\":").put(history.longest_pause.as_millis());
        }
        line.put(",\"exit_code\":").put(self.exit_code).put("}\n");
    }
}

fn names<'a>(line: &mut Writer, all: impl Iterator<Item = (&'a Row, &'a Who)>, count: u64) {
    let mut named = 0;
    for (row, who) in all.take(NAMED) {
        if line.as_bytes().len() < NAMES_END {
            line.put(if named == 0 { ": " } else { ", " }).put(who);
            code(line, row);
            named += 1;
        }
    }
    if named > 0 && count > named {
        line.put(", and ").put(count - named).put(" more");
    }
}

/// How it ended, where that is more than the word says.
fn code(line: &mut Writer, row: &Row) {
    match row.status() {
        Some(status) if status.signal().is_none() && status.exit_code() != 0 => {
            line.put(" with ").put(status.exit_code());
        }
        Some(status) if status.signal() != Some(Signal::KILL) => {
            if let Some(signal) = status.signal() {
                line.put(" by ").put(signal);
            }
        }
        Some(_) | None => {}
    }
}

fn object(line: &mut Writer, row: &Row, who: &Who) {
    line.put("{\"pid\":").put(who.pid).put(",\"command\":\"").json(who.command());
    line.put("\",\"age_s\":").put(who.age_s());
    if let Some(status) = row.status() {
        line.put(",\"code\":").put(status.exit_code());
    }
    line.put("}");
}

fn optional(line: &mut Writer, number: Option<u64>) {
    match number {
        Some(number) => line.put(number),
        None => line.put("null"),
    };
}
