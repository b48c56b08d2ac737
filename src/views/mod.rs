//! How do we tell a person? Pure: records and registries in, words out. The same words for the same fact everywhere.

mod logs;
mod sentence;

pub use logs::{Level, LogRow, log_row};
pub use sentence::{age_text, close_reason, event_sentence, quote, refusal_sentence, time_text, who};
