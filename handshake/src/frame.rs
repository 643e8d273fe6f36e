//! Frames of the handshake: a length, then a message (wire.md 2).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::config::LengthPrefix;
use crate::error::HandshakeError;

/// Longest frame taken from a peer, in bytes, and the most that is kept while the machine waits for an answer.
/// The longest message there is, a `named:` status with 255 characters of four bytes, has 1033; the rest is
/// room for fields that later releases may add. A peer that has proved nothing holds no more memory than this.
pub(crate) const FRAME_BYTES_MAX: usize = 2048;

/// Cuts the peer's bytes into frames.
#[derive(Debug)]
pub(crate) struct FrameReader {
    prefix: LengthPrefix,
    unread: BytesMut,
}

impl FrameReader {
    pub(crate) fn new(prefix: LengthPrefix) -> FrameReader {
        FrameReader { prefix, unread: BytesMut::new() }
    }

    /// Adds bytes from the peer.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.unread.put_slice(bytes);
    }

    /// The next whole frame's payload, if it is there. A length beyond the limit is an error at once, before
    /// any of its bytes come.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, HandshakeError> {
        let Some(size) = self.size() else { return Ok(None) };
        if size > FRAME_BYTES_MAX {
            return Err(HandshakeError::TooLong { size, max: FRAME_BYTES_MAX });
        }
        if self.unread.len() < self.prefix.size() + size {
            return Ok(None);
        }
        self.unread.advance(self.prefix.size());
        Ok(Some(self.unread.split_to(size).freeze()))
    }

    /// An error if more is kept than a peer may send ahead.
    pub(crate) fn check_kept(&self) -> Result<(), HandshakeError> {
        let size = self.unread.len();
        let max = self.prefix.size() + FRAME_BYTES_MAX;
        if size > max { Err(HandshakeError::TooLong { size, max }) } else { Ok(()) }
    }

    /// Everything not read yet: it belongs to the connected protocol.
    pub(crate) fn take_leftover(&mut self) -> Bytes {
        self.unread.split().freeze()
    }

    fn size(&self) -> Option<usize> {
        match self.prefix {
            LengthPrefix::U16 => {
                self.unread.first_chunk().map(|bytes| usize::from(u16::from_be_bytes(*bytes)))
            }
            LengthPrefix::U32 => self.unread.first_chunk().map(|bytes| u32::from_be_bytes(*bytes) as usize),
        }
    }
}

/// The frame around one of our messages.
pub(crate) fn frame(prefix: LengthPrefix, message: &[u8]) -> Bytes {
    debug_assert!(message.len() <= FRAME_BYTES_MAX, "our own messages are short");
    let mut out = BytesMut::with_capacity(prefix.size() + message.len());
    match prefix {
        LengthPrefix::U16 => out.put_u16(message.len() as u16),
        LengthPrefix::U32 => out.put_u32(message.len() as u32),
    }
    out.put_slice(message);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_of_any_pieces() {
        for prefix in [LengthPrefix::U16, LengthPrefix::U32] {
            let stream = [frame(prefix, b"one"), frame(prefix, b""), frame(prefix, b"three")].concat();
            for piece in 1..=stream.len() {
                let mut reader = FrameReader::new(prefix);
                let mut got = Vec::new();
                for bytes in stream.chunks(piece) {
                    reader.push(bytes);
                    while let Some(frame) = reader.next().unwrap() {
                        got.push(frame);
                    }
                }
                assert_eq!(got, [&b"one"[..], b"", b"three"]);
                assert!(reader.take_leftover().is_empty());
            }
        }
    }

    #[test]
    fn bytes_of_frames() {
        assert_eq!(&frame(LengthPrefix::U16, b"sok")[..], b"\0\x03sok");
        assert_eq!(&frame(LengthPrefix::U32, b"sok")[..], b"\0\0\0\x03sok");
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_at_once() {
        let mut reader = FrameReader::new(LengthPrefix::U32);
        reader.push(&u32::MAX.to_be_bytes());
        assert_eq!(
            reader.next(),
            Err(HandshakeError::TooLong { size: u32::MAX as usize, max: FRAME_BYTES_MAX })
        );
        let mut reader = FrameReader::new(LengthPrefix::U16);
        reader.push(&2048u16.to_be_bytes());
        assert_eq!(reader.next(), Ok(None));
    }
}
