//! Whether the kernel's out-of-memory killer was here.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use super::file;
use crate::text::bytes::{after, c_string};
use crate::text::number::number;

/// Where a container sees its own cgroup: version 2, then version 1.
const COUNTS: [&CStr; 2] = [
    c_string!("/sys/fs/cgroup/memory.events"),
    c_string!("/sys/fs/cgroup/memory/memory.oom_control"),
];

/// How many processes of this cgroup the OOM killer has ended: the line
/// `oom_kill N` (Documentation/admin-guide/cgroup-v2.rst; since Linux 4.13).
pub struct OomKills {
    /// Kept open: one call at the end of a run.
    file: OwnedFd,
    pub before: u64,
}

impl OomKills {
    /// Counts from now on.
    pub fn watch() -> Option<OomKills> {
        let file = COUNTS.iter().find_map(|path| file::open(path, libc::O_RDONLY).ok())?;
        let before = count(&file)?;
        Some(OomKills { file, before })
    }

    pub fn now(&self) -> Option<u64> {
        count(&self.file)
    }
}

fn count(file: &OwnedFd) -> Option<u64> {
    parse(file::read(file, &mut [0; 512]).ok()?)
}

fn parse(counts: &[u8]) -> Option<u64> {
    counts.split(|&byte| byte == b'\n').find_map(|line| number(after(line, b"oom_kill ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions() {
        assert_eq!(parse(b"low 0\nhigh 1\nmax 9\noom 2\noom_kill 3\noom_group_kill 4\n"), Some(3));
        assert_eq!(parse(b"oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"), Some(5));
        assert_eq!(parse(b"low 0\n"), None);
    }
}
