//! On a terminal: who has it, and that Ctrl-C, Ctrl-Z, `fg` and `bg` do what a
//! user at a shell expects, also where drainit is not PID 1.

use crate::harness::{DRAINIT, FENCE, PRELUDE, Run, bare, descendants, drainit, is_stopped};

const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";
const CTRL_BACKSLASH: &str = "\x1c";

/// Says where it stands, now and whenever it is continued; ends with 5 at INT.
const MAIN: &str = "
    sub stands { line POSIX::tcgetpgrp(0) == getpgrp ? 'main in front' : 'main behind' }
    $SIG{CONT} = sub { line 'main CONT'; stands };
    hears 'main', qw(QUIT WINCH SYS);
    ends 'main', 'INT', 5;
    ends 'main', 'TERM', 3;
    ends 'main', 'HUP', 6;
    stands;
    rest;
";

#[test]
fn the_main_child_gets_the_terminal_and_its_keys() {
    let mut run = drainit(&[]).on_tty().perl(MAIN);
    run.hears("main in front");
    run.types(CTRL_BACKSLASH);
    run.hears("main QUIT");
    run.resizes();
    run.hears("main WINCH");
    // The fence: what the terminal sent has not come through drainit as well.
    run.signal(FENCE);
    run.hears("main SYS");
    run.types(CTRL_C);
    let end = run.ends();
    assert_eq!(end.code, 5);
    assert_eq!(
        end.out,
        ["main in front", "main QUIT", "main WINCH", "main SYS", "main INT", "main done"]
    );
}

#[test]
fn the_main_child_reads_what_is_typed() {
    let mut run = drainit(&[]).on_tty().sh("read word; echo \"read $word\"");
    run.types("something\n");
    run.hears("read something");
    assert_eq!(run.ends().code, 0);
}

#[test]
fn ctrl_z_stops_the_main_child_alone_where_no_shell_could_continue_the_init() {
    for init in [drainit(&[]), drainit(&[]).below_pause()] {
        let mut run = init.on_tty().perl(MAIN);
        run.hears("main in front");
        run.types(CTRL_Z);
        run.until("the main child is stopped", |run| is_stopped(run.main_child()));
        run.signal(libc::SIGCONT);
        run.hears("main CONT");
        run.types(CTRL_Z);
        run.until("the main child is stopped", |run| is_stopped(run.main_child()));
        run.signal(libc::SIGTERM);
        assert_eq!(run.ends().code, 3);
    }
}

#[test]
fn a_terminal_that_goes_away_is_not_the_end() {
    let mut run = drainit(&[]).on_tty().perl(MAIN);
    run.hears("main in front");
    run.hangs_up();
    assert_eq!(run.ends().code, 6, "the main child's own answer to HUP");

    let stays = "hears 'main', qw(HUP SYS); ends 'main', 'TERM', 3; line 'main ready'; rest";
    let mut run = drainit(&[]).on_tty().perl(stays);
    run.hears("main ready");
    run.hangs_up();
    run.hears("main HUP");
    run.signal(FENCE);
    run.hears("main SYS");
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 3);
}

/// Interactive shells with job control, as PID 1 and the session's leader.
const SHELLS: [&[&str]; 2] =
    [&["sh", "-i"], &["bash", "--norc", "--noprofile", "--noediting", "-i"]];

/// A shell where `eval "$JOB"` is `INIT COMMAND` as a user would have typed it.
fn shell(shell: &[&str], init: &str, command: &str) -> Run {
    let scene = bare().on_tty().env("PS1", "").env("WORKER", PRELUDE).env("MAIN", MAIN);
    scene.env("JOB", format!("{init} {command}")).command(shell)
}

const PERL_MAIN: &str = r#"perl -e "$WORKER" -e "$MAIN""#;

/// Every shell, with drainit and, for control, with no init at all: what a user
/// expects is what was there before.
fn at_each_shell(command: &str, mut session: impl FnMut(Run)) {
    for words in SHELLS {
        for init in ["", DRAINIT] {
            session(shell(words, init, command));
        }
    }
}

#[test]
fn at_a_shell_ctrl_c_ends_the_job() {
    at_each_shell("sh -c 'echo ready; exec sleep 1000'", |mut run| {
        run.types("eval \"$JOB\"\n");
        run.hears("ready");
        run.types(CTRL_C);
        run.types("echo status $?\n");
        run.hears("status 130");
    });
}

#[test]
fn at_a_shell_ctrl_z_stops_the_job_and_fg_and_bg_continue_it() {
    at_each_shell(PERL_MAIN, |mut run| {
        run.types("eval \"$JOB\"; echo status $?\n");
        run.hears("main in front");
        run.types(CTRL_Z);
        run.hears("status 148"); // 128 + TSTP
        run.types("fg; echo status $?\n");
        run.hears("main CONT");
        run.hears("main in front");
        run.types(CTRL_Z);
        run.hears("status 148");
        run.types("bg; echo status $?\n");
        run.hears("main CONT");
        run.hears("main behind");
        run.hears("status 0");
        run.types("fg; echo status $?\n");
        run.until("the job is in front", Run::shell_waits);
        run.types(CTRL_C);
        run.hears("main INT");
        run.hears("status 5");
    });
}

#[test]
fn ctrl_z_reaches_the_shell_through_a_script_in_between() {
    // The shell waits for the script, and of the stop only drainit knows.
    for init in ["", DRAINIT] {
        for words in SHELLS {
            let script = format!("sh -c '{init} perl -e \"$WORKER\" -e \"$MAIN\"; exit $?'");
            let mut run = shell(words, "", &script);
            run.types("eval \"$JOB\"; echo status $?\n");
            run.hears("main in front");
            run.types(CTRL_Z);
            run.hears("status 148");
            run.types("fg; echo status $?\n");
            run.hears("main CONT");
            run.hears("main in front");
        }
    }
}

/// Started behind a shell: does the main child stay there? A shell that has lost
/// its terminal may end before anybody can say so.
pub fn the_terminal_is_left_alone(init: &str) -> bool {
    SHELLS.iter().all(|words| {
        let mut run = shell(words, init, PERL_MAIN);
        run.types("eval \"$JOB\" &\n");
        run.may_hear("main ").is_some_and(|line| line == "main behind")
    })
}

#[test]
fn the_terminal_is_never_stolen_from_behind() {
    // tini and catatonit take it from the shell.
    assert!(the_terminal_is_left_alone(DRAINIT));
}

#[test]
fn a_job_that_began_behind_comes_to_the_front_with_fg() {
    at_each_shell("sh -c 'read word; echo \"read $word\"'", |mut run| {
        run.types("eval \"$JOB\" & echo the job is there\n");
        run.hears("the job is there");
        run.until("SIGTTIN stops the job, all of it", |run| {
            descendants(run.init()).into_iter().all(is_stopped)
        });
        run.types("fg; echo status $?\n");
        run.until("the job is in front", Run::shell_waits);
        run.types("something\n");
        run.hears("read something");
        run.hears("status 0");
    });
}
