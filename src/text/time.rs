//! Lengths and instants, and durations as people type them. Pure: what reads a
//! clock is `kernel::clock`.

use std::ops::{Add, Sub};

use super::number::number;

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

    /// For people: to the nearest second, from half a second on.
    pub const fn rounded(self) -> Time {
        let half = Time::millis(500).0;
        if self.0 < half {
            self
        } else {
            Time::seconds(Time(self.0.saturating_add(half)).as_seconds())
        }
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

/// What a duration may look like, for the error line.
pub const DURATIONS: &str = "25, 25s, 1m30s, 500ms, 0, infinity";

/// `25` (seconds), `25s`, `1m30s`, `500ms`, `2h`, `0`, and `infinity` as
/// [`Time::NEVER`]. By hand: humantime has no bare number and no infinity,
/// and its errors link `core::fmt`.
pub fn duration(text: &[u8]) -> Option<Time> {
    if text == b"infinity" {
        return Some(Time::NEVER);
    }
    if let Some(seconds) = number(text) {
        return millis(seconds, 1000);
    }
    let mut rest = text;
    let mut sum = Time::ZERO;
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (count, tail) = rest.split_at_checked(digits)?;
        let letters = tail.iter().take_while(|byte| !byte.is_ascii_digit()).count();
        let (unit, tail) = tail.split_at_checked(letters)?;
        let unit = match unit {
            b"ms" => 1,
            b"s" => 1000,
            b"m" => 60_000,
            b"h" => 3_600_000,
            _ => return None,
        };
        sum = sum.checked_add(millis(number(count)?, unit)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(sum)
}

fn millis(count: u64, unit: u64) -> Option<Time> {
    let nanos = count.checked_mul(unit)?.checked_mul(1_000_000)?;
    Some(Time::nanos(nanos)).filter(|&length| length != Time::NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("25", 25_000),
            ("25s", 25_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("0", 0),
            ("0s", 0),
            ("2h", 7_200_000),
            ("1h1m1s1ms", 3_661_001),
            ("007", 7_000),
        ] {
            assert_eq!(duration(text.as_bytes()), Some(Time::millis(millis)), "{text}");
        }
        assert_eq!(duration(b"infinity"), Some(Time::NEVER));
    }

    #[test]
    fn what_is_no_duration() {
        for text in [
            "",
            "-1s",
            "1e999s",
            "5parsecs",
            "s",
            "1m30",
            "1 s",
            " 1s",
            "1s ",
            "+1",
            "1.5s",
            "inf",
            "18446744073709551616",
            "18446744073709551615",
            "18446744073709551615h",
            "1S",
        ] {
            assert_eq!(duration(text.as_bytes()), None, "{text:?}");
        }
    }
}
