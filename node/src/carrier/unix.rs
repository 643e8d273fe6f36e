//! Unix domain sockets, for nodes of one host (wire.md 7.2).

use std::{
    fs::{self, File, TryLockError},
    io,
    net::Shutdown,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::PathBuf,
};

use socket2::SockRef;
use tokio::net::{UnixListener, UnixStream};

use super::{BoxFuture, Carrier, Destination, Incoming, LengthPrefix, ListenAt, Listener, NodeName, Stream};

/// Unix domain sockets in a folder that the nodes of a cluster share: that of the node `a@h` is the file `a@h` there,
/// so EPMD is not needed. Only the owner of a node may connect to it.
///
/// A node has its name for as long as it holds the lock of a file `.a@h.lock` there: a node that was killed is in
/// nobody's way, and of two that start at once one is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unix {
    folder: PathBuf,
}

impl Unix {
    /// The sockets of this folder, which must be there. A path in it must not be longer than the system allows, which
    /// is some 100 bytes.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The socket of a node.
    fn path(&self, node: &NodeName) -> io::Result<PathBuf> {
        // A peer may name any node to us, and nothing outside of the folder is one.
        if node.host().contains('/') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the host of the name has a '/'"));
        }
        Ok(self.folder.join(node.as_str()))
    }

    fn bind(&self, node: &NodeName) -> io::Result<UnixAccept> {
        let path = self.path(node)?;
        let failed = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let lock = Lock::take(self.folder.join(format!(".{}.lock", node.as_str()))).map_err(failed)?;
        // Whoever had the name is gone, and may have left its socket.
        if fs::symlink_metadata(&path).is_ok_and(|file| file.file_type().is_socket()) {
            fs::remove_file(&path).map_err(failed)?;
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        let accept = UnixAccept { listener, path, _lock: lock };
        fs::set_permissions(&accept.path, fs::Permissions::from_mode(0o600))?;
        Ok(accept)
    }
}

/// The right to a name, which ends with the process at the latest.
struct Lock {
    path: PathBuf,
    _file: File,
}

/// How often the lock is tried: its file may be one that whoever had it before removes at this very moment.
const LOCK_TRIES_MAX: usize = 10;

impl Lock {
    fn take(path: PathBuf) -> io::Result<Self> {
        for _ in 0..LOCK_TRIES_MAX {
            let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let ours = file.metadata()?;
            if fs::metadata(&path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
                return Ok(Self { path, _file: file });
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "the name is in use by another node"))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While we have the lock. If it cannot be removed, it is the next node's.
        let _ = fs::remove_file(&self.path);
    }
}

impl Carrier for Unix {
    fn listen<'a>(&'a self, at: ListenAt<'a>) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move { Ok(Box::new(self.bind(at.name)?) as Box<dyn Listener>) })
    }

    fn connect<'a>(&'a self, to: Destination<'a>) -> BoxFuture<'a, io::Result<Stream>> {
        Box::pin(async move {
            let path = self.path(to.name)?;
            let failed =
                |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            Ok(stream_of(UnixStream::connect(&path).await.map_err(failed)?))
        })
    }

    fn length_prefix(&self) -> LengthPrefix {
        LengthPrefix::U32
    }

    fn uses_epmd(&self) -> bool {
        false
    }
}

struct UnixAccept {
    listener: UnixListener,
    path: PathBuf,
    /// Dropped last: the name is ours until the socket is removed.
    _lock: Lock,
}

impl Drop for UnixAccept {
    fn drop(&mut self) {
        // If it cannot be removed, the next node of the name does so.
        let _ = fs::remove_file(&self.path);
    }
}

impl Listener for UnixAccept {
    fn port(&self) -> u16 {
        0
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Incoming>> {
        Box::pin(async move {
            let (stream, _) = self.listener.accept().await?;
            // Whoever connects has no address, but is somebody.
            let from = match stream.peer_cred() {
                Ok(peer) => match peer.pid() {
                    Some(pid) => format!("process {pid} of user {}", peer.uid()),
                    None => format!("a process of user {}", peer.uid()),
                },
                Err(_) => "a process of this host".into(),
            };
            Ok(Incoming { from, stream: Box::pin(async move { Ok(stream_of(stream)) }) })
        })
    }
}

fn stream_of(stream: UnixStream) -> Stream {
    // Without a second handle (no file descriptors left) the connection ends a moment later than others.
    let socket = SockRef::from(&stream).try_clone().ok();
    Stream::new(stream).unbuffered().on_hang_up(move || {
        if let Some(socket) = socket {
            // An error means that it is over already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let unix = Unix::new("/run/nodes");
        let path = |name: &str| unix.path(&name.parse().expect("a node's name"));
        assert_eq!(path("a@h").expect("inside"), Path::new("/run/nodes/a@h"));
        assert_eq!(path("a@..").expect("inside"), Path::new("/run/nodes/a@.."));
        for name in ["a@../b", "a@h/../../b", "a@/etc"] {
            assert_eq!(path(name).expect_err("outside").kind(), io::ErrorKind::InvalidInput, "{name}");
        }
    }

    /// Also before it listens: of two nodes that find the socket of a third, which is gone, the second must not remove
    /// that of the first.
    #[tokio::test]
    async fn a_name_is_whose_lock_it_is() {
        let folder = std::env::temp_dir().join(format!("crabnode-lock-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        let (unix, name) = (Unix::new(&folder), "a@h".parse().expect("a node's name"));
        let path = unix.path(&name).expect("inside");
        drop(UnixListener::bind(&path).expect("a socket can be made"));
        let lock = Lock::take(folder.join(".a@h.lock")).expect("nobody has it");
        assert_eq!(unix.bind(&name).err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
        assert!(path.exists());
        drop(lock);
        drop(unix.bind(&name).expect("nobody has it any more"));
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 0);
        fs::remove_dir(&folder).expect("it is empty");
    }
}
