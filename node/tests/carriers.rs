//! Nodes over carriers other than TCP: what goes for a connection goes for all of them.

mod support;

use std::{
    collections::HashMap,
    fs, io,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use crabnode::{
    ConnectError, Dest, Node, NodeConfig, StartError, Term,
    carrier::{BoxFuture, Carrier, Destination, Incoming, ListenAt, Listener, Stream, Unix},
    gen_server::{self, GenServer, Reply, ServerName},
    term,
};
use support::{config, eventually, run};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinSet,
};

/// A world in memory: who listens under which name.
#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<HashMap<String, Sender<DuplexStream>>>>);

/// How many bytes are on the way before a writer waits.
const ON_THE_WAY_MAX: usize = 1 << 10;

impl Carrier for Memory {
    fn listen<'a>(&'a self, at: ListenAt<'a>) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let (sender, receiver) = channel(8);
            self.0.lock().unwrap().insert(at.name.to_string(), sender);
            Ok(Box::new(MemoryListener(receiver)) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, to: Destination<'a>) -> BoxFuture<'a, io::Result<Stream>> {
        Box::pin(async move {
            let there = self.0.lock().unwrap().get(to.name.as_str()).cloned();
            let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, "nobody has this name");
            let (ours, theirs) = tokio::io::duplex(ON_THE_WAY_MAX);
            there.ok_or_else(refused)?.send(theirs).await.map_err(|_| refused())?;
            Ok(Stream::new(ours))
        })
    }

    fn uses_epmd(&self) -> bool {
        false
    }
}

struct MemoryListener(Receiver<DuplexStream>);

impl Listener for MemoryListener {
    fn port(&self) -> u16 {
        0
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Incoming>> {
        Box::pin(async move {
            let Some(stream) = self.0.recv().await else { return std::future::pending().await };
            Ok(Incoming { from: "memory".into(), stream: Box::pin(async { Ok(Stream::new(stream)) }) })
        })
    }
}

struct Echo;

impl GenServer for Echo {
    type Args = ();

    async fn init(_: &mut crabnode::Context, (): ()) -> Result<Self, Term> {
        Ok(Self)
    }

    async fn handle_call(&mut self, _: &mut crabnode::Context, request: Term, _: &gen_server::From) -> Reply {
        Reply::Reply(request)
    }
}

async fn start(alive: &str, carrier: impl Carrier) -> Node {
    // No EPMD is there, and none may be asked for or started.
    let config = NodeConfig { carrier: Arc::new(carrier), start_epmd: false, ..config(alive, 1) };
    let node = Node::start(config).await.expect("the node starts");
    gen_server::start::<Echo>(&node, ServerName::Local("echo".into()), ()).await.expect("the server starts");
    node
}

/// Two nodes find each other, call, send what is longer than any buffer, and notice when one leaves.
async fn talk(carrier: impl Carrier + Clone) {
    let (a, b) = (start("a", carrier.clone()).await, start("b", carrier.clone()).await);
    let b_name = b.name().clone();
    let dest = Dest::NameAt("echo".into(), b_name.clone());
    for request in [term!(hello), Term::binary(vec![7; 5 << 20]), term!([1, 2, 3])] {
        let (dest, wanted) = (dest.clone(), request.clone());
        let answer = run(&a, async move |mut context| {
            context.call(dest, request, Some(Duration::from_secs(10))).await
        });
        assert!(answer.await == Ok(wanted));
    }
    assert_eq!((a.nodes(), b.nodes()), (vec![b_name.clone()], vec![a.name().clone()]));
    assert_ne!(a.creation(), b.creation());
    b.stop().await;
    eventually("a sees it go", || a.nodes().is_empty()).await;
    // Its next incarnation is another.
    let error = a.connect(&b_name).await.expect_err("it is gone");
    assert!(error.to_string().starts_with(&format!("{}: cannot connect: ", b_name.as_str())), "{error}");
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_in_memory() {
    talk(Memory::default()).await;
}

/// A folder that goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("crabnode-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_on_unix_sockets() {
    let folder = Folder::new("talk");
    talk(Unix::new(&folder.0)).await;
    assert_eq!(fs::read_dir(&folder.0).expect("it is there").count(), 0, "their files are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_its_owners_and_one_left_behind_is_replaced() {
    let folder = Folder::new("left");
    let config = config("a", 1);
    let path = folder.0.join(&config.name);
    drop(UnixListener::bind(&path).expect("a socket can be made"));
    assert!(path.exists());
    let config = NodeConfig { carrier: Arc::new(Unix::new(&folder.0)), ..config };
    let node = Node::start(config.clone()).await.expect("nobody listens there");
    let mode = fs::metadata(&path).expect("it listens").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = Node::start(config).await.expect_err("the name is taken");
    assert!(matches!(again, StartError::Carrier { .. }), "{again}");
    assert!(path.exists(), "it took nothing from the first");
    node.stop().await;
    assert_eq!(fs::read_dir(&folder.0).expect("it is there").count(), 0, "their files are gone");
}

/// Of all that start at once, where a node was killed, one has its name; and it can be reached.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_one_nodes() {
    let folder = Folder::new("race");
    for _ in 0..10 {
        let config = NodeConfig { carrier: Arc::new(Unix::new(&folder.0)), ..config("a", 1) };
        drop(UnixListener::bind(folder.0.join(&config.name)).expect("a socket can be made"));
        let starting: JoinSet<_> = (0..8).map(|_| Node::start(config.clone())).collect();
        let started: Vec<Node> = starting.join_all().await.into_iter().flatten().collect();
        assert_eq!(started.len(), 1);
        let other = start("b", Unix::new(&folder.0)).await;
        assert_eq!(other.connect(started[0].name()).await, Ok(()));
        started[0].stop().await;
        other.stop().await;
    }
}

/// A carrier that never gets anywhere.
#[derive(Debug, Clone)]
struct Stuck(Memory);

impl Carrier for Stuck {
    fn listen<'a>(&'a self, at: ListenAt<'a>) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        self.0.listen(at)
    }

    fn connect<'a>(&'a self, _: Destination<'a>) -> BoxFuture<'a, io::Result<Stream>> {
        Box::pin(std::future::pending())
    }

    fn uses_epmd(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carrier_that_gets_nowhere_is_given_up() {
    let config = NodeConfig {
        carrier: Arc::new(Stuck(Memory::default())),
        net_setuptime: Duration::from_millis(300),
        ..config("a", 1)
    };
    let node = Node::start(config).await.expect("the node starts");
    let connecting = tokio::time::timeout(Duration::from_secs(5), node.connect("b@localhost"));
    let error = connecting.await.expect("given up in time").expect_err("it got nowhere");
    assert!(matches!(&error, ConnectError::Carrier { reason, .. } if reason == "timed out"), "{error}");
}

/// Strangers who say nothing, or nonsense, are in nobody's way.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_hold_up_nobody() {
    let memory = Memory::default();
    let (a, b) = (start("a", memory.clone()).await, start("b", memory.clone()).await);
    let listener = memory.0.lock().unwrap()[a.name().as_str()].clone();
    let mut strangers = Vec::new();
    for _ in 0..8 {
        let (stranger, theirs) = tokio::io::duplex(ON_THE_WAY_MAX);
        listener.send(theirs).await.expect("it listens");
        strangers.push(stranger);
    }
    assert_eq!(b.connect(a.name()).await, Ok(()));
    strangers[0].write_all(&[0xff; 64]).await.expect("it is open");
    let mut said = Vec::new();
    let closing = tokio::time::timeout(Duration::from_secs(5), strangers[0].read_to_end(&mut said));
    assert_eq!(closing.await.expect("closed at once").expect("an end"), 0);
    eventually("a has b and nobody else", || a.nodes() == [b.name().clone()]).await;
}
