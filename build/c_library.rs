//! Functions of the C library in place of its own, for static programs on musl: of its own the linker takes what stands
//! behind them along, which is more than they do here. See docs/decisions/0006-size.md.
//!
//! * The name of a thread is written by way of `snprintf`, which brings all of `printf` with its arithmetic of 128 bits.
//!   Threads only look up names here, and have none.
//! * `qsort` sorts the addresses of one name, 48 at the most.
#![allow(unsafe_code, reason = "called by the C library, which hands over what the two promise to take")]
#![allow(missing_docs)]

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
pub(crate) extern "C" fn pthread_setname_np(_thread: usize, _name: *const c_char) -> c_int {
    0
}

/// Swaps neighbours until all are in order.
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn qsort(
    first: *mut c_void,
    count: usize,
    size: usize,
    order: extern "C" fn(*const c_void, *const c_void) -> c_int,
) {
    let at = |index: usize| unsafe { first.byte_add(index * size) };
    for sorted in 1..count {
        for index in (1..=sorted).rev() {
            if order(at(index - 1), at(index)) <= 0 {
                break;
            }
            unsafe { ptr::swap_nonoverlapping(at(index - 1).cast::<u8>(), at(index).cast::<u8>(), size) };
        }
    }
}
