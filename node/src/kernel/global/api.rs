//! What goes into the engine and what comes out.

use std::{fmt, time::Duration};

use etf::{Atom, Pid, Term};

use super::wire::VSN_OWN;

/// One of the three processes that a node needs for `global` (cluster-services.md 1.1). All are addressable and
/// monitorable; what arrives for the locker and the registrar is handed to the one engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The registered `global_name_server`.
    NameServer,
    /// The locker: negotiates the lock before two partitions merge, and owns it.
    Locker,
    /// The registrar: registers and unregisters names, and owns the lock for that.
    Registrar,
}

/// What an engine is made of.
#[derive(Debug, Clone)]
pub struct Config {
    /// The name of this node.
    pub node: Atom,
    /// The pid registered as `global_name_server`.
    pub name_server: Pid,
    /// The pid of the locker.
    pub locker: Pid,
    /// The pid of the registrar.
    pub registrar: Pid,
    /// A random number that, with the creation, tells this incarnation of the node from all others in
    /// `lost_connection` messages.
    pub creation_ext: i64,
    /// The seed of every random choice.
    pub seed: u64,
    /// Kernel's `connect_all`. Off: no partitions are merged and no nodes are connected. Default: on.
    pub connect_all: bool,
    /// Kernel's `prevent_overlapping_partitions` (cluster-services.md 1.9). Default: on, as from OTP 25.
    pub prevent_overlapping_partitions: bool,
    /// How long a node that another member has lost is not left out yet. Default: 100 ms, by which we have noticed it
    /// ourselves if it is dead; see `partition.rs`. OTP waits for nothing.
    pub loss_grace: Duration,
    /// How often a failed connection to a member learnt from others is tried again. Default: 5, as in OTP.
    pub connect_retries: u32,
    /// Whether a process may have several global names (kernel's `global_multi_name_action` = `allow`).
    /// Default: no.
    pub multi_name_allow: bool,
    /// Whether this node is in a global group: a node is up for it once it is known to be of the group, which others may
    /// know, and say, before. Default: no.
    pub grouped: bool,
    /// The protocol version offered: 5 to 8. Default: 8; lower ones are for tests.
    pub vsn: u32,
}

impl Config {
    /// The defaults for a node and its three processes.
    #[must_use]
    pub fn new(node: Atom, name_server: Pid, locker: Pid, registrar: Pid) -> Self {
        Self {
            node,
            name_server,
            locker,
            registrar,
            creation_ext: 0,
            seed: 0,
            connect_all: true,
            prevent_overlapping_partitions: true,
            loss_grace: Duration::from_millis(100),
            connect_retries: 5,
            multi_name_allow: false,
            grouped: false,
            vsn: VSN_OWN,
        }
    }
}

/// The number of a request of the local API; the answer carries it back.
pub type RequestId = u64;

/// The number of a question of the engine to the shell (a call, a resolver, a monitor); its answer carries it back.
pub type QuestionId = u64;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A *visible* connection is up. Comes before every message of that connection.
    NodeUp {
        /// The other node.
        node: Atom,
    },
    /// A visible connection is down. Comes after every message of that connection, and after the `Down` of
    /// every monitor on a process there.
    NodeDown {
        /// The other node.
        node: Atom,
    },
    /// A `'$gen_call'` to the name server.
    Call {
        /// The caller.
        from: Pid,
        /// The tag to answer with.
        tag: Term,
        /// The request.
        request: Term,
    },
    /// A `'$gen_cast'` to the name server: the message inside.
    Cast(Term),
    /// Any other message to the name server.
    Info(Term),
    /// A message to the locker's pid.
    LockerMessage(Term),
    /// A message to the registrar's pid.
    RegistrarMessage(Term),
    /// One node's answer to an [`Output::MultiCall`].
    CallReply {
        /// The number of the call.
        id: QuestionId,
        /// The node that answered, or is down.
        node: Atom,
        /// Its answer.
        result: CallResult,
    },
    /// A monitored process died, or its node is gone. Not sent any more after [`Output::Demonitor`].
    Down {
        /// The number of the monitor.
        id: QuestionId,
    },
    /// The answer to [`Output::CheckAlive`].
    Alive {
        /// The number of the question.
        id: QuestionId,
        /// Whether the process lives.
        alive: bool,
    },
    /// The answer to [`Output::RunResolver`].
    ResolveResult {
        /// The number of the question.
        id: QuestionId,
        /// What the resolve function gave.
        result: ResolveResult,
    },
    /// The answer to [`Output::Connect`].
    ConnectResult {
        /// The other node.
        node: Atom,
        /// Whether there is a connection now, whoever opened it.
        ok: bool,
    },
    /// A request of the local API, answered by [`Output::Answer`] with the same number.
    Request {
        /// The number.
        id: RequestId,
        /// What is asked.
        request: Request,
    },
    /// The node is about to stop: connections that go down from now on are no loss to tell of.
    PrepareShutdown,
    /// The time of [`poll_timeout`](super::engine::Engine::poll_timeout) has come.
    Timer,
}

/// How a call to `global_name_server` on another node ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallResult {
    /// It answered.
    Reply(Term),
    /// There is no such process, it died, or the node cannot be reached.
    Down,
}

/// How a resolve function ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolveResult {
    /// It returned, or the value of its `catch` did.
    Value(Term),
    /// The call itself failed: what `rpc:call` gives as `{badrpc, Reason}`.
    BadRpc(Term),
}

/// A request of the local API. `set_lock`, `del_lock` and `trans` are not here: their locks belong to the calling
/// process, which runs a [`Client`](super::client::Client) itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `global:register_name/3`; answered [`Answer::Yes`] or [`Answer::No`].
    Register {
        /// The name.
        name: Term,
        /// The process.
        pid: Pid,
        /// The resolve function, or nothing for `random_exit_name`.
        method: Option<Term>,
    },
    /// `global:re_register_name/3`; answered [`Answer::Yes`].
    ReRegister {
        /// The name.
        name: Term,
        /// The process.
        pid: Pid,
        /// The resolve function, or nothing for `random_exit_name`.
        method: Option<Term>,
    },
    /// `global:register_name_external/3`, for a process of a hidden node; answered [`Answer::Yes`] or [`Answer::No`].
    RegisterExternal {
        /// The name.
        name: Term,
        /// The process.
        pid: Pid,
        /// The resolve function, or nothing for `random_exit_name`.
        method: Option<Term>,
    },
    /// `global:unregister_name/1`; answered [`Answer::Ok`].
    Unregister {
        /// The name.
        name: Term,
    },
    /// `global:sync/1`; answered [`Answer::Ok`] once each node is in sync or gone. Nodes without a visible connection
    /// count as gone.
    Sync {
        /// The nodes to wait for; usually all visible ones.
        nodes: Vec<Atom>,
    },
    /// `global:disconnect/0`; answered [`Answer::Nodes`] with those that were connected, once they are gone.
    Disconnect,
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// `yes`.
    Yes,
    /// `no`.
    No,
    /// `ok`.
    Ok,
    /// A list of nodes.
    Nodes(Vec<Atom>),
}

/// Whom a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// The process registered as `global_name_server` on this node.
    NameServer(Atom),
    /// A process.
    Pid(Pid),
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a message.
    Send {
        /// The sender. It matters: two messages of one sender keep their order even when one comes in fragments.
        from: Role,
        /// The receiver.
        to: Address,
        /// Whether to connect to the receiver's node first. If not, the message is dropped without a connection.
        connect: bool,
        /// The whole message, with `'$gen_cast'` where it has one.
        term: Term,
    },
    /// Call `global_name_server` on each of these nodes. Each node is answered by one [`Input::CallReply`]; there is no
    /// time limit, for a lost node ends its call. This node itself is never among them. One call may come as two of
    /// these, with the same number.
    MultiCall {
        /// The caller. The callees monitor it when it sets a lock.
        from: Role,
        /// The number.
        id: QuestionId,
        /// The nodes, each once.
        nodes: Vec<Atom>,
        /// Whether to connect to them first. If not, one whose connection is gone is down: on a new one it would not
        /// know us as a member.
        connect: bool,
        /// The request.
        request: Term,
    },
    /// Answer a call.
    Reply {
        /// The caller.
        to: Pid,
        /// Its tag.
        tag: Term,
        /// The answer.
        term: Term,
    },
    /// Monitor a process as the name server; its end is an [`Input::Down`].
    Monitor {
        /// The number.
        id: QuestionId,
        /// The process.
        pid: Pid,
    },
    /// Stop monitoring.
    Demonitor {
        /// The number.
        id: QuestionId,
        /// The process.
        pid: Pid,
    },
    /// Link the name server to a process of a hidden node, so that it learns of this node's end. The name server
    /// itself ignores exit signals.
    Link(Pid),
    /// Take the link away.
    Unlink(Pid),
    /// Send the process the exit signal `kill`.
    Kill(Pid),
    /// Connect to a node; answered by [`Input::ConnectResult`]. An attempt of the other side that wins is no failure.
    Connect {
        /// The node.
        node: Atom,
    },
    /// Close the connection to a node.
    Disconnect {
        /// The node.
        node: Atom,
    },
    /// Run `global:resolve_it(Method, Name, Pid1, Pid2)` on a node, answered by [`Input::ResolveResult`]. If the node
    /// is this one, the method is a fun `M:F/3` which this node itself may or may not serve.
    RunResolver {
        /// The number.
        id: QuestionId,
        /// Where.
        node: Atom,
        /// The resolve function.
        method: Term,
        /// The name in conflict.
        name: Term,
        /// The other partition's process.
        pid1: Pid,
        /// Our partition's process.
        pid2: Pid,
    },
    /// Say whether a process of this node lives; answered by [`Input::Alive`].
    CheckAlive {
        /// The number.
        id: QuestionId,
        /// The process.
        pid: Pid,
    },
    /// The answer to a request of the local API.
    Answer {
        /// Its number.
        id: RequestId,
        /// The answer.
        answer: Answer,
    },
    /// Something worth a line in the log.
    Warn(Warning),
}

/// Something worth a line in the log; its text is its `Display`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A message of the protocol with a wrong shape. It is dropped; a session in progress with its sender ends.
    Malformed {
        /// The message's first element.
        what: &'static str,
        /// The node it says it is from.
        node: Option<Atom>,
    },
    /// A message that is none of the protocol's.
    Unexpected {
        /// Whom it was sent to.
        role: Role,
        /// The message.
        term: Term,
    },
    /// A call that is none of the protocol's. It stays unanswered, as in OTP.
    UnexpectedCall {
        /// The caller.
        from: Pid,
        /// The request.
        request: Term,
    },
    /// A peer offers a protocol version that nobody speaks any more.
    IllegalVersion {
        /// The peer.
        node: Atom,
        /// Its version.
        vsn: u32,
    },
    /// An old peer started to connect again in the middle of a session; it is disconnected.
    OutOfSync {
        /// The peer.
        node: Atom,
        /// Its version.
        vsn: u32,
    },
    /// A member that is none any more told of new members, and its lock is gone: they are not taken.
    LockLost {
        /// The new members.
        nodes: Vec<Atom>,
    },
    /// A member that others know cannot be reached from here.
    ConnectFailed {
        /// This node.
        own: Atom,
        /// The member.
        node: Atom,
    },
    /// A node is left out, so that no partitions overlap.
    Overlapping {
        /// This node.
        own: Atom,
        /// The other.
        node: Atom,
        /// What was done.
        done: Removal,
    },
    /// The resolve function of a name could not be called; the other partition's process keeps the name.
    ResolverUnreachable {
        /// The name.
        name: Term,
        /// Why.
        reason: Term,
    },
    /// The resolve function of a name returned something that is neither of the processes; the name is deleted.
    ResolverReturned {
        /// The name.
        name: Term,
        /// What it returned.
        result: Term,
    },
    /// A process that has a global name asked for another one, and did not get it.
    SeveralNames {
        /// The process.
        pid: Pid,
        /// The new name and those it has.
        names: Vec<Term>,
    },
    /// A name conflict ended a process.
    Terminating {
        /// The name.
        name: Term,
        /// The process.
        pid: Pid,
    },
    /// A limit was reached, and something was dropped or refused.
    Full {
        /// What is full.
        what: &'static str,
        /// How many it holds.
        max: usize,
    },
}

/// How a node was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It was asked to close the connection.
    Requested,
    /// It is too old to be asked, and was disconnected.
    DisconnectedOld,
    /// It asked to be disconnected.
    Disconnected,
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "requested disconnect from",
            Self::DisconnectedOld => "disconnected old",
            Self::Disconnected => "disconnected",
        })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { what, node: Some(node) } => {
                write!(f, "global: malformed {what} message from node {node}")
            }
            Self::Malformed { what, node: None } => write!(f, "global: malformed {what} message"),
            Self::Unexpected { role, term } => {
                write!(f, "global: the {role:?} received an unexpected message: {term}")
            }
            Self::UnexpectedCall { from, request } => {
                write!(f, "The global_name_server received an unexpected call from {from:?}: {request}")
            }
            Self::IllegalVersion { node, vsn } => {
                write!(f, "Illegal global protocol version {vsn} Node: {node}")
            }
            Self::OutOfSync { node, vsn } => write!(
                f,
                "'global' got an out of sync connection attempt from old version {vsn} node {node}. \
                 Disconnecting from it."
            ),
            Self::LockLost { nodes } => {
                write!(f, "global: new members {nodes:?} of a node that is no member any more")
            }
            Self::ConnectFailed { own, node } => write!(f, "'global' at {own} failed to connect to {node}"),
            Self::Overlapping { own, node, done } => write!(
                f,
                "'global' at node {own} {done} node {node} in order to prevent overlapping partitions"
            ),
            Self::ResolverUnreachable { name, reason } => {
                write!(f, "global: badrpc {reason} received when conflicting name {name} was found")
            }
            Self::ResolverReturned { name, result } => {
                write!(f, "global: Resolve method for conflicting name {name} returned {result}")
            }
            Self::SeveralNames { pid, names } => {
                write!(f, "global: {pid:?} registered under several names: {names:?}")
            }
            Self::Terminating { name, pid } => {
                write!(f, "global: Name conflict terminating {{{name},{pid:?}}}")
            }
            Self::Full { what, max } => write!(f, "global: {what} is full at {max}"),
        }
    }
}

/// A request of the local API that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The resolve function is neither a fun of three arguments nor `{Module, Function}`.
    #[error("the resolve function must be a fun with three arguments or {{Module, Function}}, not {0}")]
    BadMethod(Term),
    /// Too many requests wait already.
    #[error("{max} requests wait already")]
    TooManyRequests {
        /// The limit.
        max: usize,
    },
}
