//! drainit: a PID-1 init for containers that lets work finish.
//!
//! This room tells the story, and is the only one that ends the process.

#![cfg_attr(not(test), no_main)]
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

mod cgroup;
mod child;
mod cli;
mod drain;
mod explain;
mod line;
mod reap;
mod report;
mod restart;
mod schedule;
mod send;
mod signals;
mod status;
mod supervise;
#[allow(unsafe_code)]
mod sys;
mod time;
mod tree;
mod words;

use cli::Request;
use sys::Words;

/// Bad input, or no process to be had; 126 and 127 are those of env(1).
const OWN_FAILURE: u8 = 125;

fn main(argv: Words, environ: Words) -> u8 {
    // The very first thing. The kernel drops what PID 1 neither blocks nor
    // handles; from here on a signal that comes before there is a main child
    // waits for it.
    let inherited = signals::block();
    let config = match cli::parse(argv.iter(), environ.iter()) {
        Ok(Request::Run(config)) => config,
        Ok(Request::Explain(config)) => {
            return explain::explain(&config, argv.from(config.command));
        }
        Ok(Request::Help) => return report::stdout(include_bytes!("help.txt")),
        Ok(Request::Version) => return report::version(),
        Ok(Request::License) => return report::stdout(include_bytes!("../LICENSE")),
        Err(mistake) => return report::mistake(&mistake),
    };
    reap::adopt_orphans();
    signals::on_parent_death(config.parent_death);
    // The point of no return: the command runs.
    supervise::run(&config, argv.from(config.command), inherited)
}
