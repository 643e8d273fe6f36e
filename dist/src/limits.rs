//! How much a connected node may ask of us.

use std::time::Duration;

use etf::DecodeLimits;

/// Limits on what comes in on one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How many bytes a frame may have, without its four bytes of length.
    ///
    /// Default 134,217,728 (128 MiB). The BEAM has no limit below 2 GiB. Without fragments a message is one
    /// frame whatever its size, so this is the largest message such a peer can send us; a longer one ends the
    /// connection with `emsgsize`. It is looked at before anything is allocated. A frame that is being received
    /// takes at most twice the memory of the part that has arrived, so a peer has to send what it wants us
    /// to hold; of one up to 2 MiB there is room for all as soon as 16 KiB have come, which takes memory when it is written to.
    pub frame_bytes_max: usize,
    /// How many bytes the messages may have together of which fragments are missing.
    ///
    /// Default 536,870,912 (512 MiB), which is the longest message that `decode` takes. A BEAM sends what is
    /// longer than 64 KiB in fragments of that size, those of several senders in turn.
    pub fragments_bytes_max: usize,
    /// In how many fragments a message may come.
    ///
    /// Default 1,048,576 (2^20). In the 64 KiB fragments of a BEAM that is 64 GiB, far beyond the longest message.
    /// Nothing is allocated by the count that is announced; but who announces more does not mean it, and is told
    /// so by its first fragment.
    pub fragment_count_max: u64,
    /// How long a message may wait for its next fragment.
    ///
    /// Default 240 s: four ticktimes of 60 s. What a sender has begun it goes on with as soon as its connection
    /// takes more, also when it is killed, and a connection that takes nothing has ended by its ticks long
    /// before. What is later than this never comes, and would hold its memory for good. It is the time from one
    /// fragment to the next, so a long message over a slow line is not at risk.
    pub fragment_age_max: Duration,
    /// Limits on the terms in a frame.
    ///
    /// Default: those of `etf`. A frame is decoded as soon as it is whole.
    pub decode: DecodeLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 128 << 20,
            fragments_bytes_max: 512 << 20,
            fragment_count_max: 1 << 20,
            fragment_age_max: Duration::from_secs(240),
            decode: DecodeLimits::default(),
        }
    }
}
