//! Approving several requests at once: all are shown, then one answer counts for all, and each approval names the id that was
//! shown. One that is another by now is not approved, and named.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, IsTerminal as _};

use serde_json::{Value, json};

use super::devices::{count, entries, show_pending, text};
use super::door::{Door, request_params};
use super::output::Output;
use super::{Exit, Failure, World};
use crate::views::quote;

/// Approves these requests, each as it was shown.
pub(super) async fn approve_all(
    requests: &[String],
    (yes, json): (bool, bool),
    door: &mut Door,
    world: &World,
    out: &Output,
) -> Result<(), Failure> {
    let list = door.call("device.pair.list", json!({})).await?;
    // Each once, however often it was named.
    let mut seen = BTreeSet::new();
    let requests: Vec<_> = requests.iter().filter(|request| seen.insert(*request)).collect();
    let is_named = |entry: &&Value| requests.iter().any(|request| text(entry.get("requestId")) == **request);
    let shown: Vec<_> = entries(&list, "pending").iter().filter(is_named).cloned().collect();
    if !json && !shown.is_empty() {
        show_pending(&shown, world.host.wall(), out)?;
    }
    if !yes && !json && io::stdin().is_terminal() && !answers_yes(requests.len(), out)? {
        return Err(Failure::new(Exit::Failed, "nothing was approved"));
    }
    let (mut approved, mut refused) = (vec![], vec![]);
    for request in requests {
        match door.call("device.pair.approve", request_params(request)).await {
            Ok(result) => {
                if !json {
                    let device = result.pointer("/device/deviceId").or_else(|| result.get("deviceId"));
                    out.line(format_args!("Approved {} ({})", text(device), quote(request)))?;
                }
                approved.push(result);
            }
            // Who cannot be asked any more answers nothing of the rest.
            Err(failure) if failure.exit != Exit::Failed => return Err(failure),
            Err(failure) => {
                out.note(format_args!("not approved: {}: {}", quote(request), failure.message));
                refused.push(json!({ "requestId": request, "message": failure.message }));
            }
        }
    }
    let failed = refused.len();
    if json {
        out.json(&json!({ "ok": failed == 0, "approved": approved, "refused": refused }))?;
        out.speak_json(false);
    }
    if failed == 0 { Ok(()) } else { Err(Failure::new(Exit::Failed, format!("{} not approved", count(failed, "request")))) }
}

fn answers_yes(many: usize, out: &Output) -> Result<bool, Failure> {
    out.note(format_args!("Approve these {many} as they are shown? [y/N]"));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::new(Exit::Failed, format!("cannot read the answer: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
