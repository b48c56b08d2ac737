//! What `policy simulate` tells a program, and `policy.simulate`, a method of ours, a connection.

use serde_json::{Map, Value, json};

use super::devices::scopes;
use crate::limits;
use crate::pairing::{Answer, Difference, Refusal, Role, ScopeSet, Seq, Simulation, Tally};
use crate::views::{answer_text, difference_sentence, time_text, who};

/// What came of it as a whole, but for the differences one by one; they may be very many.
#[must_use]
pub fn summary(simulation: &Simulation, from: Seq, digest: &str) -> Value {
    let devices = simulation.by_device().iter();
    let devices = devices.map(|(device, tally)| tallied("deviceId", device.map(|id| id.to_string()), *tally));
    let clients = simulation.by_client().iter();
    let clients = clients.map(|(client, tally)| tallied("clientId", client.map(|id| id.as_str().to_owned()), *tally));
    json!({
        "digest": digest,
        "from": from.0,
        "until": simulation.registry().head().0,
        "decided": simulation.decided(),
        "uncertain": simulation.uncertain(),
        "differing": simulation.all().total(),
        "byDevice": devices.collect::<Vec<_>>(),
        "byClient": clients.collect::<Vec<_>>(),
    })
}

/// It with the newest differences, as many as one answer holds, and how many are left.
#[must_use]
pub fn told(simulation: &Simulation, from: Seq, digest: &str) -> Value {
    let (mut differences, mut bytes) = (vec![], 0_usize);
    for (seq, one) in simulation.differences().iter().rev() {
        if differences.len() >= limits::SIMULATED_TOLD || bytes >= limits::LOG_BYTES.1 {
            break;
        }
        let one = difference(*seq, one);
        bytes = bytes.saturating_add(one.to_string().len());
        differences.push(one);
    }
    let told = u64::try_from(differences.len()).unwrap_or(u64::MAX);
    let mut answer = summary(simulation, from, digest);
    if let Some(answer) = answer.as_object_mut() {
        let others = simulation.other_devices();
        answer.insert("otherDevices".to_owned(), others.total().into());
        answer.insert("differences".to_owned(), differences.into());
        answer.insert("left".to_owned(), simulation.found().saturating_sub(told).into());
    }
    answer
}

fn tallied(key: &str, of: Option<String>, tally: Tally) -> Value {
    json!({ key: of, "refused": tally.refused, "notRefused": tally.done, "otherwise": tally.otherwise })
}

/// One difference.
#[must_use]
pub fn difference(seq: Seq, difference: &Difference) -> Value {
    json!({
        "seq": seq.0,
        "atMs": difference.at.0,
        "at": time_text(difference.at),
        "command": difference.command.map_or("connect", |command| command.as_str()),
        "by": who(&difference.actor),
        "deviceId": difference.device.map(|device| device.to_string()),
        "clientId": difference.client.map(|client| client.id.as_str()),
        "clientMode": difference.client.map(|client| client.mode.as_str()),
        "then": answer(&difference.then),
        "now": answer(&difference.now),
        "times": difference.times,
        "message": difference_sentence(difference),
    })
}

fn answer(answer: &Answer) -> Value {
    let granted = |gains: &std::collections::BTreeMap<Role, ScopeSet>| {
        gains.iter().map(|(role, gained)| (role.as_str().to_owned(), scopes(gained))).collect::<Map<_, _>>()
    };
    let message = answer_text(answer);
    match answer {
        Answer::Admitted { rule, scopes: given, gains } => json!({
            "outcome": "admitted",
            "rule": rule.as_str(),
            "scopes": scopes(given),
            "granted": granted(gains),
            "message": message,
        }),
        Answer::Done { gains } => json!({ "outcome": "done", "granted": granted(gains), "message": message }),
        Answer::Refused(refusal) => {
            let (rule, reason) = match &**refusal {
                Refusal::PolicyDenied { rule, .. } => (Some(rule.as_str()), None),
                Refusal::PairingRequired(need) => (need.rests.map(|rule| rule.as_str()), Some(need.reason.as_str())),
                _ => (None, None),
            };
            json!({ "outcome": "refused", "rule": rule, "reason": reason, "message": message })
        }
    }
}
