//! The other ends of many links: hidden nodes that say no more than that they live.
//!
//! `hold NAME@HOST:PORT COUNT` makes so many links to that node and keeps them; `ticks - 1` answers with how many ticks
//! have come on all of them.

#![expect(clippy::disallowed_methods, reason = "measures time")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use handshake::NodeName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};

use crate::{asked, handshakes::dial};

/// Four of them in a ticktime of 60 s, as the BEAM does.
const TICK_INTERVAL: Duration = Duration::from_secs(15);

/// A tick is a frame without a body (wire.md 4.1).
const TICK: [u8; 4] = [0; 4];

/// How many handshakes go on at once: fewer than a node allows.
const HALF_OPEN: usize = 32;

pub(crate) async fn run() {
    let ticks = Arc::new(AtomicU64::new(0));
    let mut links = JoinSet::new();
    println!("ready");
    while let Some((method, target, count)) = asked().await {
        match method.as_str() {
            "hold" => {
                let start = Instant::now();
                hold(&mut links, &ticks, &target, count).await;
                println!("{}", start.elapsed().as_nanos());
            }
            "ticks" => println!("{}", ticks.load(Relaxed)),
            other => panic!("no method {other}"),
        }
    }
}

async fn hold(links: &mut JoinSet<()>, ticks: &Arc<AtomicU64>, target: &str, count: u64) {
    let (peer, port) = target.rsplit_once(':').expect("NAME@HOST:PORT");
    let (peer, port): (NodeName, u16) = (peer.parse().expect("a node's name"), port.parse().expect("a port"));
    let half_open = Arc::new(Semaphore::new(HALF_OPEN));
    let mut made = JoinSet::new();
    for number in 0..count {
        let (peer, half_open) = (peer.clone(), half_open.clone());
        made.spawn(async move {
            let _permit = half_open.acquire().await.expect("nobody closes it");
            dial(&format!("idle{number}@localhost"), peer, port).await.0
        });
    }
    while let Some(stream) = made.join_next().await {
        links.spawn(stay(stream.expect("it does not panic"), ticks.clone()));
    }
}

/// Ticks, and counts what comes; that is ticks.
async fn stay(mut stream: TcpStream, ticks: Arc<AtomicU64>) {
    let mut next = tokio::time::interval(TICK_INTERVAL);
    let mut buffer = [0; TICK.len()];
    let mut filled = 0;
    loop {
        tokio::select! {
            _ = next.tick() => stream.write_all(&TICK).await.expect("it reads"),
            read = stream.read(&mut buffer[filled..]) => {
                filled += read.ok().filter(|size| *size > 0).expect("it keeps the link");
                if filled == buffer.len() {
                    filled = 0;
                    assert_eq!(buffer, TICK, "an idle link has ticks alone");
                    ticks.fetch_add(1, Relaxed);
                }
            }
        }
    }
}
