//! Every word true, and said in time: what became of whom, before, during and after
//! the stop.

use crate::harness::{DRAINIT, End, TempDir, children, descendants, drainit, status_field};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// A background job of a script that ends at once, and a main child that TERM ends.
const JOB: &str = "(sh -c 'echo job ready; sleep 1; echo job done' &); exec sleep 1000";

fn stopped(options: &[&str], script: &str) -> End {
    let mut run = drainit(options).sh(script);
    run.hears("job ready");
    run.until("the main child sleeps", |run| children(run.main_child()).is_empty());
    run.signal(libc::SIGTERM);
    run.ends()
}

fn one_line(end: &End) -> &str {
    assert_eq!(end.said.len(), 1, "{end:?}");
    &end.said[0]
}

#[test]
fn a_background_job_that_group_cuts_is_said_by_default() {
    let end = stopped(&[], JOB);
    assert!(!end.has("job done"));
    let said = one_line(&end);
    assert!(said.starts_with("drainit: cut 1 that nobody else looks after: pid "), "{said}");
    assert!(said.contains("by SIGTERM; --signal-to app leaves jobs to finish"), "{said}");
    // And it is so.
    let end = stopped(&["--signal-to", "app"], JOB);
    assert!(end.has("job done") && end.said.is_empty(), "{end:?}");
}

#[test]
fn a_straggler_that_was_asked_and_cut_is_said_by_default() {
    let session = "setsid sh -c 'echo job ready; sleep 1000' & sleep 0.1; exec sleep 1000";
    let mut run = drainit(&[]).sh(session);
    run.hears("job ready");
    run.until("the main child sleeps", |run| children(run.main_child()).len() == 1);
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert!(one_line(&end).starts_with("drainit: cut "), "{end:?}");
}

#[test]
fn whoever_handles_the_signal_is_not_cut() {
    // Not a shell with a child of its own: dash loses a signal between fork and exec.
    let job = "(perl -e '$| = 1; $SIG{TERM} = sub { print qq(job done\n); exit };
        print qq(job ready\n); sleep 1000 while 1' &); exec sleep 1000";
    let end = stopped(&[], job);
    assert!(end.has("job done") && end.said.is_empty(), "{end:?}");
}

/// Each kind of fate: a job that exits with a code, one that TERM ends, one that is
/// deaf, one that somebody else ends.
const FATES: &str = "
    my $n = 0;
    for my $end (
        sub { ends 'coded', 'TERM', 7; line 'ready'; rest },
        sub { POSIX::sigprocmask(POSIX::SIG_SETMASK(), POSIX::SigSet->new); line 'ready'; sleep 1000 },
        sub { hears 'deaf', 'TERM'; line 'ready'; rest },
        sub { $SIG{TERM} = sub { kill 'KILL', $$; sleep 1000 }; line 'ready'; rest },
    ) { orphan { $0 = 'worker ' . $n++; setpgrp; $end->() }; $n++ }
    ends 'main', 'TERM', 3; line 'main ready'; rest;
";

fn report(options: &[&str]) -> (End, Value) {
    let all = [&["--log-format", "json", "-t", "1s", "--leftovers", "ask"], options].concat();
    let mut run = drainit(&all).perl(FATES);
    run.hears("main ready");
    for _ in 0..4 {
        run.hears("ready");
    }
    run.signal(libc::SIGTERM);
    let end = run.ends();
    let is_report = |value: &Value| value["event"] == "report";
    let report = end.said.iter().map(|line| serde_json::from_str(line).unwrap()).find(is_report);
    let report = report.unwrap_or_else(|| panic!("no report: {end:?}"));
    (end, report)
}

#[test]
fn each_process_has_one_fate() {
    let (end, report) = report(&["-v"]);
    assert_eq!(end.code, 3);
    let count = |fate: &str| report[format!("{fate}_count")].as_u64().unwrap();
    let counts = ["finished", "cut", "killed", "ended", "gone", "left"].map(count);
    assert_eq!(counts, [1, 1, 1, 1, 0, 0], "{report}");
    assert_eq!(report["finished"][0]["code"], 7, "{report}");
    assert_eq!(report["cut"][0]["code"], 143, "{report}");
    assert_eq!(report["main_code"], 3);
    assert_eq!(report["exit_code"], 3);
}

#[test]
fn whom_its_own_parent_reaped_is_gone_and_nobody_says_how() {
    let main = "
        my $pid = child { setpgrp; $SIG{USR1} = sub { POSIX::_exit(5) }; line 'ready'; rest };
        $SIG{TERM} = sub { kill 'USR1', $pid; waitpid $pid, 0; POSIX::_exit(3) };
        line 'main ready'; rest;
    ";
    let mut run = drainit(&["-v", "--log-format", "json"]).perl(main);
    run.hears("ready");
    run.hears("main ready");
    run.signal(libc::SIGTERM);
    let end = run.ends();
    let report: Value = serde_json::from_str(end.said.last().unwrap()).unwrap();
    assert_eq!(
        (&report["gone_count"], &report["finished_count"]),
        (&1.into(), &0.into()),
        "{report}"
    );
}

#[test]
fn counts_are_exact_where_only_some_are_named() {
    let dir = TempDir::new();
    let log = dir.join("log");
    let many = "
        for (1..300) { orphan { setpgrp; $SIG{TERM} = sub { POSIX::_exit(0) }; rest } }
        ends 'main', 'TERM', 3; line 'main ready'; rest;
    ";
    let options = ["--log-format=json", "--leftovers=ask", "--termination-log"];
    let mut run = drainit(&options).options(&[log.to_str().unwrap()]).perl(many);
    run.hears("main ready");
    run.signal(libc::SIGTERM);
    run.ends();
    let report: Value = serde_json::from_str(&fs::read_to_string(&log).unwrap()).unwrap();
    assert_eq!(report["finished_count"], 300);
    assert_eq!(report["finished"].as_array().unwrap().len(), 5);
}

/// The longest names that there are: an object is whole, or it is none.
#[test]
fn a_report_is_never_cut() {
    let names = r#"$0 = '"\\' x 60;"#;
    let many = format!(
        "
        for (1..40) {{ orphan {{ {names} setpgrp; $_ % 2 ? hears('x', 'TERM') : 1; line 'ready';
            POSIX::sigprocmask(POSIX::SIG_SETMASK(), POSIX::SigSet->new); rest }} }}
        ends 'main', 'TERM', 3; line 'main ready'; rest;
    "
    );
    for format in ["text", "json"] {
        let options = ["-v", "-t500ms", "--leftovers=ask", "--log-format", format];
        let mut run = drainit(&options).perl(&many);
        run.hears("main ready");
        for _ in 0..40 {
            run.hears("ready");
        }
        run.signal(libc::SIGTERM);
        let end = run.ends();
        let last = end.said.last().unwrap();
        assert!(last.len() < 4096);
        match format {
            "json" => {
                let report: Value = serde_json::from_str(last).unwrap();
                assert_eq!(
                    (&report["killed_count"], &report["cut_count"]),
                    (&20.into(), &20.into())
                );
            }
            _ => assert!(last.ends_with("exit code 3"), "{last}"),
        }
    }
}

#[test]
fn who_is_waited_for_is_said_after_5_s_and_at_the_last_call() {
    let begun = Instant::now();
    let mut run = drainit(&["-t", "7s", "--last-call", "1s", "--signal-to", "app"]).perl(
        "orphan { hears 'job', 'TERM'; line 'job ready'; rest };
               ends 'main', 'TERM', 3; line 'main ready'; rest;",
    );
    run.hears("job ready");
    run.hears("main ready");
    run.signal(libc::SIGTERM);
    run.says("waiting for 1 since 5s");
    assert!(begun.elapsed() >= Duration::from_secs(5));
    run.says("waiting for 1 since 6s");
    let end = run.ends();
    assert!(end.said[0].contains("was not asked; last call in 1s; SIGKILL in 2s"), "{end:?}");
    assert_eq!(end.said.len(), 3, "and the report: {end:?}");
}

#[test]
fn a_failed_run_is_said_by_default_and_a_good_one_is_not() {
    let end = drainit(&["--restart=on-failure", "--restart-limit=2"]).sh("exit 7").ends();
    assert_eq!(end.said.len(), 2, "{end:?}");
    assert!(end.said[0].starts_with("drainit: run 1 failed: it exited with 7 after "), "{end:?}");
    assert!(end.said[0].ends_with("; 1 in a row; next run in 1s"), "{end:?}");
    assert!(end.said[1].ends_with("; 2 in a row; the last one"), "{end:?}");
    let end = drainit(&["--restart=on-failure"]).sh("exit 0").ends();
    assert!(end.said.is_empty(), "{end:?}");
}

/// What the termination log holds after this life.
fn logged(options: &[&str], command: &[&str], signal: Option<i32>) -> String {
    let dir = TempDir::new();
    let log = dir.join("log");
    let run = drainit(&["--termination-log", log.to_str().unwrap()]).options(options);
    let mut run = run.command(command);
    if let Some(signal) = signal {
        run.hears("ready");
        run.signal(signal);
    }
    run.ends();
    fs::read_to_string(&log).unwrap_or_default()
}

#[test]
fn the_termination_log_has_what_nobody_else_can_say() {
    assert!(
        logged(&["--grace", "soon"], &["true"], None).contains("--grace 'soon': not a duration")
    );
    assert!(logged(&[], &["/nowhere"], None).contains("cannot find '/nowhere'"));
    assert!(logged(&[], &["/etc"], None).contains("cannot run '/etc'"));
    let ready = ["sh", "-c", "echo ready; exec sleep 1000"];
    assert!(logged(&[], &ready, Some(libc::SIGTERM)).contains("was ended by SIGTERM"));
    // Ended by a signal that was passed on, and that is no stop signal.
    assert!(logged(&[], &ready, Some(libc::SIGHUP)).contains("was ended by SIGHUP"));
    // Not beside the message of an application that ended by itself.
    assert_eq!(logged(&[], &["sh", "-c", "exit 3"], None), "");
    assert_eq!(logged(&[], &["sh", "-c", "kill -SEGV $$"], None), "");
    for line in [
        logged(&["--log-format=json", "--grace", "soon"], &["true"], None),
        logged(&["--log-format=json"], &["/nowhere"], None),
        logged(&["--log-format=json"], &ready, Some(libc::SIGTERM)),
    ] {
        let value: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(value["program"], "drainit");
    }
}

/// Every line an object, refused input included.
#[test]
fn with_log_format_json_every_line_is_an_object() {
    let mut seen = BTreeSet::new();
    let mut objects = |end: &End| {
        for line in &end.said {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            seen.insert(value["event"].as_str().unwrap().to_owned());
        }
    };
    let json = |options: &[&str]| drainit(&[&["--log-format", "json"], options].concat());
    objects(&json(&["--grace", "soon"]).sh("true").ends());
    objects(&json(&["--schedule", "TERM:x/5/KILL"]).sh("true").ends());
    objects(&json(&[]).command(["/nowhere"]).ends());
    objects(&json(&[]).env("DRAINIT_GRACE_PERIOD", "1").sh("true").ends());
    objects(&json(&["-vv"]).sh("(sleep 0.1 &); exit 1").ends());
    objects(&json(&["-v", "--restart=on-failure", "--restart-limit=2"]).sh("exit 1").ends());
    objects(&json(&["--termination-log", "/nowhere/x", "--grace", "y"]).sh("true").ends());
    objects(&json(&["-t", "0"]).sh("(setsid sleep 100 &) ; kill -KILL $$").ends());
    objects(&{
        let mut run = json(&["-v", "-r", "USR1:0", "-t", "200ms"])
            .perl("hears 'main', qw(TERM QUIT); line 'ready'; rest;");
        run.hears("ready");
        run.signal(libc::SIGUSR1);
        run.signal(libc::SIGQUIT);
        run.hears("main QUIT");
        run.signal(libc::SIGTERM);
        run.ends()
    });
    objects(&stopped(&["--log-format", "json"], JOB));
    let wanted = [
        "refused",
        "unknown-variable",
        "not-started",
        "start",
        "main",
        "orphan",
        "signal",
        "send",
        "drop",
        "deadline",
        "report",
        "run-failed",
        "pause",
        "main-killed",
        "termination-log",
        "no-stop-signal",
        "cut",
    ];
    for event in wanted {
        assert!(seen.contains(event), "never seen: {event}; {seen:?}");
    }
}

/// The list in the documentation is the list in the code.
#[test]
fn docs_list_every_event_and_field() {
    let docs = include_str!("../../docs/reports.md");
    for event in drainit::report::event::ALL {
        assert!(docs.contains(&format!("\n| `{}` |", event.name)), "{}", event.name);
    }
    let listed = |line: &&str| line.starts_with("| `");
    let names = docs.lines().filter(listed).filter_map(|line| line.split('`').nth(1));
    let names: Vec<_> = names.filter(|name| !name.contains(' ')).collect();
    let (_, report) = report(&["-v", "--restart=on-failure"]);
    for field in report.as_object().unwrap().keys() {
        assert!(names.contains(&field.as_str()), "undocumented: {field}");
    }
    for name in names {
        let event = drainit::report::event::ALL.iter().any(|event| event.name == name);
        let process = ["pid", "command", "age_s", "code", "message", "parent", "role", "fate"];
        let field = report.get(name).is_some() || process.contains(&name);
        assert!(event || field, "documented, and not there: {name}");
    }
}

#[test]
fn a_variable_that_nobody_reads_is_said() {
    let end = drainit(&[]).env("DRAINIT_SIGNALTO", "app").sh("true").ends();
    assert_eq!(
        one_line(&end),
        "drainit: DRAINIT_SIGNALTO: no such variable; the nearest is DRAINIT_SIGNAL_TO"
    );
}

#[test]
fn expand_env_replaces_variables_without_a_shell() {
    let echo = |options: &[&str], word: &str| {
        drainit(options).env("WHO", "a  b").command(["printf", "%s\\n", word]).ends()
    };
    assert!(echo(&["--expand-env"], "<${WHO}> ${NO:-x} $$ $WHO").has("<a  b> x $ $WHO"));
    assert!(echo(&[], "${WHO}").has("${WHO}"), "only when it is asked for");
    let end = echo(&["--expand-env"], "${NO}");
    assert_eq!(end.code, 125);
    assert!(one_line(&end).contains("'${NO}': a variable that is not set"), "{end:?}");
    let end =
        drainit(&[]).env("DRAINIT_EXPAND_ENV", "1").env("A", "b").command(["echo", "${A}"]).ends();
    assert!(end.has("b"));
}

#[test]
fn explain_says_what_would_happen_and_starts_nothing() {
    let explain = |variable: bool, options: &[&str]| {
        let mut command = Command::new(DRAINIT);
        if variable {
            command.env("DRAINIT_EXPLAIN", "1");
        } else {
            command.arg("--explain");
        }
        command.args(options).args(["--", "sh", "-c", "touch /nowhere"]);
        let output = command.output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = explain(false, &["--signal-to", "app"]);
    assert!(
        text.starts_with("Schedule: TERM:app/20s/TERM:tops/2s500ms/TERM:leaves/2s500ms/KILL:all\n")
    );
    assert!(text.contains("helpers") && text.contains("Exit code: the main child's"), "{text}");
    assert_eq!(explain(true, &["--signal-to", "app"]), text);
    assert!(explain(false, &["-c"]).contains("WARNING: the command is a shell"));
    // Never cut off: every rewrite is a line, and so is the end.
    let rewrites: Vec<_> =
        (1..=64).filter(|n| ![9, 17, 19].contains(n)).map(|n| format!("-r{n}:2")).collect();
    let rewrites: Vec<_> = rewrites.iter().map(String::as_str).collect();
    let long = explain(false, &rewrites);
    assert!(long.len() > 1500 && long.contains("Exit code"), "{long}");
    for line in explain(false, &["--log-format", "json"]).lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["event"], "explain");
    }
}

/// `docker exec web /drainit --explain`
fn explained(options: &[&str], script: &str, own: &[&str]) -> String {
    let mut run = drainit(options).sh(script);
    run.hears("job ready");
    run.until("the job was orphaned, and both sleep", |run| {
        let sleeps = |pid: &u32| status_field(*pid, "Name") == "sleep";
        children(run.init()).len() == 2
            && descendants(run.init()).iter().filter(|pid| sleeps(pid)).count() == 2
    });
    let mut nsenter = Command::new("nsenter");
    if !crate::harness::is_root() {
        nsenter.args(["--user", "--preserve-credentials"]);
    }
    let init = run.init().to_string();
    nsenter.args(["--pid", "--mount", "--target", &init, "--", DRAINIT, "--explain"]).args(own);
    let output = nsenter.env_remove("COLUMNS").output().unwrap();
    run.signal(libc::SIGTERM);
    run.ends();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[test]
fn explain_without_a_command_is_of_what_runs() {
    let script = "(sh -c 'echo job ready; sleep 1' &); sleep 1000; true";
    let text = explained(&["--signal-to", "app"], script, &[]);
    let fate_of =
        |command: &str| text.lines().find(|line| line.contains(command)).unwrap_or_default();
    assert!(
        text.starts_with("drainit is pid 1; a stop now would do this (--signal-to app):"),
        "{text}"
    );
    assert!(fate_of("sleep 1000").ends_with("application: SIGTERM at once"), "{text}");
    assert!(fate_of("sh -c echo").ends_with("job: left to finish, SIGTERM at 20s"), "{text}");
    assert!(fate_of("sleep 1 ").ends_with("its parent's affair"), "{text}");
    let tree = text.lines().skip(1).take_while(|line| !line.is_empty());
    assert!(tree.clone().count() >= 4 && tree.clone().all(|line| line.len() <= 80), "{text}");
    let group = explained(&[], script, &[]);
    assert!(group.contains("WARNING: 1 that nobody else looks after would be asked"), "{group}");
    let json = explained(&["-c"], script, &["--log-format", "json"]);
    let values = || json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(values().any(|value| value["role"] == "job" && value["event"] == "process"), "{json}");
}

#[test]
fn explain_says_when_pid_1_is_no_drainit() {
    let mut run = crate::harness::bare().sh("echo ready; sleep 1000; true");
    run.hears("ready");
    let init = run.init().to_string();
    let mut nsenter = Command::new("nsenter");
    if !crate::harness::is_root() {
        nsenter.args(["--user", "--preserve-credentials"]);
    }
    nsenter.args(["--pid", "--mount", "--target", &init, "--", DRAINIT, "--explain"]);
    let text = String::from_utf8(nsenter.output().unwrap().stdout).unwrap();
    assert!(
        text.contains("PID 1 is no drainit") && text.contains("A shell passes no signal on"),
        "{text}"
    );
}
