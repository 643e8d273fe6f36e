//! Clients of an EPMD, many at a time, each question on a connection of its own as all clients do.
//!
//! `register PORT COUNT` registers so many names and holds them; `lookup PORT COUNT` asks for them in turn, so often in all.
//!
//! [`answer`] is the least that any server can do: it says the same to everybody.

#![expect(clippy::disallowed_methods, reason = "measures time")]

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};
use tokio::task::block_in_place;

use crate::asked;

/// How many ask at a time.
const CLIENTS: u64 = 16;

/// ALIVE2_REQ, PORT_PLEASE2_REQ and the answers to them (wire.md 1.1).
const ALIVE2_REQ: u8 = 120;
const PORT2_REQ: u8 = 122;
const ALIVE2_X_RESP: u8 = 118;
const PORT2_RESP: u8 = 119;

pub(crate) async fn run() {
    let mut held = Vec::new();
    println!("ready");
    while let Some((method, port, count)) = asked().await {
        let port = port.parse().expect("a port");
        let took = block_in_place(|| match method.as_str() {
            "register" => {
                let start = Instant::now();
                held.extend((0..count).map(|number| register(port, number)));
                start.elapsed()
            }
            "lookup" => lookups(port, count, held.len() as u64),
            other => panic!("no method {other}"),
        });
        println!("{}", took.as_nanos());
    }
}

fn lookups(port: u16, count: u64, names: u64) -> Duration {
    let start = Instant::now();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                for number in (client..count).step_by(CLIENTS as usize) {
                    lookup(port, number % names);
                }
            });
        }
    });
    start.elapsed()
}

fn lookup(port: u16, number: u64) {
    let mut stream = connect(port);
    let mut request = vec![PORT2_REQ];
    request.extend_from_slice(alive(number).as_bytes());
    stream.write_all(&with_length(&request)).expect("it reads");
    let mut answer = Vec::with_capacity(64);
    stream.read_to_end(&mut answer).expect("it answers, and closes");
    assert_eq!((answer[0], answer[1]), (PORT2_RESP, 0), "it knows the name");
}

/// The connection on which it is registered.
fn register(port: u16, number: u64) -> TcpStream {
    let mut stream = connect(port);
    let name = alive(number);
    let mut request = vec![ALIVE2_REQ];
    // A port, a hidden node, TCP, versions 6 to 5, the name, no more.
    request.extend_from_slice(&4711_u16.to_be_bytes());
    request.extend_from_slice(&[72, 0, 0, 6, 0, 5]);
    request.extend_from_slice(&with_length(name.as_bytes()));
    request.extend_from_slice(&[0, 0]);
    stream.write_all(&with_length(&request)).expect("it reads");
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).expect("it answers");
    assert_eq!((answer[0], answer[1]), (ALIVE2_X_RESP, 0), "it takes the name");
    stream
}

/// Answers a lookup by the system calls that it takes: to accept, to read, to send, and to close.
pub(crate) fn answer(port: u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
    // As PORT2_RESP is for `known000`.
    let mut answer = vec![PORT2_RESP, 0];
    answer.extend_from_slice(&4711_u16.to_be_bytes());
    answer.extend_from_slice(&[72, 0, 0, 6, 0, 5]);
    answer.extend_from_slice(&with_length(alive(0).as_bytes()));
    answer.extend_from_slice(&[0, 0]);
    let mut registered = Vec::new();
    let mut request = [0; 512];
    loop {
        let stream = accept_with(&listener, SocketFlags::CLOEXEC).expect("there are descriptors");
        let Ok((size, _)) = recv(&stream, &mut request[..], RecvFlags::empty()) else { continue };
        if request[..size].get(2) == Some(&ALIVE2_REQ) {
            send(&stream, &[ALIVE2_X_RESP, 0, 0, 0, 0, 1], SendFlags::NOSIGNAL).expect("it waits");
            registered.push(stream);
        } else {
            // The answer and the end go out in one segment.
            let _ = send(&stream, &answer, SendFlags::MORE | SendFlags::NOSIGNAL);
        }
    }
}

fn connect(port: u16) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens")
}

fn alive(number: u64) -> String {
    format!("known{number:03}")
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("short");
    [&length.to_be_bytes(), bytes].concat()
}
