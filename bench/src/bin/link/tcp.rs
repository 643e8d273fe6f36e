//! Bare tokio over TCP: what no node can be faster than.
//!
//! `TARGET` is a port of another such program, of which the first line says its own: `port PORT`.

#![expect(clippy::disallowed_methods, reason = "measures time")]

use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::asked;

/// The bytes of an echo between nodes, there and back: a frame with a header, a control message and a payload.
const PING: usize = 70;
const PONG: usize = 62;

pub(crate) async fn run() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
    println!("port {}", listener.local_addr().expect("it listens").port());
    tokio::spawn(serve(listener));
    println!("ready");
    while let Some((method, target, count)) = asked().await {
        let task =
            tokio::spawn(async move { measured(&method, target.parse().expect("a port"), count).await });
        println!("{}", task.await.expect("it does not panic").as_nanos());
    }
}

async fn serve(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        as_a_node_has_it(&stream);
        tokio::spawn(async move {
            let mut kind = [0];
            if stream.read_exact(&mut kind).await.is_err() {
                return;
            }
            match kind[0] {
                b'e' => echo(&mut stream).await,
                _ => swallow(&mut stream).await,
            }
        });
    }
}

/// The options that a node of ours sets.
fn as_a_node_has_it(stream: &TcpStream) {
    stream.set_nodelay(true).expect("an option");
    #[cfg(target_os = "linux")]
    SockRef::from(stream).set_tcp_congestion(b"reno").expect("an option");
}

async fn echo(stream: &mut TcpStream) {
    let (mut ping, pong) = ([0; PING], [1; PONG]);
    while stream.read_exact(&mut ping).await.is_ok() {
        if stream.write_all(&pong).await.is_err() {
            return;
        }
    }
}

/// Answers once, when the other side has no more.
async fn swallow(stream: &mut TcpStream) {
    let mut buffer = vec![0; 256 << 10];
    while let Ok(1..) = stream.read(&mut buffer).await {}
    let _ = stream.write_all(&[1]).await;
}

async fn measured(method: &str, port: u16, count: u64) -> Duration {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    as_a_node_has_it(&stream);
    match method {
        "echo" => {
            stream.write_all(b"e").await.expect("it reads");
            let (ping, mut pong) = ([1; PING], [0; PONG]);
            let start = Instant::now();
            for _ in 0..count {
                stream.write_all(&ping).await.expect("it reads");
                stream.read_exact(&mut pong).await.expect("it answers");
            }
            start.elapsed()
        }
        "bin64k" => send(stream, 64 << 10, count).await,
        "bin1m" => send(stream, 1 << 20, count).await,
        other => panic!("no method {other}"),
    }
}

async fn send(mut stream: TcpStream, len: usize, count: u64) -> Duration {
    let bytes = vec![7; len];
    stream.write_all(b"s").await.expect("it reads");
    let start = Instant::now();
    for _ in 0..count {
        stream.write_all(&bytes).await.expect("it reads");
    }
    stream.shutdown().await.expect("it reads");
    stream.read_u8().await.expect("it answers");
    start.elapsed()
}
