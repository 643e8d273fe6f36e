//! The bytes of a connection after its handshake, with any flags and in any pieces.
//!
//! The first byte says what was agreed on and how the bytes arrive. What follows are bytes as they are, or bodies with
//! two bytes of length in front of each, which reach past the framing sooner.
#![no_main]

use std::time::{Duration, Instant};

use crabnode_fuzz::within_memory_and;
use dist::{Fault, Inbound, Limits, Op, Received};
use etf::Atom;
use handshake::DistFlags;
use libfuzzer_sys::fuzz_target;

const OWN: Atom = Atom::from_static("a@h");
const PEER: Atom = Atom::from_static("b@h");

/// Where the atoms of the peer's 2,048 cache slots are, two bytes each, from the first one on.
const CACHE_BYTES: usize = 2048 * 2;

/// Low, so that inputs get there.
fn limits() -> Limits {
    Limits {
        frame_bytes_max: 2000,
        fragments_bytes_max: 4000,
        fragment_count_max: 100,
        fragment_age_max: Duration::from_secs(80),
        ..Limits::default()
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&how, rest)) = data.split_first() else { return };
    let mut flags = DistFlags::OFFERED.without(DistFlags::DIST_HDR_ATOM_CACHE).without(DistFlags::FRAGMENTS);
    if how & 1 != 0 {
        flags = flags.with(DistFlags::DIST_HDR_ATOM_CACHE);
    }
    if how & 2 != 0 {
        flags = flags.with(DistFlags::FRAGMENTS);
    }
    let stream = if how & 4 != 0 { rest.to_vec() } else { framed(rest) };
    let whole = within_memory_and(&stream, CACHE_BYTES, || read(flags, &stream, stream.len()));
    // However the bytes arrive they say the same.
    let pieces = read(flags, &stream, usize::from(how >> 3) + 1);
    assert_eq!(whole, pieces);
});

fn framed(mut rest: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        stream.extend(u32::try_from(length).expect("16 bits").to_be_bytes());
        stream.extend(&after[..length]);
        rest = &after[length..];
    }
    stream
}

/// All that the bytes say, and what ends it.
fn read(flags: DistFlags, stream: &[u8], piece: usize) -> (Vec<Received>, Option<(Fault, Option<Op>)>) {
    let mut inbound = Inbound::new(OWN, PEER, flags, limits());
    #[expect(clippy::disallowed_methods, reason = "any instant to count from")]
    let start = Instant::now();
    let mut said = Vec::new();
    for bytes in stream.chunks(piece.max(1)) {
        inbound.received(start);
        inbound.handle(bytes);
        loop {
            match inbound.poll_output() {
                Ok(Some(received)) => {
                    if let Received::Signal(signal) = &received {
                        signal.check_ends(&OWN, &PEER).expect("others do not come out");
                    }
                    said.push(received);
                }
                Ok(None) => break,
                Err(error) => {
                    // It stays so, and nothing comes behind it.
                    inbound.handle(&[0; 8]);
                    assert_eq!(inbound.poll_output(), Err(error.clone()));
                    let _reason = error.nodedown_reason();
                    assert!(!error.to_string().is_empty());
                    // How much of the frame it shows is a matter of how much has come.
                    return (said, Some((error.fault, error.op)));
                }
            }
        }
    }
    // What is begun is not waited for without end; a look that finds nothing due says when to come again.
    let mut last = start;
    while let Some(due) = inbound.poll_timeout() {
        assert!(due > last, "the next look is later");
        last = due;
        if inbound.handle_timeout(due).is_err() {
            break;
        }
    }
    (said, None)
}
