//! Bytes, and nothing but bytes: segment header, batch frame, record frame, hash chain. Pure; the twin of
//! `journal-format.md`, and the sections named here are its. A checksum finds rot, the digest finds rewriting, and neither
//! notices that the end is missing: that is for whoever remembers the head.

use sha2::{Digest as _, Sha256};

use crate::limits;
use crate::pairing::{Digest, JournalId, Millis, Seq};

/// The version this program writes and reads ("Versions").
pub const VERSION: u32 = 1;
/// What every segment begins with.
pub const MAGIC: [u8; 8] = *b"\x89OCJL\r\n\x1a";
/// What every batch begins with. The first byte occurs in no UTF-8 text, so no text in a payload can look like a batch.
pub const MARKER: [u8; 4] = *b"\xffBCH";
/// Bytes of a segment header.
pub const SEGMENT_HEADER_BYTES: usize = 76;
/// Bytes of a segment header of any version, at most.
pub const SEGMENT_HEADER_BYTES_MAX: usize = 4_096;
/// Bytes of a batch header.
pub const BATCH_HEADER_BYTES: usize = 24;
/// Bytes of a batch digest.
pub const DIGEST_BYTES: usize = 32;
/// Bytes of a record in front of its payload.
pub const RECORD_HEADER_BYTES: usize = 18;

/// A fuzzer does not guess checksums, so under it they are not compared: what lies behind them is what it should reach.
const IS_COMPARED: bool = !cfg!(fuzzing);

/// Most batches fit into as much, so that their bytes are not moved while they grow.
const USUAL_BATCH_BYTES: usize = 8 * 1024;

const CHAIN_LABEL: &[u8] = b"openclaw-pairing journal chain v1";
const CHECKSUM_BYTES: usize = 4;
/// What every version's segment header has: magic, version, length and checksum.
const SEGMENT_HEADER_BYTES_MIN: usize = 20;
/// What of a record header its checksum covers: all in front of it.
const SUMMED_BYTES: usize = RECORD_HEADER_BYTES - CHECKSUM_BYTES;
const BATCH_FRAME_BYTES: usize = BATCH_HEADER_BYTES + DIGEST_BYTES;

/// What is wrong with some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Fewer bytes than a segment header has.
    #[error("the file ends inside its header")]
    HeaderShort,
    /// Another magic.
    #[error("the file does not begin as a journal segment does")]
    Magic,
    /// A header length that this version does not have.
    #[error("the segment header has an impossible length")]
    HeaderLength,
    /// The segment header is not what was written.
    #[error("the checksum of the segment header is wrong")]
    HeaderChecksum,
    /// Another first seq than the file name says.
    #[error("the file is named for another seq than its header")]
    HeaderSeq,
    /// The chain of the first segment starts with something else than its journal id.
    #[error("the hash chain does not start from the journal id")]
    ChainStart,
    /// Segments are missing.
    #[error("the records {from} to {to} are missing")]
    SegmentGap {
        /// The first record that is missing.
        from: Seq,
        /// The last one.
        to: Seq,
    },
    /// A segment that was there before.
    #[error("the segment that begins here is not there any more")]
    SegmentGone,
    /// A segment that begins before the one in front of it ends.
    #[error("it begins before the segment in front of it ends")]
    SegmentOverlap,
    /// A segment with another behind it and no seal at its end.
    #[error("another segment follows, and no seal says that this one ends here")]
    SegmentUnsealed,
    /// A segment of another journal.
    #[error("the segment belongs to another journal")]
    SegmentForeign,
    /// A segment whose chain is not the digest at the end of the one in front.
    #[error("the segment does not continue the hash chain")]
    ChainBroken,
    /// A seal that is not alone in its batch, or tells something else than is there.
    #[error("the seal does not fit what it seals")]
    Seal,
    /// Bytes behind a seal.
    #[error("the segment goes on behind its seal")]
    SealedOver,
    /// No marker where a batch should begin.
    #[error("no batch begins where one should")]
    BatchMarker,
    /// The batch header is not what was written.
    #[error("the checksum of the batch header is wrong")]
    BatchChecksum,
    /// Lengths or counts that cannot be.
    #[error("the batch header has an impossible length or count")]
    BatchLimits,
    /// Another batch than the next one.
    #[error("the batch begins with seq {found}")]
    BatchSeq {
        /// The seq it has.
        found: Seq,
    },
    /// The file ends first.
    #[error("the file ends inside the batch")]
    BatchShort,
    /// The digest does not follow from the one before and the bytes.
    #[error("the batch does not continue the hash chain")]
    BatchDigest,
    /// More bytes than the counted records have.
    #[error("bytes are left over after the last record of the batch")]
    BatchLeftOver,
    /// The batch ends first.
    #[error("the batch ends inside a record")]
    RecordShort,
    /// A payload length that cannot be.
    #[error("the record has an impossible length")]
    RecordLimits,
    /// The record is not what was written.
    #[error("the checksum of the record is wrong")]
    RecordChecksum,
    /// A time before that of the record in front.
    #[error("the time of the record is before the one in front of it")]
    RecordTime,
    /// The payload is not of its kind.
    #[error("the payload does not decode as its kind")]
    Payload,
    /// More bytes than the kind has.
    #[error("bytes are left over after the payload")]
    PayloadLeftOver,
    /// A spelling that no writer uses.
    #[error("the payload is not in canonical form")]
    PayloadSpelling,
}

/// What a segment says of itself ("Segment header").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The journal it belongs to.
    pub journal: JournalId,
    /// The seq of its first record.
    pub first: Seq,
    /// The digest that its first batch continues.
    pub chain: Digest,
}

/// A segment header that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// Damage.
    Fault(Fault),
    /// Sound, of another version.
    Version(u32),
}

impl From<Fault> for HeaderError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl SegmentHeader {
    /// The header of a new journal.
    #[must_use]
    pub fn of_new(journal: JournalId) -> Self {
        Self { journal, first: Seq(1), chain: chain_start(&journal) }
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&to_u32(SEGMENT_HEADER_BYTES).to_le_bytes());
        bytes.extend_from_slice(&self.journal.0);
        bytes.extend_from_slice(&self.first.0.to_le_bytes());
        bytes.extend_from_slice(&self.chain.0);
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the header at the beginning of `bytes`, which hold [`SEGMENT_HEADER_BYTES_MAX`] or the whole file.
    ///
    /// The checksum is compared before the version, so that a damaged version is not taken for a newer one.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let mut rest = bytes;
        let magic = take(&mut rest).ok_or(Fault::HeaderShort)?;
        if magic != MAGIC {
            return Err(Fault::Magic.into());
        }
        let version = u32::from_le_bytes(take(&mut rest).ok_or(Fault::HeaderShort)?);
        let length = to_usize(u32::from_le_bytes(take(&mut rest).ok_or(Fault::HeaderShort)?));
        if !(SEGMENT_HEADER_BYTES_MIN..=SEGMENT_HEADER_BYTES_MAX).contains(&length) {
            return Err(Fault::HeaderLength.into());
        }
        let header = bytes.get(..length).ok_or(Fault::HeaderShort)?;
        let (summed, checksum) = header.split_last_chunk::<CHECKSUM_BYTES>().ok_or(Fault::HeaderLength)?;
        if IS_COMPARED && crc32c::crc32c(summed) != u32::from_le_bytes(*checksum) {
            return Err(Fault::HeaderChecksum.into());
        }
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        if length != SEGMENT_HEADER_BYTES {
            return Err(Fault::HeaderLength.into());
        }
        let journal = JournalId(take(&mut rest).ok_or(Fault::HeaderLength)?);
        let first = Seq(u64::from_le_bytes(take(&mut rest).ok_or(Fault::HeaderLength)?));
        let chain = Digest(take(&mut rest).ok_or(Fault::HeaderLength)?);
        if first == Seq(1) && chain != chain_start(&journal) {
            return Err(Fault::ChainStart.into());
        }
        Ok(Self { journal, first, chain })
    }
}

/// What a batch says of itself ("Batch").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Bytes of all its records with their headers.
    pub body_bytes: u32,
    /// How many records.
    pub count: u32,
    /// The seq of the first.
    pub first: Seq,
}

impl BatchHeader {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BATCH_HEADER_BYTES);
        bytes.extend_from_slice(&MARKER);
        bytes.extend_from_slice(&self.body_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.extend_from_slice(&self.first.0.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the header at the beginning of `bytes`. It says nothing of its limits: see [`BatchHeader::check`].
    ///
    /// # Errors
    /// [`Fault`]: these bytes were not written as a header, or not all of them reached the disk.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let mut rest = bytes;
        if !bytes.starts_with(&MARKER) {
            return Err(if MARKER.starts_with(bytes) { Fault::BatchShort } else { Fault::BatchMarker });
        }
        let header = bytes.first_chunk::<BATCH_HEADER_BYTES>().ok_or(Fault::BatchShort)?;
        let (summed, checksum) = header.split_last_chunk::<CHECKSUM_BYTES>().ok_or(Fault::BatchShort)?;
        if IS_COMPARED && crc32c::crc32c(summed) != u32::from_le_bytes(*checksum) {
            return Err(Fault::BatchChecksum);
        }
        let _marker: [u8; MARKER.len()] = take(&mut rest).ok_or(Fault::BatchShort)?;
        let body_bytes = u32::from_le_bytes(take(&mut rest).ok_or(Fault::BatchShort)?);
        let count = u32::from_le_bytes(take(&mut rest).ok_or(Fault::BatchShort)?);
        let first = Seq(u64::from_le_bytes(take(&mut rest).ok_or(Fault::BatchShort)?));
        Ok(Self { body_bytes, count, first })
    }

    /// Whether a writer could have written it: a header that is whole and fails here is damage wherever it stands.
    ///
    /// # Errors
    /// [`Fault::BatchLimits`].
    pub fn check(&self) -> Result<(), Fault> {
        let least = to_usize(self.count).saturating_mul(RECORD_HEADER_BYTES);
        let counted = (1..=limits::BATCH_RECORDS).contains(&self.count);
        let sized = to_usize(self.body_bytes) >= least && self.batch_bytes() <= limits::BATCH_BYTES;
        let seqs = self.first.0 >= 1 && self.first.0.checked_add(u64::from(self.count)).is_some();
        if counted && sized && seqs { Ok(()) } else { Err(Fault::BatchLimits) }
    }

    /// Bytes of the whole batch.
    #[must_use]
    pub fn batch_bytes(&self) -> usize {
        to_usize(self.body_bytes).saturating_add(BATCH_FRAME_BYTES)
    }
}

/// A batch in its three parts, as they lie in the file.
#[derive(Clone, Copy, Debug)]
pub struct BatchParts<'a> {
    /// The header's bytes.
    pub header: &'a [u8],
    /// The records' bytes.
    pub body: &'a [u8],
    /// The digest that stands at its end.
    pub digest: Digest,
}

impl<'a> BatchParts<'a> {
    /// Splits the bytes of a whole batch; none where they are too few.
    #[must_use]
    pub fn split(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_at_checked(BATCH_HEADER_BYTES)?;
        let (body, digest) = rest.split_last_chunk::<DIGEST_BYTES>()?;
        Some(Self { header, body, digest: Digest(*digest) })
    }

    /// The digest that should stand at its end, after `previous` ("Hash chain").
    #[must_use]
    pub fn expected(&self, previous: &Digest) -> Digest {
        chain(previous, self.header, self.body)
    }

    /// Whether that is the one which stands there.
    #[must_use]
    pub fn continues(&self, previous: &Digest) -> bool {
        !IS_COMPARED || self.expected(previous) == self.digest
    }
}

/// One record as it lies in a batch ("Record").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFrame<'a> {
    /// Where it begins, in bytes from the beginning of the batch's body.
    pub offset: usize,
    /// Its kind number.
    pub kind: u16,
    /// Its time.
    pub at: Millis,
    /// Its payload.
    pub payload: &'a [u8],
}

/// The records of a batch's body in order; ends after the first fault.
pub struct RecordFrames<'a> {
    body: &'a [u8],
    rest: &'a [u8],
    left: u32,
}

impl<'a> RecordFrames<'a> {
    /// Reads `count` records from `body`.
    #[must_use]
    pub fn new(body: &'a [u8], count: u32) -> Self {
        Self { body, rest: body, left: count }
    }

    /// Where the next record begins, in bytes from the beginning of the body.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.body.len().saturating_sub(self.rest.len())
    }

    fn frame(&mut self) -> Result<RecordFrame<'a>, Fault> {
        let offset = self.offset();
        let mut rest = self.rest;
        let (summed, _) = rest.split_at_checked(SUMMED_BYTES).ok_or(Fault::RecordShort)?;
        let length = to_usize(u32::from_le_bytes(take(&mut rest).ok_or(Fault::RecordShort)?));
        let kind = u16::from_le_bytes(take(&mut rest).ok_or(Fault::RecordShort)?);
        let at = Millis(u64::from_le_bytes(take(&mut rest).ok_or(Fault::RecordShort)?));
        let checksum = u32::from_le_bytes(take(&mut rest).ok_or(Fault::RecordShort)?);
        if length > limits::RECORD_BYTES {
            return Err(Fault::RecordLimits);
        }
        let (payload, after) = rest.split_at_checked(length).ok_or(Fault::RecordShort)?;
        if IS_COMPARED && record_checksum(summed, payload) != checksum {
            return Err(Fault::RecordChecksum);
        }
        self.rest = after;
        Ok(RecordFrame { offset, kind, at, payload })
    }
}

impl<'a> Iterator for RecordFrames<'a> {
    type Item = Result<RecordFrame<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(left) = self.left.checked_sub(1) else {
            // The last record is behind us; what follows it belongs to nobody.
            let over = !self.rest.is_empty();
            self.rest = &[];
            return over.then_some(Err(Fault::BatchLeftOver));
        };
        self.left = left;
        let frame = self.frame();
        if frame.is_err() {
            (self.rest, self.left) = (&[], 0);
        }
        Some(frame)
    }
}

/// A batch on its way to the disk.
#[derive(Debug)]
pub struct BatchBuilder {
    body: Vec<u8>,
    count: u32,
    first: Seq,
}

/// A batch, or one of its records, is over its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// How many bytes or records there would be.
    pub found: usize,
    /// How many there may be.
    pub limit: usize,
}

impl BatchBuilder {
    /// Begins a batch whose first record has the seq `first`.
    #[must_use]
    pub fn new(first: Seq) -> Self {
        Self { body: Vec::with_capacity(USUAL_BATCH_BYTES), count: 0, first }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// [`OverLimit`]; the builder is then of no use.
    pub fn push(&mut self, kind: u16, at: Millis, payload: &[u8]) -> Result<(), OverLimit> {
        within(payload.len(), limits::RECORD_BYTES)?;
        let record_bytes = payload.len().saturating_add(RECORD_HEADER_BYTES);
        within(self.body.len().saturating_add(record_bytes).saturating_add(BATCH_FRAME_BYTES), limits::BATCH_BYTES)?;
        self.count = self.count.saturating_add(1);
        within(to_usize(self.count), to_usize(limits::BATCH_RECORDS))?;
        let start = self.body.len();
        self.body.extend_from_slice(&to_u32(payload.len()).to_le_bytes());
        self.body.extend_from_slice(&kind.to_le_bytes());
        self.body.extend_from_slice(&at.0.to_le_bytes());
        let checksum = record_checksum(self.body.get(start..).unwrap_or_default(), payload);
        self.body.extend_from_slice(&checksum.to_le_bytes());
        self.body.extend_from_slice(payload);
        Ok(())
    }

    /// The bytes of the batch after `previous`, and the digest at their end.
    #[must_use]
    pub fn finish(self, previous: &Digest) -> (Vec<u8>, Digest) {
        let header = BatchHeader { body_bytes: to_u32(self.body.len()), count: self.count, first: self.first };
        let mut bytes = header.encode();
        let digest = chain(previous, &bytes, &self.body);
        bytes.reserve_exact(self.body.len().saturating_add(DIGEST_BYTES));
        bytes.extend_from_slice(&self.body);
        bytes.extend_from_slice(&digest.0);
        (bytes, digest)
    }
}

/// The digest that the first batch of a journal continues ("Hash chain"). It holds the journal's id, so that no record fits
/// into another journal.
#[must_use]
pub fn chain_start(journal: &JournalId) -> Digest {
    Digest(Sha256::new().chain_update(CHAIN_LABEL).chain_update(journal.0).finalize().into())
}

fn chain(previous: &Digest, header: &[u8], body: &[u8]) -> Digest {
    Digest(Sha256::new().chain_update(previous.0).chain_update(header).chain_update(body).finalize().into())
}

fn record_checksum(summed: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(summed), payload)
}

fn within(found: usize, limit: usize) -> Result<(), OverLimit> {
    if found <= limit { Ok(()) } else { Err(OverLimit { found, limit }) }
}

/// The checksum of files beside the segments.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// The digest of files beside the segments.
pub(super) fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

/// Only for lengths that a limit keeps far below 2^32.
fn to_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Where a `usize` is narrower, a length over all limits comes out, which is refused like any other.
fn to_usize(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
