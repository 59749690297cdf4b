//! The whole table, for people: every shape under every init. What it asserts is
//! that drainit in no mode loses a job that is done in time.

use std::thread;

use crate::harness::*;
use crate::{APP, laravel, sidekiq};

const INITS: [&[&str]; 10] = [
    &[DRAINIT, "--grace", "10s", "--signal-to", "main"],
    &[DRAINIT, "--grace", "10s", "--signal-to", "group"],
    &[DRAINIT, "--grace", "10s", "--signal-to", "all"],
    APP,
    TINI,
    TINI_G,
    &["dumb-init"],
    &["dumb-init", "-c"],
    &["catatonit", "--"],
    &["catatonit", "-g", "--"],
];

#[test]
#[ignore = "prints a table, which takes minutes"]
fn matrix() {
    for shape in sidekiq::SHAPES {
        println!("\nSidekiq, {}", shape.join(" "));
        print_under_each_init(|init| {
            let (account, end) = sidekiq::stop(init, shape, A_WHILE);
            assert!(init[0] != DRAINIT || account.lost == 0, "{init:?} {end}");
            (account, end)
        });
    }
    println!("\nSidekiq, the list again, but jobs that outlast Sidekiq's own time-out");
    print_under_each_init(|init| sidekiq::stop(init, sidekiq::LIST, ENDLESS));
    for shape in laravel::SHAPES {
        println!("\nLaravel, {}", shape.join(" "));
        print_under_each_init(|init| laravel::stop(init, shape, A_WHILE));
    }
}

fn print_under_each_init<Account: Send + std::fmt::Display>(
    stop: impl Copy + Fn(&[&str]) -> (Account, End) + Send,
) {
    // Two at a time: they mostly wait.
    for pair in INITS.chunks(2) {
        let ends = thread::scope(|scope| {
            let start = |&init| scope.spawn(move || stop(init));
            let started: Vec<_> = pair.iter().map(start).collect();
            started.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>()
        });
        for (init, (account, end)) in pair.iter().zip(ends) {
            let init = init.join(" ").replace(DRAINIT, "drainit");
            println!("  {init:40} {account}  exit {:3}  {:4.1} s", end.code, end.seconds);
        }
    }
}
