//! `supervisor` (cluster-services.md 2.3), with the strategy `one_for_one`: a child that ends is started again,
//! alone, unless that happens too often.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use etf::{Atom, Pid, Term, tuple};

use super::gen_server::{self, GenServer, Next, Reply, ServerName};
use crate::{Context, Message, Monitored, clock};

/// Starts a child, linked with the supervisor whose context it gets.
pub type StartChild = Arc<
    dyn for<'a> Fn(&'a mut Context) -> Pin<Box<dyn Future<Output = Result<Pid, Term>> + Send + 'a>>
        + Send
        + Sync,
>;

/// One child.
#[derive(Clone)]
pub struct ChildSpec {
    /// What it is called among its siblings.
    pub id: Term,
    /// How it is started.
    pub start: StartChild,
    /// When it is started again.
    pub restart: Restart,
    /// How it is ended.
    pub shutdown: Shutdown,
    /// Whether it is a supervisor itself, for those who look at the tree.
    pub supervisor: bool,
}

impl ChildSpec {
    /// A permanent worker that has 5 s to end, as OTP's defaults are.
    pub fn worker(
        id: &'static str,
        start: impl for<'a> Fn(&'a mut Context) -> Pin<Box<dyn Future<Output = Result<Pid, Term>> + Send + 'a>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self {
            id: Term::atom(id),
            start: Arc::new(start),
            restart: Restart::Permanent,
            shutdown: Shutdown::Timeout(Duration::from_secs(5)),
            supervisor: false,
        }
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

/// What a supervisor is started with.
#[derive(Clone)]
pub struct SupervisorSpec {
    /// More restarts than this within [`period`](Self::period) end the supervisor with `shutdown`. Default 1.
    pub intensity: usize,
    /// Default 5 s.
    pub period: Duration,
    /// Started in this order, ended in the reverse one.
    pub children: Vec<ChildSpec>,
}

impl SupervisorSpec {
    /// Children under OTP's default limits: one restart in five seconds.
    #[must_use]
    pub fn one_for_one(children: Vec<ChildSpec>) -> Self {
        Self { intensity: 1, period: Duration::from_secs(5), children }
    }
}

/// `supervisor:start_link`. Returns when every child has started.
pub async fn start_link(context: &mut Context, name: ServerName, spec: SupervisorSpec) -> Result<Pid, Term> {
    gen_server::start_link::<Supervisor>(context, name, spec).await
}

struct Supervisor {
    intensity: usize,
    period: Duration,
    children: Vec<Child>,
    restarts: VecDeque<Instant>,
}

struct Child {
    spec: ChildSpec,
    pid: Option<Pid>,
}

impl GenServer for Supervisor {
    type Args = SupervisorSpec;

    async fn init(context: &mut Context, spec: SupervisorSpec) -> Result<Self, Term> {
        context.trap_exit(true);
        let SupervisorSpec { intensity, period, children } = spec;
        let mut supervisor = Self { intensity, period, children: Vec::new(), restarts: VecDeque::new() };
        for spec in children {
            match (spec.start)(context).await {
                Ok(pid) => supervisor.children.push(Child { spec, pid: Some(pid) }),
                Err(reason) => {
                    supervisor.end_children(context).await;
                    let child = tuple!(atom "failed_to_start_child", spec.id, reason);
                    return Err(tuple!(atom "shutdown", child));
                }
            }
        }
        Ok(supervisor)
    }

    async fn handle_call(&mut self, _: &mut Context, request: Term, _from: Term) -> Reply {
        Reply::Reply(match request.as_atom().map(Atom::as_str) {
            Some("which_children") => self.which_children(),
            Some("count_children") => self.count_children(),
            _ => tuple!(atom "error", atom "not_supported"),
        })
    }

    async fn handle_info(&mut self, context: &mut Context, message: Message) -> Next {
        match message {
            Message::Exit { from, reason } => self.child_ended(context, &from, &reason).await,
            _ => Next::Continue,
        }
    }

    async fn terminate(&mut self, context: &mut Context, _reason: &Term) {
        self.end_children(context).await;
    }
}

impl Supervisor {
    async fn child_ended(&mut self, context: &mut Context, pid: &Pid, reason: &Term) -> Next {
        let Some(at) = self.children.iter().position(|child| child.pid.as_ref() == Some(pid)) else {
            return Next::Continue;
        };
        self.children[at].pid = None;
        let restart = match self.children[at].spec.restart {
            Restart::Permanent => true,
            Restart::Transient => !is_normal(reason),
            Restart::Temporary => false,
        };
        if !restart {
            if self.children[at].spec.restart == Restart::Temporary {
                self.children.remove(at);
            }
            return Next::Continue;
        }
        tracing::warn!(child = %self.children[at].spec.id, %reason, "a child ended and is started again");
        loop {
            if !self.may_restart(clock::now()) {
                tracing::error!(child = %self.children[at].spec.id, "too many restarts: the supervisor ends");
                return Next::Stop(Term::atom("shutdown"));
            }
            let start = Arc::clone(&self.children[at].spec.start);
            match start(context).await {
                Ok(pid) => {
                    self.children[at].pid = Some(pid);
                    return Next::Continue;
                }
                Err(reason) => {
                    tracing::warn!(child = %self.children[at].spec.id, %reason, "a child does not start");
                }
            }
        }
    }

    /// Counts a restart, and says whether it is still one of those that are allowed.
    fn may_restart(&mut self, now: Instant) -> bool {
        self.restarts.push_back(now);
        while self.restarts.front().is_some_and(|first| now.duration_since(*first) > self.period) {
            self.restarts.pop_front();
        }
        self.restarts.len() <= self.intensity
    }

    async fn end_children(&mut self, context: &mut Context) {
        while let Some(child) = self.children.pop() {
            if let Some(pid) = child.pid {
                end_child(context, &pid, child.spec.shutdown).await;
            }
        }
    }

    fn which_children(&self) -> Term {
        let row = |child: &Child| {
            let pid = child.pid.clone().map_or(Term::atom("undefined"), Term::Pid);
            tuple!(child.spec.id.clone(), pid, kind(child), Term::list(vec![Term::atom("crabnode")]))
        };
        Term::List(self.children.iter().rev().map(row).collect())
    }

    fn count_children(&self) -> Term {
        let supervisors = self.children.iter().filter(|child| child.spec.supervisor).count();
        let active = self.children.iter().filter(|child| child.pid.is_some()).count();
        let specs = self.children.len();
        Term::list(vec![
            tuple!(atom "specs", specs),
            tuple!(atom "active", active),
            tuple!(atom "supervisors", supervisors),
            tuple!(atom "workers", specs - supervisors),
        ])
    }
}

fn kind(child: &Child) -> Term {
    Term::atom(if child.spec.supervisor { "supervisor" } else { "worker" })
}

fn is_normal(reason: &Term) -> bool {
    reason.is_atom("normal")
        || reason.is_atom("shutdown")
        || matches!(reason.as_tuple(), Some([tag, _]) if tag.is_atom("shutdown"))
}

/// Ends a process as a supervisor does, and returns when it is gone.
pub(crate) async fn end_child(context: &mut Context, pid: &Pid, shutdown: Shutdown) {
    let monitor = context.monitor(pid);
    let reference = monitor.reference.clone();
    context.unlink(pid);
    let reason = if shutdown == Shutdown::BrutalKill { "kill" } else { "shutdown" };
    context.exit(pid, Term::atom(reason));
    let timeout = if let Shutdown::Timeout(timeout) = shutdown { Some(timeout) } else { None };
    let mut gone = |message: &Message| match message {
        Message::Down { reference: r, item: Monitored::Pid(_), .. } if *r == reference => Some(()),
        _ => None,
    };
    if context.receive_match_timeout(timeout, &mut gone).await.is_none() {
        context.exit(pid, Term::atom("kill"));
        context.receive_match(&mut gone).await;
    }
    context.forget_exit(pid);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_counted_within_the_period_only() {
        let mut supervisor = Supervisor {
            intensity: 2,
            period: Duration::from_secs(5),
            children: Vec::new(),
            restarts: VecDeque::new(),
        };
        let start = clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(supervisor.may_restart(at(0)));
        assert!(supervisor.may_restart(at(1)));
        assert!(supervisor.may_restart(at(6)), "the first is out of the period");
        assert!(!supervisor.may_restart(at(6)), "three within it");
    }

    #[test]
    fn shutdown_is_a_normal_end() {
        assert!(is_normal(&Term::atom("normal")) && is_normal(&Term::atom("shutdown")));
        assert!(is_normal(&tuple!(atom "shutdown", 1)));
        assert!(!is_normal(&Term::atom("killed")) && !is_normal(&tuple!(atom "error", 1)));
    }
}
