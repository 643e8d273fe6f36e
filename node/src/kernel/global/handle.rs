//! `global` for the programs of this node.

use std::{pin::Pin, sync::Arc, time::Duration};

use etf::{Atom, Pid, Term};

use super::{
    Answer, CallResult, Request,
    client::{Client, Input, Outcome, Output},
    service::{Event, Shared},
};
pub use super::{client::Retries, wire::LockId};
use crate::{CallError, Context, Dest, clock};

/// The node's part of `global`: the names of the cluster, as this node knows them.
///
/// A clone is another handle to the same.
#[derive(Clone)]
pub struct Global(pub(super) Arc<Shared>);

/// What becomes of a name that two partitions have when they meet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Resolver {
    /// `global:random_exit_name/3`: one of the processes is killed.
    #[default]
    RandomExit,
    /// `global:random_notify_name/3`: one of them is told `{global_name_conflict, Name}`, and loses the name.
    RandomNotify,
    /// `global:notify_all_name/3`: both are told `{global_name_conflict, Name, OtherPid}`, and the name is free.
    NotifyAll,
    /// `fun Module:Function/3`, called with the name and both pids on the node of one of them.
    Function(Atom, Atom),
}

impl Resolver {
    fn into_method(self) -> Option<Term> {
        match self {
            Self::RandomExit => None,
            Self::RandomNotify => Some(Term::export("global", "random_notify_name", 3)),
            Self::NotifyAll => Some(Term::export("global", "notify_all_name", 3)),
            Self::Function(module, function) => {
                Some(Term::tuple(vec![Term::Atom(module), Term::Atom(function)]))
            }
        }
    }
}

impl Global {
    /// `global:register_name(Name, Pid, Resolver)`: whether the name was free in the whole cluster, and is the
    /// process's now.
    ///
    /// Dropping the future leaves the registration under way.
    pub async fn register_name(&self, name: &Term, pid: &Pid, resolver: Resolver) -> bool {
        let (name, pid, method) = (name.clone(), pid.clone(), resolver.into_method());
        self.0.request(Request::Register { name, pid, method }).await == Ok(Answer::Yes)
    }

    /// `global:re_register_name(Name, Pid, Resolver)`: the name is the process's, whoever had it.
    pub async fn re_register_name(&self, name: &Term, pid: &Pid, resolver: Resolver) -> bool {
        let (name, pid, method) = (name.clone(), pid.clone(), resolver.into_method());
        self.0.request(Request::ReRegister { name, pid, method }).await == Ok(Answer::Yes)
    }

    /// `global:register_name_external(Name, Pid, Resolver)`, for a process of a hidden node.
    pub async fn register_name_external(&self, name: &Term, pid: &Pid, resolver: Resolver) -> bool {
        let (name, pid, method) = (name.clone(), pid.clone(), resolver.into_method());
        self.0.request(Request::RegisterExternal { name, pid, method }).await == Ok(Answer::Yes)
    }

    /// `global:unregister_name(Name)`.
    pub async fn unregister_name(&self, name: &Term) {
        let _ = self.0.request(Request::Unregister { name: name.clone() }).await;
    }

    /// `global:whereis_name(Name)`: from this node's own table, without asking anyone.
    #[must_use]
    pub fn whereis(&self, name: &Term) -> Option<Pid> {
        let pid = self.0.engine().whereis(name).cloned()?;
        // The news of the death of one of ours may still be under way to the table.
        self.0.may_live(&pid).then_some(pid)
    }

    /// `global:registered_names()`.
    #[must_use]
    pub fn registered_names(&self) -> Vec<Term> {
        self.0.engine().registered_names().cloned().collect()
    }

    /// The other members that this node shares its names with.
    #[must_use]
    pub fn known(&self) -> Vec<Atom> {
        self.0.engine().known().cloned().collect()
    }

    /// `global:sync()`, for these nodes: returns once each shares its names with us, or is gone.
    pub async fn sync(&self, nodes: Vec<Atom>) {
        let _ = self.0.request(Request::Sync { nodes }).await;
    }

    /// `global:disconnect()`: leaves all other members at once, so that none of them takes it for a lost
    /// connection. The nodes that were connected.
    pub async fn disconnect(&self) -> Vec<Atom> {
        match self.0.request(Request::Disconnect).await {
            Ok(Answer::Nodes(nodes)) => nodes,
            _ => Vec::new(),
        }
    }

    /// A node says that it is of our global group, and we agree.
    pub(crate) async fn group_up(&self, node: Atom) {
        let _ = self.0.events().send(Event::GroupUp(node)).await;
    }

    pub(crate) fn prepare_shutdown(&self) {
        self.0.prepare_shutdown();
    }
}

/// `global:send(Name, Message)`, in the name of the process: whom it was sent to; nobody if nobody has the name.
///
/// Waits, as [`Context::send`] does, while the connection to that node is busy.
pub async fn send(context: &Context, name: &Term, message: impl Into<Term>) -> Option<Pid> {
    let pid = context.node().global().whereis(name)?;
    context.send(&pid, message).await;
    Some(pid)
}

/// `global:set_lock(Id, Nodes, Retries)`, in the name of the process: whether it holds the lock now. The lock is
/// free again when it is deleted as often as it was set, or its holder ends.
///
/// No nodes means this one and all that are connected and visible. Dropping the future may leave the lock set on
/// some nodes until the process ends.
pub async fn set_lock(context: &mut Context, id: LockId, nodes: Option<Vec<Atom>>, retries: Retries) -> bool {
    let (nodes, own) = (nodes_or_all(context, nodes), context.node().name().clone());
    let client = Client::set_lock(id, nodes, retries, own, clock::random_u64());
    drive(context, client, nothing).await.is_some()
}

/// `global:del_lock(Id, Nodes)`.
pub async fn del_lock(context: &mut Context, id: LockId, nodes: Option<Vec<Atom>>) {
    let nodes = nodes_or_all(context, nodes);
    drive(context, Client::del_lock(id, nodes), nothing).await;
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

fn nothing(_: &mut Context) -> Boxed<'_, ()> {
    Box::pin(async {})
}

/// `global:trans(Id, Fun, Nodes, Retries)`: what the function gives, run while the lock is held; nothing if the lock
/// was not to be had.
pub async fn trans<T, F>(
    context: &mut Context,
    id: LockId,
    nodes: Option<Vec<Atom>>,
    retries: Retries,
    function: F,
) -> Option<T>
where
    F: for<'a> FnOnce(&'a mut Context) -> Boxed<'a, T>,
{
    let (nodes, own) = (nodes_or_all(context, nodes), context.node().name().clone());
    let client = Client::trans(id, nodes, retries, own, clock::random_u64());
    drive(context, client, function).await.flatten()
}

fn nodes_or_all(context: &Context, nodes: Option<Vec<Atom>>) -> Vec<Atom> {
    nodes.unwrap_or_else(|| {
        let mut nodes = context.node().nodes();
        nodes.push(context.node().name().clone());
        nodes
    })
}

/// Does what a [`Client`] wants, in the name of the process.
///
/// Nothing if the lock was not to be had; else what the function gave, if it was one that is to run under it.
async fn drive<T, F>(context: &mut Context, mut client: Client, function: F) -> Option<Option<T>>
where
    F: for<'a> FnOnce(&'a mut Context) -> Boxed<'a, T>,
{
    let (mut function, mut result) = (Some(function), None);
    loop {
        while let Some(output) = client.poll_output() {
            match output {
                Output::Probe(id) => {
                    let allowed = context.node().global().0.engine().allows(&id);
                    client.handle(clock::now(), Input::Probed { allowed });
                }
                Output::MultiCall { id, nodes, request } => {
                    let calls: Vec<_> = nodes
                        .into_iter()
                        .map(|node| {
                            let server = Dest::NameAt(Atom::from_static("global_name_server"), node.clone());
                            (node, context.send_request(server, request.clone()))
                        })
                        .collect();
                    for (node, call) in calls {
                        let result = match context.wait_response(call, None).await {
                            Ok(answer) => CallResult::Reply(answer),
                            Err(CallError::Timeout) => unreachable!("there is no time limit"),
                            Err(_) => CallResult::Down,
                        };
                        client.handle(clock::now(), Input::CallReply { id, node, result });
                    }
                }
                Output::Run => {
                    if let Some(function) = function.take() {
                        result = Some(function(context).await);
                    }
                    client.handle(clock::now(), Input::Ran);
                }
                Output::Done(Outcome::Done) => return Some(result),
                Output::Done(Outcome::NotLocked) => return None,
            }
        }
        if let Some(deadline) = client.poll_timeout() {
            let wait = deadline.saturating_duration_since(clock::now());
            tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
            client.handle(clock::now(), Input::Timer);
        }
    }
}
