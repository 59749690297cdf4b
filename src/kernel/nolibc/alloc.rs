//! The allocator. drainit allocates lists of processes while it looks at them, and
//! the stack of its child where the command is very long; nothing while it is idle.
//!
//! What is large is a mapping of its own: it goes back to the kernel as soon as it
//! is freed, and a list that grows is moved without a copy. What is small comes
//! from a page of pieces of one size and goes back to a list of these, for the
//! next that is as small.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;

use super::memory::memcpy;
use super::syscall::syscall;

#[cfg_attr(not(test), global_allocator)]
pub static ALLOCATOR: Allocator = Allocator([const { Cell::new(ptr::null_mut()) }; CLASSES]);

/// The free pieces of each size, 1 to half a page by powers of two, each with a
/// pointer to the next one in it.
pub struct Allocator([Cell<*mut Piece>; CLASSES]);

type Piece = *mut u8;

// SAFETY: there are no threads, no signal has a handler, and while a child of
// vfork's uses our memory we are suspended.
unsafe impl Sync for Allocator {}

const CLASSES: usize = PAGE.trailing_zeros() as usize;
/// The least there is; where pages are larger the kernel rounds up further.
const PAGE: usize = 4096;

enum Room {
    /// A piece of this class.
    Piece(usize),
    /// So many bytes.
    Mapping(usize),
}

fn room(layout: Layout, bytes: usize) -> Room {
    let least = bytes.max(layout.align()).max(size_of::<Piece>());
    match least.checked_next_power_of_two() {
        Some(size) if size < PAGE => Room::Piece(size.trailing_zeros() as usize),
        _ => Room::Mapping(bytes),
    }
}

/// Zeroed memory; NULL if there is none.
pub fn map(bytes: usize) -> *mut u8 {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: new memory, wherever there is room.
    pointer(unsafe { syscall!(SYS_mmap, 0, bytes, access, kind, -1isize, 0) })
}

fn pointer(answer: isize) -> *mut u8 {
    match answer {
        ..0 => ptr::null_mut(),
        address => ptr::with_exposed_provenance_mut(address as usize),
    }
}

impl Allocator {
    fn take(&self, class: usize) -> *mut u8 {
        let Some(free) = self.0.get(class) else { return ptr::null_mut() };
        if free.get().is_null() {
            let page = map(PAGE);
            if page.is_null() {
                return page;
            }
            for at in (0..PAGE).step_by(1 << class) {
                // SAFETY: a piece within the new page.
                unsafe { self.give_back(page.add(at), class) };
            }
        }
        let piece = free.get();
        // SAFETY: it is free, and so has the next one in it.
        free.set(unsafe { piece.read() }.cast());
        piece.cast()
    }

    /// # Safety
    ///
    /// A piece of this class, which nobody uses.
    unsafe fn give_back(&self, start: *mut u8, class: usize) {
        let piece = start.cast::<Piece>();
        if let Some(free) = self.0.get(class) {
            // SAFETY: by the caller's word; it is as large as a pointer, and aligned.
            unsafe { piece.write(free.get().cast()) };
            free.set(piece);
        }
    }
}

// SAFETY: pieces and mappings do not overlap, stay until they are given back, and
// are aligned to their own size or to a page; larger alignments are refused.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match room(layout, layout.size()) {
            Room::Piece(class) => self.take(class),
            Room::Mapping(bytes) if layout.align() <= PAGE => map(bytes),
            Room::Mapping(_) => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        match room(layout, layout.size()) {
            // SAFETY: from `alloc` with this layout, by the caller's word.
            Room::Piece(class) => unsafe { self.give_back(start, class) },
            Room::Mapping(bytes) => {
                // SAFETY: likewise, and so a whole mapping.
                unsafe { syscall!(SYS_munmap, start, bytes) };
            }
        }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        match (room(layout, layout.size()), room(layout, bytes)) {
            (Room::Piece(old), Room::Piece(new)) if old == new => start,
            (Room::Mapping(old), Room::Mapping(new)) => {
                // SAFETY: a whole mapping, by the caller's word, who uses only the answer.
                pointer(unsafe { syscall!(SYS_mremap, start, old, new, libc::MREMAP_MAYMOVE) })
            }
            // SAFETY: both have the smaller of the two sizes; the size is the
            // caller's, who keeps it within what a layout may have.
            _ => unsafe {
                let new = self.alloc(Layout::from_size_align_unchecked(bytes, layout.align()));
                if !new.is_null() {
                    memcpy(new.cast(), start.cast_const().cast(), layout.size().min(bytes));
                    self.dealloc(start, layout);
                }
                new
            },
        }
    }
}
