//! How many came over time, and how many of them were turned away, so that a burst is seen at a glance, beside what may have
//! started it. A fold that takes no more than its bars, however long the journal is.

use std::collections::VecDeque;

use super::sentence::event_sentence;
use crate::limits;
use crate::pairing::{Event, Millis, Record, Refusal, Seq};

/// Attempts over a time.
pub struct Timeline {
    since: Option<Millis>,
    until: Option<Millis>,
    end: Millis,
    most: usize,
    /// Known from the first attempt on.
    picture: Option<Picture>,
    marks: VecDeque<Mark>,
}

/// The attempts of a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bar {
    /// The first record that is counted in it.
    pub first: Option<Seq>,
    /// Let in.
    pub admitted: u64,
    /// Turned away since a person has to approve.
    pub pairing: u64,
    /// Turned away, connections and commands, for any other reason.
    pub refused: u64,
}

/// What may start a burst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The record.
    pub seq: Seq,
    /// Its time.
    pub at: Millis,
    /// The event's name.
    pub event: &'static str,
    /// The sentence.
    pub message: String,
}

struct Picture {
    from: Millis,
    length_ms: u64,
    bars: Vec<Bar>,
}

impl Picture {
    /// As many bars of one length as it takes, but no more than `most`, with both ends in one.
    fn new(from: Millis, until: Millis, most: usize) -> Self {
        let span = until.since(from).saturating_add(1);
        let length_ms = span.div_ceil(u64::try_from(most).unwrap_or(u64::MAX).max(1));
        let count = usize::try_from(span.div_ceil(length_ms)).unwrap_or(usize::MAX);
        Self { from, length_ms, bars: vec![Bar::default(); count] }
    }

    /// Where clocks went back, what is in front of it, or behind, belongs to the bar at that end.
    fn bar(&mut self, at: Millis) -> Option<&mut Bar> {
        let place = usize::try_from(at.since(self.from) / self.length_ms.max(1)).unwrap_or(usize::MAX);
        let last = self.bars.len().saturating_sub(1);
        self.bars.get_mut(place.min(last))
    }
}

/// What a record is to it.
enum Part {
    Came(fn(&mut Bar) -> &mut u64, u64),
    Marks,
}

impl Timeline {
    /// From `since`, or else from the first attempt, to `until`, or else to `now`, in at most so many bars.
    #[must_use]
    pub fn new(since: Option<Millis>, until: Option<Millis>, now: Millis, most: usize) -> Self {
        let end = until.unwrap_or(now);
        let picture = since.map(|since| Picture::new(since, end, most));
        Self { since, until, end, most, picture, marks: VecDeque::new() }
    }

    /// Hears the next record.
    pub fn hear(&mut self, record: &Record) {
        let Some(part) = part(&record.event) else { return };
        let at = when(record);
        if self.since.is_some_and(|since| at < since) || self.until.is_some_and(|until| until < at) {
            return;
        }
        match part {
            Part::Came(of, count) => {
                let (end, most) = (self.end, self.most);
                let picture = self.picture.get_or_insert_with(|| Picture::new(at.min(end), end, most));
                if let Some(bar) = picture.bar(at) {
                    bar.first.get_or_insert(record.seq);
                    let counted = of(bar);
                    *counted = counted.saturating_add(count);
                }
            }
            Part::Marks if self.picture.is_some() => self.mark(record),
            Part::Marks => {}
        }
    }

    fn mark(&mut self, record: &Record) {
        // An import is a record for each device.
        let is_same = |last: &Mark| matches!(record.event, Event::DeviceImported(_)) && last.event == record.event.name();
        if self.marks.back().is_some_and(is_same) {
            return;
        }
        let (event, message) = (record.event.name(), event_sentence(record));
        self.marks.push_back(Mark { seq: record.seq, at: record.at, event, message });
        if self.marks.len() > limits::TIMELINE_MARKS {
            self.marks.pop_front();
        }
    }

    /// Where it begins.
    #[must_use]
    pub fn since(&self) -> Millis {
        self.picture.as_ref().map_or(self.end, |picture| picture.from)
    }

    /// Where it ends.
    #[must_use]
    pub fn until(&self) -> Millis {
        self.end
    }

    /// How long each bar is.
    #[must_use]
    pub fn bar_ms(&self) -> u64 {
        self.picture.as_ref().map_or(0, |picture| picture.length_ms)
    }

    /// The bars, the oldest first, each with where it begins; none where nobody came. The last one may end later than all of it.
    pub fn bars(&self) -> impl Iterator<Item = (Millis, Bar)> {
        let all = self.picture.iter().flat_map(|picture| (0..).zip(&picture.bars).map(move |(n, bar)| (picture, n, bar)));
        all.map(|(picture, n, bar): (_, u64, _)| (picture.from.plus(picture.length_ms.saturating_mul(n)), *bar))
    }

    /// The newest marks, the oldest first.
    pub fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter()
    }
}

/// Those that were only counted came before their record.
fn when(record: &Record) -> Millis {
    match &record.event {
        Event::AttemptsSuppressed(event) => event.last,
        _ => record.at,
    }
}

fn part(event: &Event) -> Option<Part> {
    let refused = |number: u8, count: u64| {
        let needs_person = Refusal::needs_person(number);
        Part::Came(if needs_person { |bar| &mut bar.pairing } else { |bar| &mut bar.refused }, count)
    };
    match event {
        Event::ConnectionAdmitted(_) => Some(Part::Came(|bar| &mut bar.admitted, 1)),
        Event::ConnectionRefused(event) => Some(refused(event.refusal.number(), 1)),
        Event::CommandRefused(event) => Some(refused(event.refusal.number(), 1)),
        Event::AttemptsSuppressed(event) => Some(refused(event.refusal, event.count)),
        Event::GatewayStarted(_)
        | Event::ConditionFound(_)
        | Event::ConfigurationChanged(_)
        | Event::PolicyChanged(_)
        | Event::RollbackAccepted(_)
        | Event::TokenKeyReplaced(_)
        | Event::DeviceImported(_)
        | Event::ActUndone(_) => Some(Part::Marks),
        _ => None,
    }
}
