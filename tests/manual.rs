//! drainit.1 and `--help` say the same: no option, default, variable or exit code
//! is in one of them alone.

// A test that cannot go on panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::collections::BTreeSet;
use std::process::Command;

/// Where the descriptions begin in the help's lists of options.
const COLUMN: usize = 28;

fn help() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_drainit")).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The page as text, line for line: `.BR \-h ", " \-\-help` is `-h, --help`.
fn page() -> Vec<String> {
    include_str!("../drainit.1").lines().map(plain).collect()
}

fn plain(line: &str) -> String {
    let mut text = line.replace("\\-", "-");
    for font in ["\\fB", "\\fI", "\\fR"] {
        text = text.replace(font, "");
    }
    let (request, arguments) = text.split_once(' ').unwrap_or((&text, ""));
    match request {
        // Words in one font, or in two in turn and without the spaces.
        ".B" | ".I" => arguments.replace('"', ""),
        ".BR" | ".RB" | ".IR" | ".RI" => {
            let quoted = |(n, part): (usize, &str)| match n % 2 {
                0 => part.replace(' ', ""),
                _ => part.to_owned(),
            };
            arguments.split('"').enumerate().map(quoted).collect()
        }
        _ => text,
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !"_+".contains(c))
}

fn variables(text: &str) -> BTreeSet<&str> {
    let ours = |word: &&str| {
        ["DRAINIT_", "TINI_", "DUMB_INIT_"].iter().any(|prefix| word.starts_with(prefix))
    };
    words(text).filter(ours).collect()
}

fn exit_codes(text: &str) -> BTreeSet<&str> {
    words(text).filter(|word| word.starts_with("12") && word.len() >= 3).collect()
}

#[test]
fn options_and_their_arguments() {
    let help = help();
    let in_help: BTreeSet<&str> = help
        .lines()
        .filter(|line| line.starts_with("  ") && line.trim_start().starts_with('-'))
        .map(|line| match line.as_bytes().get(COLUMN - 1) {
            Some(b' ') => line[..COLUMN].trim(),
            _ => line.trim(),
        })
        .collect();
    let page = page();
    let in_page: BTreeSet<&str> = page
        .iter()
        .zip(&page[1..])
        .filter(|(request, item)| *request == ".TP" && item.starts_with('-'))
        .map(|(_, item)| item.as_str())
        .collect();
    assert!(in_help.contains("-t, --grace DURATION") && in_help.len() > 20, "{in_help:?}");
    assert_eq!(in_help, in_page);
}

#[test]
fn defaults() {
    let page = page().join(" ");
    let help = help();
    // Those of more than a word, which may be broken between lines, are prose.
    let defaults: Vec<&str> = help
        .split("[default: ")
        .skip(1)
        .filter_map(|rest| rest.split_once(']').map(|(default, _)| default))
        .filter(|default| !default.contains([' ', '\n']))
        .collect();
    assert!(defaults.contains(&"25s"), "{defaults:?}");
    for default in defaults {
        assert!(page.contains(&format!(" {default} if not given")), "{default}");
    }
}

#[test]
fn variables_and_exit_codes() {
    let (page, help) = (page().join("\n"), help());
    assert!(variables(&help).contains("DRAINIT_GRACE"));
    assert_eq!(variables(&help), variables(&page));
    assert!(exit_codes(&help).contains("125"));
    assert_eq!(exit_codes(&help), exit_codes(&page));
}
