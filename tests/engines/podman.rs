//! podman: its `--init`, and pods, in which drainit is not PID 1 unless it is
//! what podman makes the pod's first container of.

use crate::docker::{drains, loses};
use crate::engine::{AMPLE, WORKER, WORKER_SCRIPT, podman};
use crate::machine::DRAINIT;

#[test]
fn run_init() {
    let podman = podman();
    drains(podman.run(&format!("--init --init-path {DRAINIT} busybox"), WORKER));
}

#[test]
fn podmans_own_init_loses_the_work() {
    let podman = podman();
    loses(podman.run("--init --init-path /usr/bin/catatonit busybox", WORKER));
}

/// One PID namespace for the whole pod, and everybody in it may signal everybody.
/// `a` is as rough as drainit can be; `b` is told of nothing, until its own stop.
#[test]
fn a_pod_that_shares_its_processes() {
    let podman = podman();
    let a = format!(r#"(trap "" TERM; exec sleep 1000) & {WORKER_SCRIPT}"#);
    let b = "
        trap 'echo asked; exit 5' TERM
        trap 'echo fence' USR1
        echo ready
        while :; do sleep 0.1; done";
    let manifest = format!(
        r#"
        apiVersion: v1
        kind: Pod
        metadata: {{ name: shared }}
        spec:
          shareProcessNamespace: true
          containers:
          - name: a
            image: localhost/busybox
            command: [/drainit, --signal-to, all, --grace, 3s, --]
            args: [sh, -c, {a:?}]
          - name: b
            image: localhost/busybox
            command: [/drainit, --]
            args: [sh, -c, {b:?}]
        "#
    );
    let pod = podman.play("shared", &manifest);
    let (mut a, mut b) = (pod.listen_to("shared-a"), pod.listen_to("shared-b"));
    a.says("ready");
    b.says("ready");
    let first = podman.call("exec shared-a /bin/cat /proc/1/cmdline");
    assert!(first.contains("-P"), "somebody else is PID 1: {first}");

    podman.call(&format!("stop --time {AMPLE} shared-a"));
    let a = pod.end_of("shared-a");
    assert!(a.transcript.contains("saved"), "{a}");
    assert!(a.transcript.contains("killed 1"), "{a}");
    assert!(a.transcript.contains("\"sleep 1000\""), "{a}");
    assert_eq!(a.code, 143, "{a}");

    podman.call("kill --signal USR1 shared-b");
    b.says("fence");
    podman.call(&format!("stop --time {AMPLE} shared-b"));
    let b = pod.end_of("shared-b");
    let (before, after) = b.transcript.split_once("fence").expect("a fence");
    assert!(!before.contains("asked"), "{b}");
    assert!(after.contains("asked"), "{b}");
    assert_eq!(b.code, 5, "{b}");
}

/// As podman's catatonit, which it copies into an image and runs with -P: PID 1
/// of the pod, by whom orphans of all its containers are reaped.
#[test]
fn pause_of_a_pod() {
    let podman = podman();
    let orphan = "
        orphan=$(sh -c 'sleep 0.1 >/dev/null & echo $!')
        while [ -e /proc/$orphan ]; do sleep 0.1; done
        cmp /proc/1/exe /drainit && echo reaped by drainit
        trap exit TERM
        while :; do sleep 0.1; done";
    let manifest = format!(
        r#"
        apiVersion: v1
        kind: Pod
        metadata: {{ name: paused }}
        spec:
          shareProcessNamespace: true
          containers:
          - name: orphans
            image: localhost/busybox
            command: [/bin/sh, -c, {orphan:?}]
        "#
    );
    let pod = podman.play("paused", &manifest);
    pod.listen_to("paused-orphans").says("reaped by drainit");
    let infra = podman.call("pod inspect --format {{.InfraContainerID}} paused");
    pod.stop(AMPLE);
    assert_eq!(pod.end_of(&infra).code, 0);
}
