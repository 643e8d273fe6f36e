//! Attempts to connect, and connections: how one comes up and goes down (wire.md 2.3, 2.5, 5.2).

use std::sync::{Arc, atomic::Ordering};

use etf::{Atom, Term};
use handshake::{Established, NodeName, Verdict};

use super::{Inner, lock};
use crate::{
    ConnectError, NodeEvent,
    carrier::Stream,
    clock,
    net::{self, Attempt, Facts, Route},
    peers::ConnectionId,
};

/// A connection that is up. It goes down when this is dropped: also by a fault of ours, a panic, for a peer that
/// counts as connected and is not could never connect again.
struct Connection<'a> {
    inner: &'a Arc<Inner>,
    id: ConnectionId,
    established: &'a Established,
    route: &'a Arc<Route>,
    reason: Option<Term>,
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        let reason = self.reason.take().unwrap_or_else(|| Term::atom("killed"));
        self.inner.connection_down(self.id, self.established, self.route, reason);
        if let Some(attempt) = lock(&self.inner.attempts).remove(&self.id) {
            attempt.set_ended();
        }
    }
}

impl Inner {
    fn add_attempt(&self, id: ConnectionId) -> Attempt {
        let attempt = Attempt::new();
        lock(&self.attempts).insert(id, attempt.clone());
        attempt
    }

    /// An attempt of a peer that has not said its name yet.
    pub(crate) fn new_attempt(&self) -> (ConnectionId, Attempt) {
        let id = lock(&self.peers).connection_id();
        (id, self.add_attempt(id))
    }

    /// An attempt of our own, unless one is under way or there is a connection.
    pub(crate) fn new_dial(&self, peer: &NodeName) -> Option<(ConnectionId, Attempt)> {
        let id = lock(&self.peers).dial(peer)?;
        Some((id, self.add_attempt(id)))
    }

    /// What an attempt of a peer is to be told. The one that loses by it is ended.
    pub(crate) fn arbitrate(&self, peer: &NodeName, id: ConnectionId) -> Verdict {
        if self.is_stopping() || !self.is_allowed(peer) {
            return Verdict::NotAllowed;
        }
        let arbitration = lock(&self.peers).incoming(peer, id);
        if let Some(other) = arbitration.abort
            && let Some(attempt) = lock(&self.attempts).get(&other)
        {
            attempt.abort(Term::atom("superseded"));
        }
        arbitration.verdict
    }

    pub(crate) fn is_current_dial(&self, peer: &NodeName, id: ConnectionId) -> bool {
        lock(&self.peers).is_current(peer, id)
    }

    pub(crate) fn yield_to(&self, peer: &NodeName, id: ConnectionId) -> bool {
        lock(&self.peers).yielded(peer, id)
    }

    /// Ends the connection that a proven attempt takes the place of.
    pub(crate) async fn close_replaced(&self, peer: &NodeName, id: ConnectionId) {
        let old = lock(&self.peers).replaced_by(peer, id);
        let attempt = old.and_then(|old| lock(&self.attempts).get(&old).cloned());
        if let Some(attempt) = attempt {
            attempt.abort(Term::atom("connection_closed"));
            attempt.ended().await;
        }
    }

    /// An attempt is over without a connection. What waited for one is told, or tried again if the attempt was
    /// the peer's.
    pub(crate) fn attempt_failed(
        self: &Arc<Self>,
        peer: Option<&NodeName>,
        id: ConnectionId,
        error: Option<ConnectError>,
    ) {
        if let Some(peer) = peer {
            let mut peers = lock(&self.peers);
            if peers.ended(peer, id) {
                self.resolve_waiting(peer, error);
            }
        }
        if let Some(attempt) = lock(&self.attempts).remove(&id) {
            attempt.set_ended();
        }
    }

    fn resolve_waiting(self: &Arc<Self>, peer: &NodeName, error: Option<ConnectError>) {
        let mut routes = self.routes_mut();
        let Some(route) = routes.get(peer.as_str()).filter(|route| route.is_connecting()).cloned() else {
            return;
        };
        match error {
            None => self.tasks.spawn(Arc::clone(self).dial(peer.clone())),
            Some(error) => {
                route.close(error);
                let (node, reason) = (route.node.clone(), Term::atom("connection_setup_failed"));
                self.signal_node_down(&route.node, &NodeEvent::Down { node, visible: false, reason });
                routes.remove(peer.as_str());
            }
        }
    }

    /// A handshake is complete: runs the connection until it ends.
    pub(crate) async fn run_connection(
        self: &Arc<Self>,
        stream: Stream,
        id: ConnectionId,
        attempt: Attempt,
        established: Established,
    ) {
        let route = self.connection_up(id, &established);
        self.run_connection_of(route, stream, id, attempt, established).await;
    }

    /// The same for a connection that is up, if it is.
    pub(crate) async fn run_connection_of(
        self: &Arc<Self>,
        route: Option<Arc<Route>>,
        mut stream: Stream,
        id: ConnectionId,
        attempt: Attempt,
        established: Established,
    ) {
        let peer = established.peer.clone();
        let Some(route) = route else {
            tracing::debug!(peer = peer.as_str(), "another connection was first");
            drop(stream);
            return self.attempt_failed(Some(&peer), id, None);
        };
        attempt.set_up(stream.take_hang_up());
        let mut connection =
            Connection { inner: self, id, established: &established, route: &route, reason: None };
        connection.reason = Some(net::run_link(self, &route, stream, &attempt, &established).await);
    }

    pub(crate) fn connection_up(
        self: &Arc<Self>,
        id: ConnectionId,
        established: &Established,
    ) -> Option<Arc<Route>> {
        let visible = self.is_visible(established);
        let node = Atom::from(established.peer.as_str());
        let mut peers = lock(&self.peers);
        if self.is_stopping() || !peers.established(&established.peer, id) {
            return None;
        }
        tracing::info!(peer = node.as_str(), visible, creation = established.peer_creation.0, "nodeup");
        let mut routes = self.routes_mut();
        let route = routes.entry(node.clone()).or_insert_with(|| self.new_route(node.clone()));
        // Before any message of the connection, and before anyone can send over it. Who hears of it and looks
        // at once waits for the lock.
        let creation = established.peer_creation.0;
        let facts = Facts { node: node.clone(), creation, visible, up_since: clock::wall() };
        self.publish(&NodeEvent::Up { node, visible }, id);
        let unsent = route.up(id, established.flags, facts);
        let route = Arc::clone(route);
        drop(routes);
        drop(peers);
        for (signal, why) in unsent {
            self.not_sent(signal, why);
        }
        Some(route)
    }

    fn connection_down(
        self: &Arc<Self>,
        id: ConnectionId,
        established: &Established,
        route: &Arc<Route>,
        reason: Term,
    ) {
        let visible = self.is_visible(established);
        let node = Atom::from(established.peer.as_str());
        tracing::info!(peer = node.as_str(), %reason, "nodedown");
        let mut peers = lock(&self.peers);
        let mut routes = self.routes_mut();
        route.close(ConnectError::Stopped);
        let event = NodeEvent::Down { node: node.clone(), visible, reason };
        self.signal_node_down(&node, &event);
        routes.remove(&node);
        drop(routes);
        self.publish(&event, id);
        peers.ended(&established.peer, id);
    }

    /// The node that gave this one its name is gone, and with it the name: no other node can be told of this one any
    /// more, so it leaves them all (wire.md 2.6).
    pub(crate) fn name_lost(&self, by: &NodeName) {
        if self.stopping.swap(true, Ordering::SeqCst) {
            return;
        }
        tracing::error!(
            name = self.name.as_str(),
            by = by.as_str(),
            "the connection that the name came by is lost, and the name with it"
        );
        for attempt in lock(&self.attempts).values() {
            attempt.abort(Term::atom("net_kernel_terminated"));
        }
        self.request_stop(1);
    }
}
