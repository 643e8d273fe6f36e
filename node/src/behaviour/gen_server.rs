//! `gen_server` (cluster-services.md 2.1): a process that answers calls, takes casts and other messages.
//!
//! ```no_run
//! # use crabnode::{Context, Message, Term, gen_server::{self, GenServer, Next, Reply, ServerName}};
//! struct Counter(i64);
//!
//! impl GenServer for Counter {
//!     type Args = i64;
//!
//!     async fn init(_: &mut Context, start: i64) -> Result<Self, Term> {
//!         Ok(Counter(start))
//!     }
//!
//!     async fn handle_call(&mut self, _: &mut Context, _request: Term, _from: Term) -> Reply {
//!         self.0 += 1;
//!         Reply::Reply(self.0.into())
//!     }
//! }
//!
//! # async fn f(node: &crabnode::Node) {
//! let pid = gen_server::start::<Counter>(node, ServerName::Local("counter".into()), 0).await;
//! # }
//! ```

use etf::{Atom, Pid, Term, tuple};
use tokio::sync::oneshot;

use crate::{Context, Message, Monitor, Node, global::Resolver};

/// What a server does. Every callback may await; messages wait meanwhile, and an exit signal ends the server at
/// its await.
pub trait GenServer: Send + Sized + 'static {
    /// What it is started with.
    type Args: Send + 'static;

    /// Makes the server's state, in the server's own process; or says why it cannot start.
    fn init(context: &mut Context, args: Self::Args) -> impl Future<Output = Result<Self, Term>> + Send;

    /// A call: `gen_server:call(Server, Request)`. `from` is what [`Context::reply`] wants for a later answer.
    fn handle_call(
        &mut self,
        context: &mut Context,
        request: Term,
        from: Term,
    ) -> impl Future<Output = Reply> + Send;

    /// A cast: `gen_server:cast(Server, Message)`. By default it is ignored.
    fn handle_cast(&mut self, _: &mut Context, _message: Term) -> impl Future<Output = Next> + Send {
        async { Next::Continue }
    }

    /// Any other message. By default it is ignored, as OTP's default only logs it.
    fn handle_info(&mut self, _: &mut Context, _message: Message) -> impl Future<Output = Next> + Send {
        async { Next::Continue }
    }

    /// The server ends, by itself or because its parent does; not when an exit signal ends it that it does not
    /// trap.
    fn terminate(&mut self, _: &mut Context, _reason: &Term) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// What a call is answered.
#[derive(Debug)]
pub enum Reply {
    /// `{reply, Term, State}`.
    Reply(Term),
    /// `{noreply, State}`: [`Context::reply`] answers later, or nobody does.
    NoReply,
    /// `{stop, Reason, Reply, State}`: answered after [`GenServer::terminate`].
    StopReply(Term, Term),
    /// `{stop, Reason, State}`.
    Stop(Term),
}

/// What a server does after a message.
#[derive(Debug)]
pub enum Next {
    /// It waits for the next.
    Continue,
    /// It ends for this reason.
    Stop(Term),
}

/// How a server is registered.
#[derive(Debug, Clone)]
pub enum ServerName {
    /// Not at all.
    None,
    /// `{local, Name}`.
    Local(Atom),
    /// `{global, Name}`.
    Global(Term),
}

/// `gen_server:start/4`. Returns when `init` is done.
///
/// The error is the reason of `init`, or `{already_started, Pid}`; the process is gone then, and its name free.
/// Dropping the future leaves the server starting.
pub async fn start<S: GenServer>(node: &Node, name: ServerName, args: S::Args) -> Result<Pid, Term> {
    let (sender, receiver) = oneshot::channel();
    let pid = node.spawn(|context| serve::<S>(context, None, name, args, sender));
    let failed = match receiver.await {
        Ok(Ok(())) => return Ok(pid),
        Ok(Err(reason)) => Some(reason),
        Err(_) => None,
    };
    node.run(async move |mut context: Context| {
        let monitor = context.monitor(&pid);
        down(&mut context, &monitor).await
    })
    .await;
    Err(failed.unwrap_or_else(|| Term::atom("killed")))
}

/// `gen_server:start_link/4`: as [`start`], linked with the process that starts it, which is its parent: an exit
/// from it ends a server that traps exits, by [`GenServer::terminate`].
pub async fn start_link<S: GenServer>(
    context: &mut Context,
    name: ServerName,
    args: S::Args,
) -> Result<Pid, Term> {
    let (sender, receiver) = oneshot::channel();
    let parent = context.pid().clone();
    let (pid, monitor) =
        context.spawn_link_monitor(|context| serve::<S>(context, Some(parent), name, args, sender));
    let mut starting = Starting { context, monitor };
    let failed = match receiver.await {
        Ok(Ok(())) => return Ok(pid),
        Ok(Err(reason)) => Some(reason),
        Err(_) => None,
    };
    let Starting { context, monitor } = &mut starting;
    let reason = down(context, monitor).await;
    // As proc_lib:start_link: the caller learns the reason by the result, not by a message too.
    context.forget_exit(&pid);
    Err(failed.unwrap_or(reason))
}

/// A start that is waited for. However the wait ends, its monitor ends with it.
struct Starting<'a> {
    context: &'a mut Context,
    monitor: Monitor,
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        self.context.demonitor(&self.monitor);
    }
}

/// Returns when a process is gone that is watched, and says why.
async fn down(context: &mut Context, monitor: &Monitor) -> Term {
    let wanted = |message: &Message| match message {
        Message::Down { reference, reason, .. } if *reference == monitor.reference => Some(reason.clone()),
        _ => None,
    };
    context.receive_match(wanted).await
}

async fn serve<S: GenServer>(
    mut context: Context,
    parent: Option<Pid>,
    name: ServerName,
    args: S::Args,
    started: oneshot::Sender<Result<(), Term>>,
) -> Term {
    if let Err(reason) = register(&mut context, name.clone()).await {
        // The parent gets the reason, and no exit with it.
        parent.iter().for_each(|parent| context.unlink(parent));
        let _ = started.send(Err(reason));
        return Term::atom("normal");
    }
    let mut server = match S::init(&mut context, args).await {
        Ok(server) => server,
        Err(reason) => {
            if let ServerName::Global(name) = &name {
                context.node().global().unregister_name(name).await;
            }
            parent.iter().for_each(|parent| context.unlink(parent));
            let _ = started.send(Err(reason.clone()));
            return reason;
        }
    };
    // Whoever started it may be gone; the server runs all the same, until the exit of its parent ends it.
    let _ = started.send(Ok(()));
    let End { reason, reply } = serve_messages(&mut context, &mut server, parent.as_ref()).await;
    server.terminate(&mut context, &reason).await;
    if let Some((from, reply)) = reply {
        context.reply(&from, reply);
    }
    reason
}

/// How a server ends, and whom it answers when it has terminated.
struct End {
    reason: Term,
    reply: Option<(Term, Term)>,
}

async fn register(context: &mut Context, name: ServerName) -> Result<(), Term> {
    match name {
        ServerName::None => Ok(()),
        ServerName::Local(name) => context.register(name.clone()).map_err(|_| {
            let owner = context.node().whereis(&name).map_or(Term::atom("undefined"), Term::Pid);
            tuple!(atom "already_started", owner)
        }),
        ServerName::Global(name) => {
            let (node, pid) = (context.node().clone(), context.pid().clone());
            if node.global().register_name(&name, &pid, Resolver::RandomExit).await {
                return Ok(());
            }
            let owner = node.global().whereis(&name).map_or(Term::atom("undefined"), Term::Pid);
            Err(tuple!(atom "already_started", owner))
        }
    }
}

/// Runs until the server or its parent wants it to end.
async fn serve_messages<S: GenServer>(context: &mut Context, server: &mut S, parent: Option<&Pid>) -> End {
    loop {
        let next = match Request::parse(context.receive().await, parent) {
            Request::Call { from, request } => {
                match server.handle_call(context, request, from.clone()).await {
                    Reply::Reply(reply) => {
                        context.reply(&from, reply);
                        Next::Continue
                    }
                    Reply::NoReply => Next::Continue,
                    Reply::StopReply(reason, reply) => return End { reason, reply: Some((from, reply)) },
                    Reply::Stop(reason) => Next::Stop(reason),
                }
            }
            Request::Cast(message) => server.handle_cast(context, message).await,
            Request::Info(message) => server.handle_info(context, message).await,
            Request::Terminate { from, reason } => {
                context.reply(&from, Term::atom("ok"));
                Next::Stop(reason)
            }
            Request::OtherSystem { from, request } => {
                context.reply(&from, tuple!(atom "error", tuple!(atom "unknown_system_msg", request)));
                Next::Continue
            }
            Request::ParentExit(reason) => Next::Stop(reason),
        };
        if let Next::Stop(reason) = next {
            return End { reason, reply: None };
        }
    }
}

/// A message to a server, told apart.
enum Request {
    Call { from: Term, request: Term },
    Cast(Term),
    Terminate { from: Term, reason: Term },
    OtherSystem { from: Term, request: Term },
    ParentExit(Term),
    Info(Message),
}

impl Request {
    fn parse(message: Message, parent: Option<&Pid>) -> Self {
        match message {
            Message::Exit { from, reason } if Some(&from) == parent => Self::ParentExit(reason),
            Message::Term(Term::Tuple(elements)) => Self::parse_tuple(elements.into_vec()),
            message => Self::Info(message),
        }
    }

    fn parse_tuple(mut elements: Vec<Term>) -> Self {
        let tag = elements.first().and_then(Term::as_atom).map(|tag| tag.as_str());
        match (tag, elements.len()) {
            (Some("$gen_call"), 3) => {
                let request = elements.remove(2);
                Self::Call { from: elements.remove(1), request }
            }
            (Some("$gen_cast"), 2) => Self::Cast(elements.remove(1)),
            (Some("system"), 3) => {
                let request = elements.remove(2);
                let from = elements.remove(1);
                match request.as_tuple() {
                    Some([verb, reason]) if verb.is_atom("terminate") => {
                        Self::Terminate { from, reason: reason.clone() }
                    }
                    _ => Self::OtherSystem { from, request },
                }
            }
            _ => Self::Info(Message::Term(Term::tuple(elements))),
        }
    }
}
