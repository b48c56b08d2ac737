//! What somebody wants, what is handed in to decide it, and what they are told. A refusal is data with the facts that the
//! asker needs to act; it is not an error, and it leaves the state as it was.

use std::{fmt, mem};

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::coded::{NoValue, coded};
use super::done::Done;
use super::event::{
    Actor, Address, Attempt, AuthMode, Condition, DeviceImported, Event, Fault, GatewayStarted, GatewayStopped, Incoherent,
    Issue, JournalRepaired, Reason, RoleGrant, Rule,
};
use super::ids::{DeviceId, Digest, KeyId, Millis, PublicKey, RequestId, Seq, SetupCodeId};
use super::scopes::{Role, ScopeSet};

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Come in. The key stands beside the attempt because only a first request has to write it down.
    Connect {
        /// The try, with all verdicts made.
        attempt: Box<Attempt>,
        /// The key that was proved.
        key: Option<PublicKey>,
        /// The setup code that it presented, where that is good for this device and all that it asks.
        code: Option<SetupCodeId>,
    },
    /// Say that an admitted connection ended.
    Close {
        /// Its admission.
        admission: Seq,
        /// The close code.
        code: u16,
    },
    /// Grant what a request shows.
    Approve {
        /// The request.
        request: RequestId,
    },
    /// Turn a request down.
    Reject {
        /// The request.
        request: RequestId,
    },
    /// Take away a device and all that it holds.
    Remove {
        /// The device.
        device: DeviceId,
        /// Whether also the devices that it approved, and those that they did, and so on.
        with_approved: bool,
    },
    /// Replace a role's token.
    Rotate {
        /// The device.
        device: DeviceId,
        /// The role.
        role: Role,
        /// Exactly these scopes; without, the token keeps its own.
        scopes: Option<ScopeSet>,
    },
    /// Take a role away.
    Revoke {
        /// The device.
        device: DeviceId,
        /// The role.
        role: Role,
        /// Whether also what it approved for others, and they for others, and so on.
        with_approved: bool,
    },
    /// Give a device a name.
    Rename {
        /// The device.
        device: DeviceId,
        /// Its name from now on.
        label: String,
    },
    /// Ask for more scopes as operator, on a connection that the device has.
    Ask {
        /// All that it wants to hold.
        scopes: ScopeSet,
        /// Where the connection comes from.
        address: Address,
    },
    /// Turn down all requests of an address, of IPv6 of its network.
    RejectFrom {
        /// The address.
        address: Address,
    },
    /// Put another policy in force.
    ApplyPolicy {
        /// It, whole.
        text: String,
    },
    /// Let a local rule work again that rests.
    ArmRule {
        /// The rule.
        rule: Rule,
    },
    /// Make a code that pairs one device without a request.
    CreateSetupCode {
        /// What it gives.
        grants: Vec<RoleGrant>,
        /// SHA-256 of its text.
        digest: Digest,
        /// For how long it is good, in milliseconds.
        lives_ms: u64,
        /// What it is for.
        label: Option<String>,
    },
    /// Take a setup code back.
    RevokeSetupCode {
        /// The code.
        code: SetupCodeId,
    },
    /// Say that the owner's acts up to a record were seen.
    MarkSeen {
        /// The last that was seen.
        through: Seq,
    },
    /// Take devices over from a real OpenClaw.
    Import {
        /// They.
        devices: Vec<DeviceImported>,
    },
    /// Give the place of a device to the one that proved its key in a request.
    Succeed {
        /// The device that is no more.
        old: DeviceId,
        /// The request.
        request: RequestId,
    },
    /// Accept a journal that ends before what was seen of it.
    AcceptRollback {
        /// The last record that was seen.
        witnessed: Seq,
        /// The digest of the batch that ended with it.
        hash: Digest,
        /// The devices that keep what they hold.
        keeps: Vec<DeviceId>,
    },
    /// Note that new tokens are derived with another key.
    ReplaceKey {
        /// That one.
        key: KeyId,
    },
    /// Say that a condition is known and dealt with.
    Settle {
        /// The condition.
        condition: Condition,
    },
    /// Take an earlier act back.
    Undo {
        /// The act; absent where there is no such record.
        done: Option<Box<Done>>,
    },
    /// End the requests whose time is over.
    Expire,
    /// Note that a gateway started.
    Start(GatewayStarted),
    /// Note that a gateway stopped.
    Stop(GatewayStopped),
    /// Note that a torn end was put aside.
    Repair(JournalRepaired),
    /// Note how something was found. Only what changes is noted.
    Observe {
        /// What was looked at.
        condition: Condition,
        /// What is wrong with it, or nothing.
        found: Option<String>,
    },
}

/// What the core may not fetch itself.
pub struct Context<'a> {
    /// Who asks.
    pub actor: Actor,
    /// The time; never before the last record's.
    pub now: Millis,
    /// Fresh ids, should requests or a setup code be made.
    pub ids: [[u8; 16]; 2],
    /// Where fresh tokens come from.
    pub mint: &'a dyn Mint,
}

/// Offers what a new token needs; answered from the record where history is decided again.
pub trait Mint {
    /// A fresh issue for the role of this device, or none while the token key cannot be used.
    fn mint(&self, device: &DeviceId, role: Role) -> Option<Issue>;
}

/// What a command leads to. A refusal has events too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happened, with who did each.
    pub events: Vec<(Actor, Event)>,
    /// What the asker is told.
    pub outcome: Outcome,
}

/// What the asker is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Come in.
    Admitted(Admission),
    /// The request was granted, or had been before by whom it says.
    Approved {
        /// Its device.
        device: DeviceId,
        /// The request.
        request: RequestId,
        /// Who had granted it before, and when.
        before: Option<(Actor, Millis)>,
    },
    /// The request was turned down.
    Rejected {
        /// Its device.
        device: DeviceId,
        /// The request.
        request: RequestId,
    },
    /// The device is gone.
    Removed {
        /// It.
        device: DeviceId,
        /// What it approved, at any depth, and what became of that.
        approved: Vec<DeviceId>,
    },
    /// The token was replaced.
    Rotated {
        /// The new one.
        token: Granted,
        /// Whether the asker is the device itself, and may see the new token.
        own: bool,
    },
    /// The role is gone.
    Revoked {
        /// The device.
        device: DeviceId,
        /// The role.
        role: Role,
        /// When.
        at: Millis,
        /// What it approved, at any depth.
        approved: Vec<DeviceId>,
    },
    /// The device has this name.
    Renamed {
        /// It.
        device: DeviceId,
        /// Its name.
        label: String,
    },
    /// A person is asked.
    Asked {
        /// The request that waits.
        request: RequestId,
    },
    /// All of these requests were turned down.
    RejectedAll(Vec<RequestId>),
    /// The policy is in force.
    Applied,
    /// There is a setup code now.
    CodeCreated {
        /// Its id.
        code: SetupCodeId,
        /// When it is good no longer.
        expires: Millis,
    },
    /// These devices were taken over, and those were left as they are.
    Imported {
        /// The ones taken over.
        devices: Vec<DeviceId>,
        /// The others, and why.
        left: Vec<(DeviceId, LeftAlone)>,
    },
    /// The place of a device was given to another.
    Succeeded {
        /// The device that was.
        old: DeviceId,
        /// The device that has it.
        by: DeviceId,
        /// The request in which that proved its key.
        request: RequestId,
    },
    /// The act was taken back.
    Undone {
        /// The record that says so.
        first: Seq,
        /// The last record of the inverse.
        last: Seq,
    },
    /// It is noted.
    Noted,
    /// No.
    Refused(Box<Refusal>),
}

/// Why a device is not taken over from a real OpenClaw: what was decided here stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftAlone {
    /// It is paired here already.
    Paired,
    /// A person removed it here, or turned it down.
    Barred,
    /// Another key has its place here.
    Succeeded,
}

/// The terms on which a connection is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// By which rule.
    pub rule: Rule,
    /// As what.
    pub role: Role,
    /// With which scopes.
    pub scopes: ScopeSet,
    /// The device that proved itself, where it is paired.
    pub device: Option<DeviceId>,
    /// The device's live token for the role, to be told to it again.
    pub token: Option<Granted>,
    /// Its live tokens for other roles that a setup code gave at the same time.
    pub more: Vec<Granted>,
    /// What a node may offer of what it declares.
    pub surface: Surface,
}

/// What a node offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surface {
    /// Capabilities.
    pub caps: Vec<String>,
    /// Commands.
    pub commands: Vec<String>,
}

/// A token that a device holds, by everything but its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The device.
    pub device: DeviceId,
    /// The role.
    pub role: Role,
    /// What it carries.
    pub scopes: ScopeSet,
    /// What is known of it; absent for an imported one, which cannot be made again.
    pub issue: Option<Issue>,
    /// When it was issued or last rotated.
    pub at: Millis,
}

// --- refusals ---------------------------------------------------------------------------------------------------

coded!(
    /// Why credentials do not do (OpenClaw 2026.3.13 `authReason`).
    AuthReason {
        /// No token.
        TokenMissing = 1 => "token_missing",
        /// Another token.
        TokenMismatch = 2 => "token_mismatch",
        /// The gateway has no token.
        TokenNotConfigured = 3 => "token_missing_config",
        /// No password.
        PasswordMissing = 4 => "password_missing",
        /// Another password.
        PasswordMismatch = 5 => "password_mismatch",
        /// The gateway has no password.
        PasswordNotConfigured = 6 => "password_missing_config",
        /// A setup code that is not valid.
        BootstrapTokenInvalid = 7 => "bootstrap_token_invalid",
        /// Not the device's token, or no longer.
        DeviceTokenMismatch = 8 => "device_token_mismatch",
        /// Too many failed before; nothing was compared.
        RateLimited = 9 => "rate_limited",
        /// The proxy named no user.
        TrustedProxyUserMissing = 10 => "trusted_proxy_user_missing",
        /// The proxy named a user who may not come in.
        TrustedProxyUserNotAllowed = 11 => "trusted_proxy_user_not_allowed",
        /// The peer is no trusted proxy.
        TrustedProxyUntrustedSource = 12 => "trusted_proxy_untrusted_source",
    }
);

/// Why something cannot be done, whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// No such record.
    #[error("there is no such record")]
    NoRecord,
    /// No inverse exists.
    #[error("it cannot be taken back")]
    NoInverse,
    /// It was asked for only.
    #[error("a request is answered and not undone; to turn it down: openclaw devices reject")]
    OnlyAsked,
    /// A request ran out of time.
    #[error("a request that ran out of time is over; its device asks again when it connects")]
    AsksAgain,
    /// A token was issued or replaced.
    #[error(
        "a token that was replaced stays dead; to replace this one: openclaw devices rotate, to end it: openclaw devices revoke"
    )]
    TokenStays,
    /// A rule was armed.
    #[error("a rule is not laid to rest; to keep it from working, turn it off: openclaw policy apply")]
    RuleWorks,
    /// A setup code was spent.
    #[error("what a setup code gave stands in the approvals behind it; undo those")]
    CodeSpent,
    /// A setup code was taken back.
    #[error("a setup code that was taken back stays dead; make another one: openclaw qr")]
    CodeGone,
    /// A rollback was accepted.
    #[error("what was suspended is approved anew, device by device: openclaw devices approve")]
    RolledBack,
    /// It tells of what was undone.
    #[error("it only tells what was undone; undo a record behind it instead")]
    OnlyTells,
    /// An approval gave no scopes.
    #[error("it gave no scopes; to take the whole role away: openclaw devices revoke")]
    NoScopes,
    /// A later act changed the same again.
    #[error("a later act changed the same again")]
    Overtaken,
    /// It is known which one did.
    #[error("seq {0} changed the same again")]
    OvertakenBy(Seq),
    /// It was taken back before.
    #[error("it was undone already, at seq {0}")]
    Undone(Seq),
    /// Nothing is left of it.
    #[error("nothing is left of it")]
    NothingLeft,
    /// The asking device is paired already.
    #[error("the device that asks is paired already")]
    PairedAlready,
}

impl From<Obstacle> for Refusal {
    fn from(obstacle: Obstacle) -> Self {
        Self::NotPossible { why: obstacle.to_string() }
    }
}

coded!(
    /// How a request ended.
    Ending {
        /// Granted.
        Approved = 1 => "approved",
        /// Turned down.
        Rejected = 2 => "rejected",
        /// Replaced by another ask of the same device.
        Superseded = 3 => "superseded",
        /// Ran out of time.
        Expired = 4 => "expired",
        /// Its device was removed.
        Removed = 5 => "removed",
    }
);

/// How and by whom a request was resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resolution {
    /// How.
    pub ending: Ending,
    /// When.
    pub at: Millis,
    /// By whom.
    pub by: Actor,
    /// The request that replaced it, and what that asks beyond it.
    pub successor: Option<(RequestId, ScopeSet)>,
}

/// What a device lacks, and the request that would give it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PairingNeed {
    /// The first reason.
    pub reason: Reason,
    /// The pending request.
    pub request: RequestId,
    /// The scopes of this ask that are not held.
    pub missing: ScopeSet,
    /// The scopes held now.
    pub held: ScopeSet,
    /// Whether approval covers the ask and only the token is narrower.
    pub token_is_narrow: bool,
    /// When the role was revoked and by whom, where that is why it is not held.
    pub revoked: Option<(Millis, Actor)>,
    /// How long to wait before the next try.
    pub retry_after_ms: u64,
    /// The local rule that would have let it in and rests; in a record the refusal's number says so.
    #[serde(skip)]
    pub rests: Option<Rule>,
}

/// No, and what is needed to do something about it. Closed: every reason there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The connect itself was wrong.
    Fault(Fault),
    /// A Control UI without a device key.
    ControlUiNeedsDevice,
    /// Neither a device nor a right shared secret that would do without.
    DeviceRequired,
    /// The credentials do not do.
    Unauthorized {
        /// Why.
        reason: AuthReason,
        /// Whether the client may try again with its device token.
        may_retry_with_device_token: bool,
        /// When the presented device token was rotated.
        rotated_at: Option<Millis>,
    },
    /// A person is needed.
    PairingRequired(PairingNeed),
    /// A person would be needed, but too many requests wait already.
    PendingTableFull,
    /// The actor does not hold this scope.
    MissingScope(ScopeSet),
    /// Acting on another device, or on a role that is not operator, needs `operator.admin`.
    NeedsAdmin,
    /// No such request, or none that the actor may know of.
    UnknownRequest,
    /// The request was resolved already.
    Resolved(Resolution),
    /// No such device.
    UnknownDevice,
    /// The device does not hold this role, and a rotation never creates one.
    RoleNotHeld(Role),
    /// The token key cannot be used, so no token can be issued.
    TokenKeyUnusable,
    /// All that is asked for is held already.
    HeldAlready,
    /// The policy forbids it, so no approval helps.
    PolicyDenied {
        /// Which rule, as the policy's keys name it.
        rule: String,
        /// The scopes that are beyond it.
        beyond: ScopeSet,
    },
    /// Too much of this device or address was recorded already.
    RecordBudgetSpent {
        /// How long to wait before the next try.
        retry_after_ms: u64,
    },
    /// It would widen what somebody may do, and was asked from a shell of OpenClaw's agent.
    FromExecShell,
    /// The policy would admit what the one in force does not, which only the owner may do.
    LoosensPolicy {
        /// The keys that do, separated by commas.
        keys: String,
    },
    /// The text is no policy.
    BadPolicy {
        /// What is wrong with it, and on which line.
        why: String,
    },
    /// No such setup code, or it is spent, expired or taken back.
    UnknownSetupCode,
    /// Too many setup codes are good already.
    TooManySetupCodes,
    /// It cannot be done, whoever asks.
    NotPossible {
        /// Why.
        why: String,
    },
    /// Only the owner of this host may, and never over the network.
    OwnerOnly,
    /// Another key has this device's place.
    Succeeded {
        /// The device that has it.
        by: DeviceId,
        /// Since when.
        at: Millis,
    },
}

impl Refusal {
    /// Its number in the journal (journal-format.md, "Refusal").
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::Fault(_) => 1,
            Self::ControlUiNeedsDevice => 2,
            Self::DeviceRequired => 3,
            Self::Unauthorized { .. } => 4,
            Self::PairingRequired(PairingNeed { rests: None, .. }) => 5,
            Self::PendingTableFull => 6,
            Self::MissingScope(_) => 7,
            Self::NeedsAdmin => 8,
            Self::UnknownRequest => 9,
            Self::Resolved(_) => 10,
            Self::UnknownDevice => 11,
            Self::RoleNotHeld(_) => 12,
            Self::TokenKeyUnusable => 13,
            Self::HeldAlready => 14,
            Self::PolicyDenied { .. } => 15,
            Self::RecordBudgetSpent { .. } => 16,
            Self::FromExecShell => 17,
            Self::LoosensPolicy { .. } => 18,
            Self::BadPolicy { .. } => 19,
            Self::PairingRequired(PairingNeed { rests: Some(_), .. }) => 20,
            Self::UnknownSetupCode => 21,
            Self::TooManySetupCodes => 22,
            Self::NotPossible { .. } => 23,
            Self::OwnerOnly => 24,
            Self::Succeeded { .. } => 25,
        }
    }

    /// Whether one of this number says that a person is needed.
    #[must_use]
    pub const fn needs_person(number: u8) -> bool {
        matches!(number, 5 | 20)
    }
}

/// A refusal as bytes see it: its number, then whichever parts it has.
#[derive(Default, PartialEq)]
struct RefusalImage {
    number: u8,
    fault: Option<Fault>,
    auth: Option<AuthReason>,
    retry: bool,
    at: Option<Millis>,
    need: Option<Box<PairingNeed>>,
    scopes: Option<ScopeSet>,
    role: Option<Role>,
    resolution: Option<Box<Resolution>>,
    // Parts that only numbers from `MORE_PARTS` on have room for.
    rule: Option<Rule>,
    words: Option<String>,
    wait_ms: Option<u64>,
}

/// The first number that has the last parts.
const MORE_PARTS: u8 = 15;

impl From<Refusal> for RefusalImage {
    fn from(refusal: Refusal) -> Self {
        let empty = Self { number: refusal.number(), ..Self::default() };
        match refusal {
            Refusal::Fault(fault) => Self { fault: Some(fault), ..empty },
            Refusal::Unauthorized { reason, may_retry_with_device_token, rotated_at } => {
                Self { auth: Some(reason), retry: may_retry_with_device_token, at: rotated_at, ..empty }
            }
            Refusal::PairingRequired(need) => Self { rule: need.rests, need: Some(Box::new(need)), ..empty },
            Refusal::MissingScope(scopes) => Self { scopes: Some(scopes), ..empty },
            Refusal::Resolved(resolution) => Self { resolution: Some(Box::new(resolution)), ..empty },
            Refusal::RoleNotHeld(role) => Self { role: Some(role), ..empty },
            Refusal::PolicyDenied { rule, beyond } => Self { words: Some(rule), scopes: Some(beyond), ..empty },
            Refusal::RecordBudgetSpent { retry_after_ms } => Self { wait_ms: Some(retry_after_ms), ..empty },
            Refusal::LoosensPolicy { keys } => Self { words: Some(keys), ..empty },
            Refusal::BadPolicy { why } => Self { words: Some(why), ..empty },
            Refusal::NotPossible { why } => Self { words: Some(why), ..empty },
            Refusal::Succeeded { by, at } => Self { words: Some(by.to_string()), at: Some(at), ..empty },
            Refusal::ControlUiNeedsDevice
            | Refusal::DeviceRequired
            | Refusal::PendingTableFull
            | Refusal::NeedsAdmin
            | Refusal::UnknownRequest
            | Refusal::UnknownDevice
            | Refusal::TokenKeyUnusable
            | Refusal::HeldAlready
            | Refusal::FromExecShell
            | Refusal::UnknownSetupCode
            | Refusal::TooManySetupCodes
            | Refusal::OwnerOnly => empty,
        }
    }
}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let image = RefusalImage::from(self.clone());
        let has_more = image.number >= MORE_PARTS;
        let mut parts = serializer.serialize_tuple(if has_more { 12 } else { 9 })?;
        parts.serialize_element(&image.number)?;
        parts.serialize_element(&image.fault)?;
        parts.serialize_element(&image.auth)?;
        parts.serialize_element(&image.retry)?;
        parts.serialize_element(&image.at)?;
        parts.serialize_element(&image.need)?;
        parts.serialize_element(&image.scopes)?;
        parts.serialize_element(&image.role)?;
        parts.serialize_element(&image.resolution)?;
        if has_more {
            parts.serialize_element(&image.rule)?;
            parts.serialize_element(&image.words)?;
            parts.serialize_element(&image.wait_ms)?;
        }
        parts.end()
    }
}

impl<'de> Deserialize<'de> for Refusal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(12, RefusalParts)?.read().map_err(NoValue::told)
    }
}

struct RefusalParts;

impl<'de> Visitor<'de> for RefusalParts {
    type Value = RefusalImage;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the parts of a refusal")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<RefusalImage, A::Error> {
        fn next<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(parts: &mut A) -> Result<T, A::Error> {
            parts.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &RefusalParts))
        }
        let mut image = RefusalImage {
            number: next(&mut parts)?,
            fault: next(&mut parts)?,
            auth: next(&mut parts)?,
            retry: next(&mut parts)?,
            at: next(&mut parts)?,
            need: next(&mut parts)?,
            scopes: next(&mut parts)?,
            role: next(&mut parts)?,
            resolution: next(&mut parts)?,
            ..RefusalImage::default()
        };
        if image.number >= MORE_PARTS {
            image.rule = next(&mut parts)?;
            image.words = next(&mut parts)?;
            image.wait_ms = next(&mut parts)?;
        }
        Ok(image)
    }
}

impl RefusalImage {
    fn read(mut self) -> Result<Refusal, NoValue<Incoherent>> {
        let refusal = match mem::take(&mut self.number) {
            1 => self.fault.take().map(Refusal::Fault),
            2 => Some(Refusal::ControlUiNeedsDevice),
            3 => Some(Refusal::DeviceRequired),
            4 => self.auth.take().map(|reason| Refusal::Unauthorized {
                reason,
                may_retry_with_device_token: mem::take(&mut self.retry),
                rotated_at: self.at.take(),
            }),
            5 => self.need.take().map(|need| Refusal::PairingRequired(*need)),
            6 => Some(Refusal::PendingTableFull),
            7 => self.scopes.take().map(Refusal::MissingScope),
            8 => Some(Refusal::NeedsAdmin),
            9 => Some(Refusal::UnknownRequest),
            10 => self.resolution.take().map(|resolution| Refusal::Resolved(*resolution)),
            11 => Some(Refusal::UnknownDevice),
            12 => self.role.take().map(Refusal::RoleNotHeld),
            13 => Some(Refusal::TokenKeyUnusable),
            14 => Some(Refusal::HeldAlready),
            15 => self.words.take().zip(self.scopes.take()).map(|(rule, beyond)| Refusal::PolicyDenied { rule, beyond }),
            16 => self.wait_ms.take().map(|retry_after_ms| Refusal::RecordBudgetSpent { retry_after_ms }),
            17 => Some(Refusal::FromExecShell),
            18 => self.words.take().map(|keys| Refusal::LoosensPolicy { keys }),
            19 => self.words.take().map(|why| Refusal::BadPolicy { why }),
            20 => self
                .need
                .take()
                .zip(self.rule.take())
                .map(|(need, rule)| Refusal::PairingRequired(PairingNeed { rests: Some(rule), ..*need })),
            21 => Some(Refusal::UnknownSetupCode),
            22 => Some(Refusal::TooManySetupCodes),
            23 => self.words.take().map(|why| Refusal::NotPossible { why }),
            24 => Some(Refusal::OwnerOnly),
            25 => {
                let by = self.words.take().and_then(|words| words.parse().ok());
                by.zip(self.at.take()).map(|(by, at)| Refusal::Succeeded { by, at })
            }
            _ => None,
        };
        let refusal = refusal.ok_or(NoValue::Unknown(Incoherent("refusal")))?;
        // What is left belongs to another number.
        if self == Self::default() { Ok(refusal) } else { Err(NoValue::Respelled) }
    }
}

/// What was presented as a device token, before the registry is asked about it. It is never recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// SHA-256 of the text, which is either the token or a wrong guess.
    pub digest: Digest,
    /// Whether it came in a field of its own.
    pub explicit: bool,
}

/// What a connect presented that only the writer judges, on the state that it decides on. None of it is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// A device token.
    pub token: Option<Presented>,
    /// SHA-256 of a setup code.
    pub code: Option<Digest>,
}

impl AuthReason {
    /// The reason why a shared secret is not right in `mode`.
    #[must_use]
    pub fn of(mode: AuthMode, verdict: super::event::SharedVerdict) -> Self {
        use super::event::SharedVerdict as V;
        match (mode, verdict) {
            (_, V::Spent) => Self::RateLimited,
            (AuthMode::TrustedProxy, V::Missing) => Self::TrustedProxyUserMissing,
            (AuthMode::TrustedProxy, V::NotConfigured) => Self::TrustedProxyUntrustedSource,
            (AuthMode::TrustedProxy, _) => Self::TrustedProxyUserNotAllowed,
            (AuthMode::Password, V::Missing) => Self::PasswordMissing,
            (AuthMode::Password, V::NotConfigured) => Self::PasswordNotConfigured,
            (AuthMode::Password, _) => Self::PasswordMismatch,
            (_, V::Missing) => Self::TokenMissing,
            (_, V::NotConfigured) => Self::TokenNotConfigured,
            (_, _) => Self::TokenMismatch,
        }
    }
}
