//! A record as one line of JSON, for other programs (journal-format.md, "Records as JSON"). Members are called as the fields of
//! the document, codes are their texts, ids their usual spelling; what is absent is left out. It loses nothing but what names or
//! checks a token: whoever gets an export can neither test a guess nor tell which tokens share a key.

use serde_json::{Map, Value, json};

use crate::pairing::{
    Actor, Ask, Attempt, Client, Credential, Described, Description, Digest, Event, ImportedGrant, PairingNeed, Person, Profile,
    Record, Refusal, Resolution, RoleGrant, ScopeSet, Source,
};
use crate::views::{is_plain, time_text};

/// The record.
#[must_use]
pub fn record(record: &Record) -> Value {
    json!({
        "seq": record.seq.0,
        "atMs": record.at.0,
        "at": time_text(record.at),
        "kind": record.event.kind(),
        "event": record.event.name(),
        "actor": actor(&record.actor),
        "fields": fields(&record.event),
    })
}

/// A value as one line, in which whatever a terminal would obey, or would not show, is escaped.
#[must_use]
pub fn line(value: &Value) -> String {
    let mut line = String::new();
    // Outside its strings JSON has plain characters only.
    for c in value.to_string().chars() {
        let mut units = [0; 2];
        match c {
            c if is_plain(c) => line.push(c),
            c => c.encode_utf16(&mut units).iter().for_each(|unit| line += &format!("\\u{unit:04x}")),
        }
    }
    line
}

fn fields(event: &Event) -> Value {
    match event {
        Event::JournalCreated(event) => json!({ "journal": event.journal.to_string(), "policy": event.policy }),
        Event::GatewayStarted(event) => {
            let setting = |(name, value): &(String, String)| json!({ "name": name, "value": value });
            members([
                ("version", Some(event.version.as_str().into())),
                ("identity", event.identity.map(|id| id.to_string().into())),
                ("settings", Some(event.settings.iter().map(setting).collect())),
            ])
        }
        Event::GatewayStopped(event) => json!({ "cause": event.cause }),
        Event::JournalRepaired(event) => {
            json!({ "after": event.after.0, "offset": event.offset, "bytes": event.bytes, "kept": event.kept })
        }
        Event::SegmentSealed(event) => json!({ "first": event.first.0, "bytes": event.bytes }),
        Event::ConditionFound(event) => json!({ "condition": event.condition.as_str(), "detail": event.detail }),
        Event::ConditionCleared(event) => json!({ "condition": event.condition.as_str() }),
        Event::HistoryArchived(event) => {
            json!({ "through": event.through.0, "hash": event.hash.to_string(), "archive": event.archive })
        }
        Event::WitnessPlaced(event) => {
            members([("path", Some(event.path.as_str().into())), ("lost", event.lost.as_deref().map(Into::into))])
        }
        Event::ConnectionAdmitted(event) => {
            json!({ "attempt": attempt(&event.attempt), "rule": event.rule.as_str(), "scopes": scopes(&event.scopes) })
        }
        Event::ConnectionRefused(event) => {
            json!({ "attempt": attempt(&event.attempt), "refusal": refusal(&event.refusal) })
        }
        Event::ConnectionClosed(event) => json!({ "admission": event.admission.0, "code": event.code }),
        Event::CommandRefused(event) => members([
            ("command", Some(event.command.as_str().into())),
            ("request", event.request.map(|id| id.to_string().into())),
            ("device", event.device.map(|id| id.to_string().into())),
            ("role", event.role.map(|role| role.as_str().into())),
            ("scopes", event.scopes.as_ref().map(scopes)),
            ("refusal", Some(refusal(&event.refusal))),
        ]),
        Event::PairingRequested(event) => members([
            ("request", Some(event.request.to_string().into())),
            ("reason", Some(event.reason.as_str().into())),
            ("device", Some(event.device.to_string().into())),
            ("key", Some(Digest(event.key.0).to_string().into())),
            ("ask", Some(ask(&event.ask))),
            ("client", Some(client(event.client))),
            ("form", Some(event.form.as_str().into())),
            ("address", Some(event.address.ip().to_string().into())),
            ("supersedes", event.supersedes.map(|id| id.to_string().into())),
        ]),
        Event::PairingApproved(event) => members([
            ("device", Some(event.device.to_string().into())),
            ("role", Some(event.role.as_str().into())),
            ("scopes", Some(scopes(&event.scopes))),
            ("act", Some(event.act.as_str().into())),
            ("request", event.request.map(|id| id.to_string().into())),
        ]),
        Event::PairingRejected(event) => json!({ "request": event.request.to_string(), "device": event.device.to_string() }),
        Event::PairingExpired(event) => {
            json!({ "request": event.request.to_string(), "device": event.device.to_string(), "due": event.due.0 })
        }
        Event::DeviceMetadataChanged(event) => members([
            ("device", Some(event.device.to_string().into())),
            ("platform", text(event.platform.as_ref())),
            ("platform_before", text(event.platform_before.as_ref())),
        ]),
        Event::DeviceRemoved(event) => json!({ "device": event.device.to_string() }),
        Event::DeviceRenamed(event) => members([
            ("device", Some(event.device.to_string().into())),
            ("label", Some(event.label.as_str().into())),
            ("label_before", text(event.label_before.as_ref())),
        ]),
        Event::TokenIssued(event) => {
            json!({ "device": event.device.to_string(), "role": event.role.as_str(), "scopes": scopes(&event.scopes) })
        }
        Event::TokenRotated(event) => json!({
            "device": event.device.to_string(),
            "role": event.role.as_str(),
            "scopes_before": scopes(&event.scopes_before),
            "scopes": scopes(&event.scopes),
        }),
        Event::TokenRevoked(event) => json!({ "device": event.device.to_string(), "role": event.role.as_str() }),
        Event::PolicyChanged(event) => json!({ "policy": event.policy }),
        Event::OwnerActsSeen(event) => json!({ "through": event.through.0 }),
        Event::RuleArmed(event) => json!({ "rule": event.rule.as_str() }),
        Event::AttemptsSuppressed(event) => members([
            ("like", event.like.map(|seq| seq.0.into())),
            ("address", event.address.map(|address| address.ip().to_string().into())),
            ("device", event.device.map(|id| id.to_string().into())),
            ("request", event.request.map(|id| id.to_string().into())),
            ("refusal", Some(event.refusal.into())),
            ("count", Some(event.count.into())),
            ("first", Some(event.first.0.into())),
            ("last", Some(event.last.0.into())),
        ]),
        Event::SetupCodeCreated(event) => members([
            ("code", Some(event.code.to_string().into())),
            ("grants", Some(event.grants.iter().map(role_grant).collect())),
            ("expires", Some(event.expires.0.into())),
            ("label", text(event.label.as_ref())),
        ]),
        Event::SetupCodeSpent(event) => json!({ "code": event.code.to_string(), "device": event.device.to_string() }),
        Event::SetupCodeRevoked(event) => json!({ "code": event.code.to_string() }),
        Event::RollbackAccepted(event) => json!({
            "head": event.head.0,
            "witnessed": event.witnessed.0,
            "hash": event.hash.to_string(),
            "keeps": event.keeps.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        Event::ConfigurationChanged(event) => members([
            ("key", Some(event.key.as_str().into())),
            ("before", text(event.before.as_ref())),
            ("after", text(event.after.as_ref())),
        ]),
        Event::ActUndone(event) => json!({ "undoes": event.undoes.0 }),
        Event::GrantWithdrawn(event) => {
            json!({ "device": event.device.to_string(), "role": event.role.as_str(), "scopes": scopes(&event.scopes) })
        }
        Event::DeviceRestored(event) => json!({
            "profile": profile(&event.profile),
            "grants": event.grants.iter().map(role_grant).collect::<Value>(),
        }),
        Event::DeviceImported(event) => json!({
            "source": event.source.to_string(),
            "profile": profile(&event.profile),
            "grants": event.grants.iter().map(imported_grant).collect::<Value>(),
        }),
        Event::DeviceSucceeded(event) => json!({
            "device": event.device.to_string(),
            "by": event.by.to_string(),
            "request": event.request.to_string(),
        }),
        // Which keys there are is nobody's business.
        Event::TokenKeyReplaced(_) => json!({}),
    }
}

fn profile(profile: &Profile) -> Value {
    members([
        ("device", Some(profile.device.to_string().into())),
        ("key", Some(Digest(profile.key.0).to_string().into())),
        ("client", Some(client(profile.client))),
        ("description", Some(description(&profile.description))),
        ("label", text(profile.label.as_ref())),
        ("address", Some(profile.address.ip().to_string().into())),
        ("created_at", Some(profile.created_at.0.into())),
        ("approved_at", Some(profile.approved_at.0.into())),
    ])
}

fn imported_grant(grant: &ImportedGrant) -> Value {
    let token = grant.token.as_ref().map(|token| {
        members([
            ("scopes", Some(scopes(&token.scopes))),
            ("created_at", Some(token.created_at.0.into())),
            ("rotated_at", token.rotated_at.map(|at| at.0.into())),
        ])
    });
    members([("role", Some(grant.role.as_str().into())), ("scopes", Some(scopes(&grant.scopes))), ("token", token)])
}

fn role_grant(grant: &RoleGrant) -> Value {
    json!({ "role": grant.role.as_str(), "scopes": scopes(&grant.scopes) })
}

pub(super) fn actor(actor: &Actor) -> Value {
    match actor {
        Actor::Peer => json!({ "number": 0 }),
        Actor::Device { device, scopes: held } => {
            json!({ "number": 1, "device": device.to_string(), "scopes": scopes(held) })
        }
        Actor::Owner(by) => json!({ "number": if by.from_exec { 6 } else { 2 }, "person": person(by) }),
        Actor::SharedSecret { rule, scopes: held } => json!({ "number": 3, "scopes": scopes(held), "rule": rule.as_str() }),
        Actor::Rule(rule) => json!({ "number": 4, "rule": rule.as_str() }),
        Actor::System => json!({ "number": 5 }),
    }
}

fn person(person: &Person) -> Value {
    members([
        ("uid", Some(person.uid.into())),
        ("pid", Some(person.pid.into())),
        ("program", Some(person.program.as_str().into())),
        ("terminal", text(person.terminal.as_ref())),
    ])
}

fn attempt(attempt: &Attempt) -> Value {
    members([
        ("connection", Some(attempt.connection.to_string().into())),
        ("source", Some(source(&attempt.source))),
        ("fault", attempt.fault.map(|fault| fault.as_str().into())),
        ("protocol", attempt.protocol.map(Into::into)),
        ("client", attempt.client.map(client)),
        ("ask", attempt.ask.as_ref().map(ask)),
        ("proof", attempt.proof.map(|proof| json!({ "device": proof.device.to_string(), "form": proof.form.as_str() }))),
        ("credential", attempt.credential.as_ref().map(credential)),
    ])
}

fn source(source: &Source) -> Value {
    members([
        ("peer", Some(source.peer.ip().to_string().into())),
        ("forwarding", Some(source.forwarding.as_str().into())),
        ("claimed", source.claimed.map(|address| address.ip().to_string().into())),
        ("host_is_loopback", Some(source.host_is_loopback.into())),
        ("is_page", Some(source.is_page.into())),
        ("user", Some(source.user.as_str().into())),
    ])
}

fn client(client: Client) -> Value {
    json!({ "id": client.id.as_str(), "mode": client.mode.as_str() })
}

fn ask(ask: &Ask) -> Value {
    json!({ "role": ask.role.as_str(), "scopes": scopes(&ask.scopes), "described": described(&ask.described) })
}

fn described(described: &Described) -> Value {
    members([("like", described.like.map(|seq| seq.0.into())), ("here", described.here.as_deref().map(description))])
}

fn description(description: &Description) -> Value {
    members([
        ("platform", text(description.platform.as_ref())),
        ("family", text(description.family.as_ref())),
        ("display_name", text(description.display_name.as_ref())),
        ("version", text(description.version.as_ref())),
        ("model", text(description.model.as_ref())),
        ("instance", text(description.instance.as_ref())),
        ("caps", Some(description.caps.as_slice().into())),
        ("commands", Some(description.commands.as_slice().into())),
    ])
}

fn credential(credential: &Credential) -> Value {
    json!({
        "mode": credential.mode.as_str(),
        "shared": credential.shared.as_str(),
        "token": credential.token.as_str(),
        "token_is_explicit": credential.token_is_explicit,
        "bootstrap": credential.bootstrap,
    })
}

fn refusal(refusal: &Refusal) -> Value {
    match refusal {
        Refusal::Fault(fault) => json!({ "number": 1, "fault": fault.as_str(), "retry": false }),
        Refusal::ControlUiNeedsDevice => json!({ "number": 2, "retry": false }),
        Refusal::DeviceRequired => json!({ "number": 3, "retry": false }),
        Refusal::Unauthorized { reason, may_retry_with_device_token, rotated_at } => members([
            ("number", Some(4.into())),
            ("auth", Some(reason.as_str().into())),
            ("retry", Some((*may_retry_with_device_token).into())),
            ("at", rotated_at.map(|at| at.0.into())),
        ]),
        Refusal::PairingRequired(missing) => members([
            ("number", Some(refusal.number().into())),
            ("retry", Some(false.into())),
            ("need", Some(need(missing))),
            ("rule", missing.rests.map(|rule| rule.as_str().into())),
        ]),
        Refusal::PendingTableFull => json!({ "number": 6, "retry": false }),
        Refusal::MissingScope(missing) => json!({ "number": 7, "retry": false, "scopes": scopes(missing) }),
        Refusal::NeedsAdmin => json!({ "number": 8, "retry": false }),
        Refusal::UnknownRequest => json!({ "number": 9, "retry": false }),
        Refusal::Resolved(how) => json!({ "number": 10, "retry": false, "resolution": resolution(how) }),
        Refusal::UnknownDevice => json!({ "number": 11, "retry": false }),
        Refusal::RoleNotHeld(role) => json!({ "number": 12, "retry": false, "role": role.as_str() }),
        Refusal::TokenKeyUnusable => json!({ "number": 13, "retry": false }),
        Refusal::HeldAlready => json!({ "number": 14, "retry": false }),
        Refusal::PolicyDenied { rule, beyond } => {
            json!({ "number": 15, "retry": false, "scopes": scopes(beyond), "words": rule })
        }
        Refusal::RecordBudgetSpent { retry_after_ms } => json!({ "number": 16, "retry": false, "wait_ms": retry_after_ms }),
        Refusal::FromExecShell => json!({ "number": 17, "retry": false }),
        Refusal::LoosensPolicy { keys } => json!({ "number": 18, "retry": false, "words": keys }),
        Refusal::BadPolicy { why } => json!({ "number": 19, "retry": false, "words": why }),
        Refusal::UnknownSetupCode => json!({ "number": 21, "retry": false }),
        Refusal::TooManySetupCodes => json!({ "number": 22, "retry": false }),
        Refusal::NotPossible { why } => json!({ "number": 23, "retry": false, "words": why }),
        Refusal::OwnerOnly => json!({ "number": 24, "retry": false }),
        Refusal::Succeeded { by, at } => json!({ "number": 25, "retry": false, "at": at.0, "words": by.to_string() }),
    }
}

fn need(need: &PairingNeed) -> Value {
    members([
        ("reason", Some(need.reason.as_str().into())),
        ("request", Some(need.request.to_string().into())),
        ("missing", Some(scopes(&need.missing))),
        ("held", Some(scopes(&need.held))),
        ("token_is_narrow", Some(need.token_is_narrow.into())),
        ("revoked", need.revoked.as_ref().map(|(at, by)| json!({ "at": at.0, "by": actor(by) }))),
        ("retry_after_ms", Some(need.retry_after_ms.into())),
    ])
}

fn resolution(resolution: &Resolution) -> Value {
    let successor = resolution.successor.as_ref();
    members([
        ("ending", Some(resolution.ending.as_str().into())),
        ("at", Some(resolution.at.0.into())),
        ("by", Some(actor(&resolution.by))),
        ("successor", successor.map(|(request, more)| json!({ "request": request.to_string(), "scopes": scopes(more) }))),
    ])
}

fn scopes(scopes: &ScopeSet) -> Value {
    scopes.iter().collect()
}

fn text(text: Option<&String>) -> Option<Value> {
    text.map(|text| text.as_str().into())
}

/// An object of the members that are there.
pub(super) fn members<const N: usize>(members: [(&'static str, Option<Value>); N]) -> Value {
    let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect::<Map<_, _>>())
}
