//! Who is in a group, and how often: a process may join as often as it likes, and leaves as often.

use std::collections::BTreeMap;

use etf::Pid;

/// See the module.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Members(BTreeMap<Pid, usize>);

impl Members {
    pub(super) fn add(&mut self, pid: &Pid) {
        *self.0.entry(pid.clone()).or_default() += 1;
    }

    /// One time less; whether there was one.
    pub(super) fn remove(&mut self, pid: &Pid) -> bool {
        match self.0.get_mut(pid) {
            Some(1) => self.0.remove(pid).is_some(),
            Some(times) => {
                *times -= 1;
                true
            }
            None => false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every process as often as it has joined.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pid> {
        self.0.iter().flat_map(|(pid, times)| std::iter::repeat_n(pid, *times))
    }

    /// What is here and not there, each as often as it is here more often.
    pub(super) fn without(&self, other: &Self) -> Vec<Pid> {
        let more = self.0.iter().flat_map(|(pid, times)| {
            let rest = times.saturating_sub(other.0.get(pid).copied().unwrap_or(0));
            std::iter::repeat_n(pid, rest)
        });
        more.cloned().collect()
    }
}

impl<'a> FromIterator<&'a Pid> for Members {
    fn from_iter<I: IntoIterator<Item = &'a Pid>>(pids: I) -> Self {
        let mut members = Self::default();
        pids.into_iter().for_each(|pid| members.add(pid));
        members
    }
}
