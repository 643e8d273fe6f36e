//! Processes from outside: for the parts of a program that are no processes.

use etf::{Pid, Term};
use tokio::sync::oneshot;

use super::{Context, IntoExit, NameTaken, SpawnOptions};
use crate::Node;

/// A process that a program has started and wants to hear of, as [`Node::spawn_handle`] gives it. Dropping it leaves the
/// process running.
#[derive(Debug)]
pub struct ProcessHandle {
    node: Node,
    pid: Pid,
    ended: oneshot::Receiver<Term>,
}

impl ProcessHandle {
    /// The process.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// `exit(Pid, Reason)`; see [`Node::exit`].
    pub fn exit(&self, reason: impl Into<Term>) {
        self.node.exit(&self.pid, reason);
    }

    /// Waits for the end of the process and gives its exit reason, as a monitor's `DOWN` would.
    ///
    /// Dropping the future loses nothing: it can be asked for again until it was given.
    pub async fn ended(&mut self) -> Term {
        // It is told by whoever ends the process, and nobody else has the other end.
        (&mut self.ended).await.unwrap_or_else(|_| Term::atom("noproc"))
    }
}

impl Node {
    /// Starts a process with options, and gives what its end can be waited for by.
    pub fn spawn_handle<F, Fut>(&self, options: SpawnOptions, body: F) -> Result<ProcessHandle, NameTaken>
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: IntoExit> + Send + 'static,
    {
        let process = self.inner().new_process_for::<F>(options)?;
        let (pid, (sender, ended)) = (process.pid.clone(), oneshot::channel());
        process.with_signals(|signals| signals.tell(sender));
        self.inner().run_process(process, body);
        Ok(ProcessHandle { node: self.clone(), pid, ended })
    }

    /// `exit(Pid, Reason)` by no process: asks one of this or another node to end. It comes from a pid of this node that
    /// no process has.
    pub fn exit(&self, to: &Pid, reason: impl Into<Term>) {
        self.inner().emit_exit2(&self.inner().registry.nobody(), to, reason.into(), None);
    }

    /// `register(Name, Pid)`: gives a live process of this node a name. Fails where the name is taken, the process has one
    /// or is gone, and for `undefined`.
    pub fn register(&self, name: impl Into<etf::Atom>, pid: &Pid) -> Result<(), NameTaken> {
        let name = name.into();
        if self.inner().registry.register(&name, pid) { Ok(()) } else { Err(NameTaken { name }) }
    }

    /// `unregister(Name)`: whether somebody had it.
    pub fn unregister(&self, name: &str) -> bool {
        self.inner().registry.unregister(name)
    }
}
