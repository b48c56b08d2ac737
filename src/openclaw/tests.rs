use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::pairing::{DeviceId, KnownScope, PublicKey, Role, ScopeSet, foreign_digest};
use crate::wire::devices::public_key_text;

const READ: &str = "operator.read";
const WRITE: &str = "operator.write";
const ADMIN: &str = "operator.admin";

fn key(seed: u8) -> PublicKey {
    PublicKey([seed; 32])
}

fn id(seed: u8) -> String {
    DeviceId::of(&key(seed)).to_string()
}

/// A text such as OpenClaw makes tokens of.
fn token(seed: u8) -> String {
    public_key_text(&PublicKey(std::array::from_fn(|at| {
        seed.wrapping_mul(31).wrapping_add(u8::try_from(at).expect("small") * 7)
    })))
}

/// A device as 2026.3.13 writes it.
fn sound(seed: u8) -> Value {
    json!({
        "deviceId": id(seed),
        "publicKey": public_key_text(&key(seed)),
        "displayName": "Desk",
        "platform": "linux",
        "clientId": "cli",
        "clientMode": "cli",
        "role": "operator",
        "roles": ["operator"],
        "scopes": [READ, WRITE],
        "approvedScopes": [READ, WRITE],
        "remoteIp": "203.0.113.9",
        "tokens": { "operator": {
            "token": token(seed), "role": "operator", "scopes": [READ], "createdAtMs": 1_700_000_000_001_u64,
            "rotatedAtMs": 1_700_000_000_003_u64, "lastUsedAtMs": 1_700_000_000_005_u64,
        } },
        "createdAtMs": 1_700_000_000_000_u64,
        "approvedAtMs": 1_700_000_000_002_u64,
    })
}

struct Dir(TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a scratch directory"))
    }

    fn with(entries: &[Value]) -> Self {
        let dir = Self::new();
        let entries: Entry =
            entries.iter().map(|entry| (entry["deviceId"].as_str().expect("an id").to_owned(), entry.clone())).collect();
        dir.write(PAIRED, &Value::Object(entries).to_string());
        dir
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn look(&self) -> Kept {
        look(self.path(), false).expect("what was kept")
    }

    fn refused(&self) -> String {
        look(self.path(), false).expect_err("nothing can be taken over").to_string()
    }
}

fn flaws(kept: &Kept) -> Vec<Flaw> {
    kept.remarks.iter().map(|remark| remark.flaw.clone()).collect()
}

fn set(scopes: &[KnownScope]) -> ScopeSet {
    scopes.iter().copied().collect()
}

#[test]
fn a_sound_device_is_taken_over_as_it_is_but_for_the_text_of_its_token() {
    let kept = Dir::with(&[sound(1)]).look();
    let [found] = kept.devices.as_slice() else { panic!("{kept:?}") };
    let (profile, [grant]) = (&found.profile, found.grants.as_slice()) else { panic!("{kept:?}") };
    assert_eq!((profile.device.to_string(), profile.key), (id(1), key(1)));
    assert_eq!(profile.description.display_name.as_deref(), Some("Desk"));
    assert_eq!(profile.address.ip().to_string(), "203.0.113.9");
    assert_eq!((profile.created_at, profile.approved_at), (Millis(1_700_000_000_000), Millis(1_700_000_000_002)));
    assert_eq!(found.last_seen, Some(Millis(1_700_000_000_005)));
    assert_eq!((grant.role, &grant.scopes), (Role::Operator, &set(&[KnownScope::Read, KnownScope::Write])));
    let held = grant.token.as_ref().expect("a token");
    assert_eq!((held.digest, &held.scopes), (foreign_digest(&token(1)).expect("strong"), &set(&[KnownScope::Read])));
    assert_eq!((held.created_at, held.rotated_at), (Millis(1_700_000_000_001), Some(Millis(1_700_000_000_003))));
    assert_eq!(kept.remarks, []);
    assert!(!format!("{kept:?}").contains(&token(1)));
}

/// What a hand or an older release may have done to an entry, and what is said of it.
#[test]
fn x44_each_thing_that_is_not_sound_is_left_out_and_named() {
    type Harm = (&'static str, fn(&mut Value), Option<&'static [KnownScope]>, &'static str);
    use KnownScope::{Admin, Read, Write};
    let both: Option<&'static [KnownScope]> = Some(&[Read, Write]);
    let harms: &[Harm] = &[
        ("no object", |entry| *entry = json!({ "deviceId": 7 }), None, "its deviceId is another"),
        ("another id in it", |entry| entry["deviceId"] = id(2).into(), None, "its deviceId is another"),
        ("no key", |entry| entry["publicKey"] = Value::Null, None, "no publicKey"),
        ("a short key", |entry| entry["publicKey"] = "AAAA".into(), None, "no publicKey"),
        ("another key", |entry| entry["publicKey"] = public_key_text(&key(2)).into(), None, "not the SHA-256 of its publicKey"),
        ("never approved", |entry| entry["approvedAtMs"] = Value::Null, None, "ever approved"),
        ("at a time before all", |entry| entry["createdAtMs"] = json!(-1), None, "ever approved"),
        ("no client", |entry| entry["clientId"] = Value::Null, None, "no release knows a client"),
        ("an unknown client", |entry| entry["clientId"] = "cli2".into(), None, "no release knows a client"),
        ("an unknown mode", |entry| entry["clientMode"] = "root".into(), None, "no release knows a client"),
        (
            "an unknown role only",
            |entry| (entry["role"], entry["roles"]) = ("root".into(), json!(["root"])),
            None,
            "nothing is left",
        ),
        ("an unknown role too", |entry| entry["roles"] = json!(["operator", "ro\u{202e}ot"]), both, r"a role ro\u{202e}ot"),
        (
            "an unknown scope",
            |entry| entry["approvedScopes"] = json!([READ, WRITE, "operator.reed"]),
            both,
            "knows operator.reed",
        ),
        (
            "admin is no admin of all",
            |entry| entry["approvedScopes"] = json!([ADMIN, "operator.*"]),
            Some(&[Admin]),
            "knows operator.*",
        ),
        (
            "a token over its approval",
            |entry| entry["tokens"]["operator"]["scopes"] = json!([READ, ADMIN]),
            both,
            "carried operator.admin too",
        ),
        (
            "a token of an unknown scope",
            |entry| entry["tokens"]["operator"]["scopes"] = json!([READ, "x"]),
            both,
            "carried x too",
        ),
        ("a revoked role", |entry| entry["tokens"]["operator"]["revokedAtMs"] = json!(1), None, "nothing is left"),
        ("a token of another role", |entry| entry["tokens"]["operator"]["role"] = "node".into(), both, "is not sound"),
        ("a token without text", |entry| entry["tokens"]["operator"]["token"] = Value::Null, both, "is not sound"),
        ("a token that is none", |entry| entry["tokens"]["operator"] = json!([]), both, "is not sound"),
        (
            "a token of a role not held",
            |entry| entry["tokens"]["node"] = entry["tokens"]["operator"].clone(),
            both,
            "a role that it does not hold",
        ),
        ("no tokens", |entry| entry["tokens"] = Value::Null, both, "has no token as operator"),
        (
            "scopes of no role",
            |entry| (entry["role"], entry["roles"]) = ("node".into(), json!(["node"])),
            Some(&[]),
            "of a role that it does not hold",
        ),
    ];
    for (harm, done, scopes, says) in harms {
        let mut entry = sound(1);
        done(&mut entry);
        let dir = Dir::new();
        dir.write(PAIRED, &json!({ id(1): entry, id(3): sound(3) }).to_string());
        let kept = dir.look();
        let of = |seed| kept.devices.iter().find(|found| found.profile.device.to_string() == id(seed));
        assert!(of(3).is_some(), "{harm}: the other one is sound");
        let held = of(1).map(|found| found.grants[0].scopes.clone());
        assert_eq!(held, scopes.map(set), "{harm}: {kept:?}");
        let said: Vec<_> = kept.remarks.iter().map(|remark| (remark.device.clone(), remark.flaw.to_string())).collect();
        assert!(said.iter().any(|(device, text)| *device == Some(id(1)) && text.contains(says)), "{harm}: {says} in {said:?}");
        assert_eq!(kept.remarks.iter().any(|remark| remark.flaw.is_fatal()), scopes.is_none(), "{harm}");
    }
}

#[test]
fn x06_a_token_that_could_be_guessed_is_not_taken_over_and_its_device_is() {
    for weak in ["", "secret", "hunter2hunter2hunter2hunter2hunt", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        let mut entry = sound(1);
        entry["tokens"]["operator"]["token"] = weak.into();
        let kept = Dir::with(&[entry]).look();
        assert_eq!(kept.devices[0].grants[0].token, None, "{weak}");
        assert_eq!(flaws(&kept), [Flaw::WeakToken(Role::Operator)], "{weak}");
    }
}

#[test]
fn x44_a_file_that_is_none_is_refused_and_a_deep_entry_is_only_one() {
    for (text, says) in
        [("", "not JSON"), ("{", "not JSON"), ("[]", "not an object of devices"), ("7", "not an object of devices")]
    {
        let dir = Dir::new();
        dir.write(PAIRED, text);
        assert!(dir.refused().contains(says), "{text:?}: {}", dir.refused());
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let dir = Dir::new();
    dir.write(PAIRED, &format!("{{\"{}\":{},\"x\":{{\"tokens\":{deep}}},\"y\":{deep}}}", id(1), sound(1)));
    let kept = dir.look();
    assert_eq!((kept.devices.len(), flaws(&kept)), (1, vec![Flaw::NoEntry, Flaw::NoEntry]));
}

#[test]
fn x44_more_than_there_can_be_is_refused() {
    let dir = Dir::new();
    let many: Vec<_> = (0..=limits::IMPORTED_DEVICES).map(|at| format!("\"{at}\":1")).collect();
    dir.write(PAIRED, &format!("{{{}}}", many.join(",")));
    assert!(dir.refused().ends_with("holds more than 65536 devices"), "{}", dir.refused());
    let huge = fs::File::create(dir.path().join(PAIRED)).expect("made");
    huge.set_len(limits::COPY_BYTES + 1).expect("a hole");
    assert!(dir.refused().contains("is larger than"), "{}", dir.refused());
}

#[test]
fn x44_only_plain_files_are_read() {
    let elsewhere = Dir::with(&[sound(1)]);
    let dir = Dir::new();
    fs::create_dir(dir.path().join("devices")).expect("made");
    symlink(elsewhere.path().join(PAIRED), dir.path().join(PAIRED)).expect("linked");
    assert!(dir.refused().contains("is a symbolic link"), "{}", dir.refused());
    fs::remove_file(dir.path().join(PAIRED)).expect("removed");
    let fifo = std::process::Command::new("mkfifo").arg(dir.path().join(PAIRED)).status();
    assert!(fifo.expect("mkfifo runs").success());
    assert!(dir.refused().contains("is not a regular file"), "{}", dir.refused());
    let nothing = Dir::new();
    assert!(nothing.refused().contains("holds nothing that OpenClaw kept"), "{}", nothing.refused());
}

#[test]
fn what_waits_is_counted_and_not_taken_over() {
    for (text, remark) in [
        ("{}", None),
        ("[]", None),
        ("[{\"a\":1},{}]", Some(Flaw::Pending { name: PENDING, requests: 2 })),
        ("{\"a\":{}}", Some(Flaw::Pending { name: PENDING, requests: 1 })),
        ("nonsense", Some(Flaw::Unreadable(PENDING))),
    ] {
        let dir = Dir::with(&[sound(1)]);
        dir.write(PENDING, text);
        assert_eq!(flaws(&dir.look()), Vec::from_iter(remark), "{text}");
    }
}

#[test]
fn a_node_offers_what_was_approved_of_it() {
    let mut entry = sound(1);
    (entry["role"], entry["roles"]) = ("node".into(), json!(["node"]));
    (entry["clientId"], entry["clientMode"], entry["approvedScopes"]) = ("node-host".into(), "node".into(), json!([]));
    let mut of_node = entry["tokens"]["operator"].clone();
    (of_node["role"], of_node["scopes"]) = ("node".into(), json!([]));
    entry["tokens"] = json!({ "node": of_node });
    let dir = Dir::with(&[entry]);
    dir.write(
        NODES,
        &json!({ id(1): { "nodeId": id(1), "token": token(9), "caps": ["camera"], "commands": ["camera.snap"] }, "n-1": {} })
            .to_string(),
    );
    let kept = dir.look();
    let device = &kept.devices[0];
    assert_eq!(
        (&device.profile.description.caps, &device.profile.description.commands),
        (&vec!["camera".to_owned()], &vec!["camera.snap".to_owned()])
    );
    assert_eq!((device.grants[0].role, &device.grants[0].scopes), (Role::Node, &ScopeSet::EMPTY));
    assert_eq!(device.grants[0].token.as_ref().map(|token| token.digest), foreign_digest(&token(1)));
    assert_eq!(kept.remarks, []);
}

#[test]
fn our_own_copy_is_no_source_and_what_was_put_aside_for_it_is() {
    let mut copied = sound(1);
    copied.as_object_mut().expect("an object").remove("tokens");
    let dir = Dir::with(&[copied]);
    let kept = look(dir.path(), true).expect("what was kept");
    assert_eq!((kept.devices.len(), flaws(&kept)), (0, vec![Flaw::OwnCopy { name: PAIRED, devices: 1 }]));
    // Where no gateway of ours was, it is an export.
    assert_eq!(dir.look().devices.len(), 1);
    dir.write(ORIGINAL, &json!({ id(2): sound(2) }).to_string());
    let kept = look(dir.path(), true).expect("what was kept");
    assert_eq!((kept.devices[0].profile.device.to_string(), kept.sources[0].name), (id(2), ORIGINAL));
}

#[test]
fn the_digest_is_what_sha256sum_says_of_the_files() {
    let dir = Dir::with(&[sound(1)]);
    dir.write(NODES, "{}");
    dir.write(PENDING, "{}");
    let shell = "sha256sum devices/paired.json nodes/paired.json devices/pending.json | sha256sum";
    let said = std::process::Command::new("sh").args(["-c", shell]).current_dir(dir.path()).output().expect("sh runs");
    let said = String::from_utf8(said.stdout).expect("UTF-8");
    assert_eq!(said.split(' ').next(), Some(dir.look().digest().to_string().as_str()));
}

#[cfg(feature = "import-sqlite")]
mod database {
    use rusqlite::{Connection, params};

    use super::*;

    /// As 2026.9.6 makes them.
    const SCHEMA: &str = "PRAGMA journal_mode = WAL; PRAGMA user_version = 18;
        CREATE TABLE device_pairing_pending (request_id TEXT NOT NULL PRIMARY KEY, device_id TEXT NOT NULL, ts INTEGER NOT NULL) STRICT;
        CREATE TABLE device_pairing_paired (
          device_id TEXT NOT NULL PRIMARY KEY, public_key TEXT NOT NULL, display_name TEXT, operator_label TEXT, platform TEXT,
          device_family TEXT, client_id TEXT, client_mode TEXT, browser_origin TEXT, role TEXT, roles_json TEXT, scopes_json TEXT,
          approved_scopes_json TEXT, remote_ip TEXT, tokens_json TEXT, approved_via TEXT, node_surface_json TEXT,
          pending_node_surface_json TEXT, created_at_ms INTEGER NOT NULL, approved_at_ms INTEGER NOT NULL, last_seen_at_ms INTEGER,
          last_seen_reason TEXT) STRICT;";

    fn made(dir: &Dir, schema: &str) -> Connection {
        fs::create_dir_all(dir.path().join("state")).expect("made");
        let database = Connection::open(dir.path().join(DATABASE)).expect("a database");
        database.execute_batch(schema).expect("a schema");
        database
    }

    fn put(database: &Connection, entry: &Value) {
        let text = |key: &str| entry[key].as_str().map(str::to_owned);
        let document = |key: &str| entry.get(key).map(Value::to_string);
        database
            .execute(
                "INSERT INTO device_pairing_paired (device_id, public_key, operator_label, client_id, client_mode, role, roles_json,
                 approved_scopes_json, tokens_json, node_surface_json, created_at_ms, approved_at_ms, last_seen_at_ms)
                 VALUES (?1, ?2, 'Kitchen', ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1, 2, 3)",
                params![
                    text("deviceId"),
                    text("publicKey"),
                    text("clientId"),
                    text("clientMode"),
                    text("role"),
                    document("roles"),
                    document("approvedScopes"),
                    document("tokens"),
                    document("nodeSurface"),
                ],
            )
            .expect("a row");
    }

    /// The bytes of all files in it, and what the system says of when they were used.
    fn seen(dir: &Dir) -> Vec<(String, [i64; 4], Vec<u8>)> {
        let files = ["state", "devices"].iter().filter_map(|folder| fs::read_dir(dir.path().join(folder)).ok()).flatten();
        let mut paths: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        let times = |path: &Path| {
            let metadata = fs::metadata(path).expect("metadata");
            [metadata.atime(), metadata.atime_nsec(), metadata.mtime(), metadata.ctime()]
        };
        let seen = paths.iter().map(|path| (path.display().to_string(), times(path), read(path)));
        seen.collect()
    }

    /// Leaves no trace, or a second look would find one.
    fn read(path: &Path) -> Vec<u8> {
        let file = state::open_untouched(path).expect("opened").expect("there");
        state::read_bounded(path, file, u64::MAX - 1).expect("read")
    }

    #[test]
    fn what_stands_in_the_log_counts_and_the_source_stays_as_it_was() {
        let dir = Dir::new();
        let database = made(&dir, SCHEMA);
        put(&database, &sound(1));
        database.execute("INSERT INTO device_pairing_pending VALUES ('r', 'd', 1)", []).expect("a row");
        // The log is there as long as somebody has the database open.
        assert!(dir.path().join("state/openclaw.sqlite-wal").exists());
        let before = seen(&dir);
        let kept = dir.look();
        assert_eq!(seen(&dir), before);
        let [found] = kept.devices.as_slice() else { panic!("{kept:?}") };
        assert_eq!(found.profile.label.as_deref(), Some("Kitchen"));
        assert_eq!(found.grants[0].token.as_ref().map(|token| token.digest), foreign_digest(&token(1)));
        assert_eq!(found.last_seen, Some(Millis(1_700_000_000_005)));
        assert_eq!(flaws(&kept), [Flaw::Pending { name: DATABASE, requests: 1 }]);
        assert_eq!(kept.sources.iter().map(|source| source.name).collect::<Vec<_>>(), [DATABASE, "state/openclaw.sqlite-wal"]);
        drop(database);
        assert_eq!(dir.look().devices, kept.devices);
    }

    #[test]
    fn a_role_is_held_only_with_a_live_token_of_it() {
        let dir = Dir::new();
        let database = made(&dir, SCHEMA);
        let mut entry = sound(1);
        entry["roles"] = json!(["operator", "node"]);
        entry["nodeSurface"] = json!({ "caps": ["camera"], "commands": [], "createdAtMs": 1, "approvedAtMs": 1 });
        put(&database, &entry);
        entry = sound(2);
        entry.as_object_mut().expect("an object").remove("tokens");
        put(&database, &entry);
        let kept = dir.look();
        let [found] = kept.devices.as_slice() else { panic!("{kept:?}") };
        assert_eq!(found.grants.iter().map(|grant| grant.role).collect::<Vec<_>>(), [Role::Operator]);
        let mut said = flaws(&kept);
        said.sort_by_key(ToString::to_string);
        assert_eq!(said, [Flaw::NotHeld(Role::Node), Flaw::NoRole]);
    }

    #[test]
    fn the_newer_state_counts_where_both_say_something() {
        let dir = Dir::with(&[sound(1), sound(2)]);
        let mut newer = sound(1);
        newer["approvedScopes"] = json!([READ]);
        put(&made(&dir, SCHEMA), &newer);
        let kept = dir.look();
        let held = |seed| {
            let found = kept.devices.iter().find(|found| found.profile.device.to_string() == id(seed)).expect("found");
            found.grants[0].scopes.clone()
        };
        assert_eq!((held(1), held(2)), (set(&[KnownScope::Read]), set(&[KnownScope::Read, KnownScope::Write])));
        assert_eq!(kept.remarks, [Remark { device: Some(id(1)), flaw: Flaw::Older(PAIRED) }]);
    }

    #[test]
    fn x44_a_crafted_database_gives_nothing_and_runs_nothing() {
        let view = SCHEMA.replace("CREATE TABLE device_pairing_paired", "CREATE TABLE other")
            + "CREATE VIEW device_pairing_paired AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS device_id FROM n;";
        let made_up = SCHEMA.replace("CREATE TABLE device_pairing_paired", "CREATE TABLE other")
            + "CREATE VIRTUAL TABLE device_pairing_paired USING fts5(device_id);";
        let other = "CREATE TABLE t (x);";
        for (what, schema) in [("a view", &*view), ("a module", &made_up), ("another database", other)] {
            let dir = Dir::new();
            drop(made(&dir, schema));
            assert!(dir.refused().ends_with("it has no table device_pairing_paired"), "{what}: {}", dir.refused());
        }
        // A trigger, a generated column and a huge value beside a sound one.
        let dir = Dir::new();
        let database = made(&dir, SCHEMA);
        put(&database, &sound(1));
        database
            .execute_batch(
                "CREATE TRIGGER t AFTER INSERT ON device_pairing_paired BEGIN DELETE FROM device_pairing_paired; END;
                 CREATE VIEW v AS SELECT load_extension('x');",
            )
            .expect("a trigger");
        drop(database);
        assert_eq!(dir.look().devices.len(), 1);
        let database = Connection::open(dir.path().join(DATABASE)).expect("a database");
        database
            .execute("UPDATE device_pairing_paired SET display_name = printf('%.*c', 2000000, 'x')", [])
            .expect("a long name");
        drop(database);
        assert!(dir.refused().contains("too big"), "{}", dir.refused());
    }

    #[test]
    fn x44_bytes_that_are_no_database_are_refused() {
        let dir = Dir::new();
        dir.write(DATABASE, "SQLite format 3\u{0} and nothing else that would make sense to it, for more than a hundred bytes of a header, as there have to be");
        assert!(dir.refused().contains("cannot be read as what OpenClaw writes there"), "{}", dir.refused());
        let huge = fs::File::create(dir.path().join(DATABASE)).expect("made");
        huge.set_len(limits::DATABASE_BYTES + 1).expect("a hole");
        assert!(dir.refused().contains("is larger than"), "{}", dir.refused());
        let dir = Dir::new();
        let database = made(&dir, SCHEMA);
        (1..=40).for_each(|seed| put(&database, &sound(seed)));
        drop(database);
        let path = dir.path().join(DATABASE);
        let whole = fs::read(&path).expect("read");
        // Whatever bit is turned, there is an answer, and no device that there was not.
        for at in (0..whole.len()).step_by(257) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            fs::write(&path, bytes).expect("written");
            if let Ok(kept) = look(dir.path(), false) {
                assert!(kept.devices.len() <= 40, "{at}");
            }
        }
    }
}

#[cfg(not(feature = "import-sqlite"))]
#[test]
fn a_small_build_says_what_it_cannot_read() {
    let dir = Dir::with(&[sound(1)]);
    dir.write(DATABASE, "");
    assert!(dir.refused().ends_with("build it with the feature import-sqlite"), "{}", dir.refused());
}
