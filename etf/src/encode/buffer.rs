//! What terms are written into.

use bytes::{Bytes, BytesMut};

/// A buffer that terms are appended to: `Vec<u8>`, [`BytesMut`] or [`Segments`](crate::Segments).
pub trait EncodeBuffer: Buffer {}

impl EncodeBuffer for Vec<u8> {}
impl EncodeBuffer for BytesMut {}

/// How bytes get into a buffer. It is made longer than needed, filled, and cut where the term ends: so there is one
/// check of its length for each small term, not one for each byte.
pub trait Buffer {
    /// What there is, to write on.
    fn bytes_mut(&mut self) -> &mut [u8];
    /// Makes it longer, by zeros.
    fn grow(&mut self, len: usize);
    /// Makes it as much longer as a small term needs, by zeros.
    fn grow_first(&mut self);
    /// Writes a binary after the first `at` bytes, and cuts what was there.
    fn put(&mut self, at: usize, binary: &[u8]);
    /// Makes it shorter.
    fn cut(&mut self, len: usize);

    /// Whether large binaries are kept apart by [`Buffer::share`].
    const SHARES: bool = false;
    /// Takes a large binary that comes after the first `at` bytes.
    fn share(&mut self, _at: usize, _binary: Bytes) {
        unreachable!("it shares nothing")
    }
    /// How many binaries it ever took, and their bytes.
    fn shared(&self) -> (u64, u64) {
        (0, 0)
    }
    /// Gives back all binaries but the first `count` that it ever took.
    fn unshare(&mut self, _count: u64) {}
}

impl Buffer for Vec<u8> {
    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }

    fn grow(&mut self, len: usize) {
        self.resize(len, 0);
    }

    #[inline]
    fn grow_first(&mut self) {
        self.extend_from_slice(&FIRST);
    }

    fn put(&mut self, at: usize, binary: &[u8]) {
        self.truncate(at);
        self.extend_from_slice(binary);
    }

    fn cut(&mut self, len: usize) {
        self.truncate(len);
    }
}

impl Buffer for BytesMut {
    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }

    fn grow(&mut self, len: usize) {
        self.resize(len, 0);
    }

    #[inline]
    fn grow_first(&mut self) {
        self.extend_from_slice(&FIRST);
    }

    fn put(&mut self, at: usize, binary: &[u8]) {
        self.truncate(at);
        self.extend_from_slice(binary);
    }

    fn cut(&mut self, len: usize) {
        self.truncate(len);
    }
}

/// How much room is made at first.
pub(super) const FIRST: [u8; 192] = [0; 192];
