//! Texts of at most 23 bytes as three words, which compare, copy and check without loops.

use ascii::AsciiStr;

/// The longest text that is short, in bytes. The last byte of the words is for its length.
pub(crate) const SHORT_MAX: usize = 23;

/// A text of at most [`SHORT_MAX`] bytes, little-endian, padded with zeros.
pub(crate) type Short = [u64; 3];

/// The first `len` bytes as words, or nothing if there are fewer or they are too many.
#[inline]
pub(crate) fn short(bytes: &[u8], len: usize) -> Option<Short> {
    let masks = MASKS.get(len)?;
    let Some(all) = bytes.first_chunk() else { return near_end(bytes, len) };
    Some(masked(all, masks))
}

/// Where there are not 24 bytes more.
#[inline(never)]
fn near_end(bytes: &[u8], len: usize) -> Option<Short> {
    if let (0..=8, Some(first)) = (len, bytes.first_chunk()) {
        return Some([u64::from_le_bytes(*first) & MASKS[len][0], 0, 0]);
    }
    let mut all = [0; 24];
    all[..len].copy_from_slice(bytes.get(..len)?);
    Some(masked(&all, &MASKS[len]))
}

#[inline]
fn masked(bytes: &[u8; 24], masks: &Short) -> Short {
    let (words, _) = bytes.as_chunks::<8>();
    [0, 1, 2].map(|i| u64::from_le_bytes(words[i]) & masks[i])
}

/// Bytes as text, if they are UTF-8.
///
/// Short texts are ASCII nearly always, and seeing that they are takes a fraction of the time.
#[inline]
pub(crate) fn utf8(bytes: &[u8]) -> Option<&str> {
    if bytes.len() <= SHORT_MAX
        && let Ok(text) = AsciiStr::from_ascii(bytes)
    {
        return Some(text.as_str());
    }
    std::str::from_utf8(bytes).ok()
}

const MASKS: [Short; SHORT_MAX + 1] = {
    let mut masks = [[0; 3]; SHORT_MAX + 1];
    let mut len = 0;
    while len <= SHORT_MAX {
        let mut at = 0;
        while at < len {
            masks[len][at / 8] |= 0xff << (8 * (at % 8));
            at += 1;
        }
        len += 1;
    }
    masks
};
