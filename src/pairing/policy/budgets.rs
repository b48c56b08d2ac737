//! What strangers and devices may cost, as far as the policy says.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::limits::{self, Bounds};

/// What strangers and devices may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Budgets {
    /// Attempts and commands written in full; beyond it they are only counted.
    pub record: RecordBudget,
    /// Wrong credentials; beyond it none are compared.
    pub failure: FailureBudget,
    /// Requests of devices never paired that wait.
    pub pending: PendingBudget,
    /// Sockets that have not said who they are.
    pub socket: SocketBudget,
}

/// How much is written in full within a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RecordBudget {
    /// By one address, for whoever is not paired.
    #[serde(deserialize_with = "record_per_address")]
    pub per_address: u32,
    /// By one paired device, its connections and its commands together.
    #[serde(deserialize_with = "record_per_device")]
    pub per_device: u32,
    /// By all addresses together.
    #[serde(deserialize_with = "record_total")]
    pub total: u32,
    /// The window, in milliseconds.
    #[serde(rename = "window", deserialize_with = "record_window")]
    pub window_ms: u64,
}

/// How often credentials may be wrong within a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FailureBudget {
    /// Of one address, or of one paired device.
    #[serde(deserialize_with = "failure_per_address")]
    pub per_address: u32,
    /// Of all addresses together.
    #[serde(deserialize_with = "failure_total")]
    pub total: u32,
    /// The window, in milliseconds.
    #[serde(rename = "window", deserialize_with = "failure_window")]
    pub window_ms: u64,
}

/// How many requests of devices never paired may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PendingBudget {
    /// Of one address.
    #[serde(deserialize_with = "pending_per_address")]
    pub per_address: u32,
    /// Of all addresses together.
    #[serde(deserialize_with = "pending_total")]
    pub total: u32,
}

/// How many sockets may be open that have not said who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SocketBudget {
    /// Of one address.
    #[serde(deserialize_with = "socket_per_address")]
    pub per_address: u32,
    /// Of all addresses together.
    #[serde(deserialize_with = "socket_total")]
    pub total: u32,
}

impl Default for RecordBudget {
    fn default() -> Self {
        Self {
            per_address: limits::RECORD_PER_ADDRESS.default,
            per_device: limits::RECORD_PER_DEVICE.default,
            total: limits::RECORD_TOTAL.default,
            window_ms: limits::RECORD_WINDOW_MS.default,
        }
    }
}

impl Default for FailureBudget {
    fn default() -> Self {
        Self {
            per_address: limits::FAILURE_PER_ADDRESS.default,
            total: limits::FAILURE_TOTAL.default,
            window_ms: limits::FAILURE_WINDOW_MS.default,
        }
    }
}

impl Default for PendingBudget {
    fn default() -> Self {
        Self { per_address: limits::PENDING_PER_ADDRESS.default, total: limits::PENDING_TOTAL.default }
    }
}

impl Default for SocketBudget {
    fn default() -> Self {
        Self { per_address: limits::SOCKET_PER_ADDRESS.default, total: limits::SOCKET_TOTAL.default }
    }
}

macro_rules! figures {
    ($($name:ident: $bounds:ident),+ $(,)?) => { $(
        fn $name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
            let figure = u32::deserialize(deserializer)?;
            let Bounds { least, most, .. } = limits::$bounds;
            let is_within = (least..=most).contains(&figure);
            if is_within { Ok(figure) } else { Err(D::Error::custom(format!("{figure} is not from {least} to {most}"))) }
        }
    )+ };
}

figures! {
    record_per_address: RECORD_PER_ADDRESS,
    record_per_device: RECORD_PER_DEVICE,
    record_total: RECORD_TOTAL,
    failure_per_address: FAILURE_PER_ADDRESS,
    failure_total: FAILURE_TOTAL,
    pending_per_address: PENDING_PER_ADDRESS,
    pending_total: PENDING_TOTAL,
    socket_per_address: SOCKET_PER_ADDRESS,
    socket_total: SOCKET_TOTAL,
}

fn record_window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    span(&String::deserialize(deserializer)?, limits::RECORD_WINDOW_MS).map_err(D::Error::custom)
}

fn failure_window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    span(&String::deserialize(deserializer)?, limits::FAILURE_WINDOW_MS).map_err(D::Error::custom)
}

/// Milliseconds from a text such as `"5m"`, within bounds.
pub(super) fn span(text: &str, bounds: Bounds<u64>) -> Result<u64, String> {
    let unit = match text.chars().last() {
        Some('s') => 1_000,
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        _ => 0,
    };
    let count = text.get(..text.len().saturating_sub(1)).and_then(|digits| digits.parse::<u32>().ok());
    let ms = u64::from(count.unwrap_or(0)).saturating_mul(unit);
    let Bounds { least, most, .. } = bounds;
    if (least..=most).contains(&ms) {
        return Ok(ms);
    }
    Err(format!("a time from \"{}\" to \"{}\" is meant, not \"{text}\"", span_text(least), span_text(most)))
}

/// Milliseconds as such a text.
pub(super) fn span_text(ms: u64) -> String {
    if ms.is_multiple_of(3_600_000) {
        format!("{}h", ms / 3_600_000)
    } else if ms.is_multiple_of(60_000) {
        format!("{}m", ms / 60_000)
    } else {
        format!("{}s", ms / 1_000)
    }
}
