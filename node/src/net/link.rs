//! Drives one connection: bytes in, signals to the router; the route's queue and ticks out (wire.md 6).

use std::{io, sync::Arc};

use bytes::Buf;
use dist::{Inbound, InboundError, NodedownReason, Received, TICK, TickVerdict, Ticker};
use etf::Segments;
use etf::Term;
use handshake::Established;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Attempt, Route, stats::Meter};
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
    let mut ticktime = inner.ticktime.subscribe();
    let mut ticker = Ticker::new(clock::now(), inner.tick_config(), !inner.is_visible(established));
    ticker.set_ticktime(*ticktime.borrow_and_update());
    let (mut out, mut meter) = (Segments::new(), Meter::new(route));
    inbound.received(clock::now());
    inbound.handle(&established.leftover);
    meter.read(established.leftover.len());
    if let Err(reason) = route_received(inner, route, &mut inbound, &mut meter) {
        return Ended::Reason(reason);
    }
    loop {
        if out.is_empty() {
            // A buffer that grew for a burst is not kept for good.
            if out.capacity() > KEEP_BYTES_MAX {
                out = Segments::new();
            }
            if let Some(taken) = route.take(&mut out) {
                meter.took(taken, out.remaining());
            }
        }
        let (pending, stale) = (!out.is_empty() || unflushed, inbound.poll_timeout());
        tokio::select! {
            reason = attempt.aborted() => return Ended::Asked(reason),
            read = reader.read_buf(inbound.read_buffer()) => {
                let Some(bytes) = unless_closed(read) else {
                    return Ended::Reason(NodedownReason::ConnectionClosed);
                };
                meter.read(bytes);
                let now = clock::now();
                ticker.received(now);
                inbound.received(now);
                if let Err(reason) = route_received(inner, route, &mut inbound, &mut meter) {
                    return Ended::Reason(reason);
                }
            }
            written = write_or_flush(&mut writer, &mut out), if pending => {
                let Ok(written) = written else { return Ended::Reason(NodedownReason::ConnectionClosed) };
                unflushed = is_buffered && matches!(written, Written::Bytes(_));
                if let Written::Bytes(bytes) = written {
                    meter.wrote(bytes, out.remaining());
                }
                ticker.wrote(clock::now());
            }
            () = route.woken(), if !pending => {}
            () = route.overrun() => {
                tracing::error!(peer = route.node.as_str(), "the peer reads too slowly: the connection is given up");
                return Ended::Reason(NodedownReason::Shutdown);
            }
            Ok(()) = ticktime.changed() => ticker.set_ticktime(*ticktime.borrow_and_update()),
            () = sleep_until(stale) => {
                if let Err(error) = inbound.handle_timeout(clock::now()) {
                    return Ended::Reason(broken(route, &error));
                }
            }
            () = sleep_until(ticker.poll_timeout()) => {
                meter.look_at_queue();
                match ticker.handle_timeout(clock::now(), out.remaining()) {
                    TickVerdict::Nothing => {}
                    TickVerdict::SendTick => {
                        out.put_slice(&TICK);
                        meter.sent_tick();
                    }
                    TickVerdict::Dead => return Ended::Reason(NodedownReason::NetTickTimeout),
                }
            }
        }
    }
}

enum Written {
    Bytes(usize),
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
        bytes => Ok(Written::Bytes(bytes)),
    }
}

/// How many bytes were read; nothing if that says that the connection is over.
fn unless_closed(result: io::Result<usize>) -> Option<usize> {
    result.ok().filter(|bytes| *bytes > 0)
}

async fn sleep_until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Takes what has come to the router. The reason if the connection must end.
fn route_received(
    inner: &Arc<Inner>,
    route: &Route,
    inbound: &mut Inbound,
    meter: &mut Meter<'_>,
) -> Result<(), NodedownReason> {
    let (mut messages, mut ticks) = (0, 0);
    let result = loop {
        match inbound.poll_output() {
            Ok(None) => break Ok(()),
            Ok(Some(Received::Tick)) => ticks += 1,
            Ok(Some(Received::Signal(signal))) => {
                messages += 1;
                // What others say now is about our leaving, and meant for those who stay.
                if !inner.is_stopping() {
                    inner.receive(signal);
                }
            }
            Err(error) => break Err(broken(route, &error)),
        }
    };
    meter.received(messages, ticks, inbound.fragments());
    result
}

fn broken(route: &Route, error: &InboundError) -> NodedownReason {
    let start = format_args!("{:02x?}", error.frame_start);
    tracing::error!(peer = route.node.as_str(), %error, %start, "the peer broke the protocol: closing");
    error.nodedown_reason()
}
