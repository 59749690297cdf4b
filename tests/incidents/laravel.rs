//! The incident: Laravel 8's `schedule:work`. SIGTERM ends the scheduler, the init
//! goes with it, and the kernel kills the batches that it adopted; their
//! `withoutOverlapping` locks stay, and nothing is due any more.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::APP;
use crate::harness::*;

const WORK: &[&str] = &["php", "artisan", "schedule:work"];
const SHELL_FORM: &[&str] = &["sh", "-c", "php artisan schedule:work"];
/// What stood in for `schedule:work` before Laravel had it.
const LOOP: &[&str] = &["sh", "-c", "while php artisan schedule:run; do sleep 60; done"];

pub const SHAPES: [&[&str]; 3] = [WORK, SHELL_FORM, LOOP];

const BATCHES: usize = 3;

const ALL_FINISHED: Account = Account { finished: BATCHES, locks: 0, due_again: BATCHES };
const CUT_AND_RELEASED: Account = Account { finished: 0, locks: 0, due_again: BATCHES };
const CUT_AND_LOCKED: Account = Account { finished: 0, locks: BATCHES, due_again: 0 };

#[test]
fn batches_finish_and_release_their_locks() {
    for shape in SHAPES {
        let (account, end) = stop(APP, shape, A_WHILE);
        assert_eq!(account, ALL_FINISHED, "{shape:?} {end}");
        assert_eq!(end.code, 143, "{end}");
        assert_eq!(end.said_by_drainit(), "", "nothing was lost");
    }
}

#[test]
fn tini_cuts_the_batches_and_leaves_their_locks() {
    for shape in SHAPES {
        for init in [TINI, TINI_G] {
            let (account, end) = stop(init, shape, A_WHILE);
            assert_eq!(account, CUT_AND_LOCKED, "{init:?} {shape:?} {end}");
        }
    }
}

/// The batch is the leaf. The shell above it then runs `schedule:finish`, which
/// releases the lock.
#[test]
fn a_batch_longer_than_the_grace_is_cut_at_the_last_call_and_its_lock_released() {
    let (account, end) = stop(&[APP, &["--last-call", "5s"]].concat(), WORK, ENDLESS);
    assert_eq!(account, CUT_AND_RELEASED, "{end}");
    assert_eq!(end.code, 143, "{end}");
    let said = end.said_by_drainit();
    assert!(said.contains("waiting for ") && !said.contains("killed"), "{said}");
}

#[test]
fn without_the_last_call_the_lock_of_a_long_batch_stays() {
    let (account, end) = stop(&[DRAINIT, "--schedule", "TERM:app/5/KILL:all"], WORK, ENDLESS);
    assert_eq!(account, CUT_AND_LOCKED, "{end}");
    assert!(end.said_by_drainit().contains("artisan batch"), "names who was killed: {end}");
}

/// What is said of the batches is what their own log says.
#[test]
fn the_words_agree_with_the_batches() {
    let group = [DRAINIT, "--grace", "10s"];
    let (account, end) = stop(&group, WORK, A_WHILE);
    println!("group, text:\n{}", end.said_by_drainit());
    assert_eq!(account.finished, 0, "{end}");
    let said = end.said_by_drainit();
    assert!(said.contains("cut 3 that nobody else looks after: "), "{said}");
    assert!(said.contains("'artisan' batch 1") && said.contains("--signal-to app"), "{said}");
    for init in [&group[..], APP] {
        let json = [init, &["-v", "--log-format", "json"]].concat();
        let (account, end) = stop(&json, WORK, A_WHILE);
        println!("{init:?}, JSON:\n{}", end.said_by_drainit());
        let is_report = |line: &&str| line.contains("\"event\":\"report\"");
        let said = end.said_by_drainit();
        let report = said.lines().find(is_report).expect("a report");
        let count = |fate: &str| {
            let (_, rest) = report.split_once(&format!("\"{fate}_count\":")).expect("a count");
            rest.split(',').next().unwrap().parse::<usize>().unwrap()
        };
        // A batch is a shell and what it runs; the shell of one that finished exits, of
        // one that was cut it is ended.
        assert_eq!(count("cut") == 0, account.finished == BATCHES, "{report}");
        assert!(count("finished") >= account.finished, "{report}");
    }
}

/// The order of the time-outs, turned round: who cuts is the engine, and nobody is asked.
#[test]
fn a_grace_longer_than_the_stop_time_out_leaves_the_locks() {
    let endless = [DRAINIT, "--grace", "infinity", "--signal-to", "app"];
    let (account, end) = stop(&endless, WORK, ENDLESS);
    assert_eq!(account, CUT_AND_LOCKED, "{end}");
    assert_eq!(end.code, 137, "{end}");
}

/// What became of the batches that were in flight when the signal came.
#[derive(Debug, PartialEq)]
pub struct Account {
    pub finished: usize,
    /// Locks that nobody will release.
    pub locks: usize,
    /// Batches that the next `schedule:run` starts.
    pub due_again: usize,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Account { finished, locks, due_again } = self;
        write!(f, "finished {finished}  locks left {locks}  due again {due_again}")
    }
}

/// Runs the scheduler as `command` below `init` and stops it with three batches in flight.
pub fn stop(init: &[&str], command: &[&str], work: Work) -> (Account, End) {
    installed("php", "php-cli");
    assert!(
        Path::new("/usr/share/php/Illuminate/autoload.php").exists(),
        "Laravel is missing here: apt-get install php-laravel-framework"
    );
    let app = TempDir::with(&[
        ("artisan", include_str!("laravel/artisan")),
        ("config/app.php", include_str!("laravel/config/app.php")),
        ("config/cache.php", include_str!("laravel/config/cache.php")),
        ("bootstrap/cache/.keep", ""),
    ]);
    let locks = || files_in(&app.join("storage/locks"));
    let gate = Gate::at(&app);
    let mut container = Container::run(&app, init, command);
    let batches = gate.admit(BATCHES);
    assert_eq!(locks(), BATCHES, "each batch in flight holds its lock");
    container.terminate();
    batches.have_left(work);
    let end = container.end();

    let finished = fs::read_to_string(app.join("finished")).unwrap_or_default();
    let (finished, locks) = (finished.lines().count(), locks());
    let next = Container::run(&app, &[], &["php", "artisan", "schedule:run"]).end();
    let due_again = next.transcript.matches("Running scheduled command").count();
    let account = Account { finished, locks, due_again };
    (account, end)
}

fn files_in(dir: &Path) -> usize {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| if path.is_dir() { files_in(&path) } else { 1 }).sum()
}
