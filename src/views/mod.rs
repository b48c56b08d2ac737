//! How do we tell a person? Pure: records and registries in, words out. The same words for the same fact everywhere.

mod diagnosis;
mod import;
mod logs;
mod policy;
mod redact;
mod sentence;
mod sheet;
mod simulation;
mod state;
mod timeline;
mod upheaval;
mod warrant;
mod why;

pub use crate::pairing::is_plain;
pub use diagnosis::{Finding, Scene, Severity, diagnose};
pub use import::left_alone_sentence;
pub use logs::{Level, LogRow, log_row};
pub use policy::{change_line, resting_sentence, spares_sentence, warning_sentence, way_text};
pub use redact::Redaction;
pub use sentence::{
    About, age_text, close_reason, condition_sentence, event_sentence, quote, refusal_sentence, shell_word, time_of, time_text,
    who,
};
pub use sheet::{COLUMNS, sheet_row};
pub use simulation::{answer_text, client_text, difference_sentence, tally_text};
pub use state::{FactChange, Field, Of, fact_changes, facts};
pub use timeline::{Bar, Mark, Timeline};
pub use upheaval::{Aftermath, Refusals, Upheaval, Who};
pub use warrant::deed_sentence;
pub use why::{Why, pending, why};
