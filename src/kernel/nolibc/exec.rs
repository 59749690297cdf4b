//! execvpe: what glibc's does, in the same order. PATH is that of the new
//! environment, though, and not that of our own, which for us is the same.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use drainit::text::bytes::{EMPTY, after, c_string};

use super::alloc;
use super::memory::strlen;
use super::syscall::{errno, fail, result, syscall};

type Vector = *const *const c_char;

/// Where there is no PATH: confstr(3), _CS_PATH.
const DEFAULT: &[u8] = b"/bin:/usr/bin";

/// An element of PATH, `/`, a name, NUL.
const ROOM: usize = libc::PATH_MAX as usize + 1 + NAME_MAX + 1;
const NAME_MAX: usize = 255;

/// Not on the stack: after vfork its pages are the parent's, for as long as it lives.
static PATHNAME: Pathname = Pathname(UnsafeCell::new([MaybeUninit::uninit(); ROOM]));

struct Pathname(UnsafeCell<[MaybeUninit<u8>; ROOM]>);

// SAFETY: there are no threads, and who has called vfork is suspended.
unsafe impl Sync for Pathname {}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn execvpe(file: *const c_char, argv: Vector, environ: Vector) -> c_int {
    // SAFETY: C strings, and vectors of them, by the caller's word.
    unsafe {
        let name = std::slice::from_raw_parts(file.cast::<u8>(), strlen(file));
        if name.is_empty() {
            return fail(libc::ENOENT) as c_int;
        }
        if name.contains(&b'/') {
            return execute(file, argv, environ);
        }
        if name.len() > NAME_MAX {
            return fail(libc::ENAMETOOLONG) as c_int;
        }
        let mut denied = false;
        let room = &mut *PATHNAME.0.get();
        for folder in path(environ).split(|&byte| byte == b':') {
            if folder.len() >= libc::PATH_MAX as usize {
                continue;
            }
            // An empty element is the current folder.
            let slash: &[u8] = if folder.is_empty() { b"" } else { b"/" };
            let mut free = room.iter_mut();
            for part in [folder, slash, name, EMPTY.to_bytes_with_nul()] {
                part.iter().zip(&mut free).for_each(|(from, to)| _ = to.write(*from));
            }
            execute(room.as_ptr().cast(), argv, environ);
            match errno() {
                libc::EACCES => denied = true,
                // Not here, or on a file server that is away.
                libc::ENOENT | libc::ESTALE | libc::ENOTDIR | libc::ENODEV | libc::ETIMEDOUT => {}
                _ => return -1,
            }
        }
        // There was one, but not for us.
        if denied {
            fail(libc::EACCES);
        }
        -1
    }
}

/// The value of PATH.
unsafe fn path<'a>(environ: Vector) -> &'a [u8] {
    // SAFETY: a vector of C strings that ends with NULL, by the caller's word.
    let mut words = (0..).map_while(|n| unsafe {
        let word = *environ.add(n);
        (!word.is_null()).then(|| CStr::from_ptr(word).to_bytes())
    });
    words.find_map(|word| after(word, b"PATH=")).unwrap_or(DEFAULT)
}

/// execve, and a file that is no program to the kernel is a script to /bin/sh.
unsafe fn execute(path: *const c_char, argv: Vector, environ: Vector) -> c_int {
    // SAFETY: C strings, and vectors of them, by the caller's word.
    unsafe {
        let failed = result(syscall!(SYS_execve, path, argv, environ));
        if errno() == libc::ENOEXEC {
            let shell = c_string!("/bin/sh").as_ptr();
            if let Some(argv) = script(shell, path, argv) {
                result(syscall!(SYS_execve, shell, argv, environ));
            }
        }
        failed as c_int
    }
}

/// `/bin/sh PATH ARGUMENTS...`. After vfork an exec that works leaves its
/// memory to the parent: the vector is kept, and is large enough for the next
/// one of the same command.
unsafe fn script(shell: *const c_char, path: *const c_char, argv: Vector) -> Option<Vector> {
    static KEPT: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());
    static ROOM: AtomicUsize = AtomicUsize::new(0);
    // SAFETY: argv ends with NULL, by the caller's word; the new vector has room
    // for one word more.
    unsafe {
        let count = (0..).take_while(|&n| !(*argv.add(n)).is_null()).count();
        let room = count.max(1) + 2;
        if ROOM.load(Ordering::Relaxed) < room {
            KEPT.store(alloc::map(room * size_of::<Vector>()).cast(), Ordering::Relaxed);
            ROOM.store(room, Ordering::Relaxed);
        }
        let vector = KEPT.load(Ordering::Relaxed);
        if vector.is_null() {
            return None;
        }
        vector.write(shell);
        vector.add(1).write(path);
        (1..count).for_each(|n| vector.add(1 + n).write(*argv.add(n)));
        vector.add(room - 1).write(ptr::null());
        Some(vector)
    }
}
