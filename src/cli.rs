//! argv + environment -> what is wanted of us. Pure: nothing is read but the
//! words, and bad input is said before anything is started.
//!
//! By hand, and not lexopt: that links 250 kB of panics and formatting, and the
//! rules of tini, dumb-init and catatonit are not quite its own (options end at
//! the first word that is none, numbers may be glued: `-t5`, `-vvv`).

use std::ffi::CStr;

use crate::drain::{Leftovers, Policy};
use crate::restart::{self, When};
use crate::schedule::{Fault, Schedule, Target};
use crate::signals::Signal;
use crate::time::Time;
use crate::words;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Request {
    Run(Config),
    /// `--explain`: say what `Run` would do.
    Explain(Config),
    Help,
    Version,
    License,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Config {
    pub policy: Policy,
    pub restart: restart::Policy,
    stop: Signals,
    rewrite: [u8; 65],
    success: [bool; 256],
    pub killed_exit_code: Option<u8>,
    pub parent_death: Option<Signal>,
    pub verbosity: u64,
    pub say_orphans: bool,
    pub json: bool,
    pub termination_log: Option<&'static CStr>,
    /// catatonit's -P: no command; reap until a stop signal.
    pub pause: bool,
    /// Which word of argv is the command.
    pub command: usize,
}

/// A set, signal n at bit n-1.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Signals(u64);

impl Signals {
    fn holds(self, signal: Signal) -> bool {
        self.0 >> (signal.0 - 1) & 1 == 1
    }
}

impl Config {
    pub fn is_stop(&self, signal: Signal) -> bool {
        self.stop.holds(signal)
    }

    pub fn stop_signals(&self) -> impl Iterator<Item = Signal> {
        (1..=Signal::LAST).map(Signal).filter(|signal| self.stop.holds(*signal))
    }

    /// What is sent where this signal came; None if it is dropped.
    pub fn rewritten(&self, signal: Signal) -> Option<Signal> {
        let to = self.rewrite.get(usize::from(signal.0)).copied().unwrap_or(signal.0);
        (to != 0).then_some(Signal(to))
    }

    /// `--success-code`: the main child's exit code as ours.
    pub fn mapped(&self, exit_code: u8) -> u8 {
        let success = self.success.get(usize::from(exit_code)) == Some(&true);
        if success { 0 } else { exit_code }
    }
}

/// Input that is refused: the option or variable as it was given, its value,
/// and what would be valid.
#[derive(Debug, PartialEq)]
pub struct Mistake<'a> {
    pub name: &'a [u8],
    pub value: Option<&'a [u8]>,
    pub why: &'static str,
    pub valid: &'static str,
    /// Where in the value, for a schedule.
    pub at: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Id {
    Grace,
    SignalTo,
    SingleChild,
    Group,
    Leftovers,
    StopSignal,
    Rewrite,
    SuccessCode,
    ParentDeath,
    LastCall,
    Schedule,
    Explain,
    LogFormat,
    TerminationLog,
    KilledExitCode,
    Restart,
    RestartDelay,
    RestartLimit,
    Verbose,
    Verbosity,
    SayOrphans,
    Subreaper,
    Pause,
    Help,
    Version,
    License,
    TiniGroup,
    TiniVerbosity,
    DumbInitSetsid,
    DumbInitDebug,
}

/// An option: its letter, its long name, its variable, whether it takes a value.
/// The one list that options, environment, `--help` and the manual are held to.
pub struct Opt {
    pub letter: u8,
    pub long: &'static str,
    pub variable: &'static str,
    value: bool,
    id: Id,
}

const fn opt(letter: u8, long: &'static str, variable: &'static str, value: bool, id: Id) -> Opt {
    Opt { letter, long, variable, value, id }
}

const NONE: u8 = 0;

pub const OPTIONS: [Opt; 30] = [
    opt(b't', "grace", "DRAINIT_GRACE", true, Id::Grace),
    opt(NONE, "signal-to", "DRAINIT_SIGNAL_TO", true, Id::SignalTo),
    opt(b'c', "single-child", "", false, Id::SingleChild),
    opt(b'g', "", "", false, Id::Group),
    opt(NONE, "leftovers", "DRAINIT_LEFTOVERS", true, Id::Leftovers),
    opt(NONE, "stop-signal", "DRAINIT_STOP_SIGNAL", true, Id::StopSignal),
    opt(b'r', "rewrite", "DRAINIT_REWRITE", true, Id::Rewrite),
    opt(b'e', "success-code", "", true, Id::SuccessCode),
    opt(b'p', "parent-death", "", true, Id::ParentDeath),
    opt(NONE, "last-call", "DRAINIT_LAST_CALL", true, Id::LastCall),
    opt(NONE, "schedule", "DRAINIT_SCHEDULE", true, Id::Schedule),
    opt(NONE, "explain", "", false, Id::Explain),
    opt(NONE, "log-format", "DRAINIT_LOG_FORMAT", true, Id::LogFormat),
    opt(NONE, "termination-log", "DRAINIT_TERMINATION_LOG", true, Id::TerminationLog),
    opt(NONE, "killed-exit-code", "", true, Id::KilledExitCode),
    opt(NONE, "restart", "DRAINIT_RESTART", true, Id::Restart),
    opt(NONE, "restart-delay", "DRAINIT_RESTART_DELAY", true, Id::RestartDelay),
    opt(NONE, "restart-limit", "", true, Id::RestartLimit),
    opt(b'v', "verbose", "", false, Id::Verbose),
    opt(NONE, "", "DRAINIT_VERBOSITY", true, Id::Verbosity),
    opt(b'w', "", "", false, Id::SayOrphans),
    opt(b's', "", "TINI_SUBREAPER", false, Id::Subreaper),
    opt(b'P', "", "", false, Id::Pause),
    opt(b'h', "help", "", false, Id::Help),
    opt(b'V', "version", "", false, Id::Version),
    opt(b'l', "", "", false, Id::License),
    opt(NONE, "", "TINI_KILL_PROCESS_GROUP", false, Id::TiniGroup),
    opt(NONE, "", "TINI_VERBOSITY", true, Id::TiniVerbosity),
    opt(NONE, "", "DUMB_INIT_SETSID", true, Id::DumbInitSetsid),
    opt(NONE, "", "DUMB_INIT_DEBUG", true, Id::DumbInitDebug),
];

/// Options as they are read; what depends on several of them is settled at the end.
struct Reading<'a> {
    config: Config,
    grace: Time,
    last_call: Option<(&'a [u8], Time)>,
    leftovers: Option<Leftovers>,
    schedule: Option<(&'a [u8], &'a [u8])>,
    explain: bool,
    ends: Option<Request>,
}

type Read<T> = Result<T, (&'static str, &'static str)>;

const SIGNALS: &str = "a name with or without SIG, RTMIN+N, or 1 to 64; not CHLD, KILL or STOP";

impl<'a> Reading<'a> {
    fn apply(&mut self, id: Id, name: &'a [u8], value: &'static CStr) -> Read<()> {
        let bytes = value.to_bytes();
        let config = &mut self.config;
        match id {
            Id::Grace => self.grace = duration(bytes)?,
            Id::LastCall => self.last_call = Some((name, duration(bytes)?)),
            Id::SignalTo => config.policy.signal_to = signal_to(bytes)?,
            Id::SingleChild => config.policy.signal_to = Target::Main,
            Id::Group | Id::TiniGroup => config.policy.signal_to = Target::Group,
            Id::DumbInitSetsid if bytes == b"0" => config.policy.signal_to = Target::Main,
            Id::Leftovers => self.leftovers = Some(leftovers(bytes)?),
            Id::StopSignal => config.stop = stop_signals(bytes)?,
            Id::Rewrite => {
                for rule in bytes.split(|&byte| byte == b',') {
                    let (from, to) = rewrite(rule)?;
                    config
                        .rewrite
                        .get_mut(usize::from(from))
                        .into_iter()
                        .for_each(|rule| *rule = to);
                }
            }
            Id::SuccessCode => {
                let code = usize::from(exit_code(bytes)?);
                config.success.get_mut(code).into_iter().for_each(|success| *success = true);
            }
            Id::KilledExitCode => config.killed_exit_code = Some(exit_code(bytes)?),
            Id::ParentDeath => config.parent_death = Some(parent_death(bytes)?),
            Id::Schedule => self.schedule = Some((name, bytes)),
            Id::Explain => self.explain = true,
            Id::LogFormat => config.json = log_format(bytes)?,
            Id::TerminationLog => {
                let path = (!bytes.is_empty()).then_some(value);
                config.termination_log = Some(path.ok_or(("no path", "a file"))?);
            }
            Id::Restart => config.restart.when = when(bytes)?,
            Id::RestartDelay => {
                let delay = Some(duration(bytes)?).filter(|&delay| delay != Time::NEVER);
                config.restart.delay = delay.ok_or(("endless", "100ms, 1s, 5m"))?;
            }
            Id::RestartLimit => {
                let limit = words::number(bytes).filter(|&limit| limit > 0);
                config.restart.limit = Some(limit.ok_or(("not a limit", "1, 2, 3, ..."))?);
            }
            Id::Verbose => config.verbosity = config.verbosity.saturating_add(1),
            Id::Verbosity => config.verbosity = verbosity(bytes)?,
            // tini's 1, its default, shows warnings, as our 0 does.
            Id::TiniVerbosity => config.verbosity = verbosity(bytes)?.saturating_sub(1),
            Id::DumbInitDebug if bytes == b"1" => config.verbosity = 2,
            Id::SayOrphans => config.say_orphans = true,
            Id::Pause => config.pause = true,
            Id::Help => self.ends = Some(Request::Help),
            Id::Version => self.ends = Some(Request::Version),
            Id::License => self.ends = Some(Request::License),
            // We always are one; and dumb-init takes any other value for no.
            Id::Subreaper | Id::DumbInitSetsid | Id::DumbInitDebug => {}
        }
        Ok(())
    }

    fn option(&mut self, id: Id, name: &'a [u8], value: &'static CStr) -> Result<(), Mistake<'a>> {
        self.apply(id, name, value).map_err(|(why, valid)| Mistake {
            name,
            value: Some(value.to_bytes()),
            why,
            valid,
            at: None,
        })
    }
}

/// Reads the environment, then the options, which win.
pub fn parse(
    argv: impl Iterator<Item = &'static CStr>,
    environ: impl Iterator<Item = &'static CStr> + Clone,
) -> Result<Request, Mistake<'static>> {
    let mut reading = Reading {
        config: Config {
            policy: Policy {
                schedule: Schedule::build(Target::Group, Time::NEVER, Time::ZERO),
                signal_to: Target::Group,
                leftovers: Leftovers::Ask,
            },
            restart: restart::Policy::OFF,
            stop: Signals(1 << (Signal::TERM.0 - 1) | 1 << (Signal::INT.0 - 1)),
            rewrite: std::array::from_fn(|n| n as u8),
            success: [false; 256],
            killed_exit_code: None,
            parent_death: None,
            verbosity: 0,
            say_orphans: false,
            json: false,
            termination_log: None,
            pause: false,
            command: 0,
        },
        grace: Time::seconds(25),
        last_call: None,
        leftovers: None,
        schedule: None,
        explain: false,
        ends: None,
    };
    // Ours last, so that they win over those of the inits that we stand in for.
    for prefix in ["TINI_", "DUMB_INIT_", "DRAINIT_"] {
        for word in environ.clone().filter(|word| word.to_bytes().starts_with(prefix.as_bytes())) {
            variable(&mut reading, word)?;
        }
    }
    let command = options(&mut reading, argv)?;
    match reading.ends {
        Some(request) => Ok(request),
        None => settle(reading, command),
    }
}

fn variable(reading: &mut Reading<'static>, word: &'static CStr) -> Result<(), Mistake<'static>> {
    let bytes = word.to_bytes();
    let name = bytes.split(|&byte| byte == b'=').next().unwrap_or_default();
    let option = OPTIONS.iter().find(|option| option.variable.as_bytes() == name);
    match option.zip(tail(word, name.len() + 1)) {
        Some((option, value)) => reading.option(option.id, name, value),
        // Others may share the prefix: Kubernetes makes DRAINIT_PORT of a
        // service that is called drainit.
        None => Ok(()),
    }
}

/// Reads the options and returns which word is the command's first, and that word.
fn options(
    reading: &mut Reading<'static>,
    argv: impl Iterator<Item = &'static CStr>,
) -> Result<Option<(usize, &'static CStr)>, Mistake<'static>> {
    let mut words = argv.enumerate().skip(1);
    while let Some((place, word)) = words.next() {
        let bytes = word.to_bytes();
        let mistake =
            |why| Mistake { name: bytes, value: None, why, valid: "see drainit --help", at: None };
        if bytes == b"--" {
            return Ok(words.next());
        } else if let Some(long) = bytes.strip_prefix(b"--") {
            let equals = long.iter().position(|&byte| byte == b'=');
            let name = long.get(..equals.unwrap_or(long.len())).unwrap_or_default();
            let known = |option: &&Opt| !option.long.is_empty() && option.long.as_bytes() == name;
            let option = OPTIONS.iter().find(known).ok_or(mistake("unknown option"))?;
            let given = bytes.get(..name.len() + 2).unwrap_or_default();
            let glued = equals.and_then(|at| tail(word, at + 3));
            let value = match (option.value, glued) {
                (true, Some(value)) => value,
                (true, None) => words.next().ok_or(mistake("needs a value"))?.1,
                (false, Some(_)) => return Err(mistake("takes no value")),
                (false, None) => c"",
            };
            reading.option(option.id, given, value)?;
        } else if bytes.len() > 1 && bytes.first() == Some(&b'-') {
            for (n, letter) in bytes.iter().enumerate().skip(1) {
                let known = |option: &&Opt| option.letter == *letter;
                let option = OPTIONS.iter().find(known).ok_or(mistake("unknown option"))?;
                if !option.value {
                    reading.option(option.id, bytes, c"")?;
                    continue;
                }
                let value = match tail(word, n + 1).filter(|glued| !glued.is_empty()) {
                    Some(glued) => glued,
                    None => words.next().ok_or(mistake("needs a value"))?.1,
                };
                reading.option(option.id, bytes.get(..n + 1).unwrap_or_default(), value)?;
                break;
            }
        } else {
            return Ok(Some((place, word)));
        }
    }
    Ok(None)
}

fn tail(word: &'static CStr, from: usize) -> Option<&'static CStr> {
    CStr::from_bytes_with_nul(word.to_bytes_with_nul().get(from..)?).ok()
}

/// What depends on more than one option.
fn settle(
    reading: Reading<'static>,
    command: Option<(usize, &'static CStr)>,
) -> Result<Request, Mistake<'static>> {
    let mut config = reading.config;
    let refuse = |name: &'static str, why, valid| {
        Err(Mistake { name: name.as_bytes(), value: None, why, valid, at: None })
    };
    match command {
        None if !config.pause => {
            return refuse("COMMAND", "missing", "drainit [OPTIONS] [--] COMMAND [ARG...]");
        }
        Some((_, word)) if word.is_empty() => {
            return refuse("COMMAND", "empty", "drainit [OPTIONS] [--] COMMAND [ARG...]");
        }
        Some(_) if config.pause => return refuse("-P", "goes with no command", "drainit -P"),
        Some((place, _)) => config.command = place,
        None => {}
    }
    let fifth = Time::nanos(reading.grace.as_nanos() / 5);
    let last_call = match reading.last_call {
        None => fifth.min(Time::seconds(5)),
        Some((_, length)) if length <= reading.grace => length,
        Some((name, _)) => {
            let why = "longer than the grace period";
            return Err(Mistake {
                name,
                value: None,
                why,
                valid: "at most --grace, 25s by default",
                at: None,
            });
        }
    };
    let policy = &mut config.policy;
    policy.schedule = match reading.schedule {
        None => Schedule::build(policy.signal_to, reading.grace, last_call),
        Some((name, text)) => {
            Schedule::parse(text, policy.signal_to).map_err(|Fault { at, why }| {
                let valid = "[TIME/]SIGNAL[:TARGET]/TIME/.../KILL or .../forever";
                Mistake { name, value: Some(text), why, valid, at: Some(at) }
            })?
        }
    };
    policy.leftovers = reading.leftovers.unwrap_or(match policy.signal_to {
        _ if policy.schedule.by_hand => Leftovers::Wait,
        Target::Main | Target::App => Leftovers::Wait,
        Target::Group | Target::All | Target::Leaves => Leftovers::Ask,
    });
    if config.restart.when != When::No && policy.leftovers == Leftovers::Leave {
        return refuse(
            "--leftovers leave",
            "would let two runs overlap with --restart",
            "ask, wait",
        );
    }
    Ok(if reading.explain { Request::Explain(config) } else { Request::Run(config) })
}

fn duration(text: &[u8]) -> Read<Time> {
    words::duration(text).ok_or(("not a duration", words::DURATIONS))
}

fn signal_to(text: &[u8]) -> Read<Target> {
    let target = Target::parse(text).filter(|&target| target != Target::Leaves);
    target.ok_or(("unknown", "group, main, app, all"))
}

fn leftovers(text: &[u8]) -> Read<Leftovers> {
    match text {
        b"ask" => Ok(Leftovers::Ask),
        b"wait" => Ok(Leftovers::Wait),
        b"leave" => Ok(Leftovers::Leave),
        _ => Err(("unknown", "ask, wait, leave")),
    }
}

fn when(text: &[u8]) -> Read<When> {
    match text {
        b"no" => Ok(When::No),
        b"on-failure" => Ok(When::OnFailure),
        b"always" => Ok(When::Always),
        _ => Err(("unknown", "no, on-failure, always")),
    }
}

fn log_format(text: &[u8]) -> Read<bool> {
    match text {
        b"text" => Ok(false),
        b"json" => Ok(true),
        _ => Err(("unknown", "text, json")),
    }
}

fn caught(text: &[u8]) -> Read<Signal> {
    let signal = Signal::parse(text).ok_or(("unknown signal", SIGNALS))?;
    if signal.forwardable() { Ok(signal) } else { Err(("cannot be caught or forwarded", SIGNALS)) }
}

fn stop_signals(list: &[u8]) -> Read<Signals> {
    list.split(|&byte| byte == b',').try_fold(Signals(0), |set, name| {
        caught(name).map(|signal| Signals(set.0 | 1 << (signal.0 - 1)))
    })
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
    let code = words::number(text).and_then(|code| u8::try_from(code).ok());
    code.ok_or(("not an exit code", "0 to 255"))
}

fn verbosity(text: &[u8]) -> Read<u64> {
    words::number(text).ok_or(("not a number", "0, 1, 2"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Line;
    use std::ffi::CString;

    /// Words live as long as the process, as argv does.
    fn words(words: &[&str]) -> Vec<&'static CStr> {
        let keep = |word: &&str| &*Box::leak(CString::new(*word).unwrap().into_boxed_c_str());
        words.iter().map(keep).collect()
    }

    fn read(environ: &[&str], argv: &[&str]) -> Result<Request, Mistake<'static>> {
        let argv = words(&[&["drainit"], argv].concat());
        parse(argv.into_iter(), words(environ).into_iter())
    }

    fn config(environ: &[&str], argv: &[&str]) -> Config {
        match read(environ, argv) {
            Ok(Request::Run(config)) => config,
            other => panic!("{other:?}"),
        }
    }

    fn schedule(environ: &[&str], argv: &[&str]) -> String {
        let mut line = Line::new();
        config(environ, argv).policy.schedule.write(&mut line);
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
        assert_eq!(read(&[], &["-r", "USR1:0", "x"]).map(|_| ()), Ok(()));
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
            (&["DRAINIT_GRACE=soon"], &["x"], "DRAINIT_GRACE"),
            (&["DRAINIT_SCHEDULE=TERM"], &["x"], "DRAINIT_SCHEDULE"),
            (&["TINI_VERBOSITY=x"], &["x"], "TINI_VERBOSITY"),
        ] {
            let mistake = read(environ, argv).unwrap_err();
            assert_eq!(String::from_utf8_lossy(mistake.name), name, "{environ:?} {argv:?}");
            assert!(!mistake.why.is_empty() && !mistake.valid.is_empty());
        }
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
