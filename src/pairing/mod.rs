//! What is true, and what is allowed? Pure: no files, sockets, clocks, randomness, async or logging, and no text but the
//! policy's. [`decide()`] asks, [`Registry::apply`] remembers; all rules are in the first, none in the second.

mod again;
mod coded;
mod command;
mod decide;
mod done;
mod event;
mod identity;
mod ids;
mod inquiry;
mod policy;
mod possible;
mod provenance;
mod registry;
mod scopes;
mod simulation;
mod token;

pub use again::{Again, Answer, Decided};
pub use coded::UnknownCode;
pub use command::{
    Admission, AuthReason, Command, Context, Decision, Ending, Granted, LeftAlone, Mint, Obstacle, Outcome, PairingNeed,
    Presented, Refusal, Resolution, Shown, Surface,
};
pub use decide::{
    decide, kept_back, left_alone, may_hear_of, may_offer, may_read, may_read_all, may_read_of, may_see_device, may_see_request,
    resting_rules, role_of, takes_away, what_is_needed,
};
pub use done::{Before, Done, done_beside};
pub use event::*;
pub use identity::{SignatureForm, SignedText, is_plain, normal, platform_family, signed_form};
pub use ids::{
    ConnectionId, DeviceId, Digest, JournalId, KeyId, MalformedId, Millis, PublicKey, RequestId, Salt, Seq, SetupCodeId,
};
pub use inquiry::{Doer, Inquiry};
pub use policy::{
    Budgets, Change, DEFAULT as DEFAULT_POLICY, FailureBudget, Flaw, PRESETS, PendingBudget, Policy, PolicyError, RecordBudget,
    STRICT as STRICT_POLICY, SocketBudget, Spares, Warning, Way, json5_depth, policy_digest,
};
pub use possible::{Impossible, check};
pub use provenance::{Coming, Deed, Gave, Provenance, Root, Warrant};
pub use registry::{
    Activity, Applied, Device, Finding, Grant, Issued, Registry, Request, Resting, Retired, RetiredWhy, Run, SetupCode,
    Succession, Token, Unseen,
};
pub use scopes::{KnownScope, MalformedScopes, Role, ScopeSet};
pub use simulation::{Difference, Simulation, Tally};
pub use token::{DeviceToken, SharedSecret, TokenKey, digest_of, foreign_digest, same};
