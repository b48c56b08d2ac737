//! Relative numbers only: what one connect costs to decide and fold, to make durable, and to read back, at several sizes.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use openclaw_pairing::authority::{Past, past};
use openclaw_pairing::journal::{Journal, Lock, Options};
use openclaw_pairing::pairing::{
    Actor, Ask, Attempt, AuthMode, Client, ClientId, ClientMode, Command, ConnectionId, Context, Credential, DEFAULT_POLICY,
    Described, Description, Device, DeviceId, Event, Forwarding, Issue, JournalCreated, JournalId, KeyId, Millis, Mint, Moment,
    PRESETS, PeerUser, Person, Policy, Proof, Provenance, PublicKey, Record, Registry, Role, Salt, ScopeSet, Seq, SharedVerdict,
    SignatureForm, Simulation, Source, TokenVerdict, decide,
};

const SIZES: [u32; 3] = [10, 1_000, 10_000];

struct Fixed;

impl Mint for Fixed {
    fn mint(&self, device: &DeviceId, _: Role) -> Option<Issue> {
        Some(Issue { salt: Salt([1; 16]), key: KeyId([2; 8]), digest: openclaw_pairing::pairing::digest_of(&device.to_string()) })
    }
}

fn key(number: u32) -> PublicKey {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&number.to_le_bytes());
    PublicKey(key)
}

/// A local connect with the shared token, which pairs a device that comes for the first time.
fn connect(number: u32) -> Command {
    let peer = IpAddr::from(Ipv4Addr::LOCALHOST).into();
    let description = Description { platform: Some("linux".into()), version: Some("2026.3.13".into()), ..Description::default() };
    let described = Described { like: None, here: Some(Box::new(description)) };
    let credential = Credential {
        mode: AuthMode::Token,
        shared: SharedVerdict::Right,
        token: TokenVerdict::Missing,
        token_is_explicit: false,
        bootstrap: false,
    };
    let attempt = Attempt {
        connection: ConnectionId([7; 16]),
        source: Source {
            peer,
            forwarding: Forwarding::None,
            claimed: None,
            host_is_loopback: true,
            is_page: false,
            user: PeerUser::Owner,
        },
        fault: None,
        protocol: Some(3),
        client: Some(Client { id: ClientId::Cli, mode: ClientMode::Cli }),
        ask: Some(Ask { role: Role::Operator, scopes: ScopeSet::cli(), described }),
        proof: Some(Proof { device: DeviceId::of(&key(number)), form: SignatureForm::V3 }),
        credential: Some(credential),
    };
    Command::Connect { attempt: Box::new(attempt), key: Some(key(number)), code: None }
}

/// What `actor` wants, decided and folded.
fn step_by(registry: &mut Registry, actor: Actor, command: Command) -> Vec<Record> {
    let now = Millis(registry.now().0.saturating_add(1));
    let mut request = [0; 16];
    request[..8].copy_from_slice(&registry.head().0.to_le_bytes());
    let context = Context { actor, now, ids: [request, request], mint: &Fixed };
    let policy = std::sync::Arc::clone(registry.policy());
    let decision = decide(registry, &policy, command, &context);
    let record = |(actor, event)| {
        let record = Record { seq: registry.head().next(), at: now, actor, event };
        registry.apply(&record);
        record
    };
    decision.events.into_iter().map(record).collect()
}

fn step(registry: &mut Registry, command: Command) -> Vec<Record> {
    step_by(registry, Actor::Peer, command)
}

/// A registry with `devices` paired devices, and the records that made it.
fn history(devices: u32) -> (Registry, Vec<Record>) {
    let mut registry = Registry::default();
    let created = JournalCreated { journal: JournalId([9; 16]), policy: DEFAULT_POLICY.to_owned() };
    let first = Record { seq: registry.head().next(), at: Millis(1), actor: Actor::System, event: Event::from(created) };
    registry.apply(&first);
    let mut records = vec![first];
    for number in 0..devices {
        records.extend(step(&mut registry, connect(number)));
    }
    (registry, records)
}

/// The records of a gateway's life: its devices pair, then come and go in no order, most of them with their token; a wrong
/// secret now and then, and a stranger who asks and is turned down.
fn life(devices: u32, records_least: usize) -> Vec<Record> {
    let (mut registry, mut records) = history(devices);
    let owner = Actor::Owner(Person { uid: 1000, pid: 7, program: "openclaw".to_owned(), terminal: None, from_exec: false });
    for visit in 0_u32.. {
        if records.len() >= records_least {
            break;
        }
        let device = visit.wrapping_mul(7_919) % devices;
        let stranger = visit % 50 == 1;
        let mut command = connect(if stranger { devices + device } else { device });
        let Command::Connect { attempt, .. } = &mut command else { unreachable!("a connect") };
        let Some(credential) = &mut attempt.credential else { unreachable!("it has one") };
        match visit % 20 {
            0 => credential.shared = SharedVerdict::Wrong,
            _ if stranger => attempt.source.host_is_loopback = false,
            1..15 => (credential.shared, credential.token) = (SharedVerdict::Missing, TokenVerdict::Live),
            _ => {}
        }
        records.extend(step(&mut registry, command));
        let last = records.last().map(|record| &record.event);
        if let Some(Event::ConnectionAdmitted(_)) = last {
            let admission = registry.head();
            records.extend(step(&mut registry, Command::Close { admission, code: 1000 }));
        } else if stranger {
            let request = registry.requests().next().expect("it asked").id;
            records.extend(step_by(&mut registry, owner.clone(), Command::Reject { request }));
        }
    }
    records
}

fn deciding(c: &mut Criterion) {
    let mut group = c.benchmark_group("decide and apply");
    for devices in SIZES {
        let (registry, _) = history(devices);
        assert_eq!(registry.device_count(), usize::try_from(devices).expect("small"));
        group.bench_with_input(BenchmarkId::new("a paired device returns", devices), &registry, |b, registry| {
            b.iter_batched(|| registry.clone(), |mut registry| step(&mut registry, connect(3)), BatchSize::SmallInput);
        });
        group.bench_with_input(BenchmarkId::new("a new device pairs", devices), &registry, |b, registry| {
            b.iter_batched(|| registry.clone(), |mut registry| step(&mut registry, connect(devices)), BatchSize::SmallInput);
        });
        let map: BTreeMap<DeviceId, Device> = registry.devices().map(|device| (device.id, Device::clone(device))).collect();
        group.bench_with_input(BenchmarkId::new("publish: persistent maps", devices), &registry, |b, registry| {
            b.iter(|| black_box(registry.clone()));
        });
        group.bench_with_input(BenchmarkId::new("publish: a BTreeMap of the devices", devices), &map, |b, map| {
            b.iter(|| black_box(map.clone()));
        });
    }
    group.finish();
}

fn appending(c: &mut Criterion) {
    let mut group = c.benchmark_group("append with sync");
    let (_, records) = history(64);
    let returns = records.last().expect("a record").clone();
    let scratch = tempfile::tempdir().expect("a scratch directory");
    for batch in [1_u64, 8, 64] {
        let lock = Lock::acquire(&scratch.path().join(batch.to_string())).expect("the lock");
        let mut journal = Journal::create(lock, JournalId([9; 16])).expect("a journal");
        group.throughput(Throughput::Elements(batch));
        group.bench_function(BenchmarkId::new("records a batch", batch), |b| {
            b.iter(|| {
                let next = journal.head().seq;
                let record = |n| Record { seq: Seq(next.0 + n), ..returns.clone() };
                let records: Vec<_> = (1..=batch).map(record).collect();
                journal.append(journal.head(), &records).expect("appended")
            });
        });
    }
    group.finish();
}

fn replaying(c: &mut Criterion) {
    for devices in [100, 10_000] {
        let records = life(devices, 200_000);
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let lock = || Lock::acquire(scratch.path()).expect("the lock");
        let options = Options::without_room(u64::MAX);
        let mut journal = Journal::create(lock(), JournalId([9; 16])).expect("a journal").with(options);
        for batch in records.chunks(8) {
            journal.append(journal.head(), batch).expect("appended");
        }
        drop(journal);
        let files = std::fs::read_dir(scratch.path()).expect("listed").flatten();
        let bytes: u64 = files.map(|file| file.metadata().expect("there").len()).sum();
        let count = u64::try_from(records.len()).expect("small");
        let lines: Vec<_> = records.iter().map(|record| openclaw_pairing::wire::record::record(record).to_string()).collect();
        let line_bytes = lines.iter().map(|line| line.len() + 1).sum::<usize>() / lines.len();

        let mut group = c.benchmark_group(format!("replay, {devices} devices"));
        group.sample_size(10).measurement_time(Duration::from_secs(3)).throughput(Throughput::Elements(count));
        group.bench_function(format!("journal of {} bytes a record: scan, check, decode and fold", bytes / count), |b| {
            b.iter(|| {
                let mut registry = Registry::default();
                Journal::open(lock(), &mut |record| registry.apply(record)).expect("opened");
                registry
            });
        });
        group.bench_function("journal: scan, check and decode", |b| {
            b.iter(|| {
                Journal::open(lock(), &mut |record| {
                    black_box(record);
                })
                .expect("opened")
            });
        });
        group.bench_function("fold", |b| {
            b.iter(|| {
                let mut registry = Registry::default();
                records.iter().for_each(|record| registry.apply(record));
                registry
            });
        });
        group.bench_function("fold of what was granted, for audit", |b| {
            b.iter(|| {
                let mut provenance = Provenance::default();
                records.iter().for_each(|record| provenance.apply(record));
                provenance
            });
        });
        // What it is measured against: no check, no chain, no fold.
        group.bench_function(format!("JSON lines of {line_bytes} bytes: parse into values"), |b| {
            b.iter(|| lines.iter().for_each(|line| drop(black_box(serde_json::from_str::<serde_json::Value>(line)))));
        });
        group.bench_function(format!("JSON lines of {line_bytes} bytes: check that they are JSON"), |b| {
            b.iter(|| lines.iter().for_each(|line| drop(black_box(serde_json::from_str::<serde::de::IgnoredAny>(line)))));
        });
        group.finish();
    }
}

/// What `openclaw replay` and `openclaw policy simulate` do besides printing, on a million records.
fn looking_back(c: &mut Criterion) {
    let records = life(1_000, 1_000_000);
    let count = u64::try_from(records.len()).expect("small");
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let lock = Lock::acquire(scratch.path()).expect("the lock");
    let options = Options::without_room(u64::MAX);
    let mut journal = Journal::create(lock, JournalId([9; 16])).expect("a journal").with(options);
    for batch in records.chunks(64) {
        journal.append(journal.head(), batch).expect("appended");
    }
    drop((journal, records));

    let mut group = c.benchmark_group("looking back");
    group.sample_size(10).measurement_time(Duration::from_secs(10)).throughput(Throughput::Elements(count));
    group.bench_function("replay to the middle", |b| {
        b.iter(|| past(scratch.path(), [Moment::Seq(Seq(count / 2))], &mut |_| {}).expect("the past"));
    });
    for (name, text) in PRESETS {
        group.bench_function(format!("policy simulate --preset {name}"), |b| {
            b.iter(|| {
                let past = Past::whole(scratch.path()).expect("a journal");
                let simulation = Simulation::new(Policy::parse(text).expect("a policy"), past.registry().clone());
                past.simulate(simulation, Seq(u64::MAX), &mut |_| {}).expect("read")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, deciding, appending, replaying, looking_back);
criterion_main!(benches);
