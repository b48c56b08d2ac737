//! A line of an exported journal as serde_json reads it, with its texts as `T`.
#![expect(dead_code, reason = "reading is what is measured")]

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line<T> {
    seq: u64,
    at_ms: u64,
    kind: u16,
    actor: Actor<T>,
    fields: Fields<T>,
}

#[derive(Deserialize)]
struct Actor<T> {
    number: u8,
    device: Option<T>,
    rule: Option<T>,
    scopes: Option<Vec<T>>,
}

/// Of all events together.
#[derive(Deserialize)]
struct Fields<T> {
    attempt: Option<Attempt<T>>,
    rule: Option<T>,
    refusal: Option<Refusal<T>>,
    admission: Option<u64>,
    code: Option<u16>,
    request: Option<T>,
    device: Option<T>,
    role: Option<T>,
    scopes: Option<Vec<T>>,
    scopes_before: Option<Vec<T>>,
}

#[derive(Deserialize)]
struct Attempt<T> {
    connection: T,
    source: Source<T>,
    fault: Option<T>,
    protocol: Option<u8>,
    client: Option<Client<T>>,
    ask: Option<Ask<T>>,
    proof: Option<Proof<T>>,
    credential: Option<Credential<T>>,
}

#[derive(Deserialize)]
struct Source<T> {
    peer: T,
    forwarding: T,
    claimed: Option<T>,
    host_is_loopback: bool,
    is_page: bool,
    user: T,
}

#[derive(Deserialize)]
struct Client<T> {
    id: T,
    mode: T,
}

#[derive(Deserialize)]
struct Ask<T> {
    role: T,
    scopes: Vec<T>,
    described: Described,
}

#[derive(Deserialize)]
struct Described {
    like: Option<u64>,
}

#[derive(Deserialize)]
struct Proof<T> {
    device: T,
    form: T,
}

#[derive(Deserialize)]
struct Credential<T> {
    mode: T,
    shared: T,
    token: T,
    token_is_explicit: bool,
    bootstrap: bool,
}

#[derive(Deserialize)]
struct Refusal<T> {
    number: u8,
    auth: Option<T>,
    fault: Option<T>,
    retry: bool,
}
