//! What is measured, and how often.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::{Probe, Running, now};
use crate::{Peer, YARDSTICK};

const ROUNDS: usize = 300;
const LIVE: usize = 5_000;
/// So many end one after the other.
const ORPHANS: usize = 20;
/// Fields of /proc/PID/stat: page faults of itself, and of the children it reaped.
const MINFLT: usize = 10;
const CMINFLT: usize = 11;
const IDLE: Duration = Duration::from_secs(10);

/// Samples of every peer for one quantity.
pub struct Row {
    pub name: String,
    pub unit: &'static str,
    /// drainit's ratio may be at most this.
    pub bar: Option<f64>,
    pub medians: BTreeMap<&'static str, f64>,
}

impl Row {
    pub fn ratio(&self, peer: &str) -> Option<f64> {
        let yardstick = self.medians.get(YARDSTICK)?;
        let own = self.medians.get(peer)?;
        // Nothing against nothing is as good.
        if *yardstick == *own { Some(1.0) } else { Some(own / yardstick) }
    }
}

struct Key {
    name: String,
    unit: &'static str,
    bar: Option<f64>,
    percentile: usize,
}

pub struct Samples {
    peers: Vec<&'static Peer>,
    /// Those that never sleep: of them only what needs no sleep is measured.
    restless: Vec<&'static str>,
    rows: Vec<(Key, BTreeMap<&'static str, Vec<f64>>)>,
}

impl Samples {
    pub fn new(peers: Vec<&'static Peer>, probe: &Probe) -> Samples {
        let mut samples = Samples { peers, restless: Vec::new(), rows: Vec::new() };
        for peer in samples.inits() {
            if !sleeps(&probe.start(peer, true, &["w"])) {
                println!(
                    "{} never sleeps: of what it does while idle nothing is measured",
                    peer.name
                );
                samples.restless.push(peer.name);
            }
        }
        samples
    }

    pub fn peers(&self) -> &[&'static Peer] {
        &self.peers
    }

    fn inits(&self) -> Vec<&'static Peer> {
        self.peers.iter().copied().filter(|peer| !peer.path.is_empty()).collect()
    }

    fn sleepers(&self) -> Vec<&'static Peer> {
        let sleeps = |peer: &&Peer| !self.restless.contains(&peer.name);
        self.inits().into_iter().filter(sleeps).collect()
    }

    fn row(
        &mut self,
        name: &str,
        unit: &'static str,
        bar: Option<f64>,
        percentile: usize,
    ) -> usize {
        let known = self.rows.iter().position(|(key, _)| key.name == name);
        known.unwrap_or_else(|| {
            self.rows.push((Key { name: name.to_owned(), unit, bar, percentile }, BTreeMap::new()));
            self.rows.len() - 1
        })
    }

    fn add(&mut self, row: usize, peer: &Peer, sample: f64) {
        let peer = self.peers.iter().find(|own| own.name == peer.name).unwrap();
        self.rows[row].1.entry(peer.name).or_default().push(sample);
    }

    pub fn rows(&self) -> Vec<Row> {
        let median = |samples: &Vec<f64>, percentile: usize| {
            let mut samples = samples.clone();
            samples.sort_by(f64::total_cmp);
            samples[(samples.len() - 1) * percentile / 100]
        };
        self.rows
            .iter()
            .map(|(key, peers)| Row {
                name: key.name.clone(),
                unit: key.unit,
                bar: key.bar,
                medians: peers
                    .iter()
                    .map(|(name, all)| (*name, median(all, key.percentile)))
                    .collect(),
            })
            .collect()
    }
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

fn kind(pid1: bool) -> &'static str {
    if pid1 { "PID 1" } else { "plain" }
}

/// What is the same in every run: sizes, counts, memory, idling.
pub fn steady(samples: &mut Samples, probe: &Probe) {
    // A file that was just built is dirty in the cache, and would count as
    // private dirty memory.
    // SAFETY: no arguments.
    unsafe { libc::sync() };
    let inits = samples.inits();
    let row = samples.row("bytes on disk, with libraries", "kB", Some(0.14), 50);
    for peer in &inits {
        samples.add(row, peer, bytes_on_disk(peer) as f64 / 1000.0);
    }
    for pid1 in [true, false] {
        let of_init = samples.row(&format!("system calls, {}", kind(pid1)), "", Some(0.8), 50);
        let of_child = samples.row(
            &format!("system calls of the child before exec, {}", kind(pid1)),
            "",
            Some(0.5),
            50,
        );
        for peer in &inits {
            let (init, child) = system_calls(probe, peer, pid1);
            samples.add(of_init, peer, init as f64);
            samples.add(of_child, peer, child as f64);
        }
        let faults = samples.row(&format!("page faults, {}", kind(pid1)), "", Some(0.35), 50);
        let rss = samples.row(&format!("RSS, {}", kind(pid1)), "kB", Some(0.2), 50);
        let dirty = samples.row(&format!("private dirty, {}", kind(pid1)), "kB", Some(0.6), 50);
        // The stack's place is random, and with it a page more or less.
        for _ in 0..51 {
            for peer in &inits {
                let run = probe.start(peer, pid1, &["e"]);
                run.wait();
                samples.add(faults, peer, (run.stat(MINFLT) - run.faults) as f64);
            }
            for peer in &samples.sleepers() {
                let run = probe.start(peer, pid1, &["w"]);
                settle(&run);
                samples.add(rss, peer, run.field("smaps_rollup", "Rss") as f64);
                samples.add(dirty, peer, run.field("smaps_rollup", "Private_Dirty") as f64);
            }
        }
    }
    idle(samples, probe);
}

/// Until it sleeps, waiting for its child.
fn settle(run: &Running) {
    assert!(sleeps(run), "it is awake for a second");
}

fn sleeps(run: &Running) -> bool {
    let patience = Instant::now() + Duration::from_secs(1);
    while !run.read("stat").contains(") S ") {
        if Instant::now() > patience {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

fn bytes_on_disk(peer: &Peer) -> u64 {
    let libraries = Command::new("ldd").arg(peer.path).output().expect("ldd").stdout;
    let libraries = String::from_utf8(libraries).unwrap();
    let paths = libraries.split_ascii_whitespace().filter(|word| word.starts_with('/'));
    let paths = paths.filter(|path| !path.ends_with(':'));
    paths.chain([peer.path]).map(|path| fs::metadata(path).unwrap().len()).sum()
}

/// From start to exit: the init's own, and those of its child until the last of
/// its attempts to exec.
fn system_calls(probe: &Probe, peer: &Peer, pid1: bool) -> (usize, usize) {
    let words = probe.below(peer, pid1, &["e"]);
    let mut strace = Command::new("strace");
    strace.args([
        "-f",
        "-qq",
        "-o",
        "/dev/stdout",
        "-e",
        "signal=none",
        "sh",
        "-c",
        "exec \"$@\" 3>/dev/null",
    ]);
    strace.arg("sh");
    if pid1 {
        strace.args(["unshare", "--pid", "--fork"]);
    }
    strace.args(words.iter().map(|word| word.to_str().unwrap()));
    let trace = strace.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let trace = String::from_utf8(trace.expect("strace is missing: apt-get install strace").stdout)
        .unwrap();
    let calls: Vec<_> = trace
        .lines()
        .filter(|line| !line.contains(" resumed>") && !line.contains("+++"))
        .map(|line| line.split_once(' ').unwrap())
        .map(|(pid, call)| (pid, call.trim_start()))
        .collect();
    let exec = |path: &str| {
        let call = format!("execve(\"{path}\"");
        calls.iter().position(|(_, other)| other.starts_with(&call)).unwrap()
    };
    let init = exec(peer.path);
    let child = exec(words.iter().rev().nth(1).unwrap().to_str().unwrap());
    let count = |from: usize, to: usize| {
        calls[from..to].iter().filter(|(pid, _)| *pid == calls[from].0).count()
    };
    let of_child = calls[..=child].iter().filter(|(pid, _)| *pid == calls[child].0).count();
    (count(init, calls.len()), of_child)
}

/// All inits at once, for ten seconds, with a child that does nothing: twice,
/// since strace's attachment is a wake-up itself.
fn idle(samples: &mut Samples, probe: &Probe) {
    let wakes = samples.row("wake-ups in 10 s of idling", "", Some(0.0), 50);
    let calls = samples.row("system calls in 10 s of idling", "", Some(0.0), 50);
    let inits = samples.sleepers();
    let runs: Vec<_> = inits.iter().map(|peer| probe.start(peer, true, &["w"])).collect();
    runs.iter().for_each(settle);
    let before: Vec<_> = runs.iter().map(Running::switches).collect();
    std::thread::sleep(IDLE);
    for ((peer, run), before) in inits.iter().zip(&runs).zip(before) {
        samples.add(wakes, peer, (run.switches() - before) as f64);
    }
    let straces: Vec<Child> = runs.iter().map(strace_of).collect();
    std::thread::sleep(IDLE);
    for (peer, strace) in inits.iter().zip(straces) {
        // SAFETY: our child, not reaped.
        unsafe { libc::kill(strace.id() as i32, libc::SIGINT) };
        let output = String::from_utf8(strace.wait_with_output().unwrap().stdout).unwrap();
        // The call that it sleeps in is shown at the start and again once it is
        // restarted or left; a call that begins later is one of its own.
        let begun =
            output.lines().filter(|line| !line.contains("<detached") && line.contains('=')).count();
        samples.add(calls, peer, begun as f64);
    }
}

fn strace_of(run: &Running) -> Child {
    let pid = run.pid.to_string();
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/stdout", "-p", &pid]).stdout(Stdio::piped());
    strace.stderr(Stdio::null()).spawn().unwrap()
}

/// What is a matter of time.
pub fn times(samples: &mut Samples, probe: &Probe) {
    for pid1 in [true, false] {
        start_and_exit(samples, probe, pid1);
        term_to_exit(samples, probe, pid1);
        usr1(samples, probe, pid1);
    }
    reaping(samples, probe, 0);
    reaping(samples, probe, LIVE);
}

fn start_and_exit(samples: &mut Samples, probe: &Probe, pid1: bool) {
    let start = samples.row(&format!("start, {}", kind(pid1)), "µs", Some(0.4), 50);
    let exit = samples.row(&format!("exit, {}", kind(pid1)), "µs", Some(0.7), 50);
    for _ in 0..ROUNDS {
        for peer in samples.peers.clone() {
            let mut run = probe.start(peer, pid1, &["e"]);
            let ends = run.stamp();
            let ended = run.wait();
            samples.add(start, peer, micros(run.first - run.exec));
            samples.add(exit, peer, micros(ended - ends));
        }
    }
}

fn term_to_exit(samples: &mut Samples, probe: &Probe, pid1: bool) {
    let row = samples.row(&format!("TERM to exit, {}", kind(pid1)), "µs", Some(0.85), 50);
    for _ in 0..ROUNDS {
        for peer in samples.sleepers() {
            let run = probe.start(peer, pid1, &["w"]);
            settle(&run);
            let sent = now();
            run.kill(libc::SIGTERM);
            samples.add(row, peer, micros(run.wait() - sent));
        }
    }
}

fn usr1(samples: &mut Samples, probe: &Probe, pid1: bool) {
    let median = samples.row(&format!("USR1 to the handler, {}", kind(pid1)), "µs", Some(1.0), 50);
    let p99 =
        samples.row(&format!("USR1 to the handler, p99, {}", kind(pid1)), "µs", Some(1.05), 99);
    let inits = samples.sleepers();
    let mut runs: Vec<_> = inits.iter().map(|peer| probe.start(peer, pid1, &["u"])).collect();
    for _ in 0..10 * ROUNDS {
        for (peer, run) in inits.iter().zip(&mut runs) {
            settle(run);
            let sent = now();
            run.kill(libc::SIGUSR1);
            let took = micros(run.stamp() - sent);
            samples.add(median, peer, took);
            samples.add(p99, peer, took);
        }
    }
}

/// As PID 1, for dumb-init is no subreaper.
fn reaping(samples: &mut Samples, probe: &Probe, live: usize) {
    let bar = if live == 0 { 0.9 } else { 0.3 };
    let row = samples.row(&format!("CPU per reaped orphan, {live} live"), "µs", Some(bar), 50);
    let inits = samples.sleepers();
    let count = live.to_string();
    let mut runs: Vec<_> =
        inits.iter().map(|peer| probe.start(peer, true, &["o", &count])).collect();
    for run in &runs {
        let patience = Instant::now() + Duration::from_secs(60);
        while run.children().len() != live + 1 {
            assert!(
                Instant::now() < patience,
                "fork fails: is pid_max above 32,000, and nearly unused?"
            );
            std::thread::yield_now();
        }
        settle(run);
    }
    // The main child is the first.
    let mains: Vec<_> = runs.iter().map(|run| run.children()[0]).collect();
    let mut before: Vec<_> = runs.iter().map(Running::cpu).collect();
    for _ in 0..ROUNDS {
        for (n, (run, main)) in runs.iter_mut().zip(&mains).enumerate() {
            for _ in 0..ORPHANS {
                orphan(run, *main);
            }
            // From round to round, so that what is put off is counted too.
            let cpu = run.cpu();
            samples.add(row, inits[n], micros(cpu - before[n]) / ORPHANS as f64);
            before[n] = cpu;
        }
    }
}

/// One that ends, until the init has reaped it and sleeps again.
fn orphan(run: &mut Running, main: i32) {
    let (reaped, slept) = (run.stat(CMINFLT), run.switches());
    // SAFETY: it lives as long as its init.
    unsafe { libc::kill(main, libc::SIGUSR1) };
    run.stamp();
    // The page faults of the reaped come with its status. The state says S
    // already while waitpid walks the list; the switch comes after it.
    while run.stat(CMINFLT) == reaped || run.switches() == slept {
        std::thread::yield_now();
    }
    settle(run);
}
