//! Where does a request come from, as far as its socket and its headers tell? Parsing only: what follows from it is the
//! policy's to say.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN};

use crate::pairing::{Address, Forwarding, PeerUser, Policy, SharedVerdict, Source};
use crate::settings::{AddressDetail, Settings, Vouching};

/// How headers begin by which a proxy says that it passed a request on, and what is noted of the first that is there.
const FORWARDING: &[(&str, Forwarding)] = &[
    ("x-forwarded-for", Forwarding::ForwardedFor),
    ("x-real-ip", Forwarding::RealIp),
    ("forwarded", Forwarding::Forwarded),
    ("x-forwarded-", Forwarding::ForwardedOther),
    ("via", Forwarding::Via),
    // Tailscale's proxy names its user so.
    ("tailscale-", Forwarding::Tailscale),
];

/// Reads the source of a request.
#[must_use]
pub(super) fn source(peer: SocketAddr, headers: &HeaderMap, settings: &Settings, user: PeerUser) -> Source {
    let address = Address::from(peer.ip().to_canonical());
    let is_there = |begin: &str| {
        let is_whole = !begin.ends_with('-');
        headers.keys().any(|name| if is_whole { name.as_str() == begin } else { name.as_str().starts_with(begin) })
    };
    let forwarded = FORWARDING.iter().find(|(begin, _)| is_there(begin)).map(|(_, forwarding)| *forwarding);
    let is_proxy = settings.is_trusted_proxy(address);
    let claimed = claimed(headers, settings, settings.takes_real_ip || !is_proxy);
    let forwarding = match (forwarded, claimed) {
        (None, _) => Forwarding::None,
        (Some(_), Some(_)) if is_proxy => Forwarding::Trusted,
        (Some(untrusted), _) => untrusted,
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

/// As much of a source as is recorded.
#[must_use]
pub(super) fn recorded(source: &Source, detail: AddressDetail, policy: &Policy) -> Source {
    let cut = |address| detail.of(address, |address| policy.trusts_node_at(address));
    Source { peer: cut(source.peer), claimed: source.claimed.map(cut), ..source.clone() }
}

/// The right-most hop that is no proxy of ours: what stands left of it, and of a hop that cannot be read, anybody may have
/// written. Where there are no hops, `X-Real-IP`, if that counts or nothing does and it is only noted.
fn claimed(headers: &HeaderMap, settings: &Settings, takes_real_ip: bool) -> Option<Address> {
    let text = |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?")).collect::<Vec<_>>().join(",");
    let hops = text("x-forwarded-for");
    let mut hops = hops.split(',').rev().map(str::trim).filter(|hop| !hop.is_empty()).map(parse_hop).peekable();
    if hops.peek().is_none() && takes_real_ip {
        return parse_hop(&text("x-real-ip"));
    }
    hops.find(|hop| hop.is_none_or(|address| !settings.is_trusted_proxy(address))).flatten()
}

/// What a trusted proxy says of its user, as the shared secret of the auth mode `trusted-proxy`. A header that is there twice
/// may be half the client's own, so it says nothing.
#[must_use]
pub(super) fn vouched(peer: SocketAddr, headers: &HeaderMap, settings: &Settings, vouching: &Vouching) -> SharedVerdict {
    let once = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let only = values.next().filter(|_| values.next().is_none());
        only.and_then(|value| value.to_str().ok()).map(str::trim).filter(|text| !text.is_empty())
    };
    let is_proxy = settings.is_trusted_proxy(peer.ip().to_canonical().into());
    if !is_proxy || !vouching.required_headers.iter().all(|name| once(name).is_some()) {
        return SharedVerdict::NotConfigured;
    }
    match once(&vouching.user_header) {
        None => SharedVerdict::Missing,
        Some(user) if vouching.users.is_empty() || vouching.users.iter().any(|known| known == user) => SharedVerdict::Right,
        Some(_) => SharedVerdict::Wrong,
    }
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

/// Whether a page may connect: its origin is one of ours, or listed. None where no page asks; two origins are none.
#[must_use]
pub(super) fn page_is_allowed(headers: &HeaderMap, listeners: &[SocketAddr], listed: &[String]) -> Option<bool> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let origin = origins.next()?;
    let is_only = origins.next().is_none();
    Some(is_only && origin.to_str().is_ok_and(|origin| origin_is_allowed(origin, listeners, listed)))
}

/// Scheme, host and port have to be those of a listener, or of an origin listed. `null` and `*` never are.
fn origin_is_allowed(origin: &str, listeners: &[SocketAddr], listed: &[String]) -> bool {
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

    fn settings(config: &str) -> Settings {
        let state = tempfile::tempdir().expect("a scratch directory");
        std::fs::write(state.path().join("openclaw.json"), config).expect("written");
        let host = crate::host::SystemHost::new();
        Settings::load(&crate::state::StateDir::at(state.path()), &crate::settings::Flags::default(), &host).expect("settings")
    }

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: hyper::header::HeaderName = name.parse().expect("a header name");
            map.append(name, value.parse().expect("a header value"));
        }
        map
    }

    fn read(peer: &str, headers: &[(&str, &str)], trusted: bool) -> Source {
        let proxies = if trusted { "['127.0.0.1']" } else { "[]" };
        let settings = settings(&format!("{{ gateway: {{ trustedProxies: {proxies}, auth: {{ token: 'a' }} }} }}"));
        source(peer.parse().expect("an address"), &map(headers), &settings, PeerUser::Owner)
    }

    #[test]
    fn a10_only_a_trusted_proxy_is_believed() {
        let forged = read("127.0.0.1:1", &[("x-forwarded-for", "203.0.113.9"), ("host", "localhost")], false);
        assert_eq!((forged.forwarding, forged.address().is_loopback()), (Forwarding::ForwardedFor, true));
        let passed = read("127.0.0.1:1", &[("x-forwarded-for", "198.51.100.7, 203.0.113.9:55, 127.0.0.1")], true);
        assert_eq!((passed.forwarding, passed.address().ip().to_string()), (Forwarding::Trusted, "203.0.113.9".to_owned()));
        for (hops, address) in [
            ("203.0.113.9, , 127.0.0.1", Some("203.0.113.9")),
            ("203.0.113.9, unknown, 127.0.0.1", None),
            ("203.0.113.9, unknown", None),
        ] {
            let passed = read("127.0.0.1:1", &[("x-forwarded-for", hops)], true);
            assert_eq!(passed.claimed.map(|address| address.ip().to_string()).as_deref(), address, "{hops}");
        }
        for (name, noted) in [
            ("forwarded", Forwarding::Forwarded),
            ("x-forwarded-server", Forwarding::ForwardedOther),
            ("x-real-ip", Forwarding::RealIp),
            ("via", Forwarding::Via),
            ("tailscale-user-login", Forwarding::Tailscale),
            ("viable", Forwarding::None),
        ] {
            assert_eq!(read("127.0.0.1:1", &[(name, "203.0.113.9")], true).forwarding, noted, "{name}");
        }
        let stranger = read("192.0.2.1:1", &[("x-forwarded-for", "127.0.0.1")], true);
        assert_eq!(
            (stranger.forwarding, stranger.address().ip().to_string()),
            (Forwarding::ForwardedFor, "192.0.2.1".to_owned())
        );
        assert_eq!(read("[::ffff:1.2.3.4]:1", &[], false).address().ip().to_string(), "1.2.3.4");
    }

    #[test]
    fn a10_a_proxy_names_its_user_once_and_past_every_header_it_has_to_send() {
        let settings = settings(
            "{ gateway: { trustedProxies: ['10.0.0.1'], auth: { mode: 'trusted-proxy',
               trustedProxy: { userHeader: 'X-User', requiredHeaders: ['x-proof'], allowUsers: ['ann'] } } } }",
        );
        let vouching = settings.vouching.clone().expect("it is the mode");
        let proof = ("x-proof", "1");
        for (peer, headers, verdict) in [
            ("10.0.0.1:1", &[("x-user", "ann"), proof][..], SharedVerdict::Right),
            ("10.0.0.2:1", &[("x-user", "ann"), proof], SharedVerdict::NotConfigured),
            ("10.0.0.1:1", &[("x-user", "ann")], SharedVerdict::NotConfigured),
            ("10.0.0.1:1", &[("x-user", "bob"), proof], SharedVerdict::Wrong),
            ("10.0.0.1:1", &[("x-user", " "), proof], SharedVerdict::Missing),
            ("10.0.0.1:1", &[proof], SharedVerdict::Missing),
            ("10.0.0.1:1", &[("x-user", "ann"), ("x-user", "bob"), proof], SharedVerdict::Missing),
        ] {
            let peer = peer.parse().expect("an address");
            assert_eq!(vouched(peer, &map(headers), &settings, &vouching), verdict, "{headers:?}");
        }
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
