//! An earlier act taken back by its inverse, which is an act like any other: whoever may not do that may not undo either. Taking
//! away undoes what was given, giving undoes what was taken away and is an approval; a token never comes back.

use super::super::command::{Context, Decision, Obstacle, Outcome, Refusal};
use super::super::done::{Before, Done};
use super::super::event::{
    Act, ActUndone, Ask, Client, CommandName, Described, Description, DeviceRemoved, DeviceRenamed, DeviceRestored,
    DeviceSucceeded, Event, GrantWithdrawn, PairingApproved, PairingRequested, Profile, Reason, RoleGrant, SetupCodeRevoked,
    TokenRevoked,
};
use super::super::ids::{DeviceId, RequestId, Seq, SetupCodeId};
use super::super::policy::Policy;
use super::super::registry::{Grant, Registry};
use super::super::scopes::{Role, ScopeSet};
use super::{Powers, Subject, approval, is_owner, rules, seat_belt, sight, within_ceilings};

/// Takes an earlier act back. A record that the actor may not read is none.
pub(super) fn undo(registry: &Registry, policy: &Policy, done: Option<&Done>, context: &Context<'_>) -> Decision {
    let subject = Subject::of(CommandName::Undo);
    let Some(done) = done.filter(|done| sight::may_read(registry, &context.actor, &done.record)) else {
        return subject.refuse(context, Obstacle::NoRecord.into());
    };
    let Done { record, before, .. } = done;
    let powers = Powers::of(registry, policy, &context.actor);
    let undoing = Undoing { registry, policy, context, powers, done, before };
    match undoing.inverse() {
        Ok(inverse) => {
            let undone = Event::from(ActUndone { undoes: record.seq });
            let events: Vec<_> = std::iter::once(undone).chain(inverse).map(|event| (context.actor.clone(), event)).collect();
            let first = registry.head().next();
            let more = u64::try_from(events.len()).unwrap_or(u64::MAX).saturating_sub(1);
            let outcome = Outcome::Undone { first, last: Seq(first.0.saturating_add(more)) };
            Decision { events, outcome }
        }
        Err(refusal) => {
            let subject = Subject { request: record.event.request(), device: record.event.device(), ..subject };
            subject.refuse(context, refusal)
        }
    }
}

/// Whether the inverse of this only takes power away.
pub(super) fn takes_away(event: &Event) -> bool {
    matches!(event, Event::PairingApproved(_) | Event::DeviceRestored(_) | Event::DeviceImported(_) | Event::SetupCodeCreated(_))
}

struct Undoing<'a> {
    registry: &'a Registry,
    policy: &'a Policy,
    context: &'a Context<'a>,
    powers: Powers,
    done: &'a Done,
    before: &'a Before,
}

impl Undoing<'_> {
    fn inverse(&self) -> Result<Vec<Event>, Refusal> {
        if let Some(obstacle) = self.done.overtaken {
            return Err(obstacle.into());
        }
        match &self.done.record.event {
            Event::PairingApproved(event) => self.take(event).map(|event| vec![event]),
            Event::DeviceRestored(event) => self.remove(event.profile.device),
            Event::DeviceImported(event) => self.remove(event.profile.device),
            Event::PairingRejected(_) => self.ask_again(),
            Event::DeviceRemoved(event) => self.restore(&event.device),
            Event::DeviceSucceeded(event) => self.put_back(event),
            Event::TokenRevoked(event) => self.give_role(event),
            Event::GrantWithdrawn(event) => self.give_scopes(event),
            Event::DeviceRenamed(event) => self.rename(event),
            Event::PolicyChanged(_) => self.policy_before(),
            Event::SetupCodeCreated(event) => self.take_code(&event.code),
            event => Err(without_inverse(event).into()),
        }
    }

    // --- what was given is taken ------------------------------------------------------------------------------------

    /// What an approval gave: the device, where there was none before it and nothing else is held; the role, where it was not
    /// held before; else the scopes.
    fn take(&self, given: &PairingApproved) -> Result<Event, Refusal> {
        let PairingApproved { device: id, role, scopes, .. } = given;
        self.powers.check_device(id)?;
        let device = self.registry.device(id).filter(|device| device.has(*role)).ok_or(Obstacle::NothingLeft)?;
        let approved = device.grants.get(role).map(|grant| grant.approved.clone()).unwrap_or_default();
        let left = approved.without(scopes);
        let made_role = self.before.device.as_ref().is_none_or(|device| !device.has(*role));
        if made_role && left.is_empty() {
            let is_all = self.before.device.is_none() && Role::ALL.iter().all(|other| other == role || !device.has(*other));
            return Ok(if is_all {
                DeviceRemoved { device: *id }.into()
            } else {
                TokenRevoked { device: *id, role: *role }.into()
            });
        }
        if left == approved {
            return Err(if scopes.is_empty() { Obstacle::NoScopes } else { Obstacle::NothingLeft }.into());
        }
        Ok(GrantWithdrawn { device: *id, role: *role, scopes: approved.without(&left) }.into())
    }

    /// A device that was let in whole.
    fn remove(&self, id: DeviceId) -> Result<Vec<Event>, Refusal> {
        self.powers.check_device(&id)?;
        self.registry.device(&id).ok_or(Obstacle::NothingLeft)?;
        Ok(vec![DeviceRemoved { device: id }.into()])
    }

    fn take_code(&self, code: &SetupCodeId) -> Result<Vec<Event>, Refusal> {
        self.powers.check_all()?;
        let known = self.registry.setup_code(code);
        let is_good = known.is_some_and(|code| code.spent.is_none() && self.context.now < code.expires);
        if is_good { Ok(vec![SetupCodeRevoked { code: *code }.into()]) } else { Err(Obstacle::NothingLeft.into()) }
    }

    // --- what was taken is given, which is an approval --------------------------------------------------------------

    /// A removed device, as it was. What it held it holds again, as far as its tokens carried it.
    fn restore(&self, id: &DeviceId) -> Result<Vec<Event>, Refusal> {
        let (restored, client) = self.as_it_was()?;
        for grant in &restored.grants {
            self.powers.check(grant.role, &grant.scopes)?;
        }
        if restored.grants.is_empty() {
            self.powers.check_device(id)?;
        }
        seat_belt(self.policy, self.context)?;
        self.within_ceilings(client, &restored.grants)?;
        if self.registry.device(id).is_some() || self.registry.succession(id).is_some() {
            return Err(Obstacle::Overtaken.into());
        }
        Ok(vec![restored.into()])
    }

    /// The place of a device back from the key that it was given to.
    fn put_back(&self, event: &DeviceSucceeded) -> Result<Vec<Event>, Refusal> {
        is_owner(self.policy, self.context)?;
        let (restored, client) = self.as_it_was()?;
        self.within_ceilings(client, &restored.grants)?;
        let is_theirs = self.registry.succession(&event.device).is_some_and(|succession| succession.by == event.by);
        if !is_theirs || self.registry.device(&event.by).is_none() {
            return Err(Obstacle::Overtaken.into());
        }
        Ok(vec![DeviceRemoved { device: event.by }.into(), restored.into()])
    }

    fn as_it_was(&self) -> Result<(DeviceRestored, Client), Refusal> {
        let device = self.before.device.as_ref().ok_or(Obstacle::NothingLeft)?;
        let held = device.grants.keys().filter(|role| device.has(**role));
        let grants = held.map(|role| RoleGrant { role: *role, scopes: device.held(*role) }).collect();
        let profile = Profile {
            device: device.id,
            key: device.key,
            client: device.client,
            description: Description::clone(&device.description),
            label: device.label.clone(),
            address: device.address,
            created_at: device.created_at,
            approved_at: device.approved_at,
        };
        Ok((DeviceRestored { profile, grants }, device.client))
    }

    fn within_ceilings(&self, client: Client, grants: &[RoleGrant]) -> Result<(), Refusal> {
        grants.iter().try_for_each(|grant| within_ceilings(self.policy, client, grant.role, &grant.scopes))
    }

    /// A role that was revoked.
    fn give_role(&self, event: &TokenRevoked) -> Result<Vec<Event>, Refusal> {
        let scopes = self.before.device.as_ref().map(|device| device.held(event.role)).unwrap_or_default();
        self.give(&event.device, event.role, scopes, |grant| {
            let act = &self.done.record;
            grant.revoked.as_ref().is_some_and(|(at, by)| (*at, by) == (act.at, &act.actor))
        })
    }

    /// Scopes that were withdrawn.
    fn give_scopes(&self, event: &GrantWithdrawn) -> Result<Vec<Event>, Refusal> {
        let held = self.before.device.as_ref().map(|device| device.held(event.role)).unwrap_or_default();
        let scopes = event.scopes.within(event.role, &held);
        self.give(&event.device, event.role, scopes.clone(), |grant| {
            grant.revoked.is_none() && grant.approved.without(&scopes) == grant.approved
        })
    }

    fn give(
        &self,
        id: &DeviceId,
        role: Role,
        scopes: ScopeSet,
        is_as_it_was_left: impl Fn(&Grant) -> bool,
    ) -> Result<Vec<Event>, Refusal> {
        self.powers.check(role, &scopes)?;
        seat_belt(self.policy, self.context)?;
        let device = self.registry.device(id).ok_or(Obstacle::NothingLeft)?;
        if !device.grants.get(&role).is_some_and(is_as_it_was_left) {
            return Err(Obstacle::Overtaken.into());
        }
        within_ceilings(self.policy, device.client, role, &scopes)?;
        let holds = device.held(role).union(&scopes);
        // A request that only lacked this is settled by it.
        let request = approval::settled_by(self.registry, self.policy, device, role, &holds, self.context);
        Ok(vec![PairingApproved { device: *id, role, scopes, act: Act::Undo, request }.into()])
    }

    // --- all else ---------------------------------------------------------------------------------------------------

    /// A request like the one that was turned down, which waits again: its device cannot be asked.
    fn ask_again(&self) -> Result<Vec<Event>, Refusal> {
        let request = self.before.request.as_ref().ok_or(Obstacle::NothingLeft)?;
        self.powers.check(request.role, &request.scopes)?;
        if self.registry.waiting(&request.device, request.role).is_some() {
            return Err(Obstacle::Overtaken.into());
        }
        let reason = match (request.reason, self.registry.device(&request.device)) {
            (_, None) => Reason::NotPaired,
            (Reason::NotPaired, Some(_)) => Reason::RoleUpgrade,
            (reason, Some(_)) => reason,
        };
        let described = Described { like: None, here: Some(Box::new(Description::clone(&request.description))) };
        let again = PairingRequested {
            request: RequestId(self.context.ids[0]),
            reason,
            device: request.device,
            key: request.key,
            ask: Ask { role: request.role, scopes: request.scopes.clone(), described },
            client: request.client,
            form: request.form,
            address: request.address,
            supersedes: None,
        };
        Ok(vec![again.into()])
    }

    /// The name before; an empty one where there was none.
    fn rename(&self, event: &DeviceRenamed) -> Result<Vec<Event>, Refusal> {
        self.powers.check_device(&event.device)?;
        let device = self.registry.device(&event.device).ok_or(Obstacle::NothingLeft)?;
        if device.label.as_deref().unwrap_or_default() != event.label {
            return Err(Obstacle::Overtaken.into());
        }
        let label = event.label_before.clone().unwrap_or_default();
        Ok(vec![DeviceRenamed { device: event.device, label, label_before: device.label.clone() }.into()])
    }

    /// The policy that was in force before, by the rule that any other is put in force by.
    fn policy_before(&self) -> Result<Vec<Event>, Refusal> {
        let text = self.before.policy.clone().ok_or(Obstacle::NothingLeft)?;
        let change = rules::change(self.registry, self.policy, text, self.context)?;
        let is_last = self.registry.applied().is_some_and(|applied| applied.seq == self.done.record.seq);
        let change = change.filter(|_| is_last).ok_or(Obstacle::Overtaken)?;
        Ok(vec![change.into()])
    }
}

/// Why there is nothing that would take this back, and what to do instead.
fn without_inverse(event: &Event) -> Obstacle {
    match event {
        Event::PairingRequested(_) => Obstacle::OnlyAsked,
        Event::PairingExpired(_) => Obstacle::AsksAgain,
        Event::TokenIssued(_) | Event::TokenRotated(_) => Obstacle::TokenStays,
        Event::RuleArmed(_) => Obstacle::RuleWorks,
        Event::SetupCodeSpent(_) => Obstacle::CodeSpent,
        Event::SetupCodeRevoked(_) => Obstacle::CodeGone,
        Event::RollbackAccepted(_) => Obstacle::RolledBack,
        Event::ActUndone(_) => Obstacle::OnlyTells,
        _ => Obstacle::NoInverse,
    }
}
