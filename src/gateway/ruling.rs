//! The methods of the policy: show it, check another one against it, try that on history, put it in force, arm a rule of it that
//! rests.

use serde_json::Value;
use serde_json::value::RawValue;

use super::methods::{Caller, Desk, read};
use super::reading::aside;
use crate::authority::Past;
use crate::limits;
use crate::pairing::{Command, KnownScope, Policy, Simulation, may_read_all, policy_digest};
use crate::wire::devices::Nothing;
use crate::wire::error::missing_scope;
use crate::wire::frame::WireError;
use crate::wire::policy::{self, ApplyParams, ArmParams, CheckParams};
use crate::wire::simulation;

/// Which of them.
#[derive(Clone, Copy)]
pub(super) enum Ruling {
    Show,
    Check,
    Simulate,
    Apply,
    Arm,
}

impl Desk {
    pub(super) async fn rule(
        &self,
        caller: &Caller,
        ruling: Ruling,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<Value, WireError> {
        match ruling {
            Ruling::Show => {
                read::<Nothing>(method, params)?;
                Ok(policy::show(&self.authority.registry()))
            }
            Ruling::Check => {
                let registry = self.authority.registry();
                let in_force = registry.policy_text().map(|text| (text, &**registry.policy()));
                policy::checked(&read::<CheckParams>(method, params)?.text, in_force)
            }
            Ruling::Simulate => self.simulate(caller, &read::<CheckParams>(method, params)?.text).await,
            Ruling::Apply => self.apply(caller, read(method, params)?).await,
            Ruling::Arm => {
                let rule = read::<ArmParams>(method, params)?.rule()?;
                let rested = self.authority.registry().resting(rule).is_some();
                self.act(caller, Command::ArmRule { rule }).await?;
                Ok(serde_json::json!({ "rule": rule.as_str(), "rested": rested }))
            }
        }
    }

    /// Decides all of history again under a policy, and tells what that would have made another: of whomever, so it is for those
    /// who may read all.
    async fn simulate(&self, caller: &Caller, text: &str) -> Result<Value, WireError> {
        let policy = Policy::parse(text).map_err(|error| policy::malformed(&error))?;
        let registry = self.authority.registry();
        if !may_read_all(&registry, &caller.actor) {
            return Err(missing_scope(KnownScope::Admin, caller.dialect));
        }
        let (head, journal) = (registry.head(), self.journal.clone());
        let _mine = self.reading_all.lock().await;
        let tried = aside(move || {
            let past = Past::whole(&journal)?;
            let from = past.registry().head().next();
            let simulation = Simulation::new(policy, past.registry().clone()).keeping(limits::SIMULATED);
            Ok((from, past.simulate(simulation, head, &mut |_| {})?))
        });
        let (from, simulation) = tried.await?;
        Ok(simulation::told(&simulation, from, &policy_digest(text).to_string()))
    }

    /// Puts a policy in force, and tells what that changed.
    async fn apply(&self, caller: &Caller, ApplyParams { text, digest }: ApplyParams) -> Result<Value, WireError> {
        policy::expect(&text, digest.as_ref())?;
        let before = self.authority.registry();
        let flaw = Policy::parse(&text).err();
        // What is no policy is refused on record too.
        let done = self.act(caller, Command::ApplyPolicy { text: text.clone() }).await;
        done.map_err(|error| flaw.as_ref().map_or(error, policy::malformed))?;
        let was = before.policy_text().map(|text| (text, &**before.policy()));
        let mut told = policy::checked(&text, was)?;
        if let Some(told) = told.as_object_mut() {
            let after = self.authority.registry();
            let seq = after.applied().filter(|_| was.is_none_or(|(was, _)| was != text)).map(|applied| applied.seq.0);
            told.insert("appliedSeq".to_owned(), seq.into());
        }
        Ok(told)
    }
}
