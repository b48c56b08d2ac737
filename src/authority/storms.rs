//! Storms at the whole writer, with a journal in memory: what they may cost on the disk, and that what is told adds up.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::opening::Opened;
use super::strangers::{afar, connect, device, guess, owner};
use super::{Authority, Handle, Unavailable};
use crate::authority::Writing;
use crate::host::ManualHost;
use crate::journal::{Head, Journal, MemoryVolume, Options};
use crate::limits;
use crate::pairing::{
    Actor, Attempt, Command, Digest, Event, GatewayStopped, JournalId, KnownScope, Millis, Outcome, Record, Refusal, Registry,
    RequestId, Role, RoleGrant, STRICT_POLICY, ScopeSet, TokenKey,
};

/// Attempts of one storm.
const MANY: u32 = 100_000;
/// What these may write: what all strangers together may have recorded, each a refusal and the request that it made; and of each
/// count a record whenever it doubles, which it does seven times where the attempts are spread over all of them.
const STORM_BYTES: usize = 1_200 * 1_024 + limits::SUPPRESSED * 8 * 160;
/// What one paired device may write within one window: 1,200 admissions and their ends.
const DEVICE_BYTES: usize = 1_200 * 512;

struct Storm {
    handle: Handle,
    writing: Writing,
    disk: MemoryVolume,
    host: Arc<ManualHost>,
    records: Arc<std::sync::Mutex<Vec<Record>>>,
    asked: AtomicU64,
}

impl Storm {
    fn new() -> Self {
        Self::with(|journal| journal.with(Options::without_room(u64::MAX)))
    }

    fn with(options: impl FnOnce(Journal) -> Journal) -> Self {
        let disk = MemoryVolume::default();
        let journal = options(Journal::create_on(Arc::new(disk.clone()), JournalId([1; 16])).expect("begun"));
        let host = Arc::new(ManualHost::new(Millis(1_000_000), 1));
        let records = Arc::new(std::sync::Mutex::new(vec![]));
        let hears = Arc::clone(&records);
        let observer =
            Box::new(move |new: &[Record], _: &Registry, _: Head| hears.lock().expect("no panic").extend(new.to_vec()));
        let key = Some(TokenKey::new([3; 32]));
        let opened = Opened::begun(journal, None);
        let authority = Authority::over(opened, Path::new("memory"), Arc::clone(&host) as _, key, None, observer);
        let (handle, _, writing) = authority.expect("it writes").split();
        Self { handle, writing, disk, host, records, asked: AtomicU64::new(0) }
    }

    async fn ask(&self, actor: Actor, command: Command) -> Outcome {
        self.handle.ask(command, actor).await.expect("recorded, or answered from memory")
    }

    /// An attempt that is refused.
    async fn refused(&self, actor: Actor, command: Command) -> Refusal {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.ask(actor, command).await {
            Outcome::Refused(refusal) => *refusal,
            other => panic!("{other:?}"),
        }
    }

    async fn requests(&self, command: Command) -> RequestId {
        match self.refused(Actor::Peer, command).await {
            Refusal::PairingRequired(need) => need.request,
            other => panic!("{other:?}"),
        }
    }

    /// A paired device, with these scopes.
    async fn pair(&self, n: u32, scopes: &ScopeSet) -> Actor {
        let mut command = connect(n, afar(n));
        attempt(&mut command).ask.as_mut().expect("an ask").scopes = scopes.clone();
        let request = self.requests(command).await;
        assert!(matches!(self.ask(owner(), Command::Approve { request }).await, Outcome::Approved { .. }));
        Actor::Device { device: device(n), scopes: scopes.clone() }
    }

    fn bytes(&self) -> usize {
        self.disk.bytes("00000000000000000001.segment").len()
    }

    fn count(&self, name: &str) -> usize {
        self.records.lock().expect("no panic").iter().filter(|record| record.event.name() == name).count()
    }

    /// Stops; then as many refusals are told of as there were.
    async fn adds_up(self) -> Vec<Record> {
        let stop = Command::Stop(GatewayStopped { cause: "a test".to_owned() });
        assert_eq!(self.ask(Actor::System, stop).await, Outcome::Noted);
        assert!(!self.handle.owes());
        let Self { handle, writing, records, asked, .. } = self;
        drop(handle);
        writing.join();
        let records = records.lock().expect("no panic").clone();
        let told = records.iter().map(|record| match &record.event {
            Event::ConnectionRefused(_) | Event::CommandRefused(_) => 1,
            Event::AttemptsSuppressed(event) => event.count,
            _ => 0,
        });
        assert_eq!(told.sum::<u64>(), asked.into_inner());
        assert!(matches!(records.last().map(|record| &record.event), Some(Event::GatewayStopped(_))), "told before the stop");
        records
    }
}

fn attempt(command: &mut Command) -> &mut Attempt {
    match command {
        Command::Connect { attempt, .. } => attempt,
        other => panic!("{other:?}"),
    }
}

fn read_only() -> ScopeSet {
    [KnownScope::Read].into_iter().collect()
}

fn is_spent(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused(refusal) if matches!(**refusal, Refusal::RecordBudgetSpent { .. }))
}

#[tokio::test]
async fn n07_a_hundred_thousand_refused_attempts_cost_a_stated_number_of_bytes_and_add_up() {
    // Of one address, of many with one wrong secret, and of fresh keys from everywhere.
    type Stranger = fn(u32) -> Command;
    let kinds: [(Stranger, usize); 3] =
        [(|_| guess(afar(1)), 32 * 1_024), (|n| guess(afar(n)), STORM_BYTES), (|n| connect(n, afar(n % 5_000)), STORM_BYTES)];
    for (stranger, most) in kinds {
        let storm = Storm::new();
        let before = storm.bytes();
        for n in 0..MANY {
            storm.refused(Actor::Peer, stranger(n)).await;
        }
        let grown = storm.bytes() - before;
        assert!(grown <= most, "{grown} bytes");
        storm.adds_up().await;
    }
}

/// Who comes back after a second makes one request, which lives as long as it does.
#[tokio::test]
async fn n08_one_device_retries_every_second_for_an_hour_and_has_one_request_that_can_be_approved() {
    let storm = Storm::new();
    let first = storm.requests(connect(1, afar(1))).await;
    let mut hints = vec![];
    for _ in 1..3_600 {
        storm.host.advance(1_000);
        let Refusal::PairingRequired(need) = storm.refused(Actor::Peer, connect(1, afar(1))).await else { panic!("not told") };
        assert_eq!(need.request, first);
        hints.push(need.retry_after_ms);
        storm.ask(Actor::System, Command::Expire).await;
        assert_eq!(storm.handle.registry().request_count(), 1);
    }
    assert!(hints[..9].is_sorted() && hints[0] < hints[8], "{hints:?}");
    assert_eq!((storm.count("PairingRequested"), storm.count("PairingExpired")), (1, 0));
    let attempts = storm.handle.registry().request(&first).expect("it waits").attempts;
    assert!(attempts > 3_500, "{attempts}: all but what is not told yet");
    assert!(storm.bytes() < 160 * 1_024, "{} bytes", storm.bytes());
    assert!(matches!(storm.ask(owner(), Command::Approve { request: first }).await, Outcome::Approved { .. }));
    assert!(matches!(storm.ask(Actor::Peer, connect(1, afar(1))).await, Outcome::Admitted(_)));
    storm.adds_up().await;
}

#[tokio::test]
async fn n09_ten_thousand_devices_ask_and_no_stranger_evicts_another() {
    for (addresses, waits) in [(1, limits::PENDING_PER_ADDRESS.default), (10_000, limits::PENDING_TOTAL.default)] {
        let storm = Storm::new();
        let paired = storm.pair(50_000, &read_only()).await;
        let first = storm.requests(connect(0, afar(0))).await;
        for n in 1..10_000 {
            storm.refused(Actor::Peer, connect(n, afar(n % addresses))).await;
        }
        let registry = storm.handle.registry();
        assert_eq!(registry.request_count(), usize::try_from(waits).expect("small"), "from {addresses}");
        assert!(registry.request(&first).is_some(), "who was first still waits");
        assert_eq!(storm.requests(connect(0, afar(0))).await, first);
        // A device that is paired has its place, and its own budget.
        let asks = Command::Ask { scopes: ScopeSet::cli(), address: afar(0).peer };
        assert!(matches!(storm.ask(paired, asks).await, Outcome::Asked { .. }));
        // One act ends all of an address.
        let Outcome::RejectedAll(gone) = storm.ask(owner(), Command::RejectFrom { address: afar(0).peer }).await else {
            panic!("not rejected")
        };
        assert!(gone.contains(&first));
        if addresses == 1 {
            assert_eq!(storm.handle.registry().request_count(), 0);
        }
        storm.adds_up().await;
    }
}

#[tokio::test]
async fn x30_a_read_only_device_fills_no_disk_and_shuts_nobody_out() {
    let storm = Storm::new();
    let (actor, other) = (storm.pair(1, &read_only()).await, storm.pair(2, &read_only()).await);
    let admin = storm.pair(3, &ScopeSet::cli()).await;
    let before = storm.bytes();
    let mut admitted = 0_u32;
    for _ in 0..MANY {
        match storm.ask(Actor::Peer, connect(1, afar(1))).await {
            Outcome::Admitted(_) => {
                admitted += 1;
                let admission = storm.handle.registry().head();
                storm.ask(Actor::Peer, Command::Close { admission, code: 1000 }).await;
            }
            outcome => {
                assert!(is_spent(&outcome), "{outcome:?}");
                storm.asked.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    assert_eq!(admitted, limits::RECORD_PER_DEVICE.default / 2);
    let (role, id) = (Role::Operator, device(1));
    for n in 0..MANY {
        let command = match n % 4 {
            0 => Command::Rename { device: id, label: n.to_string() },
            1 => Command::Rotate { device: id, role, scopes: None },
            2 => Command::Remove { device: device(2), with_approved: false },
            _ => Command::Approve { request: RequestId([9; 16]) },
        };
        storm.refused(actor.clone(), command).await;
    }
    let grown = storm.bytes() - before;
    assert!(grown <= DEVICE_BYTES, "{grown} bytes");
    // Everybody else goes on: another device, the owner, and who takes power away.
    assert!(matches!(storm.ask(Actor::Peer, connect(2, afar(1))).await, Outcome::Admitted(_)));
    let rename = |n: u32, label: u32| Command::Rename { device: device(n), label: label.to_string() };
    storm.refused(other, rename(2, 0)).await;
    assert!(matches!(storm.ask(owner(), rename(1, 0)).await, Outcome::Renamed { .. }));
    for label in 0..limits::RECORD_PER_DEVICE.default {
        assert!(matches!(storm.ask(admin.clone(), rename(3, label)).await, Outcome::Renamed { .. }));
    }
    let spent = storm.ask(admin.clone(), Command::Rotate { device: device(3), role, scopes: None }).await;
    assert!(is_spent(&spent), "{spent:?}");
    storm.asked.fetch_add(1, Ordering::Relaxed);
    let revoke = Command::Revoke { device: device(1), role, with_approved: false };
    assert!(matches!(storm.ask(admin.clone(), revoke).await, Outcome::Revoked { .. }));
    assert!(matches!(storm.ask(admin, Command::Remove { device: id, with_approved: false }).await, Outcome::Removed { .. }));
    assert_eq!((storm.count("TokenRevoked"), storm.count("DeviceRemoved")), (1, 1));
    storm.adds_up().await;
}

/// Whoever asks without end for others, or with another ask each time, is held too.
#[tokio::test]
async fn x30_a_device_that_asks_for_something_else_each_time_is_held_to_its_budget() {
    let storm = Storm::new();
    let actor = storm.pair(1, &read_only()).await;
    let mut spent = 0_u32;
    for n in 0..10_000_u32 {
        let scopes = ScopeSet::parse([format!("x.{n}").as_str()]).expect("a scope");
        let outcome = storm.ask(actor.clone(), Command::Ask { scopes, address: afar(1).peer }).await;
        if is_spent(&outcome) {
            spent += 1;
            storm.asked.fetch_add(1, Ordering::Relaxed);
        }
    }
    assert!(spent >= 10_000 - limits::RECORD_PER_DEVICE.default, "{spent}");
    storm.adds_up().await;
}

/// On a full disk the reserve is for what takes power away, once it is done; what is refused, and who is counted, gets none of it.
#[tokio::test]
async fn x31_the_reserve_is_spent_on_what_takes_power_away_and_on_nothing_else() {
    let storm = Storm::with(|journal| journal);
    let reader = storm.pair(1, &read_only()).await;
    let admin = storm.pair(2, &ScopeSet::cli()).await;
    storm.pair(3, &read_only()).await;
    storm.requests(connect(4, afar(4))).await;
    let code = Command::CreateSetupCode {
        grants: vec![RoleGrant { role: Role::Operator, scopes: read_only() }],
        digest: Digest([1; 32]),
        lives_ms: 600_000,
        label: None,
    };
    let Outcome::CodeCreated { code, .. } = storm.ask(owner(), code).await else { panic!("no code") };
    // As large as it is, and not a byte more.
    let size = storm.disk.files().values().map(Vec::len).sum();
    storm.disk.limit(Some(size));
    let mut label = 0_u32;
    let rename = |label: u32| Command::Rename { device: device(1), label: label.to_string() };
    while storm.handle.ask(rename(label), owner()).await.is_ok() {
        label += 1;
        assert!(label < 100_000, "it is full some time");
    }
    let role = Role::Operator;
    let revoke = |n| Command::Revoke { device: device(n), role, with_approved: false };
    let before = storm.handle.registry().head();
    let unknown = || Command::Reject { request: RequestId([9; 16]) };
    for (actor, command) in [
        (reader.clone(), revoke(3)),
        (reader, Command::RejectFrom { address: afar(4).peer }),
        (admin.clone(), unknown()),
        (admin.clone(), rename(0)),
        (admin.clone(), Command::ApplyPolicy { text: "{ version: 1, requestTtl: '1h' }".to_owned() }),
        (owner(), unknown()),
        (owner(), Command::Rotate { device: device(1), role, scopes: None }),
        (Actor::Peer, connect(5, afar(5))),
        (Actor::Peer, connect(3, afar(3))),
    ] {
        let asked = format!("{command:?}");
        assert_eq!(storm.handle.ask(command, actor).await, Err(Unavailable), "{asked}");
    }
    assert_eq!(storm.handle.registry().head(), before);
    for (actor, command) in [
        (admin.clone(), revoke(1)),
        (admin.clone(), Command::RejectFrom { address: afar(4).peer }),
        (admin.clone(), Command::RevokeSetupCode { code }),
        (admin, Command::ApplyPolicy { text: STRICT_POLICY.to_owned() }),
        (owner(), Command::Remove { device: device(3), with_approved: false }),
    ] {
        let outcome = storm.handle.ask(command, actor).await.expect("there is room for it");
        assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    }
    for name in ["TokenRevoked", "PairingRejected", "SetupCodeRevoked", "PolicyChanged", "DeviceRemoved"] {
        assert_eq!(storm.count(name), 1, "{name}");
    }
    storm.disk.limit(None);
    assert!(matches!(storm.ask(owner(), rename(0)).await, Outcome::Refused(_) | Outcome::Renamed { .. }), "and all goes on");
}

/// The client is gone when its answer is made: the grant stands, and coming again makes no second one.
#[tokio::test]
async fn n12_who_leaves_between_decision_and_reply_finds_the_same_grant_again() {
    let storm = Storm::new();
    let request = storm.requests(connect(1, afar(1))).await;
    // Nobody listens for the answer.
    let asked = storm.handle.ask(Command::Approve { request }, owner());
    assert!(tokio::time::timeout(std::time::Duration::ZERO, asked).await.is_err() || storm.count("PairingApproved") == 1);
    let Outcome::Approved { device: approved, before, .. } = storm.ask(owner(), Command::Approve { request }).await else {
        panic!("not approved")
    };
    assert_eq!((approved, before.is_some()), (device(1), true));
    assert_eq!((storm.count("PairingApproved"), storm.count("TokenIssued")), (1, 1));
    storm.adds_up().await;
}

/// Where the last handle goes without a stop, what was only counted is told all the same.
#[tokio::test]
async fn what_was_only_counted_is_told_when_the_last_handle_goes() {
    let storm = Storm::new();
    for _ in 0..64 {
        storm.refused(Actor::Peer, guess(afar(1))).await;
    }
    for _ in 0..3 {
        storm.refused(Actor::Peer, guess(afar(1))).await;
    }
    assert!(storm.handle.owes());
    let Storm { handle, writing, records, .. } = storm;
    drop(handle);
    writing.join();
    let records = records.lock().expect("no panic");
    let told = records.iter().map(|record| match &record.event {
        Event::ConnectionRefused(_) => 1,
        Event::AttemptsSuppressed(event) => event.count,
        _ => 0,
    });
    assert_eq!(told.sum::<u64>(), 67);
}
