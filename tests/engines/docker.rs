//! drainit as the init of `docker run --init`, and as an image's ENTRYPOINT.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::engine::{AMPLE, Container, WORKER, WORKER_SCRIPT, docker};
use crate::machine::{DRAINIT, TempDir};

pub fn drains(mut container: Container) {
    container.says("ready");
    container.stop(AMPLE);
    let end = container.end();
    assert!(end.transcript.contains("saved"), "{end}");
    assert!(!end.transcript.contains("drainit: "), "nothing was lost: {end}");
    assert_eq!(end.code, 143, "{end}");
}

pub fn loses(mut container: Container) {
    container.says("ready");
    container.stop(AMPLE);
    let end = container.end();
    assert!(!end.transcript.contains("saved"), "{end}");
}

#[test]
fn run_init() {
    let docker = docker();
    drains(docker.run("--init busybox", WORKER));
}

/// As dockerd would put it there without --init-path.
#[test]
fn the_engines_own_init_loses_the_work() {
    let docker = docker();
    let tini = "--volume /usr/bin/docker-init:/sbin/docker-init:ro --entrypoint /sbin/docker-init";
    loses(docker.run(&format!("{tini} busybox --"), WORKER));
}

#[test]
fn info_shows_the_commit() {
    let docker = docker();
    let commit = option_env!("DRAINIT_COMMIT").unwrap_or("N/A");
    assert_eq!(docker.call("info --format {{.InitCommit.ID}}"), commit);
    let info = docker.call("info");
    assert!(info.contains(&format!("init version: {commit}")), "{info}");
}

#[test]
fn entrypoint_and_the_size_of_an_image() {
    let docker = docker();
    let dockerfile = r#"
        FROM scratch
        COPY drainit busybox /
        ENTRYPOINT ["/drainit", "--"]
        CMD ["/busybox", "sh", "-c", "echo ready; exec /busybox sleep 1000"]
    "#;
    let context = TempDir::with(&[("Dockerfile", dockerfile)]);
    let size = |from: &str, to| fs::copy(from, context.join(to)).unwrap();
    let (drainit, child) = (size(DRAINIT, "drainit"), size("/bin/busybox", "busybox"));
    docker.call(&format!("build --network none --tag small {}", context.display()));

    let image = docker.call("image inspect --format {{.Size}} small");
    assert_eq!(image, (drainit + child).to_string(), "{drainit} for drainit, nothing else");

    let mut container = docker.run("small", &[]);
    container.says("ready");
    container.stop(AMPLE);
    assert_eq!(container.end().code, 143);

    let other_words = |command: &[&str]| docker.run("small", command).end();
    assert_eq!(other_words(&["/busybox", "sh", "-c", "exit 3"]).code, 3);
    let missing = other_words(&["/missing"]);
    assert_eq!(missing.code, 127, "{missing}");
    assert!(missing.transcript.contains("drainit: "), "{missing}");
}

/// An image keeps its ENTRYPOINT where drainit lies under the other's name.
#[test]
fn in_place_of_another_init() {
    let docker = docker();
    for words in ["/tini busybox -g --", "/dumb-init busybox", "/catatonit busybox -g --"] {
        drains(docker.run(&format!("--entrypoint {words}"), WORKER));
    }
}

const STUBBORN: &[&str] = &["sh", "-c", r#"trap "" TERM; echo ready; exec sleep 1000"#];

#[test]
fn a_stop_longer_than_the_grace_names_who_was_killed() {
    let docker = docker();
    let mut container = docker.run("--init --env DRAINIT_GRACE=1s busybox", STUBBORN);
    container.says("ready");
    container.stop(AMPLE);
    let end = container.end();
    assert!(end.transcript.contains("killed 1"), "{end}");
    assert!(end.transcript.contains("\"sleep 1000\""), "{end}");
    assert_eq!(end.code, 137, "{end}");
}

/// The order of the time-outs, turned round: the engine cuts, and nobody says whom.
#[test]
fn a_stop_shorter_than_the_grace_does_not() {
    let docker = docker();
    let mut container = docker.run("--init --env DRAINIT_GRACE=infinity busybox", STUBBORN);
    container.says("ready");
    container.stop(1);
    let end = container.end();
    assert!(!end.transcript.contains("drainit: "), "{end}");
    assert_eq!(end.code, 137, "{end}");
}

/// Not KILL and STOP, which nobody can forward, nor CHLD. 32 and 33 are the C
/// library's: dockerd refuses them.
#[test]
fn every_signal_is_forwarded() {
    const TO_STOP: [u8; 2] = [2, 15];
    let docker = docker();
    let others = (1..=64).filter(|n| ![9, 17, 19, 32, 33].contains(n) && !TO_STOP.contains(n));
    let script = "
        for n in $(seq 64); do
            case $n in 9|17|19|32|33) ;; *) trap \"echo got $n.\" $n ;; esac
        done
        echo ready
        while :; do sleep 0.1; done";
    let mut container =
        docker.run("--init --env DRAINIT_SIGNAL_TO=main busybox", &["sh", "-c", script]);
    container.says("ready");
    for signal in others.chain(TO_STOP) {
        container.kill(signal);
        container.says(&format!("got {signal}."));
    }
    container.kill("KILL");
    assert_eq!(container.end().code, 137);
}

/// What a cluster's policy may ask for, all at once. The kubelet's part, the file
/// for the termination message, is played by the test.
#[test]
fn without_any_privilege() {
    let docker = docker();
    let dir = TempDir::with(&[("termination-log", "")]);
    let log = dir.join("termination-log");
    fs::set_permissions(&log, Permissions::from_mode(0o666)).unwrap();
    let restricted = format!(
        "--init --user 1000 --read-only --cap-drop=ALL --security-opt no-new-privileges \
         --env DRAINIT_GRACE=4s --env DRAINIT_TERMINATION_LOG=/dev/termination-log \
         --volume {}:/dev/termination-log busybox",
        log.display()
    );
    let script = format!(
        r#"grep -E "Uid|CapBnd|NoNewPrivs" /proc/1/status
        touch /tmp/file 2>&1
        (trap "" TERM; exec sleep 1000) &
        {WORKER_SCRIPT}"#
    );
    let mut container = docker.run(&restricted, &["sh", "-c", &script]);
    container.says("Uid:\t1000");
    container.says("CapBnd:\t0000000000000000");
    container.says("NoNewPrivs:\t1");
    container.says("Read-only file system");
    container.says("ready");
    container.stop(AMPLE);
    let end = container.end();
    assert!(end.transcript.contains("saved"), "{end}");
    let report = fs::read_to_string(log).unwrap();
    assert!(report.contains("killed 1"), "{report} {end}");
    assert!(report.contains("\"sleep 1000\""), "{report} {end}");
    assert!(end.transcript.contains(&report), "{report} {end}");
    assert_eq!(end.code, 143, "{end}");
}

#[test]
fn no_process_to_be_had() {
    let docker = docker();
    let end = docker.run("--init --pids-limit 1 busybox", &["true"]).end();
    assert_eq!(end.code, 125, "{end}");
    assert!(end.transcript.starts_with("drainit: "), "{end}");
    assert!(end.transcript.contains("--pids-limit"), "{end}");
    assert_eq!(end.transcript.lines().count(), 1, "{end}");
}

#[test]
fn out_of_memory() {
    let docker = docker();
    let dd = ["dd", "if=/dev/zero", "of=/dev/null", "bs=256M"];
    let end = docker.run("--init --memory 32m busybox", &dd).end();
    assert_eq!(end.code, 137, "{end}");
    assert!(end.transcript.contains("out of memory"), "{end}");
    let other = docker.run("--init --memory 32m busybox", &["sh", "-c", "kill -KILL $$"]).end();
    assert_eq!(other.code, 137, "{other}");
    assert!(!other.transcript.contains("out of memory"), "{other}");
}

/// The engine put it there, its parent is outside: it is none of ours.
#[test]
fn an_exec_session_is_not_waited_for_and_does_not_stay() {
    let docker = docker();
    let script = "echo ready; exec sleep 1000";
    let mut container = docker.run("--init busybox", &["sh", "-c", script]);
    container.says("ready");
    // It would say so if it were asked.
    let mut session = container
        .exec("trap 'echo asked' TERM; kill -TERM $$; echo in; while :; do sleep 0.1; done");
    session.says("asked");
    session.says("in");
    container.stop(AMPLE);
    assert_eq!(container.end().code, 143, "not held up");
    let end = session.end();
    assert_eq!(end.transcript.matches("asked").count(), 1, "{end}");
    assert_eq!(end.code, 137, "{end}");
}
