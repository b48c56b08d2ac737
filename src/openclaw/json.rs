//! The JSON files of 2026.3.13: objects by id. What is wrong with one entry is told of that one.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{Entry, Flaw};

/// An entry, or why it is none.
pub(super) type Item = Result<Entry, Flaw>;

/// The entries of a file, by id; where an id stands twice the last counts, as it does for OpenClaw.
pub(super) fn entries(bytes: &[u8]) -> Result<Vec<(String, Item)>, String> {
    // The text of an entry is found without recursion; what is nested too deep in it is that entry's own.
    let entries: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(bytes).map_err(|error| place(&error))?;
    Ok(entries.into_iter().map(|(id, text)| (id, entry(text.get()))).collect())
}

/// An entry of its own.
pub(super) fn entry(text: &str) -> Item {
    serde_json::from_str(text).map_err(|_| Flaw::NoEntry)
}

/// How many requests a file holds, which 2026.3.13 wrote as an object and older ones as a list; none where it holds neither.
pub(super) fn count(bytes: &[u8]) -> Option<usize> {
    let object = serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(bytes).map(|entries| entries.len());
    object.or_else(|_| serde_json::from_slice::<Vec<IgnoredAny>>(bytes).map(|entries| entries.len())).ok()
}

/// Where something is wrong, and in which way; never what stands there.
fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => "not an object of devices",
        _ => "not JSON",
    };
    format!("{what} at line {}, column {}", error.line(), error.column())
}
