//! The cookie both sides must share, and the digest that proves it (wire.md 2.1).
//!
//! A digest is MD5 over the cookie's Latin-1 bytes and the challenge in decimal. MD5 is what every Erlang node
//! speaks here; it guards against accidents more than against attackers, who should meet TLS.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::name::NodeName;

/// A cookie: at most [`Cookie::CHARS_MAX`] Latin-1 characters. It never shows itself in `Debug`. A clone is
/// cheap.
#[derive(Clone)]
pub struct Cookie(Arc<[u8]>);

/// MD5 over cookie and challenge.
pub type Digest = [u8; 16];

/// Why a text is no cookie. The text itself is not told: it may be most of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CookieError {
    /// A character that a cookie (or a cookie file) cannot have.
    #[error("bad characters in cookie")]
    BadCharacters,
    /// Longer than an atom may be.
    #[error("cookie of {0} characters is too long: at most {max} are allowed", max = Cookie::CHARS_MAX)]
    TooLong(usize),
    /// No character at all.
    #[error("too short cookie string")]
    TooShort,
}

impl Cookie {
    /// Longest cookie, in characters: to Erlang a cookie is an atom.
    pub const CHARS_MAX: usize = 255;

    /// Length of a cookie made by [`Cookie::generate`], in bytes.
    pub const GENERATED_LEN: usize = 20;

    /// The cookie `text`, as given by a flag. Its characters must be Latin-1.
    pub fn new(text: &str) -> Result<Cookie, CookieError> {
        let bytes: Vec<u8> = text
            .chars()
            .map(u8::try_from)
            .collect::<Result<_, _>>()
            .map_err(|_| CookieError::BadCharacters)?;
        Cookie::checked(bytes)
    }

    /// The cookie in the contents of a cookie file, by OTP's rules: characters from space to `~`, after which
    /// only line ends and spaces may follow.
    pub fn from_file_contents(contents: &[u8]) -> Result<Cookie, CookieError> {
        let end = contents.iter().position(|b| !(b' '..=b'~').contains(b)).unwrap_or(contents.len());
        let (cookie, rest) = contents.split_at(end);
        if !rest.iter().all(|b| matches!(b, b'\n' | b'\r' | b' ')) {
            return Err(CookieError::BadCharacters);
        }
        Cookie::checked(cookie.to_vec())
    }

    /// The text of a new cookie file, upper case letters as OTP makes them, from random bytes.
    pub fn generate(random: [u8; Cookie::GENERATED_LEN]) -> String {
        // 256 is no multiple of 26, so some letters are a tenth likelier: still above 4.6 bits a letter.
        random.iter().map(|byte| char::from(b'A' + byte % 26)).collect()
    }

    /// The proof that we know this cookie, for the peer's `challenge`.
    pub fn digest(&self, challenge: u32) -> Digest {
        let mut md5 = Md5::new();
        md5.update(&self.0);
        md5.update(challenge.to_string());
        md5.finalize().into()
    }

    /// True if `digest` proves this cookie for our `challenge`. Takes the same time for every wrong digest, so
    /// that a peer cannot learn a digest byte by byte.
    pub fn verify(&self, challenge: u32, digest: &Digest) -> bool {
        self.digest(challenge).ct_eq(digest).into()
    }

    /// The cookie itself, for who has the right to see it. Never to be logged.
    pub fn reveal(&self) -> String {
        self.0.iter().copied().map(char::from).collect()
    }

    /// An empty one, as a variable that is not set gives, would let everybody in.
    fn checked(bytes: Vec<u8>) -> Result<Cookie, CookieError> {
        if bytes.is_empty() {
            return Err(CookieError::TooShort);
        }
        if bytes.len() > Self::CHARS_MAX {
            return Err(CookieError::TooLong(bytes.len()));
        }
        Ok(Cookie(bytes.into()))
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(..)")
    }
}

/// Two cookies are compared in constant time, too.
impl PartialEq for Cookie {
    fn eq(&self, other: &Cookie) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Cookie {}

/// Our own cookie, and those for particular peers. One cookie serves both directions with a peer, as in OTP 25
/// and later (wire.md 2.8).
#[derive(Clone, Debug)]
pub struct CookieBook {
    own: Cookie,
    per_node: HashMap<NodeName, Cookie>,
}

impl CookieBook {
    /// A book with our own cookie alone.
    pub fn new(own: Cookie) -> CookieBook {
        CookieBook { own, per_node: HashMap::new() }
    }

    /// Changes our own cookie. Connections that stand are not affected.
    pub fn set_own(&mut self, own: Cookie) {
        self.own = own;
    }

    /// Uses `cookie` with `peer` from now on. Grows by one entry for each peer named by the user.
    pub fn set(&mut self, peer: NodeName, cookie: Cookie) {
        self.per_node.insert(peer, cookie);
    }

    /// Our own cookie.
    pub fn own(&self) -> &Cookie {
        &self.own
    }

    /// The cookie to use with `peer`: its own entry, else ours.
    pub fn cookie_for(&self, peer: &NodeName) -> &Cookie {
        self.per_node.get(peer).unwrap_or(&self.own)
    }
}

/// The challenges this node waits for an answer to, over all its handshakes.
///
/// MD5 challenge and response can be reflected: who does not know the cookie takes the challenge we gave on one
/// socket and puts it to us on another, where we dialled. So a driver keeps every handshake's own challenge
/// here while that handshake runs, and before it sends bytes for a machine whose `peer_challenge()` is
/// [known here](OutstandingChallenges::contains), closes that connection instead (wire.md 2.8). A false alarm
/// needs two equal 32-bit random numbers at once.
#[derive(Debug, Default)]
pub struct OutstandingChallenges(HashSet<u32>);

impl OutstandingChallenges {
    /// An empty set.
    pub fn new() -> OutstandingChallenges {
        OutstandingChallenges::default()
    }

    /// Notes our challenge of a new handshake. False if it is there already: take another random number.
    pub fn insert(&mut self, challenge: u32) -> bool {
        self.0.insert(challenge)
    }

    /// Forgets the challenge of a handshake that ended, well or not.
    pub fn remove(&mut self, challenge: u32) {
        self.0.remove(&challenge);
    }

    /// True if this is a challenge of our own, which nobody but we may answer.
    pub fn contains(&self, challenge: u32) -> bool {
        self.0.contains(&challenge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digest: Digest) -> String {
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn digest_is_md5_of_cookie_and_decimal() {
        // erlang:md5("secret4294967295")
        assert_eq!(hex(Cookie::new("secret").unwrap().digest(u32::MAX)), "5dfd181e69aa587cc812eb333e6536b6");
        // erlang:md5([229 | "7"]): the cookie is Latin-1 bytes, not UTF-8.
        assert_eq!(hex(Cookie::new("å").unwrap().digest(7)), "f7bf37c70771593d498bd511257c75b3");
    }

    #[test]
    fn verify_accepts_only_the_digest() {
        let cookie = Cookie::new("secret").unwrap();
        let digest = cookie.digest(42);
        assert!(cookie.verify(42, &digest));
        assert!(!cookie.verify(43, &digest));
        assert!(!Cookie::new("secreu").unwrap().verify(42, &digest));
        for at in 0..digest.len() {
            let mut bent = digest;
            bent[at] ^= 1;
            assert!(!cookie.verify(42, &bent));
        }
    }

    #[test]
    fn limits() {
        assert_eq!(Cookie::new(""), Err(CookieError::TooShort));
        assert_eq!(Cookie::new("\u{100}"), Err(CookieError::BadCharacters));
        assert!(Cookie::new(&"é".repeat(255)).is_ok());
        assert_eq!(Cookie::new(&"x".repeat(256)), Err(CookieError::TooLong(256)));
    }

    #[test]
    fn file_contents_as_otp_reads_them() {
        let read = Cookie::from_file_contents;
        let cookie = Cookie::new("A B").unwrap();
        assert_eq!(read(b"A B"), Ok(cookie.clone()));
        assert_eq!(read(b"A B\n \r\n"), Ok(cookie));
        assert_eq!(read(b"A\nB"), Err(CookieError::BadCharacters));
        assert_eq!(read(b"A\xe5"), Err(CookieError::BadCharacters));
        assert_eq!(read(b""), Err(CookieError::TooShort));
        assert_eq!(read(b"\n"), Err(CookieError::TooShort));
    }

    #[test]
    fn generated_is_letters_and_readable() {
        let text = Cookie::generate(std::array::from_fn(|at| (at * 13) as u8));
        assert_eq!(text.len(), 20);
        assert!(text.bytes().all(|b| b.is_ascii_uppercase()));
        assert_eq!(Cookie::from_file_contents(text.as_bytes()), Cookie::new(&text));
    }

    #[test]
    fn debug_hides_the_cookie() {
        let book = CookieBook::new(Cookie::new("secret").unwrap());
        assert!(!format!("{book:?}").contains("secret"));
    }

    #[test]
    fn book_prefers_the_peers_own_cookie() {
        let peer: NodeName = "a@h".parse().unwrap();
        let mut book = CookieBook::new(Cookie::new("own").unwrap());
        assert_eq!(book.cookie_for(&peer), book.own());
        book.set(peer.clone(), Cookie::new("theirs").unwrap());
        assert_eq!(book.cookie_for(&peer), &Cookie::new("theirs").unwrap());
    }

    #[test]
    fn outstanding_challenges() {
        let mut ours = OutstandingChallenges::new();
        assert!(ours.insert(7));
        assert!(!ours.insert(7));
        assert!(ours.contains(7));
        ours.remove(7);
        assert!(!ours.contains(7));
    }
}
