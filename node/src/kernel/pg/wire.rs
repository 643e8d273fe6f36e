//! The messages between scopes (cluster-services.md 2.7).
//!
//! Only those of the first protocol are written: every release takes them, and OTP 29, which has a second, answers in
//! the first to whom it knows by them. Those of the second are read all the same.

use etf::{Pid, Term, tuple};

/// What [`Scope::update`](super::Scope::update) does to one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The group.
    pub group: Term,
    /// Who joins.
    pub join: Vec<Pid>,
    /// Who leaves.
    pub leave: Vec<Pid>,
}

/// The members of groups.
pub(super) type Groups = Vec<(Term, Vec<Pid>)>;

/// What another scope says, each with its pid.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// `{discover, Scope}`: here I am, tell me what you have.
    Discover(Pid),
    /// `{sync, Scope, Groups}`: this is all that I have.
    Sync(Pid, Groups),
    /// `{join, Scope, Group, PidOrPids}`.
    Join(Pid, Term, Vec<Pid>),
    /// `{leave, Scope, PidOrPids, Groups}`: each leaves each of them.
    Leave(Pid, Vec<Pid>, Vec<Term>),
    /// `{update, Scope, [{Group, Join, Leave}]}`, of the second protocol.
    Update(Pid, Vec<Change>),
}

impl Said {
    /// A plain message.
    pub(super) fn parse(message: &Term) -> Option<Self> {
        let (tag, rest) = message.as_tuple()?.split_first()?;
        Some(match (tag.as_atom()?.as_str(), rest) {
            // The version is for scopes that speak more than one.
            ("discover", [peer] | [peer, _]) => Self::Discover(peer.as_pid()?.clone()),
            ("join", [peer, group, who]) => Self::Join(peer.as_pid()?.clone(), group.clone(), pids(who)?),
            ("leave", [peer, who, groups]) => {
                Self::Leave(peer.as_pid()?.clone(), pids(who)?, groups.as_list()?.to_vec())
            }
            ("update", [peer, changes]) => Self::Update(peer.as_pid()?.clone(), parse_changes(changes)?),
            _ => return None,
        })
    }

    /// What came in `{'$gen_cast', _}`.
    pub(super) fn parse_cast(cast: &Term) -> Option<Self> {
        let (tag, rest) = cast.as_tuple()?.split_first()?;
        match (tag.as_atom()?.as_str(), rest) {
            ("sync", [peer, groups]) => {
                let groups: Option<Groups> = groups.as_list()?.iter().map(group).collect();
                Some(Self::Sync(peer.as_pid()?.clone(), groups?))
            }
            // All that it has, in the second protocol.
            ("local_data", [peer, _version, Term::Map(data)]) => {
                let groups: Option<Groups> =
                    data.iter().map(|(group, who)| Some((group.clone(), pids(who)?))).collect();
                Some(Self::Sync(peer.as_pid()?.clone(), groups?))
            }
            _ => Self::parse(cast),
        }
    }

    /// The message, as every release takes it.
    pub(super) fn into_term(self) -> Term {
        match self {
            Self::Discover(me) => tuple!(atom "discover", me),
            Self::Sync(me, groups) => {
                let groups: Vec<Term> =
                    groups.into_iter().map(|(group, who)| tuple!(group, pid_list(who))).collect();
                tuple!(atom "$gen_cast", tuple!(atom "sync", me, groups))
            }
            Self::Join(me, group, who) => tuple!(atom "join", me, group, one_or_list(who)),
            Self::Leave(me, who, groups) => tuple!(atom "leave", me, one_or_list(who), groups),
            Self::Update(me, changes) => {
                let changes = changes
                    .into_iter()
                    .map(|change| tuple!(change.group, pid_list(change.join), pid_list(change.leave)));
                tuple!(atom "update", me, changes.collect::<Vec<_>>())
            }
        }
    }
}

fn group(term: &Term) -> Option<(Term, Vec<Pid>)> {
    match term.as_tuple()? {
        [group, who] => Some((group.clone(), pids(who)?)),
        _ => None,
    }
}

/// `[{Group, Join, Leave}]`.
pub(super) fn parse_changes(changes: &Term) -> Option<Vec<Change>> {
    let change = |change: &Term| match change.as_tuple()? {
        [group, join, leave] => Some(Change { group: group.clone(), join: pids(join)?, leave: pids(leave)? }),
        _ => None,
    };
    changes.as_list()?.iter().map(change).collect()
}

/// A pid, or a list of pids.
pub(super) fn pids(term: &Term) -> Option<Vec<Pid>> {
    match term {
        Term::Pid(pid) => Some(vec![pid.clone()]),
        list => list.as_list()?.iter().map(|pid| pid.as_pid().cloned()).collect(),
    }
}

pub(super) fn pid_list(pids: impl IntoIterator<Item = Pid>) -> Term {
    Term::List(pids.into_iter().map(Term::Pid).collect())
}

fn one_or_list(mut pids: Vec<Pid>) -> Term {
    match pids.len() {
        1 => pids.swap_remove(0).into(),
        _ => pid_list(pids),
    }
}
