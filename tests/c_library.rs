//! `build/c_library.rs`: what stands in the place of functions of the C library does what they do.
#![allow(unsafe_code, clippy::unwrap_used, missing_docs, reason = "calls it as the C library does")]

use std::ffi::{c_int, c_void};

#[path = "../build/c_library.rs"]
mod c_library;

/// An address of a name, as large as musl's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Address {
    key: i32,
    rest: [u8; 24],
}

extern "C" fn order(one: *const c_void, other: *const c_void) -> c_int {
    let key = |at: *const c_void| unsafe { at.cast::<Address>().read().key };
    key(one).cmp(&key(other)) as c_int
}

fn sorted(keys: &[i32]) -> Vec<Address> {
    let mut all: Vec<_> = (0..).zip(keys).map(|(at, key)| Address { key: *key, rest: [at; 24] }).collect();
    unsafe { c_library::qsort(all.as_mut_ptr().cast(), all.len(), size_of::<Address>(), order) };
    all
}

#[test]
fn addresses_come_into_order_and_equals_stay_as_they_were() {
    let keys: Vec<i32> = (0..48).map(|n: i32| n * 37 % 11 - 5).collect();
    for keys in [&[][..], &[7], &[2, 1], &[1, 2, 3], &[3, 2, 1, 0, -1], &keys] {
        let mut expected: Vec<_> = (0..).zip(keys).map(|(at, key)| Address { key: *key, rest: [at; 24] }).collect();
        expected.sort_by_key(|address| address.key);
        assert_eq!(sorted(keys), expected);
    }
    assert_eq!(c_library::pthread_setname_np(0, std::ptr::null()), 0);
}
