//! Real engines: Docker and podman, with drainit as the engine's own init, as an
//! image's ENTRYPOINT and in pods. No registry is needed: images are made here.
//!
//! Needs root and, from Debian 12: docker.io podman runc busybox-static
//! docker-compose jq, the software of the incidents, and of the pages in docs/:
//! celery python3-redis nginx-light php-fpm libfcgi-bin; `aws` of the Python package
//! awscli; and what dist/build makes.

// A test that cannot go on panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod docker;
mod engine;
mod examples;
mod page;
mod pages;
mod podman;
mod terminal;

/// Scratch directories, and the gate at which jobs report.
#[path = "../incidents/harness.rs"]
#[allow(dead_code)] // its container is none of an engine's
mod incidents;

/// A worker in a session of its own, which no signal for the main child reaches.
/// Once asked it needs a second to save its work; the main child dies at once.
const WORKER: &[&str] = &["sh", "-c", WORKER_SCRIPT];
const WORKER_SCRIPT: &str = r#"setsid sh -c 'trap "sleep 1; echo saved; exit" TERM; echo ready; while :; do sleep 0.1; done' & wait"#;

/// An engine's stop time-out that no test reaches unless it wants to.
const AMPLE: u32 = 50;
