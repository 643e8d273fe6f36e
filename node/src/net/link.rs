//! Drives one connection: bytes in, signals to the router; the route's queue and ticks out (wire.md 6).

use std::{io, sync::Arc};

use bytes::Buf;
use dist::{Inbound, InboundError, NodedownReason, Received, TICK, TickVerdict, Ticker};
use etf::Segments;
use etf::Term;
use handshake::Established;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Attempt, Route};
use crate::{carrier::Stream, clock, node::Inner};

/// A written buffer that grew past this is given back. Senders that wait leave about 1 MiB for each write.
const KEEP_BYTES_MAX: usize = 2 << 20;

/// Runs until the connection ends, and says why in `net_kernel`'s words.
///
/// Reading and writing go on side by side: a peer that does not read does not keep us from reading, and a
/// mailbox holds up neither.
pub(crate) async fn run(
    inner: &Arc<Inner>,
    route: &Route,
    stream: Stream,
    attempt: &Attempt,
    established: &Established,
) -> Term {
    match drive(inner, route, stream, attempt, established).await {
        Ended::Reason(reason) => Term::atom(reason.as_str()),
        Ended::Asked(reason) => reason,
    }
}

/// Why a connection ended: by what happened on it, or because someone here wanted it.
enum Ended {
    Reason(NodedownReason),
    Asked(Term),
}

async fn drive(
    inner: &Arc<Inner>,
    route: &Route,
    stream: Stream,
    attempt: &Attempt,
    established: &Established,
) -> Ended {
    // What was written may wait for a flush.
    let (is_buffered, mut unflushed) = (stream.is_buffered(), false);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let own = inner.node_atom().clone();
    let mut inbound = Inbound::new(own, route.node.clone(), established.flags, inner.inbound_limits());
    let mut ticker = Ticker::new(clock::now(), inner.tick_config(), !inner.is_visible(established));
    let mut out = Segments::new();
    inbound.received(clock::now());
    inbound.handle(&established.leftover);
    if let Err(reason) = route_received(inner, route, &mut inbound) {
        return Ended::Reason(reason);
    }
    loop {
        if out.is_empty() {
            // A buffer that grew for a burst is not kept for good.
            if out.capacity() > KEEP_BYTES_MAX {
                out = Segments::new();
            }
            route.take(&mut out);
        }
        let (pending, stale) = (!out.is_empty() || unflushed, inbound.poll_timeout());
        tokio::select! {
            reason = attempt.aborted() => return Ended::Asked(reason),
            read = reader.read_buf(inbound.read_buffer()) => {
                if closed(read) {
                    return Ended::Reason(NodedownReason::ConnectionClosed);
                }
                let now = clock::now();
                ticker.received(now);
                inbound.received(now);
                if let Err(reason) = route_received(inner, route, &mut inbound) {
                    return Ended::Reason(reason);
                }
            }
            written = write_or_flush(&mut writer, &mut out), if pending => {
                let Ok(written) = written else { return Ended::Reason(NodedownReason::ConnectionClosed) };
                unflushed = is_buffered && matches!(written, Written::Bytes);
                ticker.wrote(clock::now());
            }
            () = route.woken(), if !pending => {}
            () = route.overrun() => {
                tracing::error!(peer = route.node.as_str(), "the peer reads too slowly: the connection is given up");
                return Ended::Reason(NodedownReason::Shutdown);
            }
            () = sleep_until(stale) => {
                if let Err(error) = inbound.handle_timeout(clock::now()) {
                    return Ended::Reason(broken(route, &error));
                }
            }
            () = sleep_until(ticker.poll_timeout()) => {
                match ticker.handle_timeout(clock::now(), out.remaining()) {
                    TickVerdict::Nothing => {}
                    TickVerdict::SendTick => out.put_slice(&TICK),
                    TickVerdict::Dead => return Ended::Reason(NodedownReason::NetTickTimeout),
                }
            }
        }
    }
}

enum Written {
    Bytes,
    Flushed,
}

/// Writes some of the bytes; if there are none, sends off those that were written before.
///
/// Cancellation safe: what is not in `out` any more was written.
async fn write_or_flush(writer: &mut (impl AsyncWrite + Unpin), out: &mut Segments) -> io::Result<Written> {
    if out.is_empty() {
        return writer.flush().await.map(|()| Written::Flushed);
    }
    match writer.write_buf(out).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(Written::Bytes),
    }
}

/// Whether a read says that the connection is over.
fn closed(result: io::Result<usize>) -> bool {
    matches!(result, Ok(0) | Err(_))
}

async fn sleep_until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Takes what has come to the router. The reason if the connection must end.
fn route_received(inner: &Arc<Inner>, route: &Route, inbound: &mut Inbound) -> Result<(), NodedownReason> {
    loop {
        match inbound.poll_output() {
            Ok(None) => return Ok(()),
            // What others say now is about our leaving, and meant for those who stay.
            Ok(Some(_)) if inner.is_stopping() => {}
            Ok(Some(Received::Tick)) => {}
            Ok(Some(Received::Signal(signal))) => inner.receive(signal),
            Err(error) => return Err(broken(route, &error)),
        }
    }
}

fn broken(route: &Route, error: &InboundError) -> NodedownReason {
    let start = format_args!("{:02x?}", error.frame_start);
    tracing::error!(peer = route.node.as_str(), %error, %start, "the peer broke the protocol: closing");
    error.nodedown_reason()
}
