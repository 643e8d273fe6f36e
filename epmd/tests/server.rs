//! The server over real sockets: every rule of wire.md 1.2 and every demand of 1.3 that a client can see.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use crabnode_epmd::message::{Alive2, Alive2Reply, Request};
use crabnode_epmd::{
    EpmdClient, EpmdError, EpmdServer, KillAnswer, LeaseEvent, NodeType, Registration, ServerConfig,
    StopAnswer, keep,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Longest wait for anything that should happen at once.
const SOON: Duration = Duration::from_secs(5);

struct Epmd {
    port: u16,
    tasks: JoinSet<()>,
}

impl Epmd {
    fn start(config: ServerConfig) -> Epmd {
        let server = EpmdServer::bind(config).unwrap();
        let port = server.local_port();
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run());
        Epmd { port, tasks }
    }

    fn plain() -> Epmd {
        Epmd::start(on_loopback())
    }

    fn client(&self) -> EpmdClient {
        EpmdClient { timeout: SOON, ..EpmdClient::new(self.port) }
    }

    async fn dial(&self) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.unwrap()
    }

    /// What a connection on which `bytes` are sent replies until the server closes.
    async fn reply_to(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.dial().await;
        stream.write_all(bytes).await.unwrap();
        rest(&mut stream).await
    }

    async fn names(&self) -> Vec<String> {
        self.client().names("127.0.0.1").await.unwrap().into_iter().map(|(name, _)| name).collect()
    }

    async fn wait_for_names(&self, names: &[&str]) {
        timeout(SOON, async {
            while self.names().await != names {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap();
    }
}

fn on_loopback() -> ServerConfig {
    ServerConfig { port: 0, addresses: vec![Ipv4Addr::LOCALHOST.into()], ..ServerConfig::default() }
}

fn registration(name: &str) -> Registration {
    Registration { name: name.into(), port: 4711, hidden: false }
}

fn alive(name: &[u8]) -> Alive2 {
    Alive2 {
        port: 4711,
        node_type: NodeType::Normal,
        protocol: 0,
        high: 6,
        low: 5,
        name: Bytes::copy_from_slice(name),
        extra: Bytes::new(),
    }
}

/// Everything until the end; a reset counts as one, since the server may close over unread bytes.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    match timeout(SOON, stream.read_to_end(&mut all)).await.expect("the server closes") {
        Ok(_) => all,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => all,
        Err(error) => panic!("{error}"),
    }
}

async fn read<const N: usize>(stream: &mut TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    timeout(SOON, stream.read_exact(&mut bytes)).await.expect("a reply comes").unwrap();
    bytes
}

async fn register_raw(epmd: &Epmd, request: Alive2) -> (TcpStream, Alive2Reply) {
    let mut stream = epmd.dial().await;
    stream.write_all(&Request::Alive2(request).encode()).await.unwrap();
    let reply = Alive2Reply::parse(&read::<6>(&mut stream).await).unwrap();
    (stream, reply)
}

#[tokio::test]
async fn a_node_is_found_as_long_as_its_lease_is_held() {
    let epmd = Epmd::plain();
    let client = epmd.client();
    assert_eq!(client.lookup("127.0.0.1", "a").await.unwrap(), None);

    let first = client.register(&registration("a")).await.unwrap();
    let hidden = Registration { hidden: true, ..registration("b") };
    let second = client.register(&hidden).await.unwrap();
    assert!(first.creation() > 1_700_000_000);

    let a = client.lookup("localhost", "a").await.unwrap().unwrap();
    assert_eq!((a.name.as_str(), a.port, a.node_type, a.high, a.low), ("a", 4711, NodeType::Normal, 6, 6));
    let b = client.lookup_at(Ipv4Addr::LOCALHOST.into(), "b").await.unwrap().unwrap();
    assert_eq!(b.node_type, NodeType::Hidden);
    assert_eq!(epmd.names().await, ["b", "a"]);

    drop(second);
    epmd.wait_for_names(&["a"]).await;
    let again = client.register(&registration("b")).await.unwrap();
    assert!(again.creation() > first.creation());
}

#[tokio::test]
async fn a_taken_name_is_refused_and_the_first_stays() {
    let epmd = Epmd::plain();
    let client = epmd.client();
    let _first = client.register(&registration("a")).await.unwrap();
    let error = client.register(&registration("a")).await.unwrap_err();
    assert!(matches!(error, EpmdError::NameTaken { name, .. } if name == "a"));
    assert_eq!(epmd.names().await, ["a"]);
}

#[tokio::test]
async fn refused_registrations_keep_their_socket_but_hold_nothing() {
    let epmd = Epmd::plain();
    let _first = epmd.client().register(&registration("a")).await.unwrap();
    let long = Alive2 { extra: Bytes::from(vec![0; 1021]), ..alive(b"e") };
    for request in [alive(b"a"), alive(b"\xff"), alive(&b"x".repeat(256)), long] {
        let (mut stream, reply) = register_raw(&epmd, request).await;
        assert_eq!(reply, Alive2Reply::Big { result: 1, creation: 99 });
        let silence = timeout(Duration::from_millis(30), stream.read_u8()).await;
        assert!(silence.is_err(), "the socket stays open");
        assert_eq!(epmd.names().await, ["a"]);
        stream.write_all(b"x").await.unwrap();
        assert_eq!(rest(&mut stream).await, b"");
        assert_eq!(epmd.names().await, ["a"]);
    }
}

#[tokio::test]
async fn any_byte_on_a_lease_ends_it() {
    let epmd = Epmd::plain();
    let (mut stream, reply) = register_raw(&epmd, alive(b"a")).await;
    assert_eq!(reply.result(), 0);
    assert_eq!(epmd.names().await, ["a"]);
    stream.write_all(b"x").await.unwrap();
    assert_eq!(rest(&mut stream).await, b"");
    epmd.wait_for_names(&[]).await;
}

#[tokio::test]
async fn old_nodes_get_a_small_creation() {
    let epmd = Epmd::plain();
    let mut stream = epmd.dial().await;
    let old = Alive2 { high: 5, ..alive(b"old") };
    stream.write_all(&Request::Alive2(old.clone()).encode()).await.unwrap();
    let Ok(Alive2Reply::Small { result: 0, creation }) = Alive2Reply::parse(&read::<4>(&mut stream).await)
    else {
        panic!("not the old reply");
    };
    assert!((1..=3).contains(&creation));
    let mut stream = epmd.dial().await;
    stream.write_all(&Request::Alive2(old).encode()).await.unwrap();
    assert_eq!(&read::<4>(&mut stream).await, b"y\x01\0\x63");
}

#[tokio::test]
async fn names_may_be_anything_an_atom_may() {
    let epmd = Epmd::plain();
    let client = epmd.client();
    for name in ["å b@c", &"\u{1f980}".repeat(255)] {
        let _lease = client.register(&registration(name)).await.unwrap();
        assert_eq!(client.lookup("127.0.0.1", name).await.unwrap().unwrap().name, name);
        assert_eq!(epmd.names().await, [name]);
        drop(_lease);
        epmd.wait_for_names(&[]).await;
    }
    for name in ["", "a\0b", &"x".repeat(256)] {
        assert!(matches!(client.lookup("127.0.0.1", name).await, Err(EpmdError::BadName { .. })));
    }
}

#[tokio::test]
async fn extra_comes_back_with_its_zero_bytes() {
    let epmd = Epmd::plain();
    let extra = Bytes::from_static(b"\0x\0");
    let (_lease, _) = register_raw(&epmd, Alive2 { extra: extra.clone(), ..alive(b"a") }).await;
    assert_eq!(epmd.client().lookup("127.0.0.1", "a").await.unwrap().unwrap().extra, extra);
}

#[tokio::test]
async fn requests_may_dribble_in() {
    let epmd = Epmd::plain();
    let _lease = epmd.client().register(&registration("a")).await.unwrap();
    let mut stream = epmd.dial().await;
    stream.set_nodelay(true).unwrap();
    for byte in b"\0\x02za" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(rest(&mut stream).await, b"w\0\x12\x67M\0\0\x06\0\x06\0\x01a\0\0");
}

#[tokio::test]
async fn bad_requests_are_closed_without_reply() {
    let epmd = Epmd::plain();
    let with_length = |body: &[u8]| [&(body.len() as u16).to_be_bytes(), body].concat();
    let bad: Vec<Vec<u8>> = vec![
        b"\0\0".to_vec(),
        3058u16.to_be_bytes().to_vec(),
        b"\xff\xff".to_vec(),
        with_length(b"q"),
        with_length(b"x\x12\x67M\0\0\x06\0\x05\0\0\0\0"),
        with_length(b"x\x12\x67M\0\0\x06\0\x05\0\x03ab\0\0"),
        with_length(b"x\x12\x67M\0\0\x06\0\x05\xff\xffab\0\0"),
        with_length(b"x\x12\x67M\0\0\x06\0\x05\0\x02ab\0\x01"),
        with_length(b"x\x12\x67M\0\0\x06\0\x05\0\x03a\0b\0\0"),
        with_length(b"z"),
        with_length(b"z\0"),
        with_length(b"za\0b"),
        with_length(b"z\xff"),
        with_length(&[b"z", &b"x".repeat(256)[..]].concat()),
        [with_length(b"n"), with_length(b"n")].concat(),
        // Only a relaxed server stops nodes.
        with_length(b"sa"),
    ];
    for request in bad {
        assert_eq!(epmd.reply_to(&request).await, b"", "{}", request.escape_ascii());
    }
    let mut longest = with_length(&[b"n", &[7; 3056][..]].concat());
    assert_eq!(epmd.reply_to(&longest).await, u32::from(epmd.port).to_be_bytes());
    longest.push(0);
    assert_eq!(epmd.reply_to(&longest).await, b"");
}

#[tokio::test]
async fn a_half_request_is_closed_in_time_however_it_dribbles() {
    let epmd = Epmd::start(ServerConfig { packet_timeout: Duration::from_millis(200), ..on_loopback() });
    let _lease = epmd.client().register(&registration("a")).await.unwrap();
    let mut stream = epmd.dial().await;
    let dribble = async {
        stream.write_all(&3000u16.to_be_bytes()).await?;
        loop {
            stream.write_all(b"n").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let end: Result<std::io::Result<()>, _> = timeout(SOON, dribble).await;
    assert!(end.expect("the server closes").is_err());
    // A lease has no such limit.
    assert_eq!(epmd.names().await, ["a"]);
}

#[tokio::test]
async fn kill_is_refused_while_nodes_are_registered() {
    let mut epmd = Epmd::plain();
    let client = epmd.client();
    let lease = client.register(&registration("a")).await.unwrap();
    assert_eq!(client.kill().await.unwrap(), KillAnswer::LiveNodes);
    assert!(matches!(client.stop("a").await, Err(EpmdError::Closed { .. } | EpmdError::Broken { .. })));
    assert_eq!(epmd.names().await, ["a"]);
    drop(lease);
    epmd.wait_for_names(&[]).await;
    assert_eq!(client.kill().await.unwrap(), KillAnswer::Killed);
    timeout(SOON, epmd.tasks.join_next()).await.expect("it ends").unwrap().unwrap();
    assert!(client.names("127.0.0.1").await.unwrap_err().is_unreachable());
}

#[tokio::test]
async fn a_relaxed_server_stops_nodes_and_dies_with_them() {
    let mut epmd = Epmd::start(ServerConfig { relaxed: true, ..on_loopback() });
    let client = epmd.client();
    let a = client.register(&registration("a")).await.unwrap();
    let b = client.register(&registration("b")).await.unwrap();
    assert_eq!(client.stop("a").await.unwrap(), StopAnswer::Stopped);
    timeout(SOON, a.lost()).await.expect("its lease is closed");
    assert_eq!(epmd.names().await, ["b"]);
    assert_eq!(client.stop("a").await.unwrap(), StopAnswer::NotRegistered);
    assert_eq!(epmd.reply_to(b"\0\x02sa").await, b"NOEXISTSTOPPED");
    assert_eq!(client.kill().await.unwrap(), KillAnswer::Killed);
    timeout(SOON, b.lost()).await.expect("every lease is closed");
    timeout(SOON, epmd.tasks.join_next()).await.expect("it ends").unwrap().unwrap();
}

#[tokio::test]
async fn dump_shows_the_remembered_too() {
    let epmd = Epmd::plain();
    let client = epmd.client();
    let a = client.register(&registration("a")).await.unwrap();
    let _b = client.register(&registration("b")).await.unwrap();
    drop(a);
    epmd.wait_for_names(&["b"]).await;
    let dump = client.dump().await.unwrap();
    assert!(dump.starts_with("active name     <b> at port 4711, fd = "), "{dump}");
    assert!(dump.contains("old/unused name <a>, port = 4711, fd = "), "{dump}");
}

/// OTP's clients want the first bytes of a reply to be all they need of it.
#[tokio::test]
async fn replies_come_whole() {
    let epmd = Epmd::plain();
    let _lease = epmd.client().register(&registration("a")).await.unwrap();
    let mut stream = epmd.dial().await;
    stream.write_all(b"\0\x01n").await.unwrap();
    let mut bytes = [0; 64];
    let size = stream.read(&mut bytes).await.unwrap();
    let expected = [&u32::from(epmd.port).to_be_bytes()[..], b"name a at port 4711\n"].concat();
    assert_eq!(bytes[..size], expected);
    let mut stream = epmd.dial().await;
    stream.write_all(&Request::Alive2(alive(b"b")).encode()).await.unwrap();
    assert_eq!(stream.read(&mut bytes).await.unwrap(), 6);
}

#[tokio::test]
async fn a_client_gone_before_its_reply_leaves_no_ghost() {
    let epmd = Epmd::plain();
    for _ in 0..20 {
        let mut stream = epmd.dial().await;
        stream.write_all(&Request::Alive2(alive(b"ghost")).encode()).await.unwrap();
        stream.set_zero_linger().unwrap();
        drop(stream);
    }
    epmd.wait_for_names(&[]).await;
    let lease = epmd.client().register(&registration("ghost")).await.unwrap();
    assert_eq!(epmd.names().await, ["ghost"]);
    drop(lease);
}

#[tokio::test]
async fn a_node_started_again_at_once_gets_its_name() {
    let epmd = Epmd::plain();
    let mut creation = 0;
    for _ in 0..100 {
        let lease = epmd.client().register(&registration("a")).await.unwrap();
        assert!(lease.creation() > creation);
        creation = lease.creation();
    }
}

#[tokio::test]
async fn ipv6_loopback_is_served_too() {
    let epmd = Epmd::plain();
    let client = epmd.client();
    let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
    match client.register_at(v6, &registration("a")).await {
        Ok(_lease) => {
            assert_eq!(client.lookup_at(v6, "a").await.unwrap().unwrap().port, 4711);
            assert_eq!(epmd.names().await, ["a"]);
        }
        // A host without IPv6.
        Err(error) => assert!(error.is_unreachable(), "{error}"),
    }
}

#[tokio::test]
async fn a_second_server_on_the_port_is_told_apart() {
    let epmd = Epmd::plain();
    for addresses in [vec![], vec![Ipv4Addr::LOCALHOST.into()]] {
        let config = ServerConfig { port: epmd.port, addresses, ..ServerConfig::default() };
        assert_eq!(EpmdServer::bind(config).unwrap_err().kind(), ErrorKind::AddrInUse);
    }
}

#[tokio::test]
async fn ending_the_server_closes_every_connection() {
    let mut epmd = Epmd::plain();
    let lease = epmd.client().register(&registration("a")).await.unwrap();
    let mut idle = epmd.dial().await;
    assert_eq!(epmd.names().await, ["a"]);
    epmd.tasks.shutdown().await;
    timeout(SOON, lease.lost()).await.expect("the lease is closed");
    assert_eq!(rest(&mut idle).await, b"");
}

#[tokio::test]
async fn idle_connections_cannot_lock_others_out() {
    let epmd = Epmd::start(ServerConfig { connections_max: 4, ..on_loopback() });
    let client = epmd.client();
    let _lease = client.register(&registration("a")).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(epmd.dial().await);
    }
    assert_eq!(epmd.names().await, ["a"]);
    assert_eq!(rest(&mut idle[0]).await, b"", "the oldest gave way");
    drop(idle);

    let _b = client.register(&registration("b")).await.unwrap();
    let _c = client.register(&registration("c")).await.unwrap();
    // Leases leave room for those who ask.
    assert!(client.register(&registration("d")).await.is_err());
    assert_eq!(epmd.names().await, ["c", "b", "a"]);
}

#[tokio::test]
async fn noise_does_no_harm() {
    let epmd = Epmd::plain();
    let _lease = epmd.client().register(&registration("a")).await.unwrap();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..500 {
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .take(10_000)
        .collect();
        let mut stream = epmd.dial().await;
        // The server may close before it has all.
        let _ = stream.write_all(&noise).await;
        let _ = stream.shutdown().await;
        let _ = timeout(SOON, stream.read_to_end(&mut Vec::new())).await.expect("the server closes");
    }
    assert_eq!(epmd.names().await, ["a"]);
}

#[tokio::test]
async fn a_lost_registration_is_made_again() {
    let mut epmd = Epmd::plain();
    let port = epmd.port;
    let client = epmd.client();
    let lease = client.register(&registration("a")).await.unwrap();
    let (events, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut keeper = JoinSet::new();
    keeper.spawn(async move {
        keep(client, registration("a"), lease, move |event| drop(events.send(event))).await;
    });
    let mut next = async || timeout(SOON, heard.recv()).await.expect("an event comes").unwrap();

    epmd.tasks.shutdown().await;
    assert!(matches!(next().await, LeaseEvent::Lost));
    assert!(matches!(next().await, LeaseEvent::Failed(error) if error.is_unreachable()));
    let epmd = Epmd::start(ServerConfig { port, ..on_loopback() });
    while !matches!(next().await, LeaseEvent::Registered { .. }) {}
    assert_eq!(epmd.names().await, ["a"]);
    keeper.shutdown().await;
    epmd.wait_for_names(&[]).await;
}

#[tokio::test]
async fn a_silent_epmd_is_given_up() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = EpmdClient { timeout: Duration::from_millis(50), ..EpmdClient::new(port) };
    assert!(matches!(client.names("127.0.0.1").await, Err(EpmdError::Timeout(_))));
    assert!(matches!(client.register(&registration("a")).await, Err(EpmdError::Timeout(_))));
}

#[tokio::test]
async fn bad_replies_are_told() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = EpmdClient { timeout: SOON, ..EpmdClient::new(port) };
    let answer = async |reply: &[u8]| {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 64]).await;
        let _ = stream.write_all(reply).await;
    };
    let ask = async |reply: &[u8]| tokio::join!(client.lookup("127.0.0.1", "a"), answer(reply)).0;
    assert!(matches!(ask(b"").await, Err(EpmdError::Closed { .. })));
    assert!(matches!(ask(b"w\0\0").await, Err(EpmdError::BadReply { .. })));
    assert!(matches!(ask(&[b'w'; 5000]).await, Err(EpmdError::ReplyTooLong { max: 4096, .. })));
    assert!(matches!(ask(b"w\x01").await, Ok(None)));
    let register = async |reply: &[u8]| {
        let registration = registration("a");
        tokio::join!(client.register(&registration), answer(reply)).0
    };
    assert!(matches!(register(b"q").await, Err(EpmdError::BadReply { .. })));
    assert!(matches!(register(b"v\0\0").await, Err(EpmdError::Closed { .. })));
    assert_eq!(register(b"y\0\0\x02").await.unwrap().creation(), 2);
}

#[tokio::test]
async fn unknown_hosts_are_told() {
    let error = EpmdClient::new(1).lookup("no-such-host.invalid", "a").await.unwrap_err();
    assert!(matches!(error, EpmdError::UnknownHost { .. }), "{error}");
}

/// An EPMD that serves IPv6 alone, beside something else at its port on IPv4.
#[tokio::test]
async fn a_client_on_ipv6_registers_there() {
    let decoy = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    decoy.set_nonblocking(true).unwrap();
    let port = decoy.local_addr().unwrap().port();
    let listener = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, port)).unwrap();
    let server = EpmdServer::from_listeners(&ServerConfig::default(), vec![listener]).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(server.run());
    let client = EpmdClient { timeout: SOON, ipv6: true, ..EpmdClient::new(port) };
    let lease = client.register(&registration("a")).await.unwrap();
    assert_eq!(client.names("::1").await.unwrap().len(), 1);
    assert_eq!(client.kill().await.unwrap(), KillAnswer::LiveNodes);
    assert_eq!(decoy.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody asked on IPv4");
    drop(lease);
}
