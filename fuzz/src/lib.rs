//! What the fuzz targets share. `cargo xtask fuzz` runs them.

use etf::DecodeLimits;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What a compressed term may inflate to. Low, so that the bound on memory means something.
pub const INFLATED_BYTES_MAX: usize = 64 << 10;

/// What memory there may be besides what the input's length allows: errors, tables, buffers of the first size.
const SLACK_BYTES: usize = 8 << 10;

/// The state of zlib while it inflates.
const INFLATE_BYTES: usize = 128 << 10;

/// The usual limits, but for [`INFLATED_BYTES_MAX`].
pub fn limits() -> DecodeLimits {
    DecodeLimits { inflated_bytes_max: INFLATED_BYTES_MAX, ..DecodeLimits::default() }
}

/// Whether these bytes are a compressed term.
pub fn is_compressed(stored: &[u8]) -> bool {
    stored.starts_with(&[131, 80])
}

/// Runs what decodes `input`, and checks that it takes no more memory than [`DecodeLimits`] promises.
pub fn within_memory<T>(input: &[u8], decode: impl FnOnce() -> T) -> T {
    within_memory_and(input, 0, decode)
}

/// The same of what has tables of so many bytes as soon as anything is in them.
pub fn within_memory_and<T>(input: &[u8], tables: usize, decode: impl FnOnce() -> T) -> T {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let result = decode();
    let grown = ALLOCATOR.peak_usage().saturating_sub(before);
    let (bytes, state) =
        if is_compressed(input) { (INFLATED_BYTES_MAX, INFLATE_BYTES) } else { (input.len(), 0) };
    let max = DecodeLimits::BYTES_PER_BYTE_MAX * bytes + state + tables + SLACK_BYTES;
    assert!(grown <= max, "{grown} bytes of memory for {} of input, more than {max}", input.len());
    result
}
