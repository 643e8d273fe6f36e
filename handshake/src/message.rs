//! The handshake's messages, bytes both ways (wire.md 2.1). `A` dialled, `B` accepted.
//!
//! | message | direction | bytes |
//! |---|---|---|
//! | [`Name`] | A→B | `'N' flags:u64 creation:u32 nlen:u16 name`, more ignored |
//! | [`OldName`] | A→B | `'n' 5:u16 flags_low:u32 name` |
//! | [`Status`] | B→A | `'s' text` |
//! | [`StatusReply`] | A→B | `'s' "true"` or `'s' "false"` |
//! | [`Challenge`] | B→A | `'N' flags:u64 challenge:u32 creation:u32 nlen:u16 name`, more ignored |
//! | [`Complement`] | A→B | `'c' flags_high:u32 creation:u32` |
//! | [`Reply`] | A→B | `'r' challenge:u32 digest:16` |
//! | [`Ack`] | B→A | `'a' digest:16` |
//!
//! Names in `N` and `n` are Latin-1; the name inside a `named:` status is UTF-8. Here a name is text as it came:
//! whether it is a node's name is for the machines to judge, since each fault has its own answer.

use bytes::{BufMut, Bytes, BytesMut};
use nom::bytes::complete::{tag, take};
use nom::combinator::{all_consuming, rest};
use nom::multi::length_data;
use nom::number::complete::{be_u16, be_u32, be_u64};
use nom::{IResult, Parser};
use thiserror::Error;

use crate::cookie::Digest;
use crate::flags::DistFlags;
use crate::name::{Creation, NodeName};

/// The version of the `n` name: that of OTP 22 and before.
const OLD_VERSION: u16 = 5;

/// The kinds of message, for errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// `a`: the proof of the node that accepted.
    Ack,
    /// `N` from the node that accepted.
    Challenge,
    /// `c`: what an old name left out.
    Complement,
    /// `N` or `n` from the node that dialled.
    Name,
    /// `r`: the proof of the node that dialled.
    Reply,
    /// `s` from the node that accepted.
    Status,
    /// `s` from the node that dialled.
    StatusReply,
}

/// Bytes that are not the message they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MessageError {
    /// The frame has no byte at all.
    #[error("an empty frame where {expected:?} should be")]
    Empty {
        /// What should have come.
        expected: MessageKind,
    },
    /// The right first byte, but the rest is too short, too long or of another shape.
    #[error("malformed {message:?} of {size} bytes")]
    Malformed {
        /// What it says it is.
        message: MessageKind,
        /// Its length, in bytes.
        size: usize,
    },
    /// Another first byte than the message has.
    #[error("first byte {got:#04x} where {expected:?} should be")]
    WrongTag {
        /// What should have come.
        expected: MessageKind,
        /// The byte that came.
        got: u8,
    },
}

/// `N`, A→B: who dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The flags A offers.
    pub flags: DistFlags,
    /// A's creation; 0 in a request for a name.
    pub creation: Creation,
    /// `alive@host`, or the host alone in a request for a name (flag NAME_ME).
    pub name: String,
}

/// `n`, A→B: who dials, in the form OTP 23 and 24 use while they do not know the peer's version. The upper
/// flags and the creation follow in [`Complement`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldName {
    /// The lower 32 flags A offers.
    pub flags_low: u32,
    /// `alive@host`.
    pub name: String,
}

/// The first message of the node that dialled, in either form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyName {
    /// The form since OTP 23.
    New(Name),
    /// The form before.
    Old(OldName),
}

/// `s`, B→A: what becomes of the attempt (wire.md 2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Go on.
    Ok,
    /// Go on: B has given up its own attempt to A.
    OkSimultaneous,
    /// B's own attempt to A goes on instead of this one.
    Nok,
    /// B does not want A, or A lacks a flag B demands.
    NotAllowed,
    /// B thinks it is connected to A already: is this attempt meant?
    Alive,
    /// The name A asked for, and A's creation.
    Named {
        /// `alive@host`.
        name: String,
        /// A's creation under that name.
        creation: Creation,
    },
    /// Any other text, as it came.
    Unknown(Bytes),
}

/// `s`, A→B: the answer to [`Status::Alive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusReply {
    /// `true`: this attempt is still A's current one, so B's old connection is dead.
    True,
    /// `false`: A has given this attempt up.
    False,
}

/// `N`, B→A: who accepts, and the challenge to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The flags B offers.
    pub flags: DistFlags,
    /// The number A shall digest.
    pub challenge: u32,
    /// B's creation.
    pub creation: Creation,
    /// `alive@host`.
    pub name: String,
}

/// `c`, A→B: what an [`OldName`] left out; only after one, and before [`Reply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complement {
    /// The upper 32 flags A offers.
    pub flags_high: u32,
    /// A's creation.
    pub creation: Creation,
}

/// `r`, A→B: A's proof, and A's own challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The number B shall digest.
    pub challenge: u32,
    /// The digest of B's challenge.
    pub digest: Digest,
}

/// `a`, B→A: B's proof. After it both speak the connected protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The digest of A's challenge.
    pub digest: Digest,
}

impl Name {
    /// The message's bytes, without the frame's length.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(15 + self.name.len());
        out.put_u8(b'N');
        out.put_u64(self.flags.bits());
        out.put_u32(self.creation.0);
        put_name(&mut out, &self.name);
        out.freeze()
    }

    fn body(input: &[u8]) -> IResult<&[u8], Name> {
        let (input, (flags, creation, name)) = (be_u64, be_u32, length_data(be_u16)).parse(input)?;
        // Bytes after the name are for later releases, and ignored.
        let (input, _) = rest(input)?;
        let name = Name {
            flags: DistFlags::from_bits(flags),
            creation: Creation(creation),
            name: latin1_decode(name),
        };
        Ok((input, name))
    }
}

impl OldName {
    /// The message's bytes, without the frame's length.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(7 + self.name.len());
        out.put_u8(b'n');
        out.put_u16(OLD_VERSION);
        out.put_u32(self.flags_low);
        out.put_slice(&latin1_encode(&self.name));
        out.freeze()
    }

    fn body(input: &[u8]) -> IResult<&[u8], OldName> {
        let version: &[u8] = &OLD_VERSION.to_be_bytes();
        let (input, (_, flags_low, name)) = (tag(version), be_u32, rest).parse(input)?;
        Ok((input, OldName { flags_low, name: latin1_decode(name) }))
    }
}

impl AnyName {
    /// Reads a frame's payload.
    pub fn parse(frame: &[u8]) -> Result<AnyName, MessageError> {
        let message = MessageKind::Name;
        match frame.first() {
            Some(b'n') => run(message, b'n', OldName::body, frame).map(AnyName::Old),
            _ => run(message, b'N', Name::body, frame).map(AnyName::New),
        }
    }
}

impl Status {
    const NAMED: &'static [u8] = b"named:";

    /// The message's bytes, without the frame's length.
    pub fn encode(&self) -> Bytes {
        let text: &[u8] = match self {
            Status::Ok => b"ok",
            Status::OkSimultaneous => b"ok_simultaneous",
            Status::Nok => b"nok",
            Status::NotAllowed => b"not_allowed",
            Status::Alive => b"alive",
            Status::Named { .. } => Self::NAMED,
            Status::Unknown(text) => text,
        };
        let mut out = BytesMut::with_capacity(1 + text.len());
        out.put_u8(b's');
        out.put_slice(text);
        if let Status::Named { name, creation } = self {
            // Unlike the other messages, this one has its name in UTF-8.
            out.put_u16(name.len() as u16);
            out.put_slice(name.as_bytes());
            out.put_u32(creation.0);
        }
        out.freeze()
    }

    /// Reads a frame's payload. Any text is a status, if an unknown one.
    pub fn parse(frame: &[u8]) -> Result<Status, MessageError> {
        run(MessageKind::Status, b's', Status::body, frame)
    }

    fn body(input: &[u8]) -> IResult<&[u8], Status> {
        if input.starts_with(Self::NAMED) {
            return Status::named_body(input);
        }
        let (input, text) = rest(input)?;
        let status = match text {
            b"ok" => Status::Ok,
            b"ok_simultaneous" => Status::OkSimultaneous,
            b"nok" => Status::Nok,
            b"not_allowed" => Status::NotAllowed,
            b"alive" => Status::Alive,
            other => Status::Unknown(Bytes::copy_from_slice(other)),
        };
        Ok((input, status))
    }

    fn named_body(input: &[u8]) -> IResult<&[u8], Status> {
        let (input, (_, name, creation, _)) =
            (tag(Self::NAMED), length_data(be_u16), be_u32, rest).parse(input)?;
        // A text that is no UTF-8 becomes one that is no node name, and is refused as such.
        let name = String::from_utf8_lossy(name).into_owned();
        Ok((input, Status::Named { name, creation: Creation(creation) }))
    }
}

impl StatusReply {
    /// The message's bytes, without the frame's length.
    pub fn encode(self) -> Bytes {
        match self {
            StatusReply::True => Bytes::from_static(b"strue"),
            StatusReply::False => Bytes::from_static(b"sfalse"),
        }
    }

    /// Reads a frame's payload.
    pub fn parse(frame: &[u8]) -> Result<StatusReply, MessageError> {
        match run(MessageKind::StatusReply, b's', rest, frame)? {
            b"true" => Ok(StatusReply::True),
            b"false" => Ok(StatusReply::False),
            _ => Err(MessageError::Malformed { message: MessageKind::StatusReply, size: frame.len() }),
        }
    }
}

impl Challenge {
    /// The message's bytes, without the frame's length.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(19 + self.name.len());
        out.put_u8(b'N');
        out.put_u64(self.flags.bits());
        out.put_u32(self.challenge);
        out.put_u32(self.creation.0);
        put_name(&mut out, &self.name);
        out.freeze()
    }

    /// Reads a frame's payload.
    pub fn parse(frame: &[u8]) -> Result<Challenge, MessageError> {
        run(MessageKind::Challenge, b'N', Challenge::body, frame)
    }

    fn body(input: &[u8]) -> IResult<&[u8], Challenge> {
        let (input, (flags, challenge, creation, name, _)) =
            (be_u64, be_u32, be_u32, length_data(be_u16), rest).parse(input)?;
        let flags = DistFlags::from_bits(flags);
        Ok((input, Challenge { flags, challenge, creation: Creation(creation), name: latin1_decode(name) }))
    }
}

impl Complement {
    /// The message's bytes, without the frame's length.
    pub fn encode(self) -> Bytes {
        let mut out = BytesMut::with_capacity(9);
        out.put_u8(b'c');
        out.put_u32(self.flags_high);
        out.put_u32(self.creation.0);
        out.freeze()
    }

    /// Reads a frame's payload.
    pub fn parse(frame: &[u8]) -> Result<Complement, MessageError> {
        run(MessageKind::Complement, b'c', Complement::body, frame)
    }

    fn body(input: &[u8]) -> IResult<&[u8], Complement> {
        let (input, (flags_high, creation)) = (be_u32, be_u32).parse(input)?;
        Ok((input, Complement { flags_high, creation: Creation(creation) }))
    }
}

impl Reply {
    /// The message's bytes, without the frame's length.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(21);
        out.put_u8(b'r');
        out.put_u32(self.challenge);
        out.put_slice(&self.digest);
        out.freeze()
    }

    /// Reads a frame's payload.
    pub fn parse(frame: &[u8]) -> Result<Reply, MessageError> {
        run(MessageKind::Reply, b'r', Reply::body, frame)
    }

    fn body(input: &[u8]) -> IResult<&[u8], Reply> {
        let (input, (challenge, digest)) = (be_u32, digest).parse(input)?;
        Ok((input, Reply { challenge, digest }))
    }
}

impl Ack {
    /// The message's bytes, without the frame's length.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(17);
        out.put_u8(b'a');
        out.put_slice(&self.digest);
        out.freeze()
    }

    /// Reads a frame's payload.
    pub fn parse(frame: &[u8]) -> Result<Ack, MessageError> {
        let digest = run(MessageKind::Ack, b'a', digest, frame)?;
        Ok(Ack { digest })
    }
}

/// Reads the whole of `frame`: the byte `first`, then what `body` reads.
fn run<'a, T>(
    message: MessageKind,
    first: u8,
    body: impl Fn(&'a [u8]) -> IResult<&'a [u8], T>,
    frame: &'a [u8],
) -> Result<T, MessageError> {
    match frame.split_first() {
        None => Err(MessageError::Empty { expected: message }),
        Some((&got, _)) if got != first => Err(MessageError::WrongTag { expected: message, got }),
        Some((_, input)) => match all_consuming(body).parse(input) {
            Ok((_, value)) => Ok(value),
            Err(_) => Err(MessageError::Malformed { message, size: frame.len() }),
        },
    }
}

fn digest(input: &[u8]) -> IResult<&[u8], Digest> {
    take(16usize).map(|bytes: &[u8]| bytes.try_into().expect("sixteen bytes were taken")).parse(input)
}

fn put_name(out: &mut BytesMut, name: &str) {
    let name = latin1_encode(name);
    out.put_u16(name.len() as u16);
    out.put_slice(&name);
}

/// A name as Latin-1 bytes. [`NodeName`] lets no other character in; from text that is no node name one would
/// become `?`, which no peer takes for a name either.
fn latin1_encode(name: &str) -> Vec<u8> {
    debug_assert!(name.len() <= 4 * NodeName::CHARS_MAX, "a name's length fits its field");
    name.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect()
}

fn latin1_decode(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests;
