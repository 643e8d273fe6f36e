//! A wire in memory between two nodes, which is lost where a test says, and read as slowly.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context as Task, Poll, Waker, ready},
    time::Duration,
};

use crabnode::carrier::{BoxFuture, Carrier, Destination, Incoming, ListenAt, Listener, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::mpsc::{Receiver, Sender, channel},
    time::Sleep,
};

/// A wire between two nodes, of which one listens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    listener: Option<Sender<Side>>,
    loss: Option<Loss>,
    /// How many bytes each side reads in a millisecond, where it is slow.
    read_per_ms: [Option<usize>; 2],
    /// Whether the one connection of this time was made.
    is_used: bool,
    is_lost: bool,
    /// How many bytes who connected, and who was connected to, has written.
    written: [usize; 2],
    readers: [Option<Waker>; 2],
}

/// The wire is lost before this byte of what one side writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss {
    pub(crate) of: usize,
    pub(crate) at: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// What was written before arrives, then both sides see the end.
    Closed,
    /// Both sides see an error at once.
    Reset,
    /// Nobody sees anything.
    Silent,
}

impl Wire {
    /// The wire is whole again, and good for one connection.
    pub(crate) fn renew(&self, loss: Option<Loss>) {
        let mut state = self.0.lock().unwrap();
        let listener = state.listener.take();
        *state = State { listener, loss, ..State::default() };
    }

    /// From the next connection on each side, that which connects first, reads so many bytes in a millisecond.
    pub(crate) fn slow_down(&self, read_per_ms: [Option<usize>; 2]) {
        self.0.lock().unwrap().read_per_ms = read_per_ms;
    }

    pub(crate) fn written(&self) -> [usize; 2] {
        self.0.lock().unwrap().written
    }
}

impl Carrier for Wire {
    fn listen<'a>(&'a self, _: ListenAt<'a>) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let (sender, receiver) = channel(8);
            self.0.lock().unwrap().listener = Some(sender);
            Ok(Box::new(WireListener(receiver)) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, _: Destination<'a>) -> BoxFuture<'a, io::Result<Stream>> {
        Box::pin(async move {
            let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, "the wire is lost");
            let (listener, read_per_ms) = {
                let mut state = self.0.lock().unwrap();
                if std::mem::replace(&mut state.is_used, true) {
                    return Err(refused());
                }
                (state.listener.clone().ok_or_else(refused)?, state.read_per_ms)
            };
            let (ours, theirs) = tokio::io::duplex(ON_THE_WAY_MAX);
            let side = |io, of: usize| {
                let pause =
                    read_per_ms[of].map(|bytes| (bytes, Box::pin(tokio::time::sleep(Duration::ZERO))));
                Side { io, of, pause, wire: self.clone() }
            };
            listener.send(side(theirs, 1)).await.map_err(|_| refused())?;
            Ok(Stream::new(side(ours, 0)))
        })
    }

    fn uses_epmd(&self) -> bool {
        false
    }
}

/// How many bytes are on the way before a writer waits.
const ON_THE_WAY_MAX: usize = 64 << 10;

struct WireListener(Receiver<Side>);

impl Listener for WireListener {
    fn port(&self) -> u16 {
        0
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Incoming>> {
        Box::pin(async move {
            let Some(side) = self.0.recv().await else { return std::future::pending().await };
            Ok(Incoming { from: "the wire".into(), stream: Box::pin(async { Ok(Stream::new(side)) }) })
        })
    }
}

/// One side of the connection.
struct Side {
    io: DuplexStream,
    of: usize,
    /// How many bytes it reads at once, and when next.
    pause: Option<(usize, Pin<Box<Sleep>>)>,
    wire: Wire,
}

impl Side {
    fn poll_some(&mut self, task: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some((bytes, pause)) = &mut self.pause else {
            return Pin::new(&mut self.io).poll_read(task, buffer);
        };
        ready!(pause.as_mut().poll(task));
        let mut some = vec![0; (*bytes).min(buffer.remaining())];
        let mut part = ReadBuf::new(&mut some);
        ready!(Pin::new(&mut self.io).poll_read(task, &mut part))?;
        buffer.put_slice(part.filled());
        pause.as_mut().reset(tokio::time::Instant::now() + Duration::from_millis(1));
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Side {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (of, wire) = (self.of, self.wire.clone());
        let mut state = wire.0.lock().unwrap();
        state.readers[of] = Some(task.waker().clone());
        let lost = state.loss.filter(|_| state.is_lost).map(|loss| loss.kind);
        match lost {
            Some(Kind::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Some(Kind::Silent) => Poll::Pending,
            Some(Kind::Closed) => match self.poll_some(task, buffer) {
                Poll::Pending => Poll::Ready(Ok(())),
                ready => ready,
            },
            None => self.poll_some(task, buffer),
        }
    }
}

impl AsyncWrite for Side {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let (of, wire) = (self.of, self.wire.clone());
        let mut state = wire.0.lock().unwrap();
        if state.is_lost {
            return match state.loss.map(|loss| loss.kind) {
                // It takes them, and that is all.
                Some(Kind::Silent) => Poll::Ready(Ok(bytes.len())),
                _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        let left = state.loss.filter(|loss| loss.of == of).map(|loss| loss.at - state.written[of]);
        let bytes = &bytes[..bytes.len().min(left.unwrap_or(usize::MAX))];
        let written = match bytes.is_empty() {
            true => 0,
            false => ready!(Pin::new(&mut self.io).poll_write(task, bytes))?,
        };
        state.written[of] += written;
        if left == Some(written) {
            state.is_lost = true;
            state.readers.iter_mut().filter_map(Option::take).for_each(Waker::wake);
            // What is written next is lost.
            return match written {
                0 => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                written => Poll::Ready(Ok(written)),
            };
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(task)
    }
}
