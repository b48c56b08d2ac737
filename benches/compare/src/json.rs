//! A line of an exported journal as serde_json reads it.
#![expect(dead_code, reason = "reading is what is measured")]

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line<'a> {
    seq: u64,
    at_ms: u64,
    kind: u16,
    #[serde(borrow)]
    actor: Actor<'a>,
    #[serde(borrow)]
    fields: Fields<'a>,
}

#[derive(Deserialize)]
struct Actor<'a> {
    number: u8,
    #[serde(borrow)]
    device: Option<&'a str>,
    #[serde(borrow)]
    rule: Option<&'a str>,
    #[serde(borrow)]
    scopes: Option<Vec<&'a str>>,
}

/// Of all events together.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    attempt: Option<Attempt<'a>>,
    #[serde(borrow)]
    rule: Option<&'a str>,
    #[serde(borrow)]
    refusal: Option<Refusal<'a>>,
    admission: Option<u64>,
    code: Option<u16>,
    #[serde(borrow)]
    request: Option<&'a str>,
    #[serde(borrow)]
    device: Option<&'a str>,
    #[serde(borrow)]
    role: Option<&'a str>,
    #[serde(borrow)]
    scopes: Option<Vec<&'a str>>,
    #[serde(borrow)]
    scopes_before: Option<Vec<&'a str>>,
}

#[derive(Deserialize)]
struct Attempt<'a> {
    connection: &'a str,
    #[serde(borrow)]
    source: Source<'a>,
    #[serde(borrow)]
    fault: Option<&'a str>,
    protocol: Option<u8>,
    #[serde(borrow)]
    client: Option<Client<'a>>,
    #[serde(borrow)]
    ask: Option<Ask<'a>>,
    #[serde(borrow)]
    proof: Option<Proof<'a>>,
    #[serde(borrow)]
    credential: Option<Credential<'a>>,
}

#[derive(Deserialize)]
struct Source<'a> {
    peer: &'a str,
    forwarding: &'a str,
    #[serde(borrow)]
    claimed: Option<&'a str>,
    host_is_loopback: bool,
    is_page: bool,
    user: &'a str,
}

#[derive(Deserialize)]
struct Client<'a> {
    id: &'a str,
    mode: &'a str,
}

#[derive(Deserialize)]
struct Ask<'a> {
    role: &'a str,
    #[serde(borrow)]
    scopes: Vec<&'a str>,
    described: Described,
}

#[derive(Deserialize)]
struct Described {
    like: Option<u64>,
}

#[derive(Deserialize)]
struct Proof<'a> {
    device: &'a str,
    form: &'a str,
}

#[derive(Deserialize)]
struct Credential<'a> {
    mode: &'a str,
    shared: &'a str,
    token: &'a str,
    token_is_explicit: bool,
    bootstrap: bool,
}

#[derive(Deserialize)]
struct Refusal<'a> {
    number: u8,
    #[serde(borrow)]
    auth: Option<&'a str>,
    #[serde(borrow)]
    fault: Option<&'a str>,
    retry: bool,
}
