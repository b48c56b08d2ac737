//! A point of history as people type it: the seq of a record, a time, or how long ago.

use std::str::FromStr;

use crate::pairing::{Millis, Moment, Seq};
use crate::views::time_of;

/// What was typed; how long ago that is depends on when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    At(Moment),
    /// Milliseconds.
    Ago(u64),
}

impl Point {
    /// The point that is meant by who types it now.
    pub(super) fn seen_from(self, now: Millis) -> Moment {
        match self {
            Self::At(moment) => moment,
            Self::Ago(ms) => Moment::Time(Millis(now.0.saturating_sub(ms))),
        }
    }
}

impl FromStr for Point {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seq = || text.parse().ok().map(|seq| Self::At(Moment::Seq(Seq(seq))));
        let time = || time_of(text).map(|at| Self::At(Moment::Time(at)));
        let read = seq().or_else(time).or_else(|| ago(text).map(Self::Ago));
        read.ok_or("it is neither the seq of a record, as 57, nor a time, as 2026-09-06T12:00:00Z, nor how long ago, as 2h")
    }
}

/// Milliseconds of a whole number of seconds, minutes, hours or days.
fn ago(text: &str) -> Option<u64> {
    let unit = text.chars().next_back()?;
    let ms = match unit {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return None,
    };
    text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_a_seq_a_time_or_how_long_ago() {
        let now = Millis(1_788_696_000_000);
        let read = |text: &str| text.parse::<Point>().map(|point| point.seen_from(now));
        assert_eq!(read("57"), Ok(Moment::Seq(Seq(57))));
        assert_eq!(read("2026-09-06T12:00:00+02:00"), Ok(Moment::Time(Millis(1_788_688_800_000))));
        assert_eq!(read("90s"), Ok(Moment::Time(Millis(now.0 - 90_000))));
        assert_eq!(read("2h"), Ok(Moment::Time(Millis(now.0 - 7_200_000))));
        assert_eq!(read("99999999999d"), Ok(Moment::Time(Millis(0))));
        for text in
            ["", "h", "-1", "+", "2 h", "2w", "1h30m", "yesterday", "2026-09-06", "18446744073709551616", "99999999999999d"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
