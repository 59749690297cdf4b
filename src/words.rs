//! Numbers and durations as people type them. Pure.

use crate::time::Time;

/// Digits and nothing else.
pub fn number(text: &[u8]) -> Option<u64> {
    let digit = |&byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let add = |sum: u64, digit: u64| sum.checked_mul(10)?.checked_add(digit);
    let mut digits = text.iter();
    let first = digit(digits.next()?)?;
    digits.try_fold(first, |sum, byte| add(sum, digit(byte)?))
}

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

/// What a duration may look like, for the error line.
pub const DURATIONS: &str = "25, 25s, 1m30s, 500ms, 0, infinity";

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
