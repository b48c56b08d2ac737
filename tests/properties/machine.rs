//! Each story told twice: by `decide` and the fold, and by the model. After every act both have said and hold the same.

use std::collections::BTreeSet;

use openclaw_pairing::pairing::{
    Admission, Description, DeviceId, Digest, Fault, Granted, Outcome, PairingNeed, Refusal, RequestId, Role, Rule, SetupCodeId,
    SignatureForm, Surface, TokenVerdict,
};

use crate::model::{Answer, Held, Model, Paired, Request, State, denied, missing, offers, words};
use crate::support::given::{START, World, device};
use crate::support::story::{Act, Stage, Story, codes, issued, requested};
use crate::{hold, stories};

#[test]
fn a16_random_commands_under_random_policies_have_the_answers_and_the_state_of_the_model() {
    hold(&stories(), |Story { policy, acts }| {
        let (mut stage, mut model) = (Stage::under(policy), Model::under(policy));
        for act in acts {
            let steps = stage.played.steps.len();
            stage.act(&act);
            let names = Names::of(&stage.played.world);
            let told = stage.played.steps.get(steps).map(|step| names.answer(&step.outcome));
            assert_eq!(told, model.act(&act), "the answer to {act:?}");
            assert_eq!(names.state(&stage.played.world), model.state(), "after {act:?}");
            if matches!(act, Act::Apply { .. }) {
                let text = stage.played.world.registry.policy_text().map(str::to_owned);
                assert_eq!(text, Some(model.policy().text()), "after {act:?}");
            }
        }
    });
}

/// What the model calls the first, the second, the third.
struct Names {
    requests: Vec<RequestId>,
    tokens: Vec<Digest>,
    codes: Vec<SetupCodeId>,
}

impl Names {
    fn of(world: &World) -> Self {
        Self { requests: requested(world), tokens: issued(world), codes: codes(world) }
    }

    fn request(&self, id: RequestId) -> usize {
        self.requests.iter().position(|known| *known == id).expect("a request")
    }

    fn token(&self, token: Digest) -> usize {
        self.tokens.iter().position(|known| *known == token).expect("a token")
    }

    fn granted(&self, token: &Granted) -> usize {
        self.token(token.issue.expect("a derived token").digest)
    }

    fn code(&self, id: SetupCodeId) -> usize {
        self.codes.iter().position(|known| *known == id).expect("a setup code")
    }

    fn answer(&self, outcome: &Outcome) -> Answer {
        match outcome {
            Outcome::Admitted(Admission { rule, role, scopes, device, token, more, surface }) => Answer::In {
                rule: *rule,
                device: device.map(number),
                role: *role,
                scopes: words(scopes),
                token: token.as_ref().map(|token| self.granted(token)),
                more: more.iter().map(|token| (token.role, self.granted(token))).collect(),
                offers: surfaced(surface),
            },
            Outcome::Approved { device, request, before } => {
                Answer::Approved { device: number(*device), request: self.request(*request), again: before.is_some() }
            }
            Outcome::Rejected { device, request } => {
                Answer::Rejected { device: number(*device), request: self.request(*request) }
            }
            Outcome::RejectedAll(requests) => Answer::RejectedAll(requests.iter().map(|id| self.request(*id)).collect()),
            Outcome::Removed { device, approved } => {
                Answer::Removed(number(*device), approved.iter().map(|id| number(*id)).collect())
            }
            Outcome::Rotated { token, own } => {
                Answer::Rotated { token: self.granted(token), scopes: words(&token.scopes), own: *own }
            }
            Outcome::Revoked { device, role, approved, .. } => {
                Answer::Revoked(number(*device), *role, approved.iter().map(|id| number(*id)).collect())
            }
            Outcome::Renamed { device, label } => Answer::Renamed(number(*device), label.clone()),
            Outcome::Asked { request } => Answer::Asked(self.request(*request)),
            Outcome::Noted => Answer::Noted,
            Outcome::Applied => Answer::Applied,
            Outcome::CodeCreated { code, .. } => Answer::Code(self.code(*code)),
            Outcome::Succeeded { old, .. } => panic!("no story hands {old} over"),
            Outcome::Imported { devices, .. } => panic!("no story imports {devices:?}"),
            Outcome::Undone { first, .. } => panic!("no story undoes anything, nor at {first}"),
            Outcome::Refused(refusal) => self.refusal(refusal),
        }
    }

    fn refusal(&self, refusal: &Refusal) -> Answer {
        Answer::No(match refusal {
            Refusal::PairingRequired(need) => return self.person(need),
            Refusal::MissingScope(scopes) => return missing(&words(scopes)),
            Refusal::Fault(Fault::SignatureInvalid) => "signature".to_owned(),
            Refusal::ControlUiNeedsDevice => "a Control UI needs a device".to_owned(),
            Refusal::DeviceRequired => "a device is needed".to_owned(),
            Refusal::Unauthorized { reason, may_retry_with_device_token: retry, rotated_at } => {
                format!("unauthorized: {reason}, retry {retry}, rotated {}", rotated_at.is_some())
            }
            Refusal::NeedsAdmin => "admin is needed".to_owned(),
            Refusal::UnknownRequest => "unknown request".to_owned(),
            Refusal::Resolved(resolution) => match &resolution.successor {
                Some((next, _)) => format!("it is {}: {} waits", resolution.ending, self.request(*next)),
                None => format!("it is {}", resolution.ending),
            },
            Refusal::UnknownDevice => "unknown device".to_owned(),
            Refusal::RoleNotHeld(_) => "role not held".to_owned(),
            Refusal::HeldAlready => "it is held".to_owned(),
            Refusal::TokenKeyUnusable => "no token key".to_owned(),
            Refusal::PolicyDenied { rule, beyond } => return denied(rule, &words(beyond)),
            Refusal::FromExecShell => "from a shell of the agent".to_owned(),
            Refusal::LoosensPolicy { keys } => format!("it loosens {keys}"),
            Refusal::BadPolicy { .. } => "that is no policy".to_owned(),
            Refusal::UnknownSetupCode => "unknown setup code".to_owned(),
            Refusal::TooManySetupCodes => "too many setup codes".to_owned(),
            other => format!("{other:?}"),
        })
    }

    fn person(&self, need: &PairingNeed) -> Answer {
        Answer::Person {
            reason: need.reason,
            request: self.request(need.request),
            missing: words(&need.missing),
            held: words(&need.held),
            is_narrow: need.token_is_narrow,
            is_revoked: need.revoked.is_some(),
            retry_ms: need.retry_after_ms,
            rests: need.rests,
        }
    }

    fn state(&self, world: &World) -> State {
        let registry = &world.registry;
        let mut state = State {
            resting: Rule::ALL.iter().copied().filter(|rule| registry.resting(*rule).is_some()).collect(),
            ..State::default()
        };
        let known = registry.setup_codes().filter(|(_, code)| world.now < code.expires);
        state.codes.extend(known.map(|(id, code)| (self.code(*id), code.spent.map(|(by, _)| number(by)))));
        for device in registry.devices() {
            let activity = registry.activity(&device.id).expect("of every paired device");
            let roles = device.grants.iter().map(|(role, grant)| {
                let carried = grant.token.as_ref().map(|token| words(&token.scopes));
                let held = Held {
                    approved: words(&grant.approved),
                    carried,
                    is_revoked: grant.revoked.is_some(),
                    approvers: grant.approvers.iter().map(|id| number(*id)).collect(),
                    rules: grant.rules.clone(),
                };
                (*role, held)
            });
            let paired = Paired {
                client: Some(device.client),
                platform: device.description.platform.clone(),
                family: device.description.family.clone(),
                offers: offers(&device.description),
                label: device.label.clone(),
                roles: roles.collect(),
                admissions: activity.admissions,
                refusals: activity.refusals,
            };
            state.paired.insert(number(device.id), paired);
        }
        for waiting in registry.requests() {
            let request = Request {
                number: self.request(waiting.id),
                reason: waiting.reason,
                client: waiting.client,
                address: waiting.address,
                scopes: words(&waiting.scopes),
                // A v2 signature vouches for neither.
                platform: waiting.description.platform.clone().filter(|_| waiting.form == SignatureForm::V3),
                family: waiting.description.family.clone().filter(|_| waiting.form == SignatureForm::V3),
                offers: offers(&waiting.description),
                last_ms: waiting.last_at.since(START),
                attempts: waiting.attempts,
            };
            state.waiting.insert((number(waiting.device), waiting.role), request);
        }
        let settled = self.requests.iter().filter_map(|id| Some((self.request(*id), registry.settled(id)?.resolution.ending)));
        state.over.extend(settled);
        let tokens = self.tokens.iter().map(|token| {
            let whose = (1..=3).flat_map(|n| [(n, Role::Operator), (n, Role::Node)]);
            let verdicts = whose.map(|(n, role)| (n, role, registry.judge(&device(n), role, token)));
            let mut known = verdicts.filter(|(.., verdict)| *verdict != TokenVerdict::Wrong);
            let first = known.next();
            assert!(known.next().is_none(), "one token of one device and role");
            first
        });
        state.tokens.extend(tokens);
        state.barred.extend((1..=3).filter(|n| registry.is_barred(&device(*n))));
        state
    }
}

fn surfaced(surface: &Surface) -> BTreeSet<String> {
    let (caps, commands) = (surface.caps.clone(), surface.commands.clone());
    offers(&Description { caps, commands, ..Description::default() })
}

fn number(id: DeviceId) -> u8 {
    (1..=4).find(|n| device(*n) == id).expect("a device of the story")
}
