//! What a policy does that its owner should know of: which rules let somebody in without a person, and what is easily mistaken.

use super::super::event::Rule;
use super::super::scopes::{KnownScope, Role, ScopeSet};
use super::Policy;
use super::terms::{LocalPeer, Scopes};

/// A rule that lets somebody in, or gives more, without a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spares {
    /// The rule.
    pub rule: Rule,
    /// What it gives at most; without a bound whatever is asked.
    pub gives: Option<ScopeSet>,
    /// Whether it is told of for as long as it is on: it gives `operator.admin` or `operator.pairing`, or gives more silently.
    pub stands_out: bool,
}

/// What a policy may do otherwise than its owner thinks. Nothing is refused for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A ceiling goes by what a client says it is.
    CeilingByClaim {
        /// Which, as it is named in a refusal.
        ceiling: String,
    },
    /// A rule that stands out.
    Spares(Spares),
    /// Whoever is on loopback is local.
    LoopbackPeer,
    /// An agent's shell may do what the owner may.
    ActsFromExec,
}

impl Policy {
    /// The rules that let somebody in without a person, in the order of the language.
    #[must_use]
    pub fn spares(&self) -> Vec<Spares> {
        let bound = |scopes: &Scopes| match scopes {
            Scopes::Asked => None,
            Scopes::Within(scopes) => Some(ScopeSet::clone(scopes)),
        };
        let loud = |gives: &Option<ScopeSet>| {
            gives.as_ref().is_none_or(|gives| gives.allows(KnownScope::Admin) || gives.allows(KnownScope::Pairing))
        };
        let given = |rule, gives: Option<ScopeSet>, operators: bool| {
            let stands_out = operators && loud(&gives);
            Spares { rule, gives, stands_out }
        };
        let first = self
            .local_first_pairing
            .0
            .as_ref()
            .map(|rule| given(Rule::LocalFirstPairing, bound(&rule.scopes), rule.roles.0.contains(&Role::Operator)));
        let upgrade = self.local_upgrade.0.as_ref().map(|rule| Spares {
            rule: Rule::LocalUpgrade,
            gives: Some(ScopeSet::clone(&rule.scopes)),
            stands_out: true,
        });
        let nodes = (!self.trusted_node_cidrs.is_empty()).then(|| given(Rule::TrustedNodeCidrs, Some(ScopeSet::EMPTY), false));
        let cli = self.local_cli.0.as_ref().map(|rule| given(Rule::LocalCli, bound(&rule.scopes), true));
        let backend = self.local_backend.0.as_ref().map(|rule| given(Rule::LocalBackend, bound(&rule.scopes), true));
        [first, upgrade, nodes, cli, backend].into_iter().flatten().collect()
    }

    /// What its owner should know of.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let claims = self.ceilings.iter().enumerate().filter(|(_, ceiling)| ceiling.goes_by_a_claim());
        let mut warnings: Vec<_> = claims.map(|(n, _)| Warning::CeilingByClaim { ceiling: format!("ceilings[{n}]") }).collect();
        warnings.extend(self.spares().into_iter().filter(|rule| rule.stands_out).map(Warning::Spares));
        warnings.extend((self.local_peer == LocalPeer::Loopback).then_some(Warning::LoopbackPeer));
        warnings.extend(self.owner_acts_from_exec.then_some(Warning::ActsFromExec));
        warnings
    }
}
