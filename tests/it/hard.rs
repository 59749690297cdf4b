//! Hard to break, harmless to others: the kernel features that people lack, and
//! what a main child or its orphans can do to an init.

use crate::harness::{
    DRAINIT, Run, Scene, TempDir, bare, children, drainit, installed, is_root, status_field,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const SAVES: &str =
    "child { POSIX::setsid(); ends 'worker', 'TERM', 0, 0.2; line 'worker ready'; rest };
    ends 'main', 'TERM', 3; line 'main ready'; rest;";

/// Whether, at the stop, the worker is asked and waited for.
fn saves(init: Scene) -> bool {
    let mut run = init.perl(SAVES);
    run.hears("worker ready");
    run.hears("main ready");
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert_eq!(end.code, 3, "{end:?}");
    end.has("worker done")
}

// What we inherited, and hand on.

#[test]
fn what_the_main_child_closes_is_closed() {
    let dir = TempDir::new();
    let fifo = dir.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let open =
        format!("open my $f, '+<', '{}'; POSIX::dup2(fileno $f, 7); $^F = 7;", fifo.display());
    let started = |options: &[&str]| {
        let script = "exec 7<&-; echo ready; exec sleep 1000";
        let mut run = drainit(options).prepared(&open).sh(script);
        run.hears("ready");
        run
    };
    let held = |run: &Run| {
        let of = |fd| fs::read_link(format!("/proc/{}/fd/{fd}", run.init()));
        (3..64).any(|fd| of(fd).is_ok_and(|file| file == fifo))
    };
    // It does so once the main child runs.
    started(&[]).until("it has closed it too", |run| !held(run));
    assert!(held(&started(&["--restart=on-failure"])), "control: the next run is to have it");
}

#[test]
fn listen_pid_becomes_the_main_childs_own() {
    let listen_pid = |pid: &str| {
        let init = drainit(&[]).env("LISTEN_PID", pid).env("LISTEN_FDS", "1");
        init.sh("echo $LISTEN_PID is $$, $LISTEN_FDS").ends().out
    };
    assert_eq!(listen_pid("1"), ["2 is 2, 1"]);
    assert_eq!(listen_pid("77"), ["77 is 2, 1"], "not ours");
}

#[test]
fn it_holds_no_mount_busy() {
    let started = |options: &[&str]| {
        let mut run = drainit(options).prepared("chdir '/usr';").sh("pwd; exec sleep 1000");
        run.hears("/usr");
        run
    };
    let is_in = |run: &Run, folder: &str| {
        fs::read_link(format!("/proc/{}/cwd", run.init())).unwrap() == Path::new(folder)
    };
    started(&[]).until("it has left the folder", |run| is_in(run, "/"));
    let again = started(&["--restart=on-failure"]);
    assert!(is_in(&again, "/usr"), "control: the next run is to start there");
}

#[test]
fn zombies_from_before_exec_are_reaped_without_a_signal() {
    let zombies = "for (1..3) { fork or POSIX::_exit(0) } select undef, undef, undef, 0.1;";
    let mut run = drainit(&[]).prepared(zombies).sh("echo ready; exec sleep 1000");
    run.hears("ready");
    run.until("only the main child is left", |run| children(run.init()).len() == 1);
}

// Main children that move, stop and hear too much.

#[test]
fn a_main_child_that_left_its_group_is_asked() {
    let main = "
        my $other = child { setpgrp; ends 'other', 'TERM', 0; line 'other ready'; rest };
        select undef, undef, undef, 0.05 until getpgrp($other) == $other;
        POSIX::setpgid(0, $other);
        ends 'main', 'TERM', 3; line 'main ready'; rest;";
    let mut run = drainit(&[]).perl(main);
    run.hears("other ready");
    run.hears("main ready");
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert_eq!(end.code, 3);
    assert!(end.has("main TERM"), "{end:?}");
}

#[test]
fn only_who_is_stopped_is_continued() {
    let main = "hears 'main', 'CONT'; ends 'main', 'TERM', 3; hears 'main', 'HUP'; line 'main ready'; rest;";
    let mut run = drainit(&[]).perl(main);
    run.hears("main ready");
    run.signal(libc::SIGHUP);
    run.hears("main HUP");
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert!(!end.has("main CONT"), "{end:?}");
}

// Terminals.

/// At a terminal, in a PID namespace without a session of its own: whether a main
/// child can read, and then the script that started all.
fn reads(init: &[&str], command: &str) -> (bool, bool) {
    let init = init.join(" ");
    let unshare = "unshare --pid --fork --mount-proc --kill-child";
    let script = format!("{unshare} {init} {command}; read line; echo then $line");
    let mut run = bare().on_tty().sh(&script);
    run.types("echo x$((6*7))y\n");
    let reads = run.may_hear("x42y").is_some();
    run.types("exit\n");
    run.types("more\n");
    (reads, reads && run.may_hear("then more").is_some())
}

#[test]
fn a_main_child_without_a_session_of_its_own_reads_its_terminal() {
    if !is_root() {
        return assert!(!is_root(), "needs a second PID namespace; run as root");
    }
    let script = "sh -c 'read line; eval \"$line\"; read line'";
    for init in [&[DRAINIT][..], &[DRAINIT, "-c"], &[DRAINIT, "--signal-to", "app"], &[]] {
        assert_eq!(reads(init, script), (true, true), "{init:?}");
    }
    // bash takes the terminal for itself, and has nobody to give it back to.
    for init in [&[DRAINIT][..], &[]] {
        assert!(reads(init, "bash --norc -i").0, "{init:?}");
    }
}

// /proc.

#[test]
fn one_that_may_not_be_looked_at_hides_nobody_else() {
    if !is_root() {
        return assert!(!is_root(), "needs another user; run as root");
    }
    installed("setpriv", "util-linux");
    let dir = TempDir::new();
    let sleep = dir.join("suid-sleep");
    fs::copy("/bin/sleep", &sleep).unwrap();
    let chmod = Command::new("chmod").arg("4755").arg(&sleep).status().unwrap();
    let path = Command::new("chmod").arg("755").arg(&*dir).status().unwrap();
    assert!(chmod.success() && path.success());
    // TERM that PID 1 forwards reaches it: another user's process with our real uid
    // may be signalled.
    let hidden = format!("fork or exec '{}', '1000';", sleep.display());
    let script = [&hidden, SAVES].concat();
    let mount = "mount -t proc -o hidepid=1 proc /proc; exec setpriv --reuid 1000 --regid 1000 --clear-groups \"$@\"";
    let init = Scene::of(&["sh", "-c", mount, "x", DRAINIT, "-t", "3s"]);
    let mut run = init.perl(&script);
    run.hears("worker ready");
    run.hears("main ready");
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert!(end.has("worker done"), "{end:?}");
    assert!(end.said.iter().any(|line| line.contains("cannot be looked at")), "{end:?}");
}

/// The same number in both namespaces: /proc/self shows our pid and is another's.
#[test]
fn a_proc_of_another_namespace_is_none() {
    if !is_root() {
        return assert!(!is_root(), "needs a second PID namespace; run as root");
    }
    // Inside, with the /proc of outside: a bystander 303, and the init as 300. Outside
    // the same number is the init, and 301 is burnt: /proc says 302 of 301.
    let number = "sub number {
        open my $f, '>', '/proc/sys/kernel/ns_last_pid' or die; syswrite $f, $_[0] - 1 }";
    let inside = r#"
        my ($from, $to) = map { open my $f, '+<&=', $_ or die; $f } 10, 11;
        number(303);
        my $by = fork // die;
        if (!$by) { $SIG{TERM} = sub { syswrite STDOUT, "bystander TERM\n" }; sleep 1000 while 1 }
        syswrite $to, 'a'; sysread $from, my $go, 1;
        number(300);
        my $init = fork // die;
        if (!$init) { syswrite $to, 'b'; sysread $from, $go, 1; exec @ARGV }
        <STDIN>;
        kill 'TERM', $init; waitpid $init, 0;
        syswrite STDOUT, "init $init, bystander $by: " . waitpid($by, WNOHANG) . "\n";
    "#;
    let outside = r#"
        pipe my $r1, my $w1; pipe my $r2, my $w2;
        POSIX::dup2(fileno $r1, 10); POSIX::dup2(fileno $w2, 11); $^F = 20;
        my $pid = fork // die;
        exec qw(unshare --pid --fork -- perl -MPOSIX -e), shift, @ARGV if !$pid;
        shift;
        sysread $r2, my $x, 1; number(300); syswrite $w1, 'x';
        sysread $r2, $x, 1; waitpid(fork || POSIX::_exit(0), 0); syswrite $w1, 'x';
        waitpid $pid, 0;
    "#;
    let (inside, outside) = ([number, inside].concat(), [number, outside].concat());
    let scene = Scene::of(&["perl", "-MPOSIX", "-e", &outside, &inside]);
    // Outside the second process below the init is 303: inside that is the bystander.
    let main = ["sh", "-c", "sleep 1000 & echo main ready; wait"];
    let mut run = scene.command([&[DRAINIT, "-t", "1s", "--signal-to", "all"][..], &main].concat());
    run.hears("main ready");
    run.types("go\n");
    run.hears("init 300, bystander 303: 0");
    assert!(!run.ends().has("bystander TERM"));
}

// Storms.

/// Orphans that come and go while thousands live: a stop is heard, a deadline kept.
#[test]
fn a_stop_is_served_among_orphans_that_come_and_go() {
    let main = "
        for (1..3000) { orphan { setpgrp; POSIX::pause() while 1 } }
        if (!fork) { while (1) { orphan { POSIX::_exit(0) } } }
        ends 'main', 'TERM', 3; line 'main ready'; rest;";
    let init = drainit(&["-t", "2s"]).guard(Duration::from_secs(60));
    let mut run = init.perl(main);
    run.hears("main ready");
    let begun = Instant::now();
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert_eq!(end.code, 3);
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
}

/// A cgroup of its own, gone with the value.
struct CpuGroup {
    folder: PathBuf,
    v2: bool,
}

impl CpuGroup {
    fn new(name: &str) -> CpuGroup {
        let root = Path::new("/sys/fs/cgroup");
        let v2 = root.join("cgroup.controllers").exists();
        if v2 {
            fs::write(root.join("cgroup.subtree_control"), "+cpu").expect("cgroups with cpu");
        }
        let folder = root.join(if v2 { "" } else { "cpu" }).join(name);
        fs::create_dir(&folder).expect("a new cgroup");
        CpuGroup { folder, v2 }
    }

    /// Half a CPU for all in it.
    fn limit(&self) {
        let (file, half) =
            if self.v2 { ("cpu.max", "50000") } else { ("cpu.cfs_quota_us", "50000") };
        fs::write(self.folder.join(file), half).expect("a quota");
    }
}

impl Drop for CpuGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Where hundreds want half a CPU, each of our turns comes after seconds, and a look
/// at all of them takes many turns: it ends at the deadline, and they are killed all
/// the same. Without that end it takes 40 s and more.
#[test]
#[ignore = "needs root, for a cgroup"]
fn a_deadline_is_kept_where_the_cpu_is_scarce() {
    let cgroup = CpuGroup::new(&format!("drainit-{}", std::process::id()));
    let procs = cgroup.folder.join("cgroup.procs");
    let enter =
        format!("open my $f, '>', '{}' or die; syswrite $f, $$; close $f or die;", procs.display());
    let main = "
        $SIG{TERM} = 'IGNORE';
        pipe my $read, my $write or die;
        for (1..600) { child { close $write; sysread $read, my $go, 1; 1 while 1 } }
        line 'ready';
        told;
        close $write;
        rest;";
    let guard = Duration::from_secs(60);
    let mut run = drainit(&["-t", "2s"]).guard(guard).prepared(&enter).perl(main);
    run.hears("ready");
    cgroup.limit();
    run.types("go\n");
    let begun = Instant::now();
    run.signal(libc::SIGTERM);
    let end = run.ends();
    let took = begun.elapsed();
    println!("ended after {took:?}: {end:?}");
    assert_eq!(end.code, 137);
    assert!(took < Duration::from_secs(30), "{took:?}");
    // Perhaps there was time to count them.
    let said = ["killed some, uncounted, at the end of", "killed 601 at the end of"];
    let report = end.said.last().unwrap();
    assert!(said.iter().any(|words| report.contains(words)), "{end:?}");
}

/// Who exits at the very moment of the deadline has finished, or was killed: never
/// both, never neither.
#[test]
fn at_the_deadline_who_finished_was_not_killed() {
    let main = "
        for my $n (1..200) {
            orphan {
                setpgrp;
                my $at = 0.4 + $n / 1000;
                $SIG{TERM} = sub { select undef, undef, undef, $at; line 'F'; POSIX::_exit(0) };
                line 'ready';
                rest;
            };
        }
        ends 'main', 'TERM', 3; line 'main ready'; rest;";
    let options = ["-t", "500ms", "--leftovers=ask", "--log-format=json"];
    let mut run = drainit(&options).perl(main);
    run.hears("main ready");
    for _ in 0..200 {
        run.hears("ready");
    }
    run.signal(libc::SIGTERM);
    let end = run.ends();
    let finished = end.out.iter().filter(|line| *line == "F").count() as u64;
    let report: serde_json::Value = serde_json::from_str(end.said.last().unwrap()).unwrap();
    let killed = report["killed_count"].as_u64().unwrap();
    // Whoever was killed between its line and its exit is in both.
    assert!(finished + killed >= 200, "{finished} {report}");
    assert_eq!(killed + report_of(&report, "finished"), 200, "{report}");
}

fn report_of(report: &serde_json::Value, fate: &str) -> u64 {
    let seen = |fate: &str| report[format!("{fate}_count")].as_u64();
    // Without a look at the beginning nobody says who finished.
    seen(fate).unwrap_or(200 - report["killed_count"].as_u64().unwrap())
}

// Sandboxes.

/// Perl that forbids itself these system calls, with this error.
fn forbid(calls: &[i64], error: i32) -> String {
    // seccomp(2): load the number; jump over to an error or to allow.
    let mut filter = vec![(0x20, 0, 0, 0)];
    for (n, call) in calls.iter().enumerate() {
        filter.push((0x15, (calls.len() - n) as u8, 0, *call as u32));
    }
    filter.push((0x06, 0, 0, 0x7fff_0000));
    filter.push((0x06, 0, 0, 0x0005_0000 | error as u32));
    let program: Vec<_> = filter
        .iter()
        .map(|(code, yes, no, value)| format!("pack('SCCL', {code}, {yes}, {no}, {value})"))
        .collect();
    format!(
        "my $f = join '', {}; my $p = pack('SxxxxxxP', {}, $f);
         syscall({prctl}, 38, 1, 0, 0, 0) == 0 or die; syscall({prctl}, 22, 2, $p) == 0 or die $!;",
        program.join(", "),
        filter.len(),
        prctl = libc::SYS_prctl,
    )
}

#[test]
fn a_sandbox_that_forbids_a_call_is_worked_around_or_refused() {
    let goes_on = [
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_send_signal,
        libc::SYS_pwritev2,
        libc::SYS_prctl,
        libc::SYS_close_range,
        libc::SYS_waitid,
        libc::SYS_ioctl,
        libc::SYS_getpgid,
        libc::SYS_chdir,
    ];
    for error in [libc::EPERM, libc::ENOSYS, libc::EACCES] {
        for call in goes_on {
            assert!(saves(drainit(&[]).prepared(&forbid(&[call], error))), "{call} {error}");
        }
        let pidfds = [libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal];
        assert!(saves(drainit(&[]).prepared(&forbid(&pidfds, error))));
        // Said, and nothing runs.
        let end = drainit(&[])
            .prepared(&forbid(&[libc::SYS_rt_sigtimedwait], error))
            .sh("echo started")
            .ends();
        assert_eq!((end.code, end.out.len(), end.said.len()), (125, 0, 1), "{end:?}");
        assert!(end.said[0].contains("cannot wait for signals"), "{end:?}");
    }
}

/// With the folder unreadable nobody is taken for nobody: it is said.
#[test]
fn a_proc_that_cannot_be_listed_is_not_an_empty_one() {
    let forbidden = forbid(&[libc::SYS_getdents64], libc::EPERM);
    let mut run = drainit(&["-t", "500ms"]).prepared(&forbidden).perl(SAVES);
    run.hears("worker ready");
    run.hears("main ready");
    run.signal(libc::SIGTERM);
    let end = run.ends();
    assert!(end.said.iter().any(|line| line.contains("killed some, uncounted,")), "{end:?}");
}

// Words.

#[test]
fn words_are_not_lost_where_the_terminal_may_not_be_opened_anew() {
    if !is_root() {
        return assert!(!is_root(), "needs another user; run as root");
    }
    // `podman run -t`, and an entry point that drops to another user.
    let typed = |init: &[&str]| {
        let script = format!("{} /nowhere 2>&1", init.join(" "));
        Command::new("script").args(["-qec", &script, "/dev/null"]).output().unwrap().stdout
    };
    let drop = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"];
    for init in [&[DRAINIT][..], &[&drop[..], &[DRAINIT]].concat()] {
        let said = String::from_utf8(typed(init)).unwrap();
        assert!(said.contains("drainit: cannot find '/nowhere'"), "{init:?}: {said}");
    }
}

#[test]
fn a_large_environment_and_many_arguments_arrive() {
    let large = "x".repeat(100_000);
    let mut init = drainit(&[]);
    for n in 0..10 {
        init = init.env(format!("LARGE_{n}"), &large);
    }
    let arguments = vec!["a"; 50_000];
    let script =
        "print scalar(@ARGV), ' ', length(join '', map { $ENV{\"LARGE_$_\"} } 0..9), \"\\n\"";
    let end = init.command([&["perl", "-e", script][..], &arguments].concat()).ends();
    assert_eq!(end.out, ["50000 1000000"]);
}

#[test]
fn memory_does_not_grow_with_the_runs() {
    let mut run = drainit(&["--restart=always", "--restart-delay=0"])
        .guard(Duration::from_secs(60))
        .sh("echo run");
    let mut after = |runs: usize| {
        (0..runs).for_each(|_| run.hears("run"));
        status_field(run.init(), "VmRSS")
    };
    let before = after(500);
    assert_eq!(after(4500), before);
    run.signal(libc::SIGTERM);
    run.ends();
}
