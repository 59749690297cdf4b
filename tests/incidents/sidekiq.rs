//! The incident: Sidekiq 6 below a shell. SIGTERM ends the shell, the init goes
//! with it, and the kernel kills Sidekiq with its jobs in flight.
//!
//! Every job is accounted for in Redis, which runs outside of the container as
//! it does in life.

use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::APP;
use crate::harness::*;

const EXEC_FORM: &[&str] = &["sidekiq", "-r./work.rb"];
/// Debian's dash forks even for a single command; bash and busybox exec it.
const SHELL_FORM: &[&str] = &["sh", "-c", "sidekiq -r./work.rb"];
pub const LIST: &[&str] = &["sh", "-c", "echo before; sidekiq -r./work.rb; echo after"];
const PIPELINE: &[&str] = &["sh", "-c", "sidekiq -r./work.rb | tee log"];
const SCRIPT: &[&str] = &["./entrypoint.sh"];
const SETSID: &[&str] = &["setsid", "--wait", "sidekiq", "-r./work.rb"];

pub const SHAPES: [&[&str]; 6] = [EXEC_FORM, SHELL_FORM, LIST, PIPELINE, SCRIPT, SETSID];

const JOBS: usize = 5;

const ALL_FINISHED: Account = Account { finished: JOBS, requeued: 0, lost: 0 };
const ALL_REQUEUED: Account = Account { finished: 0, requeued: JOBS, lost: 0 };
const ALL_LOST: Account = Account { finished: 0, requeued: 0, lost: JOBS };

#[test]
fn exec_form() {
    drains(EXEC_FORM, 0);
    // tini can do this one: what it loses below, it loses by the shell.
    let (account, end) = stop(TINI, EXEC_FORM, A_WHILE);
    assert_eq!(account, ALL_FINISHED, "{end}");
}

#[test]
fn shell_form() {
    drains(SHELL_FORM, 143);
    loses(TINI, SHELL_FORM);
    loses(TINI_G, SHELL_FORM);
}

#[test]
fn list() {
    drains(LIST, 143);
    loses(TINI, LIST);
    loses(TINI_G, LIST);
}

#[test]
fn pipeline() {
    drains(PIPELINE, 143);
    loses(TINI, PIPELINE);
    loses(TINI_G, PIPELINE);
}

#[test]
fn script() {
    drains(SCRIPT, 143);
    loses(TINI, SCRIPT);
    loses(TINI_G, SCRIPT);
}

#[test]
fn session_of_its_own() {
    drains(SETSID, 143);
    loses(TINI, SETSID);
    loses(TINI_G, SETSID);
}

/// TSTP quiets Sidekiq and stops the shell, which has to be continued to die of TERM.
#[test]
fn quiet_first() {
    let quiet = [DRAINIT, "--schedule", "TSTP:app/1/TERM:app/9/KILL:all"];
    let (account, end) = stop(&quiet, LIST, A_WHILE);
    assert_eq!(account, ALL_FINISHED, "{end}");
    assert_eq!(end.code, 143, "{end}");
    assert!(end.transcript.contains("Received TSTP"), "{end}");
}

/// Jobs that are done in time finish. The others go back to the queue, which tells
/// a Sidekiq that was asked at once from one that was asked at the last call: that
/// one has no time left for it.
fn drains(shape: &[&str], code: i32) {
    for (work, expected) in [(A_WHILE, ALL_FINISHED), (ENDLESS, ALL_REQUEUED)] {
        let (account, end) = stop(APP, shape, work);
        assert_eq!(account, expected, "{end}");
        assert_eq!(end.code, code, "{end}");
        // Sidekiq's own time-out of 5 s is as long as people wait without a word.
        let said = end.said_by_drainit();
        let waited = said.starts_with("drainit: waiting for ") && !said.contains('\n');
        assert!(said.is_empty() || (waited && expected == ALL_REQUEUED), "{said}");
    }
}

fn loses(init: &[&str], shape: &[&str]) {
    let (account, end) = stop(init, shape, A_WHILE);
    assert_eq!(account, ALL_LOST, "{init:?} {end}");
}

/// What became of the jobs that were in flight when the signal came.
#[derive(Debug, PartialEq)]
pub struct Account {
    pub finished: usize,
    pub requeued: usize,
    pub lost: usize,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Account { finished, requeued, lost } = self;
        write!(f, "finished {finished}  requeued {requeued}  lost {lost}")
    }
}

/// Runs Sidekiq as `command` below `init` and stops it with five jobs in flight.
pub fn stop(init: &[&str], command: &[&str], work: Work) -> (Account, End) {
    installed("sidekiq", "ruby-sidekiq");
    let dir = TempDir::with(&[
        ("work.rb", include_str!("sidekiq/work.rb")),
        ("entrypoint.sh", include_str!("sidekiq/entrypoint.sh")),
    ]);
    let _redis = Redis::at(&dir);
    let gate = Gate::at(&dir);
    let mut container = Container::run(&dir, init, command);
    let jobs = gate.admit(JOBS);
    container.terminate();
    jobs.have_left(work);
    let end = container.end();
    (account(&dir), end)
}

fn ask(dir: &Path, query: &[&str]) -> Vec<String> {
    let redis =
        Command::new("redis-cli").args(["-s", "redis"]).args(query).current_dir(dir).output();
    let redis = redis.unwrap();
    assert!(redis.status.success(), "redis-cli {query:?}: {redis:?}");
    let answer = String::from_utf8(redis.stdout).unwrap();
    answer.lines().map(str::to_owned).collect()
}

/// Of the jobs in the Redis of `dir`.
fn account(dir: &Path) -> Account {
    let done = ask(dir, &["SMEMBERS", "finished"]);
    let mut waiting = ask(dir, &["LRANGE", "queue:default", "0", "-1"]);
    waiting.extend(ask(dir, &["ZRANGE", "retry", "0", "-1"]));

    let finished = |id: &usize| done.contains(&id.to_string());
    let requeued = |id: &usize| {
        let args = format!(r#""args":[{id}]"#);
        !finished(id) && waiting.iter().any(|job| job.contains(&args))
    };
    let finished = (1..=JOBS).filter(finished).count();
    let requeued = (1..=JOBS).filter(requeued).count();
    Account { finished, requeued, lost: JOBS - finished - requeued }
}
