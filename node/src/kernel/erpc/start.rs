//! Starting processes on other nodes (wire.md 5.3).

use dist::{Mfa, MonitorOptions, SpawnOptions, SpawnRequest};
use etf::{Atom, Reference, Term};

use crate::{Context, process::SpawnRequested};

/// How a process is started on another node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoteSpawnOptions {
    /// Whether it is linked with the process that asks, from its start.
    pub link: bool,
    /// Whether it is monitored, from its start.
    pub monitor: bool,
}

/// Of what the process that asks is told: OTP's `{reply, _}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Of what came of it.
    All,
    /// Of a failure only: the monitor tells the rest.
    Errors,
    /// Of nothing.
    Nothing,
}

impl Context {
    /// `spawn_request(Node, M, F, Args, Options)`: asks a node to start a process. The reference is that of the answer,
    /// a [`Message::SpawnReply`](crate::Message::SpawnReply), and of the `DOWN`.
    ///
    /// Never waits. A node that cannot be reached answers with `noconnection`, one that knows no such requests with
    /// `notsup`; that there is no such function is said by how the new process ends.
    pub fn spawn_request(
        &self,
        node: impl Into<Atom>,
        module: impl Into<Atom>,
        function: impl Into<Atom>,
        args: Vec<Term>,
        options: RemoteSpawnOptions,
    ) -> Reference {
        self.spawn_request_as(&node.into(), (module.into(), function.into()), args, options, Told::All)
    }

    pub(super) fn spawn_request_as(
        &self,
        node: &Atom,
        (module, function): (Atom, Atom),
        args: Vec<Term>,
        options: RemoteSpawnOptions,
        told: Told,
    ) -> Reference {
        let request_id = self.make_ref();
        let inner = self.inner();
        let way = inner.way(node);
        if told != Told::Nothing
            && let Some(signals) = &mut *self.process().signals()
        {
            inner.registry.concern(signals, node, self.pid());
            let request = SpawnRequested { node: node.clone(), is_told: told == Told::All };
            signals.spawn_requested(request_id.clone(), request);
        }
        let arity = i64::try_from(args.len()).unwrap_or(i64::MAX);
        let request = SpawnRequest {
            request_id: request_id.clone(),
            from: self.pid().clone(),
            group_leader: self.group_leader(),
            mfa: Mfa { module, function, arity },
            options: Ok(SpawnOptions {
                link: options.link,
                monitor: options.monitor.then(MonitorOptions::default),
                ..SpawnOptions::default()
            }),
            token: self.process().seq_trace.sending(self.pid()),
        };
        inner.emit_spawn_request(&way, request, args);
        request_id
    }
}
