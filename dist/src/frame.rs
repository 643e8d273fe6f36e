//! Frames: `u32 length | body` (wire.md 4.1). A frame without a body is a tick.

use bytes::{Buf, Bytes, BytesMut};

/// The bytes of a tick: a frame of length 0.
pub const TICK: [u8; 4] = [0; 4];

/// The longest body, in bytes, that a BEAM takes; it closes with `emsgsize` at one more.
pub const FRAME_BYTES_MAX_BEAM: usize = 0x7fff_fffb;

/// The bytes of the length in front of each frame.
pub(crate) const LENGTH_BYTES: usize = 4;

/// How many bytes [`Frames::read_buffer`] has room for at least: a read then takes a good thousand small
/// frames, at the cost of this much memory for each connection.
const READ_BYTES_MIN: usize = 64 << 10;

/// Frames up to this size are copied out of the buffer, into memory that is used again. A binary of a message is a slice
/// of its frame, and one that is kept keeps the whole allocation; so a small binary can keep a copy of this much and
/// not a buffer full of other messages. Copying so much costs about what decoding it costs.
const COPY_BYTES_MAX: usize = 16 << 10;

/// A buffer that grew past this is given back when it is nearly empty again.
const KEEP_BYTES_MAX: usize = 256 << 10;

/// A length up to this is believed when so much has come that the frame is a long one, and room made for all of it: what
/// is not written to takes no memory yet, and a buffer that grows copies what is in it. Ours are that long (`Outbound::WHOLE_BYTES_MAX`), with
/// room for what is in front of the payload.
const BELIEVED_BYTES_MAX: usize = (2 << 20) + (64 << 10);

/// A frame longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {bytes} bytes; the limit is {max}")]
pub struct FrameTooLong {
    /// How long the frame says to be.
    pub bytes: usize,
    /// The limit.
    pub max: usize,
}

/// Cuts a stream of bytes into frames.
#[derive(Debug)]
pub(crate) struct Frames {
    buffer: BytesMut,
    frame_bytes_max: usize,
}

/// A frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Tick,
    /// A short one, whose bytes are where they were asked for.
    Short,
    Body(Bytes),
}

impl Frames {
    pub(crate) fn new(frame_bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), frame_bytes_max }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer to read more bytes into, with room for at least [`READ_BYTES_MIN`], or for the rest of a long frame.
    ///
    /// For a frame longer than [`BELIEVED_BYTES_MAX`] there is room for as much as has arrived, so the buffer doubles and
    /// never grows by what a length merely claims.
    pub(crate) fn read_buffer(&mut self) -> &mut BytesMut {
        let missing = self.length().map_or(0, |length| {
            (LENGTH_BYTES + length.min(self.frame_bytes_max)).saturating_sub(self.buffer.len())
        });
        let has_come = self.buffer.len();
        let is_believed = has_come > COPY_BYTES_MAX && has_come + missing <= BELIEVED_BYTES_MAX;
        let room = if is_believed { missing } else { missing.min(has_come) };
        // The end of a long frame does not move it once more to make room for what follows.
        let is_long = missing > 0 && has_come >= READ_BYTES_MIN;
        self.buffer.reserve(if is_long { room } else { room.max(READ_BYTES_MIN) });
        &mut self.buffer
    }

    /// The next frame, if it is whole; a short one is put into `short`. A frame that is too long is found out by its
    /// first four bytes.
    pub(crate) fn next(&mut self, short: &mut Vec<u8>) -> Result<Option<Frame>, FrameTooLong> {
        let Some(bytes) = self.length() else { return Ok(None) };
        if bytes > self.frame_bytes_max {
            return Err(FrameTooLong { bytes, max: self.frame_bytes_max });
        }
        if self.buffer.len() - LENGTH_BYTES < bytes {
            return Ok(None);
        }
        self.buffer.advance(LENGTH_BYTES);
        let is_copied = bytes <= COPY_BYTES_MAX;
        let frame = if bytes == 0 {
            Frame::Tick
        } else if is_copied {
            short.clear();
            short.extend_from_slice(&self.buffer[..bytes]);
            self.buffer.advance(bytes);
            Frame::Short
        } else {
            Frame::Body(self.buffer.split_to(bytes).freeze())
        };
        // The rest moves out of a block that a message keeps, or that is too large to keep for nothing.
        if self.buffer.len() <= COPY_BYTES_MAX && (!is_copied || self.buffer.capacity() > KEEP_BYTES_MAX) {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        Ok(Some(frame))
    }

    /// The body of the next frame, if it is whole and short and no tick. It stays.
    #[inline]
    pub(crate) fn next_short(&self) -> Option<&[u8]> {
        let (length, rest) = self.buffer.split_first_chunk::<LENGTH_BYTES>()?;
        let bytes = u32::from_be_bytes(*length) as usize;
        let is_short = bytes > 0 && bytes <= COPY_BYTES_MAX.min(self.frame_bytes_max);
        if is_short { rest.get(..bytes) } else { None }
    }

    /// Takes the frame away that [`Frames::next_short`] has given.
    #[inline]
    pub(crate) fn skip_short(&mut self) {
        let bytes = self.length().map_or(0, |length| LENGTH_BYTES + length);
        self.buffer.advance(bytes);
        if self.buffer.len() <= COPY_BYTES_MAX && self.buffer.capacity() > KEEP_BYTES_MAX {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
    }

    /// Up to so many of the bytes that no frame was made of yet.
    pub(crate) fn peek(&self, bytes_max: usize) -> &[u8] {
        &self.buffer[..self.buffer.len().min(bytes_max)]
    }

    /// Forgets everything; for a connection that is over.
    pub(crate) fn clear(&mut self) {
        self.buffer = BytesMut::new();
    }

    fn length(&self) -> Option<usize> {
        let length = self.buffer.first_chunk::<LENGTH_BYTES>()?;
        Some(u32::from_be_bytes(*length) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(body);
        frame
    }

    #[test]
    fn frames_come_out_however_the_bytes_come_in() {
        let bodies =
            [vec![], vec![1], vec![2; 300], vec![], vec![3; COPY_BYTES_MAX + 1], vec![4; 70_000], vec![5]];
        let stream: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
        for step in [1, 2, 3, 5, 1000, 65_536, stream.len()] {
            let mut frames = Frames::new(100_000);
            let mut seen = Vec::new();
            for chunk in stream.chunks(step) {
                frames.push(chunk);
                let mut short = Vec::new();
                while let Some(frame) = frames.next(&mut short).unwrap() {
                    seen.push(match frame {
                        Frame::Tick => vec![],
                        Frame::Short => short.clone(),
                        Frame::Body(body) => body.to_vec(),
                    });
                }
            }
            assert_eq!(seen, bodies, "in steps of {step}");
            assert!(frames.peek(64).is_empty());
        }
    }

    #[test]
    fn a_frame_of_the_limit_passes_and_one_byte_more_does_not() {
        let mut frames = Frames::new(100);
        frames.push(&frame(&[7; 100]));
        let mut short = Vec::new();
        assert_eq!((frames.next(&mut short), short), (Ok(Some(Frame::Short)), vec![7; 100]));
        frames.push(&101u32.to_be_bytes());
        assert_eq!(frames.next(&mut Vec::new()), Err(FrameTooLong { bytes: 101, max: 100 }));
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        let mut frames = Frames::new(128 << 20);
        frames.push(&(128u32 << 20).to_be_bytes());
        assert_eq!(frames.next(&mut Vec::new()), Ok(None));
        assert!(frames.read_buffer().capacity() < 2 * READ_BYTES_MIN, "{}", frames.buffer.capacity());
        // And it doubles with what comes.
        frames.push(&[0; 1 << 20]);
        assert!(frames.read_buffer().capacity() <= 5 << 20, "{}", frames.buffer.capacity());
    }

    #[test]
    fn a_frame_of_a_length_that_is_believed_is_read_in_one_place() {
        let mut frames = Frames::new(128 << 20);
        let bytes = frame(&vec![7; 2 << 20]);
        frames.push(&bytes[..READ_BYTES_MIN]);
        let mut place = None;
        for chunk in bytes[READ_BYTES_MIN..].chunks(READ_BYTES_MIN) {
            let buffer = frames.read_buffer();
            assert_eq!(*place.get_or_insert(buffer.as_ptr()), buffer.as_ptr());
            buffer.extend_from_slice(chunk);
        }
        let Ok(Some(Frame::Body(body))) = frames.next(&mut Vec::new()) else {
            panic!("a whole frame is there")
        };
        assert_eq!(Some(body.as_ptr()), place.map(|place| place.wrapping_add(LENGTH_BYTES)));
    }

    #[test]
    fn a_long_frame_leaves_no_large_buffer_behind() {
        let mut frames = Frames::new(128 << 20);
        frames.push(&frame(&vec![1; 8 << 20]));
        frames.push(&TICK);
        let Ok(Some(Frame::Body(body))) = frames.next(&mut Vec::new()) else {
            panic!("a whole frame is there")
        };
        assert_eq!(body.len(), 8 << 20);
        drop(body);
        assert_eq!(frames.next(&mut Vec::new()), Ok(Some(Frame::Tick)));
        assert!(frames.read_buffer().capacity() <= KEEP_BYTES_MAX, "{}", frames.buffer.capacity());
    }

    #[test]
    fn a_buffer_of_many_small_frames_is_given_back() {
        let mut frames = Frames::new(128 << 20);
        frames.push(&frame(&[9; 100]).repeat(20_000));
        for _ in 0..20_000 {
            assert_eq!(frames.next(&mut Vec::new()), Ok(Some(Frame::Short)));
        }
        assert_eq!(frames.next(&mut Vec::new()), Ok(None));
        assert!(frames.buffer.capacity() <= KEEP_BYTES_MAX, "{}", frames.buffer.capacity());
    }
}
