//! `build/memory.rs`: this program takes its memory from it, and C's functions are tried too.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "calls it as C does"
)]

use std::ffi::c_void;
use std::thread;

#[path = "../build/memory.rs"]
mod memory;

use memory::for_c::{calloc, free, malloc, posix_memalign, realloc};

/// Around what is large, and around what pages and heads are.
const SIZES: [usize; 14] = [0, 1, 15, 16, 17, 4095, 4096, 32_751, 32_752, 32_753, 32_768, 32_769, 100_000, 1_000_000];

fn fill(size: usize, seed: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 31 + seed) as u8).collect()
}

unsafe fn bytes<'a>(block: *mut c_void, size: usize) -> &'a mut [u8] {
    assert!(!block.is_null() && block.addr() % 16 == 0);
    unsafe { std::slice::from_raw_parts_mut(block.cast(), size) }
}

#[test]
fn what_grows_and_shrinks_stays_what_it_was() {
    let tries = |seed: usize| {
        for from in SIZES {
            for to in SIZES {
                let (before, kept) = (fill(from, seed), from.min(to));
                let mut vec = before.clone();
                vec.reserve_exact(to.saturating_sub(from));
                vec.truncate(to);
                vec.shrink_to_fit();
                assert_eq!(vec[..kept], before[..kept]);
                assert!(vec![0_u8; to].iter().all(|byte| *byte == 0));
            }
        }
    };
    thread::scope(|scope| {
        (0..4).for_each(|seed| drop(scope.spawn(move || tries(seed))));
    });
}

#[test]
fn blocks_of_c_are_what_c_asked_for() {
    for from in SIZES {
        for to in SIZES {
            let before = fill(from, to);
            let block = malloc(from);
            unsafe { bytes(block, from) }.copy_from_slice(&before);
            let zeroes = calloc(from, 1);
            let block = unsafe { realloc(block, to) };
            let kept = from.min(to);
            assert_eq!(unsafe { bytes(block, to) }[..kept], before[..kept]);
            assert!(unsafe { bytes(zeroes, from) }.iter().all(|byte| *byte == 0));
            unsafe {
                free(zeroes);
                free(block);
            }
        }
    }
    let block = unsafe { realloc(std::ptr::null_mut(), 7) };
    unsafe { bytes(block, 7) }.fill(1);
    unsafe {
        free(block);
        free(std::ptr::null_mut());
    }
}

#[test]
fn blocks_are_aligned_as_asked_for() {
    for align in [8, 16, 32, 64, 4096, 65_536] {
        for size in SIZES {
            let mut block = std::ptr::null_mut();
            assert_eq!(unsafe { posix_memalign(&raw mut block, align, size) }, 0);
            assert_eq!(block.addr() % align, 0);
            unsafe { bytes(block, size) }.fill(7);
            let block = unsafe { realloc(block, size + 1) };
            assert!(unsafe { bytes(block, size) }.iter().all(|byte| *byte == 7));
            unsafe { free(block) };
        }
    }
}

#[test]
fn what_there_is_not_is_refused() {
    assert!(malloc(usize::MAX).is_null() && malloc(usize::MAX - 16).is_null() && malloc(usize::MAX / 2).is_null());
    assert!(calloc(usize::MAX, 2).is_null());
    let (mut block, small) = (std::ptr::null_mut(), malloc(1));
    assert_ne!(unsafe { posix_memalign(&raw mut block, 64, usize::MAX - 32) }, 0);
    assert!(unsafe { realloc(small, usize::MAX) }.is_null());
    unsafe { bytes(small, 1) }.fill(1);
    unsafe { free(small) };
}
