//! What stands in a frame before the control message (wire.md 4.2).
//!
//! Which form a body has follows from the agreed flags, and the other form ends the connection: pass-through,
//! `112 131 Control [131 Payload]`, where neither DIST_HDR_ATOM_CACHE nor FRAGMENTS was agreed on, and with a
//! distribution header otherwise.

use etf::Segments;
use handshake::DistFlags;

use crate::FragmentError;

/// The first byte of a body in pass-through form.
const PASS_THROUGH: u8 = 112;
/// What stands before each term of a body in pass-through form, and before a distribution header.
const VERSION: u8 = 131;
/// A header, and after it a whole message.
const HEADER: u8 = 68;
/// A header, and after it the first fragment of a message.
const FIRST_FRAGMENT: u8 = 69;
/// Another fragment.
const FRAGMENT: u8 = 70;

/// The form of all bodies of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    PassThrough,
    Header,
}

/// What a body with a distribution header is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// A message; where its header starts.
    Whole { header_at: usize },
    /// The first of `count` fragments.
    First { sequence: u64, count: u64, header_at: usize },
    /// A later fragment.
    Rest { sequence: u64, fragment: u64, payload_at: usize },
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
    /// The body does not start with 131 and a distribution header or fragment.
    #[error("a message starts with {found:?}, not with a distribution header")]
    NoHeader {
        /// What it starts with; 112 is pass-through form.
        found: [u8; 2],
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
    /// A fragment, which was not agreed on.
    #[error("a fragment, without FRAGMENTS agreed on")]
    FragmentNotAgreed,
}

impl Form {
    pub(crate) fn of(flags: DistFlags) -> Self {
        let agreed = flags & (DistFlags::DIST_HDR_ATOM_CACHE | DistFlags::FRAGMENTS);
        if agreed.is_empty() { Self::PassThrough } else { Self::Header }
    }
}

/// What a body with a distribution header is.
pub(crate) fn start(body: &[u8]) -> Result<Result<Start, FragmentError>, BodyError> {
    let Some(&found) = body.first_chunk::<2>() else {
        return Err(BodyError::Truncated { bytes: body.len() });
    };
    let numbers = || {
        let sequence = body.get(2..)?.first_chunk()?;
        let fragment = body.get(10..)?.first_chunk()?;
        Some((u64::from_be_bytes(*sequence), u64::from_be_bytes(*fragment)))
    };
    let truncated = FragmentError::Truncated { bytes: body.len() };
    Ok(match found {
        [VERSION, HEADER] => Ok(Start::Whole { header_at: 2 }),
        [VERSION, FIRST_FRAGMENT] => numbers()
            .map(|(sequence, count)| Start::First { sequence, count, header_at: 18 })
            .ok_or(truncated),
        [VERSION, FRAGMENT] => numbers()
            .map(|(sequence, fragment)| Start::Rest { sequence, fragment, payload_at: 18 })
            .ok_or(truncated),
        found => return Err(BodyError::NoHeader { found }),
    })
}

/// Where the control message of a body in pass-through form starts.
pub(crate) fn control_at(body: &[u8]) -> Result<usize, BodyError> {
    match body.first() {
        Some(&PASS_THROUGH) => {}
        Some(&found) => return Err(BodyError::NotPassThrough { found }),
        None => return Err(BodyError::Truncated { bytes: 0 }),
    }
    term_at(body, 1)?.ok_or(BodyError::Truncated { bytes: body.len() })
}

/// Where the payload of a body in pass-through form starts whose control message ends at `at`; nothing if the body ends there.
pub(crate) fn payload_at(body: &[u8], at: usize) -> Result<Option<usize>, BodyError> {
    term_at(body, at)
}

fn term_at(body: &[u8], at: usize) -> Result<Option<usize>, BodyError> {
    match body.get(at) {
        Some(&VERSION) => Ok(Some(at + 1)),
        Some(&found) => Err(BodyError::NoVersion { at, found }),
        None => Ok(None),
    }
}

/// Starts a body in pass-through form, up to its control message.
pub(crate) fn put_start(out: &mut Segments) {
    out.put_slice(&[PASS_THROUGH, VERSION]);
}

/// Puts what stands between the control message and the payload in pass-through form.
pub(crate) fn put_payload_start(out: &mut Segments) {
    out.put_slice(&[VERSION]);
}

/// Starts a body up to its distribution header.
pub(crate) fn put_header_start(out: &mut Segments) {
    out.put_slice(&[VERSION, HEADER]);
}

/// Starts a message's first fragment up to its distribution header.
pub(crate) fn put_first_fragment_start(sequence: u64, count: u64, out: &mut Segments) {
    out.put_slice(&[VERSION, FIRST_FRAGMENT]);
    out.put_slice([sequence, count].map(u64::to_be_bytes).as_flattened());
}

/// Starts another fragment up to its part of the payload.
pub(crate) fn put_fragment_start(sequence: u64, fragment: u64, out: &mut Segments) {
    out.put_slice(&[VERSION, FRAGMENT]);
    out.put_slice([sequence, fragment].map(u64::to_be_bytes).as_flattened());
}
