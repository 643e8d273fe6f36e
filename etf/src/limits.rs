//! How much a term from outside may ask of us.

/// Limits on decoding. A term that goes past one is refused with an error that names the limit.
///
/// Together with these, one rule always holds: decoding allocates at most [`DecodeLimits::BYTES_PER_BYTE_MAX`]
/// bytes of memory for each byte of input (or of inflated input), whatever lengths the input claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeLimits {
    /// How deep tuples, lists, maps, records and closures may lie in each other. A long list is not deep.
    ///
    /// Default 1,000,000. Nothing done with a term takes stack for its levels, so this need not be low; an Erlang
    /// program that appends to an iolist, `[List, More]`, makes one level each time. It is there for code that
    /// walks terms by recursion of its own: lower it where such code gets terms from peers.
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
    /// The worst case is a tuple of one element in another and so on: two bytes of input each, for which there is
    /// a piece of memory of 32 bytes, and while decoding 48 more in a stack that grows by doubling.
    pub const BYTES_PER_BYTE_MAX: usize = 128;
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            depth_max: 1_000_000,
            elements_max: 1 << 24,
            atoms_max: 1 << 24,
            bytes_max: 512 << 20,
            inflated_bytes_max: 64 << 20,
            bigint_bytes_max: 524_280,
        }
    }
}
