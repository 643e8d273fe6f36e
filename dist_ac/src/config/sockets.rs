//! Options of sockets in a `sys.config`.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use crabnode::{Term, carrier::SocketOptions};

/// An address as `inet:ip_address()`: four bytes, or eight words.
pub(super) fn address(value: &Term) -> Option<IpAddr> {
    fn all<const N: usize, T: TryFrom<u64>>(parts: &[Term]) -> Option<[T; N]> {
        let parts: Option<Vec<T>> = parts.iter().map(|part| T::try_from(part.as_u64()?).ok()).collect();
        parts?.try_into().ok()
    }
    match value.as_tuple()? {
        parts @ [_, _, _, _] => Some(Ipv4Addr::from(all::<4, u8>(parts)?).into()),
        parts => Some(Ipv6Addr::from(all::<8, u16>(parts)?).into()),
    }
}

/// The options changed by those of a list, and the backlog if it is there. Nothing if one is not known.
pub(super) fn options(before: &SocketOptions, value: &Term) -> Option<(SocketOptions, Option<u32>)> {
    let (mut options, mut backlog) = (before.clone(), None);
    for option in value.as_list()? {
        let [Term::Atom(name), value] = option.as_tuple()? else { return None };
        match name.as_str() {
            "nodelay" => options.nodelay = value.as_bool()?,
            "keepalive" => options.keepalive = value.as_bool()?,
            "keepidle" => options.keepidle = Some(Duration::from_secs(value.as_u64()?)),
            "sndbuf" => options.sndbuf = Some(usize::try_from(value.as_u64()?).ok()?),
            "recbuf" => options.recbuf = Some(usize::try_from(value.as_u64()?).ok()?),
            "tos" => options.tos = Some(u8::try_from(value.as_u64()?).ok()?),
            "backlog" => backlog = Some(u32::try_from(value.as_u64()?).ok()?),
            // The BEAM's own buffers and timeouts, which are made otherwise here; and an address that may be used
            // again is one in any case.
            "buffer" | "high_watermark" | "low_watermark" | "send_timeout" | "send_timeout_close"
            | "delay_send" | "linger" | "priority" | "reuseaddr" => {}
            _ => return None,
        }
    }
    Some((options, backlog))
}

#[cfg(test)]
mod tests {
    use etf::text::parse_term;

    use super::*;

    fn parsed(text: &str) -> Term {
        parse_term(text).expect("a term")
    }

    #[test]
    fn addresses_are_those_of_inet() {
        assert_eq!(address(&parsed("{127,0,0,1}")), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(address(&parsed("{0,0,0,0,0,0,0,1}")), Some(Ipv6Addr::LOCALHOST.into()));
        for text in ["{256,0,0,1}", "{1,2,3}", "{0,0,0,0,0,0,0,65536}", "{-1,0,0,0}", "localhost", "{}"] {
            assert_eq!(address(&parsed(text)), None, "{text}");
        }
    }

    #[test]
    fn options_are_known_or_refused() {
        let before = SocketOptions::default();
        let text =
            "[{nodelay,false},{keepalive,true},{keepidle,30},{sndbuf,65536},{tos,16},{backlog,5},{buffer,9}]";
        let wanted = SocketOptions {
            nodelay: false,
            keepalive: true,
            keepidle: Some(Duration::from_secs(30)),
            sndbuf: Some(65536),
            tos: Some(16),
            ..before.clone()
        };
        assert_eq!(options(&before, &parsed(text)), Some((wanted, Some(5))));
        for text in ["[{nodelay,yes}]", "[{tos,256}]", "[{unheard,1}]", "[nodelay]", "nodelay"] {
            assert_eq!(options(&before, &parsed(text)), None, "{text}");
        }
    }
}
