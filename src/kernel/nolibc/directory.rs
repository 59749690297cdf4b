//! opendir and its kin, on getdents64.

use std::ffi::{c_char, c_int};
use std::ptr;

use libc::{DIR, dirent};

use super::alloc;
use super::syscall::{fail, result, syscall};

/// What DIR stands for.
#[repr(C)]
struct Stream {
    fd: c_int,
    /// The bytes of `entries` that the kernel filled, and the next one to give out.
    filled: usize,
    next: usize,
    entries: [u64; 4096],
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn opendir(path: *const c_char) -> *mut DIR {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: a C string, by the caller's word.
    let fd = result(unsafe { syscall!(SYS_openat, libc::AT_FDCWD, path, flags, 0) });
    if fd < 0 {
        return ptr::null_mut();
    }
    let stream = alloc::map(size_of::<Stream>()).cast::<Stream>();
    // SAFETY: all zero is an empty stream; the descriptor is ours.
    unsafe {
        if stream.is_null() {
            syscall!(SYS_close, fd);
            fail(libc::ENOMEM);
        } else {
            (*stream).fd = fd as c_int;
        }
    }
    stream.cast()
}

/// The entry lies in the stream: the kernel's linux_dirent64 is C's `dirent`,
/// where that has 64 bits.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn readdir(stream: *mut DIR) -> *mut dirent {
    let stream = stream.cast::<Stream>();
    // SAFETY: opened by opendir, by the caller's word; the kernel fills at most
    // `entries`, and each entry says where the next one begins.
    unsafe {
        let entries = &raw mut (*stream).entries;
        if (*stream).next == (*stream).filled {
            let length = size_of_val(&*entries);
            let answer = syscall!(SYS_getdents64, (*stream).fd, entries, length);
            // Also a folder that is removed is at its end.
            if answer == 0 || answer == -libc::ENOENT as isize || result(answer) < 0 {
                return ptr::null_mut();
            }
            (*stream).filled = answer as usize;
            (*stream).next = 0;
        }
        let entry = entries.byte_add((*stream).next).cast::<dirent>();
        (*stream).next += usize::from((*entry).d_reclen);
        entry
    }
}

#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn closedir(stream: *mut DIR) -> c_int {
    // SAFETY: opened by opendir, and not used again, by the caller's word.
    unsafe {
        let fd = (*stream.cast::<Stream>()).fd;
        syscall!(SYS_munmap, stream, size_of::<Stream>());
        result(syscall!(SYS_close, fd)) as c_int
    }
}
