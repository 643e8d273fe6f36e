//! Sorting a map's entries as they come off the wire.

use std::cmp::Ordering;

use crate::{Term, order::compare_exact};

/// Sorts by map-key order, and says whether each key is there once.
pub(super) fn sort_unique(entries: &mut [[Term; 2]]) -> bool {
    if entries.is_sorted_by(|[a, _], [b, _]| compare_exact(a, b) == Ordering::Less) {
        return true;
    }
    entries.sort_unstable_by(|[a, _], [b, _]| compare_exact(a, b));
    entries.windows(2).all(|pair| pair[0][0] != pair[1][0])
}
