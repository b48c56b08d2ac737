//! The methods of the policy: show it, check another one against it, put that in force, arm a rule of it that rests.

use serde_json::Value;
use serde_json::value::RawValue;

use super::methods::{Caller, Desk, read};
use crate::pairing::{Command, Policy};
use crate::wire::devices::Nothing;
use crate::wire::frame::WireError;
use crate::wire::policy::{self, ApplyParams, ArmParams, CheckParams};

/// Which of them.
#[derive(Clone, Copy)]
pub(super) enum Ruling {
    Show,
    Check,
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
            Ruling::Apply => self.apply(caller, read(method, params)?).await,
            Ruling::Arm => {
                let rule = read::<ArmParams>(method, params)?.rule()?;
                let rested = self.authority.registry().resting(rule).is_some();
                self.act(caller, Command::ArmRule { rule }).await?;
                Ok(serde_json::json!({ "rule": rule.as_str(), "rested": rested }))
            }
        }
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
