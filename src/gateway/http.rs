//! HTTP on the gateway's port: health, and the upgrade to a WebSocket on any path. Nothing here changes anything.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::budget::{Arrived, Key};
use super::handshake::Arrival;
use super::{Gateway, connection, join, page, source};
use crate::limits;
use crate::peer;

pub(super) type Reply = Response<Full<Bytes>>;

/// Serves one TCP connection, until it has to make room for another.
pub(super) async fn serve(gateway: Arc<Gateway>, stream: TcpStream, peer: SocketAddr, arrived: Arc<Arrived>) {
    // A socket that vanished between accept and here has nothing to be served.
    let Ok(local) = stream.local_addr() else { return };
    let _ = stream.set_nodelay(true);
    let place = Arc::clone(&arrived);
    let service = hyper::service::service_fn(move |request| {
        let (gateway, place) = (Arc::clone(&gateway), Arc::clone(&place));
        async move { Ok::<_, Infallible>(answer(&gateway, request, peer, local, place)) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HTTP_HEAD_DEADLINE)
        .max_buf_size(limits::HTTP_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let served = tokio::select! {
        served = served => served,
        () = arrived.evicted() => return,
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "an HTTP connection ended early");
    }
}

fn answer(
    gateway: &Arc<Gateway>,
    request: Request<Incoming>,
    peer: SocketAddr,
    local: SocketAddr,
    arrived: Arc<Arrived>,
) -> Reply {
    if request.headers().contains_key(header::UPGRADE) {
        return upgrade(gateway, request, peer, local, arrived);
    }
    let (parts, _) = request.into_parts();
    if let Some((_, token)) = parts.uri.path().rsplit_once("/j/") {
        return join::answer(gateway, &parts, token, (peer, local));
    }
    if !host_is_ours(&parts.headers, local) {
        return plain(StatusCode::MISDIRECTED_REQUEST, "Misdirected Request");
    }
    match parts.uri.path() {
        "/health" | "/healthz" => health(&parts, StatusCode::OK, r#"{"ok":true,"status":"live"}"#.to_owned()),
        "/ready" | "/readyz" => ready(gateway, &parts, peer),
        _ => page::answer(&parts).unwrap_or_else(|| plain(StatusCode::NOT_FOUND, "Not Found")),
    }
}

/// Ready is who can record; what fails, and for how long it is up, is told on this host only.
fn ready(gateway: &Gateway, parts: &Parts, peer: SocketAddr) -> Reply {
    let source = source::source(peer, &parts.headers, &gateway.settings, crate::pairing::PeerUser::NotAsked);
    let is_direct = source.peer.is_loopback() && source.forwarding == crate::pairing::Forwarding::None && !source.is_page;
    let is_ready = gateway.desk.authority.records();
    let failing = if is_ready { "" } else { r#""journal""# };
    let detail = format!(r#","failing":[{failing}],"uptimeMs":{}"#, gateway.desk.uptime_ms());
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    health(parts, status, format!(r#"{{"ready":{is_ready}{}}}"#, if is_direct { &detail } else { "" }))
}

fn health(parts: &Parts, status: StatusCode, body: String) -> Reply {
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        let mut reply = plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
        reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return reply;
    }
    let mut reply = respond(status, "application/json; charset=utf-8", body);
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// A page that reaches us under a name of its own must not read even our health (DNS rebinding).
pub(super) fn host_is_ours(headers: &HeaderMap, local: SocketAddr) -> bool {
    let Some((name, _)) = source::host(headers) else { return false };
    source::is_loopback_name(&name)
        || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical() == local.ip().to_canonical())
}

/// Any path upgrades (OpenClaw 2026.3.13), but only a request in exactly the form of RFC 6455, section 4.2.1.
fn upgrade(
    gateway: &Arc<Gateway>,
    mut request: Request<Incoming>,
    peer: SocketAddr,
    local: SocketAddr,
    arrived: Arc<Arrived>,
) -> Reply {
    let Some(key) = websocket_key(&request) else {
        return turned_away(StatusCode::BAD_REQUEST, "Bad Request");
    };
    let accept = derive_accept_key(key.as_bytes());
    let user = peer::user_of(peer, local, gateway.owner);
    let headers = request.headers();
    let settings = &gateway.settings;
    // Behind a listener on every address, the one that was reached is ours as well.
    let ours = [gateway.listeners.as_slice(), &[local]].concat();
    let source = source::source(peer, headers, settings, user);
    let page_is_allowed = source::page_is_allowed(headers, &ours, &settings.allowed_origins);
    let origin = headers.get(header::ORIGIN).filter(|_| page_is_allowed == Some(true)).and_then(|origin| origin.to_str().ok());
    let counted = Key::of(&source, origin);
    let registry = gateway.desk.authority.registry();
    let arrival = Arrival {
        recorded: source::recorded(&source, settings.addresses, registry.policy()),
        source,
        page_is_allowed,
        vouched: settings.vouching.as_ref().map(|vouching| source::vouched(peer, headers, settings, vouching)),
        counted,
    };
    let most = settings.newcomers.unwrap_or_else(|| gateway.desk.authority.registry().policy().budgets().socket.per_address);
    let Some(newcomer) = gateway.budgets.newcomer(arrival.counted.clone(), most, arrived) else {
        return turned_away(StatusCode::SERVICE_UNAVAILABLE, "Too many unauthenticated sockets");
    };
    let Some(place) = gateway.take_place() else {
        return turned_away(StatusCode::SERVICE_UNAVAILABLE, "Too many sockets");
    };
    let upgraded = hyper::upgrade::on(&mut request);
    let gateway = Arc::clone(gateway);
    tokio::spawn(async move {
        if let Ok(stream) = upgraded.await {
            connection::serve(gateway, TokioIo::new(stream), arrival, newcomer).await;
        }
        drop(place);
    });
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = reply.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    reply
}

/// The key of an upgrade that can be read in one way only: GET, HTTP/1.1, no body, each header once.
fn websocket_key(request: &Request<Incoming>) -> Option<String> {
    let headers = request.headers();
    let once = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
    };
    let is_plain = request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && request.body().is_end_stream()
        && !headers.contains_key(header::TRANSFER_ENCODING);
    let wants = once(header::UPGRADE)?.eq_ignore_ascii_case("websocket")
        && once(header::CONNECTION)?.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
        && once(header::SEC_WEBSOCKET_VERSION)? == "13"
        && once(header::HOST).is_some();
    let key = once(header::SEC_WEBSOCKET_KEY)?;
    (is_plain && wants && key.len() == 24).then(|| key.to_owned())
}

/// An upgrade that does not happen ends its connection, so that no proxy takes it for a tunnel.
fn turned_away(status: StatusCode, text: &'static str) -> Reply {
    let mut reply = plain(status, text);
    reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    reply
}

pub(super) fn plain(status: StatusCode, text: &'static str) -> Reply {
    respond(status, "text/plain; charset=utf-8", text)
}

pub(super) fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    reply
}
