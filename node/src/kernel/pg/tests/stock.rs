//! What a scope of OTP 23 to 27 keeps of its peers, and where it ends itself: the model that the simulated cluster
//! holds our messages against.

use std::collections::BTreeMap;

use etf::{Pid, Term};

use super::super::wire;

/// What one scope knows of the others.
#[derive(Default)]
pub(super) struct Stock {
    peers: BTreeMap<Pid, BTreeMap<Term, Vec<Pid>>>,
}

impl Stock {
    /// A message arrives. Panics where the scope would.
    pub(super) fn receive(&mut self, message: &Term) {
        let parts = message.as_tuple().unwrap_or_else(|| panic!("{message} ends a scope"));
        match parts {
            [tag, Term::Pid(peer)] if tag.is_atom("discover") => {
                self.peers.entry(peer.clone()).or_default();
            }
            [tag, cast] if tag.is_atom("$gen_cast") => match cast.as_tuple() {
                Some([tag, Term::Pid(peer), Term::List(groups)]) if tag.is_atom("sync") => {
                    let groups = groups.iter().map(|group| match group.as_tuple() {
                        Some([group, who]) => (group.clone(), wire::pids(who).expect("pids")),
                        _ => panic!("{message} ends a scope"),
                    });
                    self.peers.insert(peer.clone(), groups.collect());
                }
                _ => panic!("{message} ends a scope"),
            },
            [tag, Term::Pid(peer), group, who] if tag.is_atom("join") => {
                if let Some(groups) = self.peers.get_mut(peer) {
                    groups.entry(group.clone()).or_default().extend(wire::pids(who).expect("pids"));
                }
            }
            [tag, Term::Pid(peer), who, Term::List(left)] if tag.is_atom("leave") => {
                let Some(groups) = self.peers.get_mut(peer) else { return };
                for group in left.iter() {
                    let Some(members) = groups.get_mut(group) else {
                        panic!("{message} ends a scope: nobody of {peer:?} is in {group}");
                    };
                    for pid in wire::pids(who).expect("pids") {
                        if let Some(at) = members.iter().position(|member| *member == pid) {
                            members.remove(at);
                        }
                    }
                    if members.is_empty() {
                        groups.remove(group);
                    }
                }
            }
            _ => panic!("{message} ends a scope"),
        }
    }

    pub(super) fn down(&mut self, peer: &Pid) {
        self.peers.remove(peer);
    }

    /// Everybody in a group that is not of its own node.
    pub(super) fn members(&self, group: &Term) -> Vec<Pid> {
        let mut all: Vec<Pid> =
            self.peers.values().filter_map(|groups| groups.get(group)).flatten().cloned().collect();
        all.sort();
        all
    }
}
