//! `--signal-to app`: first the application, then its helpers, never its jobs. With
//! real shells; the real programs are in `tests/field`.

use crate::harness::{
    DRAINIT, End, PRELUDE, Run, Scene, TempDir, children, drainit, kill, rounds, status_field,
};
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

const APP: [&str; 2] = ["--signal-to", "app"];

/// A shell script in which `$app` and `$other` run these two perl scripts.
fn script(init: Scene, script: &str, app: &str, other: &str) -> Run {
    let worker = |script: &str| format!("exec perl -e \"$PRELUDE\" -e \"{script}\"");
    init.env("PRELUDE", PRELUDE)
        .env("APP", app)
        .env("OTHER", other)
        .env("app", worker("$APP"))
        .env("other", worker("$OTHER"))
        .sh(script)
}

/// Saves for 300 ms once it is asked, and then says a last word on stdout.
const SAVES: &str = "ends 'app', 'TERM', 0, 0.3; line 'app ready'; rest;";

/// The last word of a pipeline's worker is read.
fn a_pipelines_last_word(init: Scene) -> bool {
    let mut run = script(init, "(eval \"$app\") | cat", SAVES, "");
    run.hears("app ready");
    run.signal(libc::SIGTERM);
    run.ends().has("app done")
}

#[test]
fn a_pipelines_reader_lives_until_its_writer_has_ended() {
    assert!(a_pipelines_last_word(drainit(&APP)));
    assert!(!a_pipelines_last_word(drainit(&[])), "control: group tells the reader as well");
}

/// Takes a second SIGTERM for an order to hurry.
const ONCE: &str = "
    my $asked = 0;
    $SIG{TERM} = sub { if ($asked++) { line 'twice'; POSIX::_exit(9) } };
    line 'app ready';
    POSIX::sigsuspend(POSIX::SigSet->new) until $asked;
    POSIX::sigprocmask(POSIX::SIG_SETMASK(), POSIX::SigSet->new);
    select undef, undef, undef, 0.05;
    line 'app done';
";

/// A script that passes SIGTERM on: how often its worker heard it once.
fn passed_on_once(init: &Scene, rounds: usize) -> usize {
    let trap = "trap 'kill -TERM $pid; wait $pid; exit' TERM; (eval \"$app\") & pid=$!; wait $pid";
    let once = |_: &usize| {
        let mut run = script(init.clone(), trap, ONCE, "");
        run.hears("app ready");
        run.signal(libc::SIGTERM);
        run.ends().has("app done")
    };
    (0..rounds).filter(once).count()
}

#[test]
fn what_a_trap_passes_the_signal_to_hears_it_once() {
    let rounds = rounds() / 4;
    assert_eq!(passed_on_once(&drainit(&APP), rounds), rounds);
    assert!(passed_on_once(&drainit(&[]), rounds) < rounds, "control: group tells the worker too");
}

/// Whether the application had ended before its helper heard of the stop.
fn helper_outlives_the_application(init: Scene) -> bool {
    let helper = "ends 'helper', 'TERM', 0; line 'helper ready'; rest;";
    let text = "(eval \"$other\") & eval \"(${app#exec }); true\"";
    let mut run = script(init, text, SAVES, helper);
    run.hears("app ready");
    run.hears("helper ready");
    let asked = Instant::now();
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert!(end.has("app done") && end.has("helper done"), "{end:?}");
    assert!(asked.elapsed() < Duration::from_secs(5), "not at the last call");
    let place = |line| end.out.iter().position(|said| said == line);
    place("app done") < place("helper TERM")
}

#[test]
fn what_runs_beside_the_application_is_told_after_it() {
    assert!(helper_outlives_the_application(drainit(&APP)));
    assert!(!helper_outlives_the_application(drainit(&[])), "control: group tells both");
}

#[test]
fn a_daemon_is_told_once_the_application_is_gone_and_a_job_is_not() {
    let worker = |setsid: &str, name: &str| {
        format!(
            "orphan {{ {setsid}; hears '{name}', 'TERM'; line '{name} ready';
            $SIG{{USR1}} = sub {{ line '{name} done'; POSIX::_exit(0) }}; rest }};"
        )
    };
    for mode in ["app", "main"] {
        let daemon =
            "orphan { POSIX::setsid(); ends 'daemon', 'TERM', 0; line 'daemon ready'; rest };";
        let job = worker("1", "job");
        let main = [daemon, &job, "ends 'main', 'TERM', 3; line 'main ready'; rest;"].concat();
        let mut run = drainit(&["--signal-to", mode]).perl(&main);
        for line in ["daemon ready", "job ready", "main ready"] {
            run.hears(line);
        }
        run.signal(libc::SIGTERM);
        run.hears("main done");
        run.hears("daemon done");
        // The job finishes by itself: the last thing that is waited for.
        run.until("only the job is left", |run| children(run.init()).len() == 1);
        kill(run.main_child(), libc::SIGUSR1);
        let end = run.ends();
        assert_eq!(end.code, 3);
        assert!(end.has("job done") && !end.has("job TERM"), "{mode}: {end:?}");
        assert!(end.said.is_empty(), "{mode}: {end:?}");
    }
}

#[test]
fn who_had_the_stop_signal_under_another_name_is_not_asked_again() {
    let worker = "child { hears 'worker', qw(QUIT TERM); line 'worker ready';
        $SIG{SYS} = sub { line 'worker done'; POSIX::_exit(0) }; rest };";
    let main = "ends 'main', 'QUIT', 3; line 'main ready'; rest;";
    let mut run = drainit(&["-r", "TERM:QUIT"]).perl(&[worker, main].concat());
    run.hears("worker ready");
    run.hears("main ready");
    run.signal(libc::SIGTERM);
    run.hears("main done");
    run.hears("worker QUIT");
    run.until("the main child is reaped", |run| children(run.init()).len() == 1);
    run.signal(libc::SIGSYS);
    let end = run.ends();
    assert!(end.has("worker done") && !end.has("worker TERM"), "{end:?}");
}

#[test]
fn other_signals_go_to_the_application_alone() {
    let helper = "hears 'helper', 'USR1'; ends 'helper', 'TERM', 0; line 'helper ready'; rest;";
    let app = "hears 'app', 'USR1'; ends 'app', 'TERM', 0; line 'app ready'; rest;";
    let text = "trap '' USR1; (eval \"$other\") & eval \"(${app#exec }); true\"";
    let mut run = script(drainit(&APP), text, app, helper);
    run.hears("app ready");
    run.hears("helper ready");
    run.signal(libc::SIGUSR1);
    run.hears("app USR1");
    run.signal(libc::SIGTERM);
    assert!(!run.ends().has("helper USR1"));
}

#[test]
fn under_another_inits_name_it_signals_whom_that_does_and_asks_the_rest() {
    let dir = TempDir::new();
    for (name, group) in
        [("tini", false), ("docker-init", false), ("catatonit", false), ("dumb-init", true)]
    {
        let init = dir.join(name);
        symlink(DRAINIT, &init).unwrap();
        let worker = "child { ends 'worker', 'TERM', 0; hears 'worker', 'USR1'; line 'worker ready'; rest };";
        let main = "ends 'main', 'TERM', 3; hears 'main', 'USR1'; line 'main ready'; rest;";
        let scene = Scene::of(&[init.to_str().unwrap(), "--"]);
        let mut run = scene.perl(&[worker, main].concat());
        run.hears("worker ready");
        run.hears("main ready");
        run.signal(libc::SIGUSR1);
        run.hears("main USR1");
        run.signal(libc::SIGTERM);
        let end = run.ends();
        assert_eq!(end.code, 3, "{name}");
        assert_eq!(end.has("worker USR1"), group, "{name}: {end:?}");
        assert!(end.has("worker done"), "{name} asks who is left: {end:?}");
    }
}

/// A thread dump of a JVM, the STOPSIGNAL of nginx: said once.
#[test]
fn a_signal_that_may_be_an_images_stopsignal_is_passed_on_and_said() {
    let main = "hears 'main', 'QUIT'; ends 'main', 'TERM', 3; line 'main ready'; rest;";
    let told = |options: &[&str]| -> End {
        let mut run = drainit(options).perl(main);
        run.hears("main ready");
        for _ in 0..2 {
            run.signal(libc::SIGQUIT);
            run.hears("main QUIT");
        }
        run.signal(libc::SIGTERM);
        run.ends()
    };
    let end = told(&[]);
    assert_eq!(end.said.len(), 1, "{end:?}");
    assert!(end.said[0].contains("--stop-signal QUIT,TERM,INT"), "{end:?}");
    assert!(told(&["--stop-signal", "QUIT,TERM,INT"]).said.is_empty());
    // While it drains there is none to be begun.
    let mut run = drainit(&["-v", "-t", "300ms", "--signal-to", "app"])
        .perl("orphan { hears 'job'; rest }; POSIX::_exit(3);");
    run.says("exited with 3");
    run.signal(libc::SIGQUIT);
    let end = run.ends();
    assert!(end.said.iter().any(|line| line.contains("nobody is told")), "{end:?}");
    assert!(!end.said.iter().any(|line| line.contains("no stop began")), "{end:?}");
}

#[test]
fn ctrl_c_is_the_end_of_repetition() {
    let mut run = drainit(&["--restart", "always"]).on_tty().sh("echo run; exec sleep 1000");
    run.hears("run");
    run.until("sleep runs", |run| status_field(run.main_child(), "Name") == "sleep");
    run.types("\x03");
    let end = run.ends();
    assert_eq!((end.code, end.out.iter().filter(|line| *line == "run").count()), (130, 1));
}

/// The stop is dequeued before the news that the main child has ended, as where a
/// container was frozen: what that orphaned is a job.
#[test]
fn a_stop_that_meets_a_zombie_main_child_cuts_no_job() {
    let job = "child { POSIX::setsid(); hears 'job', 'TERM'; line 'job ready';
        $SIG{USR1} = sub { line 'job done'; POSIX::_exit(0) }; rest };";
    for mode in ["app", "main"] {
        let main = [job, "line 'main ready'; told; POSIX::_exit(3);"].concat();
        let mut run = drainit(&["--signal-to", mode]).perl(&main);
        run.hears("job ready");
        run.hears("main ready");
        let (init, main) = (run.init(), run.main_child());
        run.signal(libc::SIGSTOP);
        run.until("it is frozen", |_| status_field(init, "State").starts_with('T'));
        run.types("go!");
        run.until("the main child has ended", |_| status_field(main, "State").starts_with('Z'));
        run.signal(libc::SIGTERM);
        run.signal(libc::SIGCONT);
        run.until("it is reaped", |run| !children(run.init()).contains(&main));
        kill(run.main_child(), libc::SIGUSR1);
        let end = run.ends();
        assert!(end.code == 3 && end.has("job done") && !end.has("job TERM"), "{mode}: {end:?}");
    }
}
