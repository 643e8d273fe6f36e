//! Certificates that are renewed while the node runs: their files are looked at again now and then, as OTP does.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use rustls::{ClientConfig, ServerConfig};

use super::{Depth, TlsError, TlsOptions, build};

/// OTP forgets what it has read every two minutes.
const LOOK_AGAIN: Duration = Duration::from_secs(120);

/// What the files of the options say, for one connection.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
    /// Of clients, and of servers.
    pub(super) depth: [Depth; 2],
}

impl Current {
    fn read(options: &TlsOptions) -> Result<Self, TlsError> {
        let depth = [
            Depth::new(options.server.depth, options.server.cacertfile.as_deref())?,
            Depth::new(options.client.depth, options.client.cacertfile.as_deref())?,
        ];
        Ok(Self { server: build::server(&options.server)?, client: build::client(&options.client)?, depth })
    }
}

/// The files of the options, and what they said last.
pub(super) struct Files {
    options: TlsOptions,
    /// How long what was read is good without a look at the files.
    pub(super) look_again: Duration,
    read: Mutex<Read>,
}

struct Read {
    current: Current,
    /// The files as they were then.
    seen: Vec<Seen>,
    looked: Instant,
}

/// What tells one content of a file from the next without reading it.
#[derive(PartialEq)]
struct Seen {
    file: PathBuf,
    state: Option<(u64, SystemTime)>,
}

impl Files {
    pub(super) fn read(now: Instant, options: &TlsOptions) -> Result<Self, TlsError> {
        let (seen, current) = (seen(options), Current::read(options)?);
        let look_again = LOOK_AGAIN;
        Ok(Self {
            options: options.clone(),
            look_again,
            read: Mutex::new(Read { current, seen, looked: now }),
        })
    }

    /// What they say now, which is read again where one of them has changed. Where that cannot be read, such as while
    /// it is written, what it said before stays until the next look.
    pub(super) fn current(&self, now: Instant) -> Current {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(read.looked) < self.look_again {
            return read.current.clone();
        }
        read.looked = now;
        let seen = seen(&self.options);
        if seen != read.seen {
            match Current::read(&self.options) {
                Ok(current) => {
                    tracing::info!("certificates have changed: new connections use them");
                    (read.current, read.seen) = (current, seen);
                }
                Err(error) => {
                    tracing::error!(%error, "changed certificates cannot be used: the old ones stay")
                }
            }
        }
        read.current.clone()
    }
}

fn seen(options: &TlsOptions) -> Vec<Seen> {
    let (server, client) = (&options.server, &options.client);
    let files = [
        &server.certfile,
        &server.keyfile,
        &server.cacertfile,
        &client.certfile,
        &client.keyfile,
        &client.cacertfile,
    ];
    let files = files.into_iter().flatten();
    files.map(|file| Seen { file: file.clone(), state: state(file).ok() }).collect()
}

fn state(file: &Path) -> io::Result<(u64, SystemTime)> {
    let metadata = fs::metadata(file)?;
    Ok((metadata.len(), metadata.modified()?))
}
