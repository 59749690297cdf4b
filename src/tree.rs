//! Who descends from us, out of a list of everybody. Pure.

use nix::unistd::Pid;

use crate::kernel::memory;
use crate::text::process::Process;

/// Every living or unreaped process below us.
///
/// As PID 1 we are the ancestor of all but what an engine `exec`ed into the
/// container: that has parent 0, and is neither waited for nor signalled.
pub struct Tree {
    /// In the order of pids.
    pub list: Vec<Process>,
    us: Pid,
    /// Our own session, which is the main child's.
    pub session: Pid,
    ours: Option<usize>,
    links: Vec<Links>,
}

/// Places in the list.
#[derive(Clone, Copy, Default)]
struct Links {
    first_child: Option<usize>,
    next_sibling: Option<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kin {
    Unknown,
    Ours,
    Foreign,
}

impl Tree {
    /// Of everybody in the order of pids, us included. None where memory is short.
    pub fn below(us: Pid, mut all: Vec<Process>) -> Option<Tree> {
        let mut kin = Vec::new();
        for _ in &all {
            memory::push(&mut kin, Kin::Unknown)?;
        }
        // Each chain of parents is walked up to the first one that is known, and
        // marked: nobody is passed twice. A ring of numbers (read while they were
        // used anew) ends at its own length.
        let mut chain = Vec::new();
        for start in 0..all.len() {
            let mut place = Some(start);
            let end = loop {
                let Some((at, process)) = place.and_then(|at| Some((at, all.get(at)?))) else {
                    // Its parent ended while we read. As PID 1 we are who it was
                    // handed to; else another may be.
                    break if us.as_raw() == 1 { Kin::Ours } else { Kin::Foreign };
                };
                match kin.get(at) {
                    Some(Kin::Unknown) if process.pid == us => break Kin::Foreign,
                    Some(Kin::Unknown) if chain.len() > all.len() => break Kin::Foreign,
                    Some(Kin::Unknown) => {}
                    Some(known) => break *known,
                    None => break Kin::Foreign,
                }
                memory::push(&mut chain, at)?;
                match process.parent {
                    parent if parent == us => break Kin::Ours,
                    parent if parent.as_raw() == 0 => break Kin::Foreign,
                    parent => place = find(&all, parent),
                }
            };
            while let Some(at) = chain.pop() {
                kin.get_mut(at).into_iter().for_each(|kin| *kin = end);
            }
        }
        let session = find(&all, us).and_then(|at| all.get(at)).map(|own| own.session);
        let mut kin = kin.into_iter();
        all.retain(|_| kin.next() == Some(Kin::Ours));
        let mut tree = Tree {
            list: all,
            us,
            session: session.unwrap_or(Pid::from_raw(0)),
            ours: None,
            links: Vec::new(),
        };
        tree.link()?;
        Some(tree)
    }

    /// Whether somebody's parent was not there any more, so that all below may be
    /// missing: worth another look, where that look is cheap.
    pub fn may_lack_somebody(us: Pid, all: &[Process]) -> bool {
        let lost = |p: &Process| p.parent.as_raw() != 0 && find(all, p.parent).is_none();
        us.as_raw() != 1 && all.iter().any(lost)
    }

    /// From the last to the first, so that siblings are in the order of pids.
    fn link(&mut self) -> Option<()> {
        for _ in &self.list {
            memory::push(&mut self.links, Links::default())?;
        }
        for at in (0..self.list.len()).rev() {
            let Some(process) = self.list.get(at) else { continue };
            let above = find(&self.list, process.parent).filter(|_| process.parent != self.us);
            let next = match above.and_then(|above| self.links.get_mut(above)) {
                Some(parent) => parent.first_child.replace(at),
                // Ours, or its parent ended while we read.
                None => self.ours.replace(at),
            };
            self.links.get_mut(at).into_iter().for_each(|links| links.next_sibling = next);
        }
        Some(())
    }

    pub fn get(&self, pid: Pid) -> Option<&Process> {
        self.list.get(find(&self.list, pid)?)
    }

    pub fn living(&self) -> impl Iterator<Item = &Process> {
        self.list.iter().filter(|process| !process.zombie)
    }

    /// The living children of this process.
    pub fn children(&self, parent: Pid) -> impl Iterator<Item = &Process> {
        let first = match parent == self.us {
            true => self.ours,
            false => find(&self.list, parent).and_then(|at| self.links.get(at)?.first_child),
        };
        let next = |at: &usize| self.links.get(*at)?.next_sibling;
        std::iter::successors(first, next)
            .filter_map(|at| self.list.get(at))
            .filter(|process| !process.zombie)
    }

    /// Our own living children: the main child and orphans.
    pub fn ours(&self) -> impl Iterator<Item = &Process> {
        self.children(self.us)
    }

    pub fn is_leaf(&self, pid: Pid) -> bool {
        self.children(pid).next().is_none()
    }

    /// Its ancestors up to our own child.
    pub fn above(&self, process: &Process) -> impl Iterator<Item = &Process> {
        let up = |below: &&Process| self.get(below.parent);
        std::iter::successors(self.get(process.parent), up).take(self.list.len())
    }
}

/// Its place in a list that is in the order of pids.
fn find(list: &[Process], pid: Pid) -> Option<usize> {
    list.binary_search_by_key(&pid, |process| process.pid).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::process::tests::process;

    fn tree(us: i32, list: &[(i32, i32)]) -> Tree {
        let list = list.iter().map(|&(pid, parent)| process(pid, parent, "x")).collect();
        Tree::below(Pid::from_raw(us), list).unwrap()
    }

    fn pids<'a>(list: impl Iterator<Item = &'a Process>) -> Vec<i32> {
        list.map(|process| process.pid.as_raw()).collect()
    }

    #[test]
    fn below_us_and_nobody_else() {
        let list = [(1, 0), (2, 1), (3, 2), (4, 9), (5, 0), (6, 5), (7, 7), (9, 3)];
        let of_1 = tree(1, &list);
        assert_eq!(pids(of_1.list.iter()), [2, 3, 4, 9], "5 was execed");
        assert_eq!(pids(of_1.ours()), [2]);
        assert_eq!(pids(of_1.children(Pid::from_raw(3))), [9]);
        assert_eq!(pids(of_1.above(of_1.get(Pid::from_raw(4)).unwrap())), [9, 3, 2]);
        let of_2 = tree(2, &list);
        assert_eq!((pids(of_2.list.iter()), pids(of_2.ours())), (vec![3, 4, 9], vec![3]));
        assert!(of_2.is_leaf(Pid::from_raw(4)) && !of_2.is_leaf(Pid::from_raw(9)));
    }

    #[test]
    fn whose_parent_is_missing_is_ours_only_as_pid_1() {
        let list = [(1, 0), (2, 1), (4, 3)];
        assert_eq!(pids(tree(1, &list).ours()), [2, 4]);
        assert_eq!(pids(tree(2, &list).list.iter()), [0; 0]);
        assert!(Tree::may_lack_somebody(Pid::from_raw(2), &tree(1, &list).list));
    }

    #[test]
    fn rings_end() {
        assert_eq!(pids(tree(1, &[(1, 0), (2, 3), (3, 2), (4, 2)]).list.iter()), [0; 0]);
    }

    #[test]
    fn a_chain_of_30_000_in_either_direction_takes_no_time() {
        for upwards in [true, false] {
            let parent = |n: i32| if upwards { n - 1 } else { (n + 1) % 30_000 };
            let mut list: Vec<_> =
                (1..30_000).map(|n| (n, if n == 1 { 0 } else { parent(n) })).collect();
            if !upwards {
                list.last_mut().unwrap().1 = 1;
            }
            let start = std::time::Instant::now();
            assert_eq!(tree(1, &list).list.len(), 29_998);
            assert!(start.elapsed().as_secs() < 2);
        }
    }
}
