//! Each story told twice: by `decide` and the fold, and by the model. After every act both have said and hold the same.

use openclaw_pairing::pairing::{
    Admission, DeviceId, Digest, Fault, Outcome, PairingNeed, Refusal, Registry, RequestId, Role, SignatureForm, TokenVerdict,
};

use crate::model::{Answer, Held, Model, Paired, Request, State, missing, words};
use crate::support::given::{START, World, device};
use crate::support::story::{Stage, Story, issued, requested};
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
            assert_eq!(names.state(&stage.played.world.registry), model.state(), "after {act:?}");
        }
    });
}

/// What the model calls the first, the second, the third.
struct Names {
    requests: Vec<RequestId>,
    tokens: Vec<Digest>,
}

impl Names {
    fn of(world: &World) -> Self {
        Self { requests: requested(world), tokens: issued(world) }
    }

    fn request(&self, id: RequestId) -> usize {
        self.requests.iter().position(|known| *known == id).expect("a request")
    }

    fn token(&self, token: Digest) -> usize {
        self.tokens.iter().position(|known| *known == token).expect("a token")
    }

    fn answer(&self, outcome: &Outcome) -> Answer {
        match outcome {
            Outcome::Admitted(Admission { rule, role, scopes, device, token, .. }) => Answer::In {
                rule: *rule,
                device: device.map(number),
                role: *role,
                scopes: words(scopes),
                token: token.as_ref().map(|token| self.token(token.issue.expect("a derived token").digest)),
            },
            Outcome::Approved { device, request, before } => {
                Answer::Approved { device: number(*device), request: self.request(*request), again: before.is_some() }
            }
            Outcome::Rejected { device, request } => {
                Answer::Rejected { device: number(*device), request: self.request(*request) }
            }
            Outcome::Removed { device, .. } => Answer::Removed(number(*device)),
            Outcome::Rotated { token, own } => Answer::Rotated {
                token: self.token(token.issue.expect("a derived token").digest),
                scopes: words(&token.scopes),
                own: *own,
            },
            Outcome::Revoked { device, role, .. } => Answer::Revoked(number(*device), *role),
            Outcome::Renamed { device, label } => Answer::Renamed(number(*device), label.clone()),
            Outcome::Asked { request } => Answer::Asked(self.request(*request)),
            Outcome::Noted => Answer::Noted,
            Outcome::RejectedAll(_) | Outcome::Applied | Outcome::CodeCreated { .. } => panic!("no story does this: {outcome:?}"),
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
        }
    }

    fn state(&self, registry: &Registry) -> State {
        let mut state = State::default();
        for device in registry.devices() {
            let activity = registry.activity(&device.id).expect("of every paired device");
            let roles = device.grants.iter().map(|(role, grant)| {
                let carried = grant.token.as_ref().map(|token| words(&token.scopes));
                (*role, Held { approved: words(&grant.approved), carried, is_revoked: grant.revoked.is_some() })
            });
            let paired = Paired {
                platform: device.description.platform.clone(),
                family: device.description.family.clone(),
                commands: device.description.commands.iter().cloned().collect(),
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
                scopes: words(&waiting.scopes),
                // A v2 signature vouches for neither.
                platform: waiting.description.platform.clone().filter(|_| waiting.form == SignatureForm::V3),
                family: waiting.description.family.clone().filter(|_| waiting.form == SignatureForm::V3),
                commands: waiting.description.commands.iter().cloned().collect(),
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

fn number(id: DeviceId) -> u8 {
    (1..=4).find(|n| device(*n) == id).expect("a device of the story")
}
