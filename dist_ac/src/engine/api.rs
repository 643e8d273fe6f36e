//! What goes into the engine and what comes out.

use etf::{Atom, Term};

use super::{
    appl::{AppId, Distribution, RestartTime},
    wire::Message,
};
use crate::{
    application::RestartType,
    exchange::{CallId, FromController, ToController},
    heal::Repair,
};

/// A global lock on the resource `dist_ac`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lock {
    /// Requester: a process of its own, for one call of takeover or permit.
    Call(CallId),
    /// Requester: the pid of this `dist_ac`.
    Start,
    /// Requester: the atom `sync_dacs`, shared by all nodes that introduce themselves.
    SyncDacs,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Somebody calls `dist_ac`; answered by [`Output::Reply`].
    Call {
        /// Its number.
        call: CallId,
        /// What it asks.
        request: Request,
    },
    /// The application controller says.
    Controller(FromController),
    /// The startup synchronisation is over: take control of the configured applications and meet the peers.
    Go,
    /// The answer to [`Output::AskRead`].
    HasRead {
        /// Who was asked.
        node: Atom,
    },
    /// The answer to [`Output::AskInfo`]: the `dist_ac:info()` of a node.
    Info {
        /// Who was asked.
        node: Atom,
        /// The record `state`, as it came; anything else where it has no `dist_ac`.
        info: Term,
    },
    /// The answer to [`Output::AskRunning`].
    Running {
        /// Who was asked.
        node: Atom,
        /// The applications that run there; nothing where that cannot be known.
        apps: Option<Vec<Atom>>,
    },
    /// The answer to [`Output::Probe`]: the peers that the node knows, or nothing where it has no `dist_ac`.
    Known {
        /// Who was asked.
        node: Atom,
        /// Whom it knows.
        nodes: Option<Vec<Atom>>,
    },
    /// The answer to [`Output::Lock`].
    Locked {
        /// Which.
        lock: Lock,
        /// Whether it is held now. Only a lock asked for without retries is ever refused.
        granted: bool,
    },
    /// A peer says.
    Message(Message),
    /// The connection to a node is gone. Comes after the last message of that connection.
    NodeDown {
        /// Which.
        node: Atom,
    },
    /// A node is connected. Comes before the first message of that connection.
    NodeUp {
        /// Which.
        node: Atom,
        /// Hidden nodes are no peers (dist_ac.md 8).
        hidden: bool,
    },
    /// [`Engine::poll_timeout`](super::Engine::poll_timeout) has come.
    Timeout,
}

/// What a caller asks of `dist_ac`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `{distribution_changed, NewDistribution}` of a release upgrade.
    DistributionChanged(Vec<Distribution>),
    /// `get_known_nodes`.
    KnownNodes,
    /// `info`.
    Info,
    /// `{load_application, App, default | Spec}`; the application controller has loaded it.
    LoadApplication {
        /// The application.
        app: Atom,
        /// `default`, `{App, Nodes}` or `{App, Time, Nodes}`.
        spec: Term,
        /// What `kernel permissions` says of it now.
        permission: bool,
    },
    /// `{get_nodes, App}`.
    Nodes(Atom),
    /// `application:permit/2` of an application that is loaded here.
    Permit {
        /// The application.
        app: Atom,
        /// The new permission.
        permission: bool,
        /// It is loaded here and was never started: nothing moves.
        only_loaded: bool,
        /// Whether the caller holds the lock already, as the stock `application` module does.
        locked: bool,
    },
    /// `application:takeover/2`.
    Takeover {
        /// The application.
        app: Atom,
        /// The restart type from now on.
        restart_type: RestartType,
        /// Whether the caller holds the lock already.
        locked: bool,
    },
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Ask the `dist_ac` of a node for `info`, with no limit of time; answered by [`Input::Info`], or by nothing when the
    /// node goes down. There is one question to a node at a time.
    AskInfo {
        /// Whom.
        node: Atom,
    },
    /// Ask the `dist_ac` of a node for anything, behind all that was sent to it, with no limit of time; answered by
    /// [`Input::HasRead`], or by nothing when the node goes down.
    AskRead {
        /// Whom.
        node: Atom,
    },
    /// Ask the application controller of a node for `which_applications`, within half a minute; answered by
    /// [`Input::Running`], or by nothing when the node goes down.
    AskRunning {
        /// Whom.
        node: Atom,
    },
    /// Tell the application controller.
    Controller(ToController),
    /// Something to log or to show.
    Event(Event),
    /// Set a global lock; answered by [`Input::Locked`].
    Lock {
        /// Which.
        lock: Lock,
        /// Where.
        nodes: Vec<Atom>,
        /// Try again until it is held; otherwise say so at the first refusal.
        retry: bool,
    },
    /// Ask the `dist_ac` of a node for `get_known_nodes`, with no limit of time; answered by [`Input::Known`],
    /// or by nothing when the node goes down.
    Probe {
        /// Whom.
        node: Atom,
    },
    /// Answer a call.
    Reply {
        /// Which.
        call: CallId,
        /// With what.
        reply: Term,
    },
    /// Send to the name `dist_ac` at a node.
    Send {
        /// Where.
        node: Atom,
        /// What.
        message: Message,
    },
    /// The configured applications are under control: the boot goes on (`dist_ac_took_control`).
    TookControl,
    /// Give a lock back. Asked for once for each granted lock.
    Unlock {
        /// Which.
        lock: Lock,
    },
}

/// What a user or an operator may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A peer asks for weights although we took it to run the application; so it does not. Or it stands by for a node that
    /// does not run it, and will not start it (dist_ac.md 6, L9).
    BeliefDropped {
        /// The application.
        app: Atom,
        /// The peer.
        node: Atom,
    },
    /// Two copies met, and both go on: healing is off, or a dry run.
    ConflictLeft {
        /// The application.
        app: Atom,
        /// Where it would go on.
        winner: Atom,
        /// Where it would stop.
        loser: Atom,
    },
    /// Two copies met, and one gave way.
    ConflictResolved {
        /// The application.
        app: Atom,
        /// Where it goes on.
        winner: Atom,
        /// Where it stops.
        loser: Atom,
    },
    /// A decision could not be made, and nobody waits for the answer.
    DecisionFailed {
        /// The application.
        app: Atom,
        /// Why.
        reason: Term,
    },
    /// Two nodes were given different priority lists. Stock nodes die of it (dist_ac.md 6, L15).
    DistributionMismatch {
        /// The application.
        app: Atom,
        /// The other node.
        node: Atom,
    },
    /// The runner died; this node decides after its restart time.
    FailoverPending {
        /// The application.
        app: Atom,
        /// The dead node.
        node: Atom,
        /// The wait.
        restart_time: RestartTime,
    },
    /// A peer failed to take over an application that goes on here (dist_ac.md 6, L4).
    FailedTakeoverIgnored {
        /// The application.
        app: Atom,
        /// The peer.
        node: Atom,
        /// Its reason.
        reason: Term,
    },
    /// A message was left out of account.
    Ignored {
        /// The message.
        message: Message,
        /// Why.
        why: &'static str,
    },
    /// A peer and this node know each other now.
    Introduced {
        /// The peer.
        node: Atom,
    },
    /// The node has no `dist_ac`.
    NoDistAc {
        /// The node.
        node: Atom,
    },
    /// An application is somewhere else, or nowhere, than before.
    Moved {
        /// The application.
        app: Atom,
        /// What this node knows of it now.
        id: AppId,
    },
    /// A node may run it from now on, or may not.
    PermissionChanged {
        /// The application.
        app: Atom,
        /// The node.
        node: Atom,
        /// Whether it may.
        permission: bool,
    },
    /// Something was mended.
    Repair(Repair),
}

/// What was asked of the engine that it cannot do: a fault of its driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A lock was granted or refused that was not asked for.
    #[error("the lock {lock:?} was not asked for")]
    UnexpectedLock {
        /// Which.
        lock: Lock,
    },
    /// The application controller reported about an application that is not under control.
    #[error("the application {app} is not under control")]
    UnknownApplication {
        /// Which.
        app: Atom,
    },
}
