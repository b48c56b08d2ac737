//! What OpenClaw's own keys say of pairing without a person (`gateway.nodes.pairing`, 2026.9.6), and a policy of ours that says the
//! same. Only a proposal: these keys are read for nothing else.

use std::path::PathBuf;

use serde_json::Value;

use super::{Config, SettingsError};
use crate::pairing::{Policy, PolicyError};
use crate::views::quote;

/// A policy that says what OpenClaw's keys say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The document; none where there is nothing that it could say.
    pub policy: Option<String>,
    /// What of the keys it does not say, and why.
    pub beside: Vec<String>,
}

impl Proposal {
    /// Reads the configuration at `path`; none where it says nothing of it.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn of(path: PathBuf) -> Result<Option<Self>, SettingsError> {
        Ok(Self::read(&Config::at(path)?))
    }

    fn read(config: &Config) -> Option<Self> {
        let said = |key: &str| config.value.pointer(&format!("/gateway/nodes/pairing/{key}"));
        let (mut keys, mut beside) = (vec![], vec![]);
        if said("autoApproveLocal") == Some(&Value::Bool(false)) {
            keys.push("  localFirstPairing: false,\n".to_owned());
        }
        let mut networks = vec![];
        for network in config.texts("/gateway/nodes/pairing/autoApproveCidrs") {
            let item = Value::from(network.as_str()).to_string();
            match Policy::parse(&format!("{{ version: 1, trustedNodeCidrs: [{item}] }}")) {
                Ok(_) => networks.push(item),
                Err(PolicyError::Malformed(flaw)) => beside.push(format!("autoApproveCidrs: {}", quote(&flaw.why))),
                Err(why) => beside.push(format!("autoApproveCidrs: {why}")),
            }
        }
        if !networks.is_empty() {
            keys.push(format!("  trustedNodeCidrs: [{}],\n", networks.join(", ")));
        }
        if said("sshVerify").is_some_and(|value| *value != Value::Bool(false)) {
            beside.push("sshVerify: nobody is verified over SSH here, so a person approves such a node".to_owned());
        }
        let policy = (!keys.is_empty()).then(|| format!("{{\n  version: 1,\n{}}}\n", keys.concat()));
        (policy.is_some() || !beside.is_empty()).then_some(Self { policy, beside })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(config: &str) -> Option<Proposal> {
        Proposal::read(&Config::read(PathBuf::from("openclaw.json"), Some(config.as_bytes())).expect("JSON5"))
    }

    #[test]
    fn what_openclaws_keys_say_is_proposed_in_ours() {
        assert_eq!(of("{ gateway: { port: 1 } }"), None);
        assert_eq!(of("{ gateway: { nodes: { pairing: { autoApproveLocal: true, sshVerify: false } } } }"), None);
        let pairing =
            "{ autoApproveLocal: false, autoApproveCidrs: ['10.1.0.0/16', '127.0.0.0/8', 'x\u{202e}'], sshVerify: true }";
        let proposal = of(&format!("{{ gateway: {{ nodes: {{ pairing: {pairing} }} }} }}")).expect("a proposal");
        let policy = "{\n  version: 1,\n  localFirstPairing: false,\n  trustedNodeCidrs: [\"10.1.0.0/16\"],\n}\n";
        assert_eq!(proposal.policy.as_deref(), Some(policy));
        Policy::parse(policy).expect("a policy");
        for (line, begins) in
            proposal.beside.iter().zip(["autoApproveCidrs: \"127.0.0.0/8\"", "autoApproveCidrs: the character", "sshVerify: "])
        {
            assert!(line.starts_with(begins), "{line}");
        }
        assert_eq!(proposal.beside.len(), 3);
        let proposal = of("{ gateway: { nodes: { pairing: { sshVerify: true } } } }").expect("a proposal");
        assert_eq!((proposal.policy, proposal.beside.len()), (None, 1));
    }
}
