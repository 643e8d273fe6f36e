//! Connections: who may, who wins, what a stranger can do.

mod support;

use std::time::Duration;

use crabnode::{Atom, ConnectError, DecodeLimits, Node, NodeConfig, StartError, Term};
use support::{config, epmd_port, eventually, node, run};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread")]
async fn two_that_connect_at_once_end_with_one_connection() {
    let port = epmd_port();
    for _ in 0..20 {
        let (a, b) = (node("a", port).await, node("b", port).await);
        let (from_a, from_b) = tokio::join!(a.connect(b.name()), b.connect(a.name()));
        assert_eq!((from_a, from_b), (Ok(()), Ok(())));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let each_has_the_other =
            || (a.nodes(), b.nodes()) == (vec![b.name().clone()], vec![a.name().clone()]);
        eventually("each has the other", each_has_the_other).await;
        a.stop().await;
        b.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_node_is_in_no_list_but_the_hidden_one() {
    let port = epmd_port();
    let visible = node("a", port).await;
    let hidden =
        Node::start(NodeConfig { hidden: true, ..config("h", port) }).await.expect("the node starts");
    hidden.connect(visible.name()).await.expect("connects");
    eventually("both see it", || !visible.nodes_hidden().is_empty()).await;
    assert_eq!((visible.nodes(), hidden.nodes()), (Vec::<Atom>::new(), vec![]));
    assert_eq!(visible.nodes_hidden(), [hidden.name().clone()]);
    assert_eq!(hidden.nodes_hidden(), [visible.name().clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cookie_is_refused_and_the_error_says_so() {
    let port = epmd_port();
    let a = node("a", port).await;
    let other = NodeConfig { cookie: Some("other".into()), ..config("b", port) };
    let b = Node::start(other).await.expect("the node starts");
    let error = b.connect(a.name()).await.expect_err("the cookies differ");
    assert!(error.to_string().contains("cookie"), "{error}");
    assert!(a.nodes().is_empty() && b.nodes().is_empty());
    // With the right one for this peer it works.
    b.set_cookie(a.name(), "test").expect("a good cookie");
    assert_eq!(b.connect(a.name()).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_there_is_an_error_that_says_which() {
    let port = epmd_port();
    let a = node("a", port).await;
    let missing = a.connect("nobody@localhost").await;
    assert_eq!(missing, Err(ConnectError::NotRegistered { node: "nobody@localhost".into() }));
    assert_eq!(a.connect(a.name()).await, Err(ConnectError::Itself));
    assert!(matches!(a.connect("nobody@a.b").await, Err(ConnectError::OtherNames { own: "short", .. })));
    assert!(matches!(a.connect("nobody").await, Err(ConnectError::BadName { .. })));
}

/// Waits until EPMD knows a node, or knows it no more.
async fn registered(port: u16, node: &Node, wanted: bool) {
    let client = epmd::EpmdClient::new(port);
    let alive = node.name().split('@').next().expect("a name");
    while !client.lookup("localhost", alive).await.is_ok_and(|found| found.is_some() == wanted) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_one_nodes_only() {
    let port = epmd_port();
    // Whose EPMD outlives the other: only one that remembers a name can give it another creation.
    let _holder = node("holder", port).await;
    let first = config("a", port);
    let node = Node::start(first.clone()).await.expect("the node starts");
    let second = Node::start(first.clone()).await.expect_err("the name is taken");
    assert!(matches!(second, StartError::NameTaken { .. }), "{second}");
    node.stop().await;
    // EPMD sees the end of the registration when it reads it.
    let given_back = tokio::time::timeout(Duration::from_secs(10), registered(port, &node, false));
    given_back.await.expect("the name is given back");
    let again = Node::start(first).await.expect("the name is free again");
    assert_ne!(again.creation(), node.creation(), "another incarnation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_epmd_dies_with_another_node_is_registered_again() {
    // A machine that is busy may be late with one of them.
    for _ in 0..3 {
        let port = epmd_port();
        let (first, second) = (node("a", port).await, node("b", port).await);
        first.stop().await;
        let found = registered(port, &second, true);
        if tokio::time::timeout(Duration::from_secs(5), found).await.is_ok() {
            return;
        }
    }
    panic!("never registered again within five seconds");
}

/// What a stranger sends, from a seed that a failure names.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(step).take(len).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_before_the_handshake_disturbs_nobody() {
    let port = epmd_port();
    let (a, b) = (node("a", port).await, node("b", port).await);
    a.connect(b.name()).await.expect("connects");
    for seed in 0..100 {
        for port in [a.port(), port] {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("still listening");
            // The node may close before it has everything.
            let _ = stream.write_all(&noise(seed, 10_000)).await;
        }
    }
    assert_eq!(a.nodes(), [b.name().clone()]);
    let c = node("c", port).await;
    assert_eq!(c.connect(a.name()).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stranger_is_cut_off_in_time() {
    let short = NodeConfig { net_setuptime: Duration::from_millis(300), ..config("a", epmd_port()) };
    let a = Node::start(short).await.expect("the node starts");
    let mut stream = TcpStream::connect(("127.0.0.1", a.port())).await.expect("listening");
    let mut buffer = [0; 1];
    let closed = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer)).await;
    assert_eq!(closed.expect("closed in time").expect("closed cleanly"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_lives_and_a_silent_peer_dies() {
    let port = epmd_port();
    let quick = |alive| NodeConfig { net_ticktime: Duration::from_secs(4), ..config(alive, port) };
    let (a, b) =
        (Node::start(quick("a")).await.expect("starts"), Node::start(quick("b")).await.expect("starts"));
    let hidden = NodeConfig { hidden: true, ..quick("h") };
    let hidden = Node::start(hidden).await.expect("starts");
    a.connect(b.name()).await.expect("connects");
    a.connect(hidden.name()).await.expect("connects");
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert_eq!(a.nodes(), [b.name().clone()]);
    assert_eq!(a.nodes_hidden(), [hidden.name().clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_term_past_the_configured_limits_ends_its_connection() {
    let port = epmd_port();
    let a = node("a", port).await;
    let decode = DecodeLimits { depth_max: 10, ..DecodeLimits::default() };
    let b = Node::start(NodeConfig { decode, ..config("b", port) }).await.expect("the node starts");
    let nested = |levels| (0..levels).fold(Term::NIL, |inner, _| Term::from(vec![inner]));
    let to = b.name().clone();

    a.connect(b.name()).await.expect("connects");
    run(&a, move |context| async move {
        context.send(("nobody", &to), nested(10)).await;
        context.send(("nobody", &to), Term::atom("flat")).await;
    })
    .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(a.nodes(), [b.name().clone()]);
    let to = b.name().clone();
    run(&a, move |context| async move { context.send(("nobody", &to), nested(11)).await }).await;
    eventually("the connection ends", || a.nodes().is_empty() && b.nodes().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn once_some_nodes_are_allowed_others_are_not() {
    let port = epmd_port();
    let (a, b, c) = (node("a", port).await, node("b", port).await, node("c", port).await);
    assert!(a.allowed().is_empty());
    a.allow([b.name().as_str()]);
    assert_eq!(a.allowed(), [b.name().as_str()]);
    assert_eq!(b.connect(a.name()).await, Ok(()));
    let refused = c.connect(a.name()).await.expect_err("it is not among them");
    assert!(refused.to_string().contains("not allow"), "{refused}");
    assert_eq!(a.connect(c.name()).await, Err(ConnectError::NotAllowed { node: c.name().clone() }));
    // By the host, both ways.
    a.allow(["localhost"]);
    assert_eq!(c.connect(a.name()).await, Ok(()));
}
