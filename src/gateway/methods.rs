//! The table of methods: name, what it needs, what it does. The feature list is read off it, so a method is announced exactly
//! when it is served. The same table serves sockets, the owner channel and commands on a stopped gateway's journal.

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::hub::Hub;
use super::inviting::Inviting;
use super::nodes;
use super::ruling::Ruling;
use super::upstream;
use crate::authority::{Handle, Published};
use crate::host::Host;
use crate::journal::Reader;
use crate::limits;
use crate::pairing::{
    Actor, Address, Command, DeviceId, KnownScope, Outcome, Person, Refusal, RequestId, Role, ScopeSet, Seq, may_read_all,
    may_see_device, may_see_request,
};
use crate::settings::Advertised;
use crate::state::StateDir;
use crate::wire::codes::SetupIdParams;
use crate::wire::connect::Dialect;
use crate::wire::devices::{
    self, DeviceParams, FromParams, Label, Nothing, RenameParams, RequestParams, RoleParams, RotateParams, UpgradeParams,
    WhyParams,
};
use crate::wire::error::{Subject, command_refused, missing_scope, not_served, unauthorized_role, unknown_method, unrecorded};
use crate::wire::frame::{Text, WireError, parse_params};
use crate::wire::import;
use crate::wire::owner::{self, SeenParams, SettleParams, SucceedParams};
use crate::wire::policy;

/// What methods work with.
pub struct Desk {
    /// The writer.
    pub authority: Handle,
    /// The journal, to read.
    pub reader: Arc<Mutex<Reader>>,
    /// Who is connected.
    pub hub: Arc<Hub>,
    /// Clock and chance.
    pub host: Arc<dyn Host>,
    /// Where the journal lies.
    pub journal: PathBuf,
    /// Taken by whoever reads all of it: one at a time, so that however many ask, the gateway keeps its cores.
    pub reading_all: tokio::sync::Mutex<()>,
    /// This machine's name.
    pub hostname: String,
    /// When the gateway started, by the monotonic clock.
    pub started: u64,
    /// Whether a gateway runs, or a command works on its journal while it is stopped.
    pub is_running: bool,
    /// What setup codes are made with.
    pub inviting: Inviting,
}

/// Who calls.
pub struct Caller {
    /// As the journal will name it.
    pub actor: Actor,
    /// Its role.
    pub role: Role,
    /// Its connection's scopes.
    pub scopes: ScopeSet,
    /// The protocol it speaks.
    pub dialect: Dialect,
    /// Where it is.
    pub address: Address,
}

impl Caller {
    /// Whoever owns the state directory, on this host.
    pub(super) fn owner(person: Person) -> Self {
        Self {
            actor: Actor::Owner(person),
            role: Role::Operator,
            scopes: ScopeSet::cli(),
            dialect: Dialect::NEWEST,
            address: IpAddr::V6(Ipv6Addr::LOCALHOST).into(),
        }
    }

    pub(super) fn is_owner(&self) -> bool {
        matches!(self.actor, Actor::Owner(_))
    }
}

/// What a caller needs.
#[derive(Clone, Copy)]
pub(super) enum Need {
    Open,
    Operator,
    Scope(KnownScope),
    Node,
}

#[derive(Clone, Copy)]
enum Method {
    Health,
    Status,
    Presence,
    List,
    Approve,
    Reject,
    RejectFrom,
    Remove,
    Rename,
    Rotate,
    Revoke,
    Ask,
    Wait,
    Why,
    Tail,
    Audit,
    Warrants,
    Node(nodes::Method),
    Acts,
    Seen,
    Succeed,
    Settle,
    Policy(Ruling),
    Invite,
    Invited,
    Invitations,
    Uninvite,
    Import,
    Undo,
    Verify,
}

pub(super) const READ: Need = Need::Scope(KnownScope::Read);
pub(super) const WRITE: Need = Need::Scope(KnownScope::Write);
pub(super) const PAIRING: Need = Need::Scope(KnownScope::Pairing);
pub(super) const APPROVALS: Need = Need::Scope(KnownScope::Approvals);
pub(super) const QUESTIONS: Need = Need::Scope(KnownScope::Questions);
pub(super) const TALK: Need = Need::Scope(KnownScope::Talk);
pub(super) const SESSIONS_WRITE: Need = Need::Scope(KnownScope::SessionsWrite);
pub(super) const ADMIN: Need = Need::Scope(KnownScope::Admin);
pub(super) const NODE: Need = Need::Node;

const METHODS: &[(&str, Need, Method)] = &[
    ("health", Need::Open, Method::Health),
    ("status", READ, Method::Status),
    ("system-presence", READ, Method::Presence),
    ("logs.tail", READ, Method::Tail),
    ("audit.events", READ, Method::Audit),
    ("audit.warrants", READ, Method::Warrants),
    ("device.pair.list", PAIRING, Method::List),
    ("device.pair.approve", PAIRING, Method::Approve),
    ("device.pair.reject", PAIRING, Method::Reject),
    ("device.pair.rejectFrom", PAIRING, Method::RejectFrom),
    ("device.pair.remove", PAIRING, Method::Remove),
    ("device.pair.rename", PAIRING, Method::Rename),
    ("device.pair.why", PAIRING, Method::Why),
    ("owner.acts", ADMIN, Method::Acts),
    ("owner.seen", ADMIN, Method::Seen),
    // Whatever a connection holds: `decide` lets nobody but the owner on this host.
    ("owner.succeed", ADMIN, Method::Succeed),
    ("owner.settle", ADMIN, Method::Settle),
    ("device.token.rotate", PAIRING, Method::Rotate),
    ("device.token.revoke", PAIRING, Method::Revoke),
    ("node.list", READ, Method::Node(nodes::Method::List)),
    ("node.describe", READ, Method::Node(nodes::Method::Describe)),
    ("node.pair.list", PAIRING, Method::Node(nodes::Method::PairList)),
    ("node.pair.approve", PAIRING, Method::Node(nodes::Method::Approve)),
    ("node.pair.reject", PAIRING, Method::Node(nodes::Method::Reject)),
    ("node.pair.remove", PAIRING, Method::Node(nodes::Method::Remove)),
    ("node.rename", PAIRING, Method::Node(nodes::Method::Rename)),
    ("device.pair.setupCode", ADMIN, Method::Invite),
    ("device.pair.setupStatus", ADMIN, Method::Invited),
    ("device.pair.setupCodes", ADMIN, Method::Invitations),
    ("device.pair.revokeSetupCode", ADMIN, Method::Uninvite),
    ("device.import", ADMIN, Method::Import),
    // Whoever lacks scopes needs none to ask for them.
    ("device.scopes.requestUpgrade", Need::Operator, Method::Ask),
    ("device.scopes.waitUpgrade", Need::Operator, Method::Wait),
    ("policy.show", ADMIN, Method::Policy(Ruling::Show)),
    ("policy.check", ADMIN, Method::Policy(Ruling::Check)),
    ("policy.simulate", ADMIN, Method::Policy(Ruling::Simulate)),
    ("policy.apply", ADMIN, Method::Policy(Ruling::Apply)),
    ("policy.arm", ADMIN, Method::Policy(Ruling::Arm)),
    ("journal.undo", PAIRING, Method::Undo),
    ("journal.verify", ADMIN, Method::Verify),
];

/// The names of all methods served.
#[must_use]
pub(super) fn names() -> Vec<&'static str> {
    METHODS.iter().map(|(name, ..)| *name).collect()
}

impl Desk {
    pub(super) fn new(
        state: &StateDir,
        authority: Handle,
        reader: Reader,
        hub: Arc<Hub>,
        host: Arc<dyn Host>,
        (is_running, advertised): (bool, Result<Advertised, String>),
    ) -> Self {
        Self {
            authority,
            reader: Arc::new(Mutex::new(reader)),
            hub,
            started: host.monotonic(),
            host,
            journal: state.journal(),
            reading_all: tokio::sync::Mutex::default(),
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            is_running,
            inviting: Inviting::new(advertised),
        }
    }

    /// Answers a call: gate, existence, params, act.
    ///
    /// # Errors
    /// What the caller is told instead.
    pub async fn call(&self, caller: &Caller, method: &str, params: Option<&RawValue>) -> Result<Value, WireError> {
        let served = METHODS.iter().find(|(name, ..)| *name == method);
        let known = upstream::need(method);
        let need = served.map(|(_, need, _)| *need).or(known).unwrap_or(ADMIN);
        if !caller.is_owner()
            && let Err(refusal) = gate(caller, need)
            && !rotates_its_own(caller, method, params)
        {
            return Err(refusal);
        }
        let Some((_, _, served)) = served else {
            return Err(match known {
                // In these words a node host of 2026.9.6 learns not to come with it again and again.
                Some(Need::Node) | None => unknown_method(method),
                Some(_) => not_served(method),
            });
        };
        match served {
            Method::Health => Ok(self.health()),
            Method::Status => Ok(self.status(caller).await),
            Method::Presence => Ok(self.presence(caller).0.into()),
            Method::List => {
                read::<Nothing>(method, params)?;
                Ok(self.list(caller))
            }
            Method::Approve => {
                let request = request_id(&read::<RequestParams>(method, params)?.request_id)?;
                self.act(caller, Command::Approve { request }).await
            }
            Method::Reject => {
                let request = request_id(&read::<RequestParams>(method, params)?.request_id)?;
                self.act(caller, Command::Reject { request }).await
            }
            Method::RejectFrom => {
                let address = address(&read::<FromParams>(method, params)?.address)?;
                self.act(caller, Command::RejectFrom { address }).await
            }
            Method::Remove => {
                let params = read::<DeviceParams>(method, params)?;
                let (device, with_approved) = (device_id(&params.device_id)?, params.with_approved);
                self.act(caller, Command::Remove { device, with_approved }).await
            }
            Method::Rename => {
                let RenameParams { device_id: id, label: Label(label) } = read(method, params)?;
                self.act(caller, Command::Rename { device: device_id(&id)?, label }).await
            }
            Method::Rotate => {
                let params = read::<RotateParams>(method, params)?;
                let (device, role) = (device_id(&params.device_id)?, role(&params.role)?);
                let parse = |scopes: Vec<Text>| ScopeSet::parse(scopes.iter().map(|scope| &*scope.0));
                let scopes = params.scopes.map(parse).transpose();
                let scopes =
                    scopes.map_err(|error| WireError::invalid(format!("invalid {method} params: at /scopes: {error}")))?;
                self.act(caller, Command::Rotate { device, role, scopes }).await
            }
            Method::Revoke => {
                let params = read::<RoleParams>(method, params)?;
                let (device, role) = (device_id(&params.device_id)?, role(&params.role)?);
                self.act(caller, Command::Revoke { device, role, with_approved: params.with_approved }).await
            }
            Method::Ask => {
                let scopes = read::<UpgradeParams>(method, params)?.scopes.0;
                self.act(caller, Command::Ask { scopes, address: caller.address }).await
            }
            Method::Wait => {
                let request = request_id(&read::<RequestParams>(method, params)?.request_id)?;
                self.wait(caller, request).await
            }
            Method::Why => self.why(caller, &read::<WhyParams>(method, params)?.about.0).await,
            Method::Tail => self.tail(caller, read(method, params)?).await,
            Method::Audit => self.audit(caller, read(method, params)?).await,
            Method::Warrants => self.warrants(caller, read(method, params)?).await,
            Method::Node(served) => self.call_about_nodes(caller, *served, method, params).await,
            Method::Acts => {
                read::<Nothing>(method, params)?;
                Ok(self.unseen(limits::UNSEEN_ACTS).await)
            }
            Method::Seen => {
                let through = Seq(read::<SeenParams>(method, params)?.through);
                self.act(caller, Command::MarkSeen { through }).await
            }
            Method::Succeed => {
                let SucceedParams { device_id: old, request_id: request } = read(method, params)?;
                self.act(caller, Command::Succeed { old: device_id(&old)?, request: request_id(&request)? }).await
            }
            Method::Settle => {
                let condition = read::<SettleParams>(method, params)?.condition.0;
                self.act(caller, Command::Settle { condition }).await?;
                Ok(json!({ "condition": condition.as_str() }))
            }
            Method::Policy(ruling) => self.rule(caller, *ruling, method, params).await,
            Method::Invite => self.invite(caller, read(method, params)?).await,
            Method::Invited => Ok(self.invited(&read(method, params)?)),
            Method::Invitations => read::<Nothing>(method, params).map(|_| self.invitations()),
            Method::Import => self.import(caller, read(method, params)?).await,
            Method::Undo => self.undo(caller, read(method, params)?).await,
            Method::Verify => {
                read::<Nothing>(method, params)?;
                self.verify().await
            }
            Method::Uninvite => self.uninvite(caller, &read::<SetupIdParams>(method, params)?.setup_id).await,
        }
    }

    /// The state of health, for everybody.
    #[must_use]
    pub fn health(&self) -> Value {
        json!({
            "ok": true,
            "ts": self.host.wall().0,
            "durationMs": 0,
            "channels": {},
            "channelOrder": [],
            "channelLabels": {},
            "heartbeatSeconds": 0,
            "defaultAgentId": "main",
            "agents": [],
            "sessions": { "path": "", "count": 0, "recent": [] },
        })
    }

    /// Who is here, as far as the caller may read it, and how often presence and health changed.
    #[must_use]
    pub(super) fn presence(&self, caller: &Caller) -> (Vec<Value>, (u64, u64)) {
        let may_read = caller.is_owner() || caller.role == Role::Operator && caller.scopes.allows(KnownScope::Read);
        let (seen, versions) = self.hub.presence(&self.authority.registry(), &caller.actor);
        let seen = seen.into_iter().filter(|_| may_read);
        (seen.map(|entry| entry.shown.clone()).collect(), versions)
    }

    /// How long the gateway has been up, in milliseconds.
    #[must_use]
    pub fn uptime_ms(&self) -> u64 {
        self.host.monotonic().saturating_sub(self.started)
    }

    async fn status(&self, caller: &Caller) -> Value {
        let Published { registry, head, synced } = self.authority.published();
        let mut status = json!({
            "running": self.is_running,
            "version": env!("CARGO_PKG_VERSION"),
            "runtimeVersion": caller.dialect.release(),
            "uptimeMs": self.uptime_ms(),
            "journal": {
                "id": registry.journal().map(|id| id.to_string()),
                "path": self.journal.display().to_string(),
                "seq": registry.head().0,
                "digest": registry.digest().0.to_string(),
                "head": head.map(|head| head.hash.to_string()),
                "records": self.authority.records(),
                "lastSync": head.zip(synced).map(|(head, at)| json!({ "seq": head.seq.0, "atMs": at.0 })),
            },
            "devices": { "paired": registry.device_count(), "pending": registry.request_count() },
            "connections": self.hub.connected(),
            "policy": policy::status(&registry),
            // What OpenClaw runs, and we do not: `status --json` of a 2026.9.6 client fails without.
            "channelSummary": [],
            "queuedSystemEvents": [],
            "sessions": { "paths": [], "count": 0, "defaults": {}, "recent": [], "byAgent": [] },
        });
        if may_read_all(&registry, &caller.actor)
            && let Some(status) = status.as_object_mut()
        {
            status.insert("ownerActs".to_owned(), self.unseen(limits::UNSEEN_ACTS_SHOWN).await);
            status.insert(
                "conditions".to_owned(),
                registry.conditions().map(|(what, found)| owner::condition(what, found)).collect(),
            );
            let identity = registry.last_run().and_then(|run| run.identity);
            status.insert("hostDevice".to_owned(), identity.map(|device| device.to_string()).into());
        }
        status
    }

    fn list(&self, caller: &Caller) -> Value {
        let registry = self.authority.registry();
        let mut list = devices::list(
            &registry,
            |request| may_see_request(&registry, &caller.actor, request),
            |device| may_see_device(&registry, &caller.actor, &device.id),
        );
        for entry in list.get_mut("paired").and_then(Value::as_array_mut).into_iter().flatten() {
            let id = entry.get("deviceId").and_then(Value::as_str).and_then(|id| id.parse::<DeviceId>().ok());
            let connected = id.is_some_and(|id| self.hub.is_connected(&id));
            if let Some(entry) = entry.as_object_mut() {
                entry.insert("connected".to_owned(), connected.into());
            }
        }
        list
    }

    pub(super) async fn act(&self, caller: &Caller, command: Command) -> Result<Value, WireError> {
        let request = match &command {
            Command::Approve { request } | Command::Reject { request } | Command::Succeed { request, .. } => Some(*request),
            _ => None,
        };
        let outcome = self.authority.ask(command, caller.actor.clone()).await;
        let registry = self.authority.registry();
        match outcome {
            Err(_) => Err(unrecorded()),
            Ok(Outcome::Refused(refusal)) => {
                let settled = request.and_then(|request| registry.settled(&request));
                let device = settled.map(|settled| &settled.device);
                Err(command_refused(&refusal, Subject { device, request: request.as_ref(), ..Subject::default() }))
            }
            Ok(Outcome::Approved { device, request, before }) => {
                let before = before.map(|(actor, at)| devices::approved_before(&actor, at));
                match registry.device(&device) {
                    Some(paired) => {
                        let activity = registry.activity(&device).map(AsRef::as_ref);
                        Ok(devices::approved(&request.to_string(), paired, activity, before))
                    }
                    // Approved long ago, and removed since.
                    None => Ok(json!({ "requestId": request.to_string(), "deviceId": device.to_string(), "note": before })),
                }
            }
            Ok(Outcome::Rejected { device, request }) => {
                Ok(json!({ "requestId": request.to_string(), "deviceId": device.to_string() }))
            }
            Ok(Outcome::Removed { device, approved }) => {
                Ok(devices::with_approved(json!({ "deviceId": device.to_string() }), &approved))
            }
            Ok(Outcome::Rotated { token, own }) => {
                let text = if own { self.authority.token(&token) } else { None };
                Ok(devices::rotated(&token, text.as_ref()))
            }
            Ok(Outcome::Revoked { device, role, at, approved }) => {
                let result = json!({ "deviceId": device.to_string(), "role": role.as_str(), "revokedAtMs": at.0 });
                Ok(devices::with_approved(result, &approved))
            }
            Ok(Outcome::Succeeded { old, by, request }) => {
                let mut result =
                    json!({ "deviceId": by.to_string(), "succeeds": old.to_string(), "requestId": request.to_string() });
                let device = registry.device(&by).map(|device| devices::paired(device, None));
                if let (Some(device), Some(result)) = (device, result.as_object_mut()) {
                    result.insert("device".to_owned(), device);
                }
                Ok(result)
            }
            Ok(Outcome::Renamed { device, label }) => Ok(json!({ "deviceId": device.to_string(), "label": label })),
            Ok(Outcome::Asked { request }) => Ok(json!({ "requestId": request.to_string() })),
            Ok(Outcome::RejectedAll(requests)) => {
                Ok(json!({ "rejected": requests.iter().map(ToString::to_string).collect::<Vec<_>>() }))
            }
            Ok(Outcome::Imported { devices, left }) => Ok(import::imported(&devices, &left)),
            Ok(
                Outcome::Admitted(_) | Outcome::Noted | Outcome::Applied | Outcome::CodeCreated { .. } | Outcome::Undone { .. },
            ) => Ok(Value::Null),
        }
    }

    /// Waits until a request of the caller's own device has ended; its time to live bounds that.
    async fn wait(&self, caller: &Caller, request: RequestId) -> Result<Value, WireError> {
        let Actor::Device { device, .. } = &caller.actor else {
            return Err(command_refused(&Refusal::DeviceRequired, Subject::default()));
        };
        let mut changes = self.authority.changes();
        loop {
            {
                let registry = &changes.borrow_and_update().registry;
                if let Some(settled) = registry.settled(&request).filter(|settled| settled.device == *device) {
                    let token = registry.device(device).and_then(|device| device.token(settled.role));
                    let told = token.as_ref().map(|token| (token, self.authority.token(token)));
                    return Ok(devices::upgraded(&request.to_string(), &settled.resolution, told));
                }
                if registry.request(&request).is_none_or(|request| request.device != *device) {
                    return Err(command_refused(&Refusal::UnknownRequest, Subject::default()));
                }
            }
            if changes.changed().await.is_err() {
                return Err(unrecorded());
            }
        }
    }
}

fn gate(caller: &Caller, need: Need) -> Result<(), WireError> {
    let needed = match (need, caller.role) {
        (Need::Open, _) | (Need::Node, Role::Node) | (Need::Operator, Role::Operator) => return Ok(()),
        (Need::Node, role) | (Need::Operator | Need::Scope(_), role @ Role::Node) => {
            return Err(unauthorized_role(role));
        }
        (Need::Scope(scope), Role::Operator) => scope,
    };
    if caller.scopes.allows(needed) { Ok(()) } else { Err(missing_scope(needed, caller.dialect)) }
}

/// Whether a call may take as long as a person does; what comes behind it does not wait for it.
#[must_use]
pub(super) fn waits(method: &str) -> bool {
    METHODS.iter().any(|(name, _, served)| *name == method && matches!(served, Method::Wait))
}

/// Whether a device asks for another token in place of its own, which needs no scope: how far it may, is decided.
fn rotates_its_own(caller: &Caller, method: &str, params: Option<&RawValue>) -> bool {
    let named = || parse_params::<RotateParams>(params).ok()?.device_id.0.parse().ok();
    let is_operator = caller.role == Role::Operator && method == "device.token.rotate";
    is_operator && named().is_some_and(|device| caller.actor.is_device(&device))
}

pub(super) fn read<T: DeserializeOwned>(method: &str, params: Option<&RawValue>) -> Result<T, WireError> {
    parse_params(params).map_err(|why| WireError::invalid(format!("invalid {method} params: {why}")))
}

pub(super) fn request_id(text: &Text) -> Result<RequestId, WireError> {
    text.0.parse().map_err(|_| WireError::invalid("unknown requestId"))
}

pub(super) fn device_id(text: &Text) -> Result<DeviceId, WireError> {
    text.0.parse().map_err(|_| WireError::invalid("unknown deviceId"))
}

fn address(text: &Text) -> Result<Address, WireError> {
    text.0.parse::<IpAddr>().map(Address::from).map_err(|_| WireError::invalid("address is no IP address"))
}

fn role(text: &Text) -> Result<Role, WireError> {
    Role::from_text(&text.0).ok_or_else(|| WireError::invalid("unknown deviceId/role"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(role: Role, scopes: &[&str]) -> Caller {
        let scopes = ScopeSet::parse(scopes.iter().copied()).expect("scopes");
        Caller { actor: Actor::Peer, role, scopes, dialect: Dialect::Three, address: IpAddr::V6(Ipv6Addr::LOCALHOST).into() }
    }

    #[test]
    fn the_gate_asks_for_the_role_before_the_scope() {
        let answer = |role, scopes: &[&str], need| gate(&caller(role, scopes), need).err().map(|error| error.message);
        assert_eq!(answer(Role::Node, &[], Need::Open), None);
        assert_eq!(answer(Role::Node, &[], READ).as_deref(), Some("unauthorized role: node"));
        assert_eq!(answer(Role::Operator, &["operator.admin"], Need::Node).as_deref(), Some("unauthorized role: operator"));
        assert_eq!(answer(Role::Operator, &[], READ).as_deref(), Some("missing scope: operator.read"));
        assert_eq!(answer(Role::Operator, &["operator.write"], READ), None);
    }

    #[test]
    fn no_name_stands_twice() {
        let upstream = upstream::METHODS.iter().flat_map(|(_, names)| names.split_ascii_whitespace());
        let mut names: Vec<_> = METHODS.iter().map(|row| row.0).chain(upstream).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
