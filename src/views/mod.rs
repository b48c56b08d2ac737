//! How do we tell a person? Pure: records and registries in, words out. The same words for the same fact everywhere.

mod diagnosis;
mod logs;
mod policy;
mod redact;
mod sentence;
mod sheet;
mod upheaval;
mod why;

pub use crate::pairing::is_plain;
pub use diagnosis::{Finding, Scene, Severity, diagnose};
pub use logs::{Level, LogRow, log_row};
pub use policy::{change_line, resting_sentence, spares_sentence, warning_sentence, way_text};
pub use redact::Redaction;
pub use sentence::{About, age_text, close_reason, event_sentence, quote, refusal_sentence, shell_word, time_text, who};
pub use sheet::{COLUMNS, sheet_row};
pub use upheaval::{Aftermath, Refusals, Upheaval, Who};
pub use why::{Why, pending, why};
