//! Multiples of P-256's base point without ring's table of them (151 KB), on the processors whose ring has one: as of any
//! other point, in constant time as well. It is needed a few times per handshake and costs 24 us more each time (30 for 6,
//! x86-64).
//!
//! The linker puts these functions in the place of ring's (`--wrap`, see `build/link.rs`), by their names, which hold
//! the version of ring: with another version ring's own are used, and the table is back. See
//! docs/decisions/0006-size.md.
#![allow(unsafe_code, reason = "functions of ring's, which are C, called and replaced by name")]

type Element = [u64; 4];

/// The base point, each coordinate times 2^256 modulo the prime, the least significant limb first.
const X: Element = [0x79e7_30d4_18a9_143c, 0x75ba_95fc_5fed_b601, 0x79fb_732b_7762_2510, 0x1890_5f76_a537_55c6];
const Y: Element = [0xddf2_5357_ce95_560a, 0x8b4a_b8e4_ba19_e45c, 0xd2e8_8688_dd21_f325, 0x8571_ff18_2588_5d85];

unsafe extern "C" {
    #[link_name = "ring_core_0_17_14__p256_point_mul"]
    fn point_mul(product: *mut [Element; 3], scalar: *const Element, x: *const Element, y: *const Element);
}

// SAFETY: ring hands a place for a point and a scalar of this many limbs, both valid.
#[unsafe(export_name = "__wrap_ring_core_0_17_14__p256_point_mul_base")]
unsafe extern "C" fn point_mul_base(product: *mut [Element; 3], scalar: *const Element) {
    unsafe { point_mul(product, scalar, &X, &Y) }
}

#[unsafe(export_name = "__wrap_ring_core_0_17_14__p256_point_mul_base_vartime")]
unsafe extern "C" fn point_mul_base_vartime(product: *mut [Element; 3], scalar: *const Element) {
    unsafe { point_mul(product, scalar, &X, &Y) }
}
