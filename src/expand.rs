//! `--expand-env`: `${VAR}`, `${VAR:-default}` and `$$` in the command's words,
//! which is what most people write a shell form for. Nothing else of a shell: no
//! splitting, no globbing, and `$VAR` stays. Pure.

use std::ffi::CStr;

use crate::cli::Refusal;
use crate::kernel::memory;
use crate::kernel::words::{Words, leaked};
use crate::text::bytes::after;

const VALID: &str = "${VAR} of a variable that is set, ${VAR:-default}, $$ for a $";

/// The command with its variables replaced.
pub fn expand(command: Words, environ: Words) -> Result<Words, Refusal<'static>> {
    let refuse = |word: &'static CStr, why| Refusal {
        name: b"--expand-env",
        value: Some(word.to_bytes()),
        why,
        valid: VALID,
        at: None,
    };
    let mut words = Vec::new();
    for word in command.iter() {
        let text = match replaced(word.to_bytes(), |name| value(environ, name)) {
            Ok(text) => text,
            Err(why) => return Err(refuse(word, why)),
        };
        let text = text.and_then(leaked).and_then(|word| memory::push(&mut words, word));
        text.ok_or(refuse(word, NO_MEMORY))?;
    }
    let name = command.first();
    if words.first().is_some_and(|name| name.is_empty()) {
        return Err(refuse(name, "names no command"));
    }
    Words::leaked(words.into_iter()).ok_or(refuse(name, NO_MEMORY))
}

const NO_MEMORY: &str = "no memory";

fn value(environ: Words, name: &[u8]) -> Option<&'static [u8]> {
    environ.iter().find_map(|word| after(after(word.to_bytes(), name)?, b"="))
}

/// None where there is no memory.
fn replaced<'a>(
    word: &'a [u8],
    value: impl Fn(&[u8]) -> Option<&'a [u8]>,
) -> Result<Option<Vec<u8>>, &'static str> {
    let mut text = Vec::new();
    let mut room = true;
    let mut put = |bytes: &[u8]| {
        room &= bytes.iter().all(|byte| memory::push(&mut text, *byte).is_some());
    };
    let mut rest = word;
    while let Some(at) = rest.iter().position(|&byte| byte == b'$') {
        let (before, dollar) = rest.split_at_checked(at).unwrap_or_default();
        put(before);
        rest = match dollar {
            [b'$', b'$', tail @ ..] => {
                put(b"$");
                tail
            }
            [b'$', b'{', tail @ ..] => {
                let end = tail.iter().position(|&byte| byte == b'}').ok_or("${ without }")?;
                let (inside, tail) = tail.split_at_checked(end).unwrap_or_default();
                put(variable(inside, &value)?);
                after(tail, b"}").unwrap_or_default()
            }
            _ => {
                put(b"$");
                after(dollar, b"$").unwrap_or_default()
            }
        };
    }
    put(rest);
    Ok(room.then_some(text))
}

/// As in a shell, `:-` stands in for a variable that is unset or empty.
fn variable<'a>(
    inside: &'a [u8],
    value: impl Fn(&[u8]) -> Option<&'a [u8]>,
) -> Result<&'a [u8], &'static str> {
    let colon = inside.iter().position(|&byte| byte == b':').unwrap_or(inside.len());
    let (name, default) = inside.split_at_checked(colon).unwrap_or_default();
    let letter = |&byte: &u8| byte == b'_' || byte.is_ascii_alphanumeric();
    let digit = name.first().is_none_or(u8::is_ascii_digit);
    if digit || !name.iter().all(letter) || !(default.is_empty() || default.starts_with(b":-")) {
        return Err("neither ${VAR} nor ${VAR:-default}");
    }
    match (value(name), after(default, b":-")) {
        (None | Some(b""), Some(default)) => Ok(default),
        (Some(value), _) => Ok(value),
        (None, None) => Err("a variable that is not set, and no default"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(word: &str) -> Result<String, &'static str> {
        let value = |name: &[u8]| match name {
            b"PORT" => Some(&b"8080"[..]),
            b"EMPTY" => Some(&b""[..]),
            b"DOLLAR" => Some(&b"${PORT} $$ a b"[..]),
            _ => None,
        };
        let text = replaced(word.as_bytes(), value)?.unwrap();
        Ok(String::from_utf8(text).unwrap())
    }

    #[test]
    fn what_is_replaced() {
        for (word, text) in [
            ("", ""),
            ("--port=${PORT}", "--port=8080"),
            ("${PORT}${PORT}", "80808080"),
            ("${NO:-a b}", "a b"),
            ("${NO:-}", ""),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY}", ""),
            ("$$", "$"),
            ("$${PORT}", "${PORT}"),
            ("$PORT", "$PORT"),
            ("a$", "a$"),
            ("$(date) `x` *", "$(date) `x` *"),
            ("${DOLLAR}", "${PORT} $$ a b"),
            ("${NO:-$HOME}", "$HOME"),
        ] {
            assert_eq!(of(word), Ok(text.to_owned()), "{word}");
        }
    }

    #[test]
    fn what_is_refused() {
        for word in
            ["${NO}", "${", "${PORT", "${}", "${1}", "${A B}", "${PORT-x}", "${PORT:x}", "${#PORT}"]
        {
            assert!(of(word).is_err(), "{word}");
        }
    }
}
