//! A signed head for each segment that is sealed, beside it: whoever keeps a copy of it elsewhere can tell later whether history
//! up to there was written anew.

use std::path::PathBuf;

use crate::heads::{ClaimedHead, HeadKey};
use crate::host::Host;
use crate::journal::Head;
use crate::pairing::{Event, Record, Registry};
use crate::state::{self, StateDir};
use crate::views::time_text;

/// Signs heads of sealed segments, where there is a key to do so.
pub(super) struct Sealed {
    key: Option<HeadKey>,
    journal: PathBuf,
}

impl Sealed {
    pub(super) fn of(state: &StateDir, host: &dyn Host) -> Self {
        let key = HeadKey::load_or_new(state, host);
        let key = key.inspect_err(|error| tracing::warn!(%error, "heads of sealed segments are not signed")).ok();
        Self { key, journal: state.journal() }
    }

    /// Hears of records that are durable. A seal is alone in its batch, so the head behind it is the segment's.
    pub(super) fn hear(&self, records: &[Record], registry: &Registry, head: Head) {
        let (Some(key), Some(journal), [Record { event: Event::SegmentSealed(seal), at, .. }]) =
            (&self.key, registry.journal(), records)
        else {
            return;
        };
        let note = key.sign(&ClaimedHead { journal, seq: head.seq, hash: head.hash, time: time_text(*at) });
        let path = self.journal.join(format!("{:020}.segment.head", seal.first.0));
        if let Err(error) = state::replace(&path, note.as_bytes()) {
            tracing::warn!(%error, "the head of a sealed segment was not kept");
        }
    }
}
