//! `logs.tail`: its lines are JSON of upstream's shape, its cursor is a seq of the journal.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::limits;
use crate::views::{Level, LogRow, time_text};

/// Params of `logs.tail`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TailParams {
    /// Where the last answer ended.
    #[serde(default)]
    pub cursor: Option<Cursor>,
    /// Lines at most.
    #[serde(default)]
    pub limit: Option<Lines>,
    /// Bytes at most.
    #[serde(default)]
    pub max_bytes: Option<Bytes>,
}

/// A number within bounds.
macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident, $min:expr, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Deserialize)]
        #[serde(try_from = "i64")]
        pub struct $name(pub usize);

        impl TryFrom<i64> for $name {
            type Error = String;

            fn try_from(n: i64) -> Result<Self, String> {
                match usize::try_from(n) {
                    Ok(n) if n > $max => Err(format!("must be <= {}", $max)),
                    Ok(n) if n >= $min => Ok(Self(n)),
                    _ => Err(format!("must be >= {}", $min)),
                }
            }
        }
    };
}

pub(super) use bounded;

/// A position: 0 or more.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "i64")]
pub struct Cursor(pub u64);

impl TryFrom<i64> for Cursor {
    type Error = &'static str;

    fn try_from(n: i64) -> Result<Self, Self::Error> {
        u64::try_from(n).map(Self).map_err(|_| "must be >= 0")
    }
}

bounded!(
    /// A number of lines.
    Lines, 1, limits::LOG_LINES.1
);
bounded!(
    /// A number of bytes.
    Bytes, 1, limits::LOG_BYTES.1
);

/// One row as a line. A 2026.3.13 client prints the members whose keys are digits, a 2026.9.6 one `message`; ours beside them
/// are for programs.
#[must_use]
pub fn line(row: &LogRow, hostname: &str) -> String {
    let (id, name) = match row.level {
        Level::Info => (3, "INFO"),
        Level::Warn => (4, "WARN"),
    };
    let subsystem = json!({ "subsystem": row.subsystem }).to_string();
    let time = time_text(row.at);
    json!({
        "0": subsystem,
        "1": row.message,
        "_meta": {
            "runtime": "openclaw-pairing",
            "runtimeVersion": env!("CARGO_PKG_VERSION"),
            "hostname": hostname,
            "name": subsystem,
            "parentNames": ["openclaw"],
            "date": time,
            "logLevelId": id,
            "logLevelName": name,
        },
        "time": time,
        "message": row.message,
        "seq": row.seq.0,
        "event": row.event,
    })
    .to_string()
}

/// Result of `logs.tail`. `cursor` is the last seq that the caller has now seen.
#[must_use]
pub fn tail(file: &str, cursor: u64, size: u64, lines: Vec<String>, truncated: bool, reset: bool) -> Value {
    json!({ "file": file, "cursor": cursor, "size": size, "lines": lines, "truncated": truncated, "reset": reset })
}
