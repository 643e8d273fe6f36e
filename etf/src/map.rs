//! Maps.

use std::{cmp::Ordering, fmt};

use crate::{Elements, Term, order::compare_exact};

mod sort;

/// An Erlang map: keys are compared with exact equality (`=:=`), so `1` and `1.0` are two keys.
///
/// Entries lie sorted in one piece of memory. Looking a key up takes a binary search; inserting one moves the
/// entries after it, so build a large map with `collect`, which sorts once.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Map {
    /// Key, value, key, value and so on: sorted by map-key order (wire.md 9), each key once.
    ///
    /// Flat, because that is how they come off the wire.
    flat: Elements,
}

impl Map {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self { flat: Elements::new() }
    }

    /// The map of keys and values in turn, or nothing if a key comes twice.
    pub(crate) fn try_from_flat(flat: impl Into<Elements>) -> Option<Self> {
        let mut flat = flat.into();
        sort::sort_unique(flat.as_chunks_mut().0).then_some(Self { flat })
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flat.len() / 2
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flat.is_empty()
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &Term) -> Option<&Term> {
        self.find(key).ok().map(|at| &self.entries()[at][1])
    }

    /// The value of an atom key.
    #[must_use]
    pub fn get_atom(&self, key: &str) -> Option<&Term> {
        // Of all terms only numbers sort before atoms.
        let find = self.entries().binary_search_by(|[k, _]| match k {
            Term::Int(_) | Term::BigInt(_) | Term::Float(_) => Ordering::Less,
            Term::Atom(atom) => atom.as_str().cmp(key),
            _ => Ordering::Greater,
        });
        find.ok().map(|at| &self.entries()[at][1])
    }

    /// Sets a key's value, and gives back the one it had.
    pub fn insert(&mut self, key: Term, value: Term) -> Option<Term> {
        match self.find(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.entries_mut()[at][1], value)),
            Err(at) => {
                self.flat.extend([key, value]);
                self.entries_mut()[at..].rotate_right(1);
                None
            }
        }
    }

    /// Takes a key out, and gives back its value.
    pub fn remove(&mut self, key: &Term) -> Option<Term> {
        let at = self.find(key).ok()?;
        self.entries_mut()[at..].rotate_left(1);
        let value = self.flat.pop();
        self.flat.pop();
        value
    }

    /// The keys and values, in map-key order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Term, &Term)> + DoubleEndedIterator {
        self.entries().iter().map(|[k, v]| (k, v))
    }

    /// The entries, in map-key order.
    pub(crate) fn entries(&self) -> &[[Term; 2]] {
        self.flat.as_chunks().0
    }

    /// The keys and values in turn, in map-key order.
    pub(crate) fn as_flat(&self) -> &[Term] {
        &self.flat
    }

    pub(crate) fn elements(&self) -> &Elements {
        &self.flat
    }

    pub(crate) fn into_elements(self) -> Elements {
        self.flat
    }

    /// Those of another map.
    pub(crate) fn from_elements(flat: Elements) -> Self {
        Self { flat }
    }

    fn entries_mut(&mut self) -> &mut [[Term; 2]] {
        self.flat.as_chunks_mut().0
    }

    fn find(&self, key: &Term) -> Result<usize, usize> {
        self.entries().binary_search_by(|[k, _]| compare_exact(k, key))
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Later values replace earlier ones of the same key.
impl FromIterator<(Term, Term)> for Map {
    fn from_iter<I: IntoIterator<Item = (Term, Term)>>(iter: I) -> Self {
        let mut entries: Vec<(Term, Term)> = iter.into_iter().collect();
        // Stable, so that of equal keys the last is the latest; `dedup_by` keeps the first, hence reversed.
        entries.reverse();
        entries.sort_by(|a, b| compare_exact(&a.0, &b.0));
        entries.dedup_by(|later, kept| later.0 == kept.0);
        Self { flat: entries.into_iter().flat_map(<[Term; 2]>::from).collect() }
    }
}

impl IntoIterator for Map {
    type Item = (Term, Term);
    type IntoIter = MapIntoIter;
    fn into_iter(self) -> MapIntoIter {
        MapIntoIter(self.flat.into_iter())
    }
}

/// The keys and values of a map, in map-key order.
#[derive(Debug)]
pub struct MapIntoIter(std::vec::IntoIter<Term>);

impl Iterator for MapIntoIter {
    type Item = (Term, Term);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().zip(self.0.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.0.len() / 2;
        (len, Some(len))
    }
}

impl DoubleEndedIterator for MapIntoIter {
    fn next_back(&mut self) -> Option<Self::Item> {
        let value = self.0.next_back();
        self.0.next_back().zip(value)
    }
}

impl ExactSizeIterator for MapIntoIter {}
