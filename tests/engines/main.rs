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
#[path = "../common/gate.rs"]
mod gate;
#[path = "../common/machine.rs"]
mod machine;
mod page;
mod pages;
mod podman;
#[path = "../common/redis.rs"]
mod redis;
mod terminal;
