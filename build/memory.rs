//! The allocator of the program on musl: what is small comes from `dlmalloc`, what is large from the C library, which gives
//! it back to the kernel when it is freed.
//!
//! The C library of cross builds rounds up to powers of two, and keeps apart what each size once took: half as much again
//! (docs/decisions/0006-size.md).
#![allow(unsafe_code, reason = "an allocator; it hands on what the two below it return")]

use dlmalloc::GlobalDlmalloc;
use std::alloc::{GlobalAlloc, Layout, System};

/// Above this the C library of cross builds maps pages, and only as many as it takes.
const LARGE: usize = 32 << 10;

struct Memory;

#[global_allocator]
static MEMORY: Memory = Memory;

/// Where a block of this size lives.
fn home(size: usize) -> &'static dyn GlobalAlloc {
    if size > LARGE { &System } else { &GlobalDlmalloc }
}

// SAFETY: a block is given back to where it came from, for its size says where that was.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { home(layout.size()).alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { home(layout.size()).alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { home(layout.size()).dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if (layout.size() > LARGE) == (size > LARGE) {
            return unsafe { home(size).realloc(block, layout, size) };
        }
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}
