//! EPMD's requests and replies, bytes both ways (wire.md 1.1).
//!
//! A request is `len:u16 body`; a reply has no length, it ends where the server closes (except ALIVE2's, whose
//! length follows from its first byte).
//!
//! | request | body | reply |
//! |---|---|---|
//! | [`Request::Alive2`] | `120 port:u16 type:u8 protocol:u8 high:u16 low:u16 nlen:u16 name elen:u16 extra` | [`Alive2Reply`] |
//! | [`Request::Port2`] | `122 name` | [`Port2Reply`] |
//! | [`Request::Names`] | `110` | [`NamesReply`] |
//! | [`Request::Dump`] | `100` | port and lines of text |
//! | [`Request::Kill`] | `107` | `OK` or `NO` |
//! | [`Request::Stop`] | `115 name` | `STOPPED`, or `NOEXIST` and then `STOPPED` |

use bytes::{BufMut, Bytes, BytesMut};
use nom::bytes::complete::take_till;
use nom::combinator::rest;
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16, be_u32};
use nom::{IResult, Parser};
use thiserror::Error;

const ALIVE2_REQ: u8 = 120;
pub(crate) const PORT2_REQ: u8 = 122;
const NAMES_REQ: u8 = 110;
const DUMP_REQ: u8 = 100;
const KILL_REQ: u8 = 107;
const STOP_REQ: u8 = 115;
const ALIVE2_RESP: u8 = 121;
const ALIVE2_X_RESP: u8 = 118;
const PORT2_RESP: u8 = 119;

/// Longest request body, in bytes: the limit of OTP's server. A registration with the
/// longest name and extra has 2053.
pub const REQUEST_BYTES_MAX: usize = 3057;

/// Longest name, in characters: the longest an atom may be.
pub const NAME_CHARS_MAX: usize = 255;

/// Longest name, and longest extra data, in bytes: [`NAME_CHARS_MAX`] characters of four bytes.
pub const NAME_BYTES_MAX: usize = 4 * NAME_CHARS_MAX;

/// The least `high` version whose nodes take a creation of 32 bits.
const HIGH_WITH_BIG_CREATION: u16 = 6;

/// What a client asks of an EPMD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Register a node. The connection stays open as the registration's lease.
    Alive2(Alive2),
    /// All names and ports, with those remembered. Local clients only.
    Dump,
    /// End the server. Local clients only; refused while nodes are registered, unless the server is relaxed.
    Kill,
    /// All registered names with their ports.
    Names,
    /// Where the node of this name listens.
    Port2 {
        /// The name, without `@host`.
        name: String,
    },
    /// Unregister the node of this name. Local clients of a relaxed server only.
    Stop {
        /// The name as it came: it need not be UTF-8, only to equal none that is.
        name: Bytes,
    },
}

/// A registration. Name and extra are bytes as they came: the server answers a bad name, so reading it must
/// not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alive2 {
    /// Where the node listens.
    pub port: u16,
    /// Visible or hidden.
    pub node_type: NodeType,
    /// 0: TCP over IPv4. Nodes on IPv6 and TLS say 0, too.
    pub protocol: u8,
    /// Highest version of the distribution protocol the node speaks.
    pub high: u16,
    /// Lowest version of the distribution protocol the node speaks.
    pub low: u16,
    /// The name, without `@host`.
    pub name: Bytes,
    /// Anything; nodes send nothing.
    pub extra: Bytes,
}

/// Visible or hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeType {
    /// 72, `H`.
    Hidden,
    /// 77, `M`: visible.
    Normal,
    /// Anything else, kept.
    Other(u8),
}

/// What an EPMD knows of a registered node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEntry {
    /// The name, without `@host`.
    pub name: String,
    /// Where the node listens.
    pub port: u16,
    /// Visible or hidden.
    pub node_type: NodeType,
    /// 0: TCP.
    pub protocol: u8,
    /// Highest version of the distribution protocol the node speaks.
    pub high: u16,
    /// Lowest version of the distribution protocol the node speaks.
    pub low: u16,
    /// What the node gave as extra data.
    pub extra: Bytes,
}

/// Why a request gets no answer: the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// Its name is empty, has a zero byte, or where UTF-8 is demanded, is none or too long.
    #[error("bad name in an EPMD request")]
    BadName,
    /// Too short, or its inner lengths do not fit.
    #[error("malformed EPMD request of {0} bytes")]
    Malformed(usize),
    /// A length of zero or above [`REQUEST_BYTES_MAX`].
    #[error("EPMD request of {0} bytes, allowed are 1 to {max}", max = REQUEST_BYTES_MAX)]
    Size(usize),
    /// More bytes than one request.
    #[error("bytes behind an EPMD request")]
    Trailing,
    /// No request begins with this byte.
    #[error("unknown EPMD request {0}")]
    Unknown(u8),
}

impl NodeType {
    /// The type's byte.
    pub fn code(self) -> u8 {
        match self {
            NodeType::Hidden => b'H',
            NodeType::Normal => b'M',
            NodeType::Other(code) => code,
        }
    }

    /// The type of this byte.
    pub fn from_code(code: u8) -> NodeType {
        match code {
            b'H' => NodeType::Hidden,
            b'M' => NodeType::Normal,
            code => NodeType::Other(code),
        }
    }
}

impl Request {
    /// The request with its length in front. A name or extra beyond the format's limits is cut off by no one:
    /// keep names within [`NAME_BYTES_MAX`].
    pub fn encode(&self) -> Bytes {
        let mut body = BytesMut::new();
        match self {
            Request::Alive2(alive) => alive.put(&mut body),
            Request::Dump => body.put_u8(DUMP_REQ),
            Request::Kill => body.put_u8(KILL_REQ),
            Request::Names => body.put_u8(NAMES_REQ),
            Request::Port2 { name } => {
                body.put_u8(PORT2_REQ);
                body.put_slice(name.as_bytes());
            }
            Request::Stop { name } => {
                body.put_u8(STOP_REQ);
                body.put_slice(name);
            }
        }
        debug_assert!(body.len() <= REQUEST_BYTES_MAX, "names are checked before they are asked for");
        let mut out = BytesMut::with_capacity(2 + body.len());
        out.put_u16(body.len() as u16);
        out.put_slice(&body);
        out.freeze()
    }

    /// How many bytes the request at the front of `received` has with its length, once two bytes are there.
    pub fn size(received: &[u8]) -> Result<Option<usize>, RequestError> {
        let Some(length) = received.first_chunk() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 || length > REQUEST_BYTES_MAX {
            return Err(RequestError::Size(length));
        }
        Ok(Some(2 + length))
    }

    /// Reads a body, without the length in front.
    pub fn parse(body: &[u8]) -> Result<Request, RequestError> {
        let malformed = Err(RequestError::Malformed(body.len()));
        match body {
            [] => malformed,
            [ALIVE2_REQ, fields @ ..] => match Alive2::fields(fields) {
                Err(_) => malformed,
                // To OTP's server a name ends at a zero byte, so it lets none in.
                Ok((_, alive)) if alive.name.is_empty() || alive.name.contains(&0) => {
                    Err(RequestError::BadName)
                }
                Ok((_, alive)) => Ok(Request::Alive2(alive)),
            },
            [DUMP_REQ, ..] => Ok(Request::Dump),
            [KILL_REQ, ..] => Ok(Request::Kill),
            // Bytes behind it are ignored, as by OTP.
            [NAMES_REQ, ..] => Ok(Request::Names),
            [PORT2_REQ, name @ ..] => {
                // Old clients end the name with one zero byte.
                let name = name.strip_suffix(&[0]).unwrap_or(name);
                match checked_name(name) {
                    Some(name) => Ok(Request::Port2 { name: name.to_owned() }),
                    None => Err(RequestError::BadName),
                }
            }
            [STOP_REQ] => malformed,
            [STOP_REQ, name @ ..] => {
                let (_, name) = until_zero(name).map_err(|_| RequestError::Malformed(body.len()))?;
                Ok(Request::Stop { name: Bytes::copy_from_slice(name) })
            }
            [other, ..] => Err(RequestError::Unknown(*other)),
        }
    }
}

fn until_zero(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_till(|byte| byte == 0).parse(input)
}

/// A name a node may have, if these bytes are one: UTF-8, 1 to [`NAME_CHARS_MAX`] characters, no zero byte.
pub(crate) fn checked_name(bytes: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(bytes).ok()?;
    let fits = !name.is_empty() && !name.contains('\0') && name.chars().count() <= NAME_CHARS_MAX;
    fits.then_some(name)
}

impl Alive2 {
    /// True if the node takes a creation of 32 bits; older ones get 1 to 3.
    pub fn takes_big_creation(&self) -> bool {
        self.high >= HIGH_WITH_BIG_CREATION
    }

    fn put(&self, out: &mut BytesMut) {
        out.put_u8(ALIVE2_REQ);
        out.put_u16(self.port);
        out.put_u8(self.node_type.code());
        out.put_u8(self.protocol);
        out.put_u16(self.high);
        out.put_u16(self.low);
        put_sized(out, &self.name);
        put_sized(out, &self.extra);
    }

    /// Bytes behind the fields are left over, and ignored.
    fn fields(input: &[u8]) -> IResult<&[u8], Alive2> {
        let (input, (port, node_type, protocol, high, low, name, extra)) =
            (be_u16, be_u8, be_u8, be_u16, be_u16, length_data(be_u16), length_data(be_u16)).parse(input)?;
        let node_type = NodeType::from_code(node_type);
        let (name, extra) = (Bytes::copy_from_slice(name), Bytes::copy_from_slice(extra));
        Ok((input, Alive2 { port, node_type, protocol, high, low, name, extra }))
    }
}

/// A reply no EPMD gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("malformed EPMD reply of {size} bytes")]
pub struct ReplyError {
    /// Its length, in bytes.
    pub size: usize,
}

/// The reply to [`Request::Alive2`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alive2Reply {
    /// `v`, to nodes that take a creation of 32 bits.
    Big {
        /// 0: registered. Anything else: not.
        result: u8,
        /// The node's creation.
        creation: u32,
    },
    /// `y`, to older nodes, and from older servers.
    Small {
        /// 0: registered. Anything else: not.
        result: u8,
        /// The node's creation, 1 to 3.
        creation: u16,
    },
}

impl Alive2Reply {
    /// 0: registered. Anything else: not.
    pub fn result(self) -> u8 {
        match self {
            Alive2Reply::Big { result, .. } | Alive2Reply::Small { result, .. } => result,
        }
    }

    /// The node's creation.
    pub fn creation(self) -> u32 {
        match self {
            Alive2Reply::Big { creation, .. } => creation,
            Alive2Reply::Small { creation, .. } => u32::from(creation),
        }
    }

    /// The reply's bytes. They must go out in one segment: OTP takes part of a `v` for garbage (wire.md 1.3).
    pub fn encode(self) -> Bytes {
        let mut out = BytesMut::with_capacity(6);
        match self {
            Alive2Reply::Big { result, creation } => {
                out.put_u8(ALIVE2_X_RESP);
                out.put_u8(result);
                out.put_u32(creation);
            }
            Alive2Reply::Small { result, creation } => {
                out.put_u8(ALIVE2_RESP);
                out.put_u8(result);
                out.put_u16(creation);
            }
        }
        out.freeze()
    }

    /// The whole reply's length in bytes, from its first byte.
    pub fn size(first: u8) -> Result<usize, ReplyError> {
        match first {
            ALIVE2_X_RESP => Ok(6),
            ALIVE2_RESP => Ok(4),
            _ => Err(ReplyError { size: 1 }),
        }
    }

    /// Reads a whole reply.
    pub fn parse(reply: &[u8]) -> Result<Alive2Reply, ReplyError> {
        match *reply {
            [ALIVE2_X_RESP, result, a, b, c, d] => {
                Ok(Alive2Reply::Big { result, creation: u32::from_be_bytes([a, b, c, d]) })
            }
            [ALIVE2_RESP, result, a, b] => {
                Ok(Alive2Reply::Small { result, creation: u16::from_be_bytes([a, b]) })
            }
            _ => Err(ReplyError { size: reply.len() }),
        }
    }
}

/// The reply to [`Request::Port2`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port2Reply {
    /// The node is registered.
    Found(NodeEntry),
    /// It is not.
    NotFound {
        /// Not 0; OTP says 1.
        result: u8,
    },
}

impl Port2Reply {
    /// The reply's bytes.
    pub fn encode(&self) -> Bytes {
        // Most have no more.
        let mut out = BytesMut::with_capacity(64);
        out.put_u8(PORT2_RESP);
        match self {
            Port2Reply::NotFound { result } => out.put_u8(*result),
            Port2Reply::Found(node) => {
                out.put_u8(0);
                out.put_u16(node.port);
                out.put_u8(node.node_type.code());
                out.put_u8(node.protocol);
                out.put_u16(node.high);
                out.put_u16(node.low);
                put_sized(&mut out, node.name.as_bytes());
                put_sized(&mut out, &node.extra);
            }
        }
        out.freeze()
    }

    /// Reads a whole reply.
    pub fn parse(reply: &[u8]) -> Result<Port2Reply, ReplyError> {
        match reply {
            [PORT2_RESP, 0, fields @ ..] => match node_fields(fields) {
                Ok((_, Some(node))) => Ok(Port2Reply::Found(node)),
                Ok((_, None)) | Err(_) => Err(ReplyError { size: reply.len() }),
            },
            [PORT2_RESP, result, ..] => Ok(Port2Reply::NotFound { result: *result }),
            _ => Err(ReplyError { size: reply.len() }),
        }
    }
}

/// None if the name is not UTF-8.
fn node_fields(input: &[u8]) -> IResult<&[u8], Option<NodeEntry>> {
    let (input, (port, node_type, protocol, high, low, name, extra)) =
        (be_u16, be_u8, be_u8, be_u16, be_u16, length_data(be_u16), length_data(be_u16)).parse(input)?;
    let node = std::str::from_utf8(name).ok().map(|name| NodeEntry {
        name: name.to_owned(),
        port,
        node_type: NodeType::from_code(node_type),
        protocol,
        high,
        low,
        extra: Bytes::copy_from_slice(extra),
    });
    Ok((input, node))
}

/// The reply to [`Request::Names`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamesReply {
    /// The port the EPMD itself listens on. OTP's clients demand that it is the one they called.
    pub epmd_port: u32,
    /// Names and ports, newest registration first.
    pub nodes: Vec<(String, u16)>,
}

impl NamesReply {
    /// The reply's bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u32(self.epmd_port);
        for (name, port) in &self.nodes {
            out.put_slice(format!("name {name} at port {port}\n").as_bytes());
        }
        out.freeze()
    }

    /// Reads a whole reply. A name may have spaces in it.
    pub fn parse(reply: &[u8]) -> Result<NamesReply, ReplyError> {
        let malformed = ReplyError { size: reply.len() };
        let (_, (epmd_port, lines)) = port_and_text(reply).map_err(|_| malformed)?;
        let lines = std::str::from_utf8(lines).map_err(|_| malformed)?;
        let node = |line: &str| {
            let (name, port) = line.strip_prefix("name ")?.rsplit_once(" at port ")?;
            Some((name.to_owned(), port.parse().ok()?))
        };
        let nodes = lines.lines().map(node).collect::<Option<_>>().ok_or(malformed)?;
        Ok(NamesReply { epmd_port, nodes })
    }
}

fn port_and_text(input: &[u8]) -> IResult<&[u8], (u32, &[u8])> {
    (be_u32, rest).parse(input)
}

/// The reply to [`Request::Dump`]. Its lines each end in a line feed and a zero byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpReply {
    /// The port the EPMD itself listens on.
    pub epmd_port: u32,
    /// The lines.
    pub text: Bytes,
}

impl DumpReply {
    /// The line of a registered node. `connection` stands where OTP has a file descriptor.
    pub fn active_line(name: &str, port: u16, connection: u64) -> String {
        format!("active name     <{name}> at port {port}, fd = {connection}\n\0")
    }

    /// The line of a node that is remembered only.
    pub fn old_line(name: &str, port: u16, connection: u64) -> String {
        format!("old/unused name <{name}>, port = {port}, fd = {connection} \n\0")
    }

    /// The reply's bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(4 + self.text.len());
        out.put_u32(self.epmd_port);
        out.put_slice(&self.text);
        out.freeze()
    }

    /// Reads a whole reply.
    pub fn parse(reply: &[u8]) -> Result<DumpReply, ReplyError> {
        let (_, (epmd_port, text)) = port_and_text(reply).map_err(|_| ReplyError { size: reply.len() })?;
        Ok(DumpReply { epmd_port, text: Bytes::copy_from_slice(text) })
    }
}

/// The reply to [`Request::Kill`] where the server ends.
pub const KILL_OK: &[u8] = b"OK";

/// The reply to [`Request::Kill`] where it does not, for nodes are registered.
pub const KILL_NO: &[u8] = b"NO";

/// The reply to [`Request::Stop`].
pub const STOP_STOPPED: &[u8] = b"STOPPED";

/// What stands before [`STOP_STOPPED`] where no such node was registered: OTP sends both.
pub const STOP_NOEXIST: &[u8] = b"NOEXIST";

fn put_sized(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u16(bytes.len() as u16);
    out.put_slice(bytes);
}

#[cfg(test)]
mod tests;
