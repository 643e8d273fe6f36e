//! TLS, as `erl -proto_dist inet_tls -ssl_dist_optfile FILE` has it (wire.md 7.1).
//!
//! The connections between nodes are encrypted, and each side may ask who the other is; what goes to and from EPMD is
//! not. The cookie is needed as well. TLS is rustls's: versions 1.2 and 1.3, its cipher suites, and names in certificates
//! as subject alternative names only.
//!
//! ```no_run
//! use std::sync::Arc;
//! use crabnode::{NodeConfig, carrier::{Tcp, tls::{Tls, TlsOptions}}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The very file that the BEAM nodes have.
//! let options = TlsOptions::read("ssl_dist.conf")?;
//! let mut config = NodeConfig::new("rust@node.example");
//! config.carrier = Arc::new(Tls::new(Tcp::default(), &options)?);
//! # Ok(())
//! # }
//! ```

use std::{fmt, io, path::Path, sync::Arc, time::Duration};

pub use rustls;
use rustls::{
    ClientConfig, ServerConfig,
    pki_types::{CertificateDer, ServerName},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{
    BoxFuture, Carrier, Destination, Incoming, LengthPrefix, ListenAt, Listener, Stream, Tcp,
    tcp::{TcpAccept, hang_up},
};
use crate::clock;

mod build;
mod options;
mod renewal;
pub use options::{
    ClientOptions, ServerName as CheckedName, ServerOptions, TlsError, TlsOptions, Verify, Version,
};
use renewal::{Current, Files};

/// TLS over TCP.
pub struct Tls {
    tcp: Tcp,
    source: Arc<Source>,
    name: CheckedName,
}

/// Where certificates come from.
enum Source {
    Files(Box<Files>),
    /// rustls was told.
    Given(Current),
}

impl Source {
    fn current(&self) -> Current {
        match self {
            Self::Files(files) => files.current(clock::now()),
            Self::Given(current) => current.clone(),
        }
    }
}

impl Tls {
    /// TLS with these options over TCP with those. Reads the files that the options name, and again where one of them
    /// has changed when a connection is made two minutes or more after the last look, as OTP does: a renewed
    /// certificate needs no new start, and no end of the connections that are there. A changed file that cannot be used
    /// is logged, and what it said before stays.
    pub fn new(tcp: Tcp, options: &TlsOptions) -> Result<Self, TlsError> {
        let source = Arc::new(Source::Files(Box::new(Files::read(clock::now(), options)?)));
        Ok(Self { tcp, source, name: options.client.server_name.clone() })
    }

    /// After how long the files of the options are looked at again, instead of two minutes: `ssl_pem_cache_clean`.
    /// Without effect once a node has started with it, and where there are no files.
    #[must_use]
    pub fn look_again_after(mut self, time: Duration) -> Self {
        if let Some(Source::Files(files)) = Arc::get_mut(&mut self.source) {
            files.look_again = time;
        }
        self
    }

    /// TLS as rustls is told, for what [`TlsOptions`] does not say. The name that a peer's certificate is checked
    /// for is the host of its node's name.
    #[must_use]
    pub fn from_rustls(tcp: Tcp, server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> Self {
        let current = Current { server, client, depth: [Depth::any(), Depth::any()] };
        Self { tcp, source: Arc::new(Source::Given(current)), name: CheckedName::Host }
    }

    fn server_name(&self, to: Destination<'_>) -> io::Result<ServerName<'static>> {
        let name = match &self.name {
            CheckedName::Host | CheckedName::Unchecked => to.name.host(),
            CheckedName::This(name) => name,
        };
        ServerName::try_from(name.to_owned()).map_err(|_| {
            let what =
                format!("TLS: {name:?} is no name that a certificate can have: neither DNS's nor an address");
            io::Error::new(io::ErrorKind::InvalidInput, what)
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

impl Carrier for Tls {
    fn listen<'a>(&'a self, at: ListenAt<'a>) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        let source = Arc::clone(&self.source);
        Box::pin(
            async move { Ok(Box::new(TlsListener { tcp: self.tcp.bind(at)?, source }) as Box<dyn Listener>) },
        )
    }

    fn connect<'a>(&'a self, to: Destination<'a>) -> BoxFuture<'a, io::Result<Stream>> {
        Box::pin(async move {
            let name = self.server_name(to)?;
            let tcp = self.tcp.connect_to(to).await?;
            let hang_up = hang_up(&tcp);
            let Current { client, depth: [_, depth], .. } = self.source.current();
            let tls = TlsConnector::from(client).connect(name, tcp).await.map_err(of_tls)?;
            depth.check(tls.get_ref().1.peer_certificates())?;
            Ok(Stream::new(tls).on_hang_up(hang_up))
        })
    }

    /// Four bytes (wire.md 7.1).
    fn length_prefix(&self) -> LengthPrefix {
        LengthPrefix::U32
    }

    fn tcp(&self) -> Option<&Tcp> {
        Some(&self.tcp)
    }
}

struct TlsListener {
    tcp: TcpAccept,
    source: Arc<Source>,
}

impl Listener for TlsListener {
    fn port(&self) -> u16 {
        self.tcp.port
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Incoming>> {
        Box::pin(async move {
            let (tcp, address) = self.tcp.accept().await?;
            let stream = Box::pin(accept(self.source.current(), tcp));
            Ok(Incoming { from: address.to_string(), stream })
        })
    }
}

async fn accept(current: Current, tcp: TcpStream) -> io::Result<Stream> {
    let Current { server, depth: [depth, _], .. } = current;
    let hang_up = hang_up(&tcp);
    let tls = TlsAcceptor::from(server).accept(tcp).await.map_err(of_tls)?;
    depth.check(tls.get_ref().1.peer_certificates())?;
    Ok(Stream::new(tls).on_hang_up(hang_up))
}

/// How many certificates may stand between a peer's own and one that is trusted.
#[derive(Clone)]
struct Depth {
    max: Option<usize>,
    /// Those that are trusted, which do not count where a peer sends them along, as BEAM nodes do.
    trusted: Arc<[CertificateDer<'static>]>,
}

impl Depth {
    /// Nothing is said of it.
    fn any() -> Self {
        Self { max: None, trusted: Arc::default() }
    }

    fn new(max: Option<usize>, cacertfile: Option<&Path>) -> Result<Self, TlsError> {
        match (max, cacertfile) {
            (Some(_), Some(file)) => Ok(Self { max, trusted: build::certificates(file)?.into() }),
            _ => Ok(Self { max, ..Self::any() }),
        }
    }

    fn check(&self, chain: Option<&[CertificateDer<'_>]>) -> io::Result<()> {
        let between = chain.unwrap_or_default().iter().skip(1);
        let between = between.filter(|certificate| !self.trusted.contains(*certificate)).count();
        match self.max {
            Some(max) if between > max => {
                let what = format!(
                    "TLS: {between} certificates between the peer's own and a trusted one; `depth` is {max}"
                );
                Err(io::Error::new(io::ErrorKind::InvalidData, what))
            }
            _ => Ok(()),
        }
    }
}

fn of_tls(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("TLS: {error}"))
}
