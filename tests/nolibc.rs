//! `kernel/nolibc` beside the system's C library: the same answers, the same
//! errno, the same bytes. Here its functions are Rust's alone (their C names
//! belong to the release binary), so that both can be called.

// A test that cannot go on panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

#[path = "../src/kernel/nolibc/mod.rs"]
mod nolibc;

use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeSet;
use std::ffi::{CStr, CString, OsString, c_char, c_int, c_void};
use std::fs::{self, File};
use std::io;
use std::mem::zeroed;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::ptr::{self, null, null_mut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nolibc::{c, directory, exec, memory, syscall};

/// errno is one for all threads, and dispositions are.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set_errno(error: c_int) {
    // SAFETY: each is an int that lives as long as its thread.
    unsafe { (*libc::__errno_location(), *syscall::__errno_location()) = (error, error) };
}

/// Ours and libc's, called one after the other: answer and errno.
macro_rules! same {
    ($module:ident::$name:ident($($argument:expr),*)) => {{
        set_errno(0);
        #[allow(unused_unsafe)]
        // SAFETY: as the C library wants it.
        let ours = unsafe { $module::$name($($argument),*) };
        #[allow(unused_unsafe)]
        // SAFETY: as above.
        let theirs = unsafe { libc::$name($($argument),*) };
        let errno = io::Error::last_os_error().raw_os_error();
        assert_eq!((ours, Some(syscall::errno())), (theirs, errno), stringify!($name));
        ours
    }};
}

/// xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Up to 128 KiB, the small as likely as the large.
    fn size(&mut self) -> usize {
        let bits = self.below(17);
        1 + self.below(2 << bits)
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

/// Bytes that end where the next page may not be touched.
struct Guarded(*mut u8);

const PAGES: usize = 2 * 65_536;

impl Guarded {
    fn new() -> Guarded {
        // SAFETY: a new mapping, and its second half is not used.
        unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let start = libc::mmap(null_mut(), 2 * PAGES, access, kind, -1, 0);
            assert_ne!(start, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(start.byte_add(PAGES), PAGES, libc::PROT_NONE), 0);
            Guarded(start.cast())
        }
    }

    fn last(&self, bytes: &[u8]) -> *mut u8 {
        // SAFETY: within the first half.
        unsafe {
            let at = self.0.add(PAGES - bytes.len());
            ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len());
            at
        }
    }
}

/// Every length up to four words and some, at every alignment of both sides and
/// with every overlap, then long ones. All other bytes stay as they are.
#[test]
fn memory_is_copied_moved_and_set() {
    let mut random = Random(12);
    let mut check = |from: usize, to: usize, n: usize| {
        let before = random.bytes(from.max(to) + n + 16);
        let byte = random.next() as u8;
        let changed = |call: &dyn Fn(*mut c_void, *const c_void) -> *mut c_void| {
            let mut bytes = before.clone();
            let base = bytes.as_mut_ptr().cast::<c_void>();
            let (to, from) = (base.wrapping_byte_add(to), base.wrapping_byte_add(from));
            assert_eq!(call(to, from), to);
            bytes
        };
        let mut moved = before.clone();
        moved.copy_within(from..from + n, to);
        // SAFETY: all of these lie within `bytes`.
        let ours = changed(&|to, from| unsafe { memory::memmove(to, from, n) });
        assert!(ours == moved, "memmove {from} {to} {n}");
        if from.abs_diff(to) >= n {
            // SAFETY: and they do not overlap.
            let ours = changed(&|to, from| unsafe { memory::memcpy(to, from, n) });
            assert!(ours == moved, "memcpy {from} {to} {n}");
        }
        let mut set = before.clone();
        set[to..to + n].fill(byte);
        // Only the lowest byte counts.
        let wide = c_int::from(byte) - 256;
        // SAFETY: as above.
        let ours = changed(&|to, _| unsafe { memory::memset(to, wide, n) });
        assert!(ours == set, "memset {to} {n}");
    };
    for n in 0..40 {
        for from in 0..48 {
            for to in 0..48 {
                check(from, to, n);
            }
        }
    }
    let mut random = Random(13);
    for _ in 0..2_000 {
        check(random.below(5_000), random.below(5_000), random.below(10_000));
    }
}

#[test]
fn memory_is_compared_as_by_the_c_library() {
    let mut random = Random(14);
    for round in 0..20_000 {
        let n = random.below(if round % 10 == 0 { 5_000 } else { 40 });
        let (at, other) = (random.below(16), random.below(16));
        let mut a = random.bytes(at + n);
        let mut b = vec![0; other];
        b.extend(&a[at..]);
        if n > 0 && round % 3 > 0 {
            a[at + random.below(n)] ^= 1 << random.below(8);
        }
        if round % 7 == 0 {
            b.iter_mut().for_each(|byte| *byte = random.next() as u8);
        }
        let (a, b) = (a[at..].as_ptr().cast(), b[other..].as_ptr().cast());
        // SAFETY: n bytes each.
        unsafe {
            let theirs = libc::memcmp(a, b, n).signum();
            assert_eq!(memory::memcmp(a, b, n).signum(), theirs);
            assert_eq!(memory::bcmp(a, b, n) != 0, theirs != 0);
        }
    }
}

#[test]
fn nothing_is_read_or_written_behind_the_end() {
    let (one, two) = (Guarded::new(), Guarded::new());
    let mut random = Random(15);
    for n in 1..100 {
        let mut bytes: Vec<u8> = random.bytes(n).iter().map(|byte| byte | 1).collect();
        bytes[n - 1] = 0;
        let (a, b) = (one.last(&bytes), two.last(&bytes));
        // SAFETY: n bytes of each, and a string that ends with the page.
        unsafe {
            assert_eq!(memory::strlen(a.cast()), n - 1);
            assert_eq!(memory::memcmp(a.cast(), b.cast(), n), 0);
            memory::memcpy(a.cast(), b.cast(), n);
            memory::memmove(a.cast(), b.cast(), n);
            memory::memset(a.cast(), 0, n);
        }
    }
}

/// What execvpe is given, beside a folder full of pitfalls.
struct Search<'a> {
    path: Option<&'a str>,
    name: &'a str,
}

type Vector = *const *const c_char;
type Execvpe = unsafe extern "C" fn(*const c_char, Vector, Vector) -> c_int;

/// What the program said, or errno.
fn run(execvpe: Execvpe, folder: &Path, search: &Search) -> Result<String, Option<i32>> {
    unsafe extern "C" {
        static mut environ: Vector;
    }
    let words = |words: Vec<String>| -> (Vec<CString>, Vec<usize>) {
        let words: Vec<_> = words.into_iter().map(|word| CString::new(word).unwrap()).collect();
        let vector = words.iter().map(|word| word.as_ptr() as usize).chain([0]).collect();
        (words, vector)
    };
    let path =
        search.path.map(|path| format!("PATH={}", path.replace('@', folder.to_str().unwrap())));
    let (_variables, environment) =
        words(["PATHS=/".to_owned()].into_iter().chain(path).chain(["X=1".to_owned()]).collect());
    let (_arguments, argv) = words(vec!["zero".into(), "one".into(), "two words".into()]);
    let name = CString::new(search.name).unwrap();
    let mut command = Command::new("/bin/true");
    command.current_dir(folder.join("here")).stdin(Stdio::null()).stderr(Stdio::null());
    // SAFETY: vectors that were made before the fork, and system calls.
    unsafe {
        command.pre_exec(move || {
            environ = environment.as_ptr().cast();
            execvpe(name.as_ptr(), argv.as_ptr().cast(), environ);
            let ours = execvpe as usize == exec::execvpe as Execvpe as usize;
            let error = if ours { syscall::errno() } else { *libc::__errno_location() };
            Err(io::Error::from_raw_os_error(error))
        });
    }
    let output = command.output().map_err(|error| error.raw_os_error())?;
    Ok(format!("{} {}", output.status, String::from_utf8(output.stdout).unwrap()))
}

fn file(path: PathBuf, mode: u32, content: &str) {
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_program_is_found_where_the_c_library_finds_it() {
    let _alone = alone();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("path");
    let _ = fs::remove_dir_all(&folder);
    for name in ["here", "denied", "folder/tool", "good", "loop", "plain", "broken", "busy"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    let script = |text: &str| format!("#!/bin/sh\necho {text} $# \"$@\" $X\n");
    file(folder.join("here/tool"), 0o755, &script("here"));
    file(folder.join("here/local"), 0o755, &script("local"));
    file(folder.join("denied/tool"), 0o644, &script("denied"));
    file(folder.join("denied/only"), 0o644, &script("only"));
    file(folder.join("good/tool"), 0o755, &script("good"));
    // No program to the kernel: for the shell.
    file(folder.join("plain/tool"), 0o755, "echo plain $0 $# \"$@\"\n");
    file(folder.join("broken/tool"), 0o755, "#!/nowhere/interpreter\n");
    file(folder.join("file"), 0o755, "");
    symlink("tool", folder.join("loop/tool")).unwrap();
    file(folder.join("busy/tool"), 0o755, &script("busy"));
    let _writer = File::options().append(true).open(folder.join("busy/tool")).unwrap();
    let long = "x".repeat(5_000);
    let long_element = format!("@/{long}:@/good");
    let long_name = "n".repeat(256);
    let longest = "n".repeat(255);
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (direct, plain, absent) = (at("good/tool"), at("plain/tool"), at("absent"));
    let paths = [
        None,
        Some(""),
        Some(":"),
        Some("@/good"),
        Some("@/absent:@/good"),
        Some("@/absent:"),
        Some("@/denied:@/good"),
        Some("@/denied:@/absent"),
        Some("@/denied"),
        Some("@/folder:@/good"),
        Some("@/folder"),
        Some("@/file:@/good"),
        Some("@/loop:@/good"),
        Some("@/broken:@/good"),
        Some("@/busy:@/good"),
        Some("@/plain:@/good"),
        Some("@/good::@/plain"),
        Some("::@/good"),
        Some("../good"),
    ];
    let names = [
        "tool",
        "local",
        "only",
        "true",
        "absent",
        "",
        ".",
        "./local",
        "../plain/tool",
        &direct,
        &plain,
        &absent,
        &long_name,
        &longest,
    ];
    let mut answers = BTreeSet::new();
    for path in paths {
        for name in names {
            let search = Search { path, name };
            let ours = run(exec::execvpe, &folder, &search);
            assert_eq!(ours, run(libc::execvpe, &folder, &search), "{path:?} {name:?}");
            answers.insert(ours);
        }
    }
    // Too long for any path: passed over. (glibc 2.36 also looks into the current
    // folder then, which nobody has named.)
    let good = Search { path: Some("@/good"), name: "tool" };
    let long = Search { path: Some(&long_element), name: "tool" };
    assert_eq!(run(exec::execvpe, &folder, &long), run(libc::execvpe, &folder, &good));
    // The cases are what they seem.
    for error in [libc::ENOENT, libc::EACCES, libc::ELOOP, libc::ETXTBSY, libc::ENAMETOOLONG] {
        assert!(answers.contains(&Err(Some(error))), "{error}");
    }
    for said in ["good 2 one two words 1", "here", "local", "plain"] {
        let says =
            |answer: &Result<String, _>| answer.as_ref().is_ok_and(|text| text.contains(said));
        assert!(answers.iter().any(says), "{said}");
    }
}

fn names(folder: &Path, opened: impl FnOnce()) -> Vec<OsString> {
    let path = CString::new(folder.to_str().unwrap()).unwrap();
    let mut names = vec![];
    // SAFETY: an open stream; an entry is copied before the next call.
    unsafe {
        let stream = directory::opendir(path.as_ptr());
        assert!(!stream.is_null());
        opened();
        loop {
            set_errno(7);
            let entry = directory::readdir(stream);
            if entry.is_null() {
                // The end is no error.
                assert_eq!(syscall::errno(), 7);
                break;
            }
            let name = CStr::from_ptr((&raw const (*entry).d_name).cast());
            names.push(OsString::from_vec(name.to_bytes().to_vec()));
        }
        assert_eq!(directory::closedir(stream), 0);
    }
    names.retain(|name| name != "." && name != "..");
    names
}

#[test]
fn ten_thousand_names_in_a_directory() {
    let _alone = alone();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("names");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for n in 0..10_000 {
        // Of every length that there is.
        let name = format!("{n:0>width$}", width = 5 + n % 251);
        File::create(folder.join(name)).unwrap();
    }
    let theirs: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let ours = names(&folder, || ());
    assert_eq!(ours.len(), 10_000);
    assert!(ours == theirs);
    // One that is removed while it is open is at its end.
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    assert!(names(&folder, || fs::remove_dir(&folder).unwrap()).is_empty());
    for path in [c"/absent", c"/dev/null", c""] {
        assert!(same!(directory::opendir(path.as_ptr())).is_null());
    }
}

#[test]
fn dispositions_are_laid_out_as_the_kernel_wants_them() {
    let _alone = alone();
    const SIGNAL: c_int = libc::SIGWINCH;
    // glibc's own flag: where its way back from a handler is.
    const RESTORER: c_int = 0x0400_0000;
    type Sigaction =
        unsafe extern "C" fn(c_int, *const libc::sigaction, *mut libc::sigaction) -> c_int;
    let (ours, theirs): (Sigaction, Sigaction) = (c::sigaction, libc::sigaction);
    // SAFETY: no handler; a zeroed sigaction is one.
    unsafe {
        let mut wanted: libc::sigaction = zeroed();
        for disposition in [libc::SIG_IGN, libc::SIG_DFL] {
            wanted.sa_sigaction = disposition;
            wanted.sa_flags = libc::SA_RESTART | libc::SA_NOCLDSTOP;
            for signal in [libc::SIGHUP, libc::SIGTERM, 64] {
                libc::sigaddset(&mut wanted.sa_mask, signal);
            }
            for (set, get) in [(ours, theirs), (theirs, ours), (ours, ours)] {
                let mut found: libc::sigaction = zeroed();
                assert_eq!(set(SIGNAL, &wanted, null_mut()), 0);
                assert_eq!(get(SIGNAL, null(), &mut found), 0);
                assert_eq!(found.sa_sigaction, disposition);
                assert_eq!(found.sa_flags & !RESTORER, wanted.sa_flags);
                for signal in 1..=64 {
                    assert_eq!(
                        libc::sigismember(&found.sa_mask, signal),
                        libc::sigismember(&wanted.sa_mask, signal),
                        "{signal}"
                    );
                }
            }
        }
        same!(c::sigaction(65, null(), null_mut()));
        same!(c::sigaction(libc::SIGKILL, &wanted, null_mut()));
        // No way back from a handler: refused, where it would crash.
        extern "C" fn handler(_: c_int) {}
        wanted.sa_sigaction = handler as extern "C" fn(c_int) as usize;
        assert_eq!(c::sigaction(SIGNAL, &wanted, null_mut()), -1);
        assert_eq!(syscall::errno(), libc::ENOSYS);
    }
}

#[test]
fn signals_are_sets_sent_and_taken() {
    let _alone = alone();
    for signal in 1..=64 {
        // SAFETY: sets; glibc refuses 32 and 33.
        unsafe {
            let mut ours: libc::sigset_t = zeroed();
            libc::sigfillset(&mut ours);
            same!(c::sigemptyset(&mut ours));
            assert_eq!(c::sigaddset(&mut ours, signal), 0);
            for other in (1..=64).filter(|other| ![32, 33].contains(other)) {
                assert_eq!(libc::sigismember(&ours, other), c_int::from(signal == other));
            }
        }
    }
    same!(c::__libc_current_sigrtmin());
    same!(c::__libc_current_sigrtmax());
    // SAFETY: a signal that this thread blocks, and the test's own thread takes.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigaddset(&mut set, libc::SIGRTMIN() + 3);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, null_mut());
        let now: libc::timespec = zeroed();
        same!(c::sigtimedwait(&set, null_mut(), &now));
        let mut infos: [libc::siginfo_t; 2] = zeroed();
        for (take, info) in [c::sigtimedwait, libc::sigtimedwait].iter().zip(&mut infos) {
            let value = libc::sigval { sival_ptr: ptr::without_provenance_mut(42) };
            libc::pthread_sigqueue(libc::pthread_self(), libc::SIGRTMIN() + 3, value);
            assert_eq!(take(&set, info, null()), libc::SIGRTMIN() + 3);
        }
        assert_eq!(infos[0].si_pid(), libc::getpid());
        assert_eq!(infos[0].si_value().sival_ptr, infos[1].si_value().sival_ptr);
        assert_eq!(infos[0].si_code, infos[1].si_code);
    }
    same!(c::kill(libc::getpid(), 0));
    same!(c::kill(i32::MAX, 0));
    same!(c::kill(libc::getpid(), 65));
}

#[test]
fn processes_and_their_ends() {
    let _alone = alone();
    same!(c::getpid());
    same!(c::getppid());
    same!(c::getpgrp());
    for pid in [0, 1, std::process::id() as i32, i32::MAX, -1] {
        same!(c::getpgid(pid));
        same!(c::getsid(pid));
    }
    same!(c::setpgid(i32::MAX, 0));
    for fd in [-1, File::open("/dev/null").unwrap().as_raw_fd()] {
        same!(c::tcgetpgrp(fd));
        same!(c::tcsetpgrp(fd, 1));
    }
    same!(c::waitpid(i32::MAX, null_mut(), 0));
    let child = || Command::new("sh").args(["-c", "kill -9 $$"]).spawn().unwrap().id();
    let (one, two) = (child(), child());
    // SAFETY: siginfo and int are written.
    unsafe {
        let mut infos: [libc::siginfo_t; 2] = zeroed();
        let flags = libc::WEXITED | libc::WNOWAIT;
        assert_eq!(c::waitid(libc::P_PID, one, &mut infos[0], flags), 0);
        assert_eq!(libc::waitid(libc::P_PID, two, &mut infos[1], flags), 0);
        assert_eq!((infos[0].si_pid(), infos[1].si_pid()), (one as i32, two as i32));
        assert_eq!(infos[0].si_status(), infos[1].si_status());
        let mut statuses = [0; 2];
        assert_eq!(c::waitpid(one as i32, &mut statuses[0], 0), one as i32);
        assert_eq!(libc::waitpid(two as i32, &mut statuses[1], 0), two as i32);
        assert_eq!(statuses, [libc::SIGKILL; 2]);
        same!(c::waitid(libc::P_PID, one, null_mut(), libc::WEXITED));
    }
}

#[test]
fn a_child_that_shares_our_memory() {
    let _alone = alone();
    extern "C" fn body(place: *mut c_void) -> c_int {
        // SAFETY: below.
        unsafe { place.cast::<u64>().write(0x0123_4567_89ab_cdef) };
        77
    }
    let mut stack = vec![0u8; 65_536];
    let mut place = 0u64;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // Also a stack that is not aligned.
    for end in 65_520..65_536 {
        // SAFETY: the body writes to `place`, on a stack of its own, while we wait.
        unsafe {
            place = 0;
            let top = stack.as_mut_ptr().add(end).cast();
            let pid = c::clone(body, top, flags, (&raw mut place).cast());
            assert!(pid > 0);
            assert_eq!(ptr::read_volatile(&place), 0x0123_4567_89ab_cdef);
            let mut status = 0;
            assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
            assert_eq!(libc::WEXITSTATUS(status), 77);
        }
    }
    // SAFETY: refused.
    unsafe {
        let top: *mut c_void = stack.as_mut_ptr().add(65_536).cast();
        same!(c::clone(body, top, libc::CLONE_THREAD, (&raw mut place).cast()));
    }
}

#[test]
fn files_pipes_and_clocks() {
    let _alone = alone();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("file");
    let _ = fs::remove_file(&path);
    let name = CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: buffers of the length that is said.
    unsafe {
        let fd = c::open(name.as_ptr(), libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, 0o640);
        assert!(fd >= 0);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o640, 0o640);
        same!(c::open(name.as_ptr(), libc::O_CREAT | libc::O_EXCL, 0o640));
        same!(c::open(c"/absent".as_ptr(), libc::O_RDONLY, 0));
        same!(c::write(fd, c"0123456789".as_ptr().cast(), 10));
        same!(c::write(-1, c"".as_ptr().cast(), 0));
        let (mut ours, mut theirs) = ([0u8; 32], [0u8; 32]);
        assert_eq!(c::pread(fd, ours.as_mut_ptr().cast(), 32, 3), 17);
        assert_eq!(libc::pread(fd, theirs.as_mut_ptr().cast(), 32, 3), 17);
        assert_eq!(ours, theirs);
        let mut stats: [libc::stat; 2] = zeroed();
        assert_eq!(c::fstat(fd, &mut stats[0]), 0);
        assert_eq!(libc::fstat(fd, &mut stats[1]), 0);
        let facts = |s: &libc::stat| (s.st_mode, s.st_ino, s.st_size, s.st_mtime_nsec, s.st_nlink);
        assert_eq!(facts(&stats[0]), facts(&stats[1]));
        same!(c::fstat(-1, &mut stats[0]));
        let (mut ours, mut theirs) = ([0u8; 32], [0u8; 32]);
        libc::lseek(fd, 0, libc::SEEK_SET);
        assert_eq!(c::read(fd, ours.as_mut_ptr().cast(), 5), 5);
        assert_eq!(libc::read(fd, theirs.as_mut_ptr().cast(), 5), 5);
        assert_eq!((&ours[..5], &theirs[..5]), (&b"01234"[..], &b"56789"[..]));
        same!(c::read(-1, ours.as_mut_ptr().cast(), 5));
        let (mut ours, mut theirs) = ([0 as c_char; 300], [0 as c_char; 300]);
        let link = c"/proc/self/exe".as_ptr();
        assert_eq!(
            c::readlink(link, ours.as_mut_ptr(), 300),
            libc::readlink(link, theirs.as_mut_ptr(), 300)
        );
        assert_eq!(ours, theirs);
        same!(c::readlink(name.as_ptr(), ours.as_mut_ptr(), 300));
        same!(c::chdir(c".".as_ptr()));
        same!(c::chdir(name.as_ptr()));
        // Seven words, the number included: one more than fit into registers.
        let part = libc::iovec { iov_base: c"abc".as_ptr().cast_mut().cast(), iov_len: 3 };
        let at = 4;
        let part: *const libc::iovec = &part;
        assert_eq!(c::syscall(libc::SYS_pwritev2, fd as usize, part as usize, 1, at, 0, 0), 3);
        assert_eq!(fs::read(&path).unwrap(), b"0123abc7890123456789");
        assert_eq!(
            c::syscall(libc::SYS_pwritev2, fd as usize, part as usize, 1, at, 0, 1 << 30),
            -1
        );
        assert_eq!(syscall::errno(), libc::EOPNOTSUPP);
        assert_eq!(c::close(fd), 0);
        same!(c::close(fd));
        same!(c::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0));
        same!(c::prctl(-1, 0, 0, 0, 0));
        for clock in [libc::CLOCK_MONOTONIC, libc::CLOCK_BOOTTIME] {
            let mut times: [libc::timespec; 3] = zeroed();
            libc::clock_gettime(clock, &mut times[0]);
            assert_eq!(c::clock_gettime(clock, &mut times[1]), 0);
            libc::clock_gettime(clock, &mut times[2]);
            assert!(times.is_sorted_by_key(|time| (time.tv_sec, time.tv_nsec)));
        }
        same!(c::clock_gettime(-1, &mut zeroed()));
        let (one, two) = UnixStream::pair().unwrap();
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let mut poll = libc::pollfd { fd: two.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        assert_eq!(same!(c::poll(&mut poll, 1, 0)), 0);
        assert_eq!(same!(c::poll(&mut poll, 1, 3)), 0);
        same!(c::send(one.as_raw_fd(), c"x".as_ptr().cast(), 1, flags));
        for timeout in [0, 1_500, -1] {
            assert_eq!(same!(c::poll(&mut poll, 1, timeout)), 1);
            assert_eq!(poll.revents, libc::POLLIN);
        }
        drop(two);
        assert_eq!(same!(c::send(one.as_raw_fd(), c"x".as_ptr().cast(), 1, flags)), -1);
    }
}

/// Hundreds at a time, of all sizes and alignments, each with a content of its own
/// that nothing else overwrites.
#[test]
fn what_is_allocated_keeps_its_content_and_is_given_back() {
    let _alone = alone();
    let allocator = &nolibc::alloc::ALLOCATOR;
    let mut random = Random(16);
    let mut held: Vec<(*mut u8, Layout, Vec<u8>)> = vec![];
    let mut grown = vec![];
    for round in 0..40_000 {
        if held.len() < 300 {
            let layout = Layout::from_size_align(random.size(), 1 << random.below(13));
            let layout = layout.unwrap();
            // SAFETY: not of size 0; what is read was allocated.
            let start = unsafe { allocator.alloc_zeroed(layout) };
            assert!(!start.is_null() && start.addr() % layout.align() == 0);
            held.push((start, layout, vec![0; layout.size()]));
        }
        let n = random.below(held.len());
        let (start, layout, content) = &mut held[n];
        // SAFETY: as large as its layout, which follows what it becomes.
        unsafe {
            assert!(std::slice::from_raw_parts(*start, layout.size()) == &content[..]);
            match random.below(3) {
                0 => {
                    *content = random.bytes(layout.size());
                    start.copy_from(content.as_ptr(), content.len());
                }
                1 => {
                    let size = random.size();
                    *start = allocator.realloc(*start, *layout, size);
                    assert!(!start.is_null() && start.addr() % layout.align() == 0);
                    *layout = Layout::from_size_align(size, layout.align()).unwrap();
                    let kept = content.len().min(size);
                    assert!(std::slice::from_raw_parts(*start, kept) == &content[..kept]);
                    content.resize(size, 0);
                    start.copy_from(content.as_ptr(), content.len());
                }
                _ => {
                    allocator.dealloc(*start, *layout);
                    held.swap_remove(n);
                }
            }
        }
        if round % 10_000 == 9_999 {
            grown.push(fs::read_to_string("/proc/self/statm").unwrap());
        }
    }
    let pages = |statm: &String| statm.split(' ').next().unwrap().parse::<usize>().unwrap();
    assert!(pages(&grown[3]) < pages(&grown[0]) + 5_000, "memory grows: {grown:?}");
    // What cannot be had is no memory, and no error of the process.
    for (size, align) in [(isize::MAX as usize - 4096, 1), (1, 65_536)] {
        // SAFETY: not of size 0.
        assert!(unsafe {
            allocator.alloc(Layout::from_size_align(size, align).unwrap()).is_null()
        });
    }
}
