//! Where a server listens (wire.md 1.2, rule 9).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tracing::debug;

/// Most addresses to listen on: OTP's limit.
const LISTENERS_MAX: usize = 16;

/// Connections the system may hold ready for us: OTP's backlog.
const BACKLOG: i32 = 128;

/// A text is no IP address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("cannot parse IP address {0:?}")]
pub struct BadAddress(pub String);

/// The addresses in a list such as that of `ERL_EPMD_ADDRESS`, between commas or spaces.
pub fn parse_addresses(list: &str) -> Result<Vec<IpAddr>, BadAddress> {
    list.split([',', ' '])
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(|_| BadAddress(text.to_owned())))
        .collect()
}

/// Listens at `port` of every address wanted, and of loopback. The port is that of the first where it was 0.
pub(crate) fn listen_at(addresses: &[IpAddr], mut port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let mut listeners = Vec::new();
    for (address, is_needed) in wanted_addresses(addresses)? {
        match listen(SocketAddr::new(address, port)) {
            Ok(listener) => {
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            Err(error) if is_needed || error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => debug!(%address, %error, "not listening"),
        }
    }
    Ok((listeners, port))
}

/// Takes listeners that someone else has made. The port is that of the first.
pub(crate) fn take(listeners: Vec<TcpListener>) -> io::Result<(Vec<TcpListener>, u16)> {
    let taken: Vec<TcpListener> = listeners.into_iter().take(LISTENERS_MAX).collect();
    for listener in &taken {
        listener.set_nonblocking(true)?;
    }
    let Some(first) = taken.first() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no socket to listen on"));
    };
    let port = first.local_addr()?.port();
    Ok((taken, port))
}

/// Where to listen, and whether a failure there is one of the server.
fn wanted_addresses(addresses: &[IpAddr]) -> io::Result<Vec<(IpAddr, bool)>> {
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let mut wanted: Vec<(IpAddr, bool)> = if addresses.is_empty() {
        // A host may be without IPv6.
        vec![(any[0], true), (any[1], false)]
    } else {
        addresses.iter().map(|address| (*address, true)).collect()
    };
    for (loopback, any) in loopback.into_iter().zip(any) {
        if !wanted.iter().any(|(address, _)| *address == loopback || *address == any) {
            wanted.push((loopback, false));
        }
    }
    if wanted.len() > LISTENERS_MAX {
        let what = format!("cannot listen on more than {LISTENERS_MAX} IP addresses");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    Ok(wanted)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // On Windows this would let two servers share a port.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_lists() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(
            parse_addresses("127.0.0.1, ::1  10.0.0.1"),
            Ok(vec![ip("127.0.0.1"), ip("::1"), ip("10.0.0.1")])
        );
        assert_eq!(parse_addresses(" ,"), Ok(vec![]));
        assert_eq!(parse_addresses("127.0.0.1,host"), Err(BadAddress("host".into())));
    }

    #[test]
    fn loopback_is_always_wanted() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let wanted = |list: &[&str]| {
            let list: Vec<IpAddr> = list.iter().map(|text| ip(text)).collect();
            wanted_addresses(&list)
                .map(|list| list.into_iter().map(|(a, n)| (a.to_string(), n)).collect::<Vec<_>>())
        };
        let expect =
            |list: &[(&str, bool)]| list.iter().map(|(a, n)| (a.to_string(), *n)).collect::<Vec<_>>();
        assert_eq!(wanted(&[]).unwrap(), expect(&[("0.0.0.0", true), ("::", false)]));
        assert_eq!(
            wanted(&["10.0.0.1"]).unwrap(),
            expect(&[("10.0.0.1", true), ("127.0.0.1", false), ("::1", false)])
        );
        assert_eq!(wanted(&["127.0.0.1"]).unwrap(), expect(&[("127.0.0.1", true), ("::1", false)]));
        let many: Vec<String> = (1..=15).map(|last| format!("10.0.0.{last}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(wanted(&many[..14]).is_ok());
        assert_eq!(wanted(&many).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
