//! Processes: what has a pid, a mailbox, links and monitors, and ends for a reason.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering, fence},
};

use etf::{Atom, Pid, Term};

mod calls;
pub(crate) use calls::answered_call;
pub use calls::{CallError, PendingCall};
mod context;
pub use context::{Context, Dest, TrySendError};
mod delivery;
pub(crate) use delivery::Delivery;
mod exit;
pub use exit::{Exception, IntoExit};
mod handle;
pub use handle::ProcessHandle;
mod info;
pub use info::ProcessInfo;
mod links;
pub use links::Monitor;
mod mailbox;
use mailbox::{Arrived, Mailbox};
pub use mailbox::{Message, Monitored, NodeEvent};
mod panic;
pub(crate) use panic::watch as watch_panics;
mod priority;
pub use priority::AliasOptions;
mod registry;
pub(crate) use registry::{Registry, key as process_key};
mod run;
mod seq_trace;
pub(crate) use seq_trace::{SeqTrace, Token};
mod signals;
pub(crate) use signals::{ExitEffect, Signals, SpawnRequested, Watcher};
mod spawn;
pub(crate) use spawn::{PROCESSES_MAX, serve_spawn_request};
mod start;
mod table;
mod timers;
pub(crate) use timers::Timers;

use crate::node::Inner;

/// One process.
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) mailbox: Mailbox,
    /// None once it has ended.
    signals: Mutex<Option<Signals>>,
    exit: Mutex<Option<Box<Term>>>,
    /// Whether there is something in `exit`.
    is_exiting: AtomicBool,
    group_leader: Mutex<Pid>,
    pub(crate) seq_trace: SeqTrace,
    call: InitialCall,
    /// How often it has run.
    runs: AtomicU64,
    /// What its task takes.
    body_bytes: AtomicU64,
}

/// What a process runs, for those who look at it.
enum InitialCall {
    /// The name of a function of the program, as the compiler writes it.
    Rust(&'static str),
    Mfa(Box<(Atom, Atom, u8)>),
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

    /// Puts a message into the mailbox; a full one ends its owner, and never holds up whoever delivers. One for a process
    /// that has to end is dropped: signals keep their order, so nobody sees what comes after an exit that ended it.
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
        } else if !self.is_exiting() && self.mailbox.push_urgent((message, token)).is_err() {
            self.overflow();
        }
    }

    /// The same for several.
    fn deliver_all(&self, messages: impl ExactSizeIterator<Item = Arrived>) {
        if !self.is_exiting() && self.mailbox.push_all(messages).is_err() {
            self.overflow();
        }
    }

    /// The same, leaving nothing in there.
    fn deliver_batch(&self, messages: &mut Vec<Arrived>) {
        if self.is_exiting() {
            messages.clear();
        } else if self.mailbox.push_batch(messages).is_err() {
            self.overflow();
        }
    }

    fn overflow(&self) {
        tracing::error!(pid = ?self.pid, "a mailbox is full: its process is ended");
        self.kill(Term::atom("mailbox_full"));
    }

    /// Ends the process at its next await. The first reason counts. To others it is gone from now on: what they say to it
    /// later is for nobody (wire.md 5.2).
    pub(crate) fn kill(&self, reason: Term) {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(Box::new(reason));
        self.is_exiting.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether it was told to end, even if it has not come to that yet.
    pub(crate) fn is_exiting(&self) -> bool {
        self.is_exiting.load(Ordering::Acquire)
    }

    /// Has it looked at whether it has to end.
    fn wake(&self) {
        // Either its task is known by now, or it sees when it begins why it is woken.
        fence(Ordering::SeqCst);
        self.mailbox.wake_task();
    }

    /// Why it has to end, if it has to; else whoever makes it so wakes the task. All have to where the node ends.
    fn exit_reason(&self, is_halted: bool) -> Option<Term> {
        if self.is_exiting() {
            let reason = self.exit.lock().unwrap_or_else(PoisonError::into_inner);
            return reason.as_deref().cloned();
        }
        is_halted.then(|| Term::atom("killed"))
    }

    fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// What the process itself takes, and its task.
    fn own_bytes(&self) -> usize {
        size_of::<Self>() + usize::try_from(self.body_bytes.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    fn has_ended(&self) -> bool {
        self.signals().is_none()
    }

    /// Only its own task does that, so nothing is lost between reading and writing.
    fn count_run(&self) {
        self.runs.store(self.runs().wrapping_add(1), Ordering::Relaxed);
    }

    fn set_body_bytes(&self, bytes: usize) {
        self.body_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    /// What it runs, as `{M, F, Arity}`.
    pub(crate) fn initial_call(&self) -> (Atom, Atom, u8) {
        match &self.call {
            InitialCall::Mfa(call) => (**call).clone(),
            InitialCall::Rust(name) => rust_call(name),
        }
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
    /// What it runs, for those who look at it from outside; by default the name of the Rust function.
    pub initial_call: Option<(Atom, Atom, u8)>,
}

/// The name of a process is taken, or is `undefined`, which is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name {name} is registered already, or no name")]
pub struct NameTaken {
    /// The name.
    pub name: Atom,
}

/// `{Module, Function, 1}` of what the compiler calls a body, such as `program::worker::run<T>::{{closure}}`.
fn rust_call(name: &str) -> (Atom, Atom, u8) {
    let name = name.split_once('<').map_or(name, |(name, _)| name);
    let name = name.trim_end_matches("::{{closure}}");
    let (module, function) = name.rsplit_once("::").unwrap_or(("crabnode", name));
    let atom = |text: &str| Atom::try_new(text).unwrap_or_else(|_| Atom::from_static("crabnode"));
    (atom(module), atom(function), 1)
}

impl Inner {
    /// A process that is in the table and does not run yet, so that links and monitors can be set up first. It will run
    /// a body of type `F`.
    pub(crate) fn new_process_for<F>(
        self: &Arc<Self>,
        options: SpawnOptions,
    ) -> Result<Arc<Process>, NameTaken> {
        let pid = self.registry.new_pid();
        let leader = options.group_leader.or_else(|| self.registry.whereis("user"));
        let process = Arc::new(Process {
            group_leader: Mutex::new(leader.unwrap_or_else(|| pid.clone())),
            pid,
            mailbox: Mailbox::new(self.config.mailbox_messages_max),
            signals: Mutex::new(Some(Signals::default())),
            exit: Mutex::default(),
            is_exiting: AtomicBool::new(false),
            seq_trace: SeqTrace::default(),
            call: match options.initial_call {
                Some(call) => InitialCall::Mfa(Box::new(call)),
                None => InitialCall::Rust(std::any::type_name::<F>()),
            },
            runs: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
        });
        self.registry.insert(Arc::clone(&process));
        if let Some(name) = options.name
            && !self.registry.register(&name, &process.pid)
        {
            let signals = process.signals().take();
            if let Some(signals) = signals {
                self.registry.remove(&process.pid, &signals.end());
            }
            return Err(NameTaken { name });
        }
        Ok(process)
    }

    /// The same for one whose options say what it runs.
    pub(crate) fn new_process(self: &Arc<Self>, options: SpawnOptions) -> Result<Arc<Process>, NameTaken> {
        self.new_process_for::<()>(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_called_after_its_function() {
        fn call_of<F>(_: &F) -> (Atom, Atom, u8) {
            rust_call(std::any::type_name::<F>())
        }
        async fn worker(_: u8) {}
        let here =
            (concat!(module_path!(), "::a_body_is_called_after_its_function").into(), "worker".into(), 1);
        assert_eq!(call_of(&worker), here);
        let closure = || async {};
        assert_eq!(
            call_of(&closure),
            (module_path!().into(), "a_body_is_called_after_its_function".into(), 1)
        );
        assert_eq!(call_of(&closure()), call_of(&closure));
        assert_eq!(rust_call("()"), ("crabnode".into(), "()".into(), 1));
    }
}
