//! Everything that talks to the kernel, and the only unsafe code. A room asks or
//! tells the kernel one kind of thing and decides nothing beyond how to ask; what
//! it hands out is typed, so that a safe function is sound for every caller.

#![allow(unsafe_code)]

pub mod cgroup;
pub mod clock;
pub mod file;
pub mod kill;
pub mod memory;
pub mod proc;
pub mod signals;
pub mod spawn;
pub mod stderr;
pub mod terminal;
pub mod wait;
pub mod words;
