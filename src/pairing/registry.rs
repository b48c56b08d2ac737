//! The fold of all records: who is paired, what they hold, what waits, what was settled. [`Registry::apply`] only remembers;
//! it has no rules, cannot fail and matches every event. Maps are persistent, so a clone costs nothing and readers keep theirs
//! while the writer goes on. A registry can be saved and restored; what is saved is a convenience, not a format.

mod device;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rpds::{QueueSync, RedBlackTreeMapSync};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::command::{Ending, Refusal, Resolution};
use super::event::{
    Act, Actor, Address, Attempt, AttemptsSuppressed, Client, Condition, ConnectionAdmitted, ConnectionRefused, Described,
    Description, DeviceSucceeded, Event, GatewayStarted, PairingApproved, PairingRequested, Profile, Reason, Record, RoleGrant,
    RollbackAccepted, Rule, SetupCodeCreated, TokenVerdict,
};
use super::identity::SignatureForm;
use super::ids::{DeviceId, Digest, JournalId, KeyId, Millis, PublicKey, RequestId, Seq, SetupCodeId};
use super::policy::Policy;
use super::scopes::{KnownScope, Role, ScopeSet};
use super::token::same;
use crate::limits;
pub use device::{Device, Grant, Issued, Retired, RetiredWhy, Token};

type Map<K, V> = RedBlackTreeMapSync<K, V>;

/// Everything that the records say, folded.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Registry {
    head: Seq,
    now: Millis,
    journal: Option<JournalId>,
    policy: InForce,
    devices: Map<DeviceId, Arc<Device>>,
    requests: Map<RequestId, Arc<Request>>,
    waiting: Map<(DeviceId, Role), RequestId>,
    barred: Map<DeviceId, Millis>,
    settled: Map<RequestId, Arc<Settled>>,
    settled_others: QueueSync<RequestId>,
    activity: Map<DeviceId, Arc<Activity>>,
    starts: u64,
    last_run: Option<Arc<Run>>,
    witness: Option<Arc<str>>,
    conditions: Map<Condition, Arc<Finding>>,
    applied: Option<Arc<Applied>>,
    codes: Map<SetupCodeId, Arc<SetupCode>>,
    resting: Map<Rule, Resting>,
    unseen: Arc<Unseen>,
    succeeded: Map<DeviceId, Succession>,
}

/// Which key has the place of a device that was.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Succession {
    /// The device that has it.
    pub by: DeviceId,
    /// Since when.
    pub at: Millis,
    /// The tokens that ended with it, by their digests: with the old key they prove who asks, and never admit.
    tokens: Vec<Digest>,
}

/// When the policy in force came into force, and through whom; the first one came with the journal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Applied {
    /// The record.
    pub seq: Seq,
    /// When.
    pub at: Millis,
    /// Who.
    pub by: Actor,
}

/// A setup code that was not taken back. It is known for as long as it would be good, also once it is spent: the device that
/// spent it may not have heard so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SetupCode {
    /// SHA-256 of its text.
    pub digest: Digest,
    /// What it gives.
    pub grants: Vec<RoleGrant>,
    /// When it is good no longer.
    pub expires: Millis,
    /// What it is for.
    pub label: Option<String>,
    /// When it was made.
    pub at: Millis,
    /// Who made it, and so approves what it gives.
    pub by: Actor,
    /// The device that spent it, and when.
    pub spent: Option<(DeviceId, Millis)>,
}

/// Why a local rule rests, where the policy lets it: a person took away what it had let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resting {
    /// The device that was removed or revoked.
    pub device: DeviceId,
    /// When.
    pub at: Millis,
}

/// What the owner did and nobody said to have seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unseen {
    /// How many acts.
    pub count: u64,
    /// The records of the last [`limits::UNSEEN_ACTS`] of them, the oldest first.
    pub last: Vec<Seq>,
}

/// The last gateway that started on the journal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run {
    /// The record of its start.
    pub seq: Seq,
    /// What that says.
    pub started: GatewayStarted,
    /// The token key that was used last, by it or by one before it.
    pub key: Option<KeyId>,
    /// The gateway host's own device that was there last, with it or with one before it, or which has the place of that.
    pub identity: Option<DeviceId>,
    /// Whether it stopped in order.
    pub is_over: bool,
}

/// How a condition was found that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// How it was found.
    pub detail: String,
    /// When.
    pub at: Millis,
}

/// A request that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// The record that made it.
    pub seq: Seq,
    /// Why a person is needed.
    pub reason: Reason,
    /// The device.
    pub device: DeviceId,
    /// Its key.
    pub key: PublicKey,
    /// The role it asks for.
    pub role: Role,
    /// All scopes it asks for.
    pub scopes: ScopeSet,
    /// What the device says of itself.
    pub description: Arc<Description>,
    /// Which client it says it is.
    pub client: Client,
    /// Which text it signed.
    pub form: SignatureForm,
    /// Where it asked from first.
    pub address: Address,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last asked for; its time counts from here.
    pub last_at: Millis,
    /// How often it was asked for.
    pub attempts: u32,
    /// The request it replaced.
    pub supersedes: Option<RequestId>,
}

/// A request that was answered, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settled {
    /// Its device.
    pub device: DeviceId,
    /// Its role.
    pub role: Role,
    /// Its scopes.
    pub scopes: ScopeSet,
    /// How it ended.
    pub resolution: Resolution,
}

/// What a paired device did; apart from what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Activity {
    /// When it last connected.
    pub last_seen: Millis,
    /// How often it was let in.
    pub admissions: u64,
    /// How often it was turned away.
    pub refusals: u64,
    /// When each role's token last let it in.
    pub token_used: BTreeMap<Role, Millis>,
    /// What it last said of itself, and in which record.
    heard: Option<(Seq, Arc<Description>)>,
}

/// The policy in force, and the text that it was read from; saved as that text, and read again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "Option<Arc<str>>", from = "Option<Arc<str>>")]
struct InForce {
    text: Option<Arc<str>>,
    policy: Arc<Policy>,
}

impl From<Option<Arc<str>>> for InForce {
    fn from(text: Option<Arc<str>>) -> Self {
        // A text that a later version wrote may be beyond us; then nothing passes without a person.
        let policy = text.as_ref().and_then(|text| Policy::parse(text).ok()).unwrap_or_else(Policy::closed);
        Self { text, policy: Arc::new(policy) }
    }
}

impl From<InForce> for Option<Arc<str>> {
    fn from(policy: InForce) -> Self {
        policy.text
    }
}

impl Default for InForce {
    fn default() -> Self {
        None.into()
    }
}

impl Registry {
    // --- questions --------------------------------------------------------------------------------------------

    /// The last record folded.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.head
    }

    /// The time of the last record; `now` never goes behind it.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.now
    }

    /// The journal's id, once it began.
    #[must_use]
    pub fn journal(&self) -> Option<JournalId> {
        self.journal
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy.policy
    }

    /// The text of the policy in force, once there is one.
    #[must_use]
    pub fn policy_text(&self) -> Option<&str> {
        self.policy.text.as_deref()
    }

    /// Where the journal's head is remembered outside of it.
    #[must_use]
    pub fn witness(&self) -> Option<&str> {
        self.witness.as_deref()
    }

    /// A paired device.
    #[must_use]
    pub fn device(&self, id: &DeviceId) -> Option<&Arc<Device>> {
        self.devices.get(id)
    }

    /// All paired devices, by id.
    pub fn devices(&self) -> impl Iterator<Item = &Arc<Device>> {
        self.devices.values()
    }

    /// How many devices are paired.
    #[must_use]
    pub fn device_count(&self) -> usize {
        self.devices.size()
    }

    /// A request that waits, whether or not its time is over.
    #[must_use]
    pub fn request(&self, id: &RequestId) -> Option<&Arc<Request>> {
        self.requests.get(id)
    }

    /// All requests that wait, by id.
    pub fn requests(&self) -> impl Iterator<Item = &Arc<Request>> {
        self.requests.values()
    }

    /// How many requests wait.
    #[must_use]
    pub fn request_count(&self) -> usize {
        self.requests.size()
    }

    /// The request of this device and role that waits.
    #[must_use]
    pub fn waiting(&self, device: &DeviceId, role: Role) -> Option<&Arc<Request>> {
        self.waiting.get(&(*device, role)).and_then(|id| self.requests.get(id))
    }

    /// How a request ended, as long as that is remembered.
    #[must_use]
    pub fn settled(&self, id: &RequestId) -> Option<&Arc<Settled>> {
        self.settled.get(id)
    }

    /// Whether a person ever removed this device or turned it down, so that no rule pairs it by itself again.
    #[must_use]
    pub fn is_barred(&self, device: &DeviceId) -> bool {
        self.barred.contains_key(device)
    }

    /// Which key has the place of a device that was, until that is paired anew.
    #[must_use]
    pub fn succession(&self, device: &DeviceId) -> Option<&Succession> {
        self.succeeded.get(device)
    }

    /// What a paired device did.
    #[must_use]
    pub fn activity(&self, device: &DeviceId) -> Option<&Arc<Activity>> {
        self.activity.get(device)
    }

    /// The last gateway that started.
    #[must_use]
    pub fn last_run(&self) -> Option<&Run> {
        self.last_run.as_deref()
    }

    /// How a condition was found, where it is in force.
    #[must_use]
    pub fn condition(&self, condition: Condition) -> Option<&Finding> {
        self.conditions.get(&condition).map(Arc::as_ref)
    }

    /// All conditions in force, by number.
    pub fn conditions(&self) -> impl Iterator<Item = (Condition, &Finding)> {
        self.conditions.iter().map(|(condition, found)| (*condition, &**found))
    }

    /// When the policy in force was applied, and by whom; none of the first one.
    #[must_use]
    pub fn applied(&self) -> Option<&Applied> {
        self.applied.as_deref()
    }

    /// A setup code that is known, whether or not it is still good.
    #[must_use]
    pub fn setup_code(&self, id: &SetupCodeId) -> Option<&Arc<SetupCode>> {
        self.codes.get(id)
    }

    /// All setup codes that are known, by id.
    pub fn setup_codes(&self) -> impl Iterator<Item = (&SetupCodeId, &Arc<SetupCode>)> {
        self.codes.iter()
    }

    /// Since when and why a local rule would rest, where the policy lets it.
    #[must_use]
    pub fn resting(&self, rule: Rule) -> Option<Resting> {
        self.resting.get(&rule).copied()
    }

    /// What the owner did and nobody said to have seen.
    #[must_use]
    pub fn unseen(&self) -> &Unseen {
        &self.unseen
    }

    /// What a presented token is for this device and role. Every comparison takes the same time.
    #[must_use]
    pub fn judge(&self, device: &DeviceId, role: Role, presented: &Digest) -> TokenVerdict {
        let Some(grant) = self.devices.get(device).and_then(|device| device.grants.get(&role)) else {
            let ended = self.succeeded.get(device).into_iter().flat_map(|succession| &succession.tokens);
            let known = ended.filter(|digest| same(digest, presented)).count();
            return if known == 0 { TokenVerdict::Wrong } else { TokenVerdict::Retired };
        };
        let live = grant.token.as_ref().is_some_and(|token| same(token.issue.digest(), presented));
        let retired = grant.retired.iter().filter(|retired| same(retired.token.issue.digest(), presented)).count();
        match (live, retired) {
            (true, _) => TokenVerdict::Live,
            (false, 0) => TokenVerdict::Wrong,
            (false, _) => TokenVerdict::Retired,
        }
    }

    /// The setup code with this digest, where it is good at `now` for all that `device` asks. Once it is spent it is good for
    /// nobody but the device that spent it, as long as that holds what it asks for; until then, as long as who made it may do
    /// everything: what a device was taken away is not to come back by a code that it made before.
    #[must_use]
    pub fn good_code(
        &self,
        digest: &Digest,
        device: &DeviceId,
        role: Role,
        scopes: &ScopeSet,
        now: Millis,
    ) -> Option<SetupCodeId> {
        // All are compared, so that how long it takes tells nothing.
        let presented: Vec<_> = self.codes.iter().filter(|(_, code)| same(&code.digest, digest)).collect();
        let (id, code) = presented.into_iter().find(|(_, code)| now < code.expires)?;
        let gives = code.grants.iter().any(|grant| grant.role == role && grant.scopes.covers(role, scopes));
        let holds = || self.device(device).is_some_and(|device| device.has(role) && device.held(role).covers(role, scopes));
        let is_good = gives && code.spent.map_or_else(|| self.stands(code), |(by, _)| by == *device && holds());
        is_good.then_some(*id)
    }

    /// The setup code with this digest that nobody has spent, where it is good at `now`.
    #[must_use]
    pub fn unspent_code(&self, digest: &Digest, now: Millis) -> Option<(&SetupCodeId, &Arc<SetupCode>)> {
        // All are compared, so that how long it takes tells nothing.
        let presented: Vec<_> = self.codes.iter().filter(|(_, code)| same(&code.digest, digest)).collect();
        presented.into_iter().find(|(_, code)| code.spent.is_none() && now < code.expires && self.stands(code))
    }

    /// Whether who made the code could make it now.
    #[must_use]
    pub fn stands(&self, code: &SetupCode) -> bool {
        match &code.by {
            Actor::Device { device, .. } => {
                self.device(device).is_some_and(|device| device.held(Role::Operator).contains(KnownScope::Admin))
            }
            _ => true,
        }
    }

    /// The devices that `id` approved, that those approved, and so on; each with the roles of which it approved something.
    #[must_use]
    pub fn approved_by(&self, id: &DeviceId) -> BTreeMap<DeviceId, BTreeSet<Role>> {
        let mut found: BTreeMap<DeviceId, BTreeSet<Role>> = BTreeMap::new();
        let mut ask = vec![*id];
        while let Some(approver) = ask.pop() {
            for device in self.devices().filter(|device| device.id != *id) {
                let given = device.grants.iter().filter(|(_, grant)| grant.approvers.contains(&approver)).map(|(role, _)| *role);
                let given: BTreeSet<_> = given.collect();
                if !given.is_empty() && !found.contains_key(&device.id) {
                    ask.push(device.id);
                }
                if !given.is_empty() {
                    found.entry(device.id).or_default().extend(given);
                }
            }
        }
        found
    }

    /// The record in which this device said exactly this of itself, if it is still at hand.
    #[must_use]
    pub fn said(&self, device: &DeviceId, description: &Description) -> Option<Seq> {
        let mut known = self.descriptions(device);
        known.find(|(_, known)| ***known == *description).map(|(seq, _)| seq)
    }

    /// The description that `described` means.
    #[must_use]
    pub fn description(&self, device: &DeviceId, described: &Described) -> Arc<Description> {
        if let Some(here) = &described.here {
            return Arc::new((**here).clone());
        }
        let mut known = self.descriptions(device);
        known.find(|(seq, _)| Some(*seq) == described.like).map(|(_, known)| Arc::clone(known)).unwrap_or_default()
    }

    fn descriptions(&self, device: &DeviceId) -> impl Iterator<Item = (Seq, &Arc<Description>)> {
        let heard = self.activity.get(device).and_then(|activity| activity.heard.as_ref());
        let asked = Role::ALL.iter().filter_map(|role| self.waiting(device, *role));
        heard.map(|(seq, known)| (*seq, known)).into_iter().chain(asked.map(|request| (request.seq, &request.description)))
    }

    /// SHA-256 over everything in a fixed order: first what is paired, granted and asked, then what was done.
    #[must_use]
    pub fn digest(&self) -> (Digest, Digest) {
        let mut pairing = DigestHasher::default();
        (&self.journal, self.policy(), &self.devices, &self.requests, &self.barred, &self.settled).hash(&mut pairing);
        (&self.settled_others, &self.codes, &self.resting, &self.succeeded).hash(&mut pairing);
        let mut activity = DigestHasher::default();
        (self.head, self.now, &self.activity, self.starts, &self.witness).hash(&mut activity);
        (&self.last_run, &self.conditions, &self.applied, &self.unseen).hash(&mut activity);
        (pairing.digest(), activity.digest())
    }

    // --- the fold ---------------------------------------------------------------------------------------------

    /// Remembers a record.
    pub fn apply(&mut self, record: &Record) {
        self.head = record.seq;
        self.now = self.now.max(record.at);
        self.see(record);
        match &record.event {
            Event::JournalCreated(event) => {
                self.journal = Some(event.journal);
                self.policy = Some(Arc::from(&*event.policy)).into();
            }
            Event::PolicyChanged(event) => {
                self.policy = Some(Arc::from(&*event.policy)).into();
                let applied = Applied { seq: record.seq, at: record.at, by: record.actor.clone() };
                self.applied = Some(Arc::new(applied));
            }
            Event::OwnerActsSeen(event) => self.seen(event.through),
            Event::RuleArmed(event) => {
                self.resting.remove_mut(&event.rule);
            }
            Event::AttemptsSuppressed(event) => self.suppressed(event),
            Event::SetupCodeCreated(event) => self.code_created(record, event),
            Event::SetupCodeSpent(event) => {
                if let Some(code) = self.codes.get_mut(&event.code) {
                    Arc::make_mut(code).spent = Some((event.device, record.at));
                }
            }
            Event::SetupCodeRevoked(event) => {
                self.codes.remove_mut(&event.code);
            }
            Event::WitnessPlaced(event) => self.witness = Some(Arc::from(&*event.path)),
            Event::GatewayStarted(event) => self.started(record, event),
            Event::GatewayStopped(_) => {
                if let Some(run) = &mut self.last_run {
                    Arc::make_mut(run).is_over = true;
                }
            }
            Event::ConditionFound(event) => {
                let found = Finding { detail: event.detail.clone(), at: record.at };
                self.conditions.insert_mut(event.condition, Arc::new(found));
            }
            Event::ConditionCleared(event) => {
                self.conditions.remove_mut(&event.condition);
            }
            Event::ConnectionAdmitted(event) => self.admitted(record, event),
            Event::ConnectionRefused(event) => self.refused(record, event),
            Event::PairingRequested(event) => self.requested(record, event),
            Event::PairingApproved(event) => self.approved(record, event),
            Event::PairingRejected(event) => {
                self.settle(event.request, Ending::Rejected, record.at, &record.actor);
                self.barred.insert_mut(event.device, record.at);
            }
            Event::PairingExpired(event) => self.settle(event.request, Ending::Expired, event.due, &record.actor),
            Event::DeviceMetadataChanged(event) => self.change(&event.device, |device| {
                let mut description = (*device.description).clone();
                description.platform.clone_from(&event.platform);
                device.description = Arc::new(description);
            }),
            Event::DeviceRenamed(event) => self.change(&event.device, |device| {
                device.label = Some(event.label.clone()).filter(|label| !label.is_empty());
            }),
            Event::DeviceRemoved(event) => {
                self.rest(record, &event.device, Role::ALL);
                self.remove(record, &event.device);
            }
            Event::TokenIssued(event) => self.grant(&event.device, event.role, |grant| {
                let (scopes, issue) = (event.scopes.clone(), Issued::Derived(event.issue));
                grant.token = Some(Token { scopes, issue, created_at: record.at, rotated_at: None });
            }),
            Event::TokenRotated(event) => self.grant(&event.device, event.role, |grant| {
                let created_at = grant.token.as_ref().map_or(record.at, |token| token.created_at);
                grant.retire(RetiredWhy::Rotated, record.at);
                let (scopes, issue) = (event.scopes.clone(), Issued::Derived(event.issue));
                grant.token = Some(Token { scopes, issue, created_at, rotated_at: Some(record.at) });
            }),
            Event::TokenRevoked(event) => {
                self.rest(record, &event.device, &[event.role]);
                self.grant(&event.device, event.role, |grant| grant.end(RetiredWhy::Revoked, record));
            }
            Event::GrantWithdrawn(event) => self.grant(&event.device, event.role, |grant| {
                grant.approved = grant.approved.without(&event.scopes);
                if let Some(token) = &mut grant.token {
                    token.scopes = token.scopes.within(event.role, &grant.approved);
                }
            }),
            Event::RollbackAccepted(event) => self.roll_back(record, event),
            Event::DeviceRestored(event) => {
                let (approver, _) = self.givers(&record.actor, Act::Undo, &event.profile.device);
                let approvers: BTreeSet<_> = approver.into_iter().collect();
                let holding = |scopes| Grant { approvers: approvers.clone(), ..Grant::holding(scopes, None) };
                let grants = event.grants.iter().map(|grant| (grant.role, holding(&grant.scopes)));
                self.enter(&event.profile, grants.collect());
            }
            Event::DeviceImported(event) => {
                let grants = event.grants.iter().map(|grant| (grant.role, Grant::holding(&grant.scopes, grant.token.as_ref())));
                self.enter(&event.profile, grants.collect());
            }
            Event::DeviceSucceeded(event) => self.succeed(record, event),
            Event::TokenKeyReplaced(event) => {
                if let Some(run) = &mut self.last_run {
                    Arc::make_mut(run).key = Some(event.key);
                }
            }
            Event::JournalRepaired(_)
            | Event::SegmentSealed(_)
            | Event::HistoryArchived(_)
            | Event::ConfigurationChanged(_)
            | Event::ActUndone(_)
            | Event::ConnectionClosed(_)
            | Event::CommandRefused(_) => {}
        }
    }

    /// Remembers that the owner acted.
    fn see(&mut self, record: &Record) {
        if record.owner_act().is_some() {
            let unseen = Arc::make_mut(&mut self.unseen);
            unseen.count = unseen.count.saturating_add(1);
            unseen.last.push(record.seq);
            if unseen.last.len() > limits::UNSEEN_ACTS {
                unseen.last.remove(0);
            }
        }
    }

    /// Forgets what was seen; of those before the last ones there is only the number, so they go together.
    fn seen(&mut self, through: Seq) {
        let unseen = Arc::make_mut(&mut self.unseen);
        unseen.last.retain(|seq| *seq > through);
        unseen.count = u64::try_from(unseen.last.len()).unwrap_or(u64::MAX);
    }

    /// Notes for which rules a person took away from a device what they gave.
    fn rest(&mut self, record: &Record, device: &DeviceId, roles: &[Role]) {
        let Some(known) = self.devices.get(device) else { return };
        let given = roles.iter().filter_map(|role| known.grants.get(role)).flat_map(|grant| grant.rules.iter().copied());
        for rule in given.collect::<BTreeSet<_>>() {
            self.resting.insert_mut(rule, Resting { device: *device, at: record.at });
        }
    }

    /// What many attempts did that were not written down one by one.
    fn suppressed(&mut self, event: &AttemptsSuppressed) {
        if let Some(activity) = event.device.and_then(|device| self.activity.get_mut(&device)) {
            let activity = Arc::make_mut(activity);
            activity.refusals = activity.refusals.saturating_add(event.count);
        }
        if let Some(request) = event.request.and_then(|request| self.requests.get_mut(&request)) {
            let request = Arc::make_mut(request);
            request.last_at = request.last_at.max(event.last);
            request.attempts = request.attempts.saturating_add(u32::try_from(event.count).unwrap_or(u32::MAX));
        }
    }

    /// Notes a setup code; those whose time is over make room for it.
    fn code_created(&mut self, record: &Record, event: &SetupCodeCreated) {
        let over: Vec<_> = self.codes.iter().filter(|(_, code)| code.expires <= record.at).map(|(id, _)| *id).collect();
        for id in over {
            self.codes.remove_mut(&id);
        }
        let code = SetupCode {
            digest: event.digest,
            grants: event.grants.clone(),
            expires: event.expires,
            label: event.label.clone(),
            at: record.at,
            by: record.actor.clone(),
            spent: None,
        };
        self.codes.insert_mut(event.code, Arc::new(code));
    }

    /// The device and the rule that gave what is approved by `actor`: of a setup code, whoever made it.
    fn givers(&self, actor: &Actor, act: Act, device: &DeviceId) -> (Option<DeviceId>, Option<Rule>) {
        let spent = || self.codes.values().filter(|code| code.spent.is_some_and(|(by, _)| by == *device));
        match actor {
            Actor::Device { device, .. } => (Some(*device), None),
            Actor::Rule(_) if act == Act::SetupCode => {
                let last = spent().max_by_key(|code| code.spent.map(|(_, at)| at));
                let maker = last.and_then(|code| match &code.by {
                    Actor::Device { device, .. } => Some(*device),
                    _ => None,
                });
                (maker, None)
            }
            Actor::Rule(rule) => (None, Some(*rule)),
            _ => (None, None),
        }
    }

    fn started(&mut self, record: &Record, event: &GatewayStarted) {
        self.starts = self.starts.saturating_add(1);
        let last = self.last_run.as_deref();
        let run = Run {
            seq: record.seq,
            started: event.clone(),
            key: event.key.or(last.and_then(|last| last.key)),
            identity: event.identity.or(last.and_then(|last| last.identity)),
            is_over: false,
        };
        self.last_run = Some(Arc::new(run));
    }

    fn admitted(&mut self, record: &Record, event: &ConnectionAdmitted) {
        let used_token = event.attempt.credential.is_some_and(|credential| credential.token == TokenVerdict::Live);
        self.active(record, &event.attempt, |activity| {
            activity.admissions = activity.admissions.saturating_add(1);
            activity.last_seen = record.at;
            if let (true, Some(ask)) = (used_token, &event.attempt.ask) {
                activity.token_used.insert(ask.role, record.at);
            }
        });
    }

    fn refused(&mut self, record: &Record, event: &ConnectionRefused) {
        self.active(record, &event.attempt, |activity| activity.refusals = activity.refusals.saturating_add(1));
        if let Refusal::PairingRequired(need) = &event.refusal
            && let Some(request) = self.requests.get_mut(&need.request)
        {
            let request = Arc::make_mut(request);
            request.last_at = record.at;
            request.attempts = request.attempts.saturating_add(1);
        }
    }

    /// Notes what a paired device did and said; every one has its activity, and nobody else.
    fn active(&mut self, record: &Record, attempt: &Attempt, note: impl FnOnce(&mut Activity)) {
        let Some(activity) = attempt.proof.and_then(|proof| self.activity.get_mut(&proof.device)) else { return };
        let activity = Arc::make_mut(activity);
        note(activity);
        if let Some(here) = attempt.ask.as_ref().and_then(|ask| ask.described.here.as_ref()) {
            activity.heard = Some((record.seq, Arc::new((**here).clone())));
        }
    }

    fn requested(&mut self, record: &Record, event: &PairingRequested) {
        let description = self.description(&event.device, &event.ask.described);
        if let Some(old) = event.supersedes {
            let held = self.requests.get(&old).map(|request| request.scopes.clone()).unwrap_or_default();
            let beyond = event.ask.scopes.missing_from(event.ask.role, &held);
            self.settle(old, Ending::Superseded, record.at, &record.actor);
            if let Some(settled) = self.settled.get_mut(&old) {
                Arc::make_mut(settled).resolution.successor = Some((event.request, beyond));
            }
        }
        let request = Request {
            id: event.request,
            seq: record.seq,
            reason: event.reason,
            device: event.device,
            key: event.key,
            role: event.ask.role,
            scopes: event.ask.scopes.clone(),
            description,
            client: event.client,
            form: event.form,
            address: event.address,
            created_at: record.at,
            last_at: record.at,
            attempts: 0,
            supersedes: event.supersedes,
        };
        self.waiting.insert_mut((event.device, event.ask.role), event.request);
        self.requests.insert_mut(event.request, Arc::new(request));
    }

    fn approved(&mut self, record: &Record, event: &PairingApproved) {
        let request = event.request.and_then(|id| self.requests.get(&id)).cloned();
        let known = self.devices.get(&event.device).map(|device| (**device).clone());
        let Some(mut device) = known.or_else(|| request.as_deref().map(|request| Device::begun(request, record.at))) else {
            return;
        };
        if let Some(request) = &request {
            device.adopt(request);
        }
        device.approved_at = record.at;
        let (approver, rule) = self.givers(&record.actor, event.act, &event.device);
        let grant = device.grants.entry(event.role).or_default();
        grant.approvers.extend(approver);
        grant.rules.extend(rule);
        grant.revoked = None;
        grant.approved = grant.approved.union(&event.scopes);
        if let Some(token) = &mut grant.token {
            token.scopes = token.scopes.union(&event.scopes);
        }
        self.devices.insert_mut(event.device, Arc::new(device));
        if let Some(request) = request {
            let mut activity = self.activity.get(&event.device).map_or_else(Activity::default, |known| Activity::clone(known));
            activity.heard = Some((request.seq, Arc::clone(&request.description)));
            self.activity.insert_mut(event.device, Arc::new(activity));
        }
        if let Some(id) = event.request {
            self.settle(id, Ending::Approved, record.at, &record.actor);
        }
    }

    fn change(&mut self, device: &DeviceId, change: impl FnOnce(&mut Device)) {
        if let Some(device) = self.devices.get_mut(device) {
            change(Arc::make_mut(device));
        }
    }

    fn grant(&mut self, device: &DeviceId, role: Role, change: impl FnOnce(&mut Grant)) {
        self.change(device, |device| change(device.grants.entry(role).or_default()));
    }

    /// Moves a request from those that wait to those that were answered; of these only so many are kept.
    fn settle(&mut self, id: RequestId, ending: Ending, at: Millis, by: &Actor) {
        let Some(request) = self.requests.get(&id).cloned() else { return };
        self.requests.remove_mut(&id);
        if self.waiting.get(&(request.device, request.role)) == Some(&id) {
            self.waiting.remove_mut(&(request.device, request.role));
        }
        let resolution = Resolution { ending, at, by: by.clone(), successor: None };
        let settled = Settled { device: request.device, role: request.role, scopes: request.scopes.clone(), resolution };
        self.settled.insert_mut(id, Arc::new(settled));
        let oldest = match self.devices.get_mut(&request.device).map(Arc::make_mut) {
            Some(device) => {
                device.settled.push(id);
                (device.settled.len() > limits::RESOLVED_PER_DEVICE).then(|| device.settled.remove(0))
            }
            None => self.settle_other(id),
        };
        if let Some(oldest) = oldest {
            self.settled.remove_mut(&oldest);
        }
    }

    fn settle_other(&mut self, id: RequestId) -> Option<RequestId> {
        self.settled_others.enqueue_mut(id);
        if self.settled_others.len() <= limits::RESOLVED_OTHERS {
            return None;
        }
        let oldest = self.settled_others.peek().copied();
        self.settled_others.dequeue_mut();
        oldest
    }

    /// Ends a device and its requests.
    fn remove(&mut self, record: &Record, id: &DeviceId) {
        for role in Role::ALL {
            if let Some(request) = self.waiting.get(&(*id, *role)).copied() {
                self.settle(request, Ending::Removed, record.at, &record.actor);
            }
        }
        self.forget(id);
        self.barred.insert_mut(*id, record.at);
    }

    /// Gives the place of a device to the one that proved its key in a request.
    fn succeed(&mut self, record: &Record, event: &DeviceSucceeded) {
        let old = self.devices.get(&event.device).cloned();
        let (Some(old), Some(request)) = (old, self.requests.get(&event.request).cloned()) else { return };
        let mut device = Device::begun(&request, old.created_at);
        device.adopt(&request);
        device.approved_at = record.at;
        device.label.clone_from(&old.label);
        let held = old.grants.iter().filter(|(_, grant)| grant.revoked.is_none());
        let inherit = |grant: &Grant| Grant { token: None, retired: vec![], ..grant.clone() };
        device.grants = held.map(|(role, grant)| (*role, inherit(grant))).collect();
        self.devices.insert_mut(device.id, Arc::new(device));
        let heard = Some((request.seq, Arc::clone(&request.description)));
        self.activity.insert_mut(event.by, Arc::new(Activity { heard, ..Activity::default() }));
        self.settle(event.request, Ending::Approved, record.at, &record.actor);
        self.remove(record, &event.device);
        let tokens = old.grants.values().flat_map(|grant| {
            let retired = grant.retired.iter().map(|retired| &retired.token);
            grant.token.iter().chain(retired).map(|token| *token.issue.digest())
        });
        if let Some(run) = self.last_run.as_mut().filter(|run| run.identity == Some(event.device)) {
            Arc::make_mut(run).identity = Some(event.by);
        }
        self.succeeded.insert_mut(event.device, Succession { by: event.by, at: record.at, tokens: tokens.collect() });
    }

    /// Enters a device that is paired by no request.
    fn enter(&mut self, profile: &Profile, grants: BTreeMap<Role, Grant>) {
        let Profile { device: id, key, client, description, label, address, created_at, approved_at } = profile.clone();
        let (description, settled) = (Arc::new(description), Vec::new());
        let device = Device { id, key, client, description, label, address, created_at, approved_at, grants, settled };
        self.devices.insert_mut(id, Arc::new(device));
        self.activity.insert_mut(id, Arc::default());
        self.barred.remove_mut(&id);
        self.succeeded.remove_mut(&id);
    }

    /// Revokes what the records that are gone might have revoked.
    fn roll_back(&mut self, record: &Record, event: &RollbackAccepted) {
        let all: Vec<_> = self.devices.keys().filter(|id| !event.keeps.contains(id)).copied().collect();
        for id in all {
            self.change(&id, |device| {
                for grant in device.grants.values_mut().filter(|grant| grant.revoked.is_none()) {
                    grant.end(RetiredWhy::Suspended, record);
                }
            });
        }
        self.codes = Map::default();
    }

    /// Drops a device; its answered requests are remembered with those of all others.
    fn forget(&mut self, id: &DeviceId) {
        let Some(device) = self.devices.get(id).cloned() else { return };
        self.devices.remove_mut(id);
        self.activity.remove_mut(id);
        for request in &device.settled {
            if let Some(oldest) = self.settle_other(*request) {
                self.settled.remove_mut(&oldest);
            }
        }
    }
}

/// Feeds `Hash` into SHA-256 with every integer in little-endian, so that the digest is the same on every machine.
#[derive(Default)]
struct DigestHasher(Sha256);

impl DigestHasher {
    fn digest(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn write_u16(&mut self, n: u16) {
        self.write(&n.to_le_bytes());
    }

    fn write_u32(&mut self, n: u32) {
        self.write(&n.to_le_bytes());
    }

    fn write_u64(&mut self, n: u64) {
        self.write(&n.to_le_bytes());
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(u64::try_from(n).unwrap_or(u64::MAX));
    }

    fn write_isize(&mut self, n: isize) {
        self.write(&i64::try_from(n).unwrap_or(i64::MAX).to_le_bytes());
    }

    /// Half the answer that nobody asks for: [`DigestHasher::digest`] gives all of it.
    fn finish(&self) -> u64 {
        0
    }
}
