//! Compressed terms (wire.md 8): `131 80 size zlib`.

use flate2::{Compress, Compression, FlushCompress, Status};

use crate::tag;

/// The tag and the size.
const HEAD_BYTES: usize = 5;

/// Compresses what `out` has from `start` on, unless that would make it longer.
pub(super) fn compress(out: &mut Vec<u8>, start: usize, level: u8) {
    let plain = &out[start..];
    // The BEAM has the same limit: as long is good enough.
    let Some(max) = plain.len().checked_sub(HEAD_BYTES) else { return };
    let Ok(size) = u32::try_from(plain.len()) else { return };
    let mut deflated = Vec::with_capacity(max);
    let mut zlib = Compress::new(Compression::new(u32::from(level.min(9))), true);
    while deflated.len() < max {
        #[expect(clippy::cast_possible_truncation, reason = "at most the length of the term")]
        let used = zlib.total_in() as usize;
        let before = deflated.len();
        // It fills the room that there is, and that may be more than was asked for.
        match zlib.compress_vec(&plain[used..], &mut deflated, FlushCompress::Finish) {
            Ok(Status::StreamEnd) if deflated.len() <= max => {
                out.truncate(start);
                out.push(tag::COMPRESSED);
                out.extend_from_slice(&size.to_be_bytes());
                out.extend_from_slice(&deflated);
                return;
            }
            Ok(Status::Ok | Status::BufError) if deflated.len() > before => {}
            // Out of room.
            Ok(_) | Err(_) => return,
        }
    }
}
