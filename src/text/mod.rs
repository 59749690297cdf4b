//! Values and how they are read and written: signals, durations, statuses, lines.
//! The lowest floor. Pure: nothing in here asks the kernel for anything.

pub mod bytes;
pub mod error;
pub mod line;
pub mod number;
pub mod process;
pub mod signal;
pub mod status;
pub mod time;
