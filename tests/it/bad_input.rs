//! What is wrong gets exit 125 and one line that names it; nothing is started.

use crate::harness::{DRAINIT, End, Scene, TempDir, bare, drainit, is_root};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;

/// Exit 125, one line from drainit that holds all of these, and no child.
fn is_refused(init: Scene, named: &[&str]) {
    let end = init.command(["echo", "started"]).ends();
    refused(&end, named);
}

fn refused(end: &End, named: &[&str]) {
    assert_eq!(end.code, 125, "{named:?}: {end:?}");
    assert!(end.out.is_empty(), "{named:?}: it was started: {end:?}");
    let [line] = &end.said[..] else { panic!("{named:?}: not one line: {end:?}") };
    assert!(line.starts_with("drainit: "), "{line}");
    for name in named {
        assert!(line.contains(name), "'{name}' is not in: {line}");
    }
}

#[test]
fn the_control_is_started() {
    let end = drainit(&["-t", "1s"]).command(["echo", "started"]).ends();
    assert_eq!((end.code, &end.out[..]), (0, &["started".to_owned()][..]), "{end:?}");
}

#[test]
fn an_unknown_option_is_refused() {
    for option in ["-x", "--unknown", "--grac", "-vx", "---", "--no-such-thing=5"] {
        let name = option.split('=').next().expect("a name");
        is_refused(drainit(&[option]), &[name.trim_start_matches("-v")]);
    }
}

#[test]
fn a_missing_value_is_refused() {
    for option in ["-t", "--grace", "--signal-to", "--leftovers", "--stop-signal", "-r", "-e", "-p"]
    {
        let end = drainit(&[]).command([option]).ends();
        refused(&end, &[option]);
    }
}

#[test]
fn a_missing_or_empty_command_is_refused() {
    for options in [&[][..], &["--"], &["-v"], &["-t", "1s", "--"], &[""], &["--", ""]] {
        refused(&drainit(&[]).command(options).ends(), &["COMMAND"]);
    }
}

#[test]
fn a_value_that_means_nothing_is_refused() {
    let wrong = [
        (
            "--grace",
            &[
                "-1s",
                "1e999s",
                "5parsecs",
                "",
                "1.5.2s",
                "s",
                "5 s 3",
                "99999999999999999999",
                "0x10",
            ][..],
        ),
        ("--signal-to", &["", "everyone", "ALL", "group,main"]),
        ("--leftovers", &["", "kill", "Ask"]),
        (
            "--stop-signal",
            &[
                "",
                "TERN",
                "SIGKILL",
                "9",
                "STOP",
                "19",
                "0",
                "65",
                "-1",
                "RTMAX+1",
                "TERM,,INT",
                "TERM,KILL",
                "RTMIN+99",
            ],
        ),
        (
            "--rewrite",
            &[
                "",
                "TERM",
                "TERM:",
                ":TERM",
                "TERM:QUIT:INT",
                "TERN:QUIT",
                "TERM:QUIX",
                "KILL:TERM",
                "SIGSTOP:TERM",
                "0:TERM",
                "65:TERM",
                "TERM:65",
                "TERM:-1",
            ],
        ),
        ("--success-code", &["", "-1", "256", "one", "1.5", "99999999999999999999"]),
        ("--parent-death", &["", "TERN", "0", "65"]),
    ];
    for (option, values) in wrong {
        for value in values {
            is_refused(drainit(&[option, value]), &[option, value]);
            is_refused(drainit(&[&format!("{option}={value}")]), &[option, value]);
        }
    }
}

#[test]
fn a_short_option_is_named_as_it_was_typed_or_by_its_long_name() {
    for (short, long, value) in [
        ("-t", "--grace", "5parsecs"),
        ("-r", "--rewrite", "TERM"),
        ("-e", "--success-code", "256"),
        ("-p", "--parent-death", "TERN"),
    ] {
        let end = drainit(&[short, value]).command(["echo", "started"]).ends();
        refused(&end, &[value]);
        assert!(end.said[0].contains(short) || end.said[0].contains(long), "{end:?}");
    }
}

#[test]
fn a_refusal_says_what_would_be_valid() {
    for (option, value, valid) in [
        ("--grace", "5parsecs", "25s"),
        ("--signal-to", "everyone", "group"),
        ("--leftovers", "kill", "wait"),
        ("--rewrite", "TERM", ":"),
        ("--success-code", "256", "255"),
    ] {
        is_refused(drainit(&[option, value]), &[option, value, valid]);
    }
}

#[test]
fn a_bad_environment_variable_is_named() {
    for (name, value) in [
        ("DRAINIT_GRACE", "5parsecs"),
        ("DRAINIT_SIGNAL_TO", "everyone"),
        ("DRAINIT_LEFTOVERS", "kill"),
        ("DRAINIT_STOP_SIGNAL", "TERM,KILL"),
        ("DRAINIT_REWRITE", "USR1:USR2,TERM"),
        ("DRAINIT_VERBOSITY", "loud"),
    ] {
        is_refused(drainit(&[]).env(name, value), &[name, value]);
    }
}

#[test]
fn bytes_that_no_encoding_has_are_refused_like_any_other_value() {
    let wild = || OsString::from_vec(b"5\xff\xfes".to_vec());
    for words in [vec!["--grace".into(), wild()], vec![wild_option()]] {
        let end =
            drainit(&[]).command(words.into_iter().chain(["echo".into(), "started".into()])).ends();
        refused(&end, &[]);
    }
    is_refused(drainit(&[]).env("DRAINIT_GRACE", wild()), &["DRAINIT_GRACE"]);
}

fn wild_option() -> OsString {
    OsString::from_vec(b"--\xff".to_vec())
}

#[test]
fn a_value_of_100_000_bytes_or_with_line_breaks_still_gets_one_line() {
    is_refused(drainit(&["--grace", &"9".repeat(100_000)]), &["--grace"]);
    is_refused(drainit(&[&format!("--{}", "x".repeat(100_000))]), &["--xxx"]);
    is_refused(drainit(&["--grace", "5\n\x1b[31mparsecs\r"]), &["--grace"]);
    let end = drainit(&[]).env("PATH", "/usr/bin:/bin").command(["no\nsuch\ncommand"]).ends();
    assert_eq!((end.code, end.said.len()), (127, 1), "{end:?}");
}

#[test]
fn a_fork_that_fails_is_125_and_one_line() {
    // The limit does not hold for root; who it holds for has to reach a copy.
    let dir = TempDir::new();
    let copy = dir.join("drainit");
    fs::copy(DRAINIT, &copy).expect("a copy");
    fs::set_permissions(&*dir, PermissionsExt::from_mode(0o755)).expect("open to all");
    let nobody = if is_root() { "setpriv --reuid=65534 --clear-groups" } else { "" };
    let limited = format!("exec {nobody} prlimit --nproc=0 {} echo started", copy.display());
    refused(&bare().sh(&limited).ends(), &["process"]);
}

#[test]
fn help_and_version_are_answers_not_errors() {
    for option in ["-h", "--help", "-V", "--version"] {
        let end = drainit(&[]).command([option]).ends();
        assert_eq!((end.code, end.said.len()), (0, 0), "{option}: {end:?}");
        assert!(end.out[0].contains("drainit"), "{option}: {end:?}");
    }
    let help = drainit(&[]).command(["--help"]).ends().out.join("\n");
    for option in [
        "--grace",
        "--signal-to",
        "--leftovers",
        "--stop-signal",
        "--rewrite",
        "--success-code",
        "--parent-death",
        "DRAINIT_GRACE",
    ] {
        assert!(help.contains(option), "{option} is not in the help");
    }
}
