//! Maps.

use std::{cmp::Ordering, fmt};

use crate::{Term, order::compare_exact};

/// An Erlang map: keys are compared with exact equality (`=:=`), so `1` and `1.0` are two keys.
///
/// Entries lie sorted in one piece of memory. Looking a key up takes a binary search; inserting one moves the
/// entries after it, so build a large map with `collect`, which sorts once.
#[derive(Default, PartialEq, Eq, Hash)]
pub struct Map {
    /// Sorted by map-key order (wire.md 9), each key once.
    entries: Vec<(Term, Term)>,
}

impl Map {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// The map of these entries, or nothing if a key comes twice.
    pub(crate) fn try_from_entries(mut entries: Vec<(Term, Term)>) -> Option<Self> {
        if !entries.is_sorted_by(|a, b| compare_exact(&a.0, &b.0) == Ordering::Less) {
            entries.sort_unstable_by(|a, b| compare_exact(&a.0, &b.0));
            if entries.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                return None;
            }
        }
        Some(Self { entries })
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &Term) -> Option<&Term> {
        self.find(key).ok().map(|at| &self.entries[at].1)
    }

    /// The value of an atom key.
    #[must_use]
    pub fn get_atom(&self, key: &str) -> Option<&Term> {
        // Of all terms only numbers sort before atoms.
        let find = self.entries.binary_search_by(|(k, _)| match k {
            Term::Int(_) | Term::BigInt(_) | Term::Float(_) => Ordering::Less,
            Term::Atom(atom) => atom.as_str().cmp(key),
            _ => Ordering::Greater,
        });
        find.ok().map(|at| &self.entries[at].1)
    }

    /// Sets a key's value, and gives back the one it had.
    pub fn insert(&mut self, key: Term, value: Term) -> Option<Term> {
        match self.find(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.entries[at].1, value)),
            Err(at) => {
                self.entries.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes a key out, and gives back its value.
    pub fn remove(&mut self, key: &Term) -> Option<Term> {
        self.find(key).ok().map(|at| self.entries.remove(at).1)
    }

    /// The keys and values, in map-key order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Term, &Term)> + DoubleEndedIterator {
        self.entries.iter().map(|(k, v)| (k, v))
    }

    /// The entries, in map-key order.
    pub(crate) fn entries(&self) -> &[(Term, Term)] {
        &self.entries
    }

    fn find(&self, key: &Term) -> Result<usize, usize> {
        self.entries.binary_search_by(|(k, _)| compare_exact(k, key))
    }
}

/// By hand for the same reason as for [`Term`]: so that a level takes little stack.
impl Clone for Map {
    fn clone(&self) -> Self {
        let mut entries = Vec::with_capacity(self.entries.len());
        for (key, value) in &self.entries {
            entries.push((key.clone(), value.clone()));
        }
        Self { entries }
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
        Self { entries }
    }
}

impl IntoIterator for Map {
    type Item = (Term, Term);
    type IntoIter = std::vec::IntoIter<(Term, Term)>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}
