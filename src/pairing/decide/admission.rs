//! A connection attempt: let in, asked to pair, or refused. The order of checks is OpenClaw's (2026.3.13 and 2026.9.6):
//! faults of form and proof, missing device, credentials, pairing. One request shows all that is missing.

use super::super::command::{Admission, AuthReason, Context, Decision, Granted, Outcome, Refusal};
use super::super::event::{
    Act, Actor, Attempt, AuthMode, Client, ClientId, ClientMode, ConnectionAdmitted, ConnectionRefused, Credential, Described,
    DeviceMetadataChanged, Event, Fault, Issue, PairingApproved, Reason, Rule, SharedVerdict, Source, TokenIssued, TokenVerdict,
};
use super::super::ids::{DeviceId, Millis, PublicKey, Seq};
use super::super::policy::{Policy, differs};
use super::super::registry::{Device, Registry};
use super::super::scopes::{Role, ScopeSet};
use super::asking::{Asking, Raised, need};
use super::fresh;

/// Decides an attempt. `key` is the proved key; it has to be there where there is a proof.
pub(super) fn connect(
    registry: &Registry,
    policy: &Policy,
    mut attempt: Attempt,
    key: Option<PublicKey>,
    context: &Context<'_>,
) -> Decision {
    let fault = attempt.fault;
    let (None, Some(client), Some(ask), Some(credential)) = (fault, attempt.client, &mut attempt.ask, attempt.credential) else {
        return refuse(vec![], attempt, context, Refusal::Fault(fault.unwrap_or(Fault::InvalidFrame)));
    };
    let Some(proof) = attempt.proof else {
        return without_device(policy, attempt, client, credential, context);
    };
    let description = ask.described.here.take().map(|here| *here).unwrap_or_default();
    // What the device said before is not written again.
    ask.described = match registry.said(&proof.device, &description) {
        Some(seq) => Described { like: Some(seq), here: None },
        None => Described { like: None, here: Some(Box::new(description.clone())) },
    };
    let ask = ask.clone();
    let Some(key) = registry.device(&proof.device).map(|device| device.key).or(key) else {
        return refuse(vec![], attempt, context, Refusal::Fault(Fault::SignatureInvalid));
    };
    let asking = Asking { registry, policy, context, client, ask, proof, key, description };
    Try { asking, credential }.decide(attempt)
}

/// No device: only the right shared secret comes in, and what scopes it has a rule must give.
fn without_device(policy: &Policy, attempt: Attempt, client: Client, credential: Credential, context: &Context<'_>) -> Decision {
    let (role, asked) = attempt.ask.as_ref().map_or((Role::Operator, ScopeSet::EMPTY), |ask| (ask.role, ask.scopes.clone()));
    if credential.shared == SharedVerdict::Spent {
        return refuse(vec![], attempt, context, unauthorized(&credential, false, None));
    }
    if client.id == ClientId::ControlUi {
        return refuse(vec![], attempt, context, Refusal::ControlUiNeedsDevice);
    }
    let secret_is_right = credential.mode != AuthMode::None && credential.shared == SharedVerdict::Right;
    if role == Role::Operator && secret_is_right {
        let is_local = is_local(policy, &attempt.source, &credential);
        let given = if client.mode == ClientMode::Probe {
            (Rule::Probe, ScopeSet::EMPTY)
        } else if let (true, Some(scopes)) = (is_local, policy.gives_cli(client, &asked)) {
            (Rule::LocalCli, scopes)
        } else if let (true, Some(scopes)) = (is_local, policy.gives_backend(client, &asked)) {
            (Rule::LocalBackend, scopes)
        } else {
            (Rule::SharedSecret, ScopeSet::EMPTY)
        };
        return admit(vec![], attempt, context, Admission { rule: given.0, role, scopes: given.1, device: None, token: None });
    }
    let presented_wrong = credential.shared == SharedVerdict::Wrong || credential.token != TokenVerdict::Missing;
    let refusal =
        if role == Role::Operator && presented_wrong { unauthorized(&credential, false, None) } else { Refusal::DeviceRequired };
    refuse(vec![], attempt, context, refusal)
}

/// One attempt of a device that proved its key.
struct Try<'a> {
    asking: Asking<'a>,
    credential: Credential,
}

impl Try<'_> {
    fn decide(&self, attempt: Attempt) -> Decision {
        if !self.asking.policy.accepts(self.asking.proof.form) {
            return refuse(vec![], attempt, self.asking.context, Refusal::Fault(Fault::SignatureInvalid));
        }
        let trusted = self.asking.policy.trusts(&self.credential);
        let device = self.asking.registry.device(&self.asking.proof.device);
        let revoked =
            device.and_then(|device| device.grants.get(&self.asking.ask.role)).is_some_and(|grant| grant.revoked.is_some());
        // A retired token proves who asks: of a revoked role it makes a request, but it never admits. A probe asks nothing.
        let asks_again = revoked && self.credential.token == TokenVerdict::Retired && !self.is_probe();
        if !trusted && self.credential.token != TokenVerdict::Live && !asks_again {
            return refuse(vec![], attempt, self.asking.context, self.unauthorized(device.map(AsRef::as_ref)));
        }
        match device {
            Some(device) => self.paired(attempt, device),
            None => self.unpaired(attempt),
        }
    }

    fn unauthorized(&self, device: Option<&Device>) -> Refusal {
        let token = device.and_then(|device| device.grants.get(&self.asking.ask.role)).and_then(|grant| grant.token.as_ref());
        let rotated_at = token.and_then(|token| token.rotated_at).filter(|_| self.credential.token == TokenVerdict::Retired);
        unauthorized(&self.credential, true, rotated_at)
    }

    fn unpaired(&self, attempt: Attempt) -> Decision {
        let (role, asked) = (self.asking.ask.role, &self.asking.ask.scopes);
        let device = self.asking.proof.device;
        if self.is_probe() {
            return self.admit_probe(attempt);
        }
        let first = is_local(self.asking.policy, &attempt.source, &self.credential) && !self.asking.registry.is_barred(&device);
        if first
            && role == Role::Operator
            && let Some(scopes) = self.asking.policy.gives_backend(self.asking.client, asked)
        {
            let admission = Admission { rule: Rule::LocalBackend, role, scopes, device: None, token: None };
            return admit(vec![], attempt, self.asking.context, admission);
        }
        if first && self.asking.policy.pairs_first(self.asking.client, role, asked) {
            return self.pair_first(attempt);
        }
        self.need(attempt, Reason::NotPaired, None)
    }

    fn paired(&self, attempt: Attempt, device: &Device) -> Decision {
        let (role, asked) = (self.asking.ask.role, &self.asking.ask.scopes);
        let held = device.held(role);
        let moved = self.metadata_moved(device);
        let reason = if moved == Moved::Beyond {
            Some(Reason::MetadataUpgrade)
        } else if !device.has(role) {
            Some(Reason::RoleUpgrade)
        } else if !held.covers(role, asked) {
            Some(Reason::ScopeUpgrade)
        } else {
            None
        };
        if let Some(reason) = reason {
            if self.is_probe() {
                return self.admit_probe(attempt);
            }
            return self.need(attempt, reason, Some(device));
        }
        let mut events = vec![];
        if moved == Moved::Within && !self.is_probe() {
            let platform = self.asking.description.platform.clone();
            let platform_before = device.description.platform.clone();
            let event = DeviceMetadataChanged { device: device.id, platform, platform_before };
            events.push((Actor::Rule(Rule::Metadata), event.into()));
        }
        let mut token = device.token(role);
        if token.is_none()
            && !self.is_probe()
            && let Some(issue) = fresh(self.asking.registry, self.asking.context, &device.id, role)
        {
            let event = TokenIssued { device: device.id, role, scopes: held.clone(), issue };
            events.push((Actor::Rule(Rule::Paired), event.into()));
            token = Some(granted(device.id, role, held, issue, self.asking.context.now));
        }
        let admission = Admission { rule: Rule::Paired, role, scopes: asked.clone(), device: Some(device.id), token };
        admit(events, attempt, self.asking.context, admission)
    }

    /// Whether it only looks: it changes nothing.
    fn is_probe(&self) -> bool {
        self.asking.client.mode == ClientMode::Probe
    }

    /// A look at the gateway pairs nothing, asks nothing and gets no scopes.
    fn admit_probe(&self, attempt: Attempt) -> Decision {
        let admission =
            Admission { rule: Rule::Probe, role: self.asking.ask.role, scopes: ScopeSet::EMPTY, device: None, token: None };
        admit(vec![], attempt, self.asking.context, admission)
    }

    fn metadata_moved(&self, device: &Device) -> Moved {
        let (pinned, (platform, family)) = (&device.description, self.asking.claims());
        if differs(pinned.family.as_deref(), family) {
            return Moved::Beyond;
        }
        match (pinned.platform.as_deref(), platform) {
            (was, is) if !differs(was, is) => Moved::Not,
            (Some(was), Some(is)) if self.asking.policy.lets_platform_change(was, is) => Moved::Within,
            _ => Moved::Beyond,
        }
    }

    /// Pairs by rule; a request of its own that waits does not stand in the way.
    fn pair_first(&self, attempt: Attempt) -> Decision {
        let (mut events, waiting) = self.asking.waiting();
        let whole = (self.asking.ask.scopes.clone(), self.asking.description.clone());
        let address = attempt.source.address();
        let requested = self.asking.request(Reason::NotPaired, whole, waiting.map(|request| request.id), address);
        let attempt = self.pointing(attempt, events.len());
        let (device, role, scopes) = (self.asking.proof.device, self.asking.ask.role, self.asking.ask.scopes.clone());
        let rule = Actor::Rule(Rule::LocalFirstPairing);
        let (act, request) = (Act::FirstPairing, Some(requested.request));
        let approved = PairingApproved { device, role, scopes: scopes.clone(), act, request };
        events.extend([(Actor::Peer, requested.into()), (rule.clone(), approved.into())]);
        let mut token = None;
        if let Some(issue) = fresh(self.asking.registry, self.asking.context, &device, role) {
            events.push((rule, TokenIssued { device, role, scopes: scopes.clone(), issue }.into()));
            token = Some(granted(device, role, scopes.clone(), issue, self.asking.context.now));
        }
        let admission = Admission { rule: Rule::LocalFirstPairing, role, scopes, device: Some(device), token };
        admit(events, attempt, self.asking.context, admission)
    }

    /// Refuses and names the request that would help.
    fn need(&self, attempt: Attempt, reason: Reason, device: Option<&Device>) -> Decision {
        let asking = &self.asking;
        let (mut events, raised) = asking.raise(reason, attempt.source.address());
        let (request, attempts, attempt) = match raised {
            Raised::Waits(request) => (request.id, request.attempts, attempt),
            Raised::New(requested) => {
                let attempt = self.pointing(attempt, events.len());
                events.push((Actor::Peer, (*requested).into()));
                (asking.context.request, 0, attempt)
            }
            Raised::Full => return refuse(events, attempt, asking.context, Refusal::PendingTableFull),
        };
        let need = need(device, request, reason, asking.ask.role, &asking.ask.scopes, attempts);
        refuse(events, attempt, asking.context, Refusal::PairingRequired(need))
    }

    /// The attempt, pointing to the request that is event number `index` of the same decision instead of saying it again.
    fn pointing(&self, mut attempt: Attempt, index: usize) -> Attempt {
        let ahead = u64::try_from(index).unwrap_or(u64::MAX);
        if let Some(ask) = &mut attempt.ask {
            ask.described = Described { like: Some(Seq(self.asking.registry.head().next().0.saturating_add(ahead))), here: None };
        }
        attempt
    }
}

/// How far a device's claims of platform and family are from what is pinned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moved {
    Not,
    Within,
    Beyond,
}

/// Whether it is local by a credential that says so: what a proxy vouches for is somebody elsewhere.
fn is_local(policy: &Policy, source: &Source, credential: &Credential) -> bool {
    credential.mode != AuthMode::TrustedProxy && policy.local(source).is_ok()
}

fn granted(device: DeviceId, role: Role, scopes: ScopeSet, issue: Issue, at: Millis) -> Granted {
    Granted { device, role, scopes, issue: Some(issue), at }
}

/// Why the credentials do not do: what a device token lacked if one came in a field of its own, else what the secret lacked.
fn unauthorized(credential: &Credential, has_device: bool, rotated_at: Option<Millis>) -> Refusal {
    let token_failed = matches!(credential.token, TokenVerdict::Wrong | TokenVerdict::Retired);
    let reason = if credential.shared == SharedVerdict::Spent {
        AuthReason::RateLimited
    } else if token_failed && (credential.token_is_explicit || rotated_at.is_some()) {
        AuthReason::DeviceTokenMismatch
    } else if credential.bootstrap {
        AuthReason::BootstrapTokenInvalid
    } else {
        AuthReason::of(credential.mode, credential.shared)
    };
    // What was not tried as a device token yet: the secret may also have come in a field where none is looked for.
    let was_token = credential.token != TokenVerdict::Missing;
    let may_retry = reason == AuthReason::TokenMismatch && has_device && was_token && !credential.token_is_explicit;
    Refusal::Unauthorized { reason, may_retry_with_device_token: may_retry, rotated_at }
}

fn admit(mut events: Vec<(Actor, Event)>, attempt: Attempt, context: &Context<'_>, admission: Admission) -> Decision {
    let event = ConnectionAdmitted { attempt, rule: admission.rule, scopes: admission.scopes.clone() };
    events.push((context.actor.clone(), event.into()));
    Decision { events, outcome: Outcome::Admitted(admission) }
}

fn refuse(mut events: Vec<(Actor, Event)>, attempt: Attempt, context: &Context<'_>, refusal: Refusal) -> Decision {
    events.push((context.actor.clone(), ConnectionRefused { attempt, refusal: refusal.clone() }.into()));
    Decision { events, outcome: Outcome::Refused(Box::new(refusal)) }
}
