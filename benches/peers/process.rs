//! Starting an init with the probe below it, as PID 1 or as a plain process,
//! and reading what the kernel says of it.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::Command;

use crate::Peer;

pub struct Probe {
    path: PathBuf,
}

impl Probe {
    pub fn build() -> Probe {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("probe");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/probe.c");
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-Wall", "-Wextra", "-static", "-o"]).arg(&path).arg(source);
        if cfg!(target_arch = "x86_64") {
            cc.arg("-Wl,-e,entry");
        }
        assert!(cc.status().expect("a C compiler is missing: apt-get install gcc").success());
        Probe { path }
    }

    /// The whole command line: an init, and the probe in `mode` below it.
    pub fn below(&self, peer: &Peer, pid1: bool, mode: &[&str]) -> Vec<CString> {
        let mut words = vec![];
        if !peer.path.is_empty() {
            words.push(peer.path);
            words.extend(peer.subreaper.iter().filter(|_| !pid1));
            words.push("--");
        }
        words.push(self.path.to_str().unwrap());
        words.extend(mode);
        words.into_iter().map(|word| CString::new(word).unwrap()).collect()
    }

    pub fn start(&self, peer: &Peer, pid1: bool, mode: &[&str]) -> Running {
        let words = self.below(peer, pid1, mode);
        let mut argv: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
        argv.push(std::ptr::null());
        let environ = [c"PATH=/usr/bin:/bin".as_ptr(), std::ptr::null()];
        let mut pipe = [0; 2];
        let null = File::options().read(true).write(true).open("/dev/null").unwrap();
        // SAFETY: fork, and in the child nothing but system calls on memory
        // that was made before it. CLONE_NEWPID makes the child PID 1, which has a
        // /proc of its own, as in a container.
        unsafe {
            assert_eq!(libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC), 0);
            let stamp: *mut u64 = libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
            .cast();
            let contained = if pid1 { libc::CLONE_NEWPID | libc::CLONE_NEWNS } else { 0 };
            let flags = libc::SIGCHLD | contained;
            let pid = libc::syscall(libc::SYS_clone, flags as libc::c_long, 0, 0, 0, 0) as i32;
            assert!(pid >= 0, "clone: {} (root is needed)", std::io::Error::last_os_error());
            if pid == 0 {
                if pid1 {
                    let private = libc::MS_REC | libc::MS_PRIVATE;
                    let nothing = std::ptr::null();
                    libc::mount(nothing, c"/".as_ptr(), nothing, private, nothing.cast());
                    let proc = c"proc".as_ptr();
                    libc::mount(proc, c"/proc".as_ptr(), proc, 0, nothing.cast());
                }
                libc::setsid();
                while stamp.read_volatile() == 0 {
                    libc::sched_yield();
                }
                libc::dup2(null.as_raw_fd(), 0);
                libc::dup2(null.as_raw_fd(), 2);
                libc::dup2(pipe[1], 3);
                let mut usage: libc::rusage = std::mem::zeroed();
                libc::getrusage(libc::RUSAGE_SELF, &mut usage);
                *stamp.add(1) = usage.ru_minflt as u64;
                *stamp = now();
                libc::execve(argv[0], argv.as_ptr(), environ.as_ptr());
                libc::_exit(127);
            }
            libc::close(pipe[1]);
            let mounts = File::open(format!("/proc/{pid}/ns/mnt")).unwrap();
            stamp.write_volatile(1);
            let mut running = Running {
                pid,
                _mounts: mounts,
                stamps: File::from(OwnedFd::from_raw_fd(pipe[0])),
                exec: 0,
                faults: 0,
                first: 0,
            };
            running.first = running.stamp();
            (running.exec, running.faults) = (*stamp, *stamp.add(1));
            libc::munmap(stamp.cast(), 4096);
            running
        }
    }
}

/// An init with the probe below it. Ended when it goes out of scope.
pub struct Running {
    pub pid: i32,
    /// Held, so that unmounting is not counted as a part of the end.
    _mounts: File,
    stamps: File,
    /// When the init was `exec`ed.
    pub exec: u64,
    /// Page faults until then, which are ours.
    pub faults: u64,
    /// When the probe's first instruction ran.
    pub first: u64,
}

impl Running {
    /// The next time that the probe says.
    pub fn stamp(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.stamps.read_exact(&mut bytes).expect("the probe ended early");
        u64::from_ne_bytes(bytes)
    }

    pub fn kill(&self, signal: i32) {
        // SAFETY: not reaped yet.
        unsafe { libc::kill(self.pid, signal) };
    }

    /// When it ended. It stays a zombie, for its counts.
    pub fn wait(&self) -> u64 {
        // SAFETY: it writes a siginfo.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let flags = libc::WEXITED | libc::WNOWAIT;
            libc::waitid(libc::P_PID, self.pid as u32, &mut info, flags);
        }
        now()
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid)).unwrap()
    }

    /// The nth field of /proc/PID/stat, from 1 (proc(5)).
    pub fn stat(&self, n: usize) -> u64 {
        let stat = self.read("stat");
        stat.rsplit(") ").next().unwrap().split(' ').nth(n - 3).unwrap().parse().unwrap()
    }

    /// `Name:   123 kB`
    pub fn field(&self, file: &str, name: &str) -> u64 {
        let text = self.read(file);
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn switches(&self) -> u64 {
        self.field("status", "voluntary_ctxt") + self.field("status", "nonvoluntary_ctxt")
    }

    /// Nanoseconds on a CPU.
    pub fn cpu(&self) -> u64 {
        self.read("schedstat").split(' ').next().unwrap().parse().unwrap()
    }

    pub fn children(&self) -> Vec<i32> {
        let list = self.read(&format!("task/{}/children", self.pid));
        list.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A plain process leaves its children behind; as PID 1 it takes them along.
        for pid in self.children().into_iter().chain([self.pid]) {
            // SAFETY: our child, not reaped, and its children.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        // SAFETY: ours.
        unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
    }
}

pub fn now() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes a timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
