//! The policy of `--restart`: whether a run that is over is followed by another,
//! and when. Pure and total. It knows nothing of how a run is drained.

use crate::text::status::WaitStatus;
use crate::text::time::Time;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    No,
    OnFailure,
    Always,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    pub when: When,
    /// From start to start, after a success: a bound on how often, not a pause.
    pub delay: Time,
    /// So many failures in a row are the last.
    pub limit: Option<u64>,
}

/// What the runs so far have come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct History {
    pub runs: u64,
    pub failures: u64,
    pub in_a_row: u64,
    pub longest_pause: Time,
    last_pause: Time,
}

/// A run that is over, and whatever it left behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    pub started: Time,
    pub ended: Time,
    pub end: End,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Success,
    Failure(WaitStatus),
    /// The command could not be started: a failure, as if it had ended so.
    NotStarted(WaitStatus),
    /// It was told to end, and has not failed: there is no further run.
    Stopped,
    /// Somebody of it is alive still: never two at once.
    LeftSomebody,
}

pub const FIRST_PAUSE: Time = Time::seconds(1);
pub const LONGEST_PAUSE: Time = Time::seconds(60);
/// A run of this length was no failure to start.
pub const LONG_RUN: Time = Time::seconds(10);

impl Policy {
    pub const OFF: Policy = Policy { when: When::No, delay: Time::millis(100), limit: None };

    /// The history with this run in it, and when the next one starts, if it does.
    pub fn after(&self, history: History, run: Run) -> (History, Option<Time>) {
        let mut now = History { runs: history.runs + 1, ..history };
        match run.end {
            End::Stopped | End::LeftSomebody => return (now, None),
            End::Success => {
                (now.in_a_row, now.last_pause) = (0, Time::ZERO);
                let again = self.when == When::Always;
                let start = (run.started + self.delay).max(run.ended);
                if again {
                    now.longest_pause = now.longest_pause.max(start - run.ended);
                }
                return (now, again.then_some(start));
            }
            End::Failure(_) | End::NotStarted(_) => {}
        }
        now.failures += 1;
        now.in_a_row += 1;
        let again = match self.when {
            When::No => false,
            When::OnFailure | When::Always => self.limit.is_none_or(|limit| now.in_a_row < limit),
        };
        let long = run.ended - run.started >= LONG_RUN;
        let doubled = if long { Time::ZERO } else { history.last_pause + history.last_pause };
        now.last_pause = doubled.clamp(FIRST_PAUSE, LONGEST_PAUSE);
        if again {
            now.longest_pause = now.longest_pause.max(now.last_pause);
        }
        (now, again.then_some(run.ended + now.last_pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Time = Time::millis(1);

    fn always() -> Policy {
        Policy { when: When::Always, ..Policy::OFF }
    }

    /// Runs of one kind until `end`: starts, and the pauses between them.
    const FAILED: End = End::Failure(WaitStatus(1 << 8));

    fn simulate(policy: &Policy, length: Time, run_end: End, end: Time) -> Vec<Time> {
        let mut history = History::default();
        let mut now = Time::ZERO;
        let mut pauses = vec![];
        while now < end {
            let run = Run { started: now, ended: now + length, end: run_end };
            let (after, next) = policy.after(history, run);
            history = after;
            let Some(next) = next else { break };
            pauses.push(next - run.ended);
            now = next;
        }
        pauses
    }

    #[test]
    fn a_success_starts_again_at_once_and_not_more_often_than_the_delay() {
        let pauses = simulate(&always(), Time::millis(100), End::Success, Time::seconds(10));
        assert_eq!((pauses.len(), pauses.iter().max()), (100, Some(&Time::ZERO)));
        let pauses = simulate(&always(), Time::millis(30), End::Success, Time::seconds(10));
        assert_eq!((pauses.len(), pauses.iter().max()), (100, Some(&(Time::millis(70)))));
    }

    #[test]
    fn failures_back_off_to_a_minute() {
        let pauses = simulate(&always(), MILLI, FAILED, Time::seconds(300));
        let seconds: Vec<_> = pauses.iter().map(|pause| pause.as_seconds()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    }

    #[test]
    fn a_day_of_each() {
        let day = Time::seconds(24 * 3600);
        let start = std::time::Instant::now();
        let well = simulate(&always(), Time::millis(100), End::Success, day).len();
        let badly = simulate(&always(), MILLI, FAILED, day).len();
        println!(
            "24 h in {:?}: {well} starts of a job of 100 ms that exits 0, {badly} of one that fails at once",
            start.elapsed()
        );
        assert_eq!((well, badly), (864_000, 1_445));
    }

    /// Every sequence of runs, short and long, of every end.
    #[test]
    fn every_sequence_of_runs() {
        let ends = [
            End::Success,
            FAILED,
            End::NotStarted(WaitStatus(127 << 8)),
            End::Stopped,
            End::LeftSomebody,
        ];
        let kinds: Vec<_> = ends.iter().flat_map(|end| [(MILLI, *end), (LONG_RUN, *end)]).collect();
        let mut count = 0;
        for when in [When::No, When::OnFailure, When::Always] {
            for limit in [None, Some(1), Some(3)] {
                let policy = Policy { when, limit, ..Policy::OFF };
                walk(&policy, &kinds, History::default(), Time::ZERO, 6, &mut count);
            }
        }
        println!("{count} sequences");
    }

    fn walk(
        policy: &Policy,
        kinds: &[(Time, End)],
        history: History,
        now: Time,
        depth: u32,
        count: &mut u64,
    ) {
        *count += 1;
        if depth == 0 {
            return;
        }
        for &(length, end) in kinds {
            let run = Run { started: now, ended: now + length, end };
            let (after, next) = policy.after(history, run);
            let success = end == End::Success;
            let failure = matches!(end, End::Failure(_) | End::NotStarted(_));
            let again = match policy.when {
                When::No => false,
                When::OnFailure => failure,
                When::Always => success || failure,
            } && (success || policy.limit.is_none_or(|limit| after.in_a_row < limit));
            assert_eq!(next.is_some(), again);
            assert_eq!(after.runs, history.runs + 1);
            assert_eq!(after.failures, history.failures + u64::from(failure));
            if success || failure {
                assert_eq!(after.in_a_row, if success { 0 } else { history.in_a_row + 1 });
            }
            let Some(next) = next else { continue };
            let pause = next - run.ended;
            assert!(next >= run.ended && pause <= LONGEST_PAUSE && pause <= after.longest_pause);
            if success {
                assert!(pause <= policy.delay && next - run.started >= policy.delay);
            } else {
                assert!(pause >= FIRST_PAUSE);
                assert!(length < LONG_RUN || pause == FIRST_PAUSE);
            }
            walk(policy, kinds, after, next, depth - 1, count);
        }
    }
}
