//! On whose authority something is held, one sentence for each act.

use super::sentence::time_text;
use crate::pairing::{Act, Coming, Deed, Gave};

/// What the act was, by whom (in the words for it), when and where.
#[must_use]
pub fn deed_sentence(deed: &Deed, who: &str) -> String {
    let when = format!("at {}, seq {}", time_text(deed.at), deed.seq);
    let (request, from) = deed.request();
    let request = request.map(|request| format!(", through request {request}")).unwrap_or_default();
    let from = from.map(|from| format!(" from {}", from.ip())).unwrap_or_default();
    match &deed.gave {
        Gave::Grant { act: Act::SetupCode, .. } => format!("given by a setup code that was spent {when}{request}{from}"),
        Gave::Grant { act, .. } => {
            let how = match act {
                Act::Approval | Act::SetupCode => "approved",
                Act::Rotation => "given with a rotation",
                Act::FirstPairing => "approved as a first pairing",
                Act::Upgrade => "approved as an upgrade",
                Act::Undo => "given back",
            };
            format!("{how} by {who} {when}{request}{from}")
        }
        Gave::Place { how: Coming::Imported, .. } => format!("taken over from a real OpenClaw by {who} {when}"),
        Gave::Place { how: Coming::Restored, .. } => format!("restored by {who} {when}, as it was held before"),
        Gave::Place { how: Coming::Succeeded { device, .. }, .. } => {
            format!("given with the place of device {device} by {who} {when}{request}")
        }
        Gave::Code(code) => format!("setup code {code} was made by {who} {when}"),
        Gave::FirstPolicy => format!("by the policy that the journal began with {when}"),
        Gave::Policy => format!("by the policy that was put in force by {who} {when}"),
    }
}
