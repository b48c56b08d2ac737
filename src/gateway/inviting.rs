//! Setup codes: made, listed and taken back, and the address that a code says. A code's text leaves here once, to whoever asked for
//! it; what is kept is its digest, and for as long as the gateway runs the address that it was made with.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::Uri;
use serde_json::{Value, json};

use super::methods::{Caller, Desk};
use crate::limits;
use crate::pairing::{Command, KnownScope, Millis, Outcome, Role, RoleGrant, SetupCode, SetupCodeId, digest_of};
use crate::settings::Advertised;
use crate::wire::codes::{self, SetupCodeParams, SetupIdParams};
use crate::wire::error::{NoAddress, Subject, command_refused, no_address, unrecorded};
use crate::wire::frame::{Text, WireError};

/// What codes are made with.
pub struct Inviting {
    advertised: Result<Advertised, String>,
    /// The addresses that codes were made with; those whose time is over make room.
    addresses: Mutex<Vec<(SetupCodeId, Millis, String)>>,
}

/// An address for a code, and where it is from.
struct Found {
    url: String,
    from: &'static str,
}

impl Inviting {
    /// For a gateway that is reached as `advertised` says, or why that is not known.
    #[must_use]
    pub fn new(advertised: Result<Advertised, String>) -> Self {
        Self { advertised, addresses: Mutex::default() }
    }

    /// Whether `name` is the host of an address that is configured, or that a code was made with which may still be good.
    pub(super) fn knows_name(&self, name: &str, now: Millis) -> bool {
        let is_host = |url: &str| host_of(url).is_some_and(|host| host == name);
        let configured = self.advertised.iter().flat_map(|known| known.public.iter().chain(&known.remote));
        configured.filter_map(|text| normal(text)).any(|url| is_host(&url))
            || self.kept().iter().any(|(_, expires, url)| now < *expires && is_host(url))
    }

    /// The address that a code was made with; after a restart what one would be made with now.
    pub(super) fn address_of(&self, code: &SetupCodeId) -> Option<String> {
        let kept = self.kept().iter().find(|(known, ..)| known == code).map(|(.., url)| url.clone());
        kept.or_else(|| self.address(None, false, false).ok().map(|found| found.url))
    }

    fn keep(&self, code: SetupCodeId, expires: Millis, url: &str, now: Millis) {
        let mut kept = self.kept();
        kept.retain(|(_, expires, _)| now < *expires);
        if kept.len() < limits::SETUP_CODES {
            kept.push((code, expires, url.to_owned()));
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(SetupCodeId, Millis, String)>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address for a code: what was asked for, else what is configured, else where the gateway listens (OpenClaw 2026.9.6).
    fn address(&self, asked: Option<&str>, prefers_remote: bool, is_here: bool) -> Result<Found, NoAddress> {
        let known = self.advertised.as_ref().map_err(|why| NoAddress::Settings(why.clone()))?;
        if is_here {
            let ip = known.listen.first().copied().unwrap_or(Ipv4Addr::LOCALHOST.into());
            let ip = if ip.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { ip };
            return Ok(Found { url: listener(ip, known.port), from: "this host" });
        }
        let public = known.public.as_deref().filter(|_| !prefers_remote);
        let named = [
            (asked, "request.publicUrl"),
            (public, "plugins.entries.device-pair.config.publicUrl"),
            (known.remote.as_deref(), "gateway.remote.url"),
        ];
        if let Some((text, from)) = named.into_iter().find_map(|(text, from)| Some((text?, from))) {
            let url = normal(text).ok_or(NoAddress::Malformed(from))?;
            return if is_safe(&url) { Ok(Found { url, from }) } else { Err(NoAddress::Plain(from)) };
        }
        let from = match &*known.bind {
            "lan" => "gateway.bind=lan",
            "custom" => "gateway.bind=custom",
            _ => return Err(NoAddress::LoopbackOnly),
        };
        let ip = known.listen.iter().copied().find(|ip| !ip.is_unspecified()).or_else(outward).ok_or(NoAddress::NoLan)?;
        let url = listener(ip, known.port);
        if is_safe(&url) { Ok(Found { url, from }) } else { Err(NoAddress::Plain(from)) }
    }
}

fn listener(ip: IpAddr, port: u16) -> String {
    let host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
    format!("ws://{host}:{port}")
}

/// The address from which this machine would speak to others. Nothing is sent: connecting such a socket only chooses a route.
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified() && !ip.is_loopback()).then_some(ip)
}

/// An address as clients compare it: `ws` or `wss`, host in lower case, no default port, no slash behind it alone.
fn normal(text: &str) -> Option<String> {
    let text = text.trim();
    let uri: Uri = if text.contains("://") { text.parse().ok()? } else { format!("ws://{text}").parse().ok()? };
    let scheme = match uri.scheme_str()? {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        _ => return None,
    };
    let authority = uri.authority()?;
    let host = authority.host().to_ascii_lowercase();
    // Whatever stands before an @ is a secret that does not belong there.
    if host.is_empty() || authority.as_str().contains('@') || text.contains(['?', '#']) {
        return None;
    }
    let default = if scheme == "ws" { 80 } else { 443 };
    let has_port = authority.as_str().len() > authority.host().len();
    if has_port && authority.port_u16().is_none() {
        return None;
    }
    let port = authority.port_u16().filter(|port| *port != default).map(|port| format!(":{port}")).unwrap_or_default();
    let path = if uri.path() == "/" { "" } else { uri.path() };
    Some(format!("{scheme}://{host}{port}{path}"))
}

fn host_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    Some(uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned())
}

/// Whether it is this machine itself.
fn is_loopback(url: &str) -> bool {
    host_of(url).is_some_and(|host| super::source::is_loopback_name(&host))
}

/// Whether a client may be sent there: over TLS anywhere, without only within this machine or a private network (OpenClaw 2026.9.6,
/// whose clients refuse anything else).
fn is_safe(url: &str) -> bool {
    let Some(host) = host_of(url) else { return false };
    let is_private = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => host.ends_with(".local"),
    };
    url.starts_with("wss://") || is_loopback(url) || is_private
}

/// Where the code itself can be fetched from: never without TLS from another machine.
fn join_url(url: &str, token: &str) -> Option<String> {
    let base = match url.strip_prefix("wss://") {
        Some(rest) => format!("https://{rest}"),
        None if is_loopback(url) => format!("http://{}", url.strip_prefix("ws://")?),
        None => return None,
    };
    Some(format!("{}/j/{token}", base.trim_end_matches('/')))
}

impl Desk {
    /// `device.pair.setupCode`.
    pub(super) async fn invite(&self, caller: &Caller, params: SetupCodeParams) -> Result<Value, WireError> {
        const METHOD: &str = "device.pair.setupCode";
        let wrong = |why: String| WireError::invalid(format!("invalid {METHOD} params: {why}"));
        let (grants, lives_ms) = (params.grants().map_err(wrong)?, params.lives_ms().map_err(wrong)?);
        let asked = params.public_url.as_ref().map(|url| &*url.0);
        let found = self.inviting.address(asked, params.prefer_remote_url, params.on_this_host).map_err(no_address)?;
        if administrates(&grants) && !found.url.starts_with("wss://") && !is_loopback(&found.url) {
            return Err(no_address(NoAddress::PlainForAdmin));
        }
        let mut chance = [0; limits::SETUP_CODE_BYTES];
        self.host.fill(&mut chance);
        let token = codes::token_text(chance);
        let join = if params.join_url {
            Some(join_url(&found.url, &token).ok_or_else(|| no_address(NoAddress::PlainJoin))?)
        } else {
            None
        };
        let label = params.label.map(|label| label.0);
        let (digest, told) = (digest_of(&token), codes::grants(&grants));
        let access = codes::access(&grants);
        let command = Command::CreateSetupCode { grants, digest, lives_ms, label: label.clone() };
        let (code, expires) = match self.authority.ask(command, caller.actor.clone()).await {
            Ok(Outcome::CodeCreated { code, expires }) => (code, expires),
            Ok(Outcome::Refused(refusal)) => return Err(command_refused(&refusal, Subject::default())),
            Ok(_) | Err(_) => return Err(unrecorded()),
        };
        if params.only {
            self.take_back_older(caller, code, label.as_deref()).await?;
        }
        self.inviting.keep(code, expires, &found.url, self.host.wall());
        let mut result = json!({
            "setupId": code.to_string(),
            "expiresAtMs": expires.0,
            "setupCode": codes::setup_code(&codes::payload(&found.url, &token, expires)),
        });
        if let Some(result) = result.as_object_mut() {
            result.extend(join.map(|url| ("joinUrl".to_owned(), url.into())));
            let auth = self.inviting.advertised.as_ref().map(|known| known.auth.clone()).unwrap_or_default();
            for (key, value) in [
                ("gatewayUrl", found.url.into()),
                ("auth", auth.into()),
                ("urlSource", found.from.into()),
                ("access", access.into()),
                ("grants", told),
            ] {
                result.insert(key.to_owned(), value);
            }
            result.extend(label.map(|label| ("label".to_owned(), label.into())));
        }
        Ok(result)
    }

    /// Takes back the codes of the same label that were not made after this one: whoever comes last has the only one, and of two
    /// within a millisecond perhaps none.
    async fn take_back_older(&self, caller: &Caller, code: SetupCodeId, label: Option<&str>) -> Result<(), WireError> {
        let registry = self.authority.registry();
        let Some(own) = registry.setup_code(&code).map(|own| own.at) else { return Ok(()) };
        let is_older = |(id, known): &(&SetupCodeId, &Arc<SetupCode>)| {
            known.label.as_deref() == label && known.spent.is_none() && known.at <= own && **id != code
        };
        for (older, _) in registry.setup_codes().filter(is_older) {
            let command = Command::RevokeSetupCode { code: *older };
            // Spent or expired meanwhile is as good as taken back.
            self.authority.ask(command, caller.actor.clone()).await.map_err(|_| unrecorded())?;
        }
        Ok(())
    }

    /// `device.pair.setupStatus`.
    pub(super) fn invited(&self, params: &SetupIdParams) -> Value {
        let id = params.setup_id.0.parse().ok();
        id.map_or_else(|| json!({}), |id| codes::status(&self.authority.registry(), &id))
    }

    /// `device.pair.setupCodes`.
    pub(super) fn invitations(&self) -> Value {
        codes::list(&self.authority.registry(), self.host.wall())
    }

    /// `device.pair.revokeSetupCode`.
    pub(super) async fn uninvite(&self, caller: &Caller, Text(id): &Text) -> Result<Value, WireError> {
        let code = id.parse().map_err(|_| WireError::invalid("unknown setupId"))?;
        self.act(caller, Command::RevokeSetupCode { code }).await?;
        Ok(json!({ "setupId": code.to_string() }))
    }
}

fn administrates(grants: &[RoleGrant]) -> bool {
    grants.iter().any(|grant| grant.role == Role::Operator && grant.scopes.contains(KnownScope::Admin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling_and_no_secret() {
        for (text, url) in [
            ("ws://Gw.Example:18789/", Some("ws://gw.example:18789")),
            ("https://gw.example", Some("wss://gw.example")),
            ("https://gw.example:443/oc", Some("wss://gw.example/oc")),
            ("http://127.0.0.1:80", Some("ws://127.0.0.1")),
            ("gw.local:1", Some("ws://gw.local:1")),
            ("wss://[fd00::1]:9", Some("wss://[fd00::1]:9")),
            ("wss://u:p@gw.example", None),
            ("wss://gw.example/?t=1", None),
            ("ftp://gw.example", None),
            ("ws://gw.example:99999", None),
            ("", None),
        ] {
            assert_eq!(normal(text).as_deref(), url, "{text}");
        }
    }

    #[test]
    fn without_tls_a_code_stays_within_a_private_network_and_a_join_url_on_this_machine() {
        for (url, safe) in [
            ("wss://gw.example", true),
            ("ws://127.0.0.1:1", true),
            ("ws://[::1]:1", true),
            ("ws://192.168.1.2:1", true),
            ("ws://[fd00::1]:1", true),
            ("ws://gw.local", true),
            ("ws://gw.example", false),
            ("ws://203.0.113.9", false),
            ("ws://100.64.0.1", false),
        ] {
            assert_eq!(is_safe(url), safe, "{url}");
        }
        assert_eq!(join_url("wss://gw.example/oc", "x").as_deref(), Some("https://gw.example/oc/j/x"));
        assert_eq!(join_url("ws://[::1]:9", "x").as_deref(), Some("http://[::1]:9/j/x"));
        assert_eq!(join_url("ws://192.168.1.2:1", "x"), None);
    }
}
