//! A state at a seq, saved beside the journal, so that a start does not read all of history (journal-format.md, "Checkpoints").
//! What is in it the journal does not know. It is always disposable: one that is damaged, stale or of another journal is no
//! error, only slower.

use super::Head;
use super::error::JournalError;
use super::format;
use super::recovery::Position;
use super::segments::{self, seq_name, seqs_named};
use super::storage::{Access, Volume, length};
use crate::limits;
use crate::pairing::{Digest, JournalId, Millis, Seq};

const SUFFIX: &str = ".checkpoint";
/// What a checkpoint begins with.
const MAGIC: [u8; 8] = *b"\x89OCJP\r\n\x1a";

/// A saved state, and the place in the journal behind which it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub(super) journal: JournalId,
    pub(super) position: Position,
    /// The first seqs of all segments that there were.
    pub(super) firsts: Vec<Seq>,
    /// The last record that was kept elsewhere then.
    pub(super) archived: Seq,
    /// Which program's state it is: another layout is another program's.
    pub layout: u32,
    /// What the state's own digest was when it was saved.
    pub digest: (Digest, Digest),
    /// The state.
    pub image: Vec<u8>,
}

impl Checkpoint {
    /// The last record that it holds.
    #[must_use]
    pub fn head(&self) -> Head {
        self.position.head
    }

    /// The seqs of all checkpoints in `volume`, the newest first. Whether they can be used is another question.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn all(volume: &dyn Volume) -> Result<Vec<Seq>, JournalError> {
        let mut seqs = seqs_named(volume, SUFFIX)?;
        seqs.reverse();
        Ok(seqs)
    }

    /// The checkpoint at `seq`; none where it is not what was written, or not of the journal that is there.
    ///
    /// # Errors
    /// [`JournalError::Io`], [`JournalError::Unsafe`].
    pub fn load(volume: &dyn Volume, seq: Seq) -> Result<Option<Self>, JournalError> {
        let name = seq_name(seq, SUFFIX);
        let io = |source| super::directory::io_error("read", &volume.path_of(&name), source);
        let Some(storage) = volume.open(&name, Access::Read)? else { return Ok(None) };
        let size = storage.size().map_err(io)?;
        if size > length(limits::CHECKPOINT_BYTES) {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let read = storage.read_at(0, &mut bytes).map_err(io)?;
        bytes.truncate(read);
        let Some(checkpoint) = Self::decode(&bytes).filter(|checkpoint| checkpoint.position.head.seq == seq) else {
            return Ok(None);
        };
        Ok(if checkpoint.fits(volume)? { Some(checkpoint) } else { None })
    }

    /// Whether it stands where the journal in `volume` has a batch's end: the segments before it are those that it knows, and its
    /// own one is long enough and of its journal.
    fn fits(&self, volume: &dyn Volume) -> Result<bool, JournalError> {
        let firsts = segments::firsts(volume)?;
        let (before, _): (Vec<_>, Vec<_>) = firsts.into_iter().partition(|first| *first <= self.position.segment);
        // Some of the oldest may be kept elsewhere since; whether they are is known at the end.
        if !self.firsts.ends_with(&before) || before.last() != Some(&self.position.segment) {
            return Ok(false);
        }
        let Some(segment) = segments::Segment::open(volume, self.position.segment, Access::Read)? else { return Ok(false) };
        // A header that cannot be read is told of by who reads the journal.
        let Ok((journal, start)) = segment.enter(&mut segment.walk(), None, None) else { return Ok(false) };
        let size = segment.storage.size().map_err(|source| super::directory::io_error("look at", &segment.path, source))?;
        if journal != self.journal || size < self.position.offset {
            return Ok(false);
        }
        if self.position.offset == start.offset {
            return Ok(start.head == self.position.head);
        }
        // The digest in front of the place is the one that the next batch continues.
        let mut digest = [0; format::DIGEST_BYTES];
        let at = self.position.offset.saturating_sub(length(digest.len()));
        let read = segment.storage.read_at(at, &mut digest);
        let read = read.map_err(|source| super::directory::io_error("read", &segment.path, source))?;
        Ok(read == digest.len() && Digest(digest) == self.position.head.hash)
    }

    /// Writes it into `volume`, and keeps one older one beside it.
    pub(super) fn save(&self, volume: &dyn Volume) -> Result<(), JournalError> {
        let name = seq_name(self.position.head.seq, SUFFIX);
        let io = |op| {
            let path = volume.path_of(&name);
            move |source| super::directory::io_error(op, &path, source)
        };
        let mut draft = segments::draft(volume, &name)?;
        draft.write_at(0, &self.encode()).map_err(io("write"))?;
        draft.sync().map_err(io("sync"))?;
        segments::publish(volume, &name)?;
        // What claims to be newer than the newest is of another history.
        let (newer, older): (Vec<_>, Vec<_>) = Self::all(volume)?.into_iter().partition(|seq| *seq > self.position.head.seq);
        for stale in newer.into_iter().chain(older.into_iter().skip(limits::CHECKPOINTS)) {
            volume.remove(&seq_name(stale, SUFFIX))?;
        }
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let Position { segment, offset, is_sealed, head, at } = self.position;
        let mut bytes = Vec::with_capacity(self.image.len().saturating_add(512));
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&format::VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.layout.to_le_bytes());
        bytes.extend_from_slice(&self.journal.0);
        for number in [head.seq.0, at.0, segment.0, offset, u64::from(is_sealed), self.archived.0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&head.hash.0);
        bytes.extend_from_slice(&self.digest.0.0);
        bytes.extend_from_slice(&self.digest.1.0);
        bytes.extend_from_slice(&length(self.firsts.len()).to_le_bytes());
        self.firsts.iter().for_each(|first| bytes.extend_from_slice(&first.0.to_le_bytes()));
        bytes.extend_from_slice(&length(self.image.len()).to_le_bytes());
        bytes.extend_from_slice(&self.image);
        let digest = format::sha256(&bytes);
        bytes.extend_from_slice(&digest.0);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (rest, digest) = bytes.split_last_chunk()?;
        if !rest.starts_with(&MAGIC) || format::sha256(rest) != Digest(*digest) {
            return None;
        }
        let mut rest = rest.get(MAGIC.len()..)?;
        let number = |rest: &mut &[u8]| format::take(rest).map(u64::from_le_bytes);
        let version = u32::from_le_bytes(format::take(&mut rest)?);
        let layout = u32::from_le_bytes(format::take(&mut rest)?);
        let journal = JournalId(format::take(&mut rest)?);
        let (seq, at, segment) = (number(&mut rest)?, number(&mut rest)?, number(&mut rest)?);
        let (offset, is_sealed) = (number(&mut rest)?, number(&mut rest)? == 1);
        let archived = Seq(number(&mut rest)?);
        let head = Head { seq: Seq(seq), hash: Digest(format::take(&mut rest)?) };
        let digest = (Digest(format::take(&mut rest)?), Digest(format::take(&mut rest)?));
        let count = number(&mut rest)?;
        // As many as there are bytes for, whatever the count says.
        let firsts: Vec<_> = (0..count).map_while(|_| number(&mut rest)).map(Seq).collect();
        let image = usize::try_from(number(&mut rest)?).ok().filter(|length| *length == rest.len()).map(|_| rest.to_vec())?;
        let position = Position { segment: Seq(segment), offset, is_sealed, head, at: Millis(at) };
        let is_whole = version == format::VERSION && length(firsts.len()) == count;
        is_whole.then_some(Self { journal, position, firsts, archived, layout, digest, image })
    }
}
