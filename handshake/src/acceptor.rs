//! The handshake of the node that accepted (wire.md 2.3).

use std::collections::VecDeque;
use std::mem;
use std::time::Instant;

use bytes::Bytes;

use crate::config::{HandshakeConfig, LocalIdentity};
use crate::cookie::{Cookie, CookieBook};
use crate::error::{CookieRefusal, HandshakeError, Stage};
use crate::established::Established;
use crate::flags::DistFlags;
use crate::frame::{FrameReader, frame};
use crate::message::{Ack, AnyName, Challenge, Complement, MessageError, Reply, Status, StatusReply};
use crate::name::{Creation, NodeName, NodeNameError};

/// The handshake of the node that accepted.
///
/// ```text
///        ExpectName ──bad name, missing flags──► error, perhaps after a status
///            │ name: ask for the verdict
///       AwaitVerdict ──nok, not_allowed, close──► error, perhaps after a status
///        │       └──alive──► ExpectStatusReply ──false──► error
///   ok, ok_simultaneous,            │ true
///   named                           │
///        └──────► send challenge ◄──┘
///                  │          │ peer sent an old name
///                  │   ExpectComplement ──missing flags──► error
///                  └────┐     │
///                     ExpectReply ──wrong digest──► error
///                             │ reply
///                             ├── verdict was alive ──► AwaitOldDown (ask to close the old link)
///                             │                              │
///                          send ack ◄────────────────────────┘
///                             │
///                        Established
/// ```
#[derive(Debug)]
pub struct Acceptor {
    setup: Setup,
    state: State,
}

/// What the owner of the socket tells an [`Acceptor`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptorInput<'a> {
    /// Bytes from the peer, cut anywhere.
    Bytes(&'a [u8]),
    /// The peer closed or reset the connection.
    Eof,
    /// The time of `poll_timeout()` may have come.
    Timeout,
    /// The answer to [`AcceptorOutput::AskVerdict`] or [`AcceptorOutput::AskName`].
    Verdict(Verdict),
    /// The old connection to this peer is down and reported as such, as [`AcceptorOutput::CloseOldLink`] asked.
    OldLinkDown,
}

/// What our node says to an attempt of a peer (wire.md 2.2, 2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing stands against it.
    Ok,
    /// We had an attempt of our own to this peer and have given it up, for the peer's name is the greater.
    OkSimultaneous,
    /// Our own attempt to this peer goes on, for our name is the greater.
    Nok,
    /// We are connected to this peer already.
    Alive,
    /// The peer may not connect.
    NotAllowed,
    /// Close without a word: a third attempt while a second waits for the first to go.
    CloseSilently,
    /// To a node without a name alone: the name and creation it gets.
    OkNamed {
        /// Its name, on the host it said.
        name: NodeName,
        /// Its creation under that name.
        creation: Creation,
    },
}

/// What an [`Acceptor`] wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptorOutput {
    /// Send these bytes.
    Send(Bytes),
    /// May this node connect? Answer with [`AcceptorInput::Verdict`]. The name is a claim, not proved yet.
    AskVerdict {
        /// Who the peer says it is.
        peer: NodeName,
    },
    /// A node without a name asks for one (wire.md 2.6). Answer with [`AcceptorInput::Verdict`]:
    /// [`Verdict::OkNamed`] with a name on this host, or [`Verdict::NotAllowed`].
    AskName {
        /// The host it says it runs on; not proved.
        host: String,
    },
    /// The peer has proved itself, so the connection we thought alive is dead. Close it, report it down, then
    /// give [`AcceptorInput::OldLinkDown`].
    CloseOldLink,
    /// The handshake is done.
    Established(Established),
}

impl Acceptor {
    /// A handshake over a connection just accepted. `challenge` must be random and not guessable.
    pub fn new(
        now: Instant,
        local: LocalIdentity,
        cookies: CookieBook,
        challenge: u32,
        config: HandshakeConfig,
    ) -> Acceptor {
        let setup = Setup {
            local,
            cookies,
            challenge,
            config,
            reader: FrameReader::new(config.prefix),
            outputs: VecDeque::new(),
            deadline: Some(now + config.setup_time),
            peer_challenge: None,
        };
        Acceptor { setup, state: State::ExpectName(ExpectName) }
    }

    /// Takes one input. An error is final: every later call returns it again.
    pub fn handle(&mut self, now: Instant, input: AcceptorInput<'_>) -> Result<(), HandshakeError> {
        let result = self.take(now, input);
        if let Err(error) = &result {
            self.state = State::Failed(error.clone());
            self.setup.deadline = None;
        }
        result
    }

    /// The next thing to do, if any; also after an error.
    pub fn poll_output(&mut self) -> Option<AcceptorOutput> {
        self.setup.outputs.pop_front()
    }

    /// When to call `handle` with [`AcceptorInput::Timeout`], if nothing else happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.setup.deadline
    }

    /// Our own challenge, to keep in [`OutstandingChallenges`](crate::OutstandingChallenges) while this runs.
    pub fn challenge(&self) -> u32 {
        self.setup.challenge
    }

    /// The peer's challenge, once it came. See [`OutstandingChallenges`](crate::OutstandingChallenges).
    pub fn peer_challenge(&self) -> Option<u32> {
        self.setup.peer_challenge
    }

    fn take(&mut self, now: Instant, input: AcceptorInput<'_>) -> Result<(), HandshakeError> {
        let stage = self.state.stage();
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        match input {
            AcceptorInput::Bytes(bytes) => {
                // Before the answer to a question the bytes wait in the reader.
                self.setup.reader.push(bytes);
            }
            AcceptorInput::Eof => return Err(HandshakeError::PeerClosed { stage }),
            AcceptorInput::Timeout => {
                return match self.setup.deadline {
                    Some(deadline) if now >= deadline => Err(HandshakeError::Timeout { stage }),
                    _ => Ok(()),
                };
            }
            AcceptorInput::Verdict(verdict) => {
                let State::AwaitVerdict(state) = mem::replace(&mut self.state, State::Done) else {
                    return Err(HandshakeError::Misused { stage });
                };
                self.state = state.verdict(&mut self.setup, now, verdict)?;
            }
            AcceptorInput::OldLinkDown => {
                let State::AwaitOldDown(state) = mem::replace(&mut self.state, State::Done) else {
                    return Err(HandshakeError::Misused { stage });
                };
                self.state = state.proved.ack(&mut self.setup);
            }
        }
        while self.state.takes_frames()
            && let Some(frame) = self.setup.reader.next()?
        {
            let state = mem::replace(&mut self.state, State::Done);
            self.state = state.frame(&mut self.setup, now, &frame)?;
        }
        match self.state {
            State::Done if self.setup.deadline.is_none() => {
                Err(HandshakeError::Misused { stage: Stage::Done })
            }
            State::Done => {
                self.setup.deadline = None;
                Ok(())
            }
            _ => self.setup.reader.check_kept(),
        }
    }
}

/// What every state may use.
#[derive(Debug)]
struct Setup {
    local: LocalIdentity,
    cookies: CookieBook,
    challenge: u32,
    config: HandshakeConfig,
    reader: FrameReader,
    outputs: VecDeque<AcceptorOutput>,
    /// None once the handshake is over, well or not.
    deadline: Option<Instant>,
    peer_challenge: Option<u32>,
}

impl Setup {
    fn send(&mut self, message: &[u8]) {
        let bytes = frame(self.config.prefix, message);
        self.outputs.push_back(AcceptorOutput::Send(bytes));
    }

    fn restart_timer(&mut self, now: Instant) {
        self.deadline = Some(now + self.config.setup_time);
    }

    /// Refuses a peer that lacks flags, which it is told.
    fn check_flags(
        &mut self,
        peer: &str,
        required: DistFlags,
        flags: DistFlags,
    ) -> Result<(), HandshakeError> {
        let missing = required.missing_mandatory(flags);
        if missing.is_empty() {
            return Ok(());
        }
        self.send(&Status::NotAllowed.encode());
        Err(HandshakeError::MissingFlags { peer: peer.to_owned(), missing })
    }
}

#[derive(Debug)]
enum State {
    ExpectName(ExpectName),
    AwaitVerdict(AwaitVerdict),
    ExpectStatusReply(ExpectStatusReply),
    ExpectComplement(ExpectComplement),
    ExpectReply(ExpectReply),
    AwaitOldDown(AwaitOldDown),
    Done,
    Failed(HandshakeError),
}

impl State {
    fn takes_frames(&self) -> bool {
        match self {
            State::ExpectName(_)
            | State::ExpectStatusReply(_)
            | State::ExpectComplement(_)
            | State::ExpectReply(_) => true,
            State::AwaitVerdict(_) | State::AwaitOldDown(_) | State::Done | State::Failed(_) => false,
        }
    }

    fn stage(&self) -> Stage {
        match self {
            State::ExpectName(_) => Stage::Name,
            State::AwaitVerdict(_) => Stage::Verdict,
            State::ExpectStatusReply(_) => Stage::StatusReply,
            State::ExpectComplement(_) => Stage::Complement,
            State::ExpectReply(_) => Stage::Reply,
            State::AwaitOldDown(_) => Stage::OldLinkDown,
            State::Done | State::Failed(_) => Stage::Done,
        }
    }

    fn frame(self, setup: &mut Setup, now: Instant, frame: &[u8]) -> Result<State, HandshakeError> {
        match self {
            State::ExpectName(state) => state.name(setup, read(Stage::Name, AnyName::parse(frame))?),
            State::ExpectStatusReply(state) => {
                state.status_reply(setup, now, read(Stage::StatusReply, StatusReply::parse(frame))?)
            }
            State::ExpectComplement(state) => {
                state.complement(setup, read(Stage::Complement, Complement::parse(frame))?)
            }
            State::ExpectReply(state) => state.reply(setup, read(Stage::Reply, Reply::parse(frame))?),
            other @ (State::AwaitVerdict(_) | State::AwaitOldDown(_) | State::Done | State::Failed(_)) => {
                Ok(other)
            }
        }
    }
}

fn read<T>(stage: Stage, message: Result<T, MessageError>) -> Result<T, HandshakeError> {
    message.map_err(|error| HandshakeError::BadMessage { stage, error })
}

/// The flags and creation a peer claims.
#[derive(Clone, Copy, Debug)]
struct Claim {
    flags: DistFlags,
    creation: Creation,
    /// The peer used the old name, so a complement follows the challenge.
    is_old: bool,
}

#[derive(Debug)]
struct ExpectName;

impl ExpectName {
    /// Structural faults first, then flags, then the characters of the name and the verdict: the order in which
    /// OTP finds them decides which answer a peer gets (wire.md 2.1 to 2.3).
    fn name(self, setup: &mut Setup, message: AnyName) -> Result<State, HandshakeError> {
        let (claim, text) = match message {
            AnyName::New(name) => {
                (Claim { flags: name.flags, creation: name.creation, is_old: false }, name.name)
            }
            AnyName::Old(name) => {
                let flags = DistFlags::from_bits(u64::from(name.flags_low));
                (Claim { flags, creation: Creation::UNKNOWN, is_old: true }, name.name)
            }
        };
        if claim.flags.contains(DistFlags::NAME_ME) {
            return self.nameless(setup, claim, text);
        }
        let name = match text.parse::<NodeName>() {
            Err(error) if !matches!(error, NodeNameError::AliveCharacter(_)) => return Err(error.into()),
            name => name,
        };
        setup.check_flags(&text, required_at_first(setup, claim), claim.flags)?;
        let peer = match name {
            Ok(peer) if peer == setup.local.name => Err(HandshakeError::OwnName(peer)),
            name => name.map_err(HandshakeError::from),
        };
        let peer = peer.inspect_err(|_| setup.send(&Status::Nok.encode()))?;
        setup.outputs.push_back(AcceptorOutput::AskVerdict { peer: peer.clone() });
        Ok(State::AwaitVerdict(AwaitVerdict { claim, subject: Subject::Named(peer) }))
    }

    /// A node that asks for a name gives its host alone.
    fn nameless(self, setup: &mut Setup, claim: Claim, host: String) -> Result<State, HandshakeError> {
        // Whether a name on that host is one is asked of any alive part.
        NodeName::new("a", &host)?;
        setup.check_flags(&host, required_at_first(setup, claim), claim.flags)?;
        setup.outputs.push_back(AcceptorOutput::AskName { host: host.clone() });
        // The connection of a node that got its name from us is hidden (wire.md 2.6).
        let claim = Claim { flags: claim.flags.without(DistFlags::PUBLISHED), ..claim };
        Ok(State::AwaitVerdict(AwaitVerdict { claim, subject: Subject::Nameless { host } }))
    }
}

/// What the first message must offer. From the old form only the lower half can be judged, and it must be from
/// a node that goes on with the new challenge and a complement: HANDSHAKE_23.
fn required_at_first(setup: &Setup, claim: Claim) -> DistFlags {
    if claim.is_old {
        DistFlags::from_bits(setup.config.required.bits() & u64::from(u32::MAX)) | DistFlags::HANDSHAKE_23
    } else {
        setup.config.required
    }
}

#[derive(Debug)]
enum Subject {
    Named(NodeName),
    Nameless { host: String },
}

#[derive(Debug)]
struct AwaitVerdict {
    claim: Claim,
    subject: Subject,
}

impl AwaitVerdict {
    fn verdict(self, setup: &mut Setup, now: Instant, verdict: Verdict) -> Result<State, HandshakeError> {
        let claim = self.claim;
        let claimed = match &self.subject {
            Subject::Named(peer) => peer.as_str().to_owned(),
            Subject::Nameless { host } => host.clone(),
        };
        let refused = Err(HandshakeError::Refused { peer: claimed, verdict: verdict.clone() });
        let misused = Err(HandshakeError::Misused { stage: Stage::Verdict });
        match (verdict, self.subject) {
            (Verdict::Ok, Subject::Named(peer)) => {
                setup.send(&Status::Ok.encode());
                Ok(send_challenge(setup, now, Peer { name: peer, claim, is_up: false, is_given: false }))
            }
            (Verdict::OkSimultaneous, Subject::Named(peer)) => {
                setup.send(&Status::OkSimultaneous.encode());
                Ok(send_challenge(setup, now, Peer { name: peer, claim, is_up: false, is_given: false }))
            }
            (Verdict::OkNamed { name, creation }, Subject::Nameless { host }) => {
                if name.host() != host {
                    return misused;
                }
                setup.send(&Status::Named { name: name.as_str().to_owned(), creation }.encode());
                let claim = Claim { creation, ..claim };
                Ok(send_challenge(setup, now, Peer { name, claim, is_up: false, is_given: true }))
            }
            (Verdict::Alive, Subject::Named(peer)) => {
                setup.send(&Status::Alive.encode());
                setup.restart_timer(now);
                Ok(State::ExpectStatusReply(ExpectStatusReply {
                    peer: Peer { name: peer, claim, is_up: true, is_given: false },
                }))
            }
            (Verdict::Nok, Subject::Named(_)) => {
                setup.send(&Status::Nok.encode());
                refused
            }
            (Verdict::NotAllowed, _) => {
                setup.send(&Status::NotAllowed.encode());
                refused
            }
            (Verdict::CloseSilently, _) => refused,
            (Verdict::OkNamed { .. }, Subject::Named(_))
            | (
                Verdict::Ok | Verdict::OkSimultaneous | Verdict::Alive | Verdict::Nok,
                Subject::Nameless { .. },
            ) => misused,
        }
    }
}

/// A peer the verdict let through, before it has proved itself.
#[derive(Debug)]
struct Peer {
    name: NodeName,
    claim: Claim,
    /// The verdict was `alive`: an old connection is to be closed.
    is_up: bool,
    /// It got its name from us.
    is_given: bool,
}

#[derive(Debug)]
struct ExpectStatusReply {
    peer: Peer,
}

impl ExpectStatusReply {
    fn status_reply(
        self,
        setup: &mut Setup,
        now: Instant,
        reply: StatusReply,
    ) -> Result<State, HandshakeError> {
        match reply {
            StatusReply::True => Ok(send_challenge(setup, now, self.peer)),
            StatusReply::False => Err(HandshakeError::Superseded),
        }
    }
}

fn send_challenge(setup: &mut Setup, now: Instant, peer: Peer) -> State {
    let mut our_flags = setup.local.flags;
    if peer.is_given {
        // A BEAM node that asked for a name fails on a challenge without NAME_ME (wire.md 2.6).
        our_flags = our_flags.without(DistFlags::PUBLISHED) | DistFlags::NAME_ME;
    }
    let challenge = Challenge {
        flags: our_flags,
        challenge: setup.challenge,
        creation: setup.local.creation,
        name: setup.local.name.as_str().to_owned(),
    };
    setup.send(&challenge.encode());
    setup.restart_timer(now);
    let next = ExpectReply { cookie: setup.cookies.cookie_for(&peer.name).clone(), our_flags, peer };
    if next.peer.claim.is_old {
        State::ExpectComplement(ExpectComplement { next })
    } else {
        State::ExpectReply(next)
    }
}

#[derive(Debug)]
struct ExpectComplement {
    next: ExpectReply,
}

impl ExpectComplement {
    fn complement(self, setup: &mut Setup, message: Complement) -> Result<State, HandshakeError> {
        let mut next = self.next;
        let claim = &mut next.peer.claim;
        let high = DistFlags::from_bits(u64::from(message.flags_high) << 32);
        // NAME_ME is an old name's to ask neither before nor now.
        claim.flags = claim.flags | high.without(DistFlags::NAME_ME);
        claim.creation = message.creation;
        setup.check_flags(next.peer.name.as_str(), setup.config.required, next.peer.claim.flags)?;
        Ok(State::ExpectReply(next))
    }
}

#[derive(Debug)]
struct ExpectReply {
    peer: Peer,
    cookie: Cookie,
    our_flags: DistFlags,
}

impl ExpectReply {
    fn reply(self, setup: &mut Setup, message: Reply) -> Result<State, HandshakeError> {
        if !self.cookie.verify(setup.challenge, &message.digest) {
            // Closed at once and without a word, as OTP does.
            let peer = self.peer.name;
            return Err(HandshakeError::WrongCookie { peer, who: CookieRefusal::WeRefuse });
        }
        setup.peer_challenge = Some(message.challenge);
        let is_up = self.peer.is_up;
        let proved = Proved {
            peer: self.peer,
            our_flags: self.our_flags,
            ack: Ack { digest: self.cookie.digest(message.challenge) },
        };
        if is_up {
            setup.outputs.push_back(AcceptorOutput::CloseOldLink);
            Ok(State::AwaitOldDown(AwaitOldDown { proved }))
        } else {
            Ok(proved.ack(setup))
        }
    }
}

#[derive(Debug)]
struct AwaitOldDown {
    proved: Proved,
}

/// The peer has proved that it knows the cookie; our own proof is still to be sent.
#[derive(Debug)]
struct Proved {
    peer: Peer,
    our_flags: DistFlags,
    ack: Ack,
}

impl Proved {
    fn ack(self, setup: &mut Setup) -> State {
        setup.send(&self.ack.encode());
        let claim = self.peer.claim;
        let established = Established {
            peer: self.peer.name,
            peer_creation: claim.creation,
            peer_flags: claim.flags.expand().without(DistFlags::NAME_ME),
            flags: self.our_flags.agreed(claim.flags).without(DistFlags::NAME_ME),
            leftover: setup.reader.take_leftover(),
            given: None,
        };
        setup.outputs.push_back(AcceptorOutput::Established(established));
        State::Done
    }
}
