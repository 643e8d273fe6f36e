//! Sorting a map's entries as they come off the wire.
//!
//! The BEAM writes a large map in the order of its hashes and a small one in the order of its atoms' numbers, so
//! entries come in any order. Comparing terms and moving entries of 64 bytes is slow. So a word is made of each key
//! first, which is in the same order as the keys as far as it reaches; the words are sorted, and each entry moves
//! once. Only keys whose words are the same are compared after that.

use std::{cmp::Ordering, mem, ops::Range};

use num_traits::Signed;

use crate::{BitString, Term, order::compare_exact};

/// Sorts keys and values in turn by map-key order, and says whether each key is there once.
pub(super) fn sort_unique(entries: &mut [[Term; 2]]) -> bool {
    if entries.len() <= SMALL_MAX {
        return sort_small(entries);
    }
    let skip = common_prefix(entries);
    let words: Vec<u64> = entries.iter().map(|[key, _]| word_of(key, skip)).collect();
    if words.is_sorted_by(|a, b| a < b) {
        return true;
    }
    let mut order = sorted_indices(&words);
    let mut start = 0;
    let is_same = |&a: &u32, &b: &u32| words[a as usize] == words[b as usize];
    let runs: Vec<Range<usize>> = order
        .chunk_by(is_same)
        .map(|run| {
            start += run.len();
            start - run.len()..start
        })
        .filter(|run| run.len() > 1)
        .collect();
    drop(words);
    permute(entries, &mut order);
    runs.into_iter().all(|run| sort_run(&mut entries[run]))
}

/// Moves each entry to its place. Where it comes from is forgotten on the way.
fn permute(entries: &mut [[Term; 2]], order: &mut [u32]) {
    for start in 0..order.len() {
        let mut from = mem::replace(&mut order[start], MOVED);
        if from == MOVED || from as usize == start {
            continue;
        }
        // A circle of places, each of which takes what the next one has.
        let first = mem::replace(&mut entries[start], FILLER);
        let mut to = start;
        while from as usize != start {
            let entry = mem::replace(&mut entries[from as usize], FILLER);
            put(&mut entries[to], entry);
            to = from as usize;
            from = mem::replace(&mut order[to], MOVED);
        }
        put(&mut entries[to], first);
    }
}

/// What stands in an entry while it is moved, which needs no dropping.
const FILLER: [Term; 2] = [Term::Int(0), Term::Int(0)];
/// There are fewer entries.
const MOVED: u32 = u32::MAX;

fn put(place: &mut [Term; 2], entry: [Term; 2]) {
    mem::forget(mem::replace(place, entry));
}

/// A map of so many entries or fewer is sorted without allocating: what the BEAM takes for a small one.
const SMALL_MAX: usize = 32;

/// By inserting.
fn sort_small(entries: &mut [[Term; 2]]) -> bool {
    let mut words = [0_u64; SMALL_MAX];
    for end in 0..entries.len() {
        let word = word_of(&entries[end][0], 0);
        let mut at = end;
        while at > 0 && words[at - 1] >= word {
            if words[at - 1] == word {
                match compare_exact(&entries[at - 1][0], &entries[end][0]) {
                    Ordering::Less => break,
                    Ordering::Equal => return false,
                    Ordering::Greater => {}
                }
            }
            at -= 1;
        }
        if at < end {
            words.copy_within(at..end, at + 1);
            entries[at..=end].rotate_right(1);
        }
        words[at] = word;
    }
    true
}

/// Keys that their words do not tell apart.
fn sort_run(entries: &mut [[Term; 2]]) -> bool {
    entries.sort_unstable_by(|[a, _], [b, _]| compare_exact(a, b));
    entries.is_sorted_by(|[a, _], [b, _]| a != b)
}

/// Where each entry comes from, in the order of the words.
fn sorted_indices(words: &[u64]) -> Vec<u32> {
    let differing = words.iter().fold(0, |bits, word| bits | (word ^ words[0]));
    let low = differing.trailing_zeros() % u64::BITS;
    let index_bits = usize::BITS - words.len().leading_zeros();
    if u64::BITS - differing.leading_zeros() - low + index_bits <= u64::BITS {
        // What differs, and the index, fit into one word.
        let packed = words.iter().zip(0_u64..);
        let packed = packed.map(|(word, index)| ((word & differing) >> low) << index_bits | index);
        let mut packed: Vec<u64> = packed.collect();
        packed.sort_unstable();
        #[expect(clippy::cast_possible_truncation, reason = "there are fewer entries than 2^32")]
        let index = |packed: u64| (packed & ((1 << index_bits) - 1)) as u32;
        return packed.into_iter().map(index).collect();
    }
    let mut pairs: Vec<(u64, u32)> = words.iter().copied().zip(0..).collect();
    pairs.sort_unstable();
    pairs.into_iter().map(|(_, index)| index).collect()
}

/// How many bytes all keys start with, if they are all atoms or all binaries.
fn common_prefix(entries: &[[Term; 2]]) -> usize {
    let kind = mem::discriminant(&entries[0][0]);
    let Some(first) = text_of(&entries[0][0]) else { return 0 };
    let mut skip = 0;
    while skip < first.len() {
        let first = word_at(first, skip);
        let mut differing = 0;
        for [key, _] in entries {
            match text_of(key) {
                Some(text) if mem::discriminant(key) == kind => differing |= word_at(text, skip) ^ first,
                _ => return 0,
            }
        }
        if differing != 0 {
            return skip + differing.leading_zeros() as usize / 8;
        }
        skip += 8;
    }
    skip
}

fn text_of(key: &Term) -> Option<&[u8]> {
    match key {
        Term::Atom(atom) => Some(atom.as_bytes()),
        Term::Binary(binary) => Some(binary.as_slice()),
        _ => None,
    }
}

/// A word that is less than another's only if the key is. Of a text's bytes the first `skip` do not count.
fn word_of(key: &Term, skip: usize) -> u64 {
    // The kinds in their order, integers before floats, and in the other bits what comes first in them.
    let (kind, word) = match key {
        Term::BigInt(big) if big.as_bigint().is_negative() => (0, 0),
        Term::Int(int) => (1, int.cast_unsigned() ^ 1 << 63),
        Term::BigInt(_) => (2, 0),
        Term::Float(float) => {
            let bits = float.get().to_bits();
            (3, if bits >> 63 == 0 { bits | 1 << 63 } else { !bits })
        }
        Term::Atom(atom) => (4, word_at(atom.as_bytes(), skip)),
        Term::Reference(_) => (5, 0),
        Term::Fun(_) => (6, 0),
        Term::Port(_) => (7, 0),
        Term::Pid(pid) => (8, u64::from(pid.serial) << 32 | u64::from(pid.id)),
        Term::Tuple(elements) => (9, elements.len() as u64),
        Term::Record(_) => (10, 0),
        Term::Map(map) => (11, map.len() as u64),
        Term::List(elements) if elements.is_empty() => (12, 0),
        Term::List(_) | Term::ImproperList(_) => (13, 0),
        Term::Binary(binary) => (14, word_at(binary, skip)),
        Term::BitString(bits) => (14, word_at(BitString::as_slice(bits), skip)),
    };
    kind << 60 | word >> 4
}

/// The eight bytes at an offset, with zeros after the end, the first the most significant.
fn word_at(text: &[u8], offset: usize) -> u64 {
    let Some(rest) = text.get(offset..) else { return 0 };
    if let Some(word) = rest.first_chunk() {
        return u64::from_be_bytes(*word);
    }
    if let (Some(word), true) = (text.last_chunk(), !rest.is_empty()) {
        // The last eight, less those before the offset.
        return u64::from_be_bytes(*word) << (8 * (8 - rest.len()));
    }
    rest.iter().zip(0..).fold(0, |word, (&byte, at)| word | u64::from(byte) << (56 - 8 * at))
}

#[cfg(test)]
mod tests;
