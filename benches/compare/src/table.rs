//! The table: each measure with what stands beside it, and each goal with what became of it.

use std::fmt::Write as _;

/// What should be at least, or at most, so many times something else.
pub enum Goal {
    AtLeast(f64, f64),
    AtMost(f64, f64),
}

pub struct Row {
    what: String,
    ours: String,
    beside: Vec<String>,
    goals: Vec<String>,
}

impl Row {
    pub fn new(what: impl Into<String>, ours: impl Into<String>) -> Self {
        Self { what: what.into(), ours: ours.into(), beside: vec![], goals: vec![] }
    }

    pub fn beside(mut self, beside: impl Into<String>) -> Self {
        self.beside.push(beside.into());
        self
    }

    /// `of` names the measure that is held against the bound.
    pub fn goal(mut self, goal: Goal, of: &str) -> Self {
        let (sign, bound, found, is_met) = match goal {
            Goal::AtLeast(bound, found) => ('≥', bound, found, found >= bound),
            Goal::AtMost(bound, found) => ('≤', bound, found, found <= bound),
        };
        let met = if is_met { "yes" } else { "**no**" };
        self.goals.push(format!("{sign} {} {of}: {}, {met}", number(bound), number(found)));
        self
    }
}

pub fn print(rows: &[Row]) -> String {
    let mut table = "| what | ours | beside | goals |\n|---|---|---|---|\n".to_owned();
    for Row { what, ours, beside, goals } in rows {
        let _ = writeln!(table, "| {what} | {ours} | {} | {} |", beside.join("; "), goals.join("; "));
    }
    table
}

/// With three digits that mean something.
pub fn number(value: f64) -> String {
    let (value, unit) = match value {
        large if large >= 1e6 => (large / 1e6, " M"),
        large if large >= 1e4 => (large / 1e3, " k"),
        small => (small, ""),
    };
    let digits = if value >= 100.0 || value.fract() == 0.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}{unit}")
}
