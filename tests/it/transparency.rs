//! The main child finds what it would have found without drainit: every test
//! asks the same question with and without, and compares the answers.

use crate::harness::{Scene, bare, drainit};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Each prepared state, and what of it has to be seen in the answer.
const GIVEN: [(&str, &str, &str); 8] = [
    ("", "SigBlk", "0000000000000000"),
    ("", "SigIgn", "0000000000000000"),
    (MASK, "SigBlk", "0000008000380200"),
    (ALL_BLOCKED, "SigBlk", "fffffffe7ffbfeff"),
    (IGNORED, "SigIgn", "0000000000001001"),
    (ALL_IGNORED, "SigIgn", "fffffffe7ffbfa7f"),
    ("$SIG{CHLD} = 'IGNORE';", "SigIgn", "0000000000010000"),
    ("umask 0123;", "Umask", "0123"),
];
/// USR1, TSTP, TTIN, TTOU, and 40.
pub const MASK: &str = "sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGUSR1, 20, 21, 22, 40));";
const ALL_BLOCKED: &str =
    "my $every = POSIX::SigSet->new; $every->fillset; sigprocmask(SIG_BLOCK, $every);";
/// As under nohup, and with Rust's own favourite.
pub const IGNORED: &str = "$SIG{$_} = 'IGNORE' for qw(HUP PIPE);";
/// perl does not let FPE and SEGV be ignored across an exec.
const ALL_IGNORED: &str =
    "$SIG{$_} = 'IGNORE' for grep { !/^(FPE|SEGV|KILL|STOP|NUM3[23]|ZERO)$/ } keys %SIG;";

/// What an init could change of a process: the mask, the dispositions, and more
/// of that kind.
pub fn state(init: Scene, given: &str) -> Vec<String> {
    let fields = "Sig(Blk|Ign|Pnd)|ShdPnd|Umask|Cap...|NoNewPrivs|Seccomp|Groups|[UG]id|Threads";
    let pattern = format!("^({fields}):|^Max|^[0-9]+$");
    let files = ["status", "limits", "oom_score_adj", "timerslack_ns"];
    let files = files.map(|file| format!("/proc/self/{file}"));
    let end = init
        .prepared(given)
        .command([&["grep", "-hE", &pattern], &files.each_ref().map(String::as_str)[..]].concat())
        .ends();
    assert_eq!(end.code, 0, "{end:?}");
    end.out
}

#[test]
fn mask_dispositions_and_the_rest_are_handed_on_as_they_were_given() {
    // Each a leak of somebody's: TSTP, TTIN and TTOU stay blocked below
    // catatonit, inherited ignores are lost below dumb-init, SIGPIPE is ignored
    // below what Rust's own start has run.
    for (given, field, expected) in GIVEN {
        let without = state(bare(), given);
        assert!(
            without.contains(&format!("{field}:\t{expected}")),
            "{given}: {field} is not what the test meant to give: {without:#?}"
        );
        assert_eq!(state(drainit(&[]), given), without, "after {given}");
    }
}

/// The descriptors that the main child finds open.
pub fn descriptors(init: Scene, given: &str) -> Vec<String> {
    let report = "exec 9>&1; for fd in /proc/self/fd/*; do echo ${fd##*/} >&9; done";
    init.prepared(given).sh(report).ends().out
}

#[test]
fn no_descriptor_is_added_and_none_is_closed() {
    let kept = "$^F = 100; open my $kept, '<', '/dev/null'; dup2(fileno $kept, 42);";
    for given in ["", kept, "POSIX::close(0);", "POSIX::close(2);"] {
        let without = descriptors(bare(), given);
        for options in [&[][..], &["-vv"], &["-t", "1s", "--signal-to", "all"]] {
            assert_eq!(descriptors(drainit(options), given), without, "after {given}");
        }
    }
    assert!(descriptors(bare(), kept).contains(&"42".to_owned()));
}

/// Bytes that no encoding has.
fn not_utf8() -> OsString {
    OsString::from_vec((1..=255).collect())
}

#[test]
fn the_environment_is_handed_on_byte_by_byte() {
    let ask = r#"open my $environ, '<', '/proc/self/environ'; print unpack('H*', join '', <$environ>), "\n""#;
    let environment = |init: Scene| {
        init.env("DRAINIT_GRACE", "7s")
            .env("EMPTY", "")
            .env(not_utf8(), not_utf8())
            .env("LONG", "x".repeat(100_000))
            .command(["perl", "-e", ask])
            .ends()
            .out
    };
    let without = environment(bare());
    assert!(without[0].len() > 200_000);
    assert_eq!(environment(drainit(&[])), without);
}

#[test]
fn the_arguments_are_handed_on_byte_by_byte() {
    let ask = r#"print unpack('H*', join "\0", @ARGV), "\n""#;
    let many = vec!["x".repeat(99); 1_000];
    let arguments = |init: Scene| {
        let command =
            ["perl", "-e", ask, "", "-v", "--", "--grace", "a b\n", "*"].map(OsString::from);
        init.command(command.into_iter().chain([not_utf8()]).chain(many.iter().map(OsString::from)))
            .ends()
            .out
    };
    let without = arguments(bare());
    assert!(without[0].len() > 200_000);
    assert_eq!(arguments(drainit(&[])), without);
}

#[test]
fn the_command_is_called_as_it_was_typed() {
    let name =
        |init: Scene| init.command(["sh", "-c", "tr '\\0' ' ' </proc/$$/cmdline"]).ends().out;
    assert_eq!(name(drainit(&[])), name(bare()));
}

#[test]
fn the_main_child_leads_a_group_of_its_own_in_the_session_that_was_there() {
    let ask = r#"
        my ($pid, $group, $session) = (split ' ', do { local @ARGV = '/proc/self/stat'; <> })[0, 4, 5];
        print $pid == $group ? 'leads' : 'follows', " in session $session\n";
    "#;
    let end = drainit(&[]).command(["perl", "-e", ask]).ends();
    assert_eq!(end.out, ["leads in session 1"]);
}

#[test]
fn the_working_directory_is_kept() {
    assert_eq!(drainit(&[]).prepared("chdir '/usr';").command(["pwd"]).ends().out, ["/usr"]);
}
