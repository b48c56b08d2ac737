//! Two frames in the words of a recording, and where they differ.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

/// Where one side says something that the other does not.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// Connection and what was said: the method that is answered, the event, `close`, `http` and its request.
    pub(crate) at: String,
    /// The member, as a JSON pointer; empty for the whole of it.
    pub(crate) path: String,
    /// What the real gateway said; `-` where it said nothing.
    pub(crate) theirs: String,
    /// What we said.
    pub(crate) ours: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {} => {}", self.at, self.path, self.theirs, self.ours)
    }
}

impl Difference {
    pub(crate) fn new(at: &str, path: &str, theirs: Option<&Value>, ours: Option<&Value>) -> Self {
        let text = |value: Option<&Value>| value.map_or_else(|| "-".to_owned(), Value::to_string);
        Self { at: at.to_owned(), path: path.to_owned(), theirs: text(theirs), ours: text(ours) }
    }
}

/// Every difference between two frames.
pub(crate) fn compare(at: &str, theirs: &Value, ours: &Value, found: &mut Vec<Difference>) {
    if theirs["ok"] == ours["ok"] {
        members(at, "", theirs, ours, found);
    } else {
        found.push(Difference::new(at, "", Some(&outcome(theirs)), Some(&outcome(ours))));
    }
}

/// What a response comes to; of hello-ok only what it gives.
fn outcome(response: &Value) -> Value {
    match (&response["ok"], &response["payload"]) {
        (Value::Bool(true), hello) if hello["type"] == "hello-ok" => json!({ "hello-ok": hello["auth"] }),
        (Value::Bool(true), payload) => payload.clone(),
        _ => response["error"].clone(),
    }
}

fn members(at: &str, path: &str, theirs: &Value, ours: &Value, found: &mut Vec<Difference>) {
    match (theirs, ours) {
        (Value::String(any), _) if any == "<any>" => {}
        (Value::String(cursor), Value::Number(_)) if cursor.starts_with("<cursor") => {}
        (Value::Object(theirs), Value::Object(ours)) => {
            for (key, theirs) in theirs {
                let path = format!("{path}/{key}");
                match ours.get(key) {
                    Some(ours) => members(at, &path, theirs, ours, found),
                    None => found.push(Difference::new(at, &path, Some(theirs), None)),
                }
            }
            for (key, ours) in ours.iter().filter(|(key, _)| !theirs.contains_key(*key)) {
                found.push(Difference::new(at, &format!("{path}/{key}"), None, Some(ours)));
            }
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            for (index, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
                members(at, &format!("{path}/{index}"), theirs, ours, found);
            }
        }
        (Value::String(theirs), Value::String(ours)) if misfits_alike(theirs, ours) => {}
        (theirs, ours) if theirs == ours => {}
        _ => found.push(Difference::new(at, path, Some(theirs), Some(ours))),
    }
}

/// Whether two texts name the same thing that does not fit, and a place of it that both name: how many they name, and in which
/// words, is each validator's own.
fn misfits_alike(theirs: &str, ours: &str) -> bool {
    static MISFIT: LazyLock<Regex> = LazyLock::new(|| Regex::new("^(invalid [a-zA-Z. ]+): (.+)").expect("a pattern"));
    let places = |text: &str| -> Option<(String, Vec<String>)> {
        let found = MISFIT.captures(text)?;
        let place = |part: &str| {
            part.strip_prefix("at ").and_then(|part| part.split_once(':')).map_or("root", |(place, _)| place).to_owned()
        };
        Some((found[1].to_owned(), found[2].split("; ").map(place).collect()))
    };
    match (places(theirs), places(ours)) {
        (Some((theirs, there)), Some((ours, here))) => theirs == ours && here.first().is_some_and(|place| there.contains(place)),
        _ => false,
    }
}
