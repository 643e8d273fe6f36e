//! From signals to the bytes of a connection.

use bytes::{BufMut, BytesMut};
use handshake::DistFlags;
use tracing::trace;

use crate::frame::{FRAME_BYTES_MAX_BEAM, LENGTH_BYTES, TICK};
use crate::{ControlMessage, FrameTooLong, HeaderAgreed, NotSent, Op, Signal, Withheld, header};

/// What became of a signal.
#[must_use = "a withheld signal may be owed a local answer, such as `notsup` for a spawn request"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoded {
    /// It was appended as a frame.
    Frame {
        /// The operation that carries it.
        op: Op,
        /// How many bytes were appended.
        bytes: usize,
    },
    /// The peer could not understand it; nothing was appended.
    Withheld(Withheld),
}

/// Why a signal cannot be encoded. Nothing was appended, and the connection is as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Misuse: this release does not speak what was agreed on.
    #[error(transparent)]
    HeaderAgreed(#[from] HeaderAgreed),
    /// Misuse: see [`NotSent::UnlinkWithoutId`].
    #[error("{}", NotSent::UnlinkWithoutId)]
    UnlinkWithoutId,
    /// The message is longer than any BEAM takes; it would close the connection with `emsgsize`.
    #[error(transparent)]
    FrameTooLong(#[from] FrameTooLong),
    /// A term is larger than any BEAM takes; it would close the connection.
    #[error(transparent)]
    Term(#[from] etf::EncodeError),
}

/// Appends a signal as one frame, by the operation that the agreed flags allow.
///
/// Whether the queue of frames is full is the caller's affair, before the call: frames cannot be taken back
/// once some of their bytes are on the wire.
pub fn encode_signal(signal: &Signal, flags: DistFlags, out: &mut BytesMut) -> Result<Encoded, EncodeError> {
    header::check_flags(flags)?;
    let (control, payload) = match signal.to_wire(flags) {
        Ok(wire) => wire,
        Err(NotSent::Withheld(withheld)) => return Ok(Encoded::Withheld(withheld)),
        Err(NotSent::UnlinkWithoutId) => return Err(EncodeError::UnlinkWithoutId),
    };
    let start = out.len();
    put_frame(&control, payload, out).inspect_err(|_| out.truncate(start))?;
    let (op, bytes) = (control.op(), out.len() - start);
    trace!(%op, bytes, "send signal");
    Ok(Encoded::Frame { op, bytes })
}

/// Appends a tick.
pub fn encode_tick(out: &mut BytesMut) {
    out.put_slice(&TICK);
}

fn put_frame(
    control: &ControlMessage,
    payload: Option<&etf::Term>,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.put_slice(&[0; LENGTH_BYTES]);
    header::put_start(out);
    etf::try_encode_into(&control.to_term(), out)?;
    if let Some(payload) = payload {
        header::put_payload_start(out);
        etf::try_encode_into(payload, out)?;
    }
    let bytes = out.len() - start - LENGTH_BYTES;
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= FRAME_BYTES_MAX_BEAM);
    let length = length.ok_or(FrameTooLong { bytes, max: FRAME_BYTES_MAX_BEAM })?;
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests;
