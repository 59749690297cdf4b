//! Numbers as people type them. Pure.

/// Digits and nothing else.
pub fn number(text: &[u8]) -> Option<u64> {
    let digit = |&byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let add = |sum: u64, digit: u64| sum.checked_mul(10)?.checked_add(digit);
    let mut digits = text.iter();
    let first = digit(digits.next()?)?;
    digits.try_fold(first, |sum, byte| add(sum, digit(byte)?))
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn what_is_a_number() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"007"), Some(7));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for text in ["", "-1", "+1", "1 ", "0x1", "18446744073709551616"] {
            assert_eq!(number(text.as_bytes()), None, "{text:?}");
        }
    }
}
