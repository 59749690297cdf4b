//! One row a process that was seen below us during a drain, the main child only if
//! we kill it: who it is, what it is to the stop, what it was sent, what became of it. Pure.

use std::cmp::Ordering;

use nix::unistd::Pid;

use crate::kernel::memory;
use crate::policy::application::Role;
use crate::text::process::{Process, Who};
use crate::text::signal::{Signal, Signals};
use crate::text::status::WaitStatus;

/// So many are remembered by name; all are counted.
const NAMES: usize = 256;

#[derive(Default)]
pub struct Ledger {
    /// In the order of (pid, start).
    rows: Vec<Row>,
    names: Vec<Who>,
    /// What the main child's group was sent.
    group: Option<ToGroup>,
}

#[derive(Clone, Copy)]
struct ToGroup {
    group: Pid,
    signals: Signals,
    /// The last of them, and the last SIGTERM (0 if there was none), in clock ticks since
    /// boot, read before.
    last: u64,
    last_term: u64,
}

impl ToGroup {
    /// Whether this process was in the group at a time.
    fn was_in_it(&self, process: &Process, at: u64) -> Asked {
        match process.start.cmp(&at) {
            _ if process.group != self.group => Asked::No,
            Ordering::Less => Asked::Yes,
            Ordering::Equal => Asked::Perhaps,
            Ordering::Greater => Asked::No,
        }
    }
}

#[derive(Clone, Copy)]
pub struct Row {
    pub process: Process,
    pub role: Option<Role>,
    /// Nobody else looks after it: a child of ours when the stop began, or asked by us
    /// once the main child was gone.
    pub alone: bool,
    /// What we sent to it by name.
    sent: Signals,
    asked: bool,
    /// Asked by nobody before the last call.
    late: bool,
    /// It could not be signalled.
    pub refused: bool,
    state: State,
    name: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Alive,
    Ended(WaitStatus),
    Gone,
}

/// Whether it was sent a stop signal. Nobody is asked twice: some programs take a
/// second SIGTERM for an order to hurry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    No,
    /// A member of the group that started in the clock tick in which the group was
    /// asked: before or after, /proc cannot tell.
    Perhaps,
    Yes,
}

/// What became of a process: one for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It exited, with a code.
    Finished,
    /// Ended by a signal that we sent to it or to its group.
    Cut,
    /// Ended by our SIGKILL, or had it and nobody told us of its end.
    Killed,
    /// Ended by a signal that was not ours.
    Ended,
    /// Its own parent reaped it, before SIGKILL: nobody told us how it ended.
    Gone,
    /// Alive still.
    Left,
}

impl Fate {
    pub const ALL: [Fate; 6] =
        [Fate::Killed, Fate::Cut, Fate::Left, Fate::Ended, Fate::Gone, Fate::Finished];
}

impl Row {
    fn new(process: &Process) -> Row {
        Row {
            process: *process,
            role: None,
            alone: false,
            sent: Signals::NONE,
            asked: false,
            late: false,
            refused: false,
            state: State::Alive,
            name: None,
        }
    }

    pub fn is_alive(&self) -> bool {
        self.state == State::Alive
    }

    pub fn status(&self) -> Option<WaitStatus> {
        match self.state {
            State::Ended(status) => Some(status),
            State::Alive | State::Gone => None,
        }
    }

    pub fn had_kill(&self) -> bool {
        self.sent.holds(Signal::KILL)
    }

    pub fn gone(&mut self) {
        if self.is_alive() {
            self.state = State::Gone;
        }
    }

    fn unseen(mut self) -> Row {
        self.gone();
        self
    }
}

impl Ledger {
    /// Enters a look at everybody below us, in the order of pids: who is new gets a
    /// row, who lived and is not there any more is gone. None where memory is short.
    pub fn merge<'a>(
        &mut self,
        look: impl Iterator<Item = &'a Process>,
        name: impl Fn(&Process) -> Who,
    ) -> Option<()> {
        let old = std::mem::take(&mut self.rows);
        let mut old = old.iter();
        let mut next = old.next();
        let mut rows = Vec::new();
        for process in look {
            while let Some(row) = next.take_if(|row| row.process.identity() < process.identity()) {
                memory::push(&mut rows, row.unseen())?;
                next = old.next();
            }
            let row = match next.take_if(|row| row.process.is(process)) {
                Some(row) => {
                    next = old.next();
                    // It may have another parent by now. The group is that in which it may have been asked.
                    let group = row.process.group;
                    Row { process: Process { group, ..*process }, ..*row }
                }
                // It ended before it was seen.
                None if process.zombie => continue,
                None => self.named(process, &name),
            };
            memory::push(&mut rows, row)?;
        }
        while let Some(row) = next {
            memory::push(&mut rows, row.unseen())?;
            next = old.next();
        }
        self.rows = rows;
        Some(())
    }

    /// Enters one process that no look has shown yet.
    pub fn enter(&mut self, process: &Process, name: impl Fn(&Process) -> Who) -> Option<&mut Row> {
        let place = match self.find(process) {
            Ok(place) => place,
            Err(place) => {
                let row = self.named(process, &name);
                memory::push(&mut self.rows, row)?;
                // Before those that come after it: one place further, each.
                let (last, rest) = self.rows.get_mut(place..)?.split_last_mut()?;
                rest.iter_mut().for_each(|row| std::mem::swap(row, last));
                place
            }
        };
        self.rows.get_mut(place)
    }

    fn named(&mut self, process: &Process, name: impl Fn(&Process) -> Who) -> Row {
        let mut row = Row::new(process);
        if self.names.len() < NAMES {
            let place = self.names.len();
            row.name = memory::push(&mut self.names, name(process)).map(|()| place);
        }
        row
    }

    fn find(&self, process: &Process) -> Result<usize, usize> {
        self.rows.binary_search_by_key(&process.identity(), |row| row.process.identity())
    }

    pub fn row(&mut self, process: &Process) -> Option<&mut Row> {
        let place = self.find(process).ok()?;
        self.rows.get_mut(place)
    }

    fn get(&self, process: &Process) -> Option<&Row> {
        self.rows.get(self.find(process).ok()?)
    }

    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }

    pub fn rows_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.rows.iter_mut()
    }

    /// A child of ours was reaped. Of those that had its number it is the last, for
    /// no two live at once (or, where numbers wrap around within one drain, one that
    /// no look has shown)
    pub fn reaped(&mut self, pid: Pid, status: WaitStatus) {
        let end = self.rows.partition_point(|row| row.process.pid <= pid);
        let last = end.checked_sub(1).and_then(|place| self.rows.get_mut(place));
        if let Some(row) = last.filter(|row| row.process.pid == pid && row.is_alive()) {
            row.state = State::Ended(status);
        }
    }

    /// A process was sent a signal; `asks` if that is a stop signal.
    pub fn sent(
        &mut self,
        process: &Process,
        signal: Signal,
        asks: bool,
        late: bool,
    ) -> Option<&mut Row> {
        let asked_before = self.asked(process) != Asked::No;
        let row = self.row(process)?;
        row.sent = row.sent.and(signal);
        row.late |= asks && late && !asked_before;
        row.asked |= asks;
        Some(row)
    }

    /// The main child's group was sent a stop signal, or SIGKILL. `at` was read before:
    /// who started before that has it for certain.
    pub fn sent_to_group(&mut self, group: Pid, signal: Signal, at: u64) {
        let never = ToGroup { group, signals: Signals::NONE, last: at, last_term: 0 };
        let to = self.group.get_or_insert(never);
        to.signals = to.signals.and(signal);
        to.last = at;
        if signal == Signal::TERM {
            to.last_term = at;
        }
    }

    pub fn asked(&self, process: &Process) -> Asked {
        if self.get(process).is_some_and(|row| row.asked) {
            return Asked::Yes;
        }
        self.group.as_ref().map_or(Asked::No, |to| to.was_in_it(process, to.last))
    }

    /// Whether it had SIGTERM for certain.
    pub fn had_term(&self, process: &Process) -> bool {
        let by_name = self.get(process).is_some_and(|row| row.sent.holds(Signal::TERM));
        let had = |to: &ToGroup| to.was_in_it(process, to.last_term) == Asked::Yes;
        by_name || self.group.as_ref().is_some_and(had)
    }

    pub fn asked_late(&self, process: &Process) -> bool {
        self.get(process).is_some_and(|row| row.late)
    }

    pub fn fate(&self, row: &Row) -> Fate {
        let in_time = |to: &&ToGroup| to.was_in_it(&row.process, to.last) != Asked::No;
        let by_group = self.group.as_ref().filter(in_time).map_or(Signals::NONE, |to| to.signals);
        let sent = |signal| row.sent.holds(signal) || by_group.holds(signal);
        match row.state {
            State::Ended(status) => match status.signal() {
                None => Fate::Finished,
                Some(Signal::KILL) if sent(Signal::KILL) => Fate::Killed,
                Some(signal) if sent(signal) => Fate::Cut,
                Some(_) => Fate::Ended,
            },
            // One that ignores SIGCHLD loses its children's ends, and is killed with them.
            // What a group was sent does not explain an end that nobody saw.
            State::Gone | State::Alive if row.had_kill() => Fate::Killed,
            State::Gone => Fate::Gone,
            State::Alive => Fate::Left,
        }
    }

    /// How many have this fate.
    pub fn count(&self, fate: Fate) -> u64 {
        self.rows.iter().filter(|row| self.fate(row) == fate).count() as u64
    }

    /// Who of them has a name.
    pub fn names(&self, fate: Fate) -> impl Iterator<Item = (&Row, &Who)> {
        self.rows
            .iter()
            .filter(move |row| self.fate(row) == fate)
            .filter_map(|row| Some((row, self.name(row)?)))
    }

    pub fn name(&self, row: &Row) -> Option<&Who> {
        self.names.get(row.name?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::process::tests::process;

    fn who(process: &Process) -> Who {
        Who::new(process.pid, process.name(), 0)
    }

    fn pid(pid: i32) -> Pid {
        Pid::from_raw(pid)
    }

    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Event {
        Seen(usize),
        Asked(usize),
        GroupAsked,
        GroupKilled,
        Exited(usize),
        EndedByTerm(usize),
        EndedByKill(usize),
        Gone(usize),
        Killed(usize),
        Refused(usize),
    }

    /// A ledger that is too simple to be wrong: a set of facts for each process.
    #[derive(Clone, Copy, Default, Debug)]
    struct Facts {
        exists: bool,
        seen: bool,
        asks: u32,
        group_asks: bool,
        killed: bool,
        group_killed: bool,
        status: Option<i32>,
        gone: bool,
    }

    const PROCESSES: usize = 2;

    fn events() -> Vec<Event> {
        let each = |n| {
            [
                Event::Seen(n),
                Event::Asked(n),
                Event::Exited(n),
                Event::EndedByTerm(n),
                Event::EndedByKill(n),
                Event::Gone(n),
                Event::Killed(n),
                Event::Refused(n),
            ]
        };
        let mut events: Vec<_> = (0..PROCESSES).flat_map(each).collect();
        events.extend([Event::GroupAsked, Event::GroupKilled]);
        events
    }

    /// One is in the group (its number is its pid), one is not.
    fn of(n: usize) -> Process {
        process(10 + n as i32, 1, "x")
    }

    fn replay(sequence: &[Event]) -> (Ledger, [Facts; PROCESSES]) {
        let mut ledger = Ledger::default();
        let mut facts = [Facts { exists: true, ..Facts::default() }; PROCESSES];
        for event in sequence {
            let all = |facts: &[Facts; PROCESSES]| {
                let there = (0..PROCESSES).filter(|&n| facts[n].exists && facts[n].seen);
                there.map(of).collect::<Vec<_>>()
            };
            match *event {
                Event::Seen(n) => {
                    facts[n].seen |= facts[n].exists;
                    ledger.merge(all(&facts).iter(), who).unwrap();
                    for fact in facts.iter_mut().filter(|fact| fact.seen && !fact.exists) {
                        fact.gone |= fact.status.is_none();
                    }
                }
                Event::Asked(n) if ledger.asked(&of(n)) == Asked::No && facts[n].seen => {
                    ledger.sent(&of(n), Signal::TERM, true, false);
                    facts[n].asks += 1;
                }
                Event::GroupAsked => {
                    let fresh = ledger.asked(&of(0)) == Asked::No;
                    if fresh {
                        ledger.sent_to_group(pid(10), Signal::TERM, 1_000);
                        facts[0].group_asks = true;
                        facts[0].asks += 1;
                    }
                }
                Event::GroupKilled => {
                    ledger.sent_to_group(pid(10), Signal::KILL, 1_000);
                    facts[0].group_killed = true;
                }
                Event::Exited(n) | Event::EndedByTerm(n) | Event::EndedByKill(n)
                    if facts[n].exists =>
                {
                    let status = match event {
                        Event::Exited(_) => 3 << 8,
                        Event::EndedByTerm(_) => libc::SIGTERM,
                        _ => libc::SIGKILL,
                    };
                    ledger.reaped(of(n).pid, WaitStatus(status));
                    facts[n].exists = false;
                    facts[n].status = facts[n].seen.then_some(status);
                }
                Event::Gone(n) => facts[n].exists = false,
                Event::Killed(n) if facts[n].seen && !facts[n].gone => {
                    ledger.sent(&of(n), Signal::KILL, false, false);
                    facts[n].killed = true;
                }
                Event::Refused(n) => {
                    if let Some(row) = ledger.row(&of(n)) {
                        row.refused = true;
                    }
                }
                Event::Asked(_)
                | Event::Exited(_)
                | Event::EndedByTerm(_)
                | Event::EndedByKill(_)
                | Event::Killed(_) => {}
            }
        }
        (ledger, facts)
    }

    fn fate(facts: &Facts) -> Fate {
        match facts.status {
            Some(libc::SIGTERM) if facts.asks > 0 => Fate::Cut,
            Some(libc::SIGKILL) if facts.killed || facts.group_killed => Fate::Killed,
            Some(status) if status & 0x7f == 0 => Fate::Finished,
            Some(_) => Fate::Ended,
            None if facts.killed => Fate::Killed,
            None if facts.gone => Fate::Gone,
            None => Fate::Left,
        }
    }

    fn walk(sequence: &mut Vec<Event>, depth: usize, count: &mut u64) {
        *count += 1;
        let (ledger, facts) = replay(sequence);
        let seen = facts.iter().filter(|facts| facts.seen).count();
        let counted: u64 = Fate::ALL.map(|fate| ledger.count(fate)).iter().sum();
        assert_eq!(counted as usize, seen, "{sequence:?}");
        for (n, facts) in facts.iter().enumerate() {
            assert!(facts.asks <= 1, "asked twice: {sequence:?}");
            let row = ledger.get(&of(n));
            assert_eq!(row.is_some(), facts.seen, "{sequence:?}");
            if let Some(row) = row {
                assert_eq!(ledger.fate(row), fate(facts), "{n} {facts:?} {sequence:?}");
                let of_fate = Fate::ALL.iter().filter(|fate| {
                    ledger.names(**fate).any(|(other, _)| other.process.is(&row.process))
                });
                assert_eq!(of_fate.count(), 1, "{sequence:?}");
            }
        }
        if depth > 0 {
            for event in events() {
                sequence.push(event);
                walk(sequence, depth - 1, count);
                sequence.pop();
            }
        }
    }

    #[test]
    fn every_sequence_of_what_can_happen_to_a_process() {
        let depth = std::env::var("DRAINIT_TEST_DEPTH").map_or(5, |depth| depth.parse().unwrap());
        let start = std::time::Instant::now();
        let mut count = 0;
        walk(&mut vec![], depth.min(6), &mut count);
        println!("depth {depth}: {count} sequences in {:?}", start.elapsed());
    }

    #[test]
    fn a_look_is_merged_and_a_number_used_anew_is_somebody_else() {
        let mut ledger = Ledger::default();
        let list: Vec<_> = (1..1000).map(|n| process(n, 1, "x")).collect();
        ledger.merge(list.iter().step_by(2), who).unwrap();
        ledger.merge(list.iter(), who).unwrap();
        assert_eq!((ledger.rows().count(), ledger.count(Fate::Left)), (999, 999));
        assert_eq!(ledger.names.len(), NAMES);
        let anew = Process { start: 77_777, ..process(500, 1, "y") };
        ledger.merge([anew].iter(), who).unwrap();
        assert_eq!((ledger.count(Fate::Gone), ledger.count(Fate::Left)), (999, 1));
        ledger.reaped(pid(500), WaitStatus(0));
        assert_eq!((ledger.count(Fate::Finished), ledger.count(Fate::Gone)), (1, 999));
        ledger.reaped(pid(500), WaitStatus(0));
        assert_eq!(ledger.count(Fate::Finished), 1);
    }

    #[test]
    fn one_by_one_in_any_order() {
        let mut ledger = Ledger::default();
        for n in [5, 3, 9, 3, 1, 7, 9] {
            ledger.enter(&process(n, 1, "x"), who).unwrap().alone = true;
        }
        let pids: Vec<_> = ledger.rows().map(|row| row.process.pid.as_raw()).collect();
        assert_eq!(pids, [1, 3, 5, 7, 9]);
        assert!(ledger.rows().all(|row| row.alone));
    }

    #[test]
    fn the_tick_in_which_the_group_was_asked() {
        let mut ledger = Ledger::default();
        let member = |start| Process { start, group: pid(2), ..process(5, 1, "x") };
        ledger.sent_to_group(pid(2), Signal::TERM, 100);
        for (start, asked, term) in
            [(99, Asked::Yes, true), (100, Asked::Perhaps, false), (101, Asked::No, false)]
        {
            assert_eq!(ledger.asked(&member(start)), asked);
            assert_eq!(ledger.had_term(&member(start)), term);
        }
        assert_eq!(ledger.asked(&process(5, 1, "x")), Asked::No, "in another group");
    }

    #[test]
    fn what_was_asked_late() {
        let mut ledger = Ledger::default();
        let (early, late) = (process(2, 1, "x"), process(3, 1, "x"));
        ledger.merge([early, late].iter(), who).unwrap();
        ledger.sent(&early, Signal::QUIT, true, false);
        ledger.sent(&early, Signal::TERM, true, true);
        ledger.sent(&late, Signal::TERM, true, true);
        assert!(!ledger.asked_late(&early) && ledger.asked_late(&late));
        assert!(ledger.had_term(&early));
    }
}
