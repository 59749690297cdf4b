//! What drainit exits with: the main child's own status, 128+n, 127, 126; and
//! that it comes out whatever state drainit was started in. Its own failures
//! (125) are in `bad_input`.

use crate::harness::{DRAINIT, End, FENCE, Scene, TempDir, bare, children, drainit, is_stopped};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn an_exit_code_comes_out_as_it_is() {
    // catatonit#5: it never ended when the main child exited with 127.
    for code in [0, 1, 42, 127, 255] {
        let end = drainit(&[]).sh(&format!("exit {code}")).ends();
        assert_eq!(end.code, code);
        assert!(end.said.is_empty(), "exit {code}: {end:?}");
    }
}

const SPARING: [i32; 4] = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];
const STOPPING: [i32; 4] = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

#[test]
fn death_by_a_signal_is_128_and_its_number() {
    // dumb-init#59: a main child that a signal had ended came out as a success.
    // Above 31: nix's waitpid has no name for these, and loses the pid.
    for signal in (1..=64).filter(|n| !SPARING.contains(n) && !STOPPING.contains(n)) {
        let end = drainit(&[]).sh(&format!("ulimit -c 0; kill -{signal} $$; exit 7")).ends();
        assert_eq!(end.code, 128 + signal, "death by signal {signal}: {end:?}");
    }
}

#[test]
fn a_signal_that_does_not_end_the_main_child_is_not_its_status() {
    for signal in SPARING {
        let end = drainit(&[]).sh(&format!("kill -{signal} $$; exit 7")).ends();
        assert_eq!(end.code, 7, "signal {signal}: {end:?}");
    }
    for signal in STOPPING {
        let mut run = drainit(&[]).sh(&format!("echo up; kill -{signal} $$; exit 7"));
        run.hears("up");
        run.until("the main child is stopped", |run| is_stopped(run.main_child()));
        run.signal(libc::SIGCONT);
        let end = run.ends();
        assert_eq!(end.code, 7, "signal {signal}: {end:?}");
    }
}

#[test]
fn a_core_dump_is_no_part_of_the_status() {
    let dir = TempDir::new();
    let script = format!("cd {}; ulimit -c unlimited; kill -QUIT $$", dir.display());
    assert_eq!(drainit(&[]).sh(&script).ends().code, 128 + libc::SIGQUIT);
}

#[test]
fn a_success_code_becomes_0_and_no_other_code_does() {
    let both = ["-e", "143", "--success-code", "7"];
    for (script, code) in
        [("exit 143", 0), ("kill -TERM $$", 0), ("exit 7", 0), ("exit 8", 8), ("kill -INT $$", 130)]
    {
        let end = drainit(&both).sh(script).ends();
        assert_eq!(end.code, code, "{script}: {end:?}");
    }
}

#[test]
fn an_orphans_status_is_not_the_main_childs() {
    let mut run = drainit(&[]).perl(
        "orphan { POSIX::_exit(9) } for 1..3;
         orphan { kill 'KILL', $$; rest };
         orphan { kill 40, $$; rest };
         line 'main ready'; told; POSIX::_exit(5);",
    );
    run.hears("main ready");
    run.until("all orphans are reaped", |run| children(run.init()).len() == 1);
    run.types("go!");
    let end = run.ends();
    assert_eq!(end.code, 5);
    assert!(end.said.is_empty(), "{end:?}");
}

#[test]
fn options_end_at_the_first_word_that_is_none() {
    // tini and catatonit take the `-c` of `init sh -c …` for one of their own.
    assert_eq!(a_shell_without_dashes(drainit(&[])).code, 3);
    assert_eq!(a_shell_without_dashes(drainit(&["-t", "1"])).code, 3);
    assert_eq!(a_shell_without_dashes(drainit(&["--grace=1", "--"])).code, 3);
}

pub fn a_shell_without_dashes(init: Scene) -> End {
    init.command(["sh", "-c", "exit 3"]).ends()
}

#[test]
fn a_command_that_cannot_be_run_is_127_or_126_and_one_line() {
    let dir = TempDir::with(&[("plain", "exit 0")]);
    let at = |name: &str| dir.join(name).display().to_string();
    fs::create_dir(at("directory")).expect("a directory");

    for (command, code) in [
        ("no-such-command-anywhere".to_owned(), 127),
        (at("missing"), 127),
        (at("missing/below"), 127),
        (at("plain"), 126),
        (at("directory"), 126),
    ] {
        // A directory on PATH that we may not search would make it 126.
        let end = drainit(&[]).env("PATH", "/usr/bin:/bin").command([&command]).ends();
        assert_eq!(end.code, code, "{command}: {end:?}");
        let [line] = &end.said[..] else { panic!("{command}: not one line: {end:?}") };
        assert!(line.starts_with("drainit: ") && line.contains(&command), "{end:?}");
    }
}

#[test]
fn a_command_is_searched_in_the_path_it_was_given() {
    let dir = TempDir::new();
    let script = dir.join("only-here");
    fs::write(&script, "#!/bin/sh\nexit 9\n").expect("a script");
    let search = || {
        let path = dir.display();
        bare().sh(&format!("PATH=/nowhere:{path} exec {DRAINIT} only-here")).ends().code
    };

    assert_eq!(search(), 126, "found, and not executable");
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("executable");
    assert_eq!(search(), 9);
}

/// States to be started in, each with an init that does not survive it.
pub const SIGCHLD_IGNORED: &str = "$SIG{CHLD} = 'IGNORE';";
pub const SIGCHLD_BLOCKED: &str = "sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGCHLD));";
pub const STDIN_CLOSED: &str = "POSIX::close(0);";
const STDERR_CLOSED: &str = "POSIX::close(2);";
const ALL_CLOSED: &str = "POSIX::close($_) for 0..2;";
const STDERR_FULL: &str = "open STDERR, '>', '/dev/full';";
/// A pipe that nobody reads, and that has a reader: it blocks, it never breaks.
const STDERR_UNREAD: &str = "
    $^F = 100;
    pipe my $reader, my $writer;
    fcntl $writer, F_SETFL, O_NONBLOCK;
    1 while syswrite $writer, 'x' x 4096;
    1 while syswrite $writer, 'x';
    fcntl $writer, F_SETFL, 0;
    dup2(fileno $writer, 2);
";
/// The same of a socket.
const STDERR_SOCKET: &str = "
    $^F = 100;
    socketpair my $reader, my $writer, 1, 1, 0;
    fcntl $writer, F_SETFL, O_NONBLOCK;
    1 while syswrite $writer, 'x' x 4096;
    1 while syswrite $writer, 'x';
    fcntl $writer, F_SETFL, 0;
    dup2(fileno $writer, 2);
";
const STDERR_BROKEN: &str = "pipe my $reader, my $writer; dup2(fileno $writer, 2);";

#[test]
fn no_state_it_is_started_in_changes_the_status_or_hangs() {
    for given in [
        SIGCHLD_IGNORED,
        SIGCHLD_BLOCKED,
        STDIN_CLOSED,
        STDERR_CLOSED,
        ALL_CLOSED,
        STDERR_FULL,
        STDERR_UNREAD,
        STDERR_SOCKET,
        STDERR_BROKEN,
    ] {
        // As talkative as it gets: every line is one that stderr does not take.
        let end = an_exit_of_7(drainit(&["-vvv"]).prepared(given));
        assert_eq!(end.map(|end| end.code), Some(7), "after {given}");
    }
}

/// None: it did not end.
pub fn an_exit_of_7(init: Scene) -> Option<End> {
    init.sh("exit 7").ended()
}

#[test]
fn a_warning_that_cannot_be_written_does_not_hold_up_the_kill() {
    for given in [STDERR_CLOSED, STDERR_FULL, STDERR_UNREAD, STDERR_BROKEN] {
        let deaf = "hears 'main', 'TERM'; line 'main ready'; rest";
        let mut run = drainit(&["-t", "300ms"]).prepared(given).perl(deaf);
        run.hears("main ready");
        run.signal(libc::SIGTERM);
        assert_eq!(run.ends().code, 137, "after {given}");
    }
}

#[test]
fn a_terminal_that_nobody_reads_holds_nothing_up() {
    // Some 40 kB about orphans, for a terminal that takes 4 or so.
    let on_the_terminal = "open STDERR, '>&', STDIN or die;";
    let orphans = "for i in $(seq 1000); do (: &); done; exit 7";
    assert_eq!(drainit(&["-vv"]).on_tty().prepared(on_the_terminal).sh(orphans).ends().code, 7);
}

#[test]
fn a_write_of_drainits_own_that_fails_is_no_signal_to_the_main_child() {
    // A broken pipe answers with SIGPIPE, a file that may not grow with SIGXFSZ.
    // Both are blocked and wait beside the signals that are to be forwarded.
    let dir = TempDir::new();
    let log = dir.join("log");
    let limit = format!("ulimit -f 0; exec {DRAINIT} -vv sh -c 'exit 7' 2>{}", log.display());
    assert_eq!(bare().sh(&limit).ends().code, 7);

    let mut run = drainit(&["-vv"]).prepared(STDERR_BROKEN).perl(
        "hears 'main', qw(PIPE XFSZ SYS);
         line 'main ready';
         rest;",
    );
    run.hears("main ready");
    run.signal(FENCE);
    run.hears("main SYS");
    assert_eq!(run.heard(), ["main ready", "main SYS"]);
}
