//! A buffer that shares large binaries instead of copying them, for a vectored write.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes, BytesMut};

use crate::encode::buffer::{self, EncodeBuffer};

/// Encoded terms in pieces: large binaries are shared, all else lies together in one buffer.
///
/// It is a queue: terms and other bytes are appended, and what was written out is taken off the front by
/// [`Buf::advance`], in any portions. The order is that of [`encode_into`](crate::encode_into()). Its buffer is used
/// again once its bytes are taken off.
///
/// ```
/// use bytes::Buf;
/// use crabnode_etf::{Segments, Term, encode_into, tuple};
///
/// let blob = bytes::Bytes::from(vec![7; 1 << 20]);
/// let mut segments = Segments::new();
/// encode_into(&tuple!(atom "blob", blob.clone(), 5), &mut segments);
///
/// let pieces: Vec<&[u8]> = segments.chunks().collect();
/// assert_eq!(pieces[0], [104, 3, 119, 4, b'b', b'l', b'o', b'b', 109, 0, 16, 0, 0]);
/// assert_eq!(pieces[1].as_ptr(), blob.as_ptr()); // No copy.
/// assert_eq!(pieces[2], [97, 5]);
///
/// // `AsyncWriteExt::write_buf` does this with a socket: it writes all pieces at once.
/// let mut slices = [std::io::IoSlice::new(&[]); 16];
/// let count = segments.chunks_vectored(&mut slices);
/// let written = std::io::Write::write_vectored(&mut std::io::sink(), &slices[..count])?;
/// segments.advance(written);
/// assert!(segments.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default, Clone)]
pub struct Segments {
    /// All that is not shared and not yet taken off.
    text: BytesMut,
    /// How many bytes of it were taken off since the beginning.
    text_start: u64,
    /// The shared binaries, each with the count of such bytes before it since the beginning.
    shared: VecDeque<(u64, Bytes)>,
    /// Their bytes.
    shared_bytes: usize,
    /// How many binaries were shared since the beginning, and their bytes.
    ever_shared: (u64, u64),
}

/// A place in [`Segments`], good until bytes after it are taken off the front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    text: u64,
    ever_shared: (u64, u64),
}

impl Segments {
    /// How long a binary must be to be shared: 2,048 bytes.
    ///
    /// A piece of its own costs as much as copying about that many bytes: a count of references up and down, and an
    /// element of the vectored write.
    pub const SHARED_BYTES_MIN: usize = 2048;

    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len() + self.shared_bytes
    }

    /// How many bytes fit into the buffer, which has all that is not shared.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all bytes off. Memory is kept.
    pub fn clear(&mut self) {
        self.text.clear();
        if !self.shared.is_empty() {
            self.shared.clear();
        }
        (self.text_start, self.shared_bytes, self.ever_shared) = (0, 0, (0, 0));
    }

    /// Appends bytes as they are, such as what stands between the terms of a message.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    /// Appends all that another has, which is empty afterwards and keeps its memory. Shared binaries stay shared.
    pub fn append(&mut self, other: &mut Self) {
        let start = self.text_start + self.text.len() as u64;
        self.text.extend_from_slice(&other.text);
        if !other.shared.is_empty() {
            let shared = other.shared.drain(..);
            self.shared.extend(shared.map(|(at, binary)| (start + at - other.text_start, binary)));
        }
        self.shared_bytes += other.shared_bytes;
        self.ever_shared =
            (self.ever_shared.0 + other.ever_shared.0, self.ever_shared.1 + other.ever_shared.1);
        other.clear();
    }

    /// Takes so many bytes off the front and appends them to another. Long pieces are shared, not copied.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn move_front(&mut self, mut len: usize, to: &mut Self) {
        assert!(len <= self.len(), "{len} bytes taken off where there are {}", self.len());
        while len > 0 {
            let now = len.min(self.chunk().len());
            let piece = match self.shared.front_mut() {
                Some((at, binary)) if *at == self.text_start => {
                    let piece = binary.split_to(now);
                    self.shared_bytes -= now;
                    if binary.is_empty() {
                        self.shared.pop_front();
                    }
                    piece
                }
                _ => {
                    self.text_start += now as u64;
                    self.text.split_to(now).freeze()
                }
            };
            if now >= Self::SHARED_BYTES_MIN {
                buffer::Buffer::share(to, to.text.len(), piece);
            } else {
                to.put_slice(&piece);
            }
            len -= now;
        }
    }

    /// The place where the next byte goes.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let text = self.text_start + self.text.len() as u64;
        Mark { text, ever_shared: self.ever_shared }
    }

    /// How many bytes were appended since.
    #[must_use]
    pub fn len_since(&self, mark: Mark) -> u64 {
        let text = self.text_start + self.text.len() as u64 - mark.text;
        text + self.ever_shared.1 - mark.ever_shared.1
    }

    /// Writes over bytes that were appended there by [`Self::put_slice`]: a length that is known only afterwards.
    ///
    /// # Panics
    /// When fewer were appended, or some were taken off.
    pub fn overwrite(&mut self, mark: Mark, bytes: &[u8]) {
        let start = self.text_index(mark.text);
        self.text[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// Takes back all that was appended since.
    ///
    /// # Panics
    /// When some of it was taken off.
    pub fn rewind(&mut self, mark: Mark) {
        let start = self.text_index(mark.text);
        self.text.truncate(start);
        buffer::Buffer::unshare(self, mark.ever_shared.0);
    }

    /// Takes off all that was appended since and appends it to another. Shared binaries stay shared.
    ///
    /// # Panics
    /// When some of it was taken off the front.
    pub fn move_back(&mut self, mark: Mark, to: &mut Self) {
        let start = self.text_index(mark.text);
        let since = usize::try_from(self.ever_shared.0 - mark.ever_shared.0).expect("they are in memory");
        let first = self.shared.len() - since;
        let to_start = to.text_start + to.text.len() as u64;
        for (at, binary) in self.shared.drain(first..) {
            let bytes = binary.len();
            self.shared_bytes -= bytes;
            self.ever_shared = (self.ever_shared.0 - 1, self.ever_shared.1 - bytes as u64);
            to.shared_bytes += bytes;
            to.ever_shared = (to.ever_shared.0 + 1, to.ever_shared.1 + bytes as u64);
            to.shared.push_back((to_start + at - mark.text, binary));
        }
        to.text.extend_from_slice(&self.text[start..]);
        self.text.truncate(start);
    }

    /// The pieces, in order. None is empty.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        let pieces = self.shared.iter().flat_map(move |(at, binary)| {
            let end = self.text_index(*at);
            let text = &self.text[start..end];
            start = end;
            [text, binary]
        });
        let last = self.shared.back().map_or(0, |(at, _)| self.text_index(*at));
        pieces.chain([&self.text[last..]]).filter(|piece| !piece.is_empty())
    }

    fn text_index(&self, at: u64) -> usize {
        usize::try_from(at - self.text_start).expect("it is within the buffer")
    }
}

impl Buf for Segments {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        match self.shared.front() {
            Some((at, binary)) if *at == self.text_start => binary,
            Some((at, _)) => &self.text[..self.text_index(*at)],
            None => &self.text,
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        slices.iter_mut().zip(self.chunks()).map(|(slice, piece)| *slice = IoSlice::new(piece)).count()
    }

    /// # Panics
    /// When there are not so many bytes.
    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.len(), "{count} bytes taken off where there are {}", self.len());
        loop {
            let now = count.min(self.chunk().len());
            match self.shared.front_mut() {
                Some((at, binary)) if *at == self.text_start => {
                    binary.advance(now);
                    self.shared_bytes -= now;
                    if binary.is_empty() {
                        self.shared.pop_front();
                    }
                }
                _ => {
                    self.text.advance(now);
                    self.text_start += now as u64;
                }
            }
            count -= now;
            if count == 0 {
                return;
            }
        }
    }
}

impl EncodeBuffer for Segments {}

impl buffer::Buffer for Segments {
    const SHARES: bool = true;

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.text
    }

    fn grow(&mut self, len: usize) {
        self.text.resize(len, 0);
    }

    #[inline]
    fn grow_first(&mut self) {
        self.text.extend_from_slice(&buffer::FIRST);
    }

    fn put(&mut self, at: usize, binary: &[u8]) {
        self.text.truncate(at);
        self.text.extend_from_slice(binary);
    }

    fn cut(&mut self, len: usize) {
        self.text.truncate(len);
    }

    fn share(&mut self, at: usize, binary: Bytes) {
        self.shared_bytes += binary.len();
        self.ever_shared = (self.ever_shared.0 + 1, self.ever_shared.1 + binary.len() as u64);
        self.shared.push_back((self.text_start + at as u64, binary));
    }

    fn shared(&self) -> (u64, u64) {
        self.ever_shared
    }

    fn unshare(&mut self, count: u64) {
        while self.ever_shared.0 > count
            && let Some((_, binary)) = self.shared.pop_back()
        {
            self.shared_bytes -= binary.len();
            self.ever_shared = (self.ever_shared.0 - 1, self.ever_shared.1 - binary.len() as u64);
        }
    }
}

#[cfg(test)]
mod tests;
