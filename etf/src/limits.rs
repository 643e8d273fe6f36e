//! How much a term from outside may ask of us.

/// Limits on decoding. A term that goes past one is refused with an error that names the limit.
///
/// Together with these, one rule always holds: decoding allocates at most [`DecodeLimits::BYTES_PER_BYTE_MAX`]
/// bytes of memory for each byte of input (or of inflated input), whatever lengths the input claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeLimits {
    /// How deep tuples, lists, maps, records and closures may lie in each other. A long list is not deep.
    ///
    /// Default 1,024. Decoding, encoding, comparing and printing take no stack, but dropping, cloning, hashing
    /// and `==` take up to 1,000 bytes a level in an unoptimised build, so 1,024 levels fit the 2 MiB of a
    /// usual thread twice over. Data made by hand or by OTP stays below 100. Raise it only where the
    /// terms are handled on threads with a larger stack.
    pub depth_max: usize,
    /// How many terms there may be in all, sub-terms included; each takes 32 bytes of memory.
    ///
    /// Default 16,777,216 (2^24, one more than the arity of the BEAM's largest tuple): 512 MiB.
    pub elements_max: usize,
    /// How many atoms may be spelled out (cached ones do not count).
    ///
    /// Default as `elements_max`, so none of its own: atoms are not interned here and are freed with their
    /// term. Lower it when terms are passed on to a BEAM node, whose atoms are never freed.
    pub atoms_max: usize,
    /// How many bytes the input may have.
    ///
    /// Default 536,870,912 (512 MiB): a frame's length allows 4 GiB, which nobody should make us hold.
    /// Input past 4 GiB is refused whatever this says.
    pub bytes_max: usize,
    /// How many bytes a compressed term may inflate to; counted while inflating.
    ///
    /// Default 67,108,864 (64 MiB): zlib inflates up to a thousandfold, so this is what 64 KiB of input can cost.
    pub inflated_bytes_max: usize,
    /// How many bytes an integer's magnitude may have.
    ///
    /// Default 524,280, which is what OTP 26 and later accept; older ones took 4 MiB less 8 bytes.
    pub bigint_bytes_max: usize,
}

impl DecodeLimits {
    /// The most memory that decoding takes for a byte of input, in bytes.
    ///
    /// The worst case is a list of one-byte terms, 32 bytes each, that comes in many tails and so grows by
    /// doubling.
    pub const BYTES_PER_BYTE_MAX: usize = 64;
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            depth_max: 1024,
            elements_max: 1 << 24,
            atoms_max: 1 << 24,
            bytes_max: 512 << 20,
            inflated_bytes_max: 64 << 20,
            bigint_bytes_max: 524_280,
        }
    }
}
