//! What comes after a prefix, what before a suffix. Pure. Not the standard library's
//! own: built for size, those link a panic.

pub fn after<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    text.starts_with(prefix).then(|| text.get(prefix.len()..))?
}

pub fn before<'a>(text: &'a [u8], suffix: &[u8]) -> Option<&'a [u8]> {
    text.ends_with(suffix).then(|| text.get(..text.len().saturating_sub(suffix.len())))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_suffixes() {
        assert_eq!(after(b"--grace", b"--"), Some(&b"grace"[..]));
        assert_eq!(after(b"-", b"--"), None);
        assert_eq!(after(b"--", b"--"), Some(&b""[..]));
        assert_eq!(before(b"yarn.js", b".js"), Some(&b"yarn"[..]));
        assert_eq!(before(b"js", b".js"), None);
    }
}
