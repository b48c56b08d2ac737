//! `GET /j/<token>`: what a client needs in order to pair, for whoever has a setup code's token (OpenClaw 2026.9.6). It changes
//! nothing: a code is spent by pairing. A token that no code has is a wrong guess like any other.

use std::net::SocketAddr;

use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::budget::Key;
use super::http::{Reply, host_is_ours, plain, respond};
use super::{Gateway, source};
use crate::pairing::digest_of;
use crate::peer;
use crate::wire::codes;

/// Answers a request for a code. The name under which it is asked must be ours, configured, or one that a code was made with.
pub(super) fn answer(gateway: &Gateway, parts: &Parts, token: &str, (peer, local): (SocketAddr, SocketAddr)) -> Reply {
    let (desk, now) = (&gateway.desk, gateway.desk.host.wall());
    let named = || source::host(&parts.headers).is_some_and(|(name, _)| desk.inviting.knows_name(&name, now));
    if !host_is_ours(&parts.headers, local) && !named() {
        return plain(StatusCode::MISDIRECTED_REQUEST, "Misdirected Request");
    }
    let user = peer::user_of(peer, local, gateway.owner);
    let source = source::source(peer, &parts.headers, &gateway.settings, user);
    let is_asked = parts.method == Method::GET && parts.uri.query().is_none() && codes::is_token_text(token);
    let registry = desk.authority.registry();
    let budget = registry.policy().budgets().failure;
    let found = gateway.budgets.compare(&budget, Key::of(&source, None), desk.host.monotonic(), || {
        let known = if is_asked { registry.unspent_code(&digest_of(token), now) } else { None };
        let payload = known.and_then(|(id, code)| Some(codes::payload(&desk.inviting.address_of(id)?, token, code.expires)));
        let is_wrong = known.is_none();
        (payload, is_wrong)
    });
    let (status, body, rest_ms) = match found {
        Ok(Some(payload)) => (StatusCode::OK, payload.to_string(), None),
        Ok(None) => (StatusCode::NOT_FOUND, r#"{"error":"not_found"}"#.to_owned(), None),
        Err(rest_ms) => (StatusCode::TOO_MANY_REQUESTS, r#"{"error":"rate_limited"}"#.to_owned(), Some(rest_ms)),
    };
    let mut reply = respond(status, "application/json; charset=utf-8", body);
    let headers = reply.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(rest_ms.map(|ms| (header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)))));
    reply
}
