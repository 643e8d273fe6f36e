//! Handshakes: one side with a peer that says anything, right messages and wrong ones in any order and any pieces,
//! while time passes; and both sides with each other, over a line that cuts their bytes anywhere.
//!
//! Nobody is let in who does not know the cookie, who stalls is dropped in time, an error is final, and between two
//! of ours nothing is lost. The input is steps, each a byte and what it takes from those behind it.
#![no_main]

use std::time::{Duration, Instant};

use handshake::{
    Acceptor, AcceptorInput, AcceptorOutput, Cookie, CookieBook, Creation, DistFlags, Established,
    HandshakeConfig, HandshakeError, Initiator, InitiatorInput, InitiatorOutput, LengthPrefix, LocalIdentity,
    NodeName, Verdict,
    message::{Ack, Challenge, Complement, Name, OldName, Reply, Status, StatusReply},
};
use libfuzzer_sys::fuzz_target;

const SETUP: Duration = Duration::from_secs(7);

/// No stage can be entered twice, so no handshake takes more than so many times the setup time: until the status, the
/// reply to it, the challenge, and its proof.
const STAGES_MAX: u32 = 4;

/// What may be kept of one message, in bytes; no side takes more than three before it says something itself.
const KEPT_MAX: usize = 4 + 2048;

const CHALLENGE_OF_A: u32 = 17;
const CHALLENGE_OF_B: u32 = 42;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, rest)) = data.split_first() else { return };
    if kind % 4 < 2 {
        Alone::new(kind).run(rest);
    } else {
        Pair::new(kind).run(rest);
    }
});

#[expect(clippy::disallowed_methods, reason = "any instant to count from")]
fn start() -> Instant {
    Instant::now()
}

fn node(name: &str) -> NodeName {
    name.parse().expect("a node name")
}

fn cookie() -> Cookie {
    Cookie::new("right").expect("a cookie")
}

fn identity(name: &str, creation: u32) -> LocalIdentity {
    LocalIdentity { name: node(name), creation: Creation(creation), flags: DistFlags::OFFERED }
}

fn config(kind: u8) -> HandshakeConfig {
    let prefix = if kind & 4 == 0 { LengthPrefix::U16 } else { LengthPrefix::U32 };
    HandshakeConfig { setup_time: SETUP, prefix, ..HandshakeConfig::default() }
}

fn framed(prefix: LengthPrefix, message: &[u8]) -> Vec<u8> {
    match prefix {
        LengthPrefix::U16 => [&(message.len() as u16).to_be_bytes(), message].concat(),
        LengthPrefix::U32 => [&(message.len() as u32).to_be_bytes(), message].concat(),
    }
}

/// One that dialled, `a@h`, or was dialled, `b@h`.
enum Side {
    A(Box<Initiator>),
    B(Box<Acceptor>),
}

/// What a side asks of its node.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Question {
    Verdict,
    Name,
    Alive,
    CloseOld,
}

/// What a side wants done.
enum Wish {
    Send(Vec<u8>),
    Ask(Question),
    Established(Established),
}

impl Side {
    fn a(now: Instant, kind: u8) -> Self {
        let (peer, config) = (node("b@h"), config(kind));
        Self::A(Box::new(if kind & 8 == 0 {
            Initiator::new(now, identity("a@h", 5), peer, cookie(), CHALLENGE_OF_A, config)
        } else {
            let flags = DistFlags::OFFERED;
            Initiator::new_nameless(now, "h", flags, peer, cookie(), CHALLENGE_OF_A, config)
        }))
    }

    fn b(now: Instant, kind: u8) -> Self {
        let cookies = CookieBook::new(cookie());
        Self::B(Box::new(Acceptor::new(now, identity("b@h", 6), cookies, CHALLENGE_OF_B, config(kind))))
    }

    fn bytes(&mut self, now: Instant, bytes: &[u8]) -> Result<(), HandshakeError> {
        match self {
            Self::A(a) => a.handle(now, InitiatorInput::Bytes(bytes)),
            Self::B(b) => b.handle(now, AcceptorInput::Bytes(bytes)),
        }
    }

    fn timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        match self {
            Self::A(a) => a.handle(now, InitiatorInput::Timeout),
            Self::B(b) => b.handle(now, AcceptorInput::Timeout),
        }
    }

    fn eof(&mut self, now: Instant) -> Result<(), HandshakeError> {
        match self {
            Self::A(a) => a.handle(now, InitiatorInput::Eof),
            Self::B(b) => b.handle(now, AcceptorInput::Eof),
        }
    }

    fn answer(&mut self, now: Instant, question: Question, choice: u8) -> Result<(), HandshakeError> {
        let verdict = match choice % 7 {
            0 => Verdict::Ok,
            1 => Verdict::OkSimultaneous,
            2 => Verdict::Nok,
            3 => Verdict::Alive,
            4 => Verdict::NotAllowed,
            5 => Verdict::CloseSilently,
            _ => Verdict::OkNamed { name: node("given@h"), creation: Creation(9) },
        };
        match (self, question) {
            (Self::A(a), _) => a.handle(now, InitiatorInput::AliveAnswer(choice.is_multiple_of(2))),
            (Self::B(b), Question::CloseOld) => b.handle(now, AcceptorInput::OldLinkDown),
            (Self::B(b), _) => b.handle(now, AcceptorInput::Verdict(verdict)),
        }
    }

    fn poll(&mut self) -> Option<Wish> {
        match self {
            Self::A(a) => a.poll_output().map(|output| match output {
                InitiatorOutput::Send(bytes) => Wish::Send(bytes.to_vec()),
                InitiatorOutput::AskAlive => Wish::Ask(Question::Alive),
                InitiatorOutput::Established(established) => Wish::Established(established),
            }),
            Self::B(b) => b.poll_output().map(|output| match output {
                AcceptorOutput::Send(bytes) => Wish::Send(bytes.to_vec()),
                AcceptorOutput::AskVerdict { .. } => Wish::Ask(Question::Verdict),
                AcceptorOutput::AskName { .. } => Wish::Ask(Question::Name),
                AcceptorOutput::CloseOldLink => Wish::Ask(Question::CloseOld),
                AcceptorOutput::Established(established) => Wish::Established(established),
            }),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::A(a) => a.poll_timeout(),
            Self::B(b) => b.poll_timeout(),
        }
    }
}

/// One side, and a peer that says anything.
struct Alone {
    side: Side,
    prefix: LengthPrefix,
    begun: Instant,
    now: Instant,
    question: Option<Question>,
    /// The peer has shown that it knows the cookie.
    proved: bool,
    /// Bytes since the side has last said something.
    kept: usize,
    error: Option<HandshakeError>,
    established: bool,
}

impl Alone {
    fn new(kind: u8) -> Self {
        let now = start();
        let side = if kind.is_multiple_of(4) { Side::a(now, kind) } else { Side::b(now, kind) };
        let mut alone = Self {
            side,
            prefix: config(kind).prefix,
            begun: now,
            now,
            question: None,
            proved: false,
            kept: 0,
            error: None,
            established: false,
        };
        alone.after(Ok(()));
        alone
    }

    fn run(&mut self, mut rest: &[u8]) {
        while let Some((&step, behind)) = rest.split_first() {
            if self.established {
                return;
            }
            rest = self.step(step, behind);
        }
    }

    /// Returns what is left of the input.
    fn step<'a>(&mut self, step: u8, rest: &'a [u8]) -> &'a [u8] {
        let (now, (&choice, behind)) = (self.now, rest.split_first().unwrap_or((&0, rest)));
        let result = match step % 8 {
            0 | 1 => {
                let (bytes, behind) = behind.split_at(behind.len().min(usize::from(choice)));
                let bytes = if step.is_multiple_of(8) { framed(self.prefix, bytes) } else { bytes.to_vec() };
                self.say(&bytes, step);
                return behind;
            }
            2 => {
                self.now += Duration::from_millis(u64::from(choice) * 100);
                self.side.timeout(self.now)
            }
            3 if choice == 0 => self.side.eof(now),
            3 | 4 => match self.question.take() {
                Some(question) => self.side.answer(now, question, choice),
                None => return behind,
            },
            _ => {
                let message = self.message(step, choice);
                self.say(&framed(self.prefix, &message), step);
                return behind;
            }
        };
        self.after(result);
        behind
    }

    /// A message of the protocol, of those that the side may be waiting for, and right or nearly so.
    fn message(&mut self, step: u8, choice: u8) -> Vec<u8> {
        let wrong = Cookie::new("wrong").expect("a cookie");
        let right = step % 8 != 7;
        let proof = if right { cookie() } else { wrong };
        let flags = match choice / 64 {
            0 | 1 => DistFlags::OFFERED,
            2 => DistFlags::OFFERED | DistFlags::NAME_ME,
            _ => DistFlags::from_bits(DistFlags::OFFERED.bits() & !(1 << (choice % 40))),
        };
        let (creation, challenge) = (Creation(u32::from(choice)), u32::from(choice));
        match &self.side {
            Side::A(_) => match choice % 8 {
                0 | 1 => {
                    let name = if choice == 64 { "c@h" } else { "b@h" }.to_owned();
                    Challenge { flags, challenge, creation, name }.encode().to_vec()
                }
                2 => {
                    self.proved |= right;
                    Ack { digest: proof.digest(CHALLENGE_OF_A) }.encode().to_vec()
                }
                3 => Status::Alive.encode().to_vec(),
                4 => Status::OkSimultaneous.encode().to_vec(),
                5 => Status::Named { name: "x@h".to_owned(), creation }.encode().to_vec(),
                6 => Status::Nok.encode().to_vec(),
                _ => Status::Ok.encode().to_vec(),
            },
            Side::B(_) => match choice % 8 {
                0 | 1 => {
                    let name = if flags.contains(DistFlags::NAME_ME) { "h" } else { "a@h" }.to_owned();
                    Name { flags, creation, name }.encode().to_vec()
                }
                2 => {
                    self.proved |= right;
                    Reply { challenge, digest: proof.digest(CHALLENGE_OF_B) }.encode().to_vec()
                }
                3 => StatusReply::True.encode().to_vec(),
                4 => StatusReply::False.encode().to_vec(),
                5 => {
                    let flags_low = flags.bits() as u32;
                    OldName { flags_low, name: "a@h".to_owned() }.encode().to_vec()
                }
                _ => Complement { flags_high: (flags.bits() >> 32) as u32, creation }.encode().to_vec(),
            },
        }
    }

    /// Bytes for the side, in two pieces.
    fn say(&mut self, bytes: &[u8], step: u8) {
        let (one, two) = bytes.split_at(bytes.len().min(usize::from(step / 8)));
        for piece in [one, two] {
            if self.established || piece.is_empty() {
                return;
            }
            self.kept += piece.len();
            let result = self.side.bytes(self.now, piece);
            self.after(result);
            assert!(self.error.is_some() || self.established || self.kept <= 3 * KEPT_MAX + piece.len());
        }
    }

    fn after(&mut self, result: Result<(), HandshakeError>) {
        if let Some(error) = &self.error {
            assert_eq!(result.as_ref().err(), Some(error), "an error is final");
            assert!(self.side.poll().is_none(), "and nothing is said after it");
            return;
        }
        self.error = result.err();
        while let Some(wish) = self.side.poll() {
            match wish {
                Wish::Send(_) => self.kept = 0,
                Wish::Ask(question) => {
                    assert_eq!(self.question.replace(question), None, "one question at a time");
                }
                Wish::Established(established) => {
                    assert!(self.proved, "the peer was let in without a proof");
                    assert!(self.error.is_none() && established.peer_flags.contains(DistFlags::REQUIRED));
                    assert_eq!(
                        established.given.is_some(),
                        established.given.is_some_and(|given| given.name == node("x@h"))
                    );
                    self.established = true;
                }
            }
        }
        let due = self.side.deadline();
        assert_eq!(due.is_some(), self.error.is_none() && !self.established);
        assert!(due.is_none_or(|due| due <= self.now + SETUP && due <= self.begun + SETUP * STAGES_MAX));
    }
}

/// What each says right behind the last it has to say in the handshake.
const TAILS: [&[u8]; 2] = [b"\0\0\0\x04from a", b"\0\0\0\0from b"];

/// Both sides, and the bytes on their way between them.
struct Pair {
    sides: [Side; 2],
    /// On their way to this side.
    lines: [Vec<u8>; 2],
    established: [Option<Established>; 2],
    /// What came after the handshake, to this side.
    tails: [Vec<u8>; 2],
    /// What `b` is told of `a`.
    verdict: u8,
    now: Instant,
}

impl Pair {
    fn new(kind: u8) -> Self {
        let now = start();
        // `ok`, `ok_simultaneous` or `alive`; `named` for one without a name.
        let verdict = if kind & 8 == 0 { [0, 1, 3][usize::from(kind / 16) % 3] } else { 6 };
        let sides = [Side::a(now, kind), Side::b(now, kind)];
        let (lines, established, tails) = Default::default();
        let mut pair = Self { sides, lines, established, tails, verdict, now };
        pair.wishes(0);
        pair
    }

    fn run(&mut self, rest: &[u8]) {
        let mut late = Duration::ZERO;
        for step in rest {
            // Time passes, but less in all than one stage has.
            let pause = Duration::from_millis(u64::from(step / 64) * 10);
            if late + pause < SETUP {
                late += pause;
                self.now += pause;
            }
            self.deliver(usize::from(step % 2), usize::from(step / 2 % 32) + 1);
        }
        while self.lines.iter().any(|line| !line.is_empty()) {
            self.deliver(0, usize::MAX);
            self.deliver(1, usize::MAX);
        }
        let [Some(a), Some(b)] = &self.established else { panic!("two that know the cookie connect") };
        assert_eq!(a.peer, node("b@h"));
        assert_eq!(b.peer, a.given.as_ref().map_or_else(|| node("a@h"), |given| given.name.clone()));
        assert_eq!(a.flags, b.flags, "they agree");
        assert_eq!(self.tails, [TAILS[1], TAILS[0]], "nothing is lost");
    }

    /// So many bytes of those that are on their way to this side.
    fn deliver(&mut self, to: usize, length: usize) {
        let length = self.lines[to].len().min(length);
        let bytes: Vec<u8> = self.lines[to].drain(..length).collect();
        if self.established[to].is_some() {
            self.tails[to].extend(bytes);
        } else if !bytes.is_empty() {
            let result = self.sides[to].bytes(self.now, &bytes);
            assert_eq!(result, Ok(()));
            self.wishes(to);
        }
    }

    fn wishes(&mut self, of: usize) {
        while let Some(wish) = self.sides[of].poll() {
            match wish {
                Wish::Send(bytes) => {
                    let is_last = [b"r", b"a"][of] == &bytes[config_prefix(&bytes)..][..1];
                    self.lines[1 - of].extend(bytes);
                    if is_last {
                        self.lines[1 - of].extend(TAILS[of]);
                    }
                }
                Wish::Ask(question) => {
                    let choice = if question == Question::Alive { 0 } else { self.verdict };
                    assert_eq!(self.sides[of].answer(self.now, question, choice), Ok(()));
                }
                Wish::Established(mut established) => {
                    self.tails[of].extend(std::mem::take(&mut established.leftover));
                    self.established[of] = Some(established);
                }
            }
        }
    }
}

/// How many bytes the length of this frame has: none of ours is as long as would fill the upper two of four.
fn config_prefix(frame: &[u8]) -> usize {
    if frame[..2] == [0, 0] { 4 } else { 2 }
}
