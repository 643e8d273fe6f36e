//! Why a command ended early. Each prints as one line.

use std::{io, path::PathBuf};

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A program that this command runs ended with another status than 0; it has said why itself.
    #[error("`{command}` failed ({status})")]
    Command { command: String, status: String },
    /// A program that this command needs could not be started.
    #[error("cannot run `{program}`: {source}")]
    Start { program: String, source: io::Error },
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// Something is missing that this command cannot bring itself.
    #[error("{0}")]
    Missing(String),
    /// A check of `verify` that does not hold.
    #[error("{0}")]
    Check(String),
}

impl Failure {
    /// For `map_err` on what touches `path`.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
