//! Maps.

use crate::Term;

/// An Erlang map: keys are compared with exact equality (`=:=`), so `1` and `1.0` are two keys.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
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
        self.entries.iter().find(|(k, _)| k.is_atom(key)).map(|(_, v)| v)
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

    fn find(&self, key: &Term) -> Result<usize, usize> {
        self.entries.iter().position(|(k, _)| k == key).ok_or(self.entries.len())
    }
}

/// Later values replace earlier ones of the same key.
impl FromIterator<(Term, Term)> for Map {
    fn from_iter<I: IntoIterator<Item = (Term, Term)>>(iter: I) -> Self {
        let mut map = Self::new();
        for (key, value) in iter {
            map.insert(key, value);
        }
        map
    }
}

impl IntoIterator for Map {
    type Item = (Term, Term);
    type IntoIter = std::vec::IntoIter<(Term, Term)>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}
