//! Walks a segment from batch to batch and judges what it meets. A batch is taken whole or not at all. What cannot be taken
//! is a torn end only if no batch was begun behind it: a batch is begun when the one before it is synced, so a header further
//! on proves that what is unreadable now was safe once.

use std::io;
use std::ops::Range;
use std::path::Path;

use super::directory::io_error;
use super::error::{JournalError, Newer};
use super::format::{
    self, BATCH_HEADER_BYTES, BatchHeader, BatchParts, DIGEST_BYTES, Fault, HeaderError, RecordFrames, SEGMENT_HEADER_BYTES,
    SEGMENT_HEADER_BYTES_MAX, SegmentHeader,
};
use super::storage::{Storage, length};
use super::{Head, codec};
use crate::pairing::{Digest, Event, Millis, Record, SegmentSealed, Seq};

/// Bytes read at once where more than asked is likely to be wanted soon.
const WINDOW_BYTES: usize = 256 * 1024;

/// A place between two batches, and all that a reader must know to go on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The first record of the segment.
    pub(super) segment: Seq,
    /// Bytes from the beginning of the segment.
    pub(super) offset: u64,
    /// Whether the batch before it is the segment's seal.
    pub(super) is_sealed: bool,
    /// The last record before it.
    pub(super) head: Head,
    /// The time of that record.
    pub(super) at: Millis,
}

impl Position {
    /// Where the first batch begins.
    pub(super) fn start(header: &SegmentHeader) -> Self {
        let seq = Seq(header.first.0.saturating_sub(1));
        let head = Head { seq, hash: header.chain };
        Self { segment: header.first, offset: length(SEGMENT_HEADER_BYTES), is_sealed: false, head, at: Millis(0) }
    }

    /// The seal that may be written here.
    pub(super) fn seal(&self) -> SegmentSealed {
        SegmentSealed { first: self.segment, bytes: self.offset }
    }

    /// Whether the batch of these records, which stands here, seals the segment; none where a seal is wrong.
    pub(super) fn is_sealed_by(&self, records: &[Record]) -> Option<bool> {
        match records {
            [Record { event: Event::SegmentSealed(seal), .. }] => (*seal == self.seal()).then_some(true),
            _ if records.iter().any(|record| matches!(record.event, Event::SegmentSealed(_))) => None,
            _ => Some(false),
        }
    }
}

/// What stands at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A batch; the position is behind it now.
    Batch,
    /// Nothing, or zeros up to the end.
    End,
    /// Bytes that no sound batch begins with.
    Unsound(Damage),
}

/// Something that cannot be taken for what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// Bytes from the beginning of the segment.
    pub(super) offset: u64,
    /// The first record that it takes away.
    pub(super) seq: Seq,
    /// What is wrong.
    pub(super) what: Fault,
}

/// Reads a segment from any position on.
pub(super) struct Walk<'a> {
    path: &'a Path,
    storage: &'a dyn Storage,
    window: Window,
}

impl<'a> Walk<'a> {
    pub(super) fn new(path: &'a Path, storage: &'a dyn Storage) -> Self {
        Self { path, storage, window: Window::default() }
    }

    /// The segment header, which must be that of `first`.
    pub(super) fn header(&mut self, first: Seq) -> Result<SegmentHeader, JournalError> {
        let bytes = self.window.view(self.storage, 0, SEGMENT_HEADER_BYTES_MAX).map_err(|error| failed(self.path, error))?;
        let header = match SegmentHeader::decode(bytes) {
            Ok(header) if header.first == first => return Ok(header),
            Ok(_) => Fault::HeaderSeq,
            Err(HeaderError::Fault(what)) => what,
            Err(HeaderError::Version(found)) => {
                return Err(self.too_new(Newer::Version { found, known: format::VERSION }));
            }
        };
        Err(self.corrupt(Damage { offset: 0, seq: first, what: header }))
    }

    /// Reads the batch at `position`, puts its records into `records`, which is emptied first, and moves on behind it.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] for what no interrupted write can leave, [`JournalError::TooNew`], [`JournalError::Io`].
    pub(super) fn step(&mut self, position: &mut Position, records: &mut Vec<Record>) -> Result<Step, JournalError> {
        records.clear();
        let (offset, first) = (position.offset, position.head.seq.next());
        let unsound = |what| Ok(Step::Unsound(Damage { offset, seq: first, what }));
        if position.is_sealed {
            // No writer writes behind a seal, so not even a torn end can be there.
            if self.is_zero_from(offset)? {
                return Ok(Step::End);
            }
            return Err(self.corrupt(Damage { offset, seq: first, what: Fault::SealedOver }));
        }
        let bytes = self.window.view(self.storage, offset, BATCH_HEADER_BYTES).map_err(|error| failed(self.path, error))?;
        let header = match BatchHeader::decode(bytes) {
            Ok(header) => header,
            Err(_) if self.is_zero_from(offset)? => return Ok(Step::End),
            Err(what) => return unsound(what),
        };
        if let Err(what) = header.check() {
            return Err(self.corrupt(Damage { offset, seq: first, what }));
        }
        if header.first != first {
            return Err(self.corrupt(Damage { offset, seq: first, what: Fault::BatchSeq { found: header.first } }));
        }
        let bytes = self.window.view(self.storage, offset, header.batch_bytes()).map_err(|error| failed(self.path, error))?;
        let Some(batch) = BatchParts::split(bytes).filter(|_| bytes.len() == header.batch_bytes()) else {
            return unsound(Fault::BatchShort);
        };
        if !batch.continues(&position.head.hash) {
            return Ok(Step::Unsound(first_damage(offset, &header, &batch)));
        }
        // From here on these are the bytes that somebody wrote, so whatever is wrong with them was written so.
        let (last, at) = match decode_batch(offset, &header, &batch, position.at, records) {
            Ok(end) => end,
            Err(Unreadable::Damage(damage)) => return Err(self.corrupt(damage)),
            Err(Unreadable::Newer(found)) => return Err(self.too_new(found)),
        };
        let Some(is_sealed) = position.is_sealed_by(records) else {
            return Err(self.corrupt(Damage { offset, seq: first, what: Fault::Seal }));
        };
        let after = offset.saturating_add(length(header.batch_bytes()));
        *position = Position { offset: after, is_sealed, head: Head { seq: last, hash: batch.digest }, at, ..*position };
        Ok(Step::Batch)
    }

    /// Forgets what was read, for when the file may have changed since.
    pub(super) fn refresh(&mut self) {
        self.window.forget();
    }

    /// Where a batch was begun behind `position`, not counting what stands at it: the first header, at any offset, that is
    /// whole and not of an earlier batch. It proves that what should stand at the position was safe once.
    pub(super) fn later_batch(&mut self, position: &Position) -> Result<Option<(u64, BatchHeader)>, JournalError> {
        let expected = position.head.seq.next();
        let is_later = |header: &BatchHeader| header.first >= expected && header.check().is_ok();
        let mut offset = position.offset.saturating_add(1);
        loop {
            let bytes = self.window.view(self.storage, offset, WINDOW_BYTES).map_err(|error| failed(self.path, error))?;
            let mut starts = bytes.windows(BATCH_HEADER_BYTES).enumerate();
            let found = starts.find_map(|(skip, bytes)| {
                let header = BatchHeader::decode(bytes).ok().filter(is_later)?;
                Some((offset.saturating_add(length(skip)), header))
            });
            if found.is_some() || bytes.len() < WINDOW_BYTES {
                return Ok(found);
            }
            offset = offset.saturating_add(length(WINDOW_BYTES.saturating_sub(BATCH_HEADER_BYTES).saturating_add(1)));
        }
    }

    /// The first place after `position` from which batches can be read again, taking on trust the digest in front of it.
    pub(super) fn resume_after(&mut self, position: &Position) -> Result<Option<Position>, JournalError> {
        let Some((offset, header)) = self.later_batch(position)? else { return Ok(None) };
        let start = offset.saturating_sub(length(DIGEST_BYTES));
        let bytes = self.window.view(self.storage, start, DIGEST_BYTES).map_err(|error| failed(self.path, error))?;
        let hash = bytes.first_chunk().map_or(position.head.hash, |digest| Digest(*digest));
        let seq = Seq(header.first.0.saturating_sub(1));
        Ok(Some(Position { offset, is_sealed: false, head: Head { seq, hash }, at: Millis(0), ..*position }))
    }

    /// The end of what is not zero, at or after `offset`.
    pub(super) fn end_of_data(&mut self, offset: u64) -> Result<u64, JournalError> {
        let (mut end, mut next) = (offset, offset);
        loop {
            let bytes = self.window.view(self.storage, next, WINDOW_BYTES).map_err(|error| failed(self.path, error))?;
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                end = next.saturating_add(length(last)).saturating_add(1);
            }
            if bytes.len() < WINDOW_BYTES {
                return Ok(end);
            }
            next = next.saturating_add(length(WINDOW_BYTES));
        }
    }

    pub(super) fn corrupt(&self, damage: Damage) -> JournalError {
        let Damage { offset, seq, what } = damage;
        JournalError::Corrupt { segment: file_name(self.path), offset, seq, what }
    }

    fn too_new(&self, found: Newer) -> JournalError {
        JournalError::TooNew { segment: file_name(self.path), found }
    }

    fn is_zero_from(&mut self, offset: u64) -> Result<bool, JournalError> {
        let mut next = offset;
        loop {
            let bytes = self.window.view(self.storage, next, WINDOW_BYTES).map_err(|error| failed(self.path, error))?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            if bytes.len() < WINDOW_BYTES {
                return Ok(true);
            }
            next = next.saturating_add(length(WINDOW_BYTES));
        }
    }
}

/// Copies the bytes of a torn end into `kept` and cuts them off; each is on the disk before the next is begun.
pub(super) fn put_aside(path: &Path, storage: &mut dyn Storage, from: u64, kept: &mut dyn Storage) -> Result<u64, JournalError> {
    let error = |error| failed(path, error);
    let end = Walk::new(path, storage).end_of_data(from)?;
    let mut buffer = vec![0; WINDOW_BYTES];
    let mut next = from;
    while next < end {
        let left = usize::try_from(end.saturating_sub(next)).unwrap_or(WINDOW_BYTES).min(WINDOW_BYTES);
        let chunk = buffer.get_mut(..left).unwrap_or_default();
        let read = storage.read_at(next, chunk).map_err(error)?;
        kept.write_at(next.saturating_sub(from), chunk.get(..read).unwrap_or_default()).map_err(error)?;
        if read == 0 {
            return Err(error(io::ErrorKind::UnexpectedEof.into()));
        }
        next = next.saturating_add(length(read));
    }
    kept.sync().map_err(error)?;
    storage.truncate(from).map_err(error)?;
    storage.sync().map_err(error)?;
    Ok(end.saturating_sub(from))
}

/// Writes the bytes of `range` over themselves and syncs them. A sync that failed may have left them in memory alone, marked as
/// if they were on the disk; only bytes written anew go there for sure.
pub(super) fn write_again(path: &Path, storage: &mut dyn Storage, range: Range<u64>) -> Result<(), JournalError> {
    let count = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
    let mut bytes = vec![0; count];
    if storage.read_at(range.start, &mut bytes).map_err(|error| failed(path, error))? != count {
        return Err(failed(path, io::ErrorKind::UnexpectedEof.into()));
    }
    storage.write_at(range.start, &bytes).map_err(|error| failed(path, error))?;
    storage.sync().map_err(|source| io_error("sync", path, source))
}

enum Unreadable {
    Damage(Damage),
    Newer(Newer),
}

/// Decodes all records of a batch; returns seq and time of the last.
fn decode_batch(
    offset: u64,
    header: &BatchHeader,
    batch: &BatchParts<'_>,
    mut at: Millis,
    records: &mut Vec<Record>,
) -> Result<(Seq, Millis), Unreadable> {
    let body_offset = offset.saturating_add(length(BATCH_HEADER_BYTES));
    let mut last = Seq(header.first.0.saturating_sub(1));
    let mut frames = RecordFrames::new(batch.body, header.count);
    loop {
        let begins = frames.offset();
        let seq = last.next();
        let damage = |what| Unreadable::Damage(Damage { offset: body_offset.saturating_add(length(begins)), seq, what });
        let Some(frame) = frames.next() else { return Ok((last, at)) };
        let frame = frame.map_err(damage)?;
        if frame.at < at {
            return Err(damage(Fault::RecordTime));
        }
        match codec::decode(frame.kind, frame.payload) {
            Ok((actor, event)) => records.push(Record { seq, at: frame.at, actor, event }),
            Err(codec::PayloadError::Fault(what)) => return Err(damage(what)),
            Err(codec::PayloadError::UnknownKind) => return Err(Unreadable::Newer(Newer::Kind { kind: frame.kind, seq })),
            Err(codec::PayloadError::UnknownValue) => return Err(Unreadable::Newer(Newer::Value { kind: frame.kind, seq })),
        }
        (last, at) = (seq, frame.at);
    }
}

/// Of a batch whose digest is wrong, the first record that its own checksum shows to be damaged, else the whole batch.
fn first_damage(offset: u64, header: &BatchHeader, batch: &BatchParts<'_>) -> Damage {
    let mut frames = RecordFrames::new(batch.body, header.count);
    let mut seq = header.first;
    loop {
        let begins = length(BATCH_HEADER_BYTES.saturating_add(frames.offset()));
        match frames.next() {
            Some(Ok(_)) => seq = seq.next(),
            Some(Err(what)) => return Damage { offset: offset.saturating_add(begins), seq, what },
            None => return Damage { offset, seq: header.first, what: Fault::BatchDigest },
        }
    }
}

fn failed(path: &Path, error: io::Error) -> JournalError {
    io_error("read or repair", path, error)
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A stretch of the file in memory.
#[derive(Default)]
struct Window {
    start: u64,
    filled: usize,
    bytes: Vec<u8>,
}

impl Window {
    /// The bytes from `offset` on: `count`, or fewer where the file ends.
    fn view(&mut self, storage: &dyn Storage, offset: u64, count: usize) -> io::Result<&[u8]> {
        if self.skip(offset).and_then(|skip| self.filled.checked_sub(skip)).is_none_or(|there| there < count) {
            let wanted = count.max(WINDOW_BYTES);
            // The caller has compared `count` with a limit.
            self.bytes.resize(self.bytes.len().max(wanted), 0);
            self.filled = 0;
            self.start = offset;
            self.filled = storage.read_at(offset, self.bytes.get_mut(..wanted).unwrap_or_default())?;
        }
        let there = self.bytes.get(self.skip(offset).unwrap_or(usize::MAX)..self.filled).unwrap_or_default();
        Ok(there.get(..count).unwrap_or(there))
    }

    fn forget(&mut self) {
        self.filled = 0;
    }

    fn skip(&self, offset: u64) -> Option<usize> {
        usize::try_from(offset.checked_sub(self.start)?).ok()
    }
}
