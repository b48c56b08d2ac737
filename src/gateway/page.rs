//! The Control UI: a few files as they are, served under a policy that lets nothing else into the page and frames it nowhere.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::http::{Reply, plain, respond};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! files {
    ($($path:literal $kind:ident $name:literal),+ $(,)?) => {
        &[$(($path, $kind, include_str!(concat!("page/", $name)))),+]
    };
}

/// Path, type and text of each file.
const FILES: &[(&str, &str, &str)] = files!(
    "/" HTML "index.html",
    "/page.css" CSS "page.css",
    "/icon.svg" SVG "icon.svg",
    "/page.js" SCRIPT "page.js",
    "/link.js" SCRIPT "link.js",
    "/device.js" SCRIPT "device.js",
    "/text.js" SCRIPT "text.js",
    "/gate.js" SCRIPT "gate.js",
    "/devices.js" SCRIPT "devices.js",
    "/rows.js" SCRIPT "rows.js",
    "/journal.js" SCRIPT "journal.js",
    "/provenance.js" SCRIPT "provenance.js",
    "/timeline.js" SCRIPT "timeline.js",
    "/policy.js" SCRIPT "policy.js",
    "/health.js" SCRIPT "health.js",
);

/// What the page may load and where it may connect: to where it came from (THREATS.md X28).
const MAY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
                   form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The file of the page that is asked for.
pub(super) fn answer(parts: &Parts) -> Option<Reply> {
    let (_, kind, text) = FILES.iter().find(|(path, ..)| *path == parts.uri.path())?;
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return Some(plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"));
    }
    let mut reply = respond(StatusCode::OK, kind, String::new());
    *reply.body_mut() = Full::new(Bytes::from_static(text.as_bytes()));
    let set = [
        (header::CONTENT_SECURITY_POLICY, MAY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in set {
        reply.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Some(reply)
}
