//! Frames that OpenClaw 2026.3.13 sent (data/README.md), and how ours have to compare.

use std::collections::BTreeSet;

use serde_json::Value;

/// The recorded refusal of this name.
pub(crate) fn refusal(name: &str) -> Value {
    member(include_str!("data/refusals.json"), name)
}

/// The recorded frame or payload of this name.
pub(crate) fn frame(name: &str) -> Value {
    member(include_str!("data/frames.json"), name)
}

fn member(text: &str, name: &str) -> Value {
    let all: Value = serde_json::from_str(text).expect("JSON");
    all.get(name).unwrap_or_else(|| panic!("nothing recorded as {name}")).clone()
}

/// Every member of the recording is in `ours`, with the same type; those in `but_for`, and only those, are not.
#[track_caller]
pub(crate) fn assert_speaks_like(name: &str, ours: &Value, but_for: &[&str]) {
    let mut missing = BTreeSet::new();
    lacking("", &frame(name), ours, &mut missing);
    let expected: BTreeSet<_> = but_for.iter().map(ToString::to_string).collect();
    assert_eq!(missing, expected, "{name}: members that we do not send, and those we know of; ours: {ours:#}");
}

fn lacking(path: &str, theirs: &Value, ours: &Value, missing: &mut BTreeSet<String>) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            for (key, theirs) in theirs {
                let path = format!("{path}/{key}");
                match ours.get(key) {
                    Some(ours) => lacking(&path, theirs, ours, missing),
                    None => drop(missing.insert(path)),
                }
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            if let (Some(theirs), Some(ours)) = (theirs.first(), ours.first()) {
                lacking(&format!("{path}/*"), theirs, ours, missing);
            }
        }
        _ if std::mem::discriminant(theirs) == std::mem::discriminant(ours) => {}
        _ => drop(missing.insert(path.to_owned())),
    }
}
