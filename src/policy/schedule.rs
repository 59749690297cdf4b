//! Who is signalled when, as one list: built from the options, or read from
//! `--schedule`. Pure.

use crate::text::line::{Put, Writer};
use crate::text::signal::Signal;
use crate::text::time::{Time, duration};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The main child alone.
    Main,
    /// The application: the main child; below a relay, what it runs.
    App,
    /// The main child's process group.
    Group,
    /// Every descendant.
    All,
    /// The top of everything that was not asked, through relays.
    Tops,
    /// Descendants without children that have not had SIGTERM: the shell above a cut
    /// job then still runs its clean-up.
    Leaves,
}

impl Target {
    pub const NAMES: [(&'static str, Target); 6] = [
        ("group", Target::Group),
        ("main", Target::Main),
        ("app", Target::App),
        ("all", Target::All),
        ("tops", Target::Tops),
        ("leaves", Target::Leaves),
    ];

    /// Whether it can be a signal's, and not only a schedule's.
    pub fn may_be_told(self) -> bool {
        !matches!(self, Target::Tops | Target::Leaves)
    }

    pub fn parse(text: &[u8]) -> Option<Target> {
        Target::NAMES.iter().find(|(name, _)| name.as_bytes() == text).map(|(_, target)| *target)
    }

    pub fn name(self) -> &'static str {
        Target::NAMES.iter().find(|(_, target)| *target == self).map_or("", |(name, _)| name)
    }

    /// For people.
    pub fn meaning(self) -> &'static str {
        match self {
            Target::Main => "the main child",
            Target::App => "the application (the main child; below a relay, what it runs)",
            Target::Group => "the main child's process group",
            Target::All => "every descendant",
            Target::Tops => "the top of everything left that was not asked",
            Target::Leaves => "each process without children that has not had SIGTERM",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Since the stop signal or the main child's own exit.
    pub at: Time,
    /// None is the stop signal that came.
    pub signal: Option<Signal>,
    pub target: Target,
}

/// Steps in the order of their time. KILL stands nowhere but in the last one;
/// without it the drain ends only when nobody is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    steps: [Step; Schedule::MOST],
    length: usize,
    pub by_hand: bool,
}

/// What is wrong with a schedule, and where in its text.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    pub at: usize,
    pub why: &'static str,
}

impl Schedule {
    pub const MOST: usize = 16;

    const fn empty(by_hand: bool) -> Schedule {
        let never = Step { at: Time::NEVER, signal: None, target: Target::All };
        Schedule { steps: [never; Schedule::MOST], length: 0, by_hand }
    }

    /// The list that the options stand for. The last call asks who has not been
    /// asked, in every mode; whoever stands above one is left to act on its end.
    pub fn build(signal_to: Target, grace: Time, last_call: Time) -> Schedule {
        let mut schedule = Schedule::empty(false);
        schedule.add(Step { at: Time::ZERO, signal: None, target: signal_to });
        if grace == Time::NEVER {
            return schedule;
        }
        let term =
            |before: Time, target| Step { at: grace - before, signal: Some(Signal::TERM), target };
        match signal_to {
            _ if last_call == Time::ZERO => {}
            // Jobs: their tops first, and at half of what is then left the rest.
            Target::Main | Target::App => {
                schedule.add(term(last_call, Target::Tops));
                schedule.add(term(Time::nanos(last_call.as_nanos() / 2), Target::Leaves));
            }
            Target::Group | Target::All | Target::Tops | Target::Leaves => {
                schedule.add(term(last_call, Target::Leaves));
            }
        }
        schedule.add(Step { at: grace, signal: Some(Signal::KILL), target: Target::All });
        schedule
    }

    /// The first of our own signals: where nobody is told any more to begin with.
    pub fn last_call(&self) -> Option<Time> {
        let is_it = |step: &&Step| matches!(step.target, Target::Tops | Target::Leaves);
        self.steps().iter().find(is_it).map(|step| step.at)
    }

    /// `[TIME/]SIGNAL[:TARGET]/TIME/.../KILL` or `.../forever`, the notation of
    /// start-stop-daemon's `--retry` with targets.
    pub fn parse(text: &[u8], signal_to: Target) -> Result<Schedule, Fault> {
        let mut schedule = Schedule::empty(true);
        let mut clock = Time::ZERO;
        let mut after_time = false;
        let mut ended = false;
        let mut at = 0;
        for item in text.split(|&byte| byte == b'/') {
            let fault = |why| Err(Fault { at, why });
            if ended {
                return fault("nothing may follow KILL or forever");
            }
            if item == b"forever" {
                ended = true;
            } else if item.first().is_some_and(u8::is_ascii_digit) && !item.contains(&b':') {
                if after_time {
                    return fault("two times in a row");
                }
                match duration(item).and_then(|length| clock.checked_add(length)) {
                    Some(sum) => clock = sum,
                    None => return fault("not a time; valid: 20, 20s, 1m30s, 500ms"),
                }
                after_time = true;
            } else {
                let step = match schedule.step(item, clock, signal_to) {
                    Ok(step) => step,
                    Err(Fault { at: within, why }) => return Err(Fault { at: at + within, why }),
                };
                if !schedule.add(step) {
                    return fault("too many signals; 16 at most");
                }
                ended = step.signal == Some(Signal::KILL);
                after_time = false;
            }
            at += item.len() + 1;
        }
        let end = if ended { Ok(schedule) } else { Err("must end with KILL or forever") };
        end.map_err(|why| Fault { at: text.len(), why })
    }

    fn step(&self, item: &[u8], at: Time, signal_to: Target) -> Result<Step, Fault> {
        let mut parts = item.splitn(2, |&byte| byte == b':');
        let name = parts.next().unwrap_or_default();
        let fault = |at, why| Err(Fault { at, why });
        let Some(signal) = Signal::parse(name) else {
            return fault(0, "neither a signal, a time nor forever");
        };
        let target = match parts.next() {
            Some(target) => match Target::parse(target) {
                Some(target) => target,
                None => {
                    return fault(
                        name.len() + 1,
                        "unknown target (main, app, group, all, tops, leaves)",
                    );
                }
            },
            None if signal == Signal::KILL => Target::All,
            None => signal_to,
        };
        if signal == Signal::KILL && target != Target::All {
            return fault(name.len() + 1, "KILL ends the drain and is for all");
        }
        // At KILL whoever was just asked would have had no time either.
        let at_once =
            |step: &Step| step.at == at && (step.target == target || signal == Signal::KILL);
        if self.steps().iter().any(at_once) {
            return fault(0, "no time between two signals of one target");
        }
        Ok(Step { at, signal: Some(signal), target })
    }

    fn add(&mut self, step: Step) -> bool {
        let place = self.steps.get_mut(self.length);
        let room = place.is_some();
        if let Some(place) = place {
            *place = step;
            self.length += 1;
        }
        room
    }

    pub fn steps(&self) -> &[Step] {
        self.steps.get(..self.length).unwrap_or_default()
    }

    /// The time from the first to the last step, the grace period; None if
    /// nobody is ever killed.
    pub fn grace(&self) -> Option<Time> {
        self.steps().last().filter(|last| last.signal == Some(Signal::KILL)).map(|last| last.at)
    }
}

/// In its own notation.
impl Put for &Schedule {
    fn put_on(self, line: &mut Writer) {
        let mut clock = Time::ZERO;
        for (n, step) in self.steps().iter().enumerate() {
            line.put(if n == 0 { "" } else { "/" });
            if step.at > clock {
                line.put(step.at - clock).put("/");
                clock = step.at;
            }
            line.put(step.signal.unwrap_or(Signal::TERM).short()).put(":").put(step.target.name());
        }
        if self.grace().is_none() {
            line.put(if self.steps().is_empty() { "forever" } else { "/forever" });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::line::Line;

    fn seconds(n: u64) -> Time {
        Time::seconds(n)
    }

    fn written(schedule: &Schedule) -> String {
        let mut line = Line::<400>::new();
        line.put(schedule);
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn what_the_options_build() {
        for (target, grace, last_call, text) in [
            (Target::Group, seconds(25), seconds(5), "TERM:group/20s/TERM:leaves/5s/KILL:all"),
            (
                Target::App,
                seconds(25),
                seconds(5),
                "TERM:app/20s/TERM:tops/2s500ms/TERM:leaves/2s500ms/KILL:all",
            ),
            (
                Target::Main,
                seconds(3),
                seconds(3),
                "TERM:main/TERM:tops/1s500ms/TERM:leaves/1s500ms/KILL:all",
            ),
            (Target::All, Time::ZERO, Time::ZERO, "TERM:all/KILL:all"),
            (Target::Group, Time::NEVER, seconds(5), "TERM:group/forever"),
        ] {
            assert_eq!(written(&Schedule::build(target, grace, last_call)), text);
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in [
            "TERM:group/25s/KILL:all",
            "TERM:app/20s/TERM:leaves/5s/KILL:all",
            "TSTP:app/10s/TERM:app/15s/KILL:all",
            "5s/TERM:group/20s/KILL:all",
            "TERM:group/forever",
            "TERM:main/USR1:leaves/1m30s/RTMIN+3:all/500ms/KILL:all",
            "KILL:all",
            "forever",
            "20s/TERM:leaves/5s/KILL:all",
        ] {
            let schedule = Schedule::parse(text.as_bytes(), Target::Group).unwrap();
            assert_eq!(written(&schedule), text);
            assert_eq!(Schedule::parse(written(&schedule).as_bytes(), Target::Main), Ok(schedule));
        }
        let short = Schedule::parse(b"TERM/20/KILL", Target::App).unwrap();
        assert_eq!(written(&short), "TERM:app/20s/KILL:all");
        assert_eq!(short.grace(), Some(seconds(20)));
    }

    #[test]
    fn faults_point_to_their_place() {
        for (text, at, why) in [
            ("", 0, "neither"),
            ("TERM:grp/25/KILL", 5, "unknown target"),
            ("TERM/25/KILL/5", 13, "nothing may follow"),
            ("TERM/25/KILL/INT", 13, "nothing may follow"),
            ("TERM/forever/5", 13, "nothing may follow"),
            ("TERM/INT/25/KILL", 5, "no time between"),
            ("TERM/KILL", 5, "no time between"),
            ("TERM/0/TERM/5/KILL", 7, "no time between"),
            ("TERM/25", 7, "must end"),
            ("TERM", 4, "must end"),
            ("TERM/5/5/KILL", 7, "two times"),
            ("TERM/5parsecs/KILL", 5, "not a time"),
            ("TERM/infinity/KILL", 5, "neither"),
            ("TERM/18446744073709551615/KILL", 5, "not a time"),
            ("TERM/18446744073s/INT/18446744073s/KILL", 22, "not a time"),
            ("TERM//KILL", 5, "neither"),
            ("TERM:group/5/KILL:main", 18, "KILL ends"),
            ("BOOM/5/KILL", 0, "neither"),
        ] {
            match Schedule::parse(text.as_bytes(), Target::Group) {
                Err(fault) => {
                    assert_eq!(fault.at, at, "{text}");
                    assert!(fault.why.starts_with(why), "{text}: {}", fault.why);
                }
                Ok(schedule) => panic!("{text}: {}", written(&schedule)),
            }
        }
        let long = "USR1:main/1/".repeat(Schedule::MOST) + "KILL";
        let fault = Schedule::parse(long.as_bytes(), Target::Group).unwrap_err();
        assert_eq!(fault.why, "too many signals; 16 at most");
    }
}
