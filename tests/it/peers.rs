//! The controls: each detector sees the init fail whose mistake it is about.
//! Without them a detector could be blind, and its test would pass for ever.
//!
//! These need the inits themselves, from Debian's packages of the same names.

use crate::harness::{Scene, bare, peer, rounds};
use crate::{draining, exit_status, forwarding, reaping, transparency, tty};
use std::time::Duration;

/// Long enough for what ends at all; the controls that hang wait it out.
const PATIENCE: Duration = Duration::from_secs(2);

fn init(words: &[&str]) -> Scene {
    peer(words).guard(PATIENCE)
}

fn tini() -> Scene {
    init(&["tini", "--"])
}

fn tini_g() -> Scene {
    init(&["tini", "-g", "--"])
}

fn dumb_init() -> Scene {
    init(&["dumb-init", "--"])
}

fn catatonit() -> Scene {
    init(&["catatonit", "--"])
}

fn catatonit_g() -> Scene {
    init(&["catatonit", "-g", "--"])
}

#[test]
#[ignore = "needs tini, dumb-init and catatonit"]
fn they_lose_the_worker_that_has_left_the_group() {
    for init in [tini(), tini_g(), dumb_init(), catatonit()] {
        assert!(!draining::a_slow_worker_finishes(init));
    }
}

#[test]
#[ignore = "needs tini, dumb-init and catatonit"]
fn they_lose_a_signal_that_comes_before_the_group() {
    for init in [tini_g(), dumb_init(), catatonit_g()] {
        let lost = (0..rounds()).any(|_| !forwarding::a_pending_term_arrives(init.clone()));
        assert!(lost);
    }
}

#[test]
#[ignore = "needs tini and catatonit"]
fn they_hang_when_sigchld_is_ignored() {
    for init in [tini(), catatonit()] {
        let end = exit_status::an_exit_of_7(init.prepared(exit_status::SIGCHLD_IGNORED));
        assert!(end.is_none_or(|end| end.code != 7));
    }
}

#[test]
#[ignore = "needs tini"]
fn tini_does_not_survive_a_closed_stdin() {
    let end = exit_status::an_exit_of_7(tini().prepared(exit_status::STDIN_CLOSED));
    assert!(end.is_none_or(|end| end.code != 7));
}

#[test]
#[ignore = "needs tini and root"]
fn tini_does_not_survive_a_signal_that_is_refused() {
    assert_ne!(draining::a_signal_is_refused(tini()), Some(5));
}

#[test]
#[ignore = "needs tini and catatonit"]
fn they_take_sh_c_for_an_option() {
    for init in [init(&["tini"]), init(&["catatonit"])] {
        assert_ne!(exit_status::a_shell_without_dashes(init).code, 3);
    }
}

#[test]
#[ignore = "needs tini and catatonit"]
fn they_steal_the_terminal() {
    for init in ["tini -s --", "catatonit --"] {
        assert!(!tty::the_terminal_is_left_alone(init));
    }
}

#[test]
#[ignore = "needs tini"]
fn tini_leaves_a_stopped_child_stopped() {
    assert!(!draining::a_stopped_main_child_sees_term(tini()));
}

#[test]
#[ignore = "needs tini"]
fn without_a_subreaper_pid_1_adopts() {
    assert!(!reaping::an_orphan_is_adopted(tini()));
    assert!(reaping::an_orphan_is_adopted(init(&["tini", "-s", "--"])));
}

#[test]
#[ignore = "needs tini"]
fn tini_wakes_up_every_second() {
    assert!(reaping::wake_ups(tini(), Duration::from_millis(2_500)) >= 2);
}

#[test]
#[ignore = "needs dumb-init and catatonit"]
fn they_change_the_mask_or_the_dispositions() {
    for (init, given) in [(catatonit(), ""), (dumb_init(), transparency::IGNORED)] {
        assert_ne!(transparency::state(init, given), transparency::state(bare(), given));
    }
}

#[test]
fn an_init_that_signals_everybody_is_seen() {
    // No peer does it, so this is one made for the purpose.
    let everybody = "
        $SIG{TERM} = sub { kill 'TERM', -1; exit };
        fork or exec { $ARGV[0] } @ARGV;
        sleep 1 while 1;
    ";
    assert!(!draining::a_bystander_is_left_alone(init(&["perl", "-e", everybody, "--"])));
}
