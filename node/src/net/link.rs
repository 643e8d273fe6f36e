//! Drives one connection: bytes in, signals to the router; the route's queue and ticks out (wire.md 6).

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    mem,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    thread,
    time::Instant,
};

use bytes::Buf;
use dist::{Inbound, InboundError, NodedownReason, Received, Signal, TICK, TickVerdict, Ticker, Ticktime};
use etf::{Segments, Term};
use handshake::Established;
use tokio::{
    io::{AsyncReadExt, AsyncWrite},
    runtime::{Handle, RuntimeFlavor},
    sync::watch,
    time::Sleep,
};

use super::{
    Attempt, Route,
    bells::{Bell, Source},
    busy::BusyPoll,
    stats::Meter,
};
use crate::{NodeConfig, carrier::Stream, clock, node::Inner, process::Delivery};

/// A written buffer that grew past this is given back. Senders that wait leave about 1 MiB for each write.
const KEEP_BYTES_MAX: usize = 2 << 20;

/// From this many bytes on a read is [`Read::Much`]: some hundred short messages.
const MUCH_BYTES: usize = 16 << 10;

/// So many messages go to mailboxes, at most, before those who got them have a turn: together they are some 100 KiB, which
/// stay in the processor's cache, and memory that is given back is asked for again while it is there.
const TURN_MESSAGES: u64 = 256;

/// How many pieces one system call writes at most.
const SLICES_MAX: usize = 64;

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

/// Drives it until it ends.
async fn drive(
    inner: &Arc<Inner>,
    route: &Route,
    stream: Stream,
    attempt: &Attempt,
    established: &Established,
) -> Ended {
    attempt.wakes(route.bells());
    let mut link = Link::new(inner, route, stream, attempt, established);
    match link.take_leftover(&established.leftover) {
        Ok(()) => poll_fn(|cx| link.poll(cx)).await,
        Err(ended) => ended,
    }
}

/// A connection that is up. It is one task, and polled by hand: each message goes through here, and what a
/// `select!` sets up and takes down each time costs more than the message.
struct Link<'a> {
    inner: &'a Arc<Inner>,
    route: &'a Route,
    attempt: &'a Attempt,
    stream: Stream,
    inbound: Inbound,
    /// What was read and is for one process.
    delivery: Delivery,
    /// What is being written.
    out: Segments,
    /// What was written may wait for a flush.
    is_buffered: bool,
    is_unflushed: bool,
    ticker: Ticker,
    ticktime: watch::Receiver<Ticktime>,
    socket: Bell,
    timer: Pin<Box<Sleep>>,
    timer_bell: Bell,
    /// When it goes off; nothing when it has. There may be nothing to do then: what it is for has moved on.
    timer_at: Option<Instant>,
    meter: Meter<'a>,
    busy: BusyPoll<'a>,
    asks_socket: bool,
    /// What was read has started processes.
    has_started: bool,
    /// They were given a turn before anything is written.
    is_put_off: bool,
    /// What was read last has more messages than have had their turn.
    has_more: bool,
}

/// How far a read has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    Nothing,
    Some,
    /// So much that whoever got it should have a turn before there is more: it is in the processor's cache still, and
    /// mailboxes stay short. There may be more of it.
    Much,
}

impl<'a> Link<'a> {
    fn new(
        inner: &'a Arc<Inner>,
        route: &'a Route,
        stream: Stream,
        attempt: &'a Attempt,
        established: &Established,
    ) -> Self {
        let own = inner.node_atom().clone();
        let (now, mut ticktime) = (clock::now(), inner.ticktime.subscribe());
        let mut ticker = Ticker::new(now, inner.tick_config(), !inner.is_visible(established));
        ticker.set_ticktime(*ticktime.borrow_and_update());
        Self {
            inner,
            route,
            attempt,
            is_buffered: stream.is_buffered(),
            is_unflushed: false,
            stream,
            inbound: Inbound::new(own, route.node.clone(), established.flags, inner.inbound_limits()),
            delivery: Delivery::default(),
            out: Segments::new(),
            timer: Box::pin(tokio::time::sleep_until(now.into())),
            timer_at: None,
            timer_bell: Bell::new(route.bells(), Source::Timer),
            socket: Bell::new(route.bells(), Source::Socket),
            ticker,
            ticktime,
            meter: Meter::new(route),
            busy: BusyPoll::new(&inner.awake, inner.config.busy_poll.min(NodeConfig::BUSY_POLL_MAX), now),
            asks_socket: Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread,
            has_started: false,
            is_put_off: false,
            has_more: false,
        }
    }

    /// The bytes that came with the handshake's last message.
    fn take_leftover(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.inbound.received(clock::now());
        self.inbound.handle(bytes);
        self.meter.read(bytes.len());
        self.route_received()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        match self.go_on(cx) {
            Ok(()) => Poll::Pending,
            Err(ended) => Poll::Ready(ended),
        }
    }

    /// Reads and writes what can be. Afterwards whatever makes a difference wakes the task.
    fn go_on(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        // Before anything is looked at, so that what comes later is seen.
        self.route.bells().wake_me(cx.waker());
        if let Some(reason) = self.attempt.reason() {
            return Err(Ended::Asked(reason));
        }
        if self.route.is_overrun() {
            let peer = self.route.node.as_str();
            tracing::error!(peer, "the peer reads too slowly: the connection is given up");
            return Err(Ended::Reason(NodedownReason::Shutdown));
        }
        if self.ticktime.has_changed().unwrap_or(false) {
            self.ticker.set_ticktime(*self.ticktime.borrow_and_update());
        }
        let mut has_worked = false;
        loop {
            let read = self.read()?;
            if mem::take(&mut self.has_started) && !mem::replace(&mut self.is_put_off, true) {
                // Most of them are calls that end at once: that they were started, and what they give, goes out together.
                if self.busy.is_on() {
                    self.note(read, false);
                }
                has_worked = true;
                cx.waker().wake_by_ref();
                break;
            }
            self.is_put_off = false;
            let has_written = self.write(cx)?;
            if self.busy.is_on() {
                self.note(read, has_written);
            }
            has_worked |= has_written || read != Read::Nothing;
            if read == Read::Much {
                cx.waker().wake_by_ref();
                break;
            }
            if read == Read::Nothing && !has_written {
                break;
            }
        }
        if self.busy.is_on() {
            self.stay_awake(has_worked, cx)?;
        }
        self.look_at_time(cx)
    }

    fn note(&mut self, read: Read, has_written: bool) {
        let has_read = read != Read::Nothing;
        if !has_read && !has_written {
            return;
        }
        let now = clock::now();
        if has_read {
            self.busy.read(now);
        }
        if has_written {
            self.busy.wrote(now);
        }
    }

    fn stay_awake(&mut self, has_worked: bool, cx: &mut Context<'_>) -> Result<(), Ended> {
        if self.busy.goes_on(clock::now()) {
            if !has_worked {
                // Who has work for this core goes first: it may be the peer.
                thread::yield_now();
                self.read_now()?;
            }
            // Comes back as soon as the system was asked what has happened: a thread with this to do does not sleep.
            let _ = pin!(tokio::task::yield_now()).poll(cx);
        }
        Ok(())
    }

    /// Asks the socket itself. Where the runtime has several threads, it is mostly another one that waits to hear of it.
    fn read_now(&mut self) -> Result<(), Ended> {
        if !self.asks_socket {
            return Ok(());
        }
        let mut bytes = [0; 2048];
        // The end and errors come by the usual way too.
        let Ok(size @ 1..) = self.stream.read_now(&mut bytes) else { return Ok(()) };
        let now = clock::now();
        self.ticker.received(now);
        self.busy.read(now);
        self.inbound.received(now);
        self.inbound.handle(&bytes[..size]);
        self.meter.read(size);
        self.route_received()
    }

    fn read(&mut self) -> Result<Read, Ended> {
        if self.has_more {
            self.route_received()?;
            return Ok(if self.has_more { Read::Much } else { Read::Some });
        }
        if !self.socket.take() {
            return Ok(Read::Nothing);
        }
        let mut cx = Context::from_waker(self.socket.waker());
        let bytes = match pin!(self.stream.read_buf(self.inbound.read_buffer())).poll(&mut cx) {
            Poll::Pending => return Ok(Read::Nothing),
            Poll::Ready(Ok(bytes @ 1..)) => bytes,
            Poll::Ready(Ok(0) | Err(_)) => return Err(Ended::Reason(NodedownReason::ConnectionClosed)),
        };
        // There may be more, and the socket does not wake anybody before it has said that there is not.
        self.socket.set();
        self.meter.read(bytes);
        let now = clock::now();
        self.ticker.received(now);
        self.inbound.received(now);
        self.route_received()?;
        Ok(if bytes >= MUCH_BYTES || self.has_more { Read::Much } else { Read::Some })
    }

    /// Writes some bytes; if there are none, sends off those that were written before. Whether there is more to be
    /// tried.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        if self.out.is_empty() {
            self.refill();
        }
        let closed = Ended::Reason(NodedownReason::ConnectionClosed);
        if self.out.is_empty() {
            if self.is_unflushed {
                match Pin::new(&mut self.stream).poll_flush(cx) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(())) => self.is_unflushed = false,
                    Poll::Ready(Err(_)) => return Err(closed),
                }
            }
            return Ok(false);
        }
        match poll_write(&mut self.stream, &mut self.out, cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(bytes @ 1..)) => {
                self.is_unflushed = self.is_buffered;
                self.meter.wrote(bytes, self.out.remaining());
                self.ticker.wrote(clock::now());
                Ok(true)
            }
            Poll::Ready(Ok(0) | Err(_)) => Err(closed),
        }
    }

    fn refill(&mut self) {
        // A buffer that grew for a burst is not kept for good.
        if self.out.capacity() > KEEP_BYTES_MAX {
            self.out = Segments::new();
        }
        if let Some(taken) = self.route.take(&mut self.out) {
            self.meter.took(taken, self.out.remaining());
        }
    }

    /// Does what is due, and sees to it that the task is woken when the next thing is.
    fn look_at_time(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        loop {
            let next = [self.ticker.poll_timeout(), self.inbound.poll_timeout()].into_iter().flatten().min();
            let Some(next) = next else { return Ok(()) };
            // A timer that goes off too early costs less than one that is set again for each message.
            if self.timer_at.is_none_or(|at| next < at) {
                self.timer.as_mut().reset(next.into());
                self.timer_at = Some(next);
                self.timer_bell.set();
            }
            if !self.timer_bell.take() {
                return Ok(());
            }
            let mut timer_cx = Context::from_waker(self.timer_bell.waker());
            if self.timer.as_mut().poll(&mut timer_cx).is_pending() {
                return Ok(());
            }
            self.timer_at = None;
            self.timed_out(clock::now())?;
            self.write(cx)?;
        }
    }

    fn timed_out(&mut self, now: Instant) -> Result<(), Ended> {
        self.inbound.handle_timeout(now).map_err(|error| broken(self.route, &error))?;
        self.meter.look_at_queue();
        self.delivery.shrink();
        match self.ticker.handle_timeout(now, self.out.remaining()) {
            TickVerdict::Nothing => {}
            TickVerdict::SendTick => {
                self.out.put_slice(&TICK);
                self.meter.sent_tick();
            }
            TickVerdict::Dead => return Err(Ended::Reason(NodedownReason::NetTickTimeout)),
        }
        Ok(())
    }

    /// Takes what has come to the router.
    fn route_received(&mut self) -> Result<(), Ended> {
        let (mut messages, mut ticks, mut is_message) = (0, 0, false);
        self.has_more = false;
        let result = loop {
            if messages == TURN_MESSAGES {
                self.has_more = true;
                break Ok(());
            }
            if is_message
                && !self.inner.is_stopping()
                && let Some(message) = self.inbound.poll_again()
            {
                messages += 1;
                self.delivery.again(message);
                continue;
            }
            match self.inbound.poll_output() {
                Ok(None) => break Ok(()),
                Ok(Some(Received::Tick)) => ticks += 1,
                Ok(Some(Received::Signal(signal))) => {
                    messages += 1;
                    is_message = matches!(signal, Signal::Send { .. } | Signal::RegSend { .. });
                    self.has_started |= matches!(signal, Signal::SpawnRequest { .. });
                    // What others say now is about our leaving, and meant for those who stay.
                    if !self.inner.is_stopping() {
                        self.inner.receive_together(signal, &mut self.delivery);
                    }
                }
                Err(error) => break Err(broken(self.route, &error)),
            }
        };
        self.delivery.finish();
        self.meter.received(messages, ticks, self.inbound.fragments());
        result
    }
}

/// Writes some of the bytes and takes them off.
fn poll_write(stream: &mut Stream, out: &mut Segments, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let stream = Pin::new(stream);
    let written = if out.chunk().len() == out.remaining() {
        ready!(stream.poll_write(cx, out.chunk()))?
    } else {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = out.chunks_vectored(&mut slices);
        ready!(stream.poll_write_vectored(cx, &slices[..count]))?
    };
    out.advance(written);
    Poll::Ready(Ok(written))
}

fn broken(route: &Route, error: &InboundError) -> Ended {
    let start = format_args!("{:02x?}", error.frame_start);
    tracing::error!(peer = route.node.as_str(), %error, %start, "the peer broke the protocol: closing");
    Ended::Reason(error.nodedown_reason())
}
