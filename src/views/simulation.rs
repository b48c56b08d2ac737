//! What would come of history under another policy, in the words of the records: what was decided, and what would be.

use std::fmt::Write as _;

use super::sentence::{About, refusal_sentence, who};
use crate::pairing::{Answer, Client, Difference, Refusal, Tally};

/// What was asked for, by whom, what came of it and what would.
#[must_use]
pub fn difference_sentence(difference: &Difference) -> String {
    let device = difference.device.map(|device| format!("device {device}"));
    let client = difference.client.map(|client| format!(" ({})", client_text(client))).unwrap_or_default();
    let mut text = match (difference.command, device) {
        (None, device) => format!("connect of {}{client}", device.as_deref().unwrap_or("no device")),
        (Some(command), None) => format!("{command} by {}", who(&difference.actor)),
        (Some(command), Some(device)) => format!("{command} by {}, {device}{client}", who(&difference.actor)),
    };
    // Writing to a string cannot fail.
    let _ = write!(text, ": {}; would be {}", answer_text(&difference.then), answer_text(&difference.now));
    if difference.times > 1 {
        let _ = write!(text, "; {} times", difference.times);
    }
    text
}

/// A client as it is told of beside a device.
#[must_use]
pub fn client_text(client: Client) -> String {
    format!("{} in mode {}", client.id, client.mode)
}

/// What came of a decision; of a request without its id, since another decision would make another one.
#[must_use]
pub fn answer_text(answer: &Answer) -> String {
    let (mut text, gains) = match answer {
        Answer::Admitted { rule, scopes, gains } => (format!("admitted with {scopes} by rule {rule}"), gains),
        Answer::Done { gains } => ("done".to_owned(), gains),
        Answer::Refused(refusal) => return format!("refused: {}", reason_text(refusal)),
    };
    for (role, scopes) in gains {
        let _ = write!(text, ", granted {scopes} as {role}");
    }
    text
}

fn reason_text(refusal: &Refusal) -> String {
    match refusal {
        Refusal::PairingRequired(need) => {
            let lacks = if need.missing.is_empty() { String::new() } else { format!(", lacks {}", need.missing) };
            let rests = need.rests.map(|rule| format!(", the policy rule {rule} rests")).unwrap_or_default();
            format!("pairing required: {}{lacks}{rests}", need.reason)
        }
        refusal => refusal_sentence(refusal, About::default()),
    }
}

/// How many would differ, and how.
#[must_use]
pub fn tally_text(tally: Tally) -> String {
    let parts = [
        (tally.refused, "would be refused"),
        (tally.done, "would not be refused"),
        (tally.otherwise, "would be answered otherwise"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    parts.collect::<Vec<_>>().join(", ")
}
