//! Distribution flags: what each side of a connection can do (wire.md 3).
//!
//! Each side says its flags in the handshake; a feature is used only if both said it, so the agreed flags are
//! the bitwise AND of both. Bit numbers follow OTP's code (`dist.h`, `dist.hrl`); OTP's document puts
//! MANDATORY_25_DIGEST at bit 36, which is wrong: the code has it at bit 26.

use std::fmt;
use std::ops::{BitAnd, BitOr};

/// A set of distribution flags, 64 bits as on the wire. Bits without a name here are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DistFlags(u64);

/// What is known about one flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagRow {
    /// OTP's name, without the `DFLAG_` in front.
    pub name: &'static str,
    /// The bit's number, 0 to 63.
    pub bit: u8,
    /// The first OTP release that has the flag; 16 stands for "R16 or older".
    pub since: u8,
    /// The first OTP release that refuses a peer without the flag.
    pub mandatory_since: Option<u8>,
}

macro_rules! dist_flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, since $since:literal $(, mandatory since $mandatory:literal)?;)*) => {
        impl DistFlags {
            $($(#[$doc])* pub const $name: DistFlags = DistFlags(1 << $bit);)*

            /// Every known flag, by ascending bit.
            pub const TABLE: &'static [FlagRow] = &[
                $(FlagRow {
                    name: stringify!($name),
                    bit: $bit,
                    since: $since,
                    mandatory_since: dist_flags!(@mandatory $($mandatory)?),
                },)*
            ];
        }
    };
    (@mandatory) => { None };
    (@mandatory $release:literal) => { Some($release) };
}

dist_flags! {
    /// The node is visible. The connection is visible only if both sides set it.
    PUBLISHED = 0, since 16;
    /// Obsolete; never set.
    ATOM_CACHE = 1, since 16;
    /// References of more than one word.
    EXTENDED_REFERENCES = 2, since 16, mandatory since 23;
    /// Monitors of processes by pid.
    DIST_MONITOR = 3, since 16;
    /// Funs have their own tag.
    FUN_TAGS = 4, since 16, mandatory since 25;
    /// Monitors of processes by registered name.
    DIST_MONITOR_NAME = 5, since 16;
    /// Obsolete; never set.
    HIDDEN_ATOM_CACHE = 6, since 16;
    /// Funs in the form with module, index and unique value.
    NEW_FUN_TAGS = 7, since 16, mandatory since 23;
    /// Pids and ports with wide numbers.
    EXTENDED_PIDS_PORTS = 8, since 16, mandatory since 23;
    /// `fun M:F/A` has its own tag.
    EXPORT_PTR_TAG = 9, since 16, mandatory since 25;
    /// Bitstrings whose size is no multiple of 8.
    BIT_BINARIES = 10, since 16, mandatory since 25;
    /// Floats as 8 bytes, not as text.
    NEW_FLOATS = 11, since 16, mandatory since 25;
    /// The I/O protocol speaks Unicode.
    UNICODE_IO = 12, since 16;
    /// A distribution header with an atom cache before each message.
    DIST_HDR_ATOM_CACHE = 13, since 16;
    /// Atoms with a one-byte length.
    SMALL_ATOM_TAGS = 14, since 16;
    /// OTP's own, for ETS; never on the wire.
    INTERNAL_TAGS = 15, since 16;
    /// Atoms in UTF-8.
    UTF8_ATOMS = 16, since 16, mandatory since 23;
    /// Maps.
    MAP_TAG = 17, since 17, mandatory since 25;
    /// Creations of 32 bits in pids, ports and references.
    BIG_CREATION = 18, since 19, mandatory since 23;
    /// Sends carry the sender (operations 22 and 23 for 2 and 12).
    SEND_SENDER = 19, since 21;
    /// Any term may be a sequential trace label.
    BIG_SEQTRACE_LABELS = 20, since 21;
    /// OTP's own; never on the wire.
    PENDING_CONNECT = 21, since 21;
    /// Exit reasons travel as payload (operations 24 to 28).
    EXIT_PAYLOAD = 22, since 22;
    /// Long messages come in fragments. Also forces the distribution header.
    FRAGMENTS = 23, since 22;
    /// The handshake of OTP 23: 64 flag bits, 32-bit creation.
    HANDSHAKE_23 = 24, since 23, mandatory since 25;
    /// Unlinks carry an id and are acknowledged (operations 35 and 36). First in 23.3.
    UNLINK_ID = 25, since 23, mandatory since 26;
    /// Stands for everything OTP 25 made mandatory; see [`DistFlags::expand`].
    MANDATORY_25_DIGEST = 26, since 25;
    /// Remote spawn (operations 29 to 32).
    SPAWN = 32, since 23;
    /// "Give me a name": a request of the initiator, no capability.
    NAME_ME = 33, since 23;
    /// Ports with 64-bit numbers, full 32-bit pid fields, references of five words.
    V4_NC = 34, since 24, mandatory since 26;
    /// Process aliases (operations 33 and 34).
    ALIAS = 35, since 24;
    /// OTP's own; never on the wire.
    LOCAL_EXT = 36, since 24;
    /// Signals with options, such as priority messages (operation 37).
    ALTACT_SIG = 37, since 28;
    /// Records as terms of their own (tag 67).
    NATIVE_RECORDS = 38, since 29;
}

impl DistFlags {
    /// No flag at all.
    pub const NONE: DistFlags = DistFlags(0);

    /// What OTP 23 and 24 demand of a peer.
    pub const MANDATORY_23: DistFlags = mandatory_in(23);

    /// What OTP 25 demands of a peer, and what [`DistFlags::MANDATORY_25_DIGEST`] stands for.
    pub const MANDATORY_25: DistFlags = mandatory_in(25);

    /// What OTP 26 and later demand of a peer.
    pub const MANDATORY_26: DistFlags = mandatory_in(26);

    /// What crabnode demands of a peer: enough to serve OTP 23 to 29. What an old peer lacks beyond it is
    /// made up for per feature, by the agreed flags.
    pub const REQUIRED: DistFlags = DistFlags::MANDATORY_23;

    /// What a visible crabnode offers: all of OTP 29's flags. A hidden node takes PUBLISHED away.
    pub const OFFERED: DistFlags = DistFlags(0x6d_07df_7fbd);

    /// The set of these bits; bits without a name are kept.
    pub const fn from_bits(bits: u64) -> DistFlags {
        DistFlags(bits)
    }

    /// All 64 bits, as on the wire.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// True if every flag of `other` is in this set.
    pub const fn contains(self, other: DistFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// True if no bit is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// This set and `other`'s flags.
    pub const fn with(self, other: DistFlags) -> DistFlags {
        DistFlags(self.0 | other.0)
    }

    /// This set without `other`'s flags.
    pub const fn without(self, other: DistFlags) -> DistFlags {
        DistFlags(self.0 & !other.0)
    }

    /// A peer's flags as meant: MANDATORY_25_DIGEST stands for all of [`DistFlags::MANDATORY_25`]
    /// (wire.md 2.3, step 2).
    pub const fn expand(self) -> DistFlags {
        if self.contains(Self::MANDATORY_25_DIGEST) { self.with(Self::MANDATORY_25) } else { self }
    }

    /// The flags of this set, taken as a demand, that `peer` lacks after expansion. Empty means: accepted.
    pub const fn missing_mandatory(self, peer: DistFlags) -> DistFlags {
        self.without(peer.expand())
    }

    /// What two nodes agree on: the flags both have, after expansion.
    pub const fn agreed(self, peer: DistFlags) -> DistFlags {
        DistFlags(self.expand().0 & peer.expand().0)
    }

    /// The names of the set's flags, by ascending bit; bits without a name are left out.
    pub fn names(self) -> Vec<&'static str> {
        Self::TABLE.iter().filter(|row| self.0 & (1 << row.bit) != 0).map(|row| row.name).collect()
    }
}

/// The flags that `release` demands of its peers.
const fn mandatory_in(release: u8) -> DistFlags {
    let mut bits = 0;
    let mut at = 0;
    while at < DistFlags::TABLE.len() {
        let row = DistFlags::TABLE[at];
        if let Some(since) = row.mandatory_since
            && since <= release
        {
            bits |= 1 << row.bit;
        }
        at += 1;
    }
    DistFlags(bits)
}

impl BitOr for DistFlags {
    type Output = DistFlags;

    fn bitor(self, other: DistFlags) -> DistFlags {
        self.with(other)
    }
}

impl BitAnd for DistFlags {
    type Output = DistFlags;

    fn bitand(self, other: DistFlags) -> DistFlags {
        DistFlags(self.0 & other.0)
    }
}

impl fmt::Debug for DistFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistFlags({self})")
    }
}

/// The names joined by `|`, then the bits without a name in hex.
impl fmt::Display for DistFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::TABLE.iter().fold(0, |bits, row| bits | 1u64 << row.bit);
        let mut parts: Vec<String> = self.names().into_iter().map(String::from).collect();
        if self.0 & !known != 0 || parts.is_empty() {
            parts.push(format!("{:#x}", self.0 & !known));
        }
        f.write_str(&parts.join("|"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mandatory_sets_are_those_of_otp() {
        assert_eq!(DistFlags::MANDATORY_23.bits(), 0x50184);
        assert_eq!(DistFlags::MANDATORY_25.bits(), 0x107_0f94);
        assert_eq!(DistFlags::MANDATORY_26.bits(), 0x4_0307_0f94);
    }

    #[test]
    fn offered_is_what_otp_29_offers() {
        assert_eq!(DistFlags::OFFERED.bits(), 0x6d_07df_7fbd);
        assert!(DistFlags::OFFERED.contains(DistFlags::MANDATORY_26));
        assert!(!DistFlags::OFFERED.contains(DistFlags::NAME_ME));
    }

    #[test]
    fn bits_are_those_of_the_wire() {
        assert_eq!(DistFlags::MANDATORY_25_DIGEST.bits(), 0x400_0000);
        assert_eq!(DistFlags::NAME_ME.bits(), 2 << 32);
        assert_eq!(DistFlags::NATIVE_RECORDS.bits(), 0x40 << 32);
        assert!(DistFlags::TABLE.is_sorted_by(|a, b| a.bit < b.bit));
    }

    #[test]
    fn digest_alone_expands() {
        // The set an OTP 25 to 29 node accepts and a 23 refuses (wire.md 3, bit 26).
        let short = DistFlags::MANDATORY_25_DIGEST | DistFlags::V4_NC | DistFlags::UNLINK_ID;
        assert!(DistFlags::MANDATORY_26.missing_mandatory(short).is_empty());
        assert_eq!(DistFlags::V4_NC.expand(), DistFlags::V4_NC);
        assert!(short.agreed(DistFlags::OFFERED).contains(DistFlags::MAP_TAG));
    }

    #[test]
    fn every_missing_flag_is_told() {
        for row in DistFlags::TABLE.iter().filter(|row| row.mandatory_since == Some(23)) {
            let peer = DistFlags::REQUIRED.without(DistFlags::from_bits(1 << row.bit));
            assert_eq!(DistFlags::REQUIRED.missing_mandatory(peer).names(), [row.name]);
        }
        let otp_23_2 = DistFlags::from_bits(0x1_01df_7fbc);
        assert!(DistFlags::REQUIRED.missing_mandatory(otp_23_2).is_empty());
    }

    #[test]
    fn unknown_bits_are_kept_and_shown() {
        let flags = DistFlags::from_bits(1 << 63 | 1);
        assert_eq!(flags.bits(), 1 << 63 | 1);
        assert_eq!(flags.names(), ["PUBLISHED"]);
        assert_eq!(flags.to_string(), "PUBLISHED|0x8000000000000000");
        assert_eq!(DistFlags::NONE.to_string(), "0x0");
    }
}
