//! What a process says about others: links, monitors, exits, group leaders (wire.md 5.1, 5.2).

use std::sync::{Arc, MutexGuard};

use dist::Signal;
use etf::{Atom, Pid, Reference, Term};

use super::{Context, Dest, Message, Monitored, Process, Signals};
use crate::{net::Pushed, router::Way};

/// A monitor that is set up.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// What its `DOWN` will carry.
    pub reference: Reference,
}

impl Context {
    // --- Links --------------------------------------------------------------------------------------------

    /// `process_flag(trap_exit, Flag)`: exits that links and others send become messages, [`Message::Exit`].
    pub fn trap_exit(&self, flag: bool) {
        self.process().with_signals(|signals| signals.trap_exit = flag);
    }

    /// `link(Pid)`. A process that is not there answers by an exit with the reason `noproc`.
    pub fn link(&self, to: &Pid) {
        self.link_as(to, false);
    }

    pub(super) fn link_as(&self, to: &Pid, is_urgent: bool) {
        if to == self.pid() {
            return;
        }
        let inner = self.inner();
        let way = match inner.way(to.node()) {
            Way::Here => return self.link_here(to, is_urgent),
            way => way,
        };
        let link = Signal::Link { from: self.pid().clone(), to: to.clone() };
        let pushed = {
            let mut signals = self.process().signals();
            let Some(signals) = &mut *signals else { return };
            inner.registry.concern(signals, to.node(), self.pid());
            signals.set_urgent_link(to, is_urgent);
            if !signals.link(to) {
                return;
            }
            // Under the lock: the peer must hear of it after what was said of the link before, and before what is
            // said later, such as the acknowledgement of its own unlink (wire.md 5.1).
            match &way {
                Way::Over(route) => route.push(&link),
                Way::Here | Way::Nowhere => Pushed::Lost,
            }
        };
        if pushed == Pushed::Lost {
            inner.link_lost(self.pid(), to);
        }
    }

    /// Both ends at once: between two processes of one node there is nothing under way that could be overtaken.
    fn link_here(&self, to: &Pid, is_urgent: bool) {
        let other = self.inner().registry.living(to);
        let effect = {
            let (mut own, mut others) = both(self.process(), other.as_ref());
            let Some(signals) = &mut *own else { return };
            signals.set_urgent_link(to, is_urgent);
            if !signals.link(to) {
                return;
            }
            if let Some(others) = others.as_mut().and_then(|others| others.as_mut()) {
                return others.linked_by(self.pid());
            }
            signals.exited_by_link(to, Term::atom("noproc"))
        };
        self.process().exit_effect(effect, None);
    }

    /// `unlink(Pid)`. After it no exit of that link is delivered; one that is in the mailbox stays there.
    pub fn unlink(&self, to: &Pid) {
        if to == self.pid() {
            return;
        }
        let inner = self.inner();
        if to.node() == inner.node_atom() {
            let other = inner.registry.get(to);
            let (mut own, mut others) = both(self.process(), other.as_ref());
            if let Some(signals) = &mut *own {
                signals.unlinked_by(to);
            }
            if let Some(signals) = others.as_mut().and_then(|others| others.as_mut()) {
                signals.unlinked_by(self.pid());
            }
            return;
        }
        let id = inner.registry.new_unlink_id();
        let send = self.process().signals().as_mut().is_some_and(|signals| signals.unlink(to, id));
        if send {
            inner.emit_unlink(self.pid(), to, id);
        }
    }

    /// Unlinks from a process that is ending, and takes its exit out of the mailbox if it came.
    pub(crate) fn forget_exit(&mut self, pid: &Pid) {
        self.unlink(pid);
        self.flush(|message| matches!(message, Message::Exit { from, .. } if from == pid));
    }

    // --- Monitors -----------------------------------------------------------------------------------------

    /// `monitor(process, Dest)`: a [`Message::Down`] comes once, when the process ends, is not there
    /// (`noproc`) or cannot be reached (`noconnection`).
    pub fn monitor(&self, dest: impl Into<Dest>) -> Monitor {
        let reference = self.make_ref();
        self.monitor_as(&reference, dest.into(), false);
        Monitor { reference }
    }

    /// As [`monitor`](Self::monitor), and where there is no connection none is made: `noconnection` comes at once.
    pub(crate) fn monitor_noconnect(&self, dest: impl Into<Dest>) -> Monitor {
        let (reference, item) = (self.make_ref(), self.monitored(dest.into()));
        let way = self.inner().way_if_any(item.node());
        self.monitor_by(&way, &reference, item, false);
        Monitor { reference }
    }

    pub(super) fn monitor_as(&self, reference: &Reference, dest: Dest, is_urgent: bool) {
        let item = self.monitored(dest);
        let way = self.inner().way(item.node());
        self.monitor_by(&way, reference, item, is_urgent);
    }

    pub(super) fn monitor_by(&self, way: &Way, reference: &Reference, item: Monitored, is_urgent: bool) {
        let inner = self.inner();
        if let Some(signals) = &mut *self.process().signals() {
            inner.registry.concern(signals, item.node(), self.pid());
            signals.watch(reference.clone(), item.clone());
            if is_urgent {
                signals.set_urgent_monitor(reference);
            }
        }
        inner.emit_monitor(way, self.pid(), &item, reference.clone());
    }

    /// What a monitor of it watches; nobody is called `undefined`.
    pub(super) fn monitored(&self, dest: Dest) -> Monitored {
        let own = self.inner().node_atom();
        match dest {
            Dest::Pid(pid) => Monitored::Pid(pid),
            Dest::Name(name) => Monitored::Name(name, own.clone()),
            Dest::NameAt(name, node) => Monitored::Name(name, node),
            Dest::Global(name) => match self.inner().whereis_global(&name) {
                Some(pid) => Monitored::Pid(pid),
                None => Monitored::Name(Atom::from_static("undefined"), own.clone()),
            },
            Dest::Alias(reference) => {
                Monitored::Name(Atom::from_static("undefined"), reference.node().clone())
            }
        }
    }

    /// `demonitor(Ref, [flush])`: its `DOWN` will not be received.
    pub fn demonitor(&mut self, monitor: &Monitor) {
        let item = self.process().signals().as_mut().and_then(|signals| signals.unwatch(&monitor.reference));
        match item {
            Some(item) => self.inner().emit_demonitor(self.pid(), &item, monitor.reference.clone()),
            None => self.flush(
                |message| matches!(message, Message::Down { reference, .. } if *reference == monitor.reference),
            ),
        }
    }

    /// `monitor_node(Node, Flag)`: once the node is not connected any more, or cannot be, a [`Message::Node`] says that
    /// it is down, behind what the links and monitors of this process say. A connection is begun if there is none.
    ///
    /// As in Erlang each call with `true` gives one message, and each with `false` takes one such call back. A node does
    /// not monitor itself. Unlike [`monitor_nodes`](Self::monitor_nodes) it says nothing of nodes that come up.
    pub fn monitor_node(&self, node: impl Into<Atom>, flag: bool) {
        let (inner, node) = (self.inner(), &node.into());
        if node == inner.node_atom() {
            return;
        }
        let way = flag.then(|| inner.way(node));
        if let Some(signals) = &mut *self.process().signals() {
            if flag {
                inner.registry.concern(signals, node, self.pid());
            }
            signals.monitor_node(node, flag);
        }
        // Lost since it was found: whoever lost it may have looked before this was noted.
        if way.is_some_and(|way| !way.is_open()) {
            inner.fire_node_monitors(self.process(), node);
        }
    }

    /// `net_kernel:monitor_nodes(Flag, [{node_type, all}])`: a [`Message::Node`] comes for every node that is
    /// connected or lost, hidden ones included.
    pub fn monitor_nodes(&self, flag: bool) {
        self.inner().monitor_nodes(self.pid(), flag);
    }

    // --- Exits and group leaders --------------------------------------------------------------------------

    /// `exit(Pid, Reason)`: asks another process to end; `kill` cannot be trapped.
    pub fn exit(&self, to: &Pid, reason: impl Into<Term>) {
        let token = self.process().seq_trace.sending(self.pid());
        self.inner().emit_exit2(self.pid(), to, reason.into(), token);
    }

    /// `group_leader()`: who gets this process's output. Processes that it starts have the same, here and on other
    /// nodes.
    #[must_use]
    pub fn group_leader(&self) -> Pid {
        self.process().group_leader()
    }

    /// `group_leader(Leader, Pid)`: gives a process another group leader, this one or another, of this node or not.
    ///
    /// Never waits. Once it returns, a process of this node has it. A process that is gone is no error.
    pub fn set_group_leader(&self, leader: &Pid, member: &Pid) {
        self.inner().emit_group_leader(leader, member);
    }
}

/// The links and monitors of two processes of this node, locked always in the same order, so that two who do this to each
/// other do not wait for one another.
fn both<'a>(own: &'a Process, other: Option<&'a Arc<Process>>) -> (Lock<'a>, Option<Lock<'a>>) {
    let Some(other) = other else { return (own.signals(), None) };
    let order = |process: &Process| (process.pid.serial, process.pid.id);
    if order(own) < order(other) {
        let own = own.signals();
        (own, Some(other.signals()))
    } else {
        let others = other.signals();
        (own.signals(), Some(others))
    }
}

type Lock<'a> = MutexGuard<'a, Option<Signals>>;
