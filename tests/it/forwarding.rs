//! Which signals are handed on, to whom, as what; and that none is lost.

use crate::harness::{DRAINIT, FENCE, PRELUDE, Run, Scene, bare, drainit, rounds};

/// Neither KILL and STOP, which nobody can catch, nor CHLD, which is drainit's
/// own news. glibc lets no program catch 32 and 33: they have a test below.
fn catchable() -> Vec<i32> {
    (1..=64)
        .filter(|n| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, 32, 33].contains(n))
        .collect()
}

/// Says each signal by its number, and ends at the last one.
const HEARS_ALL: &str = "
    for my $n (1..64) {
        POSIX::sigaction($n, POSIX::SigAction->new(sub {
            line \"main $n\";
            POSIX::_exit(4) if $n == 64;
        })) unless $n == POSIX::SIGCHLD;
    }
    line 'main ready';
    rest;
";

#[test]
fn every_signal_that_can_be_caught_arrives_once() {
    for init in [drainit(&[]), drainit(&[]).below_pause()] {
        let mut run = init.perl(HEARS_ALL);
        run.hears("main ready");
        for signal in catchable() {
            run.signal(signal);
            run.hears(&format!("main {signal}"));
        }
        let end = run.ends();
        assert_eq!(end.code, 4);
        // CONT also comes after HUP and TERM.
        let arrived = end.out[1..].iter().filter(|line| *line != "main 18");
        let sent = catchable().into_iter().filter(|n| *n != 18).map(|n| format!("main {n}"));
        assert!(arrived.cloned().eq(sent), "{end:?}");
        // SIGQUIT may be the STOPSIGNAL of an image.
        let hint = |line: &String| line.contains("passed SIGQUIT on, and no stop began");
        assert!(end.said.iter().all(hint) && end.said.len() <= 1, "{end:?}");
    }
}

#[test]
fn the_two_signals_that_glibc_hides_are_forwarded_too() {
    for init in [drainit(&[]), drainit(&[]).below_pause()] {
        for signal in [32, 33] {
            let mut run = init.clone().perl("line 'main ready'; rest");
            run.hears("main ready");
            run.signal(signal);
            assert_eq!(run.ends().code, 128 + signal);
        }
    }
}

#[test]
fn real_time_signals_keep_their_number() {
    // Not so the others: two of them that are pending are one.
    let mut run = drainit(&[]).perl(HEARS_ALL);
    run.hears("main ready");
    for _ in 0..100 {
        run.signal(40);
    }
    for _ in 0..100 {
        run.hears("main 40");
    }
}

#[test]
fn a_signal_that_is_pending_before_the_main_child_exists_is_not_lost() {
    // dumb-init 1.1.2 and pid1-rs#11 lost it altogether; tini -g, dumb-init and
    // catatonit lose it when the child has not yet made its group.
    for _ in 0..rounds() {
        assert!(a_pending_term_arrives(drainit(&[])));
    }
    for mode in ["main", "all"] {
        for _ in 0..rounds() / 10 {
            assert!(a_pending_term_arrives(drainit(&["--signal-to", mode])));
        }
    }
    for _ in 0..rounds() / 10 {
        assert!(a_pending_term_arrives(drainit(&[]).below_pause()));
    }
}

/// The signal is there before the init is, since it is blocked; the worker, who
/// is given the same mask, takes it when it is ready to.
pub fn a_pending_term_arrives(init: Scene) -> bool {
    let end = init
        .prepared("sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM)); kill 'TERM', $$;")
        .perl("ends 'main', 'TERM', 3; rest")
        .ended();
    end.is_some_and(|end| end.code == 3)
}

/// One of each kind: the main child, one in its group, one that has left it,
/// and an orphan that has. SYS is the fence: the main child hands it to
/// everybody, once.
const FAMILY: &str = "
    my %is = (member => sub {}, outsider => \\&POSIX::setsid, daemon => \\&POSIX::setsid);
    for my $name (sort keys %is) {
        my $life = sub { $is{$name}->(); hears $name, qw(USR1 SYS); line \"$name ready\"; rest };
        $name eq 'daemon' ? orphan { $life->() } : child { $life->() };
    }
    hears 'main', 'USR1';
    $SIG{SYS} = sub { $SIG{SYS} = 'IGNORE'; kill 'SYS', -1; line 'main SYS' };
    line 'main ready';
    rest;
";

fn who_hears(init: Scene) -> Vec<String> {
    let everybody = ["main", "member", "outsider", "daemon"];
    let mut run = init.perl(FAMILY);
    for name in everybody {
        run.hears(&format!("{name} ready"));
    }
    run.signal(libc::SIGUSR1);
    run.hears("main USR1");
    run.signal(FENCE);
    for name in everybody {
        run.hears(&format!("{name} SYS"));
    }
    let mut heard: Vec<String> =
        run.heard().iter().filter_map(|line| Some(line.strip_suffix(" USR1")?.into())).collect();
    heard.sort();
    heard
}

#[test]
fn signal_to_says_who_hears_a_signal() {
    for (options, expected) in [
        (&[][..], &["main", "member"][..]),
        (&["--signal-to", "group"], &["main", "member"]),
        (&["--signal-to", "main"], &["main"]),
        (&["-c"], &["main"]),
        (&["--signal-to=all"], &["daemon", "main", "member", "outsider"]),
    ] {
        assert_eq!(who_hears(drainit(options)), expected, "{options:?}");
        assert_eq!(who_hears(drainit(options).below_pause()), expected, "{options:?}, not PID 1");
    }
    let by_environment = drainit(&[]).env("DRAINIT_SIGNAL_TO", "all");
    assert_eq!(who_hears(by_environment).len(), 4);
    let options_win = drainit(&["--signal-to", "main"]).env("DRAINIT_SIGNAL_TO", "all");
    assert_eq!(who_hears(options_win), ["main"]);
}

/// Hears whatever the rewrites below could make of a signal.
fn listener(init: Scene) -> Run {
    let mut run = init.perl(
        "
        hears 'main', qw(USR1 USR2 QUIT INT TERM NUM37 NUM38 SYS);
        line 'main ready';
        rest;
    ",
    );
    run.hears("main ready");
    run
}

#[test]
fn a_signal_is_rewritten_or_dropped() {
    let one_by_one =
        ["-r", "USR1:USR2", "--rewrite", "SIGINT:sigquit", "-r", "12:0", "-r", "RTMIN+3:38"];
    for init in [
        drainit(&one_by_one),
        drainit(&[]).env("DRAINIT_REWRITE", "USR1:USR2,2:3,SIGUSR2:0,37:RTMIN+4"),
    ] {
        let mut run = listener(init);
        run.signal(libc::SIGUSR1);
        run.hears("main USR2"); // rewritten once, and not dropped then
        run.signal(libc::SIGUSR2);
        run.signal(FENCE);
        run.hears("main SYS");
        run.signal(libc::SIGRTMIN() + 3);
        run.hears("main NUM38");
        run.signal(libc::SIGINT);
        run.hears("main QUIT");
        assert_eq!(run.heard()[1..], ["main USR2", "main SYS", "main NUM38", "main QUIT"]);
    }
}

#[test]
fn a_rewritten_stop_signal_still_begins_the_drain() {
    let mut run = listener(drainit(&["-r", "TERM:QUIT", "-t", "300ms"]));
    run.signal(libc::SIGTERM);
    run.hears("main QUIT");
    // TERM comes as well, later: the last call.
    let end = run.ends();
    assert_eq!((end.code, &end.out[1][..]), (137, "main QUIT"), "{end:?}");
}

/// The deadline has long passed when the work is done, if one was ever set.
const PATIENT: &str = "
    hears 'main', qw(TERM INT QUIT NUM37);
    $SIG{USR1} = sub { select undef, undef, undef, 0.6; line 'main worked' };
    line 'main ready';
    rest;
";

#[test]
fn only_a_stop_signal_begins_the_drain() {
    for (options, harmless, stops) in [
        (&[][..], libc::SIGQUIT, [libc::SIGTERM, libc::SIGINT]),
        (&["--stop-signal", "QUIT,RTMIN+3"], libc::SIGTERM, [libc::SIGQUIT, libc::SIGRTMIN() + 3]),
    ] {
        for stop in stops {
            let mut run = drainit(options).options(&["-t", "300ms"]).perl(PATIENT);
            run.hears("main ready");
            run.signal(harmless);
            run.signal(libc::SIGUSR1);
            run.hears("main worked");
            run.signal(stop);
            assert_eq!(run.ends().code, 137, "{options:?}: {stop} is a stop signal");
        }
    }
    let mut run = drainit(&["-t", "300ms"]).env("DRAINIT_STOP_SIGNAL", "QUIT").perl(PATIENT);
    run.hears("main ready");
    run.signal(libc::SIGTERM);
    run.signal(libc::SIGUSR1);
    run.hears("main worked");
    run.signal(libc::SIGQUIT);
    assert_eq!(run.ends().code, 137);
}

#[test]
fn the_death_of_the_parent_is_a_signal_like_any_other() {
    // PID 1 stays; the parent, between it and drainit, goes when it is told to.
    let script =
        format!("sh -c '{DRAINIT} -p USR1 -- perl -e \"$WORKER\" -e \"$MAIN\" & read word'; cat");
    let mut run = bare()
        .env("WORKER", PRELUDE)
        .env("MAIN", "hears 'main', 'USR1'; line 'main ready'; rest")
        .sh(&script);
    run.hears("main ready");
    run.types("go\n");
    run.hears("main USR1");
}
