//! What is decided. Pure and total: state and event in, state and action out; time
//! is data. Each room is walked exhaustively by its tests.

pub mod application;
pub mod drain;
pub mod relay;
pub mod restart;
pub mod schedule;
