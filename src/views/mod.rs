//! How do we tell a person? Pure: records and registries in, words out. The same words for the same fact everywhere.

mod logs;
mod redact;
mod sentence;
mod sheet;
mod why;

pub use logs::{Level, LogRow, log_row};
pub use redact::Redaction;
pub use sentence::{About, age_text, close_reason, event_sentence, is_plain, quote, refusal_sentence, time_text, who};
pub use sheet::{COLUMNS, sheet_row};
pub use why::{Why, pending, why};
