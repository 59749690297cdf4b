//! The incidents that drainit exists for, with the real software from Debian's
//! packages; each beside its negative control, an init that must fail it.

// A test that cannot go on panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod harness;
mod laravel;
mod matrix;
mod restart;
mod sidekiq;

use harness::DRAINIT;

/// One value of one option is what passes the first two.
const APP: &[&str] = &[DRAINIT, "--grace", "10s", "--signal-to", "app"];
