//! From a signal to the process it is for, and from a process to the node its signal is for.
//!
//! Signals between processes of this node take the same way as those from other nodes, without the bytes. So
//! the rules of links and monitors stand once, in [`process`](crate::process). Nothing here waits.

use std::sync::Arc;

use dist::{MonitorTarget, SeqToken, Signal, SignalTarget, SpawnReplyFlags, Withheld};
use etf::{Atom, Pid, Reference, Term};
use std::num::NonZeroU64;

use crate::{
    net::{Pushed, Route},
    node::Inner,
    process::{self, Delivery, Dest, Message, Monitored, NodeEvent, Process, Watcher},
};

/// Where signals to a node go.
pub(crate) enum Way {
    /// To ourselves.
    Here,
    /// Through the queue of a connection, or of one that is being made.
    Over(Arc<Route>),
    /// There can be no connection.
    Nowhere,
}

impl Way {
    /// Whether what goes there may arrive.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Here => true,
            // In this order: one that is being made may be up a moment later.
            Self::Over(route) => route.is_connecting() || route.is_up().is_some(),
            Self::Nowhere => false,
        }
    }
}

fn noproc() -> Term {
    Term::atom("noproc")
}

fn noconnection() -> Term {
    Term::atom("noconnection")
}

impl Inner {
    // --- On the way out -----------------------------------------------------------------------------------

    /// The way of signals to a node; a connection is begun if there is none.
    ///
    /// A link, monitor or request is noted *after* the way is found: if the connection is lost in between, the
    /// way is closed and says so. Noted before, it could be reported lost and then go out over the next
    /// connection all the same.
    pub(crate) fn way(self: &Arc<Self>, node: &Atom) -> Way {
        if node == self.node_atom() {
            return Way::Here;
        }
        self.route(node).map_or(Way::Nowhere, Way::Over)
    }

    /// The way of signals that are not worth a connection: nowhere if there is none.
    pub(crate) fn way_if_any(&self, node: &Atom) -> Way {
        if node == self.node_atom() {
            return Way::Here;
        }
        self.route_if_any(node).map_or(Way::Nowhere, Way::Over)
    }

    fn emit_by(self: &Arc<Self>, way: &Way, signal: Signal) -> Pushed {
        match way {
            Way::Here => {
                self.receive(signal);
                Pushed::Queued
            }
            Way::Over(route) => route.push(&signal),
            Way::Nowhere => Pushed::Lost,
        }
    }

    /// Sends a signal to a node: to ourselves at once, to another through its queue, connecting if need be.
    fn emit(self: &Arc<Self>, node: &Atom, signal: Signal) -> (Pushed, Option<Arc<Route>>) {
        self.emit_over(self.way(node), signal)
    }

    /// As [`emit`](Self::emit), but only over a connection that is there.
    pub(crate) fn emit_noconnect(
        self: &Arc<Self>,
        node: &Atom,
        signal: Signal,
    ) -> (Pushed, Option<Arc<Route>>) {
        self.emit_over(self.way_if_any(node), signal)
    }

    fn emit_over(self: &Arc<Self>, way: Way, signal: Signal) -> (Pushed, Option<Arc<Route>>) {
        let pushed = self.emit_by(&way, signal);
        (pushed, if let Way::Over(route) = way { Some(route) } else { None })
    }

    /// `Dest ! Message`, without waiting.
    pub(crate) fn emit_send(
        self: &Arc<Self>,
        from: &Pid,
        dest: Dest,
        message: Term,
        token: Option<SeqToken>,
    ) -> Pushed {
        match self.message(from, dest, message, token) {
            Some((node, signal)) => self.emit(&node, signal).0,
            None => Pushed::Lost,
        }
    }

    /// The node that a message is for, and its signal; nothing for a global name that nobody has.
    pub(crate) fn message(
        &self,
        from: &Pid,
        dest: Dest,
        message: Term,
        token: Option<SeqToken>,
    ) -> Option<(Atom, Signal)> {
        let (from, priority) = (from.clone(), false);
        Some(match dest {
            Dest::Pid(to) => {
                (to.node().clone(), Signal::Send { from: Some(from), to, message, token, priority })
            }
            Dest::Name(to) => {
                (self.node_atom().clone(), Signal::RegSend { from, to, message, token, priority })
            }
            Dest::NameAt(to, node) => (node, Signal::RegSend { from, to, message, token, priority }),
            Dest::Alias(to) => (to.node().clone(), Signal::AliasSend { from, to, message, token, priority }),
            Dest::Global(name) => {
                return self.message(&from, Dest::Pid(self.whereis_global(&name)?), message, token);
            }
        })
    }

    /// A LINK cannot be sent: it fires at once.
    pub(crate) fn link_lost(self: &Arc<Self>, from: &Pid, to: &Pid) {
        let (from, to, token) = (to.clone(), from.clone(), None);
        self.receive(Signal::Exit { from, to, reason: noconnection(), token });
    }

    /// UNLINK_ID. Where it is not sent, or the peer will not acknowledge it, it counts as acknowledged.
    pub(crate) fn emit_unlink(self: &Arc<Self>, from: &Pid, to: &Pid, id: NonZeroU64) {
        let signal = Signal::Unlink { id: Some(id), from: from.clone(), to: to.clone() };
        let (pushed, route) = self.emit_noconnect(to.node(), signal);
        if pushed != Pushed::Queued || route.is_some_and(|route| !route.acknowledges_unlinks()) {
            self.receive(Signal::UnlinkAck { id, from: to.clone(), to: from.clone() });
        }
    }

    /// EXIT, as a process ends.
    pub(crate) fn emit_exit(self: &Arc<Self>, from: &Pid, to: &Pid, reason: Term, token: Option<SeqToken>) {
        let signal = Signal::Exit { from: from.clone(), to: to.clone(), reason, token };
        self.emit_noconnect(to.node(), signal);
    }

    /// EXIT2: `exit/2`.
    pub(crate) fn emit_exit2(self: &Arc<Self>, from: &Pid, to: &Pid, reason: Term, token: Option<SeqToken>) {
        let (from, target) = (from.clone(), SignalTarget::Pid(to.clone()));
        self.emit(to.node(), Signal::Exit2 { from, to: target, reason, token, priority: false });
    }

    /// The same by an alias.
    pub(crate) fn emit_exit_alias(
        self: &Arc<Self>,
        from: &Pid,
        to: &Reference,
        reason: Term,
        token: Option<SeqToken>,
        priority: bool,
    ) {
        let (from, target) = (from.clone(), SignalTarget::Alias(to.clone()));
        self.emit(to.node(), Signal::Exit2 { from, to: target, reason, token, priority });
    }

    /// GROUP_LEADER. A process that cannot be reached keeps the one it has.
    pub(crate) fn emit_group_leader(self: &Arc<Self>, leader: &Pid, member: &Pid) {
        let signal = Signal::GroupLeader { leader: leader.clone(), member: member.clone() };
        self.emit(member.node(), signal);
    }

    /// MONITOR_P. One that cannot be sent fires at once.
    pub(crate) fn emit_monitor(
        self: &Arc<Self>,
        way: &Way,
        from: &Pid,
        item: &Monitored,
        reference: Reference,
    ) {
        let signal = Signal::Monitor { from: from.clone(), to: target(item), reference: reference.clone() };
        if self.emit_by(way, signal) == Pushed::Lost {
            self.fire(from, &reference, noconnection());
        }
    }

    /// DEMONITOR_P.
    pub(crate) fn emit_demonitor(self: &Arc<Self>, from: &Pid, item: &Monitored, reference: Reference) {
        let signal = Signal::Demonitor { from: from.clone(), to: target(item), reference };
        self.emit_noconnect(item.node(), signal);
    }

    /// MONITOR_P_EXIT, as a process ends.
    pub(crate) fn emit_down(
        self: &Arc<Self>,
        from: &Pid,
        reference: Reference,
        watcher: Watcher,
        reason: Term,
    ) {
        let sender = Some(from.clone());
        let from = watcher.by_name.map_or_else(|| MonitorTarget::Pid(from.clone()), MonitorTarget::Name);
        let node = watcher.pid.node().clone();
        self.emit_noconnect(&node, Signal::MonitorExit { from, sender, to: watcher.pid, reference, reason });
    }

    /// SPAWN_REQUEST. One that cannot be sent is answered at once.
    pub(crate) fn emit_spawn_request(
        self: &Arc<Self>,
        way: &Way,
        request: dist::SpawnRequest,
        args: Vec<Term>,
    ) {
        let (to, request_id) = (request.from.clone(), request.request_id.clone());
        let signal = Signal::SpawnRequest { request: Box::new(request), args: Term::list(args) };
        let pushed = self.emit_by(way, signal);
        self.spawn_refused(&request_id, &to, pushed);
    }

    fn spawn_refused(self: &Arc<Self>, request_id: &Reference, to: &Pid, pushed: Pushed) {
        let error = match pushed {
            Pushed::Queued => return,
            Pushed::Withheld(Withheld::Spawn) => "notsup",
            Pushed::Withheld(_) | Pushed::Lost => "noconnection",
        };
        self.spawn_replied(request_id, to, SpawnReplyFlags::NONE, Err(Atom::from_static(error)));
    }

    /// A signal that waited for a connection cannot be sent over it: who sent it is told as if it had not waited.
    pub(crate) fn not_sent(self: &Arc<Self>, signal: Signal, why: Pushed) {
        match signal {
            Signal::SpawnRequest { request, .. } => {
                self.spawn_refused(&request.request_id, &request.from, why);
            }
            Signal::Unlink { id: Some(id), from, to } => {
                self.receive(Signal::UnlinkAck { id, from: to, to: from });
            }
            Signal::Link { from, to } if why == Pushed::Lost => self.link_lost(&from, &to),
            Signal::Monitor { from, reference, .. } if why == Pushed::Lost => {
                self.fire(&from, &reference, noconnection());
            }
            // Messages and exits are lost without a word; what is withheld otherwise has no answer.
            _ => {}
        }
    }

    /// SPAWN_REPLY.
    pub(crate) fn emit_spawn_reply(
        self: &Arc<Self>,
        request_id: Reference,
        to: &Pid,
        flags: SpawnReplyFlags,
        result: Result<Pid, Atom>,
        token: Option<SeqToken>,
    ) {
        let signal = Signal::SpawnReply { request_id, to: to.clone(), flags, result, token };
        self.emit_noconnect(to.node(), signal);
    }

    // --- On the way in ------------------------------------------------------------------------------------

    /// Does what a signal of another node says, but keeps messages back until `delivery` is finished.
    pub(crate) fn receive_together(self: &Arc<Self>, signal: Signal, delivery: &mut Delivery) {
        match signal {
            Signal::Send { to, message, token, .. } => {
                delivery.for_pid(&self.registry, to, message, token.map(Box::new));
            }
            Signal::RegSend { to, message, token, .. } => {
                delivery.for_name(&self.registry, to, message, token.map(Box::new));
            }
            other => {
                delivery.finish();
                self.receive(other);
            }
        }
    }

    /// Does what a signal says, whether it came from another node or from a process of this one.
    pub(crate) fn receive(self: &Arc<Self>, signal: Signal) {
        match signal {
            Signal::Send { to, message, token, .. } => self.deliver(&to, message, token),
            Signal::RegSend { to, message, token, .. } => {
                if let Some(pid) = self.registry.whereis(&to) {
                    self.deliver(&pid, message, token);
                }
            }
            Signal::AliasSend { to, message, token, priority, .. } => {
                self.registry.with_aliased(&to, |process, _, options| {
                    let is_urgent = priority && options.priority;
                    process.deliver_as(Message::Term(message), token.map(Box::new), is_urgent);
                });
            }
            Signal::Link { from, to } => self.linked(&from, &to),
            Signal::Unlink { id, from, to } => {
                let route = self.route_if_any(from.node());
                let ack = id.map(|id| Signal::UnlinkAck { id, from: to.clone(), to: from.clone() });
                let process = self.registry.get(&to);
                let mut signals = process.as_ref().map(|process| process.signals());
                if let Some(signals) = signals.as_mut().and_then(|signals| signals.as_mut()) {
                    signals.unlinked_by(&from);
                }
                // Before any other signal to that process, and also if the process is gone (wire.md 5.1). Under the
                // same lock: a link that the process makes now must not go out before it.
                if let (Some(route), Some(ack)) = (route, &ack) {
                    route.push(ack);
                }
            }
            Signal::UnlinkAck { id, from, to } => {
                if let Some(process) = self.registry.get(&to)
                    && let Some(signals) = &mut *process.signals()
                {
                    signals.unlink_acked(&from, id);
                }
            }
            Signal::Exit { from, to, reason, token } => {
                if let Some(process) = self.registry.get(&to) {
                    process.with_signals(|signals| {
                        process.exit_effect(signals.exited_by_link(&from, reason), token.map(Box::new));
                    });
                }
            }
            Signal::Exit2 { from, to: SignalTarget::Alias(alias), reason, token, priority } => {
                self.registry.with_aliased(&alias, |process, signals, options| {
                    let is_urgent = priority && options.priority;
                    let effect = signals.exited_by(&from, &process.pid, reason, is_urgent);
                    process.exit_effect(effect, token.map(Box::new));
                });
            }
            Signal::Exit2 { from, to, reason, token, .. } => {
                let to = match to {
                    SignalTarget::Pid(pid) => Some(pid),
                    SignalTarget::Name(name) => self.registry.whereis(&name),
                    SignalTarget::Alias(_) => None,
                };
                if let Some(process) = to.and_then(|to| self.registry.get(&to)) {
                    process.with_signals(|signals| {
                        let effect = signals.exited_by(&from, &process.pid, reason, false);
                        process.exit_effect(effect, token.map(Box::new));
                    });
                }
            }
            Signal::Monitor { from, to, reference } => self.monitored(from, to, reference),
            Signal::Demonitor { to, reference, .. } => {
                let process = match to {
                    MonitorTarget::Pid(pid) => self.registry.get(&pid),
                    MonitorTarget::Name(name) => {
                        self.registry.whereis(&name).and_then(|pid| self.registry.get(&pid))
                    }
                };
                if let Some(process) = process
                    && let Some(signals) = &mut *process.signals()
                {
                    signals.unwatched_by(&reference);
                }
            }
            Signal::MonitorExit { to, reference, reason, .. } => self.fire(&to, &reference, reason),
            Signal::SpawnRequest { request, args } => process::serve_spawn_request(self, *request, args),
            Signal::SpawnReply { request_id, to, flags, result, .. } => {
                self.spawn_replied(&request_id, &to, flags, result);
            }
            Signal::GroupLeader { leader, member } => {
                if let Some(process) = self.registry.get(&member) {
                    process.set_group_leader(leader);
                }
            }
        }
    }

    /// Puts a message into the mailbox of a process of this incarnation; for any other it is dropped.
    fn deliver(&self, to: &Pid, message: Term, token: Option<SeqToken>) {
        if let Some(process) = self.registry.get(to) {
            process.deliver_traced(Message::Term(message), token.map(Box::new));
        }
    }

    fn linked(self: &Arc<Self>, from: &Pid, to: &Pid) {
        if let Some(process) = self.registry.living(to)
            && let Some(signals) = &mut *process.signals()
        {
            self.registry.concern(signals, from.node(), to);
            signals.linked_by(from);
            return;
        }
        let signal = Signal::Exit { from: to.clone(), to: from.clone(), reason: noproc(), token: None };
        self.emit_noconnect(&from.node().clone(), signal);
    }

    fn monitored(self: &Arc<Self>, from: Pid, to: MonitorTarget, reference: Reference) {
        let (pid, by_name) = match &to {
            MonitorTarget::Pid(pid) => (Some(pid.clone()), None),
            MonitorTarget::Name(name) => (self.registry.whereis(name), Some(name.clone())),
        };
        if let Some(process) = pid.and_then(|pid| self.registry.living(&pid))
            && let Some(signals) = &mut *process.signals()
        {
            self.registry.concern(signals, from.node(), &process.pid);
            signals.watched_by(reference, Watcher { pid: from, by_name });
            return;
        }
        let node = from.node().clone();
        let (from, to, reason) = (to, from, noproc());
        self.emit_noconnect(&node, Signal::MonitorExit { from, sender: None, to, reference, reason });
    }

    /// A monitor of a process of ours fires, if it is still set.
    pub(crate) fn fire(&self, owner: &Pid, reference: &Reference, reason: Term) {
        if let Some(process) = self.registry.get(owner) {
            process.with_signals(|signals| {
                if let Some((item, is_urgent)) = signals.fire(reference) {
                    let down = Message::Down { reference: reference.clone(), item, reason };
                    process.deliver_as(down, None, is_urgent);
                }
            });
        }
    }

    /// A request to spawn is answered: what was set up there is set up here, or undone there if the requester
    /// is gone (wire.md 5.3).
    fn spawn_replied(
        self: &Arc<Self>,
        request_id: &Reference,
        to: &Pid,
        flags: SpawnReplyFlags,
        result: Result<Pid, Atom>,
    ) {
        let (link, monitor) =
            (flags.contains(SpawnReplyFlags::LINK), flags.contains(SpawnReplyFlags::MONITOR));
        if let Some(process) = self.registry.get(to)
            && let Some(signals) = &mut *process.signals()
            && let Some(request) = signals.spawn_answered(request_id)
        {
            if let Ok(pid) = &result {
                self.registry.concern(signals, pid.node(), to);
                if monitor {
                    signals.watch(request_id.clone(), Monitored::Pid(pid.clone()));
                }
                if link {
                    signals.link(pid);
                }
            }
            if request.is_told || result.is_err() {
                process.deliver(Message::SpawnReply { reference: request_id.clone(), result });
            }
            return;
        }
        let Ok(pid) = result else { return };
        if monitor {
            self.emit_demonitor(to, &Monitored::Pid(pid.clone()), request_id.clone());
        }
        if link {
            self.emit_exit(to, &pid, noproc(), None);
        }
    }

    /// The connection to a node is lost: links fire, then monitors, then requests, then monitors of the node (wire.md
    /// 5.2). `event` is what these say.
    pub(crate) fn signal_node_down(self: &Arc<Self>, node: &Atom, event: &NodeEvent) {
        for process in self.registry.take_concerned(node) {
            process.with_signals(|signals| {
                let down = signals.node_down(node);
                for from in down.links {
                    process.exit_effect(signals.exited_by_link(&from, noconnection()), None);
                }
                for (is_urgent, reference, item) in down.monitors {
                    let down = Message::Down { reference, item, reason: noconnection() };
                    process.deliver_as(down, None, is_urgent);
                }
                for reference in down.requests {
                    let result = Err(Atom::from_static("noconnection"));
                    process.deliver(Message::SpawnReply { reference, result });
                }
                for _ in 0..down.node_monitors {
                    process.deliver(Message::Node(event.clone()));
                }
            });
        }
    }

    /// A node that is monitored is not connected and will not be.
    pub(crate) fn fire_node_monitors(&self, process: &Process, node: &Atom) {
        let reason = noconnection();
        let down = Message::Node(NodeEvent::Down { node: node.clone(), visible: false, reason });
        process.with_signals(|signals| {
            for _ in 0..signals.fire_node(node) {
                process.deliver(down.clone());
            }
        });
    }

    /// The process behind a global name, as this node knows it.
    pub(crate) fn whereis_global(&self, name: &Term) -> Option<Pid> {
        self.global.get().and_then(|global| global.whereis(name))
    }
}

fn target(item: &Monitored) -> MonitorTarget {
    match item {
        Monitored::Pid(pid) => MonitorTarget::Pid(pid.clone()),
        Monitored::Name(name, _) => MonitorTarget::Name(name.clone()),
    }
}
