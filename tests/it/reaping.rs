//! No zombie is left, none is missed, and nothing wakes up for it in between.

use crate::harness::{Scene, bare, drainit, rounds, status_field};
use std::thread;
use std::time::Duration;

/// A mother leaves this many dead children behind, all at once, for one single
/// SIGCHLD. Says how many processes there were before, and when none of them is
/// a zombie any more; the main child's own living children are none.
fn orphans(how_many: usize) -> String {
    format!(
        r#"
        sub zombies {{
            my $zombies = 0;
            for my $file (glob '/proc/[0-9]*/stat') {{
                open my $stat, '<', $file or next;
                $zombies++ if (<$stat> // '') =~ /\) Z /;
            }}
            return $zombies;
        }}
        my $mother = child {{
            for (1..{how_many}) {{
                my $pid;
                # Others need pids, too, and 32,768 may be all there are.
                select undef, undef, undef, 0.01 until defined($pid = fork);
                POSIX::_exit(0) unless $pid;
            }}
            # The last ones may not be dead yet.
            select undef, undef, undef, 0.01 while zombies() < {how_many};
            line 'all are dead: ' . zombies();
        }};
        waitpid $mother, 0;
        line 'all are orphans';
        for (1..$ARGV[0] // 1e9) {{
            last unless zombies();
            select undef, undef, undef, 0.01;
        }}
        line 'zombies left: ' . zombies();
        "#
    )
}

#[test]
fn of_20_000_orphans_none_is_left_a_zombie() {
    for (init, how_many) in [(drainit(&[]), 20_000), (drainit(&[]).below_pause(), 1_000)] {
        let mut run = init.guard(Duration::from_secs(60)).perl(&orphans(how_many));
        assert_eq!(run.hears_after("all are dead: "), how_many.to_string());
        run.hears("zombies left: 0");
        assert_eq!(run.ends().code, 0);
    }
}

#[test]
fn a_zombie_is_seen_where_nobody_reaps() {
    // The control of the test above: PID 1 never waits.
    let script = format!("child {{ @ARGV = 20; {} }}; rest", orphans(10));
    let mut run = bare().perl(&script);
    assert_eq!(run.hears_after("all are dead: "), "10");
    assert_eq!(run.hears_after("zombies left: "), "10");
}

#[test]
fn the_main_child_may_end_at_the_same_moment_as_the_orphans() {
    // catatonit#4: SIGCHLDs that had become one were taken for one death, and
    // the main child's went unseen.
    //
    // All of them wait for the end of one pipe, which is the main child's end.
    let at_once = "
        pipe my $end, my $held;
        for (1..20) {
            orphan { close $held; sysread $end, my $byte, 1 };
        }
        POSIX::_exit(7);
    ";
    for round in 0..rounds() {
        let end = drainit(&[]).perl(at_once).ends();
        assert_eq!(end.code, 7, "round {round}");
        assert!(end.said.is_empty(), "round {round}: {end:?}");
    }
}

#[test]
fn a_stop_may_come_at_the_same_moment_as_the_main_childs_end() {
    for round in 0..rounds() {
        let end = drainit(&[]).sh("kill -TERM 1; exit 7").ends();
        assert!([7, 143].contains(&end.code), "round {round}: {end:?}");
        assert!(end.said.is_empty(), "round {round}: {end:?}");
    }
}

/// Who adopts an orphan? Says the orphan's parent.
pub fn an_orphan_is_adopted(init: Scene) -> bool {
    let mut run = init.below_pause().perl(
        "my $init = getppid;
         orphan {
             select undef, undef, undef, 0.001 while getppid != $init and getppid != 1;
             line getppid == $init ? 'adopted by the init' : 'adopted by PID 1';
         };
         rest;",
    );
    run.hears_after("adopted by ") == "the init"
}

#[test]
fn it_is_a_subreaper_where_it_is_not_pid_1() {
    // tini 10094b7: prctl was called without its argument.
    assert!(an_orphan_is_adopted(drainit(&[])));
}

#[test]
fn orphans_are_reaped_while_the_main_child_lives_and_said_at_vv() {
    for init in [
        drainit(&["-vv"]),
        drainit(&["-v", "--verbose"]),
        drainit(&[]).env("DRAINIT_VERBOSITY", "2"),
    ] {
        let mut run = init.perl("orphan { line \"orphan is $$\" }; line 'main ready'; rest");
        let pid = run.hears_after("orphan is ");
        run.says(&pid);
    }
}

/// Wake-ups of an init that has nothing to do, with an orphan and a main child.
pub fn wake_ups(init: Scene, idle: Duration) -> u64 {
    let mut run = init
        .guard(idle + Duration::from_secs(10))
        .perl("orphan { line 'orphan ready'; rest }; line 'main ready'; rest");
    run.hears("orphan ready");
    run.hears("main ready");
    let init = run.init();
    // It has done what there was to do when it sleeps.
    run.until("the init sleeps", |_| status_field(init, "State").starts_with('S'));
    let count = || -> u64 {
        status_field(init, "voluntary_ctxt_switches").parse().expect("the init lives")
    };
    let before = count();
    thread::sleep(idle);
    count() - before
}

#[test]
fn it_does_not_wake_up_in_10_s_of_idling() {
    assert_eq!(wake_ups(drainit(&[]), Duration::from_secs(10)), 0);
}
