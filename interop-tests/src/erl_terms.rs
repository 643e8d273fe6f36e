//! A running OTP that is asked about terms.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::Duration,
};

use crate::{Otp, Process, clock::wait_for};

/// How long an `erl` may take to start, on a machine that compiles something else.
const START_LIMIT: Duration = Duration::from_secs(120);

/// How long an answer may take. It takes a second for thousands of terms.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// The longest answer: whatever a test asks for is far shorter.
const ANSWER_BYTES_MAX: u32 = 512 * 1024 * 1024;

/// A running `erl` that is no node, and answers about terms (`ct_terms.erl`). It ends with this value.
pub struct ErlTerms {
    process: Process,
    channel: TcpStream,
}

/// What OTP says about a pair of terms, A and B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// `A =:= B`.
    pub identical: bool,
    /// `A == B`.
    pub equal: bool,
    /// `A < B`.
    pub less: bool,
}

impl ErlTerms {
    /// Starts the `erl` of a release.
    ///
    /// # Panics
    /// Where it does not come up.
    pub fn start(otp: &Otp) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket has the mode");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let mut command = otp.command();
        command.env("ERL_CRASH_DUMP", "/dev/null").arg("-pa").arg(otp.ebin());
        command.args(["-s", "ct_terms", "start", &port.to_string()]);
        let mut process = Process::start(format!("OTP {}", otp.number()), &mut command);
        let accepted = wait_for(START_LIMIT, || match listener.accept() {
            Ok((channel, _)) => Some(channel),
            Err(_) => process.status().and(None),
        });
        let Some(channel) = accepted else { panic!("{}", process.say("has not called back")) };
        channel.set_nonblocking(false).expect("a socket has the mode");
        channel.set_nodelay(true).expect("a socket has the option");
        channel.set_read_timeout(Some(ANSWER_LIMIT)).expect("a socket has the option");
        Self { process, channel }
    }

    /// Each stored term as this release writes it again, for readers of `minor_version`, and from OTP 25 on
    /// `deterministic`. Empty where the release refuses it.
    ///
    /// # Panics
    /// As all questions, where no answer comes.
    pub fn rewrite<B: AsRef<[u8]>>(&mut self, minor_version: u8, stored: &[B]) -> Vec<Vec<u8>> {
        let minor_version = [minor_version];
        let items = [&minor_version[..]].into_iter().chain(stored.iter().map(AsRef::as_ref));
        self.ask(b'w', items)
    }

    /// What OTP says about pairs of stored terms.
    ///
    /// # Panics
    /// As all questions; also where the release refuses one of the terms.
    pub fn compare<B: AsRef<[u8]>>(&mut self, pairs: &[[B; 2]]) -> Vec<Compared> {
        let answer = self.ask(b'c', pairs.iter().flatten().map(AsRef::as_ref));
        let compared = answer.into_iter().map(|bits| match bits[..] {
            [identical, equal, less] => {
                Compared { identical: identical == 1, equal: equal == 1, less: less == 1 }
            }
            _ => panic!("an answer is three bits: {bits:?}"),
        });
        compared.collect()
    }

    /// The places of stored terms after `lists:sort/1`.
    ///
    /// # Panics
    /// As all questions; also where the release refuses one of the terms.
    pub fn sort<B: AsRef<[u8]>>(&mut self, stored: &[B]) -> Vec<usize> {
        let answer = self.ask(b's', stored.iter().map(AsRef::as_ref));
        let places = answer.into_iter().map(|place| {
            let place = place.try_into().expect("a place has four bytes");
            u32::from_be_bytes(place) as usize
        });
        places.collect()
    }

    /// Random terms of this release: each as [`Self::rewrite`] would write it, and as it is compressed.
    ///
    /// # Panics
    /// As all questions.
    pub fn random(&mut self, seed: u64, count: u32, minor_version: u8) -> Vec<[Vec<u8>; 2]> {
        let item = [&seed.to_be_bytes()[..], &count.to_be_bytes(), &[minor_version]].concat();
        let mut answer = self.ask(b'r', [&item[..]]).into_iter();
        std::iter::from_fn(|| Some([answer.next()?, answer.next()?])).collect()
    }

    fn ask<'a>(&mut self, what: u8, items: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
        let mut request = vec![what];
        for item in items {
            request.extend_from_slice(&length(item).to_be_bytes());
            request.extend_from_slice(item);
        }
        match exchange(&mut self.channel, &request) {
            Ok(answer) => answer,
            Err(error) => {
                // It has said why, and ends.
                let _ = self.process.wait_for_exit(Duration::from_secs(2));
                let what = char::from(what);
                panic!("{}", self.process.say(format_args!("gave no answer to '{what}': {error}")))
            }
        }
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("questions are short")
}

fn exchange(channel: &mut TcpStream, request: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    channel.write_all(&length(request).to_be_bytes())?;
    channel.write_all(request)?;
    let mut size = [0; 4];
    channel.read_exact(&mut size)?;
    let size = u32::from_be_bytes(size);
    if size > ANSWER_BYTES_MAX {
        return Err(io::Error::other(format!("an answer of {size} bytes, more than {ANSWER_BYTES_MAX}")));
    }
    let mut answer = Vec::new();
    channel.take(size.into()).read_to_end(&mut answer)?;
    let (mut items, mut rest) = (Vec::new(), &answer[..]);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Some((item, after)) = after.split_at_checked(u32::from_be_bytes(*length) as usize) else { break };
        items.push(item.to_vec());
        rest = after;
    }
    if rest.is_empty() { Ok(items) } else { Err(io::Error::other("an answer that ends within an item")) }
}
