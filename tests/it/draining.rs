//! What happens from the stop on: who is asked, who is waited for and how long,
//! who is killed, and what is said about it.
//!
//! The default grace period (25 s) is longer than the guard of every test (10 s):
//! a drain that merely sleeps until its deadline passes none of these
//! (s6-overlay#204).

use crate::harness::{
    DRAINIT, End, FENCE, Run, Scene, TempDir, bare, children, drainit, installed, is_stopped,
};
use std::fs;
use std::time::{Duration, Instant};

/// In a session of its own; needs 300 ms to end.
const SLOW: &str = "
    child {
        POSIX::setsid();
        ends 'worker', 'TERM', 0, 0.3;
        line 'worker ready';
        rest;
    };
";

/// Ends at once, with 3.
const MAIN: &str = "
    ends 'main', 'TERM', 3;
    line 'main ready';
    rest;
";

/// As `SLOW`, and ends only when it is told to, and says whether TERM came before.
const UNTOLD: &str = "
    child {
        POSIX::setsid();
        line 'worker ready';
        told;
        line pending(POSIX::SIGTERM()) ? 'worker asked' : 'worker unasked';
        line pending(POSIX::SIGSYS()) ? 'worker signalled' : 'worker unsignalled';
    };
";

/// Deaf to TERM. It says so each time.
const DEAF: &str = "
    child {
        POSIX::setsid();
        hears 'worker', qw(TERM SYS);
        line \"worker is $$\"; line 'worker ready';
        rest;
    };
";

fn started(init: Scene, workers: &str) -> Run {
    let mut run = init.perl(&[workers, MAIN].concat());
    run.hears("main ready");
    run.hears("worker ready");
    run
}

pub fn a_slow_worker_finishes(init: Scene) -> bool {
    let run = started(init, SLOW);
    run.signal(libc::SIGTERM);
    run.ends().out.contains(&"worker done".to_owned())
}

#[test]
fn a_stop_waits_for_a_worker_that_has_left_the_group() {
    assert!(a_slow_worker_finishes(drainit(&["--signal-to", "all"])));
    assert!(a_slow_worker_finishes(drainit(&["--signal-to", "all"]).below_pause()));
    // In `group` it is asked when the main child is gone.
    assert!(a_slow_worker_finishes(drainit(&[])));
    assert!(a_slow_worker_finishes(drainit(&[]).below_pause()));
}

#[test]
fn the_main_childs_own_exit_is_a_stop() {
    for mode in ["group", "all"] {
        let main = "line 'main ready'; told; POSIX::_exit(3);";
        let mut run = drainit(&["--signal-to", mode]).perl(&[SLOW, main].concat());
        run.hears("worker ready");
        run.types("go!");
        let end = run.ends();
        assert_eq!(end.code, 3);
        assert!(end.has("worker done"), "{mode}: {end:?}");
        assert!(end.said.is_empty(), "nothing is lost: {end:?}");
    }
}

#[test]
fn nothing_is_said_when_nothing_is_lost() {
    for mode in ["group", "all", "main"] {
        let run = started(drainit(&["--signal-to", mode, "-t", "2s"]), SLOW);
        run.signal(libc::SIGTERM);
        let end = run.ends();
        assert_eq!(end.code, 3);
        assert!(end.said.is_empty(), "{mode}: {end:?}");
    }
}

#[test]
fn what_a_straggler_starts_is_waited_for_as_well() {
    let late = "
        child {
            POSIX::setsid();
            $SIG{TERM} = sub {
                orphan { orphan { select undef, undef, undef, 0.3; line 'grandchild done' } };
                POSIX::_exit(0);
            };
            line 'worker ready';
            rest;
        };
    ";
    let run = started(drainit(&[]), late);
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert!(end.has("grandchild done"), "{end:?}");
}

/// Wait until the main child has been reaped, with a worker left.
fn main_child_goes(run: &mut Run) {
    let main_child = run.main_child();
    run.signal(libc::SIGTERM);
    run.until("the main child is reaped", |run| !children(run.init()).contains(&main_child));
}

#[test]
fn whoever_is_not_to_be_asked_finishes_unasked_and_unsignalled() {
    for options in
        [&["--signal-to", "main"][..], &["-c"], &["--signal-to=main", "--leftovers=wait"]]
    {
        let end = after_the_main_childs_end(options);
        assert!(end.has("worker unasked") && end.has("worker unsignalled"), "{options:?}: {end:?}");
    }
    // Not asked; but a signal that still comes is for the stragglers.
    assert!(after_the_main_childs_end(&["--leftovers", "wait"]).has("worker unasked"));
}

/// The main child goes; SYS comes, to nobody: it is the fence, for signals are
/// taken in turn, and at -v each is said. Then the worker is told to finish.
fn after_the_main_childs_end(options: &[&str]) -> End {
    let mut run = started(drainit(options).options(&["-v"]), UNTOLD);
    main_child_goes(&mut run);
    run.signal(FENCE);
    run.says("SIGSYS");
    run.types("go!");
    let end = run.ends();
    assert_eq!(end.code, 3);
    end
}

#[test]
fn leftovers_ask_asks_in_every_mode() {
    for options in [&["--signal-to", "main", "--leftovers", "ask"][..], &["-c", "--leftovers=ask"]]
    {
        assert!(a_slow_worker_finishes(drainit(options)), "{options:?}");
    }
    let by_environment = drainit(&["-c"]).env("DRAINIT_LEFTOVERS", "ask");
    assert!(a_slow_worker_finishes(by_environment));
}

#[test]
fn leftovers_leave_waits_for_nobody() {
    assert!(!a_slow_worker_finishes(drainit(&["--leftovers", "leave"])));
    let run = started(drainit(&["--leftovers", "leave"]), DEAF);
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 3);
}

#[test]
fn a_signal_after_the_main_childs_end_goes_to_the_stragglers() {
    for mode in ["group", "all"] {
        let mut run = started(drainit(&["--signal-to", mode, "-t", "1h"]), DEAF);
        main_child_goes(&mut run);
        run.signal(FENCE);
        run.hears("worker SYS");
    }
}

#[test]
fn nobody_is_asked_twice() {
    // The stop asks a member of the group, and with `all` everybody; the main
    // child's end asks whoever is left.
    let member = DEAF.replace("POSIX::setsid();", "");
    for (mode, worker) in [("group", DEAF), ("group", &member), ("all", DEAF), ("all", &member)] {
        let mut run = started(drainit(&["--signal-to", mode, "-t", "1h"]), worker);
        main_child_goes(&mut run);
        run.hears("worker TERM");
        run.signal(FENCE);
        run.hears("worker SYS");
        let asked = run.heard().iter().filter(|line| *line == "worker TERM").count();
        assert_eq!(asked, 1, "{mode}: {worker}");
    }
}

/// It was born between two stop signals to its group.
#[test]
fn who_had_the_second_stop_signal_is_not_asked_again() {
    let main = "
        my $stops = 0;
        $SIG{TERM} = sub {
            POSIX::_exit(3) if $stops++;
            select undef, undef, undef, 0.03; # another tick of the clock
            orphan { hears 'late', 'TERM', 'SYS'; line 'late ready'; rest };
        };
        line 'main ready'; rest;";
    let mut run = drainit(&["-t", "1h"]).perl(main);
    run.hears("main ready");
    run.signal(libc::SIGTERM);
    run.hears("late ready");
    run.signal(libc::SIGTERM);
    run.hears("late TERM");
    run.until("the main child is gone", |run| children(run.init()).len() == 1);
    run.signal(FENCE);
    run.hears("late SYS");
    assert_eq!(run.heard().iter().filter(|line| *line == "late TERM").count(), 1);
}

/// Both steps are due at once.
#[test]
fn without_a_grace_period_everybody_is_asked_and_killed() {
    let main = "POSIX::sigprocmask(POSIX::SIG_SETMASK(), POSIX::SigSet->new); line 'ready'; rest;";
    for mode in ["group", "all", "app", "main"] {
        let mut run = drainit(&["-t", "0", "--signal-to", mode]).perl(main);
        run.hears("ready");
        run.signal(libc::SIGTERM);
        assert_eq!(run.ends().code, 128 + libc::SIGTERM, "{mode}");
    }
}

#[test]
fn a_straggler_that_ignores_term_is_killed_at_the_deadline_and_named() {
    // baseimage-docker#506: a process that ignores TERM held up the stop for ever.
    for mode in ["group", "all", "main"] {
        let init = drainit(&["--signal-to", mode, "--grace", "700ms"]);
        for init in [init.clone(), init.below_pause()] {
            let mut run = started(init, DEAF);
            let pid = run.hears_after("worker is ");
            let stopped = Instant::now();
            run.signal(libc::SIGTERM);
            let end = run.ends();
            assert!(stopped.elapsed() >= Duration::from_millis(700), "killed before the deadline");
            assert_eq!(end.code, 3, "the status is the main child's");
            assert!(end.has("worker TERM"), "killed unasked: {end:?}");
            let [line] = &end.said[..] else { panic!("{mode}: not one line: {end:?}") };
            assert!(line.starts_with("drainit: "), "{line}");
            for fact in [&pid, "perl", "700ms"] {
                assert!(line.contains(fact), "{mode}: '{fact}' is not in: {line}");
            }
        }
    }
}

#[test]
fn a_main_child_that_ignores_term_is_killed_and_named() {
    let mut run = drainit(&["-t", "500ms"]).perl("hears 'main', 'TERM'; line \"main is $$\"; rest");
    let pid = run.hears_after("main is ");
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert_eq!(end.code, 137);
    let [line] = &end.said[..] else { panic!("not one line: {end:?}") };
    assert!(line.contains(&pid) && line.contains("perl") && line.contains("500ms"), "{line}");
}

#[test]
fn the_grace_period_begins_with_the_stop() {
    // s6-overlay#554: the time ran before anybody had been sent a TERM.
    let mut run = drainit(&["-t", "500ms"]).perl(
        "hears 'main', 'TERM';
         select undef, undef, undef, 0.8;
         line 'main is older than the grace period';
         rest;",
    );
    run.hears("main is older than the grace period");
    let stopped = Instant::now();
    run.signal(libc::SIGTERM);
    run.hears("main TERM");
    assert_eq!(run.ends().code, 137);
    assert!(stopped.elapsed() >= Duration::from_millis(500), "{:?}", stopped.elapsed());
}

#[test]
fn a_second_stop_signal_arrives_and_moves_no_deadline() {
    // Each TERM that arrives provokes the next one: were the deadline moved,
    // this would never end.
    let bouncing = "
        my ($init, $count) = getppid;
        $SIG{TERM} = sub { line 'main TERM' if $count++ < 3; kill 'TERM', $init };
        line 'main ready';
        rest;
    ";
    let init = drainit(&["-t", "500ms"]);
    for init in [init.clone(), init.below_pause()] {
        let mut run = init.perl(bouncing);
        run.hears("main ready");
        run.signal(libc::SIGTERM);
        let end = run.ends();
        assert_eq!(end.code, 137);
        assert_eq!(end.out[1..], ["main TERM", "main TERM", "main TERM"]);
    }
}

#[test]
fn a_stop_signal_after_the_main_childs_end_moves_no_deadline() {
    let bouncing = "
        child {
            POSIX::setsid();
            $SIG{TERM} = sub { kill 'TERM', 1 };
            line 'worker ready';
            rest;
        };
    ";
    let run = started(drainit(&["-t", "500ms"]), bouncing);
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 3);
}

#[test]
fn grace_is_not_granted_again_when_the_main_child_ends() {
    let slow_main = "ends 'main', 'TERM', 3, 1.6; line 'main ready'; rest;";
    let mut run = drainit(&["-t", "2s"]).perl(&[DEAF, slow_main].concat());
    run.hears("main ready");
    run.hears_after("worker is ");
    let stopped = Instant::now();
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert_eq!(end.code, 3);
    // Granted again, it would end after 3.6 s.
    assert!(stopped.elapsed() < Duration::from_millis(3600), "{:?}", stopped.elapsed());
}

#[test]
fn a_grace_of_0_asks_and_kills_at_once() {
    let run = started(drainit(&["--grace", "0"]), DEAF);
    run.signal(libc::SIGTERM);
    run.ends();
}

/// Beyond the 25 s that a grace period is by default.
#[test]
fn infinity_never_kills() {
    let init = drainit(&["--grace", "infinity"]).guard(Duration::from_secs(60));
    let mut run = started(init, UNTOLD);
    let stopped = Instant::now();
    main_child_goes(&mut run);
    run.until("a default grace period is over", |_| stopped.elapsed() > Duration::from_secs(27));
    run.types("go!");
    run.hears("worker asked");
    assert_eq!(run.ends().code, 3);
}

#[test]
fn the_grace_period_may_come_from_the_environment() {
    let run = started(drainit(&[]).env("DRAINIT_GRACE", "300ms"), DEAF);
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().said.len(), 1);
    let run = started(drainit(&["-t", "300ms"]).env("DRAINIT_GRACE", "1h"), DEAF);
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().said.len(), 1);
}

#[test]
fn whoever_was_never_asked_gets_a_last_call_before_the_deadline() {
    let run = started(drainit(&["-c", "-t", "1s"]), SLOW);
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert!(end.has("worker TERM"), "{end:?}");
}

#[test]
fn the_last_call_is_for_leaves_only() {
    // The shell above the cut batch lives to clean up behind it.
    let batch = "orphan {
        setpgrp;
        POSIX::sigprocmask(POSIX::SIG_SETMASK(), POSIX::SigSet->new);
        exec 'sh', '-c', 'exec 2>/dev/null; echo worker ready; sleep 1000; echo cleaned up';
    };";
    let run = started(drainit(&["-c", "-t", "2s"]), batch);
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert!(end.has("cleaned up"), "{end:?}");
    assert!(end.said.is_empty(), "{end:?}");
}

pub fn a_stopped_main_child_sees_term(init: Scene) -> bool {
    let mut run = init.perl("ends 'main', 'TERM', 3; line 'main ready'; kill 'STOP', $$; rest");
    run.hears("main ready");
    run.until("the main child is stopped", |run| is_stopped(run.main_child()));
    run.signal(libc::SIGTERM);
    run.ended().is_some_and(|end| end.code == 3)
}

#[test]
fn a_stopped_process_is_continued_after_term_and_hup() {
    assert!(a_stopped_main_child_sees_term(drainit(&[])));
    assert!(a_stopped_main_child_sees_term(drainit(&[]).below_pause()));

    let mut run =
        drainit(&[]).perl("ends 'main', 'HUP', 3; line 'main ready'; kill 'STOP', $$; rest");
    run.hears("main ready");
    run.until("the main child is stopped", |run| is_stopped(run.main_child()));
    run.signal(libc::SIGHUP);
    assert_eq!(run.ends().code, 3);

    let straggler = "child {
        POSIX::setsid();
        ends 'worker', 'TERM', 0;
        line 'worker ready';
        kill 'STOP', $$;
        rest;
    };";
    for mode in ["group", "all"] {
        let mut run = started(drainit(&["--signal-to", mode]), straggler);
        let worker = children(run.main_child())[0];
        run.until("the worker is stopped", |_| is_stopped(worker));
        run.signal(libc::SIGTERM);
        let end = run.ends();
        assert!(end.has("worker done"), "{mode}: {end:?}");
    }
}

#[test]
fn nobody_elses_processes_are_signalled_or_waited_for() {
    // Dobby#456: an init that was not PID 1 called kill(-1).
    for mode in ["group", "all", "main"] {
        assert!(
            a_bystander_is_left_alone(drainit(&["--signal-to", mode, "-t", "500ms"])),
            "{mode}"
        );
    }
}

/// It lives beside an init that is not PID 1, and that in the end has to kill.
pub fn a_bystander_is_left_alone(init: Scene) -> bool {
    let bystander = "
        hears 'bystander', qw(TERM INT HUP QUIT CONT);
        ends 'bystander', 'SYS', 0;
        line 'bystander ready';
        rest;
    ";
    let mut run = started(init.beside(bystander), DEAF);
    run.hears("bystander ready");
    run.signal(libc::SIGTERM);
    let mut out = run.ends().out;
    out.retain(|line| line.starts_with("bystander"));
    out == ["bystander ready", "bystander SYS", "bystander done"]
}

#[test]
fn what_an_engine_executes_in_the_container_is_neither_signalled_nor_waited_for() {
    let mut run = started(drainit(&["--signal-to", "all"]), SLOW);
    let mut session = run.enters("hears 'session', 'TERM'; line 'session ready'; rest");
    run.hears("session ready");
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert_eq!(end.code, 3);
    assert!(end.has("worker done"), "{end:?}");
    assert!(!end.has("session TERM"), "{end:?}");
    session.wait().expect("the kernel ended it with PID 1");
}

#[test]
#[ignore = "needs root: a second user"]
fn a_main_child_that_may_not_be_signalled_is_waited_for() {
    // tini ends itself, and the container, at this EPERM.
    assert_eq!(a_signal_is_refused(drainit(&[])), Some(5));
}

#[test]
#[ignore = "needs root: a second user"]
fn a_main_child_that_may_not_be_killed_does_not_hold_up_the_end() {
    let mut run = drainit(&["-t", "300ms"]).prepared(WITHOUT_CAP_KILL).perl(
        "$< = $> = 65534;
         line 'main ready';
         rest;",
    );
    run.hears("main ready");
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 137, "the kernel killed it: PID 1 left");
}

const WITHOUT_CAP_KILL: &str = "exec { 'setpriv' } 'setpriv', '--bounding-set=-kill', @ARGV;";

/// The init has no CAP_KILL and the main child another user. It gets a TERM that
/// it cannot hand on; then the main child is told to end, with 5.
pub fn a_signal_is_refused(init: Scene) -> Option<i32> {
    let mut run = init.prepared(WITHOUT_CAP_KILL).perl(
        "$< = $> = 65534;
         line 'main ready';
         told;
         POSIX::_exit(5);",
    );
    run.hears("main ready");
    run.signal(libc::SIGTERM);
    run.types("go!");
    run.ended().map(|end| end.code)
}

#[test]
fn it_drains_without_proc() {
    let unmounted = "system('mount', '-t', 'tmpfs', 'none', '/proc') and die;";
    for mode in ["group", "all", "main"] {
        let mut run =
            started(drainit(&["--signal-to", mode, "-t", "300ms"]).prepared(unmounted), SLOW);
        run.signal(libc::SIGTERM);
        run.hears("main TERM");
        assert_eq!(run.ends().code, 3, "{mode}");
        // Nor does it matter that it is stopped.
        let main = "ends 'main', 'TERM', 3; line 'main ready'; kill 'STOP', $$; rest;";
        let mut run = drainit(&["--signal-to", mode, "-t", "1h"]).prepared(unmounted).perl(main);
        run.hears("main ready");
        run.until("it is stopped", |run| is_stopped(run.main_child()));
        run.signal(libc::SIGTERM);
        assert_eq!(run.ends().code, 3, "{mode}, stopped");
    }
}

#[test]
#[ignore = "needs busybox-static"]
fn it_drains_in_an_empty_root() {
    // Nothing but drainit and a static child: no /proc, no /dev, no library.
    let busybox = installed("busybox", "busybox-static");
    let root = TempDir::new();
    fs::copy(DRAINIT, root.join("drainit")).expect("a copy");
    fs::copy(busybox, root.join("busybox")).expect("a copy");
    let path = root.display();

    let end = bare().sh(&format!("exec chroot {path} /drainit /busybox sh -c 'exit 42'")).ends();
    assert_eq!(end.code, 42, "{end:?}");

    // The shell dies of TERM at once; what it was running needs 300 ms.
    let main = "
        /busybox sh -c 'trap \"/busybox sleep 0.3; echo worker done; exit\" TERM
                        echo worker ready; read forever' >&2 | /busybox sleep 1000
    ";
    let start = format!("exec chroot {path} /drainit /busybox sh -c \"$MAIN\"");
    let mut run = bare().env("MAIN", main).sh(&start);
    run.says("worker ready");
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert_eq!(end.code, 143);
    assert!(end.said.contains(&"worker done".to_owned()), "{end:?}");
}

#[test]
fn a_stopped_main_child_acts_on_a_stop_signal_that_was_rewritten() {
    let mut run = drainit(&["-r", "TERM:QUIT", "-t", "1h"])
        .perl("ends 'main', 'QUIT', 3; line 'main ready'; kill 'STOP', $$; rest");
    run.hears("main ready");
    run.until("the main child is stopped", |run| is_stopped(run.main_child()));
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 3);
}

#[test]
fn who_leaves_nobody_behind_is_drained_at_once() {
    let end = drainit(&["-v"]).sh("exit 3").ends();
    assert!(end.said.iter().any(|line| line.contains("drained in 0s; ")), "{end:?}");
}
