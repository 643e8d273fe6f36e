//! The handshake of the node that dialled (wire.md 2.4).

use std::collections::VecDeque;
use std::mem;
use std::time::Instant;

use bytes::Bytes;

use crate::config::{HandshakeConfig, LocalIdentity};
use crate::cookie::Cookie;
use crate::error::{CookieRefusal, HandshakeError, Stage};
use crate::established::{Established, GivenName};
use crate::flags::DistFlags;
use crate::frame::{FrameReader, frame};
use crate::message::{Ack, Challenge, MessageError, Name, Reply, Status, StatusReply};
use crate::name::{Creation, NodeName};

/// The handshake of the node that dialled.
///
/// ```text
///            send name
///               │
///        ExpectStatus ──nok, not_allowed──► error
///          │        └──alive──► AwaitAliveAnswer ──false: send "false"──► error
///   ok, ok_simultaneous,           │ true: send "true"
///   named                          │
///          └────► ExpectChallenge ◄┘
///                       │ challenge: send reply
///                   ExpectAck ──closed──► error: another cookie
///                       │ ack with the right digest
///                  Established
/// ```
#[derive(Debug)]
pub struct Initiator {
    setup: Setup,
    state: State,
}

/// What the owner of the socket tells an [`Initiator`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitiatorInput<'a> {
    /// Bytes from the peer, cut anywhere.
    Bytes(&'a [u8]),
    /// The peer closed or reset the connection.
    Eof,
    /// The time of `poll_timeout()` may have come.
    Timeout,
    /// The answer to [`InitiatorOutput::AskAlive`].
    AliveAnswer(bool),
}

/// What an [`Initiator`] wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitiatorOutput {
    /// Send these bytes.
    Send(Bytes),
    /// The peer says it is connected to us already. Answer with [`InitiatorInput::AliveAnswer`]: is this attempt
    /// still our current one for this peer?
    AskAlive,
    /// The handshake is done.
    Established(Established),
}

impl Initiator {
    /// A handshake with `peer` over a connection just made. `challenge` must be random and not guessable.
    pub fn new(
        now: Instant,
        local: LocalIdentity,
        peer: NodeName,
        cookie: Cookie,
        challenge: u32,
        config: HandshakeConfig,
    ) -> Initiator {
        let name =
            Name { flags: local.flags, creation: local.creation, name: local.name.as_str().to_owned() };
        Initiator::start(now, name, None, peer, cookie, challenge, config)
    }

    /// A handshake of a node without a name, which asks the peer for one (wire.md 2.6): [`Established::given`]
    /// has it. `host` is our host, `flags` what we offer; the connection is hidden in any case.
    pub fn new_nameless(
        now: Instant,
        host: &str,
        flags: DistFlags,
        peer: NodeName,
        cookie: Cookie,
        challenge: u32,
        config: HandshakeConfig,
    ) -> Initiator {
        let flags = flags.without(DistFlags::PUBLISHED) | DistFlags::NAME_ME;
        let name = Name { flags, creation: Creation::UNKNOWN, name: host.to_owned() };
        Initiator::start(now, name, Some(host.to_owned()), peer, cookie, challenge, config)
    }

    fn start(
        now: Instant,
        name: Name,
        nameless_host: Option<String>,
        peer: NodeName,
        cookie: Cookie,
        challenge: u32,
        config: HandshakeConfig,
    ) -> Initiator {
        let mut setup = Setup {
            peer,
            cookie,
            challenge,
            config,
            our_flags: name.flags,
            reader: FrameReader::new(config.prefix),
            outputs: VecDeque::new(),
            deadline: Some(now + config.setup_time),
            peer_challenge: None,
        };
        setup.send(&name.encode());
        Initiator { setup, state: State::ExpectStatus(ExpectStatus { nameless_host }) }
    }

    /// Takes one input. An error is final: every later call returns it again.
    pub fn handle(&mut self, now: Instant, input: InitiatorInput<'_>) -> Result<(), HandshakeError> {
        let result = self.take(now, input);
        if let Err(error) = &result {
            self.state = State::Failed(error.clone());
            self.setup.deadline = None;
        }
        result
    }

    /// The next thing to do, if any; also after an error.
    pub fn poll_output(&mut self) -> Option<InitiatorOutput> {
        self.setup.outputs.pop_front()
    }

    /// When to call `handle` with [`InitiatorInput::Timeout`], if nothing else happens.
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

    fn take(&mut self, now: Instant, input: InitiatorInput<'_>) -> Result<(), HandshakeError> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        match input {
            InitiatorInput::Bytes(bytes) => {
                // Before the answer to a question the bytes wait in the reader.
                self.setup.reader.push(bytes);
            }
            InitiatorInput::Eof => return Err(self.closed()),
            InitiatorInput::Timeout => {
                return match self.setup.deadline {
                    Some(deadline) if now >= deadline => {
                        Err(HandshakeError::Timeout { stage: self.state.stage() })
                    }
                    _ => Ok(()),
                };
            }
            InitiatorInput::AliveAnswer(current) => {
                let stage = self.state.stage();
                let State::AwaitAliveAnswer(state) = mem::replace(&mut self.state, State::Done) else {
                    return Err(HandshakeError::Misused { stage });
                };
                self.state = state.answered(&mut self.setup, current)?;
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

    fn closed(&self) -> HandshakeError {
        match &self.state {
            // A node that finds our proof wrong closes without a word (wire.md 2.3, step 4).
            State::ExpectAck(_) => {
                HandshakeError::WrongCookie { peer: self.setup.peer.clone(), who: CookieRefusal::TheyRefused }
            }
            state => HandshakeError::PeerClosed { stage: state.stage() },
        }
    }
}

/// What every state may use.
#[derive(Debug)]
struct Setup {
    peer: NodeName,
    cookie: Cookie,
    challenge: u32,
    config: HandshakeConfig,
    our_flags: DistFlags,
    reader: FrameReader,
    outputs: VecDeque<InitiatorOutput>,
    /// None once the handshake is over, well or not.
    deadline: Option<Instant>,
    peer_challenge: Option<u32>,
}

impl Setup {
    fn send(&mut self, message: &[u8]) {
        let bytes = frame(self.config.prefix, message);
        self.outputs.push_back(InitiatorOutput::Send(bytes));
    }
}

#[derive(Debug)]
enum State {
    ExpectStatus(ExpectStatus),
    AwaitAliveAnswer(AwaitAliveAnswer),
    ExpectChallenge(ExpectChallenge),
    ExpectAck(ExpectAck),
    Done,
    Failed(HandshakeError),
}

impl State {
    fn takes_frames(&self) -> bool {
        matches!(self, State::ExpectStatus(_) | State::ExpectChallenge(_) | State::ExpectAck(_))
    }

    fn stage(&self) -> Stage {
        match self {
            State::ExpectStatus(_) => Stage::Status,
            State::AwaitAliveAnswer(_) => Stage::AliveAnswer,
            State::ExpectChallenge(_) => Stage::Challenge,
            State::ExpectAck(_) => Stage::Ack,
            State::Done | State::Failed(_) => Stage::Done,
        }
    }

    fn frame(self, setup: &mut Setup, now: Instant, frame: &[u8]) -> Result<State, HandshakeError> {
        match self {
            State::ExpectStatus(state) => state.status(setup, read(Stage::Status, Status::parse(frame))?),
            State::ExpectChallenge(state) => {
                state.challenge(setup, now, read(Stage::Challenge, Challenge::parse(frame))?)
            }
            State::ExpectAck(state) => state.ack(setup, read(Stage::Ack, Ack::parse(frame))?),
            other @ (State::AwaitAliveAnswer(_) | State::Done | State::Failed(_)) => Ok(other),
        }
    }
}

fn read<T>(stage: Stage, message: Result<T, MessageError>) -> Result<T, HandshakeError> {
    message.map_err(|error| HandshakeError::BadMessage { stage, error })
}

#[derive(Debug)]
struct ExpectStatus {
    /// Our host, if we asked for a name.
    nameless_host: Option<String>,
}

impl ExpectStatus {
    fn status(self, setup: &mut Setup, status: Status) -> Result<State, HandshakeError> {
        let peer = setup.peer.clone();
        match (status, self.nameless_host) {
            (Status::NotAllowed, _) => {
                let lacking = DistFlags::MANDATORY_26.missing_mandatory(setup.our_flags);
                Err(HandshakeError::NotAllowed { peer, lacking })
            }
            (Status::Named { name, creation }, Some(host)) => {
                let name: NodeName = name.parse()?;
                if name.host() != host {
                    return Err(HandshakeError::HostMismatch { expected: host, got: name });
                }
                let given = Some(GivenName { name, creation });
                Ok(State::ExpectChallenge(ExpectChallenge { given }))
            }
            (Status::Ok | Status::OkSimultaneous, None) => {
                Ok(State::ExpectChallenge(ExpectChallenge { given: None }))
            }
            (Status::Nok, None) => Err(HandshakeError::Nok { peer }),
            (Status::Alive, None) => {
                setup.outputs.push_back(InitiatorOutput::AskAlive);
                Ok(State::AwaitAliveAnswer(AwaitAliveAnswer))
            }
            // Who asked for a name can go on only with one, and who did not cannot take one (wire.md 2.2).
            (
                status @ (Status::Ok
                | Status::OkSimultaneous
                | Status::Nok
                | Status::Alive
                | Status::Named { .. }
                | Status::Unknown(_)),
                _,
            ) => {
                let status = status.encode().slice(1..);
                Err(HandshakeError::UnexpectedStatus { peer, status })
            }
        }
    }
}

#[derive(Debug)]
struct AwaitAliveAnswer;

impl AwaitAliveAnswer {
    fn answered(self, setup: &mut Setup, current: bool) -> Result<State, HandshakeError> {
        if current {
            setup.send(&StatusReply::True.encode());
            Ok(State::ExpectChallenge(ExpectChallenge { given: None }))
        } else {
            setup.send(&StatusReply::False.encode());
            Err(HandshakeError::Superseded)
        }
    }
}

#[derive(Debug)]
struct ExpectChallenge {
    given: Option<GivenName>,
}

impl ExpectChallenge {
    fn challenge(self, setup: &mut Setup, now: Instant, message: Challenge) -> Result<State, HandshakeError> {
        if message.name != setup.peer.as_str() {
            return Err(HandshakeError::NameMismatch { expected: setup.peer.clone(), got: message.name });
        }
        let missing = setup.config.required.missing_mandatory(message.flags);
        if !missing.is_empty() {
            return Err(HandshakeError::MissingFlags { peer: message.name, missing });
        }
        setup.peer_challenge = Some(message.challenge);
        let digest = setup.cookie.digest(message.challenge);
        setup.send(&Reply { challenge: setup.challenge, digest }.encode());
        setup.deadline = Some(now + setup.config.setup_time);
        Ok(State::ExpectAck(ExpectAck {
            peer_creation: message.creation,
            peer_flags: message.flags,
            given: self.given,
        }))
    }
}

#[derive(Debug)]
struct ExpectAck {
    peer_creation: Creation,
    peer_flags: DistFlags,
    given: Option<GivenName>,
}

impl ExpectAck {
    fn ack(self, setup: &mut Setup, message: Ack) -> Result<State, HandshakeError> {
        if !setup.cookie.verify(setup.challenge, &message.digest) {
            let peer = setup.peer.clone();
            return Err(HandshakeError::WrongCookie { peer, who: CookieRefusal::WeRefuse });
        }
        let established = Established {
            peer: setup.peer.clone(),
            peer_creation: self.peer_creation,
            peer_flags: self.peer_flags.expand(),
            // NAME_ME is a request, which is done with.
            flags: setup.our_flags.agreed(self.peer_flags).without(DistFlags::NAME_ME),
            leftover: setup.reader.take_leftover(),
            given: self.given,
        };
        setup.outputs.push_back(InitiatorOutput::Established(established));
        Ok(State::Done)
    }
}
