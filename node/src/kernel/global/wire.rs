//! The messages of `global` between nodes, both ways (cluster-services.md 1.3).
//!
//! Every message is a value here, and only such a value becomes a term: a malformed message would end the
//! receiving node, so there must be no way to make one. What a peer sends is checked as strictly.
//!
//! How A, who knows C, and B become one partition:
//!
//! ```text
//!  A                                                    B                        C
//!  │◄──────────────── connected ───────────────────────►│
//!  │── init_connect {8,Ta}, A's locker ────────────────►│
//!  │◄───────────────── init_connect {8,Tb}, B's locker ─│
//!  │── init_connect_ack A, Tb, Ta ─────────────────────►│    (and the same back)
//!  │   the lockers lock `global` as [LA,LB]: each its own boss first, then itself and the peer, then its members
//!  │── lock_set LA, true, Tb ──────────────────────────►│
//!  │◄────────────────────────── lock_set LB, true, Ta ──│
//!  │── exchange A, all names, Tb ──────────────────────►│    (and the same back)
//!  │   the smaller node has the conflicts resolved
//!  │── resolved A, what B must change, [C], Tb ────────►│    (and the same back)
//!  │── new_nodes A, all changes, [B] ───────────────────┼───────────────────────►│
//!  │   the locks are given back, the boss's last
//!  │                                                    │◄────── in_sync C ──────│
//!  │                                                    │─────── in_sync B ─────►│
//! ```
//!
//! | message | sent as | to | version |
//! |---|---|---|---|
//! | `init_connect`, `exchange`, `resolved`, `in_sync` | cast | the other side of a connection | all |
//! | `lock_set` | message to the locker; cast; cast with tag | the peer of a session | 5; 6, 7; 8 |
//! | `new_nodes` | cast | the old members | all; plain nodes before 7 |
//! | `init_connect_ack`, `cancel_connect` | plain | the peer of a session | 8 |
//! | `lost_connection`, `remove_connection` | plain | members; who is left out | 7 |
//! | `set_lock`, `del_lock`, `register`, `register_ext`, `unregister` | call | members, or any node for users' locks | all |

use std::cmp::Ordering;

use etf::{Atom, Map, Pid, Term, tuple};

/// The protocol version offered (OTP 25 and later).
pub const VSN_OWN: u32 = 8;
/// The oldest version spoken: that of OTP 23.
pub const VSN_OLDEST: u32 = 5;
/// From this version on `lock_set` goes through the name server instead of straight to the locker.
pub const VSN_LOCK_SET_BY_SERVER: u32 = 6;
/// From this version on node lists carry versions, and overlapping partitions are prevented.
pub const VSN_NODE_VERSIONS: u32 = 7;
/// From this version on a connection is verified by `init_connect_ack` and ended by `cancel_connect`.
pub const VSN_VERIFY_CONNECT: u32 = 8;

/// What sets the messages of one session with one peer apart from those of all others: an integer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(Term);

impl Tag {
    /// A tag of our own.
    #[must_use]
    pub fn new(tag: i64) -> Self {
        Self(Term::Int(tag))
    }

    fn parse(term: &Term) -> Option<Self> {
        matches!(term, Term::Int(_) | Term::BigInt(_)).then(|| Self(term.clone()))
    }
}

/// A lock: `{ResourceId, LockRequesterId}`. A resource may be locked by many processes that name the same requester.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockId {
    /// What is locked.
    pub resource: Term,
    /// In whose name.
    pub requester: Term,
}

impl LockId {
    /// The lock that guards the names.
    #[must_use]
    pub fn global(requester: Term) -> Self {
        Self { resource: Term::atom("global"), requester }
    }

    /// The lock of two lockers on their partitions: each derives the same one (cluster-services.md 1.5).
    #[must_use]
    pub fn of_lockers(one: &Pid, other: &Pid) -> Self {
        let mut pids = [one, other];
        pids.sort_by(|a, b| pid_order(a, b));
        Self::global(Term::list(pids.map(Term::from).to_vec()))
    }

    /// `{ResourceId, LockRequesterId}`.
    #[must_use]
    pub fn to_term(&self) -> Term {
        tuple!(self.resource.clone(), self.requester.clone())
    }

    fn parse(term: &Term) -> Option<Self> {
        let [resource, requester] = term.as_tuple()? else { return None };
        Some(Self { resource: resource.clone(), requester: requester.clone() })
    }
}

/// The order of pids in Erlang: not by node first. Both lockers must sort alike, or neither gets the lock, ever.
#[must_use]
pub fn pid_order(a: &Pid, b: &Pid) -> Ordering {
    a.serial
        .cmp(&b.serial)
        .then(a.id.cmp(&b.id))
        .then_with(|| a.node().as_str().cmp(b.node().as_str()))
        .then(a.creation.cmp(&b.creation))
}

/// A name as peers exchange it: `{Name, Pid, Method}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub name: Term,
    /// The process.
    pub pid: Pid,
    /// The resolve function.
    pub method: Term,
}

impl Name {
    fn to_term(&self) -> Term {
        tuple!(self.name.clone(), &self.pid, self.method.clone())
    }

    fn parse(term: &Term) -> Option<Self> {
        let [name, Term::Pid(pid), method] = term.as_tuple()? else { return None };
        Some(Self { name: name.clone(), pid: pid.clone(), method: method.clone() })
    }
}

/// A name of a process on a hidden node: `{Name, Pid, RegNode}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameExt {
    /// The name.
    pub name: Term,
    /// The process.
    pub pid: Pid,
    /// The member that registered it.
    pub reg_node: Atom,
}

impl NameExt {
    /// `{Name, Pid, RegNode}`.
    #[must_use]
    pub fn to_term(&self) -> Term {
        tuple!(self.name.clone(), &self.pid, &self.reg_node)
    }

    fn parse(term: &Term) -> Option<Self> {
        let [name, Term::Pid(pid), Term::Atom(reg_node)] = term.as_tuple()? else { return None };
        Some(Self { name: name.clone(), pid: pid.clone(), reg_node: reg_node.clone() })
    }
}

/// A change to the names, as a merge found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// `{insert, {Name, Pid, Method}}`.
    Insert(Name),
    /// `{delete, Name}`.
    Delete(Term),
}

impl Op {
    fn to_term(&self) -> Term {
        match self {
            Self::Insert(name) => tuple!(atom "insert", name.to_term()),
            Self::Delete(name) => tuple!(atom "delete", name.clone()),
        }
    }

    fn parse(term: &Term) -> Option<Self> {
        let [what, of] = term.as_tuple()? else { return None };
        match what.as_atom()?.as_str() {
            "insert" => Some(Self::Insert(Name::parse(of)?)),
            "delete" => Some(Self::Delete(of.clone())),
            _ => None,
        }
    }
}

/// A node and its protocol version; 0 where it is not known.
pub type NodeVsn = (Atom, u32);

/// Casts to a `global_name_server`, and what is sent straight to a locker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cast {
    /// A session begins.
    InitConnect {
        /// The sender's version.
        vsn: u32,
        /// The sender's tag.
        tag: Tag,
        /// The sender.
        node: Atom,
        /// The sender's locker.
        locker: Pid,
    },
    /// The sender's locker has the lock in its partition, or failed to get it.
    LockSet {
        /// The sender's locker.
        locker: Pid,
        /// Whether it has the lock.
        set: bool,
        /// The members that it knows; nobody looks at them.
        known: Vec<Atom>,
        /// The receiver's tag, from version 8 on.
        tag: Option<Tag>,
    },
    /// All names of the sender's partition.
    Exchange {
        /// The sender.
        node: Atom,
        /// The names.
        names: Vec<Name>,
        /// The receiver's tag.
        tag: Tag,
    },
    /// What the sender found out about the receiver's names.
    Resolved {
        /// The sender.
        node: Atom,
        /// What the receiver has to change.
        ops: Vec<Op>,
        /// The other members of the sender's partition.
        known: Vec<NodeVsn>,
        /// The sender's names of hidden nodes.
        names_ext: Vec<NameExt>,
        /// The receiver's tag.
        tag: Tag,
    },
    /// New members, told to an old one.
    NewNodes {
        /// The sender.
        node: Atom,
        /// What the receiver has to change.
        ops: Vec<Op>,
        /// The new members' names of hidden nodes.
        names_ext: Vec<NameExt>,
        /// The new members.
        nodes: Vec<NodeVsn>,
        /// The version of the session that they came by.
        vsn: u32,
        /// In whose name `global` is locked. Without it the receiver would crash when it inserts a name.
        requester: Term,
    },
    /// The sender and the receiver know of each other through others and have the same names.
    InSync {
        /// The sender.
        node: Atom,
    },
    /// `async_del_name` and `async_del_lock` of releases before R14: nothing to do.
    AsyncDel,
}

/// What is wrong with a peer's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseError {
    /// It is none of the protocol's.
    Unexpected,
    /// It is one of the protocol's, but its shape is wrong.
    Malformed {
        /// Its first element.
        what: &'static str,
        /// The node it says it is from.
        node: Option<Atom>,
    },
}

impl Cast {
    /// The message, wrapped as a cast, for a receiver of this protocol version.
    #[must_use]
    pub fn to_cast(&self, receiver: u32) -> Term {
        tuple!(atom "$gen_cast", self.to_term(receiver))
    }

    /// The message for a receiver of this protocol version.
    #[must_use]
    pub fn to_term(&self, receiver: u32) -> Term {
        match self {
            Self::InitConnect { vsn, tag, node, locker } => tuple!(
                atom "init_connect",
                tuple!(*vsn, tag.0.clone()),
                node,
                tuple!(atom "locker", atom "no_longer_a_pid", Map::new(), locker)
            ),
            Self::LockSet { locker, set, known, tag } => {
                let known = Term::List(known.iter().map(Term::from).collect());
                match tag {
                    Some(tag) => tuple!(atom "lock_set", locker, *set, known, tag.0.clone()),
                    None => tuple!(atom "lock_set", locker, *set, known),
                }
            }
            Self::Exchange { node, names, tag } => {
                tuple!(atom "exchange", node, list(names, Name::to_term), Term::NIL, tag.0.clone())
            }
            Self::Resolved { node, ops, known, names_ext, tag } => tuple!(
                atom "resolved",
                node,
                list(ops, Op::to_term),
                node_list(known, receiver),
                Term::NIL,
                list(names_ext, NameExt::to_term),
                tag.0.clone()
            ),
            Self::NewNodes { node, ops, names_ext, nodes, vsn, requester } => tuple!(
                atom "new_nodes",
                node,
                list(ops, Op::to_term),
                list(names_ext, NameExt::to_term),
                node_list(nodes, receiver),
                vec![
                    tuple!(atom "vsn", *vsn),
                    tuple!(atom "lock", LockId::global(requester.clone()).to_term())
                ]
            ),
            Self::InSync { node } => tuple!(atom "in_sync", node, true),
            Self::AsyncDel => tuple!(atom "async_del_name", atom "undefined", atom "undefined"),
        }
    }

    /// What a peer sent.
    pub fn parse(term: &Term) -> Result<Self, ParseError> {
        let elements = term.as_tuple().ok_or(ParseError::Unexpected)?;
        let name = elements.first().and_then(Term::as_atom).ok_or(ParseError::Unexpected)?;
        let (what, parsed) = match name.as_str() {
            "init_connect" => ("init_connect", Self::init_connect(elements)),
            "lock_set" => ("lock_set", Self::lock_set(elements)),
            "exchange" => ("exchange", Self::exchange(elements)),
            "resolved" => ("resolved", Self::resolved(elements)),
            "new_nodes" => ("new_nodes", Self::new_nodes(elements)),
            "in_sync" => ("in_sync", Self::in_sync(elements)),
            "async_del_name" | "async_del_lock" => ("async_del_name", Some(Self::AsyncDel)),
            _ => return Err(ParseError::Unexpected),
        };
        parsed.ok_or_else(|| ParseError::Malformed { what, node: node_of(what, elements) })
    }

    fn init_connect(elements: &[Term]) -> Option<Self> {
        let [_, Term::Tuple(vsn), Term::Atom(node), Term::Tuple(locker)] = elements else { return None };
        // A version of more than two elements is a later protocol's, which must speak ours.
        let [Term::Int(his_vsn), tag, later @ ..] = vsn.as_slice() else { return None };
        let his_vsn = u32::try_from(*his_vsn).ok()?;
        let [kind, _, _, Term::Pid(locker)] = locker.as_slice() else { return None };
        if !kind.is_atom("locker") || locker.node() != node {
            return None;
        }
        Some(Self::InitConnect {
            vsn: if later.is_empty() { his_vsn } else { his_vsn.max(VSN_OWN) },
            tag: Tag::parse(tag)?,
            node: node.clone(),
            locker: locker.clone(),
        })
    }

    fn lock_set(elements: &[Term]) -> Option<Self> {
        let (locker, set, known, tag) = match elements {
            [_, Term::Pid(locker), set, known] => (locker, set, known, None),
            [_, Term::Pid(locker), set, known, tag] => (locker, set, known, Some(Tag::parse(tag)?)),
            _ => return None,
        };
        let known = parse_nodes(known)?.into_iter().map(|(node, _)| node).collect();
        Some(Self::LockSet { locker: locker.clone(), set: set.as_bool()?, known, tag })
    }

    fn exchange(elements: &[Term]) -> Option<Self> {
        let [_, Term::Atom(node), names, _, tag] = elements else { return None };
        let names = parse_list(names, Name::parse)?;
        Some(Self::Exchange { node: node.clone(), names, tag: Tag::parse(tag)? })
    }

    fn resolved(elements: &[Term]) -> Option<Self> {
        let [_, Term::Atom(node), ops, known, _, names_ext, tag] = elements else { return None };
        Some(Self::Resolved {
            node: node.clone(),
            ops: parse_list(ops, Op::parse)?,
            known: parse_nodes(known)?,
            names_ext: parse_list(names_ext, NameExt::parse)?,
            tag: Tag::parse(tag)?,
        })
    }

    fn new_nodes(elements: &[Term]) -> Option<Self> {
        let [_, Term::Atom(node), ops, names_ext, nodes, extra] = elements else { return None };
        let extra = extra.as_list()?;
        let find = |key: &str| {
            extra.iter().find_map(|pair| match pair.as_tuple() {
                Some([k, value]) if k.is_atom(key) => Some(value),
                _ => None,
            })
        };
        let lock = LockId::parse(find("lock")?)?;
        if !lock.resource.is_atom("global") {
            return None;
        }
        let vsn = find("vsn").and_then(Term::as_int).and_then(|vsn| u32::try_from(vsn).ok());
        Some(Self::NewNodes {
            node: node.clone(),
            ops: parse_list(ops, Op::parse)?,
            names_ext: parse_list(names_ext, NameExt::parse)?,
            nodes: parse_nodes(nodes)?,
            vsn: vsn.unwrap_or(0),
            requester: lock.requester,
        })
    }

    fn in_sync(elements: &[Term]) -> Option<Self> {
        let [_, Term::Atom(node), _] = elements else { return None };
        Some(Self::InSync { node: node.clone() })
    }
}

/// Messages to a `global_name_server` that are neither casts nor calls. Those between nodes are dropped rather than
/// open a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Info {
    /// The sender accepted an `init_connect`, in its session with these tags.
    InitConnectAck {
        /// The sender.
        node: Atom,
        /// The receiver's tag, as the sender has it.
        your_tag: Tag,
        /// The sender's tag.
        my_tag: Tag,
    },
    /// The sender has given the session up.
    CancelConnect {
        /// The sender.
        node: Atom,
        /// The receiver's tag.
        tag: Tag,
    },
    /// A member lost its connection to another node.
    LostConnection(LostConnection),
    /// The sender wants the connection to itself closed.
    RemoveConnection {
        /// The sender.
        node: Atom,
    },
    /// The old way to ask for a name.
    Whereis {
        /// The name.
        name: Term,
        /// Who asks.
        from: Pid,
        /// The tag of the answer.
        tag: Term,
    },
}

/// `{lost_connection, Node, XCreation, OpId, Lost}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostConnection {
    /// Who lost the connection.
    pub node: Atom,
    /// Its incarnation: an integer.
    pub x_creation: Term,
    /// Greater in each message of one incarnation.
    pub op_id: i64,
    /// The node that it lost.
    pub lost: Atom,
}

impl Info {
    /// The message.
    #[must_use]
    pub fn to_term(&self) -> Term {
        match self {
            Self::InitConnectAck { node, your_tag, my_tag } => {
                tuple!(atom "init_connect_ack", node, your_tag.0.clone(), my_tag.0.clone())
            }
            Self::CancelConnect { node, tag } => tuple!(atom "cancel_connect", node, tag.0.clone()),
            Self::LostConnection(lost) => tuple!(
                atom "lost_connection",
                &lost.node,
                lost.x_creation.clone(),
                lost.op_id,
                &lost.lost
            ),
            Self::RemoveConnection { node } => tuple!(atom "remove_connection", node),
            Self::Whereis { name, from, tag } => {
                tuple!(atom "whereis", name.clone(), tuple!(from, tag.clone()))
            }
        }
    }

    /// What somebody sent.
    pub fn parse(term: &Term) -> Result<Self, ParseError> {
        let elements = term.as_tuple().ok_or(ParseError::Unexpected)?;
        let name = elements.first().and_then(Term::as_atom).ok_or(ParseError::Unexpected)?;
        let (what, parsed) = match name.as_str() {
            "init_connect_ack" => ("init_connect_ack", Self::init_connect_ack(elements)),
            "cancel_connect" => ("cancel_connect", Self::cancel_connect(elements)),
            "lost_connection" => ("lost_connection", Self::lost_connection(elements)),
            "remove_connection" => ("remove_connection", Self::remove_connection(elements)),
            "whereis" => ("whereis", Self::whereis(elements)),
            _ => return Err(ParseError::Unexpected),
        };
        parsed.ok_or_else(|| ParseError::Malformed { what, node: node_of(what, elements) })
    }

    fn init_connect_ack(elements: &[Term]) -> Option<Self> {
        let [_, Term::Atom(node), your_tag, my_tag] = elements else { return None };
        Some(Self::InitConnectAck {
            node: node.clone(),
            your_tag: Tag::parse(your_tag)?,
            my_tag: Tag::parse(my_tag)?,
        })
    }

    fn cancel_connect(elements: &[Term]) -> Option<Self> {
        let [_, Term::Atom(node), tag] = elements else { return None };
        Some(Self::CancelConnect { node: node.clone(), tag: Tag::parse(tag)? })
    }

    fn lost_connection(elements: &[Term]) -> Option<Self> {
        let [_, Term::Atom(node), x_creation, Term::Int(op_id), Term::Atom(lost)] = elements else {
            return None;
        };
        if !matches!(x_creation, Term::Int(_) | Term::BigInt(_)) {
            return None;
        }
        Some(Self::LostConnection(LostConnection {
            node: node.clone(),
            x_creation: x_creation.clone(),
            op_id: *op_id,
            lost: lost.clone(),
        }))
    }

    fn remove_connection(elements: &[Term]) -> Option<Self> {
        let [_, Term::Atom(node)] = elements else { return None };
        Some(Self::RemoveConnection { node: node.clone() })
    }

    fn whereis(elements: &[Term]) -> Option<Self> {
        let [_, name, Term::Tuple(from)] = elements else { return None };
        let [Term::Pid(from), tag] = from.as_slice() else { return None };
        Some(Self::Whereis { name: name.clone(), from: from.clone(), tag: tag.clone() })
    }
}

/// Calls to a `global_name_server`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Answered `true` or `false`.
    SetLock(LockId),
    /// Answered `true`.
    DelLock(LockId),
    /// Answered `yes`.
    Register(Name),
    /// Answered `yes`.
    RegisterExt {
        /// The name.
        name: Name,
        /// The member that registers it.
        reg_node: Atom,
    },
    /// Answered `ok`.
    Unregister(Term),
    /// Answered with the other members.
    GetKnown,
    /// Answered with the nodes in sync.
    GetSynced,
    /// Answered with the version.
    GetProtocolVersion,
    /// Answered with the names of hidden nodes.
    GetNamesExt,
    /// Answered with the whole state, much as OTP's.
    Info,
    /// Answered `ok` once these nodes are in sync or gone.
    Sync(Vec<Atom>),
    /// Answered with the nodes that were disconnected.
    Disconnect,
    /// One of the three calls of OTP's tracing: answered `ok`.
    HighLevelTrace,
}

impl Call {
    /// The request.
    #[must_use]
    pub fn to_term(&self) -> Term {
        match self {
            Self::SetLock(id) => tuple!(atom "set_lock", id.to_term()),
            Self::DelLock(id) => tuple!(atom "del_lock", id.to_term()),
            Self::Register(name) => {
                tuple!(atom "register", name.name.clone(), &name.pid, name.method.clone())
            }
            Self::RegisterExt { name, reg_node } => {
                tuple!(atom "register_ext", name.name.clone(), &name.pid, name.method.clone(), reg_node)
            }
            Self::Unregister(name) => tuple!(atom "unregister", name.clone()),
            Self::GetKnown => Term::atom("get_known"),
            Self::GetSynced => Term::atom("get_synced"),
            Self::GetProtocolVersion => Term::atom("get_protocol_version"),
            Self::GetNamesExt => Term::atom("get_names_ext"),
            Self::Info => Term::atom("info"),
            Self::Sync(nodes) => tuple!(atom "sync", nodes.iter().map(Term::from).collect::<Vec<_>>()),
            Self::Disconnect => Term::atom("disconnect"),
            Self::HighLevelTrace => Term::atom("high_level_trace_get"),
        }
    }

    /// What somebody asks, or nothing for what is no request of `global`.
    #[must_use]
    pub fn parse(term: &Term) -> Option<Self> {
        if let Some(atom) = term.as_atom() {
            return match atom.as_str() {
                "get_known" => Some(Self::GetKnown),
                "get_synced" => Some(Self::GetSynced),
                "get_protocol_version" => Some(Self::GetProtocolVersion),
                "get_names_ext" => Some(Self::GetNamesExt),
                "info" => Some(Self::Info),
                "disconnect" => Some(Self::Disconnect),
                "high_level_trace_start" | "high_level_trace_stop" | "high_level_trace_get" => {
                    Some(Self::HighLevelTrace)
                }
                _ => None,
            };
        }
        let (what, of) = term.as_tuple()?.split_first()?;
        match (what.as_atom()?.as_str(), of) {
            ("set_lock", [id]) => Some(Self::SetLock(LockId::parse(id)?)),
            ("del_lock", [id]) => Some(Self::DelLock(LockId::parse(id)?)),
            ("register", [name, Term::Pid(pid), method]) => {
                Some(Self::Register(Name { name: name.clone(), pid: pid.clone(), method: method.clone() }))
            }
            ("register_ext", [name, Term::Pid(pid), method, Term::Atom(reg_node)]) => {
                Some(Self::RegisterExt {
                    name: Name { name: name.clone(), pid: pid.clone(), method: method.clone() },
                    reg_node: reg_node.clone(),
                })
            }
            ("unregister", [name]) => Some(Self::Unregister(name.clone())),
            ("sync", [nodes]) => Some(Self::Sync(parse_list(nodes, |n| n.as_atom().cloned())?)),
            _ => None,
        }
    }
}

fn list<T>(items: &[T], to_term: impl Fn(&T) -> Term) -> Term {
    Term::List(items.iter().map(to_term).collect())
}

fn parse_list<T>(term: &Term, parse: impl Fn(&Term) -> Option<T>) -> Option<Vec<T>> {
    term.as_list()?.iter().map(parse).collect()
}

/// Peers before version 7 know only plain lists of nodes.
fn node_list(nodes: &[NodeVsn], receiver: u32) -> Term {
    if receiver < VSN_NODE_VERSIONS {
        list(nodes, |(node, _)| Term::from(node))
    } else {
        list(nodes, |(node, vsn)| tuple!(node, *vsn))
    }
}

/// Both forms, mixed or not.
fn parse_nodes(term: &Term) -> Option<Vec<NodeVsn>> {
    parse_list(term, |item| match item {
        Term::Atom(node) => Some((node.clone(), 0)),
        Term::Tuple(pair) => match pair.as_slice() {
            [Term::Atom(node), Term::Int(vsn)] => Some((node.clone(), u32::try_from(*vsn).ok()?)),
            _ => None,
        },
        _ => None,
    })
}

/// The sender of a message whose shape is wrong elsewhere.
fn node_of(what: &str, elements: &[Term]) -> Option<Atom> {
    match what {
        "init_connect" => elements.get(2)?.as_atom().cloned(),
        "lock_set" => Some(elements.get(1)?.as_pid()?.node().clone()),
        _ => elements.get(1)?.as_atom().cloned(),
    }
}

#[cfg(test)]
#[path = "tests/wire.rs"]
mod tests;
