//! Checkpoints: whatever is wrong with one, it changes nothing but the time to start.

use std::sync::Arc;

use openclaw_pairing::authority::{LAYOUT, replay};
use openclaw_pairing::journal::{Access, Checkpoint, Journal, JournalError, MemoryVolume, Options, Volume, codec};
use openclaw_pairing::pairing::{
    Act, ConnectionClosed, DeviceMetadataChanged, DeviceRemoved, Digest, Event, Issue, JournalCreated, JournalId, KeyId, Millis,
    PairingApproved, PairingExpired, PairingRejected, PairingRequested, Record, Registry, Role, Salt, ScopeSet, Seq, TokenIssued,
    TokenRevoked, TokenRotated,
};

use super::given::{NO_REQUEST, World, device, owner, visit};
use super::support::every_kind;
use super::{JOURNAL, OTHER_JOURNAL, Scratch, stop};

/// A journal of short segments in which something happened, a checkpoint behind each batch of three, and what they lead to.
fn journal_with_checkpoints(id: JournalId) -> (MemoryVolume, Vec<(Seq, (Digest, Digest))>) {
    let disk = MemoryVolume::default();
    let journal = Journal::create_on(Arc::new(disk.clone()), id).expect("a new journal");
    let mut journal = journal.with(Options::without_room(700));
    let mut registry = Registry::default();
    let mut digests = vec![];
    for batch in story().chunks(3) {
        append(&mut journal, &mut registry, batch);
        if let Some(seal) = journal.seal() {
            append(&mut journal, &mut registry, &[Record { event: seal.into(), ..batch[0].clone() }]);
        }
        save(&mut journal, &registry);
        digests.push((registry.head(), registry.digest()));
    }
    (disk, digests)
}

/// Devices ask, are paired, turned down, rotated, revoked and removed.
fn story() -> Vec<Record> {
    let mut world = World::new();
    world.pair(1, "read write");
    world.pair(2, "read");
    world.connect(&visit(3).asks("admin"));
    world.connect(&visit(2).asks("write"));
    world.rotate(owner(), 1, Some("read"));
    let request = world.connect(&visit(1).asks("pairing")).request();
    world.reject(owner(), request);
    world.revoke(owner(), 2);
    world.remove(owner(), 1);
    world.wait(600);
    world.expire();
    world.connect(&visit(4).local().asks("read"));
    world.records
}

fn append(journal: &mut Journal, registry: &mut Registry, records: &[Record]) {
    let next = journal.head().seq.next().0;
    let at = registry.now();
    let records: Vec<_> = records
        .iter()
        .zip(next..)
        .map(|(record, seq)| Record { seq: Seq(seq), at: record.at.max(at), ..record.clone() })
        .collect();
    journal.append(journal.head(), &records).expect("a batch");
    records.iter().for_each(|record| registry.apply(record));
}

fn save(journal: &mut Journal, registry: &Registry) {
    journal.save(LAYOUT, registry.digest(), codec::encode_image(registry).expect("small")).expect("saved");
}

fn name(seq: Seq) -> String {
    format!("{seq:020}.checkpoint", seq = seq.0)
}

/// What a start makes of the disk, and how many records it had to read.
fn started(disk: &MemoryVolume) -> Result<(Digest, Digest), JournalError> {
    let volume: Arc<dyn Volume> = Arc::new(disk.clone());
    replay(&volume, Access::Read).map(|(registry, _)| registry.digest())
}

fn copy(disk: &MemoryVolume) -> MemoryVolume {
    let copy = MemoryVolume::default();
    disk.files().into_iter().for_each(|(name, bytes)| copy.put(&name, bytes));
    copy
}

#[test]
fn j18_a_checkpoint_saves_reading_and_changes_nothing() {
    let (disk, digests) = journal_with_checkpoints(JOURNAL);
    let kept: Vec<_> = Checkpoint::all(&disk).expect("listed");
    assert_eq!(kept, digests.iter().rev().take(2).map(|(seq, _)| *seq).collect::<Vec<_>>(), "the last two are kept");
    let (last, digest) = *digests.last().expect("some");
    assert_eq!(started(&disk).expect("it starts"), digest);
    // What lies before the newest is not read: damage there is for `verify` to find, and for a start without checkpoints.
    let hurt = copy(&disk);
    let first = hurt.files().into_keys().find(|name| name.ends_with(".segment")).expect("a segment");
    let mut bytes = hurt.bytes(&first);
    bytes[150] ^= 1;
    hurt.put(&first, bytes);
    assert_eq!(started(&hurt).expect("it starts from the checkpoint"), digest);
    for seq in &kept {
        hurt.remove(&name(*seq)).expect("removed");
    }
    assert!(matches!(started(&hurt), Err(JournalError::Corrupt { .. })));
    let without = copy(&disk);
    for seq in kept {
        without.remove(&name(seq)).expect("removed");
    }
    assert_eq!(started(&without).expect("it starts"), digest);
    assert!(last > Seq(10));
}

#[test]
fn j18_a_checkpoint_that_is_cut_or_flipped_is_not_used() {
    let (disk, digests) = journal_with_checkpoints(JOURNAL);
    let (last, digest) = *digests.last().expect("some");
    let whole = disk.bytes(&name(last));
    for cut in 0..whole.len() {
        disk.put(&name(last), whole[..cut].to_vec());
        assert_eq!(Checkpoint::load(&disk, last).expect("readable"), None, "{cut} bytes");
        let mut flipped = whole.clone();
        flipped[cut] ^= 1 << (cut % 8);
        disk.put(&name(last), flipped);
        assert_eq!(Checkpoint::load(&disk, last).expect("readable"), None, "byte {cut}");
        if cut % 61 == 0 {
            assert_eq!(started(&disk).expect("it starts"), digest, "byte {cut}");
        }
    }
}

#[test]
fn j18_a_checkpoint_of_another_journal_another_time_or_another_program_is_not_used() {
    let (disk, digests) = journal_with_checkpoints(JOURNAL);
    let (last, digest) = *digests.last().expect("some");
    let (foreign, _) = journal_with_checkpoints(OTHER_JOURNAL);
    let with = |bytes: Vec<u8>, as_seq: Seq| {
        let disk = copy(&disk);
        disk.put(&name(as_seq), bytes);
        assert_eq!(Checkpoint::load(&disk, as_seq).expect("readable"), None);
        assert_eq!(started(&disk).expect("it starts"), digest);
    };
    with(foreign.bytes(&name(last)), last);
    with(disk.bytes(&name(last)), last.next());
    with(b"no checkpoint".to_vec(), Seq(99_999));
    // One that is ahead of the journal is of a history that is not there, and goes with the next that is saved.
    let short = copy(&disk);
    let segments: Vec<_> = short.files().into_keys().filter(|name| name.ends_with(".segment")).collect();
    short.remove(segments.last().expect("a segment")).expect("removed");
    let volume: Arc<dyn Volume> = Arc::new(short.clone());
    let (registry, found) = replay(&volume, Access::Write).expect("it starts");
    assert!(registry.head() < last);
    let (mut journal, _) = found.open(None, None).expect("it opens");
    save(&mut journal, &registry);
    assert_eq!(Checkpoint::all(&short).expect("listed").first(), Some(&registry.head()));
    // Another layout is another program's.
    let other = copy(&disk);
    let (_, found) = replay(&(Arc::new(other.clone()) as Arc<dyn Volume>), Access::Write).expect("it starts");
    let (mut journal, _) = found.open(None, None).expect("it opens");
    journal.save(LAYOUT + 1, digest, vec![1, 2, 3]).expect("saved");
    assert_eq!(started(&other).expect("it starts"), digest);
}

#[test]
fn j11_a_segment_that_is_gone_before_a_checkpoint_is_missed() {
    let (disk, _) = journal_with_checkpoints(JOURNAL);
    let segments: Vec<_> = disk.files().into_keys().filter(|name| name.ends_with(".segment")).collect();
    assert!(segments.len() >= 3, "{segments:?}");
    for gone in &segments[..segments.len() - 1] {
        let disk = copy(&disk);
        disk.remove(gone).expect("removed");
        assert!(matches!(started(&disk), Err(JournalError::Corrupt { .. })), "without {gone}");
    }
}

#[test]
fn j17_a_record_that_cannot_be_is_named_and_nothing_is_taken() {
    let mut world = World::new();
    world.pair(1, "read");
    let waiting = world.connect(&visit(2).asks("read")).request();
    let (here, gone, request) = (device(1), device(9), NO_REQUEST);
    let role = Role::Operator;
    let requested = world.records.iter().find_map(|record| match &record.event {
        Event::PairingRequested(event) if event.request == waiting => Some(event.clone()),
        _ => None,
    });
    let requested = requested.expect("a request");
    let issue = Issue { salt: Salt([1; 16]), key: KeyId([2; 8]), digest: Digest([3; 32]) };
    let scopes = ScopeSet::EMPTY;
    let approved = |device, request| PairingApproved { device, role, scopes: scopes.clone(), act: Act::Approval, request };
    let rotated = TokenRotated { device: gone, role, scopes_before: scopes.clone(), scopes: scopes.clone(), issue };
    let impossible: [Event; 14] = [
        JournalCreated { journal: JOURNAL, policy: String::new() }.into(),
        ConnectionClosed { admission: Seq(1_000), code: 1000 }.into(),
        requested.clone().into(),
        PairingRequested { request, supersedes: Some(NO_REQUEST), ..requested }.into(),
        approved(here, Some(request)).into(),
        approved(here, Some(waiting)).into(),
        approved(gone, None).into(),
        PairingRejected { request, device: here }.into(),
        PairingExpired { request: waiting, device: here, due: Millis(1) }.into(),
        DeviceMetadataChanged { device: gone, platform: None, platform_before: None }.into(),
        DeviceRemoved { device: gone }.into(),
        TokenIssued { device: gone, role, scopes: scopes.clone(), issue }.into(),
        rotated.into(),
        TokenRevoked { device: gone, role }.into(),
    ];
    for event in impossible {
        let disk = MemoryVolume::default();
        let mut journal = Journal::create_on(Arc::new(disk.clone()), JOURNAL).expect("a new journal");
        let mut ignored = Registry::default();
        append(&mut journal, &mut ignored, &world.records);
        started(&disk).expect("possible so far");
        let seq = journal.head().seq.next();
        append(&mut journal, &mut ignored, &[Record { event: event.clone(), ..stop(seq) }, stop(seq)]);
        match started(&disk) {
            Err(JournalError::Impossible(impossible)) => assert_eq!(impossible.seq, seq, "{event:?}"),
            other => panic!("{event:?}: {:?}", other.map_err(|error| error.to_string())),
        }
    }
}

#[test]
fn d04_a_revocation_fits_where_nothing_else_does() {
    let options = Options { segment_bytes: 100_000, step_bytes: 700, reserve_bytes: 600 };
    for room in (700..3_000).step_by(53) {
        let disk = MemoryVolume::default();
        let mut journal = Journal::create_on(Arc::new(disk.clone()), JOURNAL).expect("a new journal").with(options);
        disk.limit(Some(room));
        while journal.append(journal.head(), &[stop(journal.head().seq.next())]).is_ok() {}
        let head = journal.head();
        let mut fitted = 0;
        while journal.append_from_reserve(journal.head(), &[stop(journal.head().seq.next())]).is_ok() {
            fitted += 1;
        }
        // As much as was kept, where there ever was room to keep it.
        assert!(fitted >= 4 || head.seq == Seq(0), "room for {room}: {fitted} after seq {}", head.seq);
        let refused = journal.append(journal.head(), &[stop(journal.head().seq.next())]);
        assert!(matches!(refused, Err(JournalError::Full { .. })));
        disk.limit(None);
        journal.append(journal.head(), &[stop(journal.head().seq.next())]).expect("there is room again");
    }
}

#[test]
fn a_layout_that_changes_takes_the_next_number() {
    let mut registry = Registry::default();
    every_kind().iter().for_each(|record| registry.apply(record));
    let image = codec::encode_image(&registry).expect("small");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/registry.image");
    if std::env::var_os("PAIRING_NEW_LAYOUT").is_some() {
        std::fs::write(path, &image).expect("a writable checkout");
    }
    let kept = std::fs::read(path).expect("an image");
    assert!(
        kept == image,
        "the registry is saved in another layout: give LAYOUT in src/authority/opening.rs the next number ({} now), and keep the \
         new image: PAIRING_NEW_LAYOUT=1 cargo test --test journal a_layout",
        LAYOUT
    );
    let restored: Registry = codec::decode_image(&kept).expect("an image");
    assert_eq!(restored.digest(), registry.digest());
}

#[test]
fn a_checkpoint_is_a_private_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::empty();
    let lock = openclaw_pairing::journal::Lock::acquire(scratch.path()).expect("a free lock");
    let mut journal = Journal::create(lock, JOURNAL).expect("a new journal");
    let mut registry = Registry::default();
    append(&mut journal, &mut registry, &[stop(Seq(1))]);
    save(&mut journal, &registry);
    let mode = std::fs::metadata(scratch.file(&name(Seq(1)))).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
