//! Before the fact: what would happen to a command. It starts nothing.

use super::Page;
use crate::config::Config;
use crate::kernel::words::Words;
use crate::policy::drain::Leftovers;
use crate::policy::relay::Relay;
use crate::policy::restart::{FIRST_PAUSE, LONG_RUN, LONGEST_PAUSE, When};
use crate::policy::schedule::Target;
use crate::text::signal::Signal;
use crate::text::time::Time;

/// What would happen to this command.
#[cold]
#[inline(never)]
pub fn command(config: &Config, command: Words) -> u8 {
    let mut page = Page::new(config);
    let first = command.first().to_bytes();
    stop(config, &mut page);
    restarts(config, &mut page);
    page.line(|line| {
        line.put("Exit code: the main child's, 128+n if signal n ended it");
        for code in (0..=255).filter(|&code| code != 0 && config.mapped(code) == 0) {
            line.put("; 0 for ").put(code);
        }
        if let Some(code) = config.killed_exit_code {
            line.put("; ").put(code).put(" if anybody had to be killed");
        }
        line.put(".");
    });
    warnings(config, &mut page);
    if Relay::named(first) == Some(Relay::Shell) && config.policy.signal_to == Target::Main {
        page.text(
            "WARNING: the command is a shell, and with --signal-to main it alone gets the signal; it passes",
        );
        page.text("    none on. --signal-to app also signals what it is running.");
    }
    page.end()
}

/// Who is signalled when.
pub fn stop(config: &Config, page: &mut Page) {
    let policy = &config.policy;
    page.line(|line| _ = line.put("Schedule: ").put(&policy.schedule));
    page.text("");
    page.line(|line| {
        line.put("At ");
        let begins = |signal: &Signal| config.rewritten(*signal).is_some();
        for (n, signal) in config.stop.iter().filter(begins).enumerate() {
            line.put(if n == 0 { "" } else { " or " }).put(signal);
        }
        line.put(" the drain begins:");
    });
    steps(config, true, page);
    page.text(match policy.leftovers {
        Leftovers::Ask | Leftovers::Wait => "    It ends as soon as no process is left.",
        Leftovers::Leave => "    It ends as soon as the main child is gone.",
    });
    page.text("Once the main child is gone, by itself (then the clock starts) or after a stop:");
    match policy.leftovers {
        Leftovers::Ask => {
            page.text("    at once: SIGTERM to every straggler that has not had it");
            steps(config, false, page);
        }
        Leftovers::Wait if policy.schedule.by_hand => {
            page.text("    at once: nobody is signalled, stragglers finish");
            steps(config, false, page);
        }
        Leftovers::Wait => {
            page.text("    once all of the application is gone: SIGTERM to its helpers (what a script left");
            page.text("        running beside it, and daemons); jobs finish");
            steps(config, false, page);
        }
        Leftovers::Leave => {
            page.text("    at once: drainit leaves, and stragglers with it (as tini)");
        }
    }
    page.line(|line| {
        _ = line.put("Any other signal goes to ").put(policy.signal_to.meaning()).put(".");
    });
    for (from, to) in (1..=Signal::LAST).map(Signal).map(|from| (from, config.rewritten(from))) {
        match to {
            Some(to) if to == from => {}
            Some(to) => page.line(|line| {
                _ = line.put("Instead of ").put(from).put(", ").put(to).put(" is sent.");
            }),
            None => page.line(|line| _ = line.put(from).put(" is dropped.")),
        }
    }
}

fn steps(config: &Config, at_stop: bool, page: &mut Page) {
    for step in config.policy.schedule.steps() {
        let for_main = matches!(step.target, Target::Main | Target::App);
        if !at_stop && (step.signal.is_none() || for_main) {
            continue;
        }
        page.line(|line| {
            match step.at {
                Time::ZERO => line.put("    at once: "),
                at => line.put("    after ").put(at).put(": "),
            };
            match step.signal {
                None => _ = line.put("that signal to ").put(step.target.meaning()),
                Some(Signal::KILL) => _ = line.put("SIGKILL to whoever is left"),
                Some(signal) => _ = line.put(signal).put(" to ").put(step.target.meaning()),
            }
        });
    }
    if config.policy.schedule.grace().is_none() {
        page.text("    then for ever: wait, kill nobody");
    }
}

fn restarts(config: &Config, page: &mut Page) {
    let restart = &config.restart;
    let success = match restart.when {
        When::No => return,
        When::OnFailure => "ends drainit",
        When::Always => "starts it again at once",
    };
    page.line(|line| {
        line.put("Once a run and all that it left are gone: exit 0 ").put(success);
        if restart.when == When::Always {
            line.put(" (at most once in ").put(restart.delay).put(")");
        }
        line.put(",");
    });
    page.line(|line| {
        line.put("    anything else after ").put(FIRST_PAUSE).put(", doubling to ");
        line.put(LONGEST_PAUSE).put(", from anew after an exit 0 or a run of ").put(LONG_RUN);
        if let Some(limit) = restart.limit {
            line.put(", until ").put(limit).put(" have failed in a row");
        }
        line.put(". A stop signal is the end.");
    });
}

/// Of the times, which stand in an order with others' that nobody here can see.
pub fn warnings(config: &Config, page: &mut Page) {
    let grace = config.policy.schedule.grace();
    match grace {
        None => {
            page.text(
                "WARNING: nobody is ever killed: a process that does not end holds the container until the",
            );
            page.text(
                "    orchestrator kills it (docker stop after 10s; Kubernetes and ECS after 30s).",
            );
        }
        Some(Time::ZERO) => page.text("WARNING: a grace period of 0 gives nobody time to finish."),
        Some(grace) => {
            page.line(|line| {
                line.put("This order must hold: the application's own time-out < ").put(grace);
                line.put(" < the orchestrator's");
            });
            page.text("    (docker stop 10s, Kubernetes and ECS 30s, unless told otherwise).");
        }
    }
    if grace.is_some_and(|grace| grace >= Time::seconds(30)) {
        page.text(
            "WARNING: Kubernetes and ECS kill after 30s: raise terminationGracePeriodSeconds or stopTimeout.",
        );
    }
    if !Signal::STOPSIGNALS.iter().any(|signal| config.stop.holds(*signal)) {
        page.text("An image whose STOPSIGNAL is not TERM or INT (nginx, php-fpm: SIGQUIT; httpd: SIGWINCH) needs");
        page.text("    it named: --stop-signal QUIT,TERM,INT.");
    }
}
