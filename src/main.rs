//! drainit: a PID-1 init for containers that lets work finish.
//!
//! This room tells the story.

#![no_main]

#[path = "kernel/entry.rs"]
mod entry;
#[cfg(nolibc)]
#[path = "kernel/nolibc/mod.rs"]
mod nolibc;

use drainit::cli::{self, Request};
use drainit::config::Config;
use drainit::expand::expand;
use drainit::kernel::file;
use drainit::kernel::signals::{self, Inherited};
use drainit::kernel::spawn::{Command, Failure};
use drainit::kernel::wait;
use drainit::kernel::words::Words;
use drainit::report::{self, Reporter, event};
use drainit::{explain, supervise};

fn main(argv: Words, environ: Words, descriptors: file::Inherited) -> u8 {
    // The very first thing. The kernel drops what PID 1 neither blocks nor
    // handles; from here on a signal that comes before there is a main child
    // waits for it.
    let inherited = signals::block();
    match cli::parse(argv.iter(), environ.iter()) {
        Request::Run(config) => run(&config, argv, environ, inherited, descriptors),
        Request::Pause(config) => match prepare(&config, environ) {
            Ok(()) => supervise::reap_until_stopped(&config),
            Err(code) => code,
        },
        Request::Explain(config) => explain::command(&config, argv.skip(config.command)),
        Request::ExplainRunning(config) => explain::running(&config, environ),
        Request::Help => report::stdout(include_bytes!("help.txt")),
        Request::Version => report::version(),
        Request::License => report::stdout(include_bytes!("../LICENSE")),
        Request::Refused(refusal, config) => Reporter { config: &config }.refuse(&refusal),
    }
}

fn run(
    config: &Config,
    argv: Words,
    environ: Words,
    inherited: Inherited,
    descriptors: file::Inherited,
) -> u8 {
    let report = Reporter { config };
    let command = match config.expand_env {
        true => expand(argv.skip(config.command), environ),
        false => Ok(argv.skip(config.command)),
    };
    let command = match command {
        Ok(command) => command,
        Err(refusal) => return report.refuse(&refusal),
    };
    if let Err(code) = prepare(config, environ) {
        return code;
    }
    match Command::new(command, environ, inherited) {
        // The point of no return: the command runs.
        Ok(command) => supervise::run(config, command, descriptors),
        Err(error) => {
            let name = command.first();
            report.not_started(name, Failure::Process(error))
        }
    }
}

/// What we cannot do without, before anything runs; the exit code if it is not to
/// be had.
fn prepare(config: &Config, environ: Words) -> Result<(), u8> {
    let report = Reporter { config };
    for (name, nearest) in cli::unknown_variables(environ.iter()) {
        report.say(event::UNKNOWN_VARIABLE, |line| {
            line.foreign(name, report::SHOWN)
                .put(": no such variable; the nearest is ")
                .put(nearest);
        });
    }
    signals::can_be_received()
        .map_err(|error| report.cannot("wait for signals (rt_sigtimedwait)", error))?;
    wait::adopt_orphans()
        .map_err(|error| report.cannot("become a child subreaper (prctl)", error))?;
    signals::on_parent_death(config.parent_death);
    Ok(())
}
