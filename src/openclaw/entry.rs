//! One device as OpenClaw writes it, in our words. Closed: what no release knows is left out and named, and a device of which it
//! is not certain who it is, or that it was ever approved, is not taken over.

use std::net::{IpAddr, Ipv6Addr};

use serde_json::Value;

use super::{Entry, Flaw, Found};
use crate::limits;
use crate::pairing::{
    Client, ClientId, ClientMode, Description, DeviceId, ImportedGrant, ImportedToken, KnownScope, Millis, Profile, Role,
    ScopeSet, foreign_digest,
};
use crate::views::quote;
use crate::wire::devices::{Label, parse_public_key};

/// Whether a role is held only with a live token of it: so it is in 2026.9.6.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NeedsToken {
    Yes,
    No,
}

/// The device under `id`, or why it is none; what is left out of it is added to `flaws`.
pub(super) fn device(id: &str, entry: &Entry, needs_token: NeedsToken, flaws: &mut Vec<Flaw>) -> Result<Found, Flaw> {
    if entry.get("deviceId").is_some_and(|said| said.as_str() != Some(id)) {
        return Err(Flaw::TwoIds);
    }
    let key = text(entry, "publicKey").and_then(parse_public_key).ok_or(Flaw::NoKey)?;
    let device = DeviceId::of(&key);
    if device.to_string() != id {
        return Err(Flaw::NotTheHash);
    }
    let (created_at, approved_at) = time(entry, "createdAtMs").zip(time(entry, "approvedAtMs")).ok_or(Flaw::NeverApproved)?;
    let client =
        text(entry, "clientId").and_then(ClientId::from_text).zip(text(entry, "clientMode").and_then(ClientMode::from_text));
    let (client, mode) = client.ok_or(Flaw::NoClient)?;
    let grants = grants(entry, needs_token, flaws);
    if grants.is_empty() {
        return Err(Flaw::NoRole);
    }
    let address = text(entry, "remoteIp").and_then(|address| address.parse().ok());
    let label = text(entry, "operatorLabel").and_then(|label| Label::try_from(label.to_owned()).ok());
    let description = description(entry);
    let last_seen = last_seen(entry);
    let profile = Profile {
        device,
        key,
        client: Client { id: client, mode },
        description,
        label: label.map(|Label(label)| label),
        address: address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)).into(),
        created_at,
        approved_at,
    };
    Ok(Found { profile, grants, last_seen })
}

/// What it holds, by the number of the role.
fn grants(entry: &Entry, needs_token: NeedsToken, flaws: &mut Vec<Flaw>) -> Vec<ImportedGrant> {
    let empty = Entry::new();
    let tokens = entry.get("tokens").and_then(Value::as_object).unwrap_or(&empty);
    let roles: Vec<&str> = texts(entry, "roles").chain(text(entry, "role")).collect();
    let mut unknown: Vec<_> = roles.iter().filter(|role| Role::from_text(role).is_none()).collect();
    unknown.sort_unstable();
    unknown.dedup();
    flaws.extend(unknown.into_iter().map(|role| Flaw::UnknownRole(named(role))));
    // All that was approved; only without it counts what the device last asked for.
    let approved = if entry.get("approvedScopes").is_some_and(Value::is_array) { "approvedScopes" } else { "scopes" };
    let (known, other) = scopes(texts(entry, approved));
    if !other.is_empty() {
        flaws.push(Flaw::UnknownScopes(other));
    }
    let holds = |role: Role| roles.contains(&role.as_str());
    if !holds(Role::Operator) && !known.is_empty() {
        flaws.push(Flaw::ScopesOfNoRole(known.clone()));
    }
    let mut grants = vec![];
    for role in Role::ALL.iter().copied() {
        let token = tokens.get(role.as_str());
        if !holds(role) {
            flaws.extend(token.map(|_| Flaw::TokenOfNoRole(role)));
            continue;
        }
        // Every scope there is is an operator's.
        let scopes = if role == Role::Operator { known.clone() } else { ScopeSet::EMPTY };
        match token {
            Some(token) if token.get("revokedAtMs").is_some_and(|at| !at.is_null()) => flaws.push(Flaw::Revoked(role)),
            Some(token) => {
                let token = imported(token, role, &scopes, flaws);
                grants.push(ImportedGrant { role, scopes, token });
            }
            None if needs_token == NeedsToken::Yes => flaws.push(Flaw::NotHeld(role)),
            None => {
                flaws.push(Flaw::NoToken(role));
                grants.push(ImportedGrant { role, scopes, token: None });
            }
        }
    }
    grants
}

/// The token of a role, by its digest, within what was approved.
fn imported(token: &Value, role: Role, approved: &ScopeSet, flaws: &mut Vec<Flaw>) -> Option<ImportedToken> {
    let Some(token) = token.as_object().filter(|token| text(token, "role").is_none_or(|said| said == role.as_str())) else {
        flaws.push(Flaw::NotAToken(role));
        return None;
    };
    let (Some(secret), Some(created_at)) = (text(token, "token"), time(token, "createdAtMs")) else {
        flaws.push(Flaw::NotAToken(role));
        return None;
    };
    let Some(digest) = foreign_digest(secret) else {
        flaws.push(Flaw::WeakToken(role));
        return None;
    };
    let (carried, mut beyond) = scopes(texts(token, "scopes"));
    let scopes = carried.within(role, approved);
    beyond.splice(..0, carried.missing_from(role, approved).iter().map(str::to_owned));
    if !beyond.is_empty() {
        flaws.push(Flaw::TokenCut { role, beyond });
    }
    Some(ImportedToken { digest, scopes, created_at, rotated_at: time(token, "rotatedAtMs") })
}

/// Scopes that some release knows, and the texts that none does.
fn scopes<'a>(texts: impl Iterator<Item = &'a str>) -> (ScopeSet, Vec<String>) {
    let (mut known, mut other) = (vec![], vec![]);
    for text in texts {
        match KnownScope::from_text(text) {
            Some(scope) => known.push(scope),
            None => other.push(named(text)),
        }
    }
    other.sort_unstable();
    other.dedup();
    other.truncate(limits::SCOPES);
    (known.into_iter().collect(), other)
}

/// What the device said of itself; what a node offers is what was approved of it.
fn description(entry: &Entry) -> Description {
    let said = |key| text(entry, key).filter(|text| !text.trim().is_empty()).map(cut);
    let empty = Entry::new();
    let surface = entry.get("nodeSurface").and_then(Value::as_object).unwrap_or(&empty);
    let offered = |key| texts(surface, key).take(limits::CAPABILITIES).map(cut).collect();
    Description {
        platform: said("platform"),
        family: said("deviceFamily"),
        display_name: said("displayName"),
        version: text(surface, "version").map(cut),
        model: text(surface, "modelIdentifier").map(cut),
        instance: None,
        caps: offered("caps"),
        commands: offered("commands"),
    }
}

fn last_seen(entry: &Entry) -> Option<Millis> {
    let tokens = entry.get("tokens").and_then(Value::as_object).into_iter().flat_map(|tokens| tokens.values());
    let used = tokens.filter_map(|token| time(token.as_object()?, "lastUsedAtMs"));
    used.chain(time(entry, "lastSeenAtMs")).max()
}

fn text<'a>(entry: &'a Entry, key: &str) -> Option<&'a str> {
    entry.get(key).and_then(Value::as_str)
}

fn texts<'a>(entry: &'a Entry, key: &str) -> impl Iterator<Item = &'a str> {
    entry.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn time(entry: &Entry, key: &str) -> Option<Millis> {
    entry.get(key).and_then(Value::as_u64).map(Millis)
}

/// A text that somebody wrote, as it is told.
pub(super) fn named(text: &str) -> String {
    quote(&cut(text))
}

/// As much of a text as is kept of any.
fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(limits::TEXT_BYTES)).unwrap_or_default().to_owned()
}
