//! Is what lies in a journal's directory sound, the records and the states saved beside them? Looked at without the lock, whether
//! somebody writes or not.

use std::path::Path;

use super::opening::LAYOUT;
use super::past::Past;
use crate::journal::{Checkpoint, Head, JournalError, Verdict, read_all, volume};
use crate::pairing::{Digest, Record, Registry, Seq};

/// Judges the journal in `dir` and hands what is sound to `each`, both as [`read_all`] does; and tells of the first saved state that
/// is not what the records lead to.
///
/// # Errors
/// As [`read_all`].
pub fn verify(dir: &Path, each: &mut dyn FnMut(Head, &[Record])) -> Result<(Verdict, Option<Seq>), JournalError> {
    let mut saved = Saved::of(dir)?;
    let verdict = read_all(dir, &mut |head, records| {
        saved.pass(records);
        each(head, records);
    })?;
    Ok((verdict, saved.differs))
}

/// The checkpoints, held against the records.
struct Saved {
    digests: Vec<(Seq, (Digest, Digest))>,
    registry: Registry,
    differs: Option<Seq>,
}

impl Saved {
    fn of(dir: &Path) -> Result<Self, JournalError> {
        let volume = volume(dir)?;
        let mut digests = vec![];
        // Where nothing is known in front of the first record, nothing can be compared; what is damaged the records tell.
        let start = Past::whole(dir).ok().map(|past| past.registry().clone());
        for seq in Checkpoint::all(&*volume)?.into_iter().filter(|_| start.is_some()) {
            let checkpoint = Checkpoint::load(&*volume, seq)?.filter(|checkpoint| checkpoint.layout == LAYOUT);
            // One that cannot be used counts for nothing.
            digests.extend(checkpoint.map(|checkpoint| (seq, checkpoint.digest)));
        }
        Ok(Self { digests, registry: start.unwrap_or_default(), differs: None })
    }

    fn pass(&mut self, records: &[Record]) {
        if self.digests.is_empty() {
            return;
        }
        for record in records {
            if record.seq > self.registry.head() {
                self.registry.apply(record);
            }
        }
        let head = self.registry.head();
        if let Some(at) = self.digests.iter().position(|(seq, _)| *seq == head) {
            let (seq, digest) = self.digests.remove(at);
            self.differs = self.differs.or((digest != self.registry.digest()).then_some(seq));
        }
    }
}
