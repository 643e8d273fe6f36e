//! The key to local terms (wire.md 8, tag 121).

use std::{fmt, hash::Hasher, sync::Arc};

use crate::Atom;

/// Who may read a local term: what `term_to_binary/2` with `local` keeps inside the runtime.
///
/// A local term has identifiers of the own node without its name and incarnation, so that they are still those of
/// the same processes after the node got a name or changed it. Only who wrote it can read it: a hash of the secret
/// and of the term's bytes stands in front, and a term of another fails to decode with
/// [`DecodeErrorReason::ForeignLocalTerm`](crate::DecodeErrorReason::ForeignLocalTerm). The hash has 32 bits; it tells mistakes,
/// and keeps off nobody who can try often.
///
/// ```
/// use crabnode_etf::{Atom, DecodeOptions, EncodeOptions, LocalKey, Pid, Term, decode};
///
/// // As a rule the secret is random, made when the program starts.
/// let key = |node: &str, creation| LocalKey::new([7; 16], Atom::from(node), creation);
/// let before = Term::from(Pid::new(Atom::from("nonode@nohost"), 1, 0, 0));
/// let options = EncodeOptions { local: Some(key("nonode@nohost", 0)), ..Default::default() };
/// let bytes = options.encode(&before).into();
///
/// let options = DecodeOptions { local: Some(key("a@b", 5)), ..Default::default() };
/// assert_eq!(options.decode(&bytes)?, Term::from(Pid::new(Atom::from("a@b"), 1, 0, 5)));
/// assert!(decode(&bytes, &Default::default()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct LocalKey {
    secret: [u8; 16],
    node: Arc<Atom>,
    creation: u32,
}

impl LocalKey {
    /// The key of a node with this name and incarnation. The secret is what tells this program from others.
    #[must_use]
    pub fn new(secret: [u8; 16], node: impl Into<Arc<Atom>>, creation: u32) -> Self {
        Self { secret, node: node.into(), creation }
    }

    /// The own node and its incarnation.
    pub(crate) fn node(&self) -> (&Arc<Atom>, u32) {
        (&self.node, self.creation)
    }

    /// Whether this is the own node.
    pub(crate) fn is_of(&self, node: &Atom, creation: u32) -> bool {
        self.creation == creation && *self.node == *node
    }

    /// What stands before a term of these bytes.
    pub(crate) fn hash(&self, term: &[u8]) -> [u8; 4] {
        // Which hash it is does not matter: who reads it is who wrote it.
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write(&self.secret);
        hasher.write(term);
        let [a, b, c, d, ..] = hasher.finish().to_be_bytes();
        [a, b, c, d]
    }
}

/// Without the secret.
impl fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey")
            .field("node", &self.node)
            .field("creation", &self.creation)
            .finish_non_exhaustive()
    }
}
