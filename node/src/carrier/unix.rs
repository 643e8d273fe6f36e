//! Unix sockets: nodes of one host, without EPMD and without a port.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};

use socket2::SockRef;
use tokio::net::{UnixListener, UnixStream};

use super::{BoxFuture, Carrier, Destination, Incoming, ListenAt, Listener, Stream};

/// Unix sockets in a folder that the nodes of a cluster share: each listens at the file that is called as it is, such as
/// `rust@localhost`. Only the owner of a node may connect to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unix {
    folder: PathBuf,
}

impl Unix {
    /// Sockets in this folder, which must be there. A path in it must not be longer than the system allows, which is
    /// some 100 bytes.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    async fn bind(&self, at: ListenAt<'_>) -> io::Result<UnixAccept> {
        let path = self.folder.join(at.name.as_str());
        let listener = match UnixListener::bind(&path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(&path).await => {
                fs::remove_file(&path)?;
                UnixListener::bind(&path)?
            }
            result => result?,
        };
        let accept = UnixAccept { listener, path };
        fs::set_permissions(&accept.path, fs::Permissions::from_mode(0o600))?;
        Ok(accept)
    }
}

/// Whether a socket's file is of a node that is gone.
async fn is_left_behind(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).await.err().is_some_and(refused)
}

fn stream_of(stream: UnixStream) -> Stream {
    let socket = SockRef::from(&stream).try_clone().ok();
    Stream::new(stream).unbuffered().on_hang_up(move || {
        if let Some(socket) = socket {
            // An error means that it is over already.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    })
}

impl Carrier for Unix {
    fn listen<'a>(&'a self, at: ListenAt<'a>) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move { Ok(Box::new(self.bind(at).await?) as Box<dyn Listener>) })
    }

    fn connect<'a>(&'a self, to: Destination<'a>) -> BoxFuture<'a, io::Result<Stream>> {
        Box::pin(async move { Ok(stream_of(UnixStream::connect(self.folder.join(to.name.as_str())).await?)) })
    }

    fn uses_epmd(&self) -> bool {
        false
    }
}

/// A listener, whose file goes with it.
struct UnixAccept {
    listener: UnixListener,
    path: PathBuf,
}

impl Listener for UnixAccept {
    fn port(&self) -> u16 {
        0
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Incoming>> {
        Box::pin(async move {
            let (stream, _) = self.listener.accept().await?;
            let from = match stream.peer_cred().ok().and_then(|credentials| credentials.pid()) {
                Some(pid) => format!("process {pid}"),
                None => "a process of this host".into(),
            };
            Ok(Incoming { from, stream: Box::pin(async move { Ok(stream_of(stream)) }) })
        })
    }
}

impl Drop for UnixAccept {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
