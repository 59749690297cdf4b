//! drainit beside the inits that people use: `cargo bench`.
//!
//! A shared machine has no absolute times: everything is interleaved (A B A B)
//! and given as a ratio of medians to Debian's tini-static in the same run.
//! `-- --check` measures only what noise cannot move and fails above the bars.
//! Needs root (PID namespaces), a C compiler, strace, and the peers.

// A test that cannot go on panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod measure;
mod process;
mod render;

use measure::{Row, Samples};

/// An init, and what its command line begins with.
pub struct Peer {
    pub name: &'static str,
    pub path: &'static str,
    /// What makes it a subreaper where it is not PID 1, if it can be one.
    pub subreaper: &'static [&'static str],
}

/// No init at all is the first, the yardstick the third.
pub const PEERS: [Peer; 7] = [
    Peer { name: "none", path: "", subreaper: &[] },
    Peer { name: "drainit", path: env!("CARGO_BIN_EXE_drainit"), subreaper: &[] },
    Peer { name: YARDSTICK, path: "/usr/bin/tini-static", subreaper: &["-s"] },
    Peer { name: "tini", path: "/usr/bin/tini", subreaper: &["-s"] },
    Peer { name: "dumb-init", path: "/usr/bin/dumb-init", subreaper: &[] },
    Peer { name: "catatonit", path: "/usr/bin/catatonit", subreaper: &[] },
    // cargo install tino --root target/peers
    Peer { name: "tino", path: TINO, subreaper: &["-s"] },
];

pub const YARDSTICK: &str = "tini-static";
const TINO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/peers/bin/tino");

fn main() {
    let check = std::env::args().any(|word| word == "--check");
    let (here, missing): (Vec<_>, Vec<_>) =
        PEERS.iter().partition(|peer| peer.path.is_empty() || std::fs::exists(peer.path).unwrap());
    for peer in &missing {
        println!("NOT MEASURED: {} is not installed ({})", peer.name, peer.path);
    }
    assert!(
        here.iter().any(|peer| peer.name == YARDSTICK),
        "the yardstick is missing: apt-get install tini"
    );

    let probe = process::Probe::build();
    let mut samples = Samples::new(here, &probe);
    measure::steady(&mut samples, &probe);
    if !check {
        measure::times(&mut samples, &probe);
    }
    let rows = samples.rows();
    print!("{}", render::table(&rows, samples.peers()));
    if !check {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers");
        std::fs::write(format!("{root}/result.json"), render::json(&rows, samples.peers()))
            .unwrap();
        std::fs::write(format!("{root}/result.svg"), render::svg(&rows, samples.peers())).unwrap();
    }
    std::process::exit(judge(&rows));
}

/// The exit code: 1 if drainit is above a bar.
fn judge(rows: &[Row]) -> i32 {
    let mut code = 0;
    for row in rows {
        let Some(bar) = row.bar else { continue };
        let Some(ratio) = row.ratio("drainit") else { continue };
        if ratio > bar {
            println!("ABOVE THE BAR: {}: {ratio:.2} of {YARDSTICK}, at most {bar:.2}", row.name);
            code = 1;
        }
    }
    code
}
