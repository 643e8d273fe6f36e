//! A map for what most processes have little of: links, monitors, aliases.
//!
//! An empty one has no memory of its own, and a few entries lie side by side, where looking at each is faster than
//! hashing. Past that it is a hash map with the standard library's hashes: its keys may be a peer's, who must not be able
//! to choose ones that fall together.

use std::{collections::HashMap, hash::Hash, mem};

/// See the module. Keys are in no order.
#[derive(Debug)]
pub(crate) enum Table<K, V> {
    Few(Vec<(K, V)>),
    #[expect(clippy::box_collection, reason = "so that those with few entries are no larger")]
    Many(Box<HashMap<K, V>>),
}

/// How many entries lie side by side.
const FEW_MAX: usize = 12;

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<K: Eq + Hash, V> Table<K, V> {
    /// What the key had before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self {
            Self::Few(few) => {
                if let Some((_, before)) = few.iter_mut().find(|(known, _)| *known == key) {
                    return Some(mem::replace(before, value));
                }
                if few.len() == FEW_MAX {
                    let mut many: HashMap<K, V> = mem::take(few).into_iter().collect();
                    many.insert(key, value);
                    *self = Self::Many(Box::new(many));
                } else {
                    few.push((key, value));
                }
                None
            }
            Self::Many(many) => many.insert(key, value),
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        match self {
            Self::Few(few) => few.iter().find(|(known, _)| known == key).map(|(_, value)| value),
            Self::Many(many) => many.get(key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self {
            Self::Few(few) => few.iter_mut().find(|(known, _)| known == key).map(|(_, value)| value),
            Self::Many(many) => many.get_mut(key),
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Self::Few(few) => {
                // The last is looked at first: calls take back what they have set last.
                let nth = few.iter().rposition(|(known, _)| known == key)?;
                Some(few.swap_remove(nth).1)
            }
            Self::Many(many) => many.remove(key),
        }
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        match self {
            Self::Few(few) => few.retain_mut(|(key, value)| keep(key, value)),
            Self::Many(many) => many.retain(keep),
        }
    }

    /// Takes out all that match.
    pub(crate) fn extract(&mut self, mut wanted: impl FnMut(&K, &V) -> bool) -> Vec<(K, V)> {
        match self {
            Self::Few(few) => few.extract_if(.., |(key, value)| wanted(key, value)).collect(),
            Self::Many(many) => many.extract_if(|key, value| wanted(key, value)).collect(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (few, many) = match self {
            Self::Few(few) => (Some(few), None),
            Self::Many(many) => (None, Some(many)),
        };
        few.into_iter()
            .flatten()
            .map(|(key, value)| (key, value))
            .chain(many.into_iter().flat_map(|many| many.iter()))
    }

    /// All that there is, leaving nothing.
    pub(crate) fn take(&mut self) -> Vec<(K, V)> {
        match mem::take(self) {
            Self::Few(few) => few,
            Self::Many(many) => many.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_and_many_are_kept_alike() {
        for count in [1, FEW_MAX, FEW_MAX + 1, 100] {
            let (mut table, mut wanted) = (Table::default(), HashMap::new());
            for key in 0..count {
                assert_eq!(table.insert(key, 0), None);
                assert_eq!((table.insert(key, key * 2), wanted.insert(key, key * 2)), (Some(0), None));
            }
            assert_eq!(matches!(table, Table::Many(_)), count > FEW_MAX);
            assert_eq!(table.iter().map(|(k, v)| (*k, *v)).collect::<HashMap<_, _>>(), wanted);
            *table.get_mut(&0).expect("it is there") += 1;
            assert_eq!((table.get(&0), table.get(&count)), (Some(&1), None));
            assert_eq!((table.remove(&0), table.remove(&0)), (Some(1), None));
            let mut odd = table.extract(|key, _| key % 2 == 1);
            odd.sort_unstable();
            assert_eq!(odd, (0..count).filter(|n| n % 2 == 1).map(|n| (n, n * 2)).collect::<Vec<_>>());
            table.retain(|key, _| key % 4 == 0);
            let mut rest = table.take();
            rest.sort_unstable();
            assert_eq!(rest, (1..count).filter(|n| n % 4 == 0).map(|n| (n, n * 2)).collect::<Vec<_>>());
            assert!(table.take().is_empty());
        }
    }
}
