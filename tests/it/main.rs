//! The integration tests: drainit as a real PID 1, with real processes.
//!
//! A detector that could pass for the wrong reason is a function of the init it
//! looks at: its test holds it to drainit, and `peers` shows that it sees the
//! init fail whose mistake it is about.

// A test that cannot go on panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod asking;
mod bad_input;
mod draining;
mod exit_status;
mod forwarding;
mod hard;
mod harness;
mod peers;
mod reaping;
mod restart;
mod transparency;
mod truth;
mod tty;
