//! Why a device is where it is, and the one command that would change that. The sentence about a request that waits is the one
//! that its device was told. What the registry does not remember is read off the device's own records.

use super::sentence::{About, event_sentence, refusal_sentence, rotate_command, time_text, who};
use crate::limits;
use crate::pairing::{
    ConnectionRefused, Device, DeviceId, Event, Grant, Millis, PairingExpired, PairingNeed, Policy, Reason, Record, Refusal,
    Registry, Request, RequestId, Role, Source, resting_rules, what_is_needed,
};

/// Where a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// It.
    pub device: DeviceId,
    /// In a word: paired, pending (a request of it waits, whatever it holds) or unpaired.
    pub state: &'static str,
    /// Its request that waits.
    pub request: Option<RequestId>,
    /// The one sentence that matters most, then what led to it.
    pub sentences: Vec<String>,
    /// The command that would change it, where one would.
    pub next: Option<String>,
}

/// Why `id` is where it is, as far as `history` (its records, newest first) and the requests that `sees` lets through tell; none
/// where they tell nothing.
#[must_use]
pub fn why(
    registry: &Registry,
    now: Millis,
    id: DeviceId,
    device: Option<&Device>,
    history: &[Record],
    sees: impl Fn(&Request) -> bool,
) -> Option<Why> {
    let policy = registry.policy();
    let asked = Role::ALL.iter().filter_map(|role| registry.waiting(&id, *role)).filter(|request| sees(request));
    let (waiting, over): (Vec<_>, Vec<_>) = asked.partition(|request| policy.due(request.last_at) > now);
    let mut sentences = vec![];
    let mut next = None;
    if let Some(succession) = registry.succession(&id) {
        let (by, at) = (succession.by, succession.at);
        sentences.push(refusal_sentence(&Refusal::Succeeded { by, at }, About { device: Some(&id), role: None, request: None }));
    }
    for request in &waiting {
        sentences.push(told(registry, request, history));
        next = next.or_else(|| Some(format!("openclaw devices approve {}", request.id)));
    }
    for request in &waiting {
        sentences.push(asked_for(policy, request));
        sentences.extend(told_otherwise(registry, request, history));
        if request.reason == Reason::NotPaired {
            sentences.extend(last_source(history).and_then(|source| remote(policy, source)));
        }
    }
    if let Some(device) = device {
        for (role, grant) in &device.grants {
            sentences.push(held(device, *role, grant));
            let narrow = grant.token.as_ref().filter(|token| !token.scopes.covers(*role, &grant.approved));
            if narrow.is_some() && grant.revoked.is_none() && next.is_none() {
                next = Some(rotate_command(About { device: Some(&id), role: Some(*role), request: None }, &grant.approved));
            }
        }
    }
    if waiting.is_empty() {
        let due = over.iter().map(|request| {
            let event = PairingExpired { request: request.id, device: id, due: policy.due(request.last_at) };
            expired(&event, history)
        });
        sentences.extend(due.chain(last_end(history, device.is_some())).next());
        sentences.extend(last_refusal(history));
    }
    let acts = history.iter().filter(|record| is_act(&record.event));
    sentences.extend(acts.take(limits::RESOLVED_PER_DEVICE).map(said_at));
    let state = match (waiting.first(), device) {
        (Some(_), _) => "pending",
        (None, Some(_)) => "paired",
        (None, None) => "unpaired",
    };
    let request = waiting.first().map(|request| request.id);
    (!sentences.is_empty()).then_some(Why { device: id, state, request, sentences, next })
}

/// What a waiting request says to its device, with the rule that would have spared a person and rests, if its last attempt met
/// one.
fn told(registry: &Registry, request: &Request, history: &[Record]) -> String {
    let met = last_attempt(request, history).and_then(|(_, need)| need.rests);
    let rests = met.filter(|met| resting_rules(registry).iter().any(|(rule, _)| rule == met));
    sentence(request, PairingNeed { rests, ..what_is_needed(registry, request) })
}

/// What the last attempt was told that named this request, where that was something else: it may have asked for less, or
/// something came between.
fn told_otherwise(registry: &Registry, request: &Request, history: &[Record]) -> Option<String> {
    let (record, need) = last_attempt(request, history)?;
    let is_the_same = sentence(request, need.clone()) == told(registry, request, history);
    (!is_the_same).then(|| said_at(record))
}

fn last_attempt<'a>(request: &Request, history: &'a [Record]) -> Option<(&'a Record, &'a PairingNeed)> {
    history.iter().find_map(|record| match &record.event {
        Event::ConnectionRefused(ConnectionRefused { refusal: Refusal::PairingRequired(need), .. })
            if need.request == request.id =>
        {
            Some((record, need))
        }
        _ => None,
    })
}

/// What a waiting request says to its device, to those who list it and in the log.
#[must_use]
pub fn pending(registry: &Registry, request: &Request) -> String {
    sentence(request, what_is_needed(registry, request))
}

fn sentence(request: &Request, need: PairingNeed) -> String {
    let about = About { device: Some(&request.device), role: Some(request.role), request: None };
    refusal_sentence(&Refusal::PairingRequired(need), about)
}

fn asked_for(policy: &Policy, request: &Request) -> String {
    let (since, last) = (time_text(request.created_at), time_text(request.last_at));
    let due = time_text(policy.due(request.last_at));
    format!(
        "request {} was made at {since}, last asked for at {last}, and expires at {due} unless it is asked for again",
        request.id
    )
}

fn held(device: &Device, role: Role, grant: &Grant) -> String {
    let id = device.id;
    match (&grant.revoked, &grant.token) {
        (Some((at, by)), _) if grant.is_suspended() => format!(
            "device {id} had the {role} role until it was suspended at {} by {}, who accepted an older copy of the journal",
            time_text(*at),
            who(by)
        ),
        (Some((at, by)), _) => {
            format!("device {id} had the {role} role until it was revoked at {} by {}", time_text(*at), who(by))
        }
        (None, Some(token)) if !token.scopes.covers(role, &grant.approved) => {
            format!("device {id} is approved for {} as {role}, but its token was narrowed to {}", grant.approved, token.scopes)
        }
        (None, _) => format!("device {id} is paired as {role} with {}", device.held(role)),
    }
}

/// How the last request ended, unless something was granted since.
fn last_end(history: &[Record], is_paired: bool) -> Option<String> {
    let ended = |record: &&Record| {
        let ends = matches!(&record.event, Event::PairingRejected(_) | Event::PairingExpired(_) | Event::DeviceRemoved(_));
        ends || matches!(&record.event, Event::PairingApproved(_) | Event::DeviceRestored(_))
    };
    let record = history.iter().find(ended)?;
    match &record.event {
        Event::PairingExpired(event) => Some(expired(event, history)),
        Event::PairingRejected(event) => {
            Some(format!("{}; device {} must reconnect to ask again", said_at(record), event.device))
        }
        Event::DeviceRemoved(event) if !is_paired => {
            Some(format!("{}; device {} must reconnect to ask again", said_at(record), event.device))
        }
        _ => None,
    }
}

fn expired(event: &PairingExpired, history: &[Record]) -> String {
    let made = history.iter().find_map(|record| match &record.event {
        Event::PairingRequested(made) if made.request == event.request => Some(format!(", made at {},", time_text(record.at))),
        _ => None,
    });
    let PairingExpired { request, device, due } = event;
    let (made, due) = (made.unwrap_or_default(), time_text(*due));
    format!("its last request {request}{made} expired unanswered at {due}; device {device} must reconnect to ask again")
}

/// The last refusal of a connection that no admission followed and no request explains.
fn last_refusal(history: &[Record]) -> Option<String> {
    let last = history.iter().find(|one| matches!(&one.event, Event::ConnectionAdmitted(_) | Event::ConnectionRefused(_)))?;
    match &last.event {
        Event::ConnectionRefused(ConnectionRefused { refusal: Refusal::PairingRequired(_), .. }) => None,
        Event::ConnectionRefused(_) => Some(said_at(last)),
        _ => None,
    }
}

/// What gave or took something.
fn is_act(event: &Event) -> bool {
    let gave = matches!(event, Event::PairingApproved(_) | Event::DeviceRestored(_) | Event::DeviceMetadataChanged(_));
    gave || matches!(event, Event::TokenRotated(_) | Event::TokenRevoked(_) | Event::GrantWithdrawn(_))
}

fn said_at(record: &Record) -> String {
    format!("at {} {}", time_text(record.at), event_sentence(record))
}

/// Where its last connection came from.
fn last_source(history: &[Record]) -> Option<&Source> {
    history.iter().find_map(|record| match &record.event {
        Event::ConnectionAdmitted(event) => Some(&event.attempt.source),
        Event::ConnectionRefused(event) => Some(&event.attempt.source),
        _ => None,
    })
}

/// Why no rule for local connections applied, and which setting has a say in it.
fn remote(policy: &Policy, source: &Source) -> Option<String> {
    let why = policy.local(source).err()?;
    let header = if source.forwarding.is_untrusted() { format!(" ({})", source.forwarding) } else { String::new() };
    let setting = match source.forwarding {
        forwarding if forwarding.is_untrusted() => {
            let claim = source.claimed.map(|claimed| format!(", {},", claimed.ip())).unwrap_or_default();
            format!(
                "; with {} in gateway.trustedProxies its word on the address{claim} would count, and it would still not be local",
                source.peer.ip()
            )
        }
        _ => String::new(),
    };
    Some(format!("it came from {} and counts as remote: {why}{header}{setting}", source.address().ip()))
}
