//! The allocator of static programs on musl: what is small comes from `dlmalloc`, what is large is mapped, and given back
//! to the kernel when it is freed. The C library takes its own from here too, so that its allocator is not linked.
//!
//! That one (cross builds have zig's) rounds up to powers of two, and keeps apart what each size once took: half as much
//! again (docs/decisions/0006-size.md).
#![allow(unsafe_code, reason = "an allocator; it hands on what dlmalloc and the kernel return")]
#![allow(missing_docs)]

use dlmalloc::GlobalDlmalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::ptr;

/// Above this a block is mapped.
const LARGE: usize = 32 << 10;
/// What every page is aligned to, whatever its size.
const PAGE: usize = 4096;

struct Memory;

#[global_allocator]
static MEMORY: Memory = Memory;

fn is_mapped(size: usize, align: usize) -> bool {
    size > LARGE && align <= PAGE
}

fn mapped(size: usize) -> *mut u8 {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let block = unsafe { libc::mmap(ptr::null_mut(), size, access, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    or_null(block)
}

fn or_null(block: *mut c_void) -> *mut u8 {
    if block == libc::MAP_FAILED { ptr::null_mut() } else { block.cast() }
}

// SAFETY: a block is given back to where it came from, for its layout says where that was.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout.size(), layout.align()) {
            return mapped(layout.size());
        }
        unsafe { GlobalDlmalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout.size(), layout.align()) {
            return mapped(layout.size());
        }
        unsafe { GlobalDlmalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_mapped(layout.size(), layout.align()) {
            unsafe { libc::munmap(block.cast(), layout.size()) };
        } else {
            unsafe { GlobalDlmalloc.dealloc(block, layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (was, is) = (is_mapped(layout.size(), layout.align()), is_mapped(size, layout.align()));
        match (was, is) {
            (true, true) => or_null(unsafe { libc::mremap(block.cast(), layout.size(), size, libc::MREMAP_MAYMOVE) }),
            (false, false) => unsafe { GlobalDlmalloc.realloc(block, layout, size) },
            _ => unsafe {
                let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                    self.dealloc(block, layout);
                }
                moved
            },
        }
    }
}

/// What C gets: its size stands in front of it, for C does not say it again.
mod for_c {
    use super::*;

    /// In front of every block; as much as C's largest type is aligned to.
    const HEAD: usize = 16;

    fn layout(size: usize) -> Option<Layout> {
        Layout::from_size_align(size.checked_add(HEAD)?, HEAD).ok()
    }

    /// The layout of a block that C was given.
    unsafe fn layout_of(block: *mut c_void) -> Option<Layout> {
        layout(unsafe { block.byte_sub(HEAD).cast::<usize>().read() })
    }

    unsafe fn headed(block: *mut u8, size: usize) -> *mut c_void {
        if block.is_null() {
            return ptr::null_mut();
        }
        unsafe {
            block.cast::<usize>().write(size);
            block.add(HEAD).cast()
        }
    }

    #[unsafe(no_mangle)]
    extern "C" fn malloc(size: usize) -> *mut c_void {
        layout(size).map_or(ptr::null_mut(), |layout| unsafe { headed(MEMORY.alloc(layout), size) })
    }

    #[unsafe(no_mangle)]
    extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
        let Some(size) = count.checked_mul(size) else { return ptr::null_mut() };
        layout(size).map_or(ptr::null_mut(), |layout| unsafe { headed(MEMORY.alloc_zeroed(layout), size) })
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
        if block.is_null() {
            return malloc(size);
        }
        let (Some(old), Some(new)) = (unsafe { layout_of(block) }, layout(size)) else { return ptr::null_mut() };
        unsafe { headed(MEMORY.realloc(block.byte_sub(HEAD).cast(), old, new.size()), size) }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn free(block: *mut c_void) {
        if !block.is_null() {
            if let Some(layout) = unsafe { layout_of(block) } {
                unsafe { MEMORY.dealloc(block.byte_sub(HEAD).cast(), layout) }
            }
        }
    }
}
