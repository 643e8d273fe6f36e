//! Which other nodes we are connected with or about to be, and who wins when both dial at once
//! (wire.md 2.3, 2.5).
//!
//! ```text
//!            dial            established
//!   (none) ───────► Dialing ─────────────► Up ◄──────────────┐
//!     │               │ ▲ (told `nok`:     │ another comes,   │ it proves itself,
//!     │ incoming      ▼ │  Yielded)        ▼ answered `alive` │ the old one is closed
//!     └────────► Accepting ──────────────► UpAndAccepting ────┘
//! ```

use std::collections::HashMap;

use handshake::{NodeName, Verdict};

/// One attempt at a connection, or the connection that it became.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConnectionId(u64);

impl ConnectionId {
    /// Which of this node's attempts it is.
    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    /// Our own attempt is under way.
    Dialing(ConnectionId),
    /// Our own attempt was told `nok`: the peer's own is on its way (cluster-services.md 0), and wins whenever it
    /// comes. Ours may ask again.
    Yielded(ConnectionId),
    /// The peer's attempt is under way.
    Accepting(ConnectionId),
    Up(ConnectionId),
    /// Connected, and an attempt came in that was answered `alive`.
    UpAndAccepting {
        up: ConnectionId,
        incoming: ConnectionId,
    },
}

/// What to do with an attempt of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arbitration {
    pub(crate) verdict: Verdict,
    /// Another attempt that has lost by this and must be ended.
    pub(crate) abort: Option<ConnectionId>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Peers {
    own: NodeName,
    peers: HashMap<NodeName, Peer>,
    ids: u64,
}

impl Peers {
    pub(crate) fn new(own: NodeName) -> Self {
        Self { own, peers: HashMap::new(), ids: 0 }
    }

    /// A number for an attempt.
    pub(crate) fn connection_id(&mut self) -> ConnectionId {
        self.ids += 1;
        ConnectionId(self.ids)
    }

    /// We want to be connected. The attempt to make, if none is under way and there is no connection.
    pub(crate) fn dial(&mut self, peer: &NodeName) -> Option<ConnectionId> {
        if self.peers.contains_key(peer) {
            return None;
        }
        let id = self.connection_id();
        self.peers.insert(peer.clone(), Peer::Dialing(id));
        Some(id)
    }

    /// A peer's attempt has said its name; nothing is proven yet.
    pub(crate) fn incoming(&mut self, peer: &NodeName, id: ConnectionId) -> Arbitration {
        let keep = |verdict| Arbitration { verdict, abort: None };
        if *peer == self.own {
            return keep(Verdict::Nok);
        }
        let state = match self.peers.get(peer).copied() {
            None => {
                self.peers.insert(peer.clone(), Peer::Accepting(id));
                return keep(Verdict::Ok);
            }
            Some(state) => state,
        };
        match state {
            Peer::Dialing(other) | Peer::Yielded(other) | Peer::Accepting(other) => {
                // The connection that the node with the greater name has made survives.
                if self.own > *peer && !matches!(state, Peer::Yielded(_)) {
                    return keep(Verdict::Nok);
                }
                self.peers.insert(peer.clone(), Peer::Accepting(id));
                Arbitration { verdict: Verdict::OkSimultaneous, abort: Some(other) }
            }
            Peer::Up(up) => {
                self.peers.insert(peer.clone(), Peer::UpAndAccepting { up, incoming: id });
                keep(Verdict::Alive)
            }
            Peer::UpAndAccepting { .. } => keep(Verdict::CloseSilently),
        }
    }

    /// Our own attempt was told `nok`. Whether it is worth waiting for the peer's.
    pub(crate) fn yielded(&mut self, peer: &NodeName, id: ConnectionId) -> bool {
        let current = self.is_current(peer, id);
        if current {
            self.peers.insert(peer.clone(), Peer::Yielded(id));
        }
        current
    }

    /// Our own attempt was told `alive`: is it still the one that counts?
    pub(crate) fn is_current(&self, peer: &NodeName, id: ConnectionId) -> bool {
        matches!(self.peers.get(peer), Some(Peer::Dialing(i) | Peer::Yielded(i)) if *i == id)
    }

    /// The connection that must end before a peer's proven attempt can take its place.
    pub(crate) fn replaced_by(&self, peer: &NodeName, id: ConnectionId) -> Option<ConnectionId> {
        match self.peers.get(peer)? {
            Peer::UpAndAccepting { up, incoming } if *incoming == id => Some(*up),
            _ => None,
        }
    }

    /// A handshake is complete. Whether this attempt is the connection now; if not it must be closed.
    #[must_use]
    pub(crate) fn established(&mut self, peer: &NodeName, id: ConnectionId) -> bool {
        let current =
            self.is_current(peer, id) || matches!(self.peers.get(peer), Some(Peer::Accepting(i)) if *i == id);
        if current {
            self.peers.insert(peer.clone(), Peer::Up(id));
        }
        current
    }

    /// An attempt or a connection has ended. Whether the peer is wholly unknown now, and no other attempt has
    /// taken its place.
    pub(crate) fn ended(&mut self, peer: &NodeName, id: ConnectionId) -> bool {
        match self.peers.get(peer).copied() {
            Some(Peer::Dialing(i) | Peer::Yielded(i) | Peer::Accepting(i) | Peer::Up(i)) if i == id => {
                self.peers.remove(peer);
                true
            }
            Some(Peer::UpAndAccepting { up, incoming }) if incoming == id => {
                self.peers.insert(peer.clone(), Peer::Up(up));
                false
            }
            Some(Peer::UpAndAccepting { up, incoming }) if up == id => {
                self.peers.insert(peer.clone(), Peer::Accepting(incoming));
                false
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().expect("a node name")
    }

    #[test]
    fn the_attempt_of_the_greater_name_survives() {
        for (own, peer, survives) in [("a@h", "b@h", true), ("b@h", "a@h", false)] {
            let (mut peers, peer) = (Peers::new(name(own)), name(peer));
            let ours = peers.dial(&peer).expect("nothing is under way");
            let theirs = peers.connection_id();
            let arbitration = peers.incoming(&peer, theirs);
            if survives {
                assert_eq!(arbitration, Arbitration { verdict: Verdict::OkSimultaneous, abort: Some(ours) });
                assert!(!peers.ended(&peer, ours), "the peer's own attempt goes on");
                assert!(peers.established(&peer, theirs));
            } else {
                assert_eq!(arbitration, Arbitration { verdict: Verdict::Nok, abort: None });
                assert!(peers.established(&peer, ours));
            }
        }
    }

    #[test]
    fn nok_waits_for_the_peers_own_attempt() {
        let (mut peers, peer) = (Peers::new(name("a@h")), name("b@h"));
        let ours = peers.dial(&peer).expect("nothing is under way");
        assert!(peers.yielded(&peer, ours));
        assert_eq!(peers.dial(&peer), None, "one waits already");
        let theirs = peers.connection_id();
        assert_eq!(peers.incoming(&peer, theirs).abort, Some(ours));
        assert!(peers.established(&peer, theirs));
        assert!(!peers.ended(&peer, ours));
        assert!(peers.ended(&peer, theirs));
    }

    #[test]
    fn an_attempt_that_was_told_nok_may_ask_again() {
        let (mut peers, peer) = (Peers::new(name("b@h")), name("a@h"));
        let ours = peers.dial(&peer).expect("nothing is under way");
        assert!(peers.yielded(&peer, ours) && peers.yielded(&peer, ours));
        assert!(peers.is_current(&peer, ours));
        assert!(peers.established(&peer, ours));
        assert!(!peers.yielded(&peer, ours), "it is the connection now");
    }

    #[test]
    fn a_peer_that_restarted_replaces_its_old_connection_once_proven() {
        let (mut peers, peer) = (Peers::new(name("a@h")), name("b@h"));
        let old = peers.dial(&peer).expect("nothing is under way");
        assert!(peers.established(&peer, old));
        let new = peers.connection_id();
        assert_eq!(peers.incoming(&peer, new).verdict, Verdict::Alive);
        let third = peers.connection_id();
        assert_eq!(peers.incoming(&peer, third).verdict, Verdict::CloseSilently);
        assert_eq!(peers.replaced_by(&peer, new), Some(old));
        assert!(!peers.established(&peer, new), "the old one is still up");
        assert!(!peers.ended(&peer, old));
        assert!(peers.established(&peer, new));
    }

    #[test]
    fn an_unproven_attempt_takes_nothing_from_the_connection() {
        let (mut peers, peer) = (Peers::new(name("a@h")), name("b@h"));
        let up = peers.dial(&peer).expect("nothing is under way");
        assert!(peers.established(&peer, up));
        let liar = peers.connection_id();
        peers.incoming(&peer, liar);
        assert!(!peers.ended(&peer, liar));
        let again = peers.connection_id();
        assert_eq!(peers.incoming(&peer, again).verdict, Verdict::Alive);
    }

    #[test]
    fn nobody_else_is_us() {
        let mut peers = Peers::new(name("a@h"));
        let id = peers.connection_id();
        assert_eq!(peers.incoming(&name("a@h"), id).verdict, Verdict::Nok);
    }
}
