//! The allocator of static programs on musl: what is small comes from `dlmalloc`, what is large is mapped, and given back
//! to the kernel when it is freed. The C library takes its own from here too, so that its allocator is not linked.
//!
//! That one (cross builds have zig's) rounds up to powers of two, and keeps apart what each size once took: half as much
//! again (docs/decisions/0006-size.md).
#![allow(unsafe_code, reason = "an allocator; it hands on what dlmalloc and the kernel return")]
#![allow(missing_docs)]

use dlmalloc::GlobalDlmalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_int, c_void};
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

/// What C gets. In front of each block stands how large the whole is and where it begins, for C does not say it again.
pub(crate) mod for_c {
    use super::*;

    /// In front of every block; as much as C's largest type is aligned to.
    const HEAD: usize = 16;

    /// What was allocated for a block.
    struct Whole {
        size: usize,
        /// From the begin of the whole to the block.
        before: usize,
    }

    impl Whole {
        unsafe fn of(block: *mut c_void) -> Self {
            unsafe { block.byte_sub(HEAD).cast::<Self>().read() }
        }

        fn layout(&self) -> Layout {
            // SAFETY: that of a block that there is.
            unsafe { Layout::from_size_align_unchecked(self.size, HEAD) }
        }

        /// What C may use of it.
        fn usable(&self) -> usize {
            self.size - self.before
        }
    }

    /// A block of C, aligned to `align` and at least to [`HEAD`], got by `alloc`.
    fn block(size: usize, align: usize, alloc: unsafe fn(&Memory, Layout) -> *mut u8) -> *mut c_void {
        let more = if align > HEAD { align } else { 0 };
        let whole = size.checked_add(HEAD).and_then(|size| size.checked_add(more));
        let Some(layout) = whole.and_then(|whole| Layout::from_size_align(whole, HEAD).ok()) else {
            return ptr::null_mut();
        };
        let start = unsafe { alloc(&MEMORY, layout) };
        if start.is_null() {
            return ptr::null_mut();
        }
        unsafe {
            let first = start.add(HEAD);
            let block = first.add(if more > 0 { first.align_offset(align) } else { 0 });
            let whole = Whole { size: layout.size(), before: block.addr() - start.addr() };
            block.sub(HEAD).cast::<Whole>().write(whole);
            block.cast()
        }
    }

    #[cfg_attr(target_env = "musl", unsafe(no_mangle))]
    pub(crate) extern "C" fn malloc(size: usize) -> *mut c_void {
        block(size, HEAD, Memory::alloc)
    }

    #[cfg_attr(target_env = "musl", unsafe(no_mangle))]
    pub(crate) extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
        count.checked_mul(size).map_or(ptr::null_mut(), |size| block(size, HEAD, Memory::alloc_zeroed))
    }

    #[cfg_attr(target_env = "musl", unsafe(no_mangle))]
    pub(crate) unsafe extern "C" fn realloc(old: *mut c_void, size: usize) -> *mut c_void {
        let new = malloc(size);
        if !old.is_null() && !new.is_null() {
            unsafe {
                ptr::copy_nonoverlapping(old.cast::<u8>(), new.cast(), Whole::of(old).usable().min(size));
                free(old);
            }
        }
        new
    }

    #[cfg_attr(target_env = "musl", unsafe(no_mangle))]
    pub(crate) unsafe extern "C" fn free(block: *mut c_void) {
        if !block.is_null() {
            let whole = unsafe { Whole::of(block) };
            unsafe { MEMORY.dealloc(block.byte_sub(whole.before).cast(), whole.layout()) }
        }
    }

    #[cfg_attr(target_env = "musl", unsafe(no_mangle))]
    pub(crate) unsafe extern "C" fn posix_memalign(to: *mut *mut c_void, align: usize, size: usize) -> c_int {
        let block = block(size, align, Memory::alloc);
        if block.is_null() {
            return libc::ENOMEM;
        }
        unsafe { to.write(block) };
        0
    }
}
