//! `journal.verify`: every byte of the journal that this gateway writes is checked, aside, while it goes on.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::methods::Desk;
use super::reading::aside;
use crate::authority;
use crate::journal::{Extent, Verdict};
use crate::pairing::Seq;
use crate::wire::frame::WireError;

impl Desk {
    /// What the journal is worth now, and what that proves.
    pub(super) async fn verify(&self) -> Result<Value, WireError> {
        let _mine = self.reading_all.lock().await;
        let durable = self.authority.registry().head();
        let dir = self.journal.clone();
        let (verdict, differs) = aside(move || Ok(authority::verify(&dir, &mut |_, _| {})?)).await?;
        Ok(verdict_json(&as_writer(verdict, durable, self.authority.records()), differs))
    }
}

/// A verdict in the eyes of whoever writes: what was durable before must be there, and what comes behind it may be a batch that is
/// just being written.
fn as_writer(verdict: Verdict, durable: Seq, records: bool) -> Verdict {
    match verdict {
        Verdict::TornTail { sound, what, .. } if sound.head.seq < durable => {
            let (segment, offset, seq) = (sound.segment.clone(), sound.offset, sound.head.seq.next());
            Verdict::Corrupt { sound: Some(sound), segment, offset, seq, what }
        }
        // Here the witness is this process.
        Verdict::Sound(sound) if sound.head.seq < durable => {
            Verdict::RolledBack { sound, witnessed: durable, witness: PathBuf::default() }
        }
        Verdict::TornTail { sound, .. } if records => Verdict::Sound(sound),
        verdict => verdict,
    }
}

/// A verdict for programs, and with it the checkpoint that differs from the records.
#[must_use]
pub fn verdict_json(verdict: &Verdict, differs: Option<Seq>) -> Value {
    let mut value = match verdict {
        Verdict::Sound(extent) => proven(extent, "sound", None),
        Verdict::TornTail { sound, bytes, what } => {
            proven(sound, "torn-tail", Some(json!({ "bytes": bytes, "what": what.to_string() })))
        }
        Verdict::Corrupt { sound, segment, offset, seq, what } => json!({
            "verdict": "corrupt", "segment": segment, "offset": offset, "seq": seq.0, "what": what.to_string(),
            "sound": sound.as_ref().map(extent_json),
        }),
        Verdict::RolledBack { sound, witnessed, .. } => {
            json!({ "verdict": "rolled-back", "sound": extent_json(sound), "witnessed": witnessed.0 })
        }
        Verdict::TooNew { segment, .. } => json!({ "verdict": "too-new", "segment": segment }),
    };
    if let Some(seq) = differs {
        value["wrongCheckpoint"] = seq.0.into();
    }
    value
}

/// What is sound, and what that proves.
fn proven(extent: &Extent, verdict: &str, torn: Option<Value>) -> Value {
    let mut value = extent_json(extent);
    value["verdict"] = verdict.into();
    if let Some(torn) = torn {
        value["torn"] = torn;
    }
    let proven = [(true, "consistent"), (extent.witnessed.is_some(), "complete")];
    value["proven"] = proven.into_iter().filter(|(is_proven, _)| *is_proven).map(|(_, name)| name).collect();
    if let Some(seq) = extent.witnessed {
        value["witnessed"] = seq.0.into();
    }
    value
}

fn extent_json(extent: &Extent) -> Value {
    json!({
        "journal": extent.journal.to_string(),
        "seq": extent.head.seq.0,
        "head": extent.head.hash.to_string(),
        "records": extent.records,
        "begins": extent.begins.0,
        "segment": extent.segment,
        "bytes": extent.offset,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Head;
    use crate::journal::format::Fault;
    use crate::pairing::{Digest, JournalId};

    #[test]
    fn what_is_just_being_written_is_no_damage_and_what_was_durable_and_is_gone_is() {
        let sound = |seq| Extent {
            journal: JournalId([9; 16]),
            head: Head { seq: Seq(seq), hash: Digest([7; 32]) },
            records: seq,
            begins: Seq(1),
            segment: "00000000000000000001.segment".to_owned(),
            offset: 4_096,
            witnessed: None,
        };
        let torn = |seq| Verdict::TornTail { sound: sound(seq), bytes: 9, what: Fault::BatchDigest };
        let told = |verdict, records| verdict_json(&as_writer(verdict, Seq(5), records), None)["verdict"].clone();
        assert_eq!([told(Verdict::Sound(sound(5)), true), told(Verdict::Sound(sound(6)), true)], ["sound", "sound"]);
        assert_eq!([told(torn(5), true), told(torn(6), true)], ["sound", "sound"]);
        assert_eq!(told(torn(5), false), "torn-tail", "nobody is writing it");
        assert_eq!([told(torn(4), true), told(torn(4), false)], ["corrupt", "corrupt"]);
        assert_eq!(told(Verdict::Sound(sound(4)), true), "rolled-back");
    }
}
