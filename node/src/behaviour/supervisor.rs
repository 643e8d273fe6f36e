//! `supervisor` (cluster-services 2.3): starts children, and starts them again when they end.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use crabnode::{Context, Term, gen_server::{self, GenServer, Reply, ServerName}};
//! # use crabnode::supervisor::{self, ChildSpec, Restart, SupervisorSpec};
//! # struct Cache; struct Reader;
//! # impl GenServer for Cache {
//! #     type Args = ();
//! #     async fn init(_: &mut Context, (): ()) -> Result<Self, Term> { Ok(Self) }
//! #     async fn handle_call(&mut self, _: &mut Context, _: Term, _: &gen_server::From) -> Reply { Reply::NoReply }
//! # }
//! # impl GenServer for Reader {
//! #     type Args = Term;
//! #     async fn init(_: &mut Context, _: Term) -> Result<Self, Term> { Ok(Self) }
//! #     async fn handle_call(&mut self, _: &mut Context, _: Term, _: &gen_server::From) -> Reply { Reply::NoReply }
//! # }
//! # async fn f(context: &mut Context) -> Result<(), Term> {
//! // #{id => cache, start => {cache, start_link, []}, restart => transient}
//! let cache = ChildSpec::worker("cache", |context| {
//!     Box::pin(gen_server::start_link::<Cache>(context, ServerName::Local("cache".into()), ()))
//! })
//! .restart(Restart::Transient);
//!
//! // A supervisor below: #{strategy => simple_one_for_one}, whose children are started by start_child.
//! let readers = ChildSpec::supervisor("readers", |context| {
//!     let reader = ChildSpec::dynamic(|context, mut args| {
//!         Box::pin(async move { gen_server::start_link::<Reader>(context, ServerName::None, args.remove(0)).await })
//!     });
//!     let spec = SupervisorSpec::simple_one_for_one(reader);
//!     Box::pin(supervisor::start_link(context, ServerName::Local("readers".into()), spec))
//! });
//!
//! // #{strategy => rest_for_one, intensity => 5, period => 10}
//! let spec = SupervisorSpec {
//!     intensity: 5,
//!     period: Duration::from_secs(10),
//!     ..SupervisorSpec::rest_for_one(vec![cache, readers])
//! };
//! supervisor::start_link(context, ServerName::Local("top".into()), spec).await?;
//! supervisor::start_dynamic_child(context, "readers", vec![Term::atom("file")]).await.expect("it is there")?;
//! # Ok(())
//! # }
//! ```
//!
//! Other nodes ask and change it as any supervisor: `supervisor:which_children({top, 'rust@host'})`, `start_child/2` and the
//! rest. What they give to start is `{Module, Function, Args}`, a function that this node serves
//! ([`Functions`](crate::Functions)) and that gives `{ok, Pid}` of a process linked with its own.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use etf::{Atom, Pid, Term};

use super::gen_server::{self, ServerName};
use crate::{Args, Context};

mod client;
pub use client::{
    ChildInfo, ChildState, Counts, count_children, delete_child, restart_child, start_child,
    start_dynamic_child, terminate_child, which_children,
};
mod engine;
mod process;
pub(crate) use process::ChildSpecs;
mod term;

/// Starts a child, linked with the supervisor whose context it gets. The arguments are those of `start_child`, and none
/// for a child that is no [`dynamic`](ChildSpec::dynamic) one.
///
/// `ignore` for an error is no failure: there is no such child for now, as where `start_link` in Erlang gives `ignore`.
pub type StartChild = Arc<dyn for<'a> Fn(&'a mut Context, Args) -> Starting<'a> + Send + Sync>;

/// A child that is being started: its pid, or why there is none.
pub type Starting<'a> = Pin<Box<dyn Future<Output = Result<Pid, Term>> + Send + 'a>>;

/// One child: `child_spec()`.
#[derive(Clone)]
pub struct ChildSpec {
    /// What it is called among its siblings.
    pub id: Term,
    /// How it is started.
    pub start: StartChild,
    /// When it is started again.
    pub restart: Restart,
    /// Whether its end may be that of the supervisor, see [`AutoShutdown`]. Not for a permanent one.
    pub significant: bool,
    /// How it is ended.
    pub shutdown: Shutdown,
    /// Whether it is a supervisor itself, for those who look at the tree.
    pub supervisor: bool,
    /// The modules of its code, for those who look at the tree; none for `dynamic`. There are none in Rust, but tools
    /// want one.
    pub modules: Option<Vec<Atom>>,
    /// What stands for [`start`](Self::start) where a term is wanted.
    mfa: (Atom, Atom, Args),
}

impl ChildSpec {
    /// A permanent worker that has 5 s to end, as OTP's defaults are.
    pub fn worker(
        id: impl Into<ChildId>,
        start: impl for<'a> Fn(&'a mut Context) -> Starting<'a> + Send + Sync + 'static,
    ) -> Self {
        Self::of(id.into().0, move |context, _| start(context))
    }

    /// A permanent supervisor, which has all the time it needs to end.
    pub fn supervisor(
        id: impl Into<ChildId>,
        start: impl for<'a> Fn(&'a mut Context) -> Starting<'a> + Send + Sync + 'static,
    ) -> Self {
        Self { supervisor: true, shutdown: Shutdown::Infinity, ..Self::worker(id, start) }
    }

    /// What a `simple_one_for_one` supervisor starts as often as it is asked, each time with other arguments. Temporary,
    /// with 5 s to end.
    pub fn dynamic(
        start: impl for<'a> Fn(&'a mut Context, Args) -> Starting<'a> + Send + Sync + 'static,
    ) -> Self {
        Self::of(Term::atom("undefined"), start).restart(Restart::Temporary)
    }

    fn of(
        id: Term,
        start: impl for<'a> Fn(&'a mut Context, Args) -> Starting<'a> + Send + Sync + 'static,
    ) -> Self {
        Self {
            id,
            start: Arc::new(start),
            restart: Restart::Permanent,
            significant: false,
            shutdown: Shutdown::Timeout(Duration::from_secs(5)),
            supervisor: false,
            modules: Some(vec![Atom::from_static("crabnode")]),
            mfa: (Atom::from_static("crabnode"), Atom::from_static("start_link"), Args::new()),
        }
    }

    /// The same, started again at other ends.
    #[must_use]
    pub fn restart(self, restart: Restart) -> Self {
        Self { restart, ..self }
    }

    /// The same, ended otherwise.
    #[must_use]
    pub fn shutdown(self, shutdown: Shutdown) -> Self {
        Self { shutdown, ..self }
    }

    /// The same, with other modules to be shown.
    #[must_use]
    pub fn modules(self, modules: Option<Vec<Atom>>) -> Self {
        Self { modules, ..self }
    }

    /// The same, as one whose end may be that of the supervisor.
    #[must_use]
    pub fn significant(self) -> Self {
        Self { significant: true, ..self }
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&term::of_spec(self), f)
    }
}

/// What a child is called: an atom by its text, or any term.
pub struct ChildId(Term);

impl From<&'static str> for ChildId {
    fn from(id: &'static str) -> Self {
        Self(Term::atom(id))
    }
}

impl From<Term> for ChildId {
    fn from(id: Term) -> Self {
        Self(id)
    }
}

/// When a child is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    Permanent,
    /// After an abnormal end only: any reason but `normal`, `shutdown` and `{shutdown, _}`.
    Transient,
    /// Never.
    Temporary,
}

/// How a child is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// By `exit(Child, kill)`.
    BrutalKill,
    /// By `exit(Child, shutdown)`, and by `kill` if it is still there after this time.
    Timeout(Duration),
    /// By `exit(Child, shutdown)`, however long it takes: for supervisors.
    Infinity,
}

/// Who is started again when a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The child.
    OneForOne,
    /// All of them: the others are ended first.
    OneForAll,
    /// The child and those that were started after it.
    RestForOne,
    /// As one for one, of many alike: see [`ChildSpec::dynamic`].
    SimpleOneForOne,
}

/// Whether the supervisor ends, with `shutdown`, when [`significant`](ChildSpec::significant) children end by
/// themselves: a transient one normally, a temporary one in any way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoShutdown {
    /// No; and there may be no significant children.
    Never,
    /// With the first of them.
    AnySignificant,
    /// With the last of them.
    AllSignificant,
}

/// What a supervisor is started with: `sup_flags()`, and its children.
#[derive(Debug, Clone)]
pub struct SupervisorSpec {
    /// Who is started again when a child is.
    pub strategy: Strategy,
    /// More restarts than this within [`period`](Self::period) end the supervisor with `shutdown`. Default 1.
    pub intensity: usize,
    /// Default 5 s.
    pub period: Duration,
    /// Default never.
    pub auto_shutdown: AutoShutdown,
    /// Started in this order, ended in the reverse one; exactly one, which is not started, with
    /// [`Strategy::SimpleOneForOne`].
    pub children: Vec<ChildSpec>,
}

impl SupervisorSpec {
    /// Children under OTP's default limits: one restart in five seconds.
    #[must_use]
    pub fn one_for_one(children: Vec<ChildSpec>) -> Self {
        let (period, auto_shutdown) = (Duration::from_secs(5), AutoShutdown::Never);
        Self { strategy: Strategy::OneForOne, intensity: 1, period, auto_shutdown, children }
    }

    /// The same, of which all are started again when one is.
    #[must_use]
    pub fn one_for_all(children: Vec<ChildSpec>) -> Self {
        Self { strategy: Strategy::OneForAll, ..Self::one_for_one(children) }
    }

    /// The same, of which those behind the one that is started again are too.
    #[must_use]
    pub fn rest_for_one(children: Vec<ChildSpec>) -> Self {
        Self { strategy: Strategy::RestForOne, ..Self::one_for_one(children) }
    }

    /// No children yet, but such as are asked for by [`start_dynamic_child`].
    #[must_use]
    pub fn simple_one_for_one(child: ChildSpec) -> Self {
        Self { strategy: Strategy::SimpleOneForOne, ..Self::one_for_one(vec![child]) }
    }
}

/// `supervisor:start_link`. Returns when every child has started.
///
/// The error is `{shutdown, {failed_to_start_child, Id, Reason}}` where one does not, and those that did are ended
/// again; or what is wrong with the specification, as `{start_spec, _}`.
pub async fn start_link(context: &mut Context, name: ServerName, spec: SupervisorSpec) -> Result<Pid, Term> {
    gen_server::start_link::<process::Supervisor>(context, name, spec).await
}
