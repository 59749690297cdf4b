//! The rooms of drainit, a PID-1 init for containers that lets work finish. main.rs
//! tells the story; docs/design.md has the map. A library only so that tests, fuzz
//! targets and the soak can reach each room: nothing in here is stable.

#![deny(unsafe_code)]

pub mod cli;
pub mod config;
pub mod expand;
pub mod explain;
pub mod family;
pub mod kernel;
pub mod ledger;
pub mod policy;
pub mod report;
pub mod summary;
pub mod supervise;
pub mod text;
pub mod tree;
