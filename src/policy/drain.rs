//! The policy of one run, from the start of the main child to the moment when
//! drainit may leave. Pure and total: state and event in, state and one action
//! out; time is data, and no arm is a `_`.
//!
//! Invariants, walked exhaustively below: there is one end and nothing after
//! it; the clock starts once, so that grace is never granted twice; KILL comes
//! from the schedule's last step alone; nothing is sent to a main child that
//! is gone.

use super::schedule::{Schedule, Target};
use crate::text::signal::Signal;
use crate::text::time::Time;

/// What happens to the stragglers once the main child is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leftovers {
    /// SIGTERM to each, then wait.
    Ask,
    /// Helpers are asked, jobs finish by themselves; the schedule goes on.
    Wait,
    /// Exit at once, as tini does.
    Leave,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    pub schedule: Schedule,
    pub signal_to: Target,
    pub leftovers: Leftovers,
}

/// `since` is when the clock started, `next` the schedule's next step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The main child lives and nobody has asked it to stop.
    Running,
    /// It was asked to stop, by `came`, and lives.
    Stopping { since: Time, next: usize, came: Signal },
    /// It is gone and stragglers are left. `helpers` are yet to be asked: what else
    /// the application was made of may not be gone.
    Draining { since: Time, next: usize, helpers: bool },
    /// The last step is done: what is left must be dying. Until then the
    /// kernel gets time for it, for a process in uninterruptible sleep cannot.
    Killed { until: Time },
    /// Nobody is left, or nobody is waited for any longer.
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The main child was reaped, others are left.
    MainGone,
    /// Nobody is left of the application, the main child neither.
    ApplicationGone,
    /// No child is left, the main child neither.
    Childless,
    /// A signal of `--stop-signal`, after `--rewrite`.
    Stop(Signal),
    /// Any other signal.
    Other(Signal),
    /// Nothing but that time went by.
    Time,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Nothing,
    Send(Signal, Target),
    /// SIGTERM to every straggler that has not been asked.
    Ask,
    /// SIGTERM to every helper that has not been asked.
    AskHelpers,
    /// SIGKILL to whoever is left.
    Kill,
}

/// How long the killed are given to be reaped.
pub const REAPING: Time = Time::seconds(1);

impl Policy {
    pub fn next(&self, state: State, event: Event, now: Time) -> (State, Action) {
        use {Action::*, Event::*, State::*};
        match (state, event) {
            (Running, Stop(came)) => (Stopping { since: now, next: 0, came }, Nothing),
            (Running, Other(signal)) => (Running, Send(signal, self.signal_to)),
            (Running, MainGone) => self.main_gone(now, 0),
            (Running, ApplicationGone | Time) => (Running, Nothing),

            // A second stop signal, forwarded like the first; the clock stands.
            // With a schedule by hand only the schedule speaks.
            (Stopping { .. } | Draining { .. }, Stop(_)) if self.schedule.by_hand => {
                (state, Nothing)
            }
            (Stopping { .. }, ApplicationGone) => (state, Nothing),
            (Stopping { .. }, Stop(signal) | Other(signal)) => {
                (state, Send(signal, self.signal_to))
            }
            (Stopping { since, next, .. }, MainGone) => self.main_gone(since, next),
            (Stopping { since, next, came }, Time) => {
                self.due(state, since, next, Some(came), now, |next| Stopping { since, next, came })
            }

            (Draining { .. }, Stop(signal) | Other(signal)) => (state, self.for_stragglers(signal)),
            (Draining { since, next, helpers }, Time) => {
                let advance = |next| Draining { since, next, helpers };
                self.due(state, since, next, None, now, advance)
            }
            (Draining { since, next, helpers: true }, ApplicationGone) => {
                (Draining { since, next, helpers: false }, AskHelpers)
            }
            // It can go but once.
            (Draining { .. }, MainGone | ApplicationGone) => (state, Nothing),

            // Who is dying needs no signal.
            (Killed { .. }, MainGone | ApplicationGone | Stop(_) | Other(_)) => (state, Nothing),
            (Killed { until }, Time) => (if now < until { state } else { Over }, Nothing),

            (Running | Stopping { .. } | Draining { .. } | Killed { .. }, Childless) => {
                (Over, Nothing)
            }
            (Over, MainGone | ApplicationGone | Childless | Stop(_) | Other(_) | Time) => {
                (Over, Nothing)
            }
        }
    }

    /// When to come back with [`Event::Time`], if nothing happens before.
    pub fn deadline(&self, state: State) -> Option<Time> {
        match state {
            State::Stopping { since, next, .. } | State::Draining { since, next, .. } => {
                self.schedule.steps().get(next).map(|step| since + step.at)
            }
            State::Killed { until } => Some(until),
            State::Running | State::Over => None,
        }
    }

    fn main_gone(&self, since: Time, next: usize) -> (State, Action) {
        // With a schedule by hand only the schedule speaks.
        let helpers = self.leftovers == Leftovers::Wait && !self.schedule.by_hand;
        let draining = State::Draining { since, next, helpers };
        match self.leftovers {
            Leftovers::Ask => (draining, Action::Ask),
            Leftovers::Wait => (draining, Action::Nothing),
            Leftovers::Leave => (State::Over, Action::Nothing),
        }
    }

    fn due(
        &self,
        state: State,
        since: Time,
        next: usize,
        came: Option<Signal>,
        now: Time,
        advance: impl Fn(usize) -> State,
    ) -> (State, Action) {
        let step = self.schedule.steps().get(next);
        let Some(step) = step.filter(|step| since + step.at <= now) else {
            return (state, Action::Nothing);
        };
        if step.signal == Some(Signal::KILL) {
            return (State::Killed { until: now + REAPING }, Action::Kill);
        }
        // Passed over: the main child is gone, or no stop signal came.
        let gone = came.is_none() && matches!(step.target, Target::Main | Target::App);
        let action = match step.signal.or(came) {
            Some(signal) if !gone => Action::Send(signal, step.target),
            Some(_) | None => Action::Nothing,
        };
        (advance(next + 1), action)
    }

    fn for_stragglers(&self, signal: Signal) -> Action {
        match self.signal_to {
            Target::Group | Target::All => Action::Send(signal, Target::All),
            Target::Main | Target::App | Target::Tops | Target::Leaves => Action::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a walk remembers, to judge the next step by.
    #[derive(Clone, Copy)]
    struct Seen {
        main_gone: bool,
        /// The latest moment at which the drain must be over.
        bound: Option<Time>,
        kills: u32,
        asked: bool,
        asked_helpers: bool,
    }

    const USR1: Signal = Signal(10);

    fn policies() -> Vec<Policy> {
        let mut schedules = vec![];
        for target in [Target::Group, Target::Main, Target::App, Target::All] {
            schedules.push((Schedule::build(target, Time::seconds(25), Time::seconds(5)), target));
        }
        for text in
            ["5/TERM:main/20/KILL", "TSTP:app/10/TERM:app/15/KILL", "TERM:group/forever", "KILL"]
        {
            schedules.push((Schedule::parse(text.as_bytes(), Target::App).unwrap(), Target::App));
        }
        schedules.push((Schedule::build(Target::Group, Time::ZERO, Time::ZERO), Target::Group));
        schedules.push((Schedule::build(Target::Main, Time::NEVER, Time::ZERO), Target::Main));
        let all = [Leftovers::Ask, Leftovers::Wait, Leftovers::Leave];
        let with =
            |(schedule, signal_to)| all.map(|leftovers| Policy { schedule, signal_to, leftovers });
        schedules.into_iter().flat_map(with).collect()
    }

    /// Every sequence of events up to `depth`. Time passes in two ways: to the
    /// deadline exactly, and one second, which lies between two of them.
    fn walk(policy: &Policy, state: State, now: Time, seen: Seen, depth: u32, count: &mut u64) {
        *count += 1;
        if depth == 0 {
            return;
        }
        let next = policy.deadline(state).unwrap_or(now).max(now);
        for (event, now) in [
            (Event::MainGone, now),
            (Event::ApplicationGone, now),
            (Event::Childless, now),
            (Event::Stop(Signal::TERM), now),
            (Event::Stop(Signal::INT), now),
            (Event::Other(USR1), now),
            (Event::Time, next),
            (Event::Time, now + Time::seconds(1)),
        ] {
            let (after, action) = policy.next(state, event, now);
            let seen = judge(policy, state, event, after, action, now, seen);
            // Where it changes nothing the rest is walked without it.
            if event != Event::ApplicationGone || after != state {
                walk(policy, after, now, seen, depth - 1, count);
            }
        }
    }

    fn judge(
        policy: &Policy,
        state: State,
        event: Event,
        after: State,
        action: Action,
        now: Time,
        mut seen: Seen,
    ) -> Seen {
        let context = || format!("{state:?} {event:?} at {now:?} -> {after:?} {action:?}");
        if state == State::Over {
            assert_eq!((after, action), (State::Over, Action::Nothing), "{}", context());
        }
        if event == Event::Childless {
            assert_eq!((after, action), (State::Over, Action::Nothing), "{}", context());
        }
        seen.main_gone |= matches!(event, Event::MainGone | Event::Childless);
        if seen.main_gone {
            let to_main = matches!(action, Action::Send(_, Target::Main | Target::App));
            assert!(!to_main, "a signal for a main child that is gone: {}", context());
        }
        let started = |state| !matches!(state, State::Running);
        if !started(state) && started(after) && after != State::Over {
            assert!(matches!(event, Event::Stop(_) | Event::MainGone), "{}", context());
            seen.bound = policy.schedule.grace().map(|grace| now + grace);
        }
        let since = |state| match state {
            State::Stopping { since, .. } | State::Draining { since, .. } => Some(since),
            State::Running | State::Killed { .. } | State::Over => None,
        };
        if let (Some(before), Some(after)) = (since(state), since(after)) {
            assert_eq!(before, after, "grace granted twice: {}", context());
        }
        if policy.schedule.by_hand && matches!(event, Event::Stop(_)) {
            assert_eq!(action, Action::Nothing, "only the schedule speaks: {}", context());
        }
        match action {
            Action::Kill => {
                seen.kills += 1;
                assert_eq!(seen.kills, 1, "{}", context());
                assert!(
                    seen.bound.is_some_and(|bound| bound <= now),
                    "killed early: {}",
                    context()
                );
                assert!(matches!(after, State::Killed { .. }), "{}", context());
                let no_last_call = policy.schedule.by_hand || policy.schedule.steps().len() < 3;
                assert!(seen.asked || no_last_call, "killed unasked: {}", context());
            }
            Action::Send(Signal::KILL, _) => panic!("KILL that is no step: {}", context()),
            Action::AskHelpers => {
                assert!(seen.main_gone, "helpers before the main child: {}", context());
                assert!(!seen.asked_helpers, "helpers asked twice: {}", context());
                assert_eq!((policy.leftovers, event), (Leftovers::Wait, Event::ApplicationGone));
                seen.asked_helpers = true;
            }
            Action::Send(_, Target::Leaves) | Action::Ask => seen.asked = true,
            Action::Send(_, _) | Action::Nothing => {}
        }
        if let State::Killed { until } = after {
            assert!(until <= now + REAPING, "{}", context());
        }
        // A deadline that has come is never slept past: each Time moves on.
        if event == Event::Time && policy.deadline(state).is_some_and(|at| at <= now) {
            assert_ne!(state, after, "stuck: {}", context());
        }
        seen
    }

    #[test]
    fn every_sequence_of_events() {
        let depth = std::env::var("DRAINIT_TEST_DEPTH").map_or(7, |depth| depth.parse().unwrap());
        let start = std::time::Instant::now();
        let mut count = 0;
        let policies = policies();
        for policy in &policies {
            let seen = Seen {
                main_gone: false,
                bound: None,
                kills: 0,
                asked: false,
                asked_helpers: false,
            };
            walk(policy, State::Running, Time::seconds(100), seen, depth, &mut count);
        }
        println!(
            "{} policies, depth {depth}: {count} sequences in {:?}",
            policies.len(),
            start.elapsed()
        );
    }

    /// The judge sees what it is there for.
    #[test]
    #[should_panic(expected = "killed early")]
    fn the_judge_sees_an_early_kill() {
        let policy = policies()[0];
        let seen = Seen {
            main_gone: false,
            bound: Some(Time::NEVER),
            kills: 0,
            asked: true,
            asked_helpers: false,
        };
        let state = State::Stopping { since: Time::ZERO, next: 2, came: Signal::TERM };
        let after = State::Killed { until: Time::ZERO };
        judge(&policy, state, Event::Time, after, Action::Kill, Time::ZERO, seen);
    }

    fn sent(policy: &Policy, events: &[(Event, u64)]) -> Vec<(u64, Action)> {
        let mut state = State::Running;
        let mut actions = vec![];
        for &(event, at) in events {
            let (next, action) = policy.next(state, event, Time::seconds(at));
            state = next;
            if action != Action::Nothing {
                actions.push((at, action));
            }
        }
        actions
    }

    #[test]
    fn the_default_stop() {
        let policy = policies()[0];
        let stop = Event::Stop(Signal::INT);
        assert_eq!(
            sent(
                &policy,
                &[(stop, 0), (Event::Time, 0), (stop, 3), (Event::Time, 20), (Event::Time, 25)]
            ),
            [
                (0, Action::Send(Signal::INT, Target::Group)),
                (3, Action::Send(Signal::INT, Target::Group)),
                (20, Action::Send(Signal::TERM, Target::Leaves)),
                (25, Action::Kill),
            ]
        );
    }

    #[test]
    fn the_main_childs_own_exit() {
        let policy = policies()[0];
        let events = [
            (Event::MainGone, 0),
            (Event::Time, 0),
            (Event::Other(USR1), 1),
            (Event::Childless, 2),
        ];
        assert_eq!(
            sent(&policy, &events),
            [(0, Action::Ask), (1, Action::Send(USR1, Target::All))]
        );
    }
}
