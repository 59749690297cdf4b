//! argv + environment -> what is wanted of us. Pure: nothing is read but the
//! words, and bad input is said before anything is started.
//!
//! By hand, and not lexopt: that links 250 kB of panics and formatting, and the
//! rules of tini, dumb-init and catatonit are not quite its own (options end at
//! the first word that is none, numbers may be glued: `-t5`, `-vvv`).

use std::ffi::CStr;

use crate::config::Config;
use crate::policy::drain::{Leftovers, Policy};
use crate::policy::restart::{self, When};
use crate::policy::schedule::{Fault, Schedule, Target};
use crate::text::bytes::{EMPTY, after};
use crate::text::number::number;
use crate::text::signal::{Signal, Signals};
use crate::text::time::{self, Time};

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Request {
    Run(Config),
    /// catatonit's -P: no command; reap until a stop signal.
    Pause(Config),
    /// `--explain COMMAND`: say what `Run` would do.
    Explain(Config),
    /// `--explain`: say what a stop would do to what runs.
    ExplainRunning(Config),
    Help,
    Version,
    License,
    /// Bad input. How that is to be said is with the other options, as far as they
    /// were read.
    Refused(Refusal<'static>, Config),
}

/// Input that is refused: the option or variable as it was given, its value, why,
/// and what would be valid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refusal<'a> {
    pub name: &'a [u8],
    pub value: Option<&'a [u8]>,
    pub why: &'static str,
    pub valid: &'static str,
    /// Where in the value, for a schedule.
    pub at: Option<usize>,
}

/// An option: its letter, its long name, its variable, and what it does. The one
/// list that options, environment, `--help` and the manual are held to.
pub struct Opt {
    pub letter: u8,
    pub long: &'static str,
    pub variable: &'static str,
    effect: Effect,
}

enum Effect {
    /// Said by being there.
    Flag(fn(&mut Reading)),
    /// The same, and a variable of 1 or 0.
    Switch(fn(&mut Reading, bool)),
    Value(fn(&mut Reading, Given) -> Read<()>),
}

/// A value, and the option or variable as it was given.
#[derive(Clone, Copy)]
struct Given {
    name: &'static [u8],
    value: &'static CStr,
}

impl Given {
    fn bytes(self) -> &'static [u8] {
        self.value.to_bytes()
    }
}

/// Why a value is refused, and what would be valid.
type Read<T> = Result<T, (&'static str, &'static str)>;

const NONE: u8 = 0;

const fn opt(letter: u8, long: &'static str, variable: &'static str, effect: Effect) -> Opt {
    Opt { letter, long, variable, effect }
}

use Effect::{Flag, Switch, Value};

pub static OPTIONS: [Opt; 30] = [
    opt(
        b't',
        "grace",
        "DRAINIT_GRACE",
        Value(|r, given| {
            r.grace = duration(given.bytes())?;
            Ok(())
        }),
    ),
    opt(
        NONE,
        "signal-to",
        "DRAINIT_SIGNAL_TO",
        Value(|r, given| {
            let target = Target::parse(given.bytes()).filter(|target| target.may_be_told());
            r.config.policy.signal_to = target.ok_or(("unknown", "group, main, app, all"))?;
            Ok(())
        }),
    ),
    opt(b'c', "single-child", "", Flag(|r| r.config.policy.signal_to = Target::Main)),
    opt(b'g', "", "TINI_KILL_PROCESS_GROUP", Flag(|r| r.config.policy.signal_to = Target::Group)),
    opt(
        NONE,
        "leftovers",
        "DRAINIT_LEFTOVERS",
        Value(|r, given| {
            r.leftovers = Some(one_of(given, &LEFTOVERS).ok_or(("unknown", "ask, wait, leave"))?);
            Ok(())
        }),
    ),
    opt(
        NONE,
        "last-call",
        "DRAINIT_LAST_CALL",
        Value(|r, given| {
            r.last_call = Some((given.name, duration(given.bytes())?));
            Ok(())
        }),
    ),
    opt(
        NONE,
        "schedule",
        "DRAINIT_SCHEDULE",
        Value(|r, given| {
            r.schedule = Some(given);
            Ok(())
        }),
    ),
    opt(
        NONE,
        "stop-signal",
        "DRAINIT_STOP_SIGNAL",
        Value(|r, given| {
            let names = given.bytes().split(|&byte| byte == b',');
            r.config.stop = names
                .map(caught)
                .try_fold(Signals::NONE, |set, signal| signal.map(|signal| set.and(signal)))?;
            Ok(())
        }),
    ),
    opt(NONE, "explain", "DRAINIT_EXPLAIN", Switch(|r, on| r.explain = on)),
    opt(
        b'r',
        "rewrite",
        "DRAINIT_REWRITE",
        Value(|r, given| {
            for rule in given.bytes().split(|&byte| byte == b',') {
                let (from, to) = rewrite(rule)?;
                let place = r.config.rewrite.get_mut(usize::from(from));
                place.into_iter().for_each(|rule| *rule = to);
            }
            Ok(())
        }),
    ),
    opt(
        b'p',
        "parent-death",
        "DRAINIT_PARENT_DEATH",
        Value(|r, given| {
            r.config.parent_death = Some(parent_death(given.bytes())?);
            Ok(())
        }),
    ),
    opt(
        b'e',
        "success-code",
        "DRAINIT_SUCCESS_CODE",
        Value(|r, given| {
            for code in given.bytes().split(|&byte| byte == b',') {
                let place = r.config.success.get_mut(usize::from(exit_code(code)?));
                place.into_iter().for_each(|success| *success = true);
            }
            Ok(())
        }),
    ),
    opt(
        NONE,
        "killed-exit-code",
        "DRAINIT_KILLED_EXIT_CODE",
        Value(|r, given| {
            r.config.killed_exit_code = Some(exit_code(given.bytes())?);
            Ok(())
        }),
    ),
    opt(NONE, "expand-env", "DRAINIT_EXPAND_ENV", Switch(|r, on| r.config.expand_env = on)),
    opt(
        NONE,
        "restart",
        "DRAINIT_RESTART",
        Value(|r, given| {
            r.config.restart.when =
                one_of(given, &WHEN).ok_or(("unknown", "no, on-failure, always"))?;
            Ok(())
        }),
    ),
    opt(
        NONE,
        "restart-delay",
        "DRAINIT_RESTART_DELAY",
        Value(|r, given| {
            let delay = Some(duration(given.bytes())?).filter(|&delay| delay != Time::NEVER);
            r.config.restart.delay = delay.ok_or(("endless", "100ms, 1s, 5m"))?;
            Ok(())
        }),
    ),
    opt(
        NONE,
        "restart-limit",
        "DRAINIT_RESTART_LIMIT",
        Value(|r, given| {
            let limit = number(given.bytes()).filter(|&limit| limit > 0);
            r.config.restart.limit = Some(limit.ok_or(("not a limit", "1, 2, 3, ..."))?);
            Ok(())
        }),
    ),
    opt(
        b'v',
        "verbose",
        "",
        Flag(|r| {
            r.config.verbosity = r.config.verbosity.saturating_add(1);
        }),
    ),
    opt(
        NONE,
        "",
        "DRAINIT_VERBOSITY",
        Value(|r, given| {
            r.config.verbosity = verbosity(given)?;
            Ok(())
        }),
    ),
    opt(b'w', "", "", Flag(|r| r.config.say_orphans = true)),
    opt(
        NONE,
        "log-format",
        "DRAINIT_LOG_FORMAT",
        Value(|r, given| {
            let formats = [("text", false), ("json", true)];
            r.config.json = one_of(given, &formats).ok_or(("unknown", "text, json"))?;
            Ok(())
        }),
    ),
    opt(
        NONE,
        "termination-log",
        "DRAINIT_TERMINATION_LOG",
        Value(|r, given| {
            // We leave the folder in which we were started.
            let path = Some(given.value).filter(|path| path.to_bytes().starts_with(b"/"));
            r.config.termination_log =
                Some(path.ok_or(("no absolute path", "/dev/termination-log"))?);
            Ok(())
        }),
    ),
    opt(b'h', "help", "", Flag(|r| r.ends = Some(Request::Help))),
    opt(b'V', "version", "", Flag(|r| r.ends = Some(Request::Version))),
    opt(b'l', "", "", Flag(|r| r.ends = Some(Request::License))),
    opt(b'P', "", "", Flag(|r| r.pause = true)),
    // We always are a subreaper.
    opt(b's', "", "TINI_SUBREAPER", Flag(|_| {})),
    // tini's 1, its default, shows warnings, as our 0 does.
    opt(
        NONE,
        "",
        "TINI_VERBOSITY",
        Value(|r, given| {
            r.config.verbosity = verbosity(given)?.saturating_sub(1);
            Ok(())
        }),
    ),
    // Of these two dumb-init takes any other value for no.
    opt(
        NONE,
        "",
        "DUMB_INIT_SETSID",
        Value(|r, given| {
            if given.bytes() == b"0" {
                r.config.policy.signal_to = Target::Main;
            }
            Ok(())
        }),
    ),
    opt(
        NONE,
        "",
        "DUMB_INIT_DEBUG",
        Value(|r, given| {
            if given.bytes() == b"1" {
                r.config.verbosity = 2;
            }
            Ok(())
        }),
    ),
];

const LEFTOVERS: [(&str, Leftovers); 3] =
    [("ask", Leftovers::Ask), ("wait", Leftovers::Wait), ("leave", Leftovers::Leave)];

const WHEN: [(&str, When); 3] =
    [("no", When::No), ("on-failure", When::OnFailure), ("always", When::Always)];

/// Other inits, by the names under which they are started: whom they signal. In
/// their place nobody is to lose what they kept, so all that is left is asked.
const PEERS: [(&str, Target); 6] = [
    ("tini", Target::Main),
    ("tini-static", Target::Main),
    ("docker-init", Target::Main),
    ("catatonit", Target::Main),
    ("podman-init", Target::Main),
    ("dumb-init", Target::Group),
];

/// Options as they are read; what depends on several of them is settled at the end.
struct Reading {
    config: Config,
    grace: Time,
    last_call: Option<(&'static [u8], Time)>,
    leftovers: Option<Leftovers>,
    schedule: Option<Given>,
    explain: bool,
    pause: bool,
    ends: Option<Request>,
    /// The first mistake. Reading goes on, to know how it is to be said.
    refused: Option<Refusal<'static>>,
}

impl Reading {
    fn begin(name: &[u8]) -> Reading {
        let base = name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let peer = PEERS.iter().find(|(peer, _)| peer.as_bytes() == base);
        Reading {
            config: Config {
                policy: Policy {
                    schedule: Schedule::build(Target::Group, Time::NEVER, Time::ZERO),
                    signal_to: peer.map_or(Target::Group, |(_, target)| *target),
                    leftovers: Leftovers::Ask,
                },
                restart: restart::Policy::OFF,
                stop: Signals::of(Signal::TERM).and(Signal::INT),
                rewrite: std::array::from_fn(|n| n as u8),
                success: [false; 256],
                killed_exit_code: None,
                parent_death: None,
                expand_env: false,
                verbosity: 0,
                say_orphans: false,
                json: false,
                termination_log: None,
                command: 0,
            },
            grace: Time::seconds(25),
            last_call: None,
            leftovers: peer.map(|_| Leftovers::Ask),
            schedule: None,
            explain: false,
            pause: false,
            ends: None,
            refused: None,
        }
    }

    fn refuse(&mut self, name: &'static [u8], why: &'static str, valid: &'static str) {
        self.first(Refusal { name, value: None, why, valid, at: None });
    }

    #[cold]
    #[inline(never)]
    fn first(&mut self, refusal: Refusal<'static>) {
        self.refused.get_or_insert(refusal);
    }

    fn value(&mut self, effect: fn(&mut Reading, Given) -> Read<()>, given: Given) {
        if let Err((why, valid)) = effect(self, given) {
            let value = Some(given.bytes());
            self.first(Refusal { name: given.name, value, why, valid, at: None });
        }
    }

    /// An empty variable is an unset one, as compose passes them.
    fn variable(&mut self, given: Given) {
        let option = OPTIONS.iter().find(|option| option.variable.as_bytes() == given.name);
        match option.map(|option| &option.effect) {
            _ if given.value.is_empty() => {}
            Some(Flag(set)) => set(self),
            Some(Switch(set)) => match given.bytes() {
                b"1" => set(self, true),
                b"0" => set(self, false),
                _ => self.value(|_, _| Err(("neither", "1, 0")), given),
            },
            Some(Value(read)) => self.value(*read, given),
            None => {}
        }
    }

    /// Reads the options; the place of the command's first word, and that word.
    fn options(
        &mut self,
        argv: impl Iterator<Item = &'static CStr>,
    ) -> Option<(usize, &'static CStr)> {
        let mut words = argv.enumerate().skip(1);
        while let Some((place, word)) = words.next() {
            let bytes = word.to_bytes();
            if bytes == b"--" {
                return words.next();
            } else if let Some(long) = after(bytes, b"--") {
                self.long(word, long, || words.next().map(|(_, word)| word));
            } else if bytes.len() > 1 && bytes.first() == Some(&b'-') {
                self.letters(word, || words.next().map(|(_, word)| word));
            } else {
                return Some((place, word));
            }
        }
        None
    }

    fn long(
        &mut self,
        word: &'static CStr,
        long: &'static [u8],
        next: impl FnOnce() -> Option<&'static CStr>,
    ) {
        let bytes = word.to_bytes();
        let equals = long.iter().position(|&byte| byte == b'=');
        let name = long.get(..equals.unwrap_or(long.len())).unwrap_or_default();
        let known = |option: &&Opt| !option.long.is_empty() && option.long.as_bytes() == name;
        let glued = equals.and_then(|at| tail(word, at + 3));
        match (OPTIONS.iter().find(known).map(|option| &option.effect), glued) {
            (None, _) => self.refuse(bytes, "unknown option", HELP),
            (Some(Flag(set)), None) => set(self),
            (Some(Switch(set)), None) => set(self, true),
            (Some(Flag(_) | Switch(_)), Some(_)) => self.refuse(bytes, "takes no value", HELP),
            (Some(Value(read)), glued) => match glued.or_else(next) {
                Some(value) => {
                    let name = bytes.get(..name.len() + 2).unwrap_or_default();
                    self.value(*read, Given { name, value });
                }
                None => self.refuse(bytes, "needs a value", HELP),
            },
        }
    }

    /// `-v`, `-vvt5`, `-t 5`
    fn letters(&mut self, word: &'static CStr, next: impl FnOnce() -> Option<&'static CStr>) {
        let bytes = word.to_bytes();
        for (n, letter) in bytes.iter().enumerate().skip(1) {
            let known = |option: &&Opt| option.letter == *letter;
            match OPTIONS.iter().find(known).map(|option| &option.effect) {
                None => return self.refuse(bytes, "unknown option", HELP),
                Some(Flag(set)) => set(self),
                Some(Switch(set)) => set(self, true),
                Some(Value(read)) => {
                    let glued = tail(word, n + 1).filter(|glued| !glued.is_empty());
                    return match glued.or_else(next) {
                        Some(value) => {
                            let name = bytes.get(..n + 1).unwrap_or_default();
                            self.value(*read, Given { name, value });
                        }
                        None => self.refuse(bytes, "needs a value", HELP),
                    };
                }
            }
        }
    }

    /// What depends on more than one option.
    fn settle(&mut self, command: Option<(usize, &'static CStr)>) {
        let fifth = Time::nanos(self.grace.as_nanos() / 5);
        let last_call = match self.last_call {
            None => fifth.min(Time::seconds(5)),
            Some((_, length)) if length <= self.grace => length,
            Some((name, _)) => {
                self.refuse(
                    name,
                    "longer than the grace period",
                    "at most --grace, 25s by default",
                );
                Time::ZERO
            }
        };
        let signal_to = self.config.policy.signal_to;
        self.config.policy.schedule = Schedule::build(signal_to, self.grace, last_call);
        if let Some(given) = self.schedule {
            match Schedule::parse(given.bytes(), signal_to) {
                Ok(schedule) => self.config.policy.schedule = schedule,
                Err(Fault { at, why }) => {
                    let valid = "[TIME/]SIGNAL[:TARGET]/TIME/.../KILL or .../forever";
                    let (name, value) = (given.name, Some(given.bytes()));
                    self.first(Refusal { name, value, why, valid, at: Some(at) });
                }
            }
        }
        let policy = &mut self.config.policy;
        policy.leftovers = self.leftovers.unwrap_or(match policy.signal_to {
            _ if policy.schedule.by_hand => Leftovers::Wait,
            Target::Group | Target::All => Leftovers::Ask,
            Target::Main | Target::App | Target::Tops | Target::Leaves => Leftovers::Wait,
        });
        let overlap = policy.leftovers == Leftovers::Leave;
        if self.config.restart.when != When::No && overlap {
            let why = "would let two runs overlap with --restart";
            self.refuse(b"--leftovers leave", why, "ask, wait");
        }
        match command {
            None if !self.pause && !self.explain => {
                self.refuse(
                    b"COMMAND",
                    "missing",
                    "drainit [OPTIONS] [--] COMMAND [ARG...]; drainit --help",
                );
            }
            Some((_, word)) if word.is_empty() => {
                self.refuse(b"COMMAND", "empty", "drainit [OPTIONS] [--] COMMAND [ARG...]");
            }
            Some(_) if self.pause => self.refuse(b"-P", "goes with no command", "drainit -P"),
            Some((place, _)) => self.config.command = place,
            None => {}
        }
    }
}

const HELP: &str = "see drainit --help";

/// Reads the environment, then the options, which win.
pub fn parse(
    argv: impl Iterator<Item = &'static CStr> + Clone,
    environ: impl Iterator<Item = &'static CStr> + Clone,
) -> Request {
    let name = argv.clone().next().unwrap_or(EMPTY);
    let mut reading = Reading::begin(name.to_bytes());
    // Ours last, so that they win over those of the inits that we stand in for.
    for prefix in ["TINI_", "DUMB_INIT_", "DRAINIT_"] {
        environ
            .clone()
            .filter_map(|word| split(word, prefix))
            .for_each(|given| reading.variable(given));
    }
    let command = reading.options(argv);
    if let Some(request) = reading.ends.filter(|_| reading.refused.is_none()) {
        return request;
    }
    reading.settle(command);
    let config = reading.config;
    match (reading.refused, command) {
        (Some(refusal), _) => Request::Refused(refusal, config),
        (None, Some(_)) if reading.explain => Request::Explain(config),
        (None, None) if reading.explain => Request::ExplainRunning(config),
        (None, _) if reading.pause => Request::Pause(config),
        (None, _) => Request::Run(config),
    }
}

/// A variable of ours that nobody reads, and the name that is nearest to it: a slip
/// of the pen that would else change nothing in silence. Not those that Kubernetes
/// makes of a service that is called drainit, or drainit-web.
pub fn unknown_variables(
    environ: impl Iterator<Item = &'static CStr>,
) -> impl Iterator<Item = (&'static [u8], &'static str)> {
    environ.filter_map(|word| split(word, "DRAINIT_")).map(|given| given.name).filter_map(|name| {
        let ours = || OPTIONS.iter().map(|option| option.variable).filter(|own| !own.is_empty());
        let kubernetes =
            name.ends_with(b"_SERVICE_HOST") || name.windows(5).any(|part| part == b"_PORT");
        // The last is what our own build reads.
        let known = ours().any(|own| own.as_bytes() == name) || name == b"DRAINIT_COMMIT";
        let nearest = ours().min_by_key(|own| distance(own.as_bytes(), name))?;
        (!kubernetes && !known).then_some((name, nearest))
    })
}

/// How many letters are to be put in, taken out or replaced (Levenshtein).
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: [usize; 64] = std::array::from_fn(|n| n);
    for (n, from) in a.iter().enumerate() {
        let mut diagonal = n;
        let mut left = n + 1;
        for (place, to) in row.iter_mut().skip(1).zip(b) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *place;
            *place = replaced.min(left + 1).min(diagonal + 1);
            left = *place;
        }
        row.iter_mut().take(1).for_each(|first| *first = n + 1);
    }
    row.get(b.len()).copied().unwrap_or(usize::MAX)
}

/// A word of the environment whose name begins so.
fn split(word: &'static CStr, prefix: &str) -> Option<Given> {
    let bytes = word.to_bytes();
    let length = bytes.iter().position(|&byte| byte == b'=')?;
    let name = bytes.get(..length).filter(|name| name.starts_with(prefix.as_bytes()))?;
    Some(Given { name, value: tail(word, length + 1)? })
}

fn tail(word: &'static CStr, from: usize) -> Option<&'static CStr> {
    CStr::from_bytes_until_nul(word.to_bytes_with_nul().get(from..)?).ok()
}

fn one_of<T: Copy>(given: Given, names: &[(&str, T)]) -> Option<T> {
    names.iter().find(|(name, _)| name.as_bytes() == given.bytes()).map(|(_, value)| *value)
}

fn duration(text: &[u8]) -> Read<Time> {
    time::duration(text).ok_or(("not a duration", time::DURATIONS))
}

const SIGNALS: &str = "a name with or without SIG, RTMIN+N, or 1 to 64; not CHLD, KILL or STOP";

fn caught(text: &[u8]) -> Read<Signal> {
    let signal = Signal::parse(text).ok_or(("unknown signal", SIGNALS))?;
    if signal.forwardable() { Ok(signal) } else { Err(("cannot be caught or forwarded", SIGNALS)) }
}

fn rewrite(rule: &[u8]) -> Read<(u8, u8)> {
    let valid = "FROM:TO, for example TERM:QUIT, 15:3, HUP:0 to drop it";
    let colon = rule.iter().position(|&byte| byte == b':').ok_or(("no colon", valid))?;
    let from = caught(rule.get(..colon).unwrap_or_default())?;
    let to = match rule.get(colon + 1..).unwrap_or_default() {
        b"0" => 0,
        name => match Signal::parse(name).ok_or(("unknown signal", valid))? {
            // KILL is the schedule's last step and nothing else.
            Signal::KILL | Signal::CHLD => return Err(("TO cannot be KILL or CHLD", valid)),
            signal => signal.0,
        },
    };
    Ok((from.0, to))
}

/// The kernel takes real-time signals here, nix does not, and nobody sends them.
fn parent_death(text: &[u8]) -> Read<Signal> {
    caught(text).and_then(|signal| {
        let standard = signal.0 < 32;
        standard.then_some(signal).ok_or(("a real-time signal", "TERM, INT, HUP, ... (1 to 31)"))
    })
}

fn exit_code(text: &[u8]) -> Read<u8> {
    let code = number(text).and_then(|code| u8::try_from(code).ok());
    code.ok_or(("not an exit code", "0 to 255"))
}

fn verbosity(given: Given) -> Read<u64> {
    number(given.bytes()).ok_or(("not a number", "0, 1, 2"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::line::Line;
    use std::ffi::CString;

    /// Words live as long as the process, as argv does.
    fn words(words: &[&str]) -> Vec<&'static CStr> {
        let keep = |word: &&str| &*Box::leak(CString::new(*word).unwrap().into_boxed_c_str());
        words.iter().map(keep).collect()
    }

    fn read(environ: &[&str], argv: &[&str]) -> Request {
        read_as("drainit", environ, argv)
    }

    fn read_as(name: &str, environ: &[&str], argv: &[&str]) -> Request {
        let argv = words(&[&[name], argv].concat());
        parse(argv.into_iter(), words(environ).into_iter())
    }

    fn refused(environ: &[&str], argv: &[&str]) -> (Refusal<'static>, Config) {
        match read(environ, argv) {
            Request::Refused(refusal, config) => (refusal, config),
            other => panic!("{other:?}"),
        }
    }

    fn config(environ: &[&str], argv: &[&str]) -> Config {
        match read(environ, argv) {
            Request::Run(config) => config,
            other => panic!("{other:?}"),
        }
    }

    fn schedule(environ: &[&str], argv: &[&str]) -> String {
        let mut line = Line::<400>::new();
        line.put(&config(environ, argv).policy.schedule);
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn options_end_at_the_first_word_that_is_none() {
        for (argv, command) in [
            (&["sh", "-c", "x"][..], 1),
            (&["-v", "sh", "-v"], 2),
            (&["-v", "--", "-v"], 3),
            (&["--", "--"], 2),
            (&["-t", "5", "--grace=6", "-vvt7", "-t8", "true"], 6),
            (&["-", "x"], 1),
        ] {
            assert_eq!(config(&[], argv).command, command, "{argv:?}");
        }
        assert_eq!(config(&[], &["-vv", "-v", "--verbose", "true"]).verbosity, 4);
    }

    #[test]
    fn options_win_over_our_variables_and_those_over_the_peers() {
        assert_eq!(schedule(&[], &["x"]), "TERM:group/20s/TERM:leaves/5s/KILL:all");
        assert_eq!(schedule(&["DRAINIT_GRACE=infinity"], &["x"]), "TERM:group/forever");
        assert_eq!(schedule(&["DRAINIT_GRACE=infinity"], &["-t0", "x"]), "TERM:group/KILL:all");
        let environ = ["DRAINIT_SIGNAL_TO=app", "TINI_KILL_PROCESS_GROUP=1", "DUMB_INIT_SETSID=0"];
        assert_eq!(config(&environ, &["x"]).policy.signal_to, Target::App);
        assert_eq!(config(&environ, &["-c", "x"]).policy.signal_to, Target::Main);
        assert_eq!(config(&environ[2..], &["x"]).policy.signal_to, Target::Main);
        assert_eq!(config(&["TINI_VERBOSITY=3"], &["x"]).verbosity, 2);
        assert_eq!(
            config(&["DRAINIT_PORT=tcp://10.0.0.1:80", "DRAINIT"], &["x"]),
            config(&[], &["x"])
        );
    }

    #[test]
    fn leftovers_follow_from_whom_the_signal_goes_to() {
        for (argv, leftovers) in [
            (&["x"][..], Leftovers::Ask),
            (&["--signal-to", "all", "x"], Leftovers::Ask),
            (&["--signal-to", "app", "x"], Leftovers::Wait),
            (&["-c", "x"], Leftovers::Wait),
            (&["--schedule", "TERM/5/KILL", "x"], Leftovers::Wait),
            (&["--schedule", "TERM/5/KILL", "--leftovers", "ask", "x"], Leftovers::Ask),
            (&["-c", "--leftovers=leave", "x"], Leftovers::Leave),
        ] {
            assert_eq!(config(&[], argv).policy.leftovers, leftovers, "{argv:?}");
        }
    }

    #[test]
    fn rewrites_and_codes() {
        let config =
            config(&["DRAINIT_REWRITE=TERM:QUIT,HUP:0"], &["-r1:2", "-e143", "-e", "3", "x"]);
        assert_eq!(config.rewritten(Signal::TERM), Some(Signal(libc::SIGQUIT as u8)));
        assert_eq!(config.rewritten(Signal::HUP), Some(Signal::INT));
        assert_eq!(config.rewritten(Signal::INT), Some(Signal::INT));
        assert!(matches!(read(&[], &["-r", "USR1:0", "x"]), Request::Run(_)));
        assert_eq!([0, 1, 3, 143, 255].map(|code| config.mapped(code)), [0, 1, 0, 0, 255]);
    }

    #[test]
    fn mistakes_name_option_and_value() {
        for (environ, argv, name) in [
            (&[][..], &[][..], "COMMAND"),
            (&[], &["--"], "COMMAND"),
            (&[], &[""], "COMMAND"),
            (&[], &["--nope", "x"], "--nope"),
            (&[], &["-vz", "x"], "-vz"),
            (&[], &["--grace"], "--grace"),
            (&[], &["-t"], "-t"),
            (&[], &["-t", "-1s", "x"], "-t"),
            (&[], &["--grace=1e999s", "x"], "--grace"),
            (&[], &["-vt5parsecs", "x"], "-vt"),
            (&[], &["--verbose=1", "x"], "--verbose=1"),
            (&[], &["--signal-to", "leaves", "x"], "--signal-to"),
            (&[], &["-r", "TERM", "x"], "-r"),
            (&[], &["-r", "KILL:TERM", "x"], "-r"),
            (&[], &["-r", "TERM:KILL", "x"], "-r"),
            (&[], &["-r", "TERM:NOPE", "x"], "-r"),
            (&[], &["--stop-signal", "TERM,STOP", "x"], "--stop-signal"),
            (&[], &["--stop-signal", "", "x"], "--stop-signal"),
            (&[], &["-e", "256", "x"], "-e"),
            (&[], &["-p", "KILL", "x"], "-p"),
            (&[], &["-p", "RTMIN", "x"], "-p"),
            (&[], &["--last-call", "30", "x"], "--last-call"),
            (&["DRAINIT_LAST_CALL=9"], &["-t5", "x"], "DRAINIT_LAST_CALL"),
            (&[], &["--restart-delay", "infinity", "x"], "--restart-delay"),
            (&[], &["--schedule", "TERM", "x"], "--schedule"),
            (&[], &["--restart", "maybe", "x"], "--restart"),
            (&[], &["--restart-limit", "0", "x"], "--restart-limit"),
            (&[], &["--restart", "always", "--leftovers", "leave", "x"], "--leftovers leave"),
            (&[], &["--termination-log=", "x"], "--termination-log"),
            (&[], &["-P", "x"], "-P"),
            (&["DRAINIT_EXPLAIN=yes"], &["x"], "DRAINIT_EXPLAIN"),
            (&["DRAINIT_SUCCESS_CODE=1,256"], &["x"], "DRAINIT_SUCCESS_CODE"),
            (&["DRAINIT_GRACE=soon"], &["x"], "DRAINIT_GRACE"),
            (&["DRAINIT_SCHEDULE=TERM"], &["x"], "DRAINIT_SCHEDULE"),
            (&["TINI_VERBOSITY=x"], &["x"], "TINI_VERBOSITY"),
        ] {
            let refusal = refused(environ, argv).0;
            assert_eq!(String::from_utf8_lossy(refusal.name), name, "{environ:?} {argv:?}");
            assert!(!refusal.why.is_empty() && !refusal.valid.is_empty());
        }
    }

    #[test]
    fn a_refusal_is_said_as_it_was_asked_for() {
        let json = |environ: &[&str], argv: &[&str]| refused(environ, argv).1.json;
        assert!(json(&["DRAINIT_LOG_FORMAT=json"], &["--nope", "x"]));
        assert!(json(&[], &["-t", "soon", "--log-format", "json", "x"]));
        assert!(!json(&[], &["-t", "soon", "x", "--log-format", "json"]));
    }

    #[test]
    fn an_empty_variable_is_an_unset_one() {
        for option in OPTIONS.iter().filter(|option| !option.variable.is_empty()) {
            let empty = format!("{}=", option.variable);
            assert_eq!(read(&[&empty], &["x"]), read(&[], &["x"]), "{empty}");
        }
    }

    #[test]
    fn what_explain_is_of() {
        assert!(matches!(read(&[], &["--explain"]), Request::ExplainRunning(_)));
        assert!(matches!(read(&[], &["--explain", "x"]), Request::Explain(_)));
        assert!(matches!(read(&["DRAINIT_EXPLAIN=1"], &["--", "x"]), Request::Explain(_)));
        assert!(matches!(read(&["DRAINIT_EXPLAIN=0"], &["x"]), Request::Run(_)));
        assert!(matches!(read(&[], &["-P"]), Request::Pause(_)));
    }

    #[test]
    fn in_place_of_another_init() {
        for (name, target, leftovers) in [
            ("drainit", Target::Group, Leftovers::Ask),
            ("/sbin/docker-init", Target::Main, Leftovers::Ask),
            ("tini", Target::Main, Leftovers::Ask),
            ("/usr/bin/dumb-init", Target::Group, Leftovers::Ask),
            ("my-tini", Target::Group, Leftovers::Ask),
        ] {
            let Request::Run(config) = read_as(name, &[], &["x"]) else { panic!("{name}") };
            assert_eq!(
                (config.policy.signal_to, config.policy.leftovers),
                (target, leftovers),
                "{name}"
            );
        }
        let told = read_as("tini", &["DRAINIT_SIGNAL_TO=app"], &["-g", "x"]);
        assert!(matches!(told, Request::Run(config) if config.policy.signal_to == Target::Group));
    }

    #[test]
    fn a_slip_of_the_pen_is_named() {
        let unknown = |environ: &[&str]| {
            let name = |(name, nearest)| format!("{} {nearest}", String::from_utf8_lossy(name));
            unknown_variables(words(environ).into_iter()).map(name).collect::<Vec<_>>()
        };
        assert_eq!(unknown(&["DRAINIT_SIGNALTO=app"]), ["DRAINIT_SIGNALTO DRAINIT_SIGNAL_TO"]);
        assert_eq!(unknown(&["DRAINIT_GRACE_PERIOD=1"]), ["DRAINIT_GRACE_PERIOD DRAINIT_GRACE"]);
        let services =
            ["DRAINIT_SERVICE_HOST=x", "DRAINIT_PORT_80_TCP=x", "DRAINIT_SERVICE_PORT=1"];
        assert!(unknown(&services).is_empty());
        assert!(unknown(&["DRAINIT_GRACE=1", "HOME=/", "DRAINIT"]).is_empty());
        let long = format!("DRAINIT_{}=1", "X".repeat(100));
        assert_eq!(unknown(&[&long]).len(), 1);
        assert_eq!(
            (distance(b"kitten", b"sitting"), distance(b"", b"abc"), distance(b"abc", b"")),
            (3, 3, 3)
        );
    }

    #[test]
    fn help_lists_every_option_and_variable() {
        let help = include_str!("help.txt");
        for option in &OPTIONS {
            let letter = format!("-{}", char::from(option.letter));
            let listed =
                |word: &str| help.split([' ', ',', '\n', '.', ';']).any(|other| other == word);
            assert!(option.letter == NONE || listed(&letter), "{letter}");
            assert!(
                option.long.is_empty() || listed(&format!("--{}", option.long)),
                "{}",
                option.long
            );
            assert!(option.variable.is_empty() || listed(option.variable), "{}", option.variable);
        }
    }
}
