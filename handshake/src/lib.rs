//! The Erlang distribution handshake, without I/O (wire.md 2 and 3).
//!
//! Two nodes that open a connection tell each other who they are ([`NodeName`], [`Creation`]), what they can do
//! ([`DistFlags`]) and prove that they share a [`Cookie`]. The node that dialled runs an [`Initiator`], the one
//! that accepted an [`Acceptor`]; when the two agree, each yields an [`Established`].
//!
//! Both are machines to be driven by the owner of the socket and the clock:
//! `handle(now, input)` puts bytes, answers or a timeout in, `poll_output()` takes bytes to send, questions and
//! the result out, `poll_timeout()` says when to call again if nothing happens. The driver's loop is:
//!
//! 1. take every output there is and carry it out; on `Established`, stop: the socket now belongs to `dist`,
//!    starting with the `leftover` bytes;
//! 2. wait for bytes, the end of the stream (a reset counts as one), an answer, or the time of `poll_timeout()`;
//! 3. hand it to `handle`. On an error, **first** carry out the outputs that are left (a refused peer is owed
//!    its status), then close. A machine stays in its error.
//!
//! ```
//! use std::time::Instant;
//! use crabnode_handshake::{
//!     Acceptor, AcceptorInput, AcceptorOutput, Cookie, CookieBook, Creation, DistFlags, HandshakeConfig, Initiator,
//!     InitiatorInput, InitiatorOutput, LocalIdentity, Verdict,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[expect(clippy::disallowed_methods, reason = "an example is its own driver")]
//! let now = Instant::now();
//! let cookie = Cookie::new("secret")?;
//! let identity = |name: &str, creation| -> Result<LocalIdentity, Box<dyn std::error::Error>> {
//!     Ok(LocalIdentity { name: name.parse()?, creation: Creation(creation), flags: DistFlags::OFFERED })
//! };
//! let config = HandshakeConfig::default();
//! let mut a = Initiator::new(now, identity("a@host", 4)?, "b@host".parse()?, cookie.clone(), 17, config);
//! let mut b = Acceptor::new(now, identity("b@host", 5)?, CookieBook::new(cookie), 42, config);
//!
//! let (mut at_a, mut at_b) = (None, None);
//! while at_a.is_none() || at_b.is_none() {
//!     while let Some(output) = a.poll_output() {
//!         match output {
//!             InitiatorOutput::Send(bytes) => b.handle(now, AcceptorInput::Bytes(&bytes))?,
//!             InitiatorOutput::AskAlive => a.handle(now, InitiatorInput::AliveAnswer(true))?,
//!             InitiatorOutput::Established(established) => at_a = Some(established),
//!         }
//!     }
//!     while let Some(output) = b.poll_output() {
//!         match output {
//!             AcceptorOutput::Send(bytes) => a.handle(now, InitiatorInput::Bytes(&bytes))?,
//!             AcceptorOutput::AskVerdict { .. } => b.handle(now, AcceptorInput::Verdict(Verdict::Ok))?,
//!             AcceptorOutput::AskName { .. } => b.handle(now, AcceptorInput::Verdict(Verdict::NotAllowed))?,
//!             AcceptorOutput::CloseOldLink => b.handle(now, AcceptorInput::OldLinkDown)?,
//!             AcceptorOutput::Established(established) => at_b = Some(established),
//!         }
//!     }
//! }
//! assert_eq!(at_a.unwrap().peer.as_str(), "b@host");
//! assert_eq!(at_b.unwrap().peer_creation, Creation(4));
//! # Ok(())
//! # }
//! ```

mod acceptor;
mod config;
mod cookie;
mod error;
mod established;
mod flags;
mod frame;
mod initiator;
pub mod message;
mod name;

pub use acceptor::{Acceptor, AcceptorInput, AcceptorOutput, Verdict};
pub use config::{HandshakeConfig, LengthPrefix, LocalIdentity};
pub use cookie::{Cookie, CookieBook, CookieError, Digest, OutstandingChallenges};
pub use error::{CookieRefusal, HandshakeError, Stage};
pub use established::{Established, GivenName};
pub use flags::{DistFlags, FlagRow};
pub use initiator::{Initiator, InitiatorInput, InitiatorOutput};
pub use name::{Creation, NodeName, NodeNameError};
