//! Random lives, and the truth of what drainit says of them: workers that note what
//! they did, an exit code that must be right, a report that must agree, a grace
//! period that must be kept, while signals rain and limits bite.
//!
//! Ten seconds on every test run; `cargo test --release --test soak -- --ignored` runs
//! it for ten minutes, DRAINIT_SOAK_SECONDS for as long as you like. DRAINIT_SEED
//! repeats a run.

// A test that cannot go on panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod chance;
#[path = "it/harness.rs"]
#[allow(dead_code)] // the integration tests use all of it
mod harness;

use std::fmt::Write;
use std::thread;
use std::time::{Duration, Instant};

use chance::{Chance, seed};
use harness::{End, Scene, drainit};
use serde_json::Value;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Worker {
    /// Saves for so many milliseconds once it is asked.
    Saves(usize),
    /// Finishes by itself that long after the stop; SIGTERM cuts it.
    Job(usize),
    /// Deaf, and never ends.
    Deaf,
}

#[derive(Debug)]
struct Life {
    workers: Vec<(Worker, &'static str)>,
    mode: &'static str,
    grace_ms: usize,
    main: (&'static str, i32),
    limits: &'static str,
    storm: bool,
}

impl Life {
    fn by(chance: &mut Chance) -> Life {
        let worker = |chance: &mut Chance| {
            let kind = match chance.below(5) {
                0 | 1 => Worker::Saves(chance.below(300)),
                2 | 3 => Worker::Job(chance.below(300)),
                _ => Worker::Deaf,
            };
            (kind, chance.of(&["1", "setpgrp", "POSIX::setsid()"]))
        };
        Life {
            // With the main child five: so many are named.
            workers: (0..chance.below(5)).map(|_| worker(chance)).collect(),
            mode: chance.of(&["group", "app", "main", "all"]),
            grace_ms: chance.of(&[500, 1000, 1500]),
            main: chance.of(&[
                ("ends 'main', 'TERM', 3", 3),
                ("ends 'main', 'TERM', 0, 0.1", 0),
                ("hears 'main', 'TERM'", 137),
                ("POSIX::sigprocmask(POSIX::SIG_SETMASK(), POSIX::SigSet->new)", 143),
            ]),
            limits: chance.of(&["", "POSIX::close(0);", "POSIX::close(1) if 0;", "chdir '/tmp';"]),
            storm: chance.below(3) == 0,
        }
    }

    fn script(&self) -> String {
        let mut script = String::new();
        for (n, (worker, apart)) in self.workers.iter().enumerate() {
            // Each says its own number, ready, and what it did; a job begins to end
            // when SYS tells it that the stop came.
            let body = match worker {
                Worker::Saves(ms) => format!(
                    "$SIG{{TERM}} = sub {{ select undef, undef, undef, {ms} / 1000; line \"$$ did it\"; POSIX::_exit({n}) }}; line \"ready {n} $$\"; rest"
                ),
                Worker::Job(ms) => format!(
                    "POSIX::sigprocmask(POSIX::SIG_SETMASK(), POSIX::SigSet->new); line \"ready {n} $$\"; select undef, undef, undef, 0.2 + {ms} / 1000; line \"$$ did it\"; POSIX::_exit({n})"
                ),
                Worker::Deaf => format!("$SIG{{TERM}} = sub {{}}; line \"ready {n} $$\"; rest"),
            };
            write!(script, "orphan {{ {apart}; $SIG{{USR1}} = 'IGNORE'; {body} }};").unwrap();
        }
        write!(script, "$SIG{{USR1}} = sub {{}}; {}; line 'main ready'; rest;", self.main.0)
            .unwrap();
        script
    }

    /// What is wrong with how it ended; None if nothing is.
    fn judge(&self, init: Scene) -> Option<String> {
        let options = ["-v", "--log-format=json", "--signal-to", self.mode, "-t"];
        let grace = format!("{}ms", self.grace_ms);
        let init = init.options(&options).options(&[&grace]).prepared(self.limits);
        let mut run = init.guard(Duration::from_secs(30)).perl(&self.script());
        run.hears("main ready");
        let mut pids = vec![];
        for n in 0..self.workers.len() {
            pids.push(run.hears_after(&format!("ready {n} ")).parse::<u64>().unwrap());
        }
        if self.storm {
            (0..50).for_each(|_| run.signal(libc::SIGUSR1));
        }
        let begun = Instant::now();
        run.signal(libc::SIGTERM);
        let end = run.ends();
        let took = begun.elapsed();
        let bound = Duration::from_millis(self.grace_ms as u64) + Duration::from_secs(3);
        if took > bound {
            return Some(format!("over the grace period: {took:?}"));
        }
        if end.code != self.main.1 {
            return Some(format!("exit code {}, and not {}: {end:?}", end.code, self.main.1));
        }
        self.fates(&pids, &end).err()
    }

    /// Each worker has one fate in the report, and that is what happened to it.
    fn fates(&self, pids: &[u64], end: &End) -> Result<(), String> {
        let last = end.said.last().ok_or("no report")?;
        let report: Value =
            serde_json::from_str(last).map_err(|error| format!("{error}: {last}"))?;
        for ((worker, _), pid) in self.workers.iter().zip(pids) {
            let said = |fate: &&str| {
                let list = report[*fate].as_array();
                list.is_some_and(|list| list.iter().any(|who| who["pid"] == *pid))
            };
            let fates: Vec<_> = ["finished", "cut", "killed", "ended", "gone", "left"]
                .into_iter()
                .filter(|f| said(f))
                .collect();
            let did = end.has(&format!("{pid} did it"));
            // By itself, before the stop came.
            if fates.is_empty() && did && matches!(worker, Worker::Job(_)) {
                continue;
            }
            let [fate] = fates[..] else {
                return Err(format!("{pid} {worker:?}: {fates:?} {report}"));
            };
            let right = match fate {
                "finished" => did,
                // It may be ended between its word and its exit.
                "cut" => matches!(worker, Worker::Job(_)),
                "killed" => true,
                _ => false,
            };
            if !right {
                return Err(format!("{pid} {worker:?} did it: {did}; said to be {fate}: {report}"));
            }
            // `app` never cuts a job that has the time.
            let time = 200 + 300 + 300 < self.grace_ms * 4 / 5;
            let is_job = matches!(worker, Worker::Job(_) | Worker::Saves(_));
            if self.mode == "app" && time && is_job && self.main.1 != 137 && fate == "killed" {
                return Err(format!("{pid} {worker:?} had the time, and was killed: {report}"));
            }
        }
        Ok(())
    }
}

/// Lives side by side, for so long; how many.
fn soak(seconds: u64, options: &[&str]) -> Result<usize, String> {
    const SIDE_BY_SIDE: u64 = 8;
    let seconds =
        std::env::var("DRAINIT_SOAK_SECONDS").map_or(seconds, |text| text.parse().unwrap());
    let until = Instant::now() + Duration::from_secs(seconds);
    let seed = seed();
    let lives = |thread: u64| {
        let mut chance = Chance(seed.wrapping_mul(2 * thread + 1));
        let mut lives = 0;
        while Instant::now() < until {
            let life = Life::by(&mut chance);
            if let Some(fault) = life.judge(drainit(options)) {
                return Err(format!("life {lives} of thread {thread}: {fault}\n{life:?}"));
            }
            lives += 1;
        }
        Ok(lives)
    };
    let all = thread::scope(|scope| {
        let threads: Vec<_> = (0..SIDE_BY_SIDE).map(|n| scope.spawn(move || lives(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<Result<usize, String>>()
    })?;
    println!("{all} lives in {seconds} s, nothing wrong");
    Ok(all)
}

#[test]
fn ten_seconds_of_lives() {
    let lives = soak(10, &[]);
    assert!(lives.as_ref().is_ok_and(|lives| *lives > 0), "{lives:?}");
}

#[test]
#[ignore = "ten minutes"]
fn ten_minutes_of_lives() {
    let lives = soak(600, &[]);
    assert!(lives.is_ok(), "{lives:?}");
}

/// One rule broken: nobody is waited for.
#[test]
fn a_broken_rule_is_caught_within_seconds() {
    let begun = Instant::now();
    assert!(soak(10, &["--leftovers", "leave"]).is_err());
    println!("caught after {:?}", begun.elapsed());
}
