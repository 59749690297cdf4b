//! The bodies of the fuzz targets over the corpus, and over what chance makes of it:
//! seconds of what `cargo fuzz` does for hours, on every test run and without
//! nightly. `DRAINIT_FUZZ_SECONDS` makes it longer, `DRAINIT_SEED` repeats a run.

// A test that cannot go on panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[path = "../fuzz/bodies.rs"]
mod bodies;
mod chance;

use std::fs;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use chance::{Chance, seed};
use drainit::cli::OPTIONS;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(folder).unwrap();
    let seeds: Vec<_> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(!seeds.is_empty(), "{name}");
    seeds
}

#[test]
fn every_target_over_its_corpus_and_chance() {
    let mut chance = Chance(seed());
    let each = Duration::from_millis(1000 * number("DRAINIT_FUZZ_SECONDS").unwrap_or(5) / 5);
    for (name, body) in bodies::BODIES {
        let seeds = seeds(name);
        let (begun, mut count) = (Instant::now(), 0_u64);
        let mut run = |input: &[u8]| {
            count += 1;
            let result = catch_unwind(|| body(input));
            assert!(result.is_ok(), "{name}: {}", input.escape_ascii());
        };
        seeds.iter().for_each(|seed| run(seed));
        while begun.elapsed() < each {
            let mut input = seeds[chance.below(seeds.len())].clone();
            for _ in 0..=chance.below(8) {
                change(&mut input, &mut chance, &seeds);
            }
            run(&input);
        }
        println!("{name}: {count} inputs");
    }
}

fn change(input: &mut Vec<u8>, chance: &mut Chance, seeds: &[Vec<u8>]) {
    let at = chance.below(input.len() + 1);
    match chance.below(5) {
        0 => input.insert(at, chance.below(256) as u8),
        1 => input.truncate(at),
        2 if at < input.len() => _ = input.remove(at),
        3 if at < input.len() => input[at] = chance.below(256) as u8,
        _ => {
            let other = &seeds[chance.below(seeds.len())];
            let (from, to) = (chance.below(other.len() + 1), chance.below(other.len() + 1));
            let piece = other[from.min(to)..from.max(to)].to_vec();
            input.splice(at..at, piece);
        }
    }
    input.truncate(4096);
}

/// Neither chance nor libFuzzer hits on a whole name.
#[test]
fn every_option_is_in_a_seed() {
    let seeds = seeds("arguments").join(&b'\n');
    let names: Vec<_> = seeds
        .split(|&byte| byte == b'\n')
        .map(|word| word.split(|&byte| byte == b'=').next().unwrap())
        .collect();
    for option in &OPTIONS {
        let long = format!("--{}", option.long);
        assert!(option.long.is_empty() || names.contains(&long.as_bytes()), "{long}");
        let variable = option.variable;
        assert!(variable.is_empty() || names.contains(&variable.as_bytes()), "{variable}");
    }
}

/// The run sees a body that panics.
#[test]
#[should_panic(expected = "never empty")]
fn a_panic_is_seen() {
    let body: fn(&[u8]) = |input| assert!(!input.is_empty(), "never empty");
    body(b"");
}
