//! A point of history: a number is the seq of a record, a text is a time of RFC 3339.

use serde::Deserialize;
use serde_json::Value;

use crate::pairing::{Moment, Seq};
use crate::views::{time_of, time_text};

/// A point of history in params.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Point(pub Moment);

impl TryFrom<Value> for Point {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let seq = value.as_u64().map(|seq| Moment::Seq(Seq(seq)));
        let time = || value.as_str().and_then(time_of).map(Moment::Time);
        seq.or_else(time).map(Self).ok_or("must be the seq of a record, or a time of RFC 3339 as text")
    }
}

/// The same for params to be sent.
#[must_use]
pub fn point(moment: Moment) -> Value {
    match moment {
        Moment::Seq(seq) => seq.0.into(),
        Moment::Time(at) => time_text(at).into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pairing::Millis;

    #[test]
    fn a_point_is_read_as_it_is_sent_and_nothing_else_is_one() {
        for moment in [Moment::Seq(Seq(0)), Moment::Seq(Seq(57)), Moment::Time(Millis(1_788_000_000_123))] {
            assert_eq!(Point::try_from(point(moment)), Ok(Point(moment)));
        }
        for value in
            [json!(-1), json!(1.5), json!("57"), json!("yesterday"), json!("1969-12-31T23:59:59Z"), json!(null), json!([])]
        {
            assert!(Point::try_from(value.clone()).is_err(), "{value}");
        }
    }
}
