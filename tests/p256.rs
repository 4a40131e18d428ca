//! `build/p256.rs`: multiples of P-256's base point are what ring's own, with its table, are.
#![cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
#![allow(unsafe_code, reason = "calls ring's functions by their names")]

use ring as _;
use ring::rand::{SecureRandom, SystemRandom};

#[path = "../build/p256.rs"]
mod p256;

type Element = [usize; 4];
type Product = fn(&mut [Element; 3], &Element);

unsafe extern "C" {
    #[link_name = "ring_core_0_17_14__p256_point_mul_base"]
    fn base(product: *mut [Element; 3], scalar: *const Element);
    #[link_name = "ring_core_0_17_14__p256_point_mul_base_vartime"]
    fn base_vartime(product: *mut [Element; 3], scalar: *const Element);
    #[link_name = "ring_core_0_17_14__p256_mul_mont"]
    fn multiply(product: *mut Element, one: *const Element, other: *const Element);
    #[link_name = "__wrap_ring_core_0_17_14__p256_point_mul_base"]
    fn ours(product: *mut [Element; 3], scalar: *const Element);
    #[link_name = "__wrap_ring_core_0_17_14__p256_point_mul_base_vartime"]
    fn ours_vartime(product: *mut [Element; 3], scalar: *const Element);
}

fn times(one: &Element, other: &Element) -> Element {
    let mut product = Element::default();
    unsafe { multiply(&mut product, one, other) };
    product
}

/// Whether two points are one: x/z^2 and y/z^3 are the same.
fn same(one: &[Element; 3], other: &[Element; 3]) -> bool {
    let (one_squared, other_squared) = (times(&one[2], &one[2]), times(&other[2], &other[2]));
    times(&one[0], &other_squared) == times(&other[0], &one_squared)
        && times(&one[1], &times(&other_squared, &other[2])) == times(&other[1], &times(&one_squared, &one[2]))
}

fn is_infinite(point: &[Element; 3]) -> bool {
    point[2] == Element::default()
}

#[test]
fn multiples_of_the_base_point_are_those_of_the_table() {
    let random = SystemRandom::new();
    let mut scalars = vec![[1, 0, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1 << 63], [usize::MAX, 0, usize::MAX, 0]];
    // The order of the group less one.
    scalars.push([0xf3b9_cac2_fc63_2550, 0xbce6_faad_a717_9e84, 0xffff_ffff_ffff_ffff, 0xffff_ffff_0000_0000]);
    for _ in 0..200 {
        let mut bytes = [0; 32];
        random.fill(&mut bytes).unwrap();
        let mut words = bytes.chunks_exact(8).map(|word| usize::from_le_bytes(word.try_into().unwrap()));
        // Below the order of the group.
        scalars.push([(); 4].map(|()| words.next().unwrap()).map(|word| word & (usize::MAX >> 1)));
    }
    let pairs: [(Product, Product); 2] = [
        (|to, by| unsafe { base(to, by) }, |to, by| unsafe { ours(to, by) }),
        (|to, by| unsafe { base_vartime(to, by) }, |to, by| unsafe { ours_vartime(to, by) }),
    ];
    for (theirs, ours) in pairs {
        for scalar in &scalars {
            let (mut expected, mut got) = ([Element::default(); 3], [Element::default(); 3]);
            theirs(&mut expected, scalar);
            ours(&mut got, scalar);
            assert!(!is_infinite(&expected) && !is_infinite(&got), "{scalar:x?}");
            assert!(same(&expected, &got), "{scalar:x?}: {expected:x?} and {got:x?}");
        }
    }
}

/// With another version of ring the functions have other names: nothing breaks, but 151 KB are back.
#[test]
fn the_names_are_those_of_the_version_of_ring_that_is_built() {
    let lock = include_str!("../Cargo.lock");
    let version = lock.split("name = \"ring\"\nversion = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let name = format!("ring_core_{}__p256_point_mul", version.replace('.', "_"));
    for (file, text) in [
        ("build/p256.rs", include_str!("../build/p256.rs")),
        ("build/link.rs", include_str!("../build/link.rs")),
        ("cross/build", include_str!("../cross/build")),
    ] {
        assert!(text.contains(&name), "{file} has no {name}");
    }
}
