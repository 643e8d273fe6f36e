//! The state of an application on its way to the next owner (dist_ac.md 4, 6 L4).
//!
//! `dist_ac` moves an application, not what it knows. In a takeover the new copy starts while the old one still runs,
//! so the new one can ask; after the death of a node there is nobody to ask, and what has to outlive it must have been
//! kept elsewhere before.
//!
//! ```text
//! {takeover, Old}   take the global name ─► ask the server at Old ── it answers ──► its state
//!                                                                ├─ it is gone ──► what was kept elsewhere
//!                                                                └─ it is silent ► the start is refused, and Old
//!                                                                                  runs on; or what was kept elsewhere
//! {failover, Old}   take the global name ─► what was kept elsewhere
//! normal            take the global name ─► what was kept elsewhere, or nothing
//! ```
//!
//! The name comes first: whoever calls by it from then on waits in the mailbox of the new server until that has the
//! state, and nothing that the old server has answered before is missing in it. A call that looked the name up earlier
//! may reach the old server after it has handed its state over: what would change that state is passed on to the one who
//! has the name ([`pass_on`]), and so nothing that anybody was answered is lost.
//!
//! ```no_run
//! # use crabnode::{Context, Map, Term};
//! # use crabnode_dist_ac::{StartType, handover::{Handover, Inherited}};
//! # fn read_file() -> Map { Map::new() }
//! # async fn go(context: &mut Context, start_type: &StartType) -> Result<Map, Term> {
//! // In the server, before it answers anything: global:re_register_name(proxima, self()), and for {takeover, Node}
//! // gen_server:call({proxima, Node}, get_state).
//! let handover = Handover::from_local("proxima", Term::atom("get_state")).global(Term::atom("proxima"));
//! Ok(match handover.take(context, start_type).await.map_err(|silent| silent.into_reason())? {
//!     Inherited::State(Term::Map(state)) => state,
//!     Inherited::State(_) | Inherited::Nothing | Inherited::Lost => read_file(),
//! })
//! # }
//! ```

use std::time::Duration;

use crabnode::{CallError, Context, Dest, Message, gen_server, global::Resolver};
use etf::{Atom, Pid, Term, tuple};

use crate::StartType;

/// How long the old owner may take where the program does not say: as `gen_server:call/2`.
pub const LIMIT: Duration = Duration::from_secs(5);

/// How long a node that has just booted waits for the names of the others; registering is right even without.
const SYNC_LIMIT: Duration = Duration::from_secs(5);

/// What becomes of two owners of one name.
const RESOLVER: Resolver = Resolver::RandomNotify;

/// From one look at who has a name to the next: less than a caller notices, and nothing beside what a node does anyway.
const LOOK_AFTER: Duration = Duration::from_millis(300);

/// How a server gets what its predecessor knows.
#[derive(Debug, Clone)]
pub struct Handover {
    local: Option<Atom>,
    global: Option<Term>,
    request: Term,
    limit: Duration,
    if_silent: IfSilent,
}

/// What to do when the old owner runs and does not answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfSilent {
    /// The start fails. `dist_ac` of a node of ours leaves the old copy running then (dist_ac.md 6 L4), and the global
    /// name goes back to it: nothing is lost, and the takeover can be asked for again. With the restart type
    /// `permanent` a start that fails takes the new node down, as always.
    Refuse,
    /// The start goes on as after a failover: the old copy is stopped, with what only it knows.
    StartWithout,
}

/// What a server begins with.
#[derive(Debug, Clone, PartialEq)]
pub enum Inherited {
    /// It is the first: the start type is `normal`.
    Nothing,
    /// What the old owner answered.
    State(Term),
    /// There was an owner, and it is gone with what only it knew: its node died, or the server did.
    Lost,
}

/// The old owner runs, and did not answer in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{node} has not handed its state over within {limit:?}")]
pub struct Silent {
    /// Where it runs.
    pub node: Atom,
    /// For how long it was waited for.
    pub limit: Duration,
}

impl Silent {
    /// As a reason for a start that fails: `{no_handover, Node}`.
    #[must_use]
    pub fn into_reason(self) -> Term {
        tuple!(atom "no_handover", self.node)
    }
}

impl Handover {
    /// From the server that has this name on the old owner's node, by `gen_server:call({Name, Node}, Request)`.
    ///
    /// Every version of the server that may run there must know the request: a server in Erlang that does not may
    /// crash.
    #[must_use]
    pub fn from_local(name: impl Into<Atom>, request: impl Into<Term>) -> Self {
        let (local, request) = (Some(name.into()), request.into());
        Self { local, global: None, request, limit: LIMIT, if_silent: IfSilent::Refuse }
    }

    /// From the server that has this name in `global`, if it is on the old owner's node; the name is taken from it
    /// before it is asked.
    #[must_use]
    pub fn from_global(name: impl Into<Term>, request: impl Into<Term>) -> Self {
        let (global, request) = (Some(name.into()), request.into());
        Self { local: None, global, request, limit: LIMIT, if_silent: IfSilent::Refuse }
    }

    /// The same, with a name in `global` that is taken from the old server before it is asked. By default there is
    /// none.
    #[must_use]
    pub fn global(self, name: impl Into<Term>) -> Self {
        Self { global: Some(name.into()), ..self }
    }

    /// The same, with another time for the answer. By default [`LIMIT`]. More for a state that takes long to send; with
    /// less than it takes a busy server to answer, takeovers fail for nothing.
    #[must_use]
    pub fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The same, with another rule for an owner that does not answer. By default [`IfSilent::Refuse`].
    #[must_use]
    pub fn if_silent(self, rule: IfSilent) -> Self {
        Self { if_silent: rule, ..self }
    }

    /// Takes the name, if there is one, for the process of the context, and asks the old owner for its state if the
    /// start is a takeover.
    ///
    /// An owner that is gone is never an error, whatever it is gone by: its node, its server, or its server's crash
    /// while it was asked. The error is that it is there and silent, with [`IfSilent::Refuse`]; the name is the old
    /// server's again then.
    ///
    /// Dropping the future may leave the name with either of the two.
    pub async fn take(&self, context: &mut Context, start_type: &StartType) -> Result<Inherited, Silent> {
        let predecessor = match &self.global {
            Some(name) => take_name(context, name).await,
            None => None,
        };
        let node = match start_type {
            StartType::Failover(_) => return Ok(Inherited::Lost),
            StartType::Normal => return Ok(Inherited::Nothing),
            StartType::Takeover(node) => node,
        };
        let old = match (&self.local, &predecessor) {
            (Some(name), _) => Dest::NameAt(name.clone(), node.clone()),
            (None, Some(pid)) if pid.node() == node => Dest::Pid(pid.clone()),
            (None, _) => return Ok(Inherited::Lost),
        };
        let silent = match context.call(old, self.request.clone(), Some(self.limit)).await {
            Ok(state) => return Ok(Inherited::State(state)),
            Err(CallError::Timeout) => Silent { node: node.clone(), limit: self.limit },
            Err(error @ (CallError::Exit { .. } | CallError::NoConnection { .. } | CallError::NoProc)) => {
                tracing::warn!(%node, %error, "the old owner is gone, and its state with it");
                return Ok(Inherited::Lost);
            }
        };
        tracing::warn!(%node, limit = ?self.limit, rule = ?self.if_silent, "the old owner does not answer");
        match self.if_silent {
            IfSilent::Refuse => {
                if let (Some(name), Some(pid)) = (&self.global, &predecessor) {
                    context.node().global().re_register_name(name, pid, RESOLVER).await;
                }
                Err(silent)
            }
            IfSilent::StartWithout => Ok(Inherited::Lost),
        }
    }
}

/// Gives a name in `global` to the process of the context, taking it from the one who has it, whom it gives back.
///
/// A process that is started under its name, as by
/// [`ServerName::Global`](crabnode::gen_server::ServerName::Global), fails in a takeover: the name is still that of the
/// copy that stops only after this one has started (dist_ac.md 6 L4).
///
/// After the network was divided two processes have the name, of which `dist_ac` stops one. By default `global` would
/// kill one of the two, perhaps the other one. Here it takes the name from one of them, to which it sends
/// `{global_name_conflict, Name}`; whoever lives has it back within a second of its being free.
///
/// Waits up to 5 s for the names of the nodes that are connected: a node that has just booted may not have been told
/// them yet, and registering then would make two owners for a while. Dropping the future leaves the registration under
/// way.
pub async fn take_name(context: &Context, name: &Term) -> Option<Pid> {
    let (node, global) = (context.node(), context.node().global());
    // In vain: the name is registered all the same.
    let _ = tokio::time::timeout(SYNC_LIMIT, global.sync(node.nodes())).await;
    give_name(context, name, context.pid()).await
}

/// The same for another process of this node, such as a supervisor, without waiting for the names of others.
pub async fn give_name(context: &Context, name: &Term, pid: &Pid) -> Option<Pid> {
    let global = context.node().global();
    let before = global.whereis(name);
    global.re_register_name(name, pid, RESOLVER).await;
    if before.as_ref() == Some(pid) {
        return None;
    }
    let (name, pid) = (name.clone(), pid.clone());
    context.node().spawn(|keeper| keep_name(keeper, name, pid));
    before
}

/// Nobody is told that a name is free.
async fn keep_name(mut context: Context, name: Term, pid: Pid) {
    let monitor = context.monitor(&pid);
    let is_down = |message: &Message| matches!(message, Message::Down { reference, .. } if *reference == monitor.reference);
    loop {
        if context.receive_timeout(LOOK_AFTER).await.is_some_and(|message| is_down(&message)) {
            return;
        }
        let global = context.node().global();
        if global.whereis(&name).is_none() {
            global.re_register_name(&name, &pid, RESOLVER).await;
        }
    }
}

/// Passes a call on to the process that has a name in `global`, if that is another than the one of the context, and says
/// whether it has; the caller is answered by that one then. For a server that has lost its name in a takeover and runs
/// on for a moment: what changes its state would be lost. Not for the request of [`Handover`], which is meant for itself.
///
/// Dropping the future may leave the call with nobody.
pub async fn pass_on(context: &Context, name: &Term, request: &Term, from: &gen_server::From) -> bool {
    let Some(owner) = context.node().global().whereis(name).filter(|owner| owner != context.pid()) else {
        return false;
    };
    let from = tuple!(from.pid(), from.tag().clone());
    context.send(&owner, tuple!(atom "$gen_call", from, request.clone())).await;
    true
}
