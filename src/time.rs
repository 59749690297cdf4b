//! Lengths and instants. Pure: what reads a clock is `sys`.

use std::ops::{Add, Sub};

/// Nanoseconds: a length, or an instant since the machine started. Sums stop at
/// the ends, so that [`Time::NEVER`] (584 years) stays never, and nothing
/// overflows; std's Duration panics there, and what can panic links 250 kB.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Time(u64);

impl Time {
    pub const ZERO: Time = Time(0);
    pub const NEVER: Time = Time(u64::MAX);

    pub const fn millis(millis: u64) -> Time {
        Time(millis.saturating_mul(1_000_000))
    }

    pub const fn seconds(seconds: u64) -> Time {
        Time(seconds.saturating_mul(1_000_000_000))
    }

    pub const fn nanos(nanos: u64) -> Time {
        Time(nanos)
    }

    pub const fn times(self, factor: u64) -> Time {
        Time(self.0.saturating_mul(factor))
    }

    /// None where that is 584 years or more.
    pub fn checked_add(self, other: Time) -> Option<Time> {
        self.0.checked_add(other.0).map(Time).filter(|&sum| sum != Time::NEVER)
    }

    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    pub const fn as_seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }
}

impl Add for Time {
    type Output = Time;

    fn add(self, other: Time) -> Time {
        Time(self.0.saturating_add(other.0))
    }
}

impl Sub for Time {
    type Output = Time;

    fn sub(self, other: Time) -> Time {
        Time(self.0.saturating_sub(other.0))
    }
}
