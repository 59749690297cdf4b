//! `--restart`: when a run is followed by another, and by what it never is.
//!
//! The pauses themselves are the pure policy's, walked beside it; here they are
//! held to their lower bounds only.

use crate::harness::{Run, TempDir, drainit, rounds};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// Says which run it is and does as `then` says.
fn counted(dir: &TempDir, options: &[&str], then: &str) -> Run {
    let file = dir.join("runs");
    fs::write(&file, "").unwrap();
    let file = file.display();
    drainit(options).sh(&format!("echo >>{file}; run=$(wc -l <{file}); echo run $run; {then}"))
}

#[test]
fn an_exit_0_is_run_again_for_as_long_as_it_is_not_stopped() {
    let dir = TempDir::new();
    let options = ["-v", "--restart", "always", "--restart-delay", "10ms"];
    let mut run = counted(&dir, &options, "exit 0");
    run.hears("run 100");
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert!(matches!(end.code, 0 | 143), "{end:?}");
    assert!(end.said.last().is_some_and(|line| line.contains(", failures 0,")), "{end:?}");
}

#[test]
fn the_delay_is_from_start_to_start() {
    let dir = TempDir::new();
    let began = Instant::now();
    let mut run = counted(&dir, &["--restart=always", "--restart-delay=300ms"], "exit 0");
    run.hears("run 4");
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    run.signal(libc::SIGTERM);
    run.ends();
}

#[test]
fn on_failure_ends_with_an_exit_0_and_counts_a_success_code_as_one() {
    for (success, code) in [("0", 0), ("9", 0)] {
        let dir = TempDir::new();
        let options = ["--restart", "on-failure", "-e", "9"];
        let began = Instant::now();
        let end =
            counted(&dir, &options, &format!("[ $run = 2 ] && exit {success}; exit 1")).ends();
        assert_eq!(end.code, code);
        assert!(end.has("run 2") && !end.has("run 3"));
        assert!(began.elapsed() >= Duration::from_secs(1), "no pause after a failure");
    }
}

#[test]
fn the_limit_ends_it_with_the_last_status() {
    let dir = TempDir::new();
    let options = ["--restart", "always", "--restart-limit", "2"];
    let end = counted(&dir, &options, "exit $((run + 40))").ends();
    assert_eq!(end.code, 42);
    assert!(end.has("run 2") && !end.has("run 3"));
}

#[test]
fn a_straggler_that_had_to_be_killed_makes_no_failure_of_an_exit_0() {
    let dir = TempDir::new();
    let options = ["-t100ms", "--killed-exit-code=9", "--restart=on-failure"];
    let end = counted(&dir, &options, "trap '' TERM; setsid sleep 100 & exit 0").ends();
    assert_eq!(end.code, 9);
    assert!(end.has("run 1") && !end.has("run 2"), "{end:?}");
}

#[test]
fn a_stop_lets_the_run_in_hand_finish_and_starts_no_other() {
    // No TERM handler: it is asked by nobody before the last call.
    let dir = TempDir::new();
    let options = ["--restart", "always", "--schedule", "1h/TERM:leaves/5/KILL"];
    let mut run = counted(&dir, &options, "read go; echo finished; exit 0");
    run.hears("run 1");
    run.signal(libc::SIGTERM);
    run.types("go\n");
    let end = run.ends();
    assert_eq!(end.code, 0);
    assert!(end.has("finished") && !end.has("run 2"), "{end:?}");
}

#[test]
fn a_stop_ends_a_pause_at_once_with_the_last_status() {
    let dir = TempDir::new();
    let mut run = counted(&dir, &["-v", "--restart", "always"], "[ $run = 3 ] || exit 7; exit 8");
    run.hears("run 3");
    run.says("exited with 8");
    let stopped = Instant::now();
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert_eq!(end.code, 8);
    assert!(stopped.elapsed() < Duration::from_secs(4), "it sat out the pause");
}

#[test]
fn what_a_run_leaves_behind_ends_before_the_next_begins() {
    let dir = TempDir::new();
    let ready = dir.join("ready");
    let ready = ready.display();
    let straggler = format!(
        "setsid sh -c 'trap \"echo gone $run; exit\" TERM; echo >{ready}; while :; do sleep 0.02; done' &
         until [ -s {ready} ]; do :; done; rm {ready}; exit 0"
    );
    let mut run = counted(&dir, &["--restart", "always"], &format!("export run; {straggler}"));
    run.hears("run 3");
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert_eq!(end.out[..4], ["run 1", "gone 1", "run 2", "gone 2"]);
}

#[test]
fn no_repetition_mends_a_command_that_is_none() {
    for (command, code) in [("/nowhere/at/all", 127), ("/etc", 126)] {
        let end = drainit(&["--restart", "always"]).command([command]).ends();
        assert_eq!(end.code, code);
    }
}

#[test]
fn a_start_that_fails_has_nothing_of_the_run_before_it() {
    let text = "#!/bin/sh\nrm \"$0\"; trap '' TERM; setsid sleep 100 & exit 0\n";
    let dir = TempDir::with(&[("job", text)]);
    let job = dir.join("job");
    let options =
        ["-w", "-t100ms", "--killed-exit-code=99", "--restart=always", "--restart-limit=1"];
    let end = drainit(&options).command([job.to_str().unwrap()]).ends();
    assert_eq!(end.code, 127);
    let kills = end.said.iter().filter(|line| line.contains("killed 1")).count();
    assert_eq!(kills, 1, "{end:?}");
    assert!(!end.said.iter().any(|line| line.contains("exited with 127")), "{end:?}");
}

#[test]
fn a_file_that_is_replaced_while_it_runs_is_tried_again() {
    let dir = TempDir::new();
    let job = dir.join("job");
    let path = job.display();
    let write = |text: &str| {
        fs::write(&job, text).unwrap();
        fs::set_permissions(&job, fs::Permissions::from_mode(0o755)).unwrap();
    };
    write(&format!("#!/bin/sh\nmv {path} {path}.old; echo first; exit 0\n"));
    let mut run = drainit(&["--restart", "always"]).command([job.to_str().unwrap()]);
    run.hears("first");
    run.says("cannot find");
    write("#!/bin/sh\necho second; exit 5\n");
    run.hears("second");
    run.says("run 3 failed: it exited with 5");
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 5);
}

#[test]
fn memory_does_not_grow_from_run_to_run() {
    let dir = TempDir::new();
    let script = dir.join("script");
    // Without `#!`: /bin/sh and its arguments are put together in our memory.
    fs::write(&script, "echo run\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    for command in ["echo", script.to_str().unwrap()] {
        let options = ["--restart=always", "--restart-delay=0"];
        let mut run = drainit(&options).guard(Duration::from_secs(60)).command([command, "run"]);
        let size = |run: &mut Run, runs| {
            (0..runs).for_each(|_| run.hears("run"));
            let status = fs::read_to_string(format!("/proc/{}/status", run.init())).unwrap();
            status.lines().find(|line| line.starts_with("VmSize:")).unwrap().to_owned()
        };
        let before = size(&mut run, 10);
        assert_eq!(size(&mut run, 10 * rounds()), before, "{command}");
        run.signal(libc::SIGTERM);
        run.ends();
    }
}

#[test]
fn a_stop_signal_that_is_dropped_is_dropped_in_a_pause_too() {
    let options = ["-v", "--restart=always", "--restart-delay=1s", "--rewrite", "TERM:0"];
    let mut run = drainit(&options).sh("echo run");
    run.hears("run");
    run.says("next run in ");
    run.signal(libc::SIGTERM);
    run.hears("run");
    run.signal(libc::SIGINT);
    run.ends();
}
