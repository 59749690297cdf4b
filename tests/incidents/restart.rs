//! The incident: a worker that takes one piece of work, ends well in 0.1 s and is
//! to be run again. supervisord counts that as a failure and gives up.

use crate::harness::*;

fn job() -> TempDir {
    installed("php", "php-cli");
    TempDir::with(&[
        ("job.php", include_str!("restart/job.php")),
        ("supervisord.conf", include_str!("restart/supervisord.conf")),
    ])
}

/// One of eight copies is enough: a run whose end supervisord notices a second late
/// counts as a good start.
#[test]
fn supervisord_gives_up_on_a_job_that_ends_well() {
    let dir = job();
    installed("supervisord", "supervisor");
    let mut container = Container::run(&dir, TINI, &["supervisord", "-c", "supervisord.conf"]);
    container.says("entered FATAL state, too many start retries too quickly");
    container.terminate();
    let end = container.end();
    let mut exits = end.transcript.lines().filter(|line| line.contains(" exited: "));
    assert!(exits.all(|exit| exit.contains("(exit status 0; ")), "{end}");
}

/// A job without a handler for SIGTERM has to be left alone to finish, so the
/// schedule asks nobody before the last call.
#[test]
fn drainit_runs_it_again_and_again_and_lets_the_run_in_hand_finish() {
    const RUNS: usize = 30;
    const ALWAYS: &[&str] = &[DRAINIT, "-v", "--restart", "always"];
    const ASK_NOBODY: &[&str] = &["--schedule", "8/TERM:leaves/2/KILL:all"];
    let dir = job();
    let gate = Gate::at(&dir);
    let init = [ALWAYS, ASK_NOBODY].concat();
    let mut container = Container::run(&dir, &init, &["php", "job.php", "gate"]);
    for _ in 1..RUNS {
        gate.admit(1).have_left(Some(0.1));
    }
    let in_hand = gate.admit(1);
    container.terminate();
    // Else the run might end first, and another one begin before the stop.
    container.says("TERM");
    in_hand.have_left(Some(0.1));
    let end = container.end();
    assert_eq!(end.code, 0, "{end}");
    assert_eq!(end.transcript.matches("begun").count(), RUNS, "{end}");
    assert_eq!(end.transcript.matches("done").count(), RUNS, "{end}");
}
