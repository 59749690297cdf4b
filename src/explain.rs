//! `--explain`: what would happen, in words. Pure but for the printing; it
//! starts nothing.

use crate::cli::Config;
use crate::drain::Leftovers;
use crate::line::Line;
use crate::report;
use crate::restart::{FIRST_PAUSE, LONG_RUN, LONGEST_PAUSE, When};
use crate::schedule::Target;
use crate::signals::Signal;
use crate::sys::Words;
use crate::time::Time;
use crate::tree;

#[cold]
#[inline(never)]
pub fn explain(config: &Config, command: Words) -> u8 {
    let mut text = Line::new();
    let first = command.iter().next().unwrap_or_default().to_bytes();
    describe(config, first, &mut text);
    report::stdout(text.as_bytes())
}

fn describe(config: &Config, command: &[u8], text: &mut Line) {
    if config.pause {
        text.text("Starts nothing, reaps orphans, and exits 0 at a stop signal.\n");
        return;
    }
    let policy = &config.policy;
    policy.schedule.write(text.text("Schedule: "));
    text.text("\n\nAt ");
    let begins = |signal: &Signal| config.rewritten(*signal).is_some();
    for (n, signal) in config.stop_signals().filter(begins).enumerate() {
        signal.write(text.text(if n == 0 { "" } else { " or " }));
    }
    text.text(" the drain begins:\n");
    steps(config, true, text);
    text.text(match policy.leftovers {
        Leftovers::Ask | Leftovers::Wait => "    It ends as soon as no process is left.\n",
        Leftovers::Leave => "    It ends as soon as the main child is gone.\n",
    });

    text.text("Once the main child is gone, by itself (then the clock starts) or after a stop:\n");
    match policy.leftovers {
        Leftovers::Ask => {
            text.text("    at once: SIGTERM to every straggler that has not had it\n");
            steps(config, false, text);
        }
        Leftovers::Wait => {
            text.text("    at once: nobody is signalled, stragglers finish\n");
            steps(config, false, text);
        }
        Leftovers::Leave => {
            _ = text.text("    at once: drainit leaves, and stragglers with it (as tini)\n")
        }
    }

    text.text("Any other signal goes to ").text(policy.signal_to.meaning()).text(".\n");
    for (from, to) in (1..=Signal::LAST).map(Signal).map(|from| (from, config.rewritten(from))) {
        match to {
            Some(to) if to == from => {}
            Some(to) => {
                from.write(text.text("Instead of "));
                to.write(text.text(", "));
                text.text(" is sent.\n");
            }
            None => {
                from.write(text);
                text.text(" is dropped.\n");
            }
        }
    }
    restarts(config, text);

    text.text("Exit code: the main child's, 128+n if signal n ended it");
    for code in (0..=255).filter(|&code| code != 0 && config.mapped(code) == 0) {
        text.text("; 0 for ").number(code.into());
    }
    if let Some(code) = config.killed_exit_code {
        text.text("; ").number(code.into()).text(" if anybody had to be killed");
    }
    text.text(".\n");
    warnings(config, command, text);
}

fn steps(config: &Config, at_stop: bool, text: &mut Line) {
    for step in config.policy.schedule.steps() {
        let for_main = matches!(step.target, Target::Main | Target::App);
        if !at_stop && (step.signal.is_none() || for_main) {
            continue;
        }
        match step.at {
            Time::ZERO => text.text("    at once: "),
            at => text.text("    after ").duration(at).text(": "),
        };
        match step.signal.map(|signal| (signal, signal == Signal::KILL)) {
            None => _ = text.text("that signal to ").text(step.target.meaning()),
            Some((_, true)) => _ = text.text("SIGKILL to whoever is left"),
            Some((signal, false)) => {
                signal.write(text);
                text.text(" to ").text(step.target.meaning());
            }
        }
        text.text("\n");
    }
    if config.policy.schedule.grace().is_none() {
        text.text("    then for ever: wait, kill nobody\n");
    }
}

fn restarts(config: &Config, text: &mut Line) {
    let restart = &config.restart;
    let success = match restart.when {
        When::No => return,
        When::OnFailure => "ends drainit",
        When::Always => "starts it again at once",
    };
    text.text("Once a run and all that it left are gone: exit 0 ").text(success);
    if restart.when == When::Always {
        text.text(" (at most once in ").duration(restart.delay).text(")");
    }
    text.text(",\n    anything else after ").duration(FIRST_PAUSE).text(", doubling to ");
    text.duration(LONGEST_PAUSE)
        .text(", from anew after an exit 0 or a run of ")
        .duration(LONG_RUN);
    if let Some(limit) = restart.limit {
        text.text(", until ").number(limit).text(" have failed in a row");
    }
    text.text(". A stop signal is the end.\n");
}

fn warnings(config: &Config, command: &[u8], text: &mut Line) {
    let policy = &config.policy;
    match policy.schedule.grace() {
        None => text.text(
            "WARNING: nobody is ever killed: a process that does not end holds the container until the\n    \
             orchestrator kills it (docker stop after 10s; Kubernetes and ECS after 30s).\n",
        ),
        Some(Time::ZERO) => {
            text.text("WARNING: a grace period of 0 gives nobody time to finish.\n")
        }
        Some(grace) => {
            text.text("This order must hold: the application's own time-out < ").duration(grace);
            text.text(" < the orchestrator's\n    (docker stop 10s, Kubernetes and ECS 30s, unless told otherwise).\n")
        }
    };
    if policy.schedule.grace().is_some_and(|grace| grace >= Time::seconds(30)) {
        text.text("WARNING: Kubernetes and ECS kill after 30s: raise terminationGracePeriodSeconds or stopTimeout.\n");
    }
    if tree::names_a_shell(command) && policy.signal_to == Target::Main {
        text.text("WARNING: the command is a shell, and with --signal-to main it alone gets the signal; it passes\n    \
                   none on. --signal-to app also signals what it is running.\n");
    }
}
