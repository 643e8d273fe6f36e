//! `gen_server` (cluster-services 2.1): a process that answers calls, takes casts and other messages; and what one says
//! to such a process, on whatever node it is.
//!
//! A server is a type with a state, and the callbacks of the behaviour are its methods. As in Erlang a callback has the
//! server to itself while it runs, and says by what it returns how things go on:
//!
//! ```no_run
//! # use std::time::Duration;
//! # use crabnode::{Context, Message, Term, gen_server::{self, GenServer, Next, Reply, ServerName}, tuple};
//! struct Counter {
//!     count: i64,
//!     waiting: Vec<gen_server::From>,
//! }
//!
//! impl GenServer for Counter {
//!     type Args = i64;
//!
//!     // init(Start) -> {ok, #state{count = Start}}.
//!     async fn init(_: &mut Context, start: i64) -> Result<Self, Term> {
//!         Ok(Counter { count: start, waiting: Vec::new() })
//!     }
//!
//!     async fn handle_call(&mut self, _: &mut Context, request: Term, from: &gen_server::From) -> Reply {
//!         match request.as_atom().map(|atom| atom.as_str()) {
//!             // {reply, Count + 1, State}
//!             Some("next") => {
//!                 self.count += 1;
//!                 Reply::Reply(self.count.into())
//!             }
//!             // {noreply, State}: answered by gen_server:reply/2, below.
//!             Some("wait_for_reset") => {
//!                 self.waiting.push(from.clone());
//!                 Reply::NoReply
//!             }
//!             // {stop, normal, ok, State}
//!             Some("stop") => Reply::StopReply(Term::atom("normal"), Term::atom("ok")),
//!             _ => Reply::Reply(tuple!(atom "error", atom "unknown_request")),
//!         }
//!     }
//!
//!     async fn handle_cast(&mut self, context: &mut Context, message: Term) -> Next {
//!         if message.is_atom("reset") {
//!             self.count = 0;
//!             for from in self.waiting.drain(..) {
//!                 context.reply(from, Term::atom("reset"));
//!             }
//!         }
//!         // {noreply, State, 60000}: handle_info(timeout, State) if nothing comes for a minute.
//!         Next::Timeout(Duration::from_secs(60))
//!     }
//!
//!     async fn handle_info(&mut self, _: &mut Context, message: Message) -> Next {
//!         match message {
//!             Message::Term(term) if term.is_atom("timeout") => Next::Stop(Term::atom("normal")),
//!             _ => Next::Continue,
//!         }
//!     }
//!
//!     // What sys:get_state/1 and observer show.
//!     fn get_state(&self) -> Term {
//!         self.count.into()
//!     }
//! }
//!
//! # async fn f(node: &crabnode::Node) -> Result<(), Term> {
//! // gen_server:start({local, counter}, ?MODULE, 0, [])
//! let pid = gen_server::start::<Counter>(node, ServerName::Local("counter".into()), 0).await?;
//!
//! node.run(async move |mut context| {
//!     // gen_server:call(Pid, next): from here, or as gen_server:call({counter, 'rust@host'}, next) from any node.
//!     let one = context.call(&pid, Term::atom("next"), Some(gen_server::CALL_TIMEOUT)).await;
//!     assert_eq!(one, Ok(1.into()));
//!     context.cast("counter", Term::atom("reset"));
//!     gen_server::stop(&mut context, &pid, Term::atom("normal"), None).await
//! })
//! .await;
//! # Ok(())
//! # }
//! ```
//!
//! Every server answers the messages of [`sys`](crate::sys), so that `sys:get_status/1`, `sys:trace/2` and `observer`
//! work on it, and ends as OTP's do: when [`stop`] or its parent says so, after [`GenServer::terminate`].

// The name of this module's type is that of the trait, which is needed beside it.
use std::{convert::From as _, time::Duration};

use etf::{Atom, Pid, Term, tuple};
use tokio::sync::oneshot;

use crate::{Context, Message, Monitor, Node, global::Resolver};

mod client;
pub use client::{
    CALL_TIMEOUT, Collected, MultiCall, RequestIds, abcast, check_response, multi_call, receive_response,
    send_request, stop, wait_response,
};
mod from;
pub(crate) use from::alias_in;
pub use from::{From, NotFrom};
mod serve;

/// What a server does. Every callback may await; messages wait meanwhile, and an exit signal ends the server at
/// its await.
pub trait GenServer: Send + Sized + 'static {
    /// What it is started with.
    type Args: Send + 'static;

    /// Makes the server's state, in the server's own process; or says why it cannot start. With `ignore` for a reason
    /// it ends as `normal`: a supervisor takes that for a child that is not needed.
    fn init(context: &mut Context, args: Self::Args) -> impl Future<Output = Result<Self, Term>> + Send;

    /// What comes after [`init`](Self::init), before any message: what `init` returns in Erlang behind the state, a
    /// timeout or `{continue, Continue}`. Whoever started the server does not wait for it.
    fn after_init(&mut self, _: &mut Context) -> impl Future<Output = Next> + Send {
        async { Next::Continue }
    }

    /// A call: `gen_server:call(Server, Request)`. A clone of `from` is what [`Context::reply`] wants for a later answer.
    fn handle_call(
        &mut self,
        context: &mut Context,
        request: Term,
        from: &From,
    ) -> impl Future<Output = Reply> + Send;

    /// A cast: `gen_server:cast(Server, Message)`. By default it is ignored.
    fn handle_cast(&mut self, _: &mut Context, _message: Term) -> impl Future<Output = Next> + Send {
        async { Next::Continue }
    }

    /// Any other message; the term `timeout` if none came in the time of [`Next::Timeout`]. By default it is ignored, as
    /// OTP's default only logs it.
    fn handle_info(&mut self, _: &mut Context, _message: Message) -> impl Future<Output = Next> + Send {
        async { Next::Continue }
    }

    /// What a callback has left to be done by [`Next::HandleContinue`], before the next message is looked at.
    fn handle_continue(&mut self, _: &mut Context, what: Term) -> impl Future<Output = Next> + Send {
        async move {
            tracing::warn!(%what, "a gen_server continues with what it has no handle_continue for");
            Next::Continue
        }
    }

    /// The server ends, by itself or because its parent does; not when an exit signal ends it that it does not
    /// trap, nor by a panic.
    fn terminate(&mut self, _: &mut Context, _reason: &Term) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// The state, for `sys:get_state/1`. By default the name of the type, as a binary.
    fn get_state(&self) -> Term {
        Term::binary(std::any::type_name::<Self>())
    }

    /// Another state, for `sys:replace_state/2`. The error is the reason that its caller sees; by default
    /// `not_supported`.
    fn replace_state(&mut self, _state: Term) -> Result<(), Term> {
        Err(Term::atom("not_supported"))
    }

    /// The state as `sys:get_status/1` and `observer` show it, where that is not [`get_state`](Self::get_state).
    fn format_status(&self) -> Term {
        self.get_state()
    }
}

/// What a call is answered.
#[derive(Debug)]
pub enum Reply {
    /// `{reply, Reply, State}`.
    Reply(Term),
    /// `{reply, Reply, State, Timeout | {continue, Continue}}`.
    ReplyThen(Term, Next),
    /// `{noreply, State}`: [`Context::reply`] answers later, or nobody does.
    NoReply,
    /// `{noreply, State, Timeout | {continue, Continue}}`.
    NoReplyThen(Next),
    /// `{stop, Reason, Reply, State}`: answered after [`GenServer::terminate`].
    StopReply(Term, Term),
    /// `{stop, Reason, State}`.
    Stop(Term),
}

/// What a server does after a message.
#[derive(Debug)]
pub enum Next {
    /// `{noreply, State}`: it waits for the next.
    Continue,
    /// `{noreply, State, Timeout}`: if no message comes in this time, [`GenServer::handle_info`] gets `timeout`.
    Timeout(Duration),
    /// `{noreply, State, {continue, Continue}}`: [`GenServer::handle_continue`] gets this before any message.
    HandleContinue(Term),
    /// `{stop, Reason, State}`.
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

impl ServerName {
    /// The name, as those see it who look at the server.
    fn term(&self) -> Option<Term> {
        match self {
            Self::None => None,
            Self::Local(name) => Some(name.into()),
            Self::Global(name) => Some(name.clone()),
        }
    }
}

/// `gen_server:start/4`. Returns when `init` is done.
///
/// The error is the reason of `init`, or `{already_started, Pid}`; the process is gone then, and its name free.
/// Dropping the future leaves the server starting.
pub async fn start<S: GenServer>(node: &Node, name: ServerName, args: S::Args) -> Result<Pid, Term> {
    let (sender, receiver) = oneshot::channel();
    let pid = node.spawn(|context| serve::serve::<S>(context, None, name, args, sender));
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
        context.spawn_link_monitor(|context| serve::serve::<S>(context, Some(parent), name, args, sender));
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
