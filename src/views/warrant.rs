//! On whose authority something is held, one sentence for each act.

use super::sentence::time_text;
use crate::pairing::{Act, Deed, Gave};

/// What the act was, by whom (in the words for it), when and where.
#[must_use]
pub fn deed_sentence(deed: &Deed, who: &str) -> String {
    let when = format!("at {}, seq {}", time_text(deed.at), deed.seq);
    match &deed.gave {
        Gave::Grant { act, request, from, .. } => {
            let how = match act {
                Act::Approval => "approved",
                Act::Rotation => "given by a rotation",
                Act::FirstPairing => "approved as a first pairing",
                Act::Upgrade => "approved as an upgrade",
                Act::SetupCode => "given by a setup code that was spent",
            };
            let by = if *act == Act::SetupCode { String::new() } else { format!(" by {who}") };
            let request = request.map(|request| format!(", through request {request}")).unwrap_or_default();
            let from = from.map(|from| format!(" from {}", from.ip())).unwrap_or_default();
            format!("{how}{by} {when}{request}{from}")
        }
        Gave::Code(code) => format!("setup code {code} was made by {who} {when}"),
        Gave::FirstPolicy => format!("by the policy that the journal began with {when}"),
        Gave::Policy => format!("by the policy that was put in force by {who} {when}"),
    }
}
