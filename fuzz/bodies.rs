//! What each fuzz target does with its input. Shared by the targets of cargo-fuzz
//! and by `tests/fuzz.rs`, which runs the same on every test run, without nightly.

use std::ffi::{CStr, CString};

use drainit::cli::{self, Request};
use drainit::ledger::{Asked, Fate, Ledger};
use drainit::policy::drain::{Action, Event, Leftovers, Policy, State};
use drainit::policy::relay::Relay;
use drainit::policy::schedule::{Schedule, Target};
use drainit::text::line::Line;
use drainit::text::process::{Process, Status, Who};
use drainit::text::signal::Signal;
use drainit::text::status::WaitStatus;
use drainit::text::time::{Time, duration};
use drainit::tree::Tree;
use nix::unistd::Pid;

type Body = fn(&[u8]);

pub const BODIES: [(&str, Body); 5] = [
    ("arguments", arguments),
    ("schedules", schedules),
    ("processes", processes),
    ("policy", policy),
    ("ledger", ledger),
];

/// Words, one a line; an empty line divides the environment from the arguments.
pub fn arguments(data: &[u8]) {
    let words: Vec<CString> = data
        .split(|&byte| byte == b'\n')
        .map(|word| CString::new(word.iter().filter(|&&b| b != 0).copied().collect::<Vec<_>>()))
        .map(|word| word.expect("no NUL"))
        .collect();
    // SAFETY: the words live as long as what is made of them in here, and none of it
    // leaves.
    let word = |word: &CString| unsafe { &*std::ptr::from_ref::<CStr>(word.as_c_str()) };
    let divide = words.iter().position(|word| word.is_empty()).unwrap_or(0);
    let environ = words[..divide].iter().map(word);
    let argv = || std::iter::once(c"drainit").chain(words[divide..].iter().skip(1).map(word));
    for (_, nearest) in cli::unknown_variables(environ.clone()) {
        assert!(nearest.starts_with("DRAINIT_") || nearest.contains('_'));
    }
    match cli::parse(argv(), environ) {
        Request::Run(config) | Request::Explain(config) => {
            assert!(config.command > 0 && config.command < argv().count());
            reads_back(&config.policy.schedule, config.policy.signal_to);
        }
        Request::Refused(refusal, _) => {
            assert!(
                !refusal.name.is_empty() && !refusal.why.is_empty() && !refusal.valid.is_empty()
            );
        }
        Request::Pause(_)
        | Request::ExplainRunning(_)
        | Request::Help
        | Request::Version
        | Request::License => {}
    }
}

fn reads_back(schedule: &Schedule, signal_to: Target) {
    let mut line = Line::<2048>::new();
    line.put(schedule);
    let steps = schedule.steps();
    assert!(steps.windows(2).all(|pair| pair[0].at <= pair[1].at));
    let kills = steps.iter().filter(|step| step.signal == Some(Signal::KILL)).count();
    assert_eq!(kills, usize::from(schedule.grace().is_some()), "one KILL, the last step");
    // What is shorter than a millisecond is not written, nor is a KILL at once.
    let whole = steps.iter().all(|step| step.at.as_nanos() % 1_000_000 == 0);
    if schedule.by_hand && whole {
        assert_eq!(Schedule::parse(line.as_bytes(), signal_to), Ok(*schedule));
    }
}

pub fn schedules(data: &[u8]) {
    let _ = duration(data);
    let _ = Signal::parse(data);
    match Schedule::parse(data, Target::App) {
        Ok(schedule) => reads_back(&schedule, Target::App),
        Err(fault) => assert!(fault.at <= data.len() && !fault.why.is_empty()),
    }
}

pub fn processes(data: &[u8]) {
    let (name, argv) = data.split_at(data.len().min(16));
    let _ = Relay::of(name, argv);
    let _ = Status::parse(data);
    let shown = Who::new(Pid::from_raw(1), data, 0);
    assert!(shown.command().len() <= 72 && shown.command().is_ascii());
    let _ = Process::parse(data);
    // A list of everybody, of which each byte is a parent.
    let stat = |pid: usize, parent: u8| {
        let state = if parent & 0x80 == 0 { 'S' } else { 'Z' };
        let parent = parent & 0x7f;
        format!("{pid} (x) {state} {parent} 1 1 0 -1 0 0 0 0 0 0 0 0 20 0 1 0 7 0")
    };
    let list = data.iter().take(120).enumerate().map(|(n, parent)| stat(n + 1, *parent));
    let list: Vec<_> = list.filter_map(|text| Process::parse(text.as_bytes())).collect();
    let tree = Tree::below(Pid::from_raw(1), list).expect("memory");
    // Each is reached once from above, and has us above it.
    let mut reached = 0;
    let mut queue: Vec<Pid> = tree.ours().map(|process| process.pid).collect();
    while let Some(pid) = queue.pop() {
        reached += 1;
        queue.extend(tree.children(pid).map(|process| process.pid));
    }
    assert!(reached <= tree.living().count(), "nobody twice");
}

/// The first bytes choose the policy, each further one an event and how much time.
pub fn policy(data: &[u8]) {
    let [how, grace, events @ ..] = data else { return };
    let targets = [Target::Group, Target::Main, Target::App, Target::All];
    let leftovers = [Leftovers::Ask, Leftovers::Wait, Leftovers::Leave];
    let signal_to = targets[usize::from(how & 3)];
    let length = if *grace == 255 { Time::NEVER } else { Time::seconds((*grace).into()) };
    let last_call = Time::nanos(length.as_nanos() / 5).min(Time::seconds(5));
    let policy = Policy {
        schedule: Schedule::build(signal_to, length, last_call),
        signal_to,
        leftovers: leftovers[usize::from(how >> 2) % 3],
    };
    let mut now = Time::seconds(1000);
    let mut state = State::Running;
    let (mut bound, mut kills, mut helpers, mut main_gone) = (None, 0, 0, false);
    for byte in events {
        now = now + Time::millis(u64::from(byte >> 3) * 500);
        let event = match byte & 7 {
            0 => Event::MainGone,
            1 => Event::ApplicationGone,
            2 => Event::Childless,
            3 => Event::Stop(Signal::TERM),
            4 => Event::Stop(Signal::INT),
            5 => Event::Other(Signal::HUP),
            _ => Event::Time,
        };
        let (after, action) = policy.next(state, event, now);
        if state == State::Over {
            assert_eq!((after, action), (State::Over, Action::Nothing));
        }
        main_gone |= matches!(event, Event::MainGone | Event::Childless);
        if bound.is_none() && state == State::Running && after != State::Running {
            bound = policy.schedule.grace().map(|grace| now + grace);
        }
        match action {
            Action::Kill => {
                kills += 1;
                assert!(bound.is_some_and(|bound| bound <= now), "killed early");
            }
            Action::AskHelpers => {
                helpers += 1;
                assert!(main_gone);
            }
            Action::Send(signal, target) => {
                assert_ne!(signal, Signal::KILL);
                assert!(!main_gone || !matches!(target, Target::Main | Target::App));
            }
            Action::Ask | Action::Nothing => {}
        }
        assert!(kills <= 1 && helpers <= 1);
        state = after;
    }
}

/// Each byte is a process of eight, and what happens to it.
pub fn ledger(data: &[u8]) {
    let process = |n: u8| {
        let text = format!("{} (x) S 1 {} 1 0 -1 0 0 0 0 0 0 0 0 20 0 1 0 7 0", n + 2, n % 2 + 2);
        Process::parse(text.as_bytes()).expect("a process")
    };
    let who = |process: &Process| Who::new(process.pid, b"x", 0);
    let mut ledger = Ledger::default();
    let (mut seen, mut lives, mut asked) = ([false; 8], [true; 8], [0_u8; 8]);
    for byte in data {
        let n = usize::from(byte & 7);
        match byte >> 3 & 7 {
            0 | 1 => {
                seen[n] |= lives[n];
                let there = (0..8_u8).filter(|n| seen[usize::from(*n)] && lives[usize::from(*n)]);
                let there: Vec<_> = there.map(process).collect();
                ledger.merge(there.iter(), who).expect("memory");
            }
            2 if lives[n] => {
                seen[n] = true;
                ledger.enter(&process(n as u8), who).expect("memory");
            }
            3 if seen[n] && ledger.asked(&process(n as u8)) == Asked::No => {
                ledger.sent(&process(n as u8), Signal::TERM, true, byte & 64 != 0);
                asked[n] += 1;
            }
            4 if lives[n] => {
                let status = [0, 7 << 8, libc::SIGTERM, libc::SIGKILL][usize::from(byte >> 6)];
                ledger.reaped(process(n as u8).pid, WaitStatus(status));
                lives[n] = false;
            }
            5 => lives[n] = false,
            6 if seen[n] => _ = ledger.sent(&process(n as u8), Signal::KILL, false, false),
            _ => {}
        }
        let counted: u64 = Fate::ALL.iter().map(|fate| ledger.count(*fate)).sum();
        assert_eq!(counted as usize, seen.iter().filter(|seen| **seen).count());
        assert_eq!(ledger.rows().count() as u64, counted);
        assert!(asked.iter().all(|asked| *asked <= 1), "asked twice");
        for fate in Fate::ALL {
            assert!(ledger.names(fate).count() as u64 <= ledger.count(fate));
        }
    }
}
