//! Sorting and sorted collections that cost little flash.
//!
//! The standard library's `sort` and B-trees are compiled anew for every type they are used with, 4 to 8 KB each.
//! Here all that does not depend on the type exists once. Meant for some thousand items: [`Map`] and [`Set`] are
//! sorted vectors, so inserting in the middle moves what is behind.

mod map;
mod set;

pub use map::Map;
pub use set::Set;

use std::cmp::Ordering;

/// Sorts from the smallest to the largest; equal items keep their order.
pub fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, T::cmp);
}

/// Sorts by what `key` makes of an item; items with equal keys keep their order.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |a, b| key(a).cmp(&key(b)));
}

/// Sorts by `compare`; items that compare equal keep their order.
pub fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let places = sorted(items.len(), &|a, b| match (items.get(a), items.get(b)) {
        (Some(a), Some(b)) => compare(a, b),
        _ => Ordering::Equal,
    });
    arrange(places, &mut |a, b| items.swap(a, b));
}

/// The places of items in the order in which they should be; none where they are in order already.
fn sorted(length: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    if (1..length).all(|at| compare(at - 1, at).is_le()) {
        return Vec::new();
    }
    let mut places: Vec<usize> = (0..length).collect();
    let mut width = 1;
    while width < length {
        let mut merged = Vec::with_capacity(length);
        for pair in places.chunks(2 * width) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            merge(left, right, compare, &mut merged);
        }
        places = merged;
        width *= 2;
    }
    places
}

fn merge(left: &[usize], right: &[usize], compare: &dyn Fn(usize, usize) -> Ordering, into: &mut Vec<usize>) {
    let (mut left, mut right) = (left, right);
    while let ([first, more_left @ ..], [second, more_right @ ..]) = (left, right) {
        if compare(*first, *second).is_le() {
            into.push(*first);
            left = more_left;
        } else {
            into.push(*second);
            right = more_right;
        }
    }
    into.extend_from_slice(left);
    into.extend_from_slice(right);
}

/// Swaps items until at each place is the one whose place was `places[place]`: one cycle after the other.
fn arrange(mut places: Vec<usize>, swap: &mut dyn FnMut(usize, usize)) {
    for start in 0..places.len() {
        let mut at = start;
        while let Some(from) = places.get_mut(at).map(|place| std::mem::replace(place, at)) {
            if from == start {
                break;
            }
            swap(at, from);
            at = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same numbers on every run.
    fn numbers(length: usize) -> Vec<(u32, usize)> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 24
        };
        (0..length).map(|at| (next(), at)).collect()
    }

    #[test]
    fn every_length_is_sorted_as_the_standard_library_does_it() {
        for length in (0..70).chain([1000]) {
            let mut ours = numbers(length);
            let mut theirs = ours.clone();
            sort_by_key(&mut ours, |(number, _)| *number);
            theirs.sort_by_key(|(number, _)| *number);
            assert_eq!(ours, theirs, "{length} items");
        }
    }

    #[test]
    fn what_is_in_order_or_reversed() {
        let mut items: Vec<u8> = (0..100).collect();
        sort(&mut items);
        assert!(items.is_sorted());
        items.reverse();
        sort(&mut items);
        assert!(items.is_sorted());
    }
}
