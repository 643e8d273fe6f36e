//! Processes: what has a pid, a mailbox, links and monitors, and ends for a reason.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{self, Poll},
};

use atomic_waker::AtomicWaker;
use etf::{Atom, Pid, Term, tuple};

mod context;
pub use context::{CallError, Context, Dest, Monitor, PendingCall, TrySendError};
mod delivery;
pub(crate) use delivery::Delivery;
mod exit;
pub use exit::{Exception, IntoExit};
mod mailbox;
use mailbox::{Arrived, Mailbox};
pub use mailbox::{Message, Monitored, NodeEvent};
mod priority;
pub use priority::AliasOptions;
mod registry;
pub(crate) use registry::Registry;
mod seq_trace;
pub(crate) use seq_trace::{SeqTrace, Token};
mod signals;
pub(crate) use signals::{ExitEffect, Signals, SpawnRequested, Watcher};
mod spawn;
pub(crate) use spawn::{PROCESSES_MAX, serve_spawn_request};

use crate::node::Inner;

/// One process.
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) mailbox: Mailbox,
    /// None once it has ended.
    signals: Mutex<Option<Signals>>,
    exit: Mutex<Option<Term>>,
    /// Whether there is something in `exit`.
    is_exiting: AtomicBool,
    /// Its task, to be woken when it is to end.
    task: AtomicWaker,
    group_leader: Mutex<Pid>,
    pub(crate) seq_trace: SeqTrace,
    /// What it runs, as `{M, F, Arity}`, for those who look at it.
    pub(crate) initial_call: (Atom, Atom, u8),
}

impl Process {
    pub(crate) fn signals(&self) -> MutexGuard<'_, Option<Signals>> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the links and monitors, if the process has not ended.
    ///
    /// What comes of it for the process itself is delivered in there: once a monitor is taken away, its `DOWN`
    /// is in the mailbox or never comes.
    pub(crate) fn with_signals(&self, then: impl FnOnce(&mut Signals)) {
        if let Some(signals) = &mut *self.signals() {
            then(signals);
        }
    }

    /// Puts a message into the mailbox; a full one ends its owner, and never holds up whoever delivers.
    pub(crate) fn deliver(&self, message: Message) {
        self.deliver_traced(message, None);
    }

    /// The same, for a message that came with a token.
    pub(crate) fn deliver_traced(&self, message: Message, token: Token) {
        self.deliver_all([(message, token)].into_iter());
    }

    /// The same; one that is urgent comes before all that are not.
    pub(crate) fn deliver_as(&self, message: Message, token: Token, is_urgent: bool) {
        if !is_urgent {
            self.deliver_traced(message, token);
        } else if self.mailbox.push_urgent((message, token)).is_err() {
            self.overflow();
        }
    }

    /// The same for several.
    fn deliver_all(&self, messages: impl ExactSizeIterator<Item = Arrived>) {
        if self.mailbox.push_all(messages).is_err() {
            self.overflow();
        }
    }

    fn overflow(&self) {
        tracing::error!(pid = ?self.pid, "a mailbox is full: its process is ended");
        self.kill(Term::atom("mailbox_full"));
    }

    /// Ends the process at its next await. The first reason counts.
    pub(crate) fn kill(&self, reason: Term) {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.is_exiting.store(true, Ordering::Release);
        self.task.wake();
    }

    /// Why it has to end, if it has to; else whoever makes it so wakes the task.
    fn killed(&self, cx: &task::Context<'_>) -> Option<Term> {
        self.task.register(cx.waker());
        if !self.is_exiting.load(Ordering::Acquire) {
            return None;
        }
        self.exit.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does what an exit signal says.
    pub(crate) fn exit_effect(&self, effect: ExitEffect, token: Token) {
        match effect {
            ExitEffect::Ignored => {}
            ExitEffect::Message { from, reason, is_urgent } => {
                self.deliver_as(Message::Exit { from, reason }, token, is_urgent);
            }
            ExitEffect::Dies(reason) => self.kill(reason),
        }
    }

    pub(crate) fn group_leader(&self) -> Pid {
        self.group_leader.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_group_leader(&self, leader: Pid) {
        *self.group_leader.lock().unwrap_or_else(PoisonError::into_inner) = leader;
    }
}

/// How a process is started.
#[derive(Debug, Clone, Default)]
pub struct SpawnOptions {
    /// A name to register it by, before it runs.
    pub name: Option<Atom>,
    /// Who gets its output; by default whoever its parent's output goes to. Where it has no parent, as with
    /// [`Node::spawn`](crate::Node::spawn), that is whoever is registered as `user`, or nobody but itself.
    pub group_leader: Option<Pid>,
    /// What it runs, for those who look at it from outside.
    pub initial_call: Option<(Atom, Atom, u8)>,
}

/// The name of a process is taken, or is `undefined`, which is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name {name} is registered already, or no name")]
pub struct NameTaken {
    /// The name.
    pub name: Atom,
}

impl Inner {
    /// A process that is in the table and does not run yet, so that links and monitors can be set up first.
    pub(crate) fn new_process(self: &Arc<Self>, options: SpawnOptions) -> Result<Arc<Process>, NameTaken> {
        let pid = self.registry.new_pid();
        let leader = options.group_leader.or_else(|| self.registry.whereis("user"));
        let process = Arc::new(Process {
            group_leader: Mutex::new(leader.unwrap_or_else(|| pid.clone())),
            pid,
            mailbox: Mailbox::new(self.config.mailbox_messages_max),
            signals: Mutex::new(Some(Signals::default())),
            exit: Mutex::default(),
            is_exiting: AtomicBool::new(false),
            task: AtomicWaker::new(),
            seq_trace: SeqTrace::default(),
            initial_call: options
                .initial_call
                .unwrap_or_else(|| (Atom::from_static("crabnode"), Atom::from_static("spawn"), 1)),
        });
        self.registry.insert(Arc::clone(&process));
        if let Some(name) = options.name
            && !self.registry.register(&name, &process.pid)
        {
            self.registry.remove(&process);
            return Err(NameTaken { name });
        }
        Ok(process)
    }

    /// Runs a process until its body returns, panics, or an exit signal ends it.
    pub(crate) fn run_process<F, Fut>(self: &Arc<Self>, process: Arc<Process>, body: F)
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: IntoExit> + Send + 'static,
    {
        let inner = Arc::clone(self);
        self.tasks.spawn(async move {
            let context = Context::new(Arc::clone(&inner), Arc::clone(&process));
            let body = Some(Box::pin(async move { body(context).await.into_exit() }));
            let reason = Running { process: Arc::clone(&process), body }.await;
            inner.end_process(&process, reason);
        });
    }

    /// Takes an ended process out of the tables and tells everyone: links, then monitors, then those it
    /// monitored itself (wire.md 5.2).
    fn end_process(self: &Arc<Self>, process: &Process, reason: Term) {
        let Some(end) = process.signals().take().map(|mut signals| signals.end()) else { return };
        self.registry.remove(process);
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).remove(&process.pid);
        for to in end.links {
            let token = process.seq_trace.sending(&process.pid);
            self.emit_exit(&process.pid, &to, reason.clone(), token);
        }
        for (reference, watcher) in end.watchers {
            self.emit_down(&process.pid, reference, watcher, reason.clone());
        }
        for (reference, item) in end.watching {
            self.emit_demonitor(&process.pid, &item, reference);
        }
    }
}

/// A panic becomes `{panic, Text}`: never a lost process.
fn panic_reason(panic: Box<dyn std::any::Any + Send>) -> Term {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text");
    tracing::error!(text, "a process panicked");
    tuple!(tuple!(atom "panic", Term::binary(text)), Vec::new())
}

/// Polls the body of a process, in the span that it is in, until it returns or an exit signal ends it, and gives the
/// reason. A panic becomes one, also one in the drop of what the body holds.
struct Running<F> {
    process: Arc<Process>,
    body: Option<Pin<Box<F>>>,
}

impl<F: Future<Output = Term>> Future for Running<F> {
    type Output = Term;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Term> {
        if let Some(reason) = self.process.killed(cx) {
            return Poll::Ready(reason);
        }
        let span = self.process.seq_trace.span();
        let _entered = span.as_ref().map(tracing::Span::enter);
        let Some(future) = &mut self.body else { return Poll::Pending };
        match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(polled) => polled,
            Err(panic) => Poll::Ready(panic_reason(panic)),
        }
    }
}

impl<F> Drop for Running<F> {
    fn drop(&mut self) {
        let future = self.body.take();
        if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| drop(future))) {
            panic_reason(panic);
        }
    }
}
