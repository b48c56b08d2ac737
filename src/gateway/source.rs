//! Where does a request come from, as far as its socket and its headers tell? Parsing only: what follows from it is the
//! policy's to say.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::{FORWARDED, HOST, ORIGIN};

use crate::pairing::{Address, Forwarding, PeerUser, Source};
use crate::settings::Network;

/// Headers by which a proxy says that it passed a request on.
const FORWARDING: &[&str] = &["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-real-ip", "via"];

/// Reads the source of a request.
#[must_use]
pub(super) fn source(peer: SocketAddr, headers: &HeaderMap, trusted: &[Network], user: PeerUser) -> Source {
    let address = Address::from(peer.ip().to_canonical());
    let is_trusted = |address: Address| trusted.iter().any(|network| network.contains(address));
    let is_forwarded = headers.contains_key(FORWARDED) || FORWARDING.iter().any(|name| headers.contains_key(*name));
    let claimed = claimed(headers, is_trusted);
    let forwarding = match (is_forwarded, claimed) {
        (false, _) => Forwarding::None,
        (true, Some(_)) if is_trusted(address) => Forwarding::Trusted,
        (true, _) => Forwarding::Untrusted,
    };
    Source {
        peer: address,
        forwarding,
        claimed,
        host_is_loopback: host(headers).is_some_and(|(name, _)| is_loopback_name(&name)),
        is_page: headers.contains_key(ORIGIN),
        user,
    }
}

/// The right-most hop that is no proxy of ours, else `X-Real-IP`.
fn claimed(headers: &HeaderMap, is_trusted: impl Fn(Address) -> bool) -> Option<Address> {
    let text = |name: &str| headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",");
    let hops = text("x-forwarded-for");
    let hop = hops.split(',').rev().filter_map(parse_hop).find(|address| !is_trusted(*address));
    hop.or_else(|| parse_hop(&text("x-real-ip")))
}

/// An address as proxies write it: with or without port and brackets.
fn parse_hop(text: &str) -> Option<Address> {
    let text = text.trim();
    let ip = text.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    let ip = ip.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    ip.map(|ip| ip.to_canonical().into())
}

/// Name and port of the Host header.
#[must_use]
pub(super) fn host(headers: &HeaderMap) -> Option<(String, Option<u16>)> {
    let authority: hyper::http::uri::Authority = headers.get(HOST)?.to_str().ok()?.parse().ok()?;
    let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    Some((name, authority.port_u16()))
}

/// Whether a host name means this machine.
#[must_use]
pub(super) fn is_loopback_name(name: &str) -> bool {
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Whether a page of this origin may connect: it is one of ours, or listed. `null` and `*` never are.
#[must_use]
pub(super) fn origin_is_allowed(origin: &str, listeners: &[SocketAddr], listed: &[String]) -> bool {
    let origin = origin.trim_end_matches('/');
    if origin == "null" || origin == "*" {
        return false;
    }
    let ours = listeners.iter().any(|listener| {
        let port = listener.port();
        let is_ours = |name: &str| origin.eq_ignore_ascii_case(&format!("http://{name}:{port}"));
        let literal = match listener.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        is_ours(&literal) || (listener.ip().is_loopback() && is_ours("localhost"))
    });
    ours || listed.iter().any(|known| known.trim_end_matches('/').eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(peer: &str, headers: &[(&str, &str)], trusted: bool) -> Source {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: hyper::header::HeaderName = name.parse().expect("a header name");
            map.append(name, value.parse().expect("a header value"));
        }
        let state = tempfile::tempdir().expect("a scratch directory");
        let config = "{ gateway: { trustedProxies: ['127.0.0.1'], auth: { token: 'a' } } }";
        std::fs::write(state.path().join("openclaw.json"), config).expect("written");
        let settings = crate::settings::Settings::load(
            &crate::state::StateDir::at(state.path()),
            &crate::settings::Flags::default(),
            &crate::host::SystemHost::new(),
        );
        let trusted = if trusted { settings.expect("settings").trusted_proxies } else { vec![] };
        source(peer.parse().expect("an address"), &map, &trusted, PeerUser::Owner)
    }

    #[test]
    fn a10_only_a_trusted_proxy_is_believed() {
        let forged = read("127.0.0.1:1", &[("x-forwarded-for", "203.0.113.9"), ("host", "localhost")], false);
        assert_eq!((forged.forwarding, forged.address().is_loopback()), (Forwarding::Untrusted, true));
        let passed = read("127.0.0.1:1", &[("x-forwarded-for", "198.51.100.7, 203.0.113.9:55, 127.0.0.1")], true);
        assert_eq!((passed.forwarding, passed.address().ip().to_string()), (Forwarding::Trusted, "203.0.113.9".to_owned()));
        let stranger = read("192.0.2.1:1", &[("x-forwarded-for", "127.0.0.1")], true);
        assert_eq!((stranger.forwarding, stranger.address().ip().to_string()), (Forwarding::Untrusted, "192.0.2.1".to_owned()));
        assert_eq!(read("[::ffff:1.2.3.4]:1", &[], false).address().ip().to_string(), "1.2.3.4");
    }

    #[test]
    fn a09_host_and_origin_are_judged_by_name_and_port() {
        for (host, is_loopback) in [
            ("localhost:1", true),
            ("127.8.8.8", true),
            ("[::1]:18789", true),
            ("localhost.evil.test", false),
            ("gw.example.test", false),
        ] {
            assert_eq!(read("127.0.0.1:1", &[("host", host)], false).host_is_loopback, is_loopback, "{host}");
        }
        let listeners = ["127.0.0.1:18789".parse().expect("an address")];
        let listed = ["https://ui.example.test".to_owned()];
        for (origin, is_allowed) in [
            ("http://127.0.0.1:18789", true),
            ("http://localhost:18789", true),
            ("https://ui.example.test", true),
            ("http://localhost:3000", false),
            ("https://127.0.0.1:18789", false),
            ("null", false),
            ("*", false),
        ] {
            assert_eq!(origin_is_allowed(origin, &listeners, &listed), is_allowed, "{origin}");
        }
    }
}
