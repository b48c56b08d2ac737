//! The one table of differences: where we answer otherwise than the real gateway on purpose, and where something is not built yet.
//! A row names the place and both shapes; `*` in it stands for anything. What no row explains is open.

use super::compare::Difference;

/// Why a difference may stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Why {
    /// By the rule of DESIGN.md that follows.
    Chosen(&'static str),
    /// What is waited for.
    Waiting(&'static str),
}

/// Differences that may stand.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) rule: &'static str,
    pub(crate) why: Why,
    /// In which recordings: alternatives are divided by blanks.
    pub(crate) recordings: &'static str,
    /// Connection and what was said.
    pub(crate) at: &'static str,
    pub(crate) path: &'static str,
    pub(crate) theirs: &'static str,
    pub(crate) ours: &'static str,
}

impl Row {
    pub(crate) fn explains(&self, recording: &str, difference: &Difference) -> bool {
        self.recordings.split(' ').any(|pattern| fits(pattern, recording))
            && fits(self.at, &difference.at)
            && fits(self.path, &difference.path)
            && fits(self.theirs, &difference.theirs)
            && fits(self.ours, &difference.ours)
    }
}

/// Whether a text fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text
            .strip_prefix(head)
            .is_some_and(|text| text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| fits(rest, &text[at..]))),
    }
}

/// A recording in which the two go different ways from some place on: what differs from there is pinned by a snapshot.
#[derive(Debug)]
pub(crate) struct Parting {
    pub(crate) recording: &'static str,
    /// The first difference that no row explains.
    pub(crate) at: &'static str,
    pub(crate) why: Why,
}

pub(crate) const ROWS: &[Row] = &[];
pub(crate) const PARTINGS: &[Parting] = &[];
