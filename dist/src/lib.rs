//! What connected Erlang nodes say to each other: frames, control messages and ticks, without I/O.
//!
//! The handshake is over, both nodes know each other's name and the flags they agree on. From here on
//! everything is frames. Nothing in this crate owns a socket, a task or a clock: bytes, signals and the time go
//! in, signals, bytes and verdicts come out.
//!
//! # The way of a byte in
//!
//! 1. The driver reads from the socket into [`Inbound::read_buffer`] and tells [`Ticker::received`].
//! 2. `frame` cuts the bytes into frames. The length is held against [`Limits::frame_bytes_max`] before
//!    anything is allocated for it; a frame of length 0 is a tick.
//! 3. `header` says which form the frame has, `cache` reads its distribution header, which names the message's atoms,
//!    and `fragment` keeps what is only a part of a message.
//! 4. `etf` decodes the control term, and [`ControlMessage::from_term`] makes it one of the operations of
//!    [`OPS`], with real types: a `Pid` where a pid belongs.
//! 5. `etf` decodes the payload, if the operation has one. Its binaries are slices of the frame.
//! 6. [`Signal::from_wire`] makes one thing of the operations that mean the same, and [`Signal::check_ends`]
//!    sees to it that the peer speaks for itself only.
//! 7. [`Inbound::poll_output`] hands out [`Received`], which the router matches once and exhaustively.
//!
//! Whatever is wrong on the way is an [`InboundError`] and ends the connection, and
//! [`InboundError::nodedown_reason`] says what the others are told.
//!
//! # The way of a byte out
//!
//! 1. A process makes a [`Signal`], which knows nothing of flags.
//! 2. [`Signal::to_wire`] chooses the operation that the agreed flags allow, or withholds the signal.
//! 3. [`Outbound`] appends it to the connection's queue: as one frame, or in fragments with room between them for
//!    what others send.
//! 4. The driver writes what [`Outbound::poll_output`] gives to the socket and tells [`Ticker::wrote`]; when the
//!    [`Ticker`] says so, it writes a [`TICK`].
//!
//! # Not here
//!
//! Links, monitors and names are tables of the node, which needs them for its own processes too.
#![forbid(unsafe_code)]

mod frame;
pub use frame::{FRAME_BYTES_MAX_BEAM, FrameTooLong, TICK};
mod header;
pub use header::BodyError;
mod cache;
pub use cache::HeaderError;
mod fragment;
pub use fragment::FragmentError;
mod op;
pub use op::{Arity, OPS, Op, OpRow};
mod control;
pub use control::{
    AliasMode, BadSpawnOptions, ControlError, ControlMessage, Kind, Mfa, MonitorOptions, MonitorTarget,
    SeqToken, SignalTarget, SpawnOptions, SpawnReplyFlags, SpawnReplyFlagsError, SpawnRequest,
};
mod signal;
pub use signal::{EndsError, NotSent, PayloadMissing, Signal, Withheld};
mod inbound;
pub use inbound::{Fault, Inbound, InboundError, Received};
mod outbound;
pub use outbound::{EncodeError, Encoded, Outbound, PlainSend, PlainTo, encode_signal, encode_tick};
mod tick;
pub use tick::{TickConfig, TickConfigError, TickVerdict, Ticker, Ticktime, TicktimeChange};
mod limits;
pub use limits::Limits;
mod nodedown;
pub use nodedown::NodedownReason;
