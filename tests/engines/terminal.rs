//! `docker run -it`: the keys typed at the user's terminal arrive at the right
//! processes, by way of the container's terminal.

use crate::engine::{AMPLE, docker};

const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";
const SIZE: (u16, u16) = (33, 99);

/// The terminal's foreground group is the main child's. So Ctrl-C is the main
/// child's affair, and no stop: drainit is not asked.
#[test]
fn ctrl_c_goes_to_the_main_child() {
    let docker = docker();
    let script = "
        trap 'echo interrupted' INT
        echo ready
        while :; do sleep 0.1; done";
    let mut container = docker.run_on_terminal(SIZE, "--init busybox", &["sh", "-c", script]);
    container.says("ready");
    for _ in 0..2 {
        container.types(CTRL_C);
        container.says("interrupted");
    }
    container.stop(AMPLE);
    let end = container.end();
    assert_eq!(end.code, 143, "{end}");
}

#[test]
fn ctrl_c_ends_what_does_not_catch_it() {
    let docker = docker();
    let command = ["sh", "-c", "echo ready; exec sleep 1000"];
    let mut container = docker.run_on_terminal(SIZE, "--init busybox", &command);
    container.says("ready");
    container.types(CTRL_C);
    let end = container.end();
    assert_eq!(end.code, 130, "{end}");
    assert!(!end.transcript.contains("drainit: "), "{end}");
}

/// Ctrl-Z stops the main child, and PID 1 cannot stop with it: nobody could
/// continue it. A stopped main child does not miss the stop.
#[test]
fn ctrl_z_and_the_stop_of_what_it_stopped() {
    let docker = docker();
    let command = ["sh", "-c", "echo ready; exec sleep 1000"];
    let mut container = docker.run_on_terminal(SIZE, "--init busybox", &command);
    container.says("ready");
    container.types(CTRL_Z);
    // Whether it is sleep by then or the shell yet.
    let stopped = "until grep -qs '^State:.T' /proc/[0-9]*/status; do sleep 0.1; done";
    assert_eq!(container.exec(stopped).end().code, 0);
    container.stop(AMPLE);
    let end = container.end();
    assert_eq!(end.code, 143, "{end}");
}

/// What is typed is echoed: what is waited for stands there only as a result.
#[test]
fn job_control_in_an_interactive_shell() {
    let docker = docker();
    let mut shell = docker.run_on_terminal(SIZE, "--init busybox", &["sh"]);
    shell.says("# ");
    shell.types("sh -c 'trap \"echo continued $((2+2))\" CONT; echo job $((1+1)); while :; do sleep 0.1; done'\n");
    shell.says("job 2");
    shell.types(CTRL_Z);
    shell.says("Stopped");
    shell.says("# ");
    shell.types("fg\n");
    shell.says("continued 4");
    shell.types(CTRL_C);
    shell.says("# ");
    shell.types("exit 7\n");
    let end = shell.end();
    assert_eq!(end.code, 7, "{end}");
}

/// The client may not listen for SIGWINCH yet when the container already runs: the
/// window is resized until it does.
#[test]
fn window_size() {
    let docker = docker();
    let script = "
        trap 'echo now $(stty size).' WINCH
        while :; do echo tick; sleep 0.1; done";
    let mut container = docker.run_on_terminal(SIZE, "--init busybox", &["sh", "-c", script]);
    while !container.has_said("now 44 111.") {
        container.resize(33, 99);
        container.resize(44, 111);
        container.says("tick");
    }
}
