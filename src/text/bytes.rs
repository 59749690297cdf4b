//! What comes after a prefix, what before a suffix. Pure. Not the standard library's
//! own: built for size, those link a panic.

use std::ffi::CStr;

/// A path, or other words of ours, for the kernel. Not a `c""` literal: all that end
/// with their only NUL are one section to the linker, which would keep those of std's
/// that nobody reads, too, a twenty-fifth of the file. link.ld refuses that section.
#[macro_export]
macro_rules! c_string {
    ($text:literal) => {
        const {
            match std::ffi::CStr::from_bytes_until_nul(concat!($text, "\0\0").as_bytes()) {
                Ok(text) => text,
                Err(_) => unreachable!(),
            }
        }
    };
}
pub use c_string;

/// `CStr`'s default is such a literal.
pub const EMPTY: &CStr = c_string!("");

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
