//! Two nodes that connect to each other at once (wire.md 2.5, and item 23 of 12): what survives is the one connection
//! that the node with the greater name made.
//!
//! So that it is at once, our side holds each connection back until there is one the other way too.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use crabnode::{
    Node, NodeConfig,
    carrier::{BoxFuture, Carrier, Destination, Incoming, ListenAt, Listener, Stream, Tcp},
};
use interop_tests::{Cluster, ErlNode, NodeSpec, Otp, clock::wait_for};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::Runtime,
    sync::watch,
    time::timeout,
};

mod peer_support;
use peer_support::each_release;

const SOON: Duration = Duration::from_secs(30);

/// How long a connection is held back for one the other way. On loopback it is there in a few ms, but a busy machine
/// may take longer; where none comes the connection goes on alone. Of two nodes of ours there is always one, and the time
/// has only to be below that of the setup, 7 s. A stock node does not dial where it has been dialled already.
const HELD: Duration = Duration::from_secs(5);
const HELD_FOR_OTP: Duration = Duration::from_millis(500);

/// Rounds of two nodes of ours.
const ROUNDS: usize = 1000;

/// Rounds with each release, with our name the lesser and with our name the greater.
const ROUNDS_OTP: usize = 25;

/// TCP that holds connections back, and counts those that live.
#[derive(Debug)]
struct Holding {
    tcp: Tcp,
    seen: Arc<Seen>,
    held: Duration,
}

#[derive(Debug, Default)]
struct Seen {
    /// Connections of this round, made and accepted.
    made: watch::Sender<usize>,
    accepted: watch::Sender<usize>,
    /// Connections that live, made and accepted.
    made_live: Arc<AtomicUsize>,
    accepted_live: Arc<AtomicUsize>,
}

impl Seen {
    fn begin_round(&self) {
        self.made.send_replace(0);
        self.accepted.send_replace(0);
    }

    /// Whether the connections of this round have met.
    fn have_met(&self) -> bool {
        *self.made.borrow() > 0 && *self.accepted.borrow() > 0
    }

    /// How many connections live: made, accepted.
    fn live(&self) -> (usize, usize) {
        (self.made_live.load(Ordering::SeqCst), self.accepted_live.load(Ordering::SeqCst))
    }
}

/// Counts one connection more, and waits for one the other way.
async fn meet(mine: &watch::Sender<usize>, other: &watch::Sender<usize>, held: Duration) {
    mine.send_modify(|number| *number += 1);
    let mut other = other.subscribe();
    // Without another it goes on alone.
    let _ = timeout(held, other.wait_for(|number| *number > 0)).await;
}

impl Carrier for Holding {
    fn listen<'a>(&'a self, at: ListenAt<'a>) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = self.tcp.listen(at).await?;
            let seen = Arc::clone(&self.seen);
            let holding: Box<dyn Listener> = Box::new(HoldingListener { listener, seen, held: self.held });
            Ok(holding)
        })
    }

    fn connect<'a>(&'a self, to: Destination<'a>) -> BoxFuture<'a, io::Result<Stream>> {
        Box::pin(async move {
            let stream = self.tcp.connect(to).await?;
            let stream = Counted::new(stream, &self.seen.made_live);
            meet(&self.seen.made, &self.seen.accepted, self.held).await;
            Ok(Stream::new(stream))
        })
    }
}

struct HoldingListener {
    listener: Box<dyn Listener>,
    seen: Arc<Seen>,
    held: Duration,
}

impl Listener for HoldingListener {
    fn port(&self) -> u16 {
        self.listener.port()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Incoming>> {
        Box::pin(async move {
            let Incoming { from, stream } = self.listener.accept().await?;
            let (seen, held) = (Arc::clone(&self.seen), self.held);
            let stream = Box::pin(async move {
                let stream = Counted::new(stream.await?, &seen.accepted_live);
                meet(&seen.accepted, &seen.made, held).await;
                Ok(Stream::new(stream))
            });
            Ok(Incoming { from, stream })
        })
    }
}

/// A connection that is counted while it lives.
struct Counted {
    stream: Stream,
    live: Arc<AtomicUsize>,
}

impl Counted {
    fn new(stream: Stream, live: &Arc<AtomicUsize>) -> Self {
        live.fetch_add(1, Ordering::SeqCst);
        Self { stream, live: Arc::clone(live) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::SeqCst);
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A hidden node, so that `global` takes no part.
async fn start(cluster: &Cluster, name: &str, held: Duration) -> (Node, Arc<Seen>) {
    let seen = Arc::<Seen>::default();
    let carrier = Holding { tcp: Tcp::default(), seen: Arc::clone(&seen), held };
    let mut config = NodeConfig::new(format!("{name}@localhost"));
    config.cookie = Some(cluster.cookie().to_owned());
    config.epmd_port = Some(cluster.epmd_port());
    config.hidden = true;
    config.carrier = Arc::new(carrier);
    (Node::start(config).await.expect("it starts"), seen)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    assert!(wait_for(SOON, || is_so().then_some(())).is_some(), "not {what} within {SOON:?}");
}

#[test]
fn item_23_two_nodes_of_ours() {
    let runtime = Runtime::new().expect("a runtime");
    let cluster = Cluster::new(&Otp::newest());
    let (a, at_a) = runtime.block_on(start(&cluster, "a", HELD));
    let (b, at_b) = runtime.block_on(start(&cluster, "b", HELD));
    for round in 0..ROUNDS {
        at_a.begin_round();
        at_b.begin_round();
        let both = async { tokio::join!(a.connect("b@localhost"), b.connect("a@localhost")) };
        let both = runtime.block_on(both);
        assert_eq!(both, (Ok(()), Ok(())), "round {round}");
        assert!(at_a.have_met() && at_b.have_met(), "round {round}: they were to be held back");
        until("one connection, made by b", || at_a.live() == (0, 1) && at_b.live() == (1, 0));
        assert_eq!((a.nodes_hidden().len(), b.nodes_hidden().len()), (1, 1), "round {round}");
        assert!(a.disconnect("b@localhost"));
        until("apart", || {
            a.nodes_hidden().is_empty()
                && b.nodes_hidden().is_empty()
                && (at_a.live(), at_b.live()) == ((0, 0), (0, 0))
        });
    }
    runtime.block_on(async { tokio::join!(a.stop(), b.stop()) });
}

#[test]
fn item_23_with_each_release() {
    each_release(|otp| {
        let runtime = Runtime::new().expect("a runtime");
        let cluster = Cluster::new(otp);
        let mut erl = cluster.erl_with(otp, "m", &NodeSpec::hidden());
        erl.eval(
            "Links = fun() -> lists:sort(element(2, process_info(whereis(net_kernel), links))) end, Idle = Links()",
        );
        for (name, live) in [("a", (0, 1)), ("z", (1, 0))] {
            let (node, seen) = runtime.block_on(start(&cluster, name, HELD_FOR_OTP));
            // Its first acceptor is slow: it has yet to load what it is made of.
            assert_eq!(runtime.block_on(node.connect("m@localhost")), Ok(()), "{name}");
            part(&mut erl, &node, &seen);
            let met =
                (0..ROUNDS_OTP).filter(|round| meets(&runtime, &mut erl, &node, &seen, live, *round)).count();
            // Most do; one is late where the machine is busy.
            assert!(met > ROUNDS_OTP / 2, "{met} of {ROUNDS_OTP}");
            runtime.block_on(node.stop());
        }
    });
}

/// One round; whether the connections have met, of which then this one lives.
fn meets(
    runtime: &Runtime,
    erl: &mut ErlNode,
    node: &Node,
    seen: &Seen,
    live: (usize, usize),
    round: usize,
) -> bool {
    seen.begin_round();
    let ours = node.clone();
    let connecting = runtime.spawn(async move { ours.connect("m@localhost").await });
    let own = node.name().as_str().to_owned();
    assert_eq!(erl.eval(&format!("net_kernel:connect_node('{own}')")), "true", "{own}, round {round}");
    assert_eq!(runtime.block_on(connecting).expect("no panic"), Ok(()), "{own}, round {round}");
    let met = seen.have_met();
    let lives = || if met { seen.live() == live } else { seen.live().0 + seen.live().1 == 1 };
    until("the one connection that is to live", lives);
    assert_eq!(erl.eval("nodes(hidden)"), format!("[{own}]"));
    assert_eq!(erl.eval(&format!("net_adm:ping('{own}')")), "pong");
    part(erl, node, seen);
    met
}

/// Ends the connection. Behind it nothing is left of the round.
fn part(erl: &mut ErlNode, node: &Node, seen: &Seen) {
    assert_eq!(erl.eval(&format!("erlang:disconnect_node('{}')", node.name())), "true");
    until("apart", || node.nodes_hidden().is_empty() && seen.live() == (0, 0));
    assert_eq!(erl.eval("nodes(hidden)"), "[]");
    // Where it is late, the stock node has yet to read our name on the connection that did not live. A connect of its own
    // would wait for that one, and fail with it.
    erl.eval_until("Links() =:= Idle", "true", SOON);
}
