//! A journal is one chain over many files. Each segment but the last ends with a seal, and the next one begins where the seal
//! ends: same journal, next seq, next link of the chain. Anything else between two segments is damage, never an end.

use std::path::{Path, PathBuf};

use super::Head;
use super::directory::{io_error, unsafe_path};
use super::error::JournalError;
use super::format::Fault;
use super::recovery::{Damage, Position, Step, Walk};
use super::storage::{Access, Storage, Volume, length};
use crate::pairing::{Event, JournalId, Record, Seq};

const SUFFIX: &str = ".segment";
const SEQ_DIGITS: usize = 20;
/// Torn ends kept of one place in one segment; a disk that tears more often than this at one place needs a person.
const KEPT_AT_ONE_PLACE: u32 = 1_000;

/// Bytes copied at once.
const COPIED_BYTES: usize = 1024 * 1024;

/// The file name of the segment that begins with `first`.
pub(super) fn segment_name(first: Seq) -> String {
    seq_name(first, SUFFIX)
}

/// The first seqs of all segments, in order. Other names are none of our business.
pub(super) fn firsts(volume: &dyn Volume) -> Result<Vec<Seq>, JournalError> {
    seqs_named(volume, SUFFIX)
}

/// The file name that stands for a seq.
pub(super) fn seq_name(seq: Seq, suffix: &str) -> String {
    format!("{seq:0width$}{suffix}", seq = seq.0, width = SEQ_DIGITS)
}

/// The seqs for which there is a file, in order.
pub(super) fn seqs_named(volume: &dyn Volume, suffix: &str) -> Result<Vec<Seq>, JournalError> {
    let seq = |name: String| {
        let digits = name.strip_suffix(suffix)?;
        let is_seq = digits.len() == SEQ_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_seq { digits.parse().ok().map(Seq) } else { None }
    };
    let mut seqs: Vec<_> = volume.names()?.into_iter().filter_map(seq).collect();
    seqs.sort_unstable();
    Ok(seqs)
}

/// Makes an empty file that is to be `name` once it is whole and synced.
pub(super) fn draft(volume: &dyn Volume, name: &str) -> Result<Box<dyn Storage>, JournalError> {
    volume.make(&draft_of(name))
}

/// Gives the draft of `name` its name, so that whatever happens either the whole of it is there or nothing. Only the holder of
/// the lock comes here, and it has looked for the name before.
pub(super) fn publish(volume: &dyn Volume, name: &str) -> Result<(), JournalError> {
    volume.rename(&draft_of(name), name)?;
    volume.sync()
}

/// Copies a file to another volume, where it is whole and durable afterwards, and holds what it held here.
pub(super) fn copy(from: &dyn Volume, to: &dyn Volume, name: &str) -> Result<(), JournalError> {
    let path = from.path_of(name);
    let failed = |op: &'static str, path: PathBuf| move |source| io_error(op, &path, source);
    let Some(source) = from.open(name, Access::Read)? else { return Ok(()) };
    let mut target = draft(to, name)?;
    let mut offset = 0;
    let mut buffer = vec![0; COPIED_BYTES];
    loop {
        let read = source.read_at(offset, &mut buffer).map_err(failed("read", path.clone()))?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        target.write_at(offset, bytes).map_err(failed("write", to.path_of(name)))?;
        offset = offset.saturating_add(length(read));
    }
    target.sync().map_err(failed("sync", to.path_of(name)))?;
    publish(to, name)
}

fn draft_of(name: &str) -> String {
    format!("{name}.new")
}

/// Makes an empty file beside `segment` for the end torn off at `offset`, never one that was there, and tells its name, which
/// is on the disk before the bytes are cut off.
pub(super) fn aside(volume: &dyn Volume, segment: &str, offset: u64) -> Result<(String, Box<dyn Storage>), JournalError> {
    for attempt in 1..=KEPT_AT_ONE_PLACE {
        let name = match attempt {
            1 => format!("{segment}.torn-{offset}"),
            _ => format!("{segment}.torn-{offset}-{attempt}"),
        };
        if let Some(kept) = volume.make_new(&name)? {
            volume.sync()?;
            return Ok((name, kept));
        }
    }
    let path = volume.path_of(segment);
    Err(unsafe_path(&path, "has too many torn ends of one place beside it", "move them away and find out what tears them"))
}

/// One opened segment.
pub(super) struct Segment {
    pub(super) first: Seq,
    pub(super) path: PathBuf,
    pub(super) storage: Box<dyn Storage>,
}

impl Segment {
    /// Opens the segment that begins with `first`; none where there is no such segment.
    pub(super) fn open(volume: &dyn Volume, first: Seq, access: Access) -> Result<Option<Self>, JournalError> {
        let name = segment_name(first);
        let storage = volume.open(&name, access)?;
        Ok(storage.map(|storage| Self { first, path: volume.path_of(&name), storage }))
    }

    /// Another handle on it.
    pub(super) fn another(&self) -> Result<Self, JournalError> {
        let storage = self.storage.another().map_err(|source| io_error("open", &self.path, source))?;
        Ok(Self { first: self.first, path: self.path.clone(), storage })
    }

    /// What is wrong at a position behind which nothing more can be read; nothing where nothing is there.
    pub(super) fn damage_behind(&self, position: &Position) -> Result<Option<Damage>, JournalError> {
        let is_end = self.walk().end_of_data(position.offset)? <= position.offset;
        let damage = Damage { offset: position.offset, seq: position.head.seq.next(), what: Fault::BatchDigest };
        Ok(if is_end { None } else { Some(damage) })
    }

    /// The last head from a position on, whatever is damaged between.
    pub(super) fn last_behind(&self, mut position: Position) -> Result<Option<Head>, JournalError> {
        let (mut walk, mut records, mut last) = (self.walk(), Vec::new(), None);
        loop {
            match walk.step(&mut position, &mut records) {
                Ok(Step::Batch) => last = Some(position.head),
                Ok(Step::End) => return Ok(last),
                Ok(Step::Unsound(_)) | Err(JournalError::Corrupt { .. } | JournalError::TooNew { .. }) => {
                    let Some(later) = walk.resume_after(&position)? else { return Ok(last) };
                    position = later;
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn walk(&self) -> Walk<'_> {
        Walk::new(&self.path, &*self.storage)
    }

    /// Checks the header and tells where the first batch begins. What is known of the journal already, its id and the end of
    /// the segment in front, must go on here.
    pub(super) fn enter(
        &self,
        walk: &mut Walk<'_>,
        journal: Option<JournalId>,
        before: Option<&Position>,
    ) -> Result<(JournalId, Position), JournalError> {
        let header = walk.header(self.first)?;
        let wrong = |what| walk.corrupt(Damage { offset: 0, seq: self.first, what });
        if journal.is_some_and(|journal| journal != header.journal) {
            return Err(wrong(Fault::SegmentForeign));
        }
        if before.is_some_and(|before| before.head.hash != header.chain) {
            return Err(wrong(Fault::ChainBroken));
        }
        let at = before.map_or_else(Default::default, |before| before.at);
        Ok((header.journal, Position { at, ..Position::start(&header) }))
    }
}

/// Makes room up to `ahead`, or where there is not that much, up to `least`, and tells where it ends.
pub(super) fn room(path: &Path, storage: &mut dyn Storage, space: u64, least: u64, ahead: u64) -> Result<u64, JournalError> {
    match extend(path, storage, space, ahead) {
        Err(JournalError::Full { .. }) if least < ahead => extend(path, storage, space, least).map(|()| least),
        extended => extended.map(|()| ahead),
    }
}

/// Writes zeros up to `end` behind the `space` bytes that are there, and syncs them. Where there is no room, the file is as
/// long as before, and another try may do better: nothing was ever told of zeros.
fn extend(path: &Path, storage: &mut dyn Storage, space: u64, end: u64) -> Result<(), JournalError> {
    let zeros = vec![0; usize::try_from(end.saturating_sub(space)).unwrap_or(0)];
    let source = match storage.write_at(space, &zeros).and_then(|()| storage.sync()) {
        Ok(()) => return Ok(()),
        Err(source) => source,
    };
    if !is_full(&source) {
        return Err(io_error("make room in", path, source));
    }
    // If it cannot be cut, zeros are left over, which are no record.
    let _ = storage.truncate(space);
    Err(JournalError::Full { path: path.to_owned(), source })
}

/// Whether the system says that there is no room.
pub(super) fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge | ReadOnlyFilesystem)
}

/// Whether the segment that begins with `first` stands where the one that was read to `before` ends.
pub(super) fn check_order(first: Seq, before: Option<&Position>) -> Result<(), JournalError> {
    let next = before.map_or(Seq(1), |before| before.head.seq.next());
    let corrupt = |named, offset, seq, what| Err(JournalError::Corrupt { segment: segment_name(named), offset, seq, what });
    if first > next {
        let to = Seq(first.0.saturating_sub(1));
        return corrupt(next, 0, next, Fault::SegmentGap { from: next, to });
    }
    if first < next {
        return corrupt(first, 0, first, Fault::SegmentOverlap);
    }
    match before {
        Some(before) if !before.is_sealed => corrupt(before.segment, before.offset, next, Fault::SegmentUnsealed),
        _ => Ok(()),
    }
}

/// Whether the journal may begin with the first of these segments: what is missing before it is kept elsewhere.
pub(super) fn check_beginning(volume: &dyn Volume, firsts: &[Seq]) -> Result<(), JournalError> {
    match firsts.first() {
        Some(first) if *first > Seq(1) => Scan::new(volume).run(firsts, Access::Read, &mut |_, _| {}).map(drop),
        _ => Ok(()),
    }
}

/// Where a walk over a whole journal is.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// In front of the first batch of a segment.
    Start(Position),
    /// Behind the batch from which on it reads.
    From(Position),
    /// Behind a batch.
    Behind(Position),
}

/// A walk over a whole journal, or over its end from a position on. It keeps what it found sound, also when it ends with an
/// error.
pub(super) struct Scan<'a> {
    volume: &'a dyn Volume,
    from: Option<Position>,
    /// The last record that may be missing at the beginning, because it is kept elsewhere.
    pub(super) archived: Seq,
    pub(super) sound: Option<(JournalId, Position)>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(volume: &'a dyn Volume) -> Self {
        Self { volume, from: None, archived: Seq(0), sound: None }
    }

    /// From a position on, before which records up to one were known to be kept elsewhere.
    pub(super) fn after(volume: &'a dyn Volume, from: Position, archived: Seq) -> Self {
        Self { from: Some(from), archived, ..Self::new(volume) }
    }

    /// Reads everything, or all from the position on, and hands each batch to `each`. Returns the last segment, and what is torn
    /// at its end.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], [`JournalError::TooNew`], [`JournalError::Io`], [`JournalError::Unsafe`].
    pub(super) fn run(
        &mut self,
        firsts: &[Seq],
        access: Access,
        each: &mut dyn FnMut(Place, &mut Vec<Record>),
    ) -> Result<(Segment, Option<Damage>), JournalError> {
        let mut records = Vec::new();
        let skipped = self.from.map_or(0, |from| firsts.partition_point(|first| *first < from.segment));
        for (i, &first) in firsts.iter().enumerate().skip(skipped) {
            let (known, before) = self.sound.unzip();
            // Whether it may be the first is known at the end.
            if known.is_some() {
                check_order(first, before.as_ref())?;
            }
            let is_last = i.saturating_add(1) == firsts.len();
            let segment = Segment::open(self.volume, first, if is_last { access } else { Access::Read })?;
            let Some(segment) = segment else { break };
            let mut walk = segment.walk();
            let (journal, mut position) = segment.enter(&mut walk, known, before.as_ref())?;
            self.sound = Some((journal, position));
            each(Place::Start(position), &mut records);
            if let Some(from) = self.from.filter(|from| first == from.segment) {
                position = from;
                self.sound = Some((journal, position));
                each(Place::From(position), &mut records);
            }
            let torn = self.segment(&mut walk, &mut position, is_last, each, &mut records)?;
            if is_last {
                let begins = firsts.first().copied().unwrap_or(first);
                if begins > self.archived.next() {
                    check_order(begins, None)?;
                }
                return Ok((segment, torn));
            }
        }
        // There was none, or one went away while we read.
        Err(io_error("read", &self.volume.path_of(&segment_name(Seq(1))), std::io::ErrorKind::NotFound.into()))
    }

    /// Reads one segment from `position` on.
    fn segment(
        &mut self,
        walk: &mut Walk<'_>,
        position: &mut Position,
        is_last: bool,
        each: &mut dyn FnMut(Place, &mut Vec<Record>),
        records: &mut Vec<Record>,
    ) -> Result<Option<Damage>, JournalError> {
        let mut looks = 0_u32;
        loop {
            match walk.step(position, records)? {
                Step::Batch => {
                    for record in records.iter() {
                        if let Event::HistoryArchived(event) = &record.event {
                            self.archived = self.archived.max(event.through);
                        }
                    }
                    each(Place::Behind(*position), records);
                    self.sound = self.sound.map(|(journal, _)| (journal, *position));
                    looks = 0;
                }
                Step::End => return Ok(None),
                // A writer may have been at it while we read; and when another batch was begun behind it, it was whole.
                Step::Unsound(_) if looks == 0 || looks == 1 && (!is_last || walk.later_batch(position)?.is_some()) => {
                    looks = looks.saturating_add(1);
                    walk.refresh();
                }
                Step::Unsound(damage) if looks > 1 => return Err(walk.corrupt(damage)),
                Step::Unsound(damage) => return Ok(Some(damage)),
            }
        }
    }
}
