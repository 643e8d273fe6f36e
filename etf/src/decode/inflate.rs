//! Compressed terms (wire.md 8): `131 80 size zlib`.

use flate2::{Decompress, FlushDecompress, Status};

use crate::{
    DecodeLimits,
    decode::{DecodeError, DecodeErrorReason},
};

/// How much to make room for at first; more comes as bytes do, not as the size says.
const FIRST_BYTES: usize = 4096;

/// Inflates what starts at `at` with its size, and says where in `input` it ends.
pub(crate) fn inflate(
    input: &[u8],
    at: usize,
    limits: &DecodeLimits,
) -> Result<(Vec<u8>, usize), DecodeError> {
    let rest = &input[at..];
    let Some((size, deflated)) = rest.split_first_chunk::<4>() else {
        return Err(DecodeError::new(at, DecodeErrorReason::Truncated { needed: 4, left: rest.len() }));
    };
    let declared = u32::from_be_bytes(*size) as usize;
    let max = limits.inflated_bytes_max.min(u32::MAX as usize);
    if declared > max {
        return Err(DecodeError::new(at, DecodeErrorReason::InflatedTooLarge { bytes: declared, max }));
    }
    let wrong_size = DecodeError::new(at, DecodeErrorReason::InflatedSize { declared });
    let mut zlib = Decompress::new(true);
    let mut out = Vec::new();
    loop {
        if out.len() > declared {
            return Err(wrong_size);
        }
        if out.len() == out.capacity() {
            // Room for one byte too many shows that there is one.
            out.reserve_exact(out.len().max(FIRST_BYTES).min(declared + 1 - out.len()));
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most the length of the input")]
        let used = zlib.total_in() as usize;
        let before = out.len();
        let status = zlib.decompress_vec(&deflated[used..], &mut out, FlushDecompress::None);
        #[expect(clippy::cast_possible_truncation, reason = "at most the length of the input")]
        let now_used = zlib.total_in() as usize;
        match status {
            Ok(Status::StreamEnd) if out.len() == declared => return Ok((out, at + size.len() + now_used)),
            Ok(Status::StreamEnd) => return Err(wrong_size),
            Ok(_) if now_used == deflated.len() && out.len() == before => {
                let reason = DecodeErrorReason::Truncated { needed: 1, left: 0 };
                return Err(DecodeError::new(input.len(), reason));
            }
            Ok(_) => {}
            Err(_) => {
                let offset = at + size.len() + now_used;
                return Err(DecodeError::new(offset, DecodeErrorReason::Zlib));
            }
        }
    }
}
