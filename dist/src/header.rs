//! What stands in a frame before the control message (wire.md 4.2).
//!
//! Which form a body has follows from the agreed flags, and the other form ends the connection. This release
//! speaks the pass-through form only, `112 131 Control [131 Payload]`: its nodes offer neither
//! DIST_HDR_ATOM_CACHE nor FRAGMENTS, so no peer can agree on them.

use bytes::{BufMut, Bytes, BytesMut};
use handshake::DistFlags;

/// The first byte of a body in pass-through form.
const PASS_THROUGH: u8 = 112;

/// What stands before each term of a body in pass-through form.
const VERSION: u8 = 131;

/// Flags were agreed on that put a distribution header in front of each message, which this release does
/// neither read nor write. It must not offer them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{agreed} was agreed on, and distribution headers are not spoken here")]
pub struct HeaderAgreed {
    /// Those of DIST_HDR_ATOM_CACHE and FRAGMENTS that both sides have.
    pub agreed: DistFlags,
}

/// A body that is not of the form agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The body does not start with 112.
    #[error("a message starts with {found}, not with {PASS_THROUGH}")]
    NotPassThrough {
        /// What it starts with; 131 is a distribution header.
        found: u8,
    },
    /// A term does not start with 131.
    #[error("a term at byte {at} of a message starts with {found}, not with {VERSION}")]
    NoVersion {
        /// Where, from the start of the body.
        at: usize,
        /// What it starts with.
        found: u8,
    },
    /// The body ends where a term should be.
    #[error("a message of {bytes} bytes ends before its control message")]
    Truncated {
        /// How long the body is.
        bytes: usize,
    },
}

/// Refuses agreed flags that need a distribution header.
pub(crate) fn check_flags(flags: DistFlags) -> Result<(), HeaderAgreed> {
    let agreed = flags & (DistFlags::DIST_HDR_ATOM_CACHE | DistFlags::FRAGMENTS);
    if agreed.is_empty() { Ok(()) } else { Err(HeaderAgreed { agreed }) }
}

/// Where the control message of a body starts.
pub(crate) fn control_at(body: &Bytes) -> Result<usize, BodyError> {
    match body.first() {
        Some(&PASS_THROUGH) => {}
        Some(&found) => return Err(BodyError::NotPassThrough { found }),
        None => return Err(BodyError::Truncated { bytes: 0 }),
    }
    term_at(body, 1)?.ok_or(BodyError::Truncated { bytes: body.len() })
}

/// Where the payload of a body starts whose control message ends at `at`; nothing if the body ends there.
pub(crate) fn payload_at(body: &Bytes, at: usize) -> Result<Option<usize>, BodyError> {
    term_at(body, at)
}

fn term_at(body: &Bytes, at: usize) -> Result<Option<usize>, BodyError> {
    match body.get(at) {
        Some(&VERSION) => Ok(Some(at + 1)),
        Some(&found) => Err(BodyError::NoVersion { at, found }),
        None => Ok(None),
    }
}

/// Starts a body, up to its control message.
pub(crate) fn put_start(out: &mut BytesMut) {
    out.put_u8(PASS_THROUGH);
    out.put_u8(VERSION);
}

/// Puts what stands between the control message and the payload.
pub(crate) fn put_payload_start(out: &mut BytesMut) {
    out.put_u8(VERSION);
}
