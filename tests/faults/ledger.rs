//! What was asked of a gateway and what it told: the one has to be all that is on record, the other has to be on record.

/// How the gateway itself stands in a record as its actor.
const ITSELF: &str = r#""actor":{"number":5}"#;

#[derive(Default)]
pub(crate) struct Ledger {
    /// Ids of devices and requests that somebody was about to ask something of.
    asked: Vec<String>,
    /// Events that a reply has told of, each with an id in it.
    told: Vec<(&'static str, String)>,
}

impl Ledger {
    /// To be called before it is asked.
    pub(crate) fn ask(&mut self, id: &str) {
        self.asked.push(id.to_owned());
    }

    /// To be called when the reply is there.
    pub(crate) fn tell(&mut self, event: &'static str, id: &str) {
        assert!(!id.is_empty(), "{event} of nobody");
        self.told.push((event, id.to_owned()));
    }

    /// Begins anew with what is told; what was asked can still be answered.
    pub(crate) fn turn_over(&mut self) {
        self.told.clear();
    }

    pub(crate) fn told(&self) -> usize {
        self.told.len()
    }

    /// Holds it against the records `before` and `now`: what was told is there, and nothing else was invented.
    pub(crate) fn check(&self, before: &[String], now: &[String]) {
        let kept = before.iter().zip(now).take_while(|(before, now)| before == now).count();
        assert!(kept == before.len(), "what was on record is not any more: {} is {:?}", before[kept], now.get(kept));
        let new = &now[before.len()..];
        for (event, id) in &self.told {
            // What was so already is told again and not recorded again, but for new tokens.
            let (records, times) = match *event {
                "TokenRotated" => (new, self.told.iter().filter(|told| **told == (*event, id.clone())).count()),
                _ => (now, 1),
            };
            let there = records.iter().rev().filter(|line| is_of(line, event) && line.contains(id)).take(times).count();
            assert!(there == times, "{event} of {id} was told and is not on record, which has {} lines", now.len());
        }
        for line in new {
            let is_its_own = line.contains(ITSELF) || is_of(line, "ConnectionClosed");
            let is_known = is_its_own || self.asked.iter().any(|id| line.contains(id));
            assert!(is_known, "nobody asked for this: {line}");
        }
    }
}

/// Whether the record on this line is such an event.
pub(crate) fn is_of(line: &str, event: &str) -> bool {
    line.contains(&format!(r#""event":"{event}""#))
}
