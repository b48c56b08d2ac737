//! What an actor sees of others, and what not even a full disk prevents.

use openclaw_pairing::pairing::{
    ActUndone, AttemptsSuppressed, Client, Condition, ConditionCleared, ConditionFound, ConfigurationChanged, ConnectionClosed,
    Description, DeviceImported, DeviceRestored, DeviceSucceeded, Digest, GrantWithdrawn, HistoryArchived, JournalRepaired,
    KINDS, KeyId, OwnerActsSeen, PolicyChanged, Profile, RollbackAccepted, RuleArmed, STRICT_POLICY, SegmentSealed,
    SetupCodeCreated, SetupCodeId, SetupCodeRevoked, SetupCodeSpent, TokenKeyReplaced, WitnessPlaced, may_hear_of, may_read,
    may_read_all, may_read_of, may_see_device, may_see_request, takes_away,
};

use super::*;

/// The world of every kind of record, and in it: the owner, an admin, the person at this host, a device with pairing, one with
/// pairing and write, one that only reads, and whoever has no device.
fn told() -> (World, [(&'static str, Actor); 7]) {
    let mut world = World::new();
    let (pairing, write) = (world.pair(7, "pairing read"), world.pair(8, "pairing write"));
    let (reader, admin) = (world.pair(6, "read"), world.pair(9, "admin"));
    world.tell(Actor::System, Command::Start(started()));
    // All that can happen to device 1.
    let rejected = world.connect(&visit(1).asks("read")).request();
    world.reject(owner(), rejected);
    world.connect(&visit(1).asks("read"));
    world.wait(300);
    world.expire();
    world.pair(1, "pairing read");
    let admission = world.connect(&visit(1).asks("read").platform("linux 2")).events.len();
    assert!(admission > 0);
    world.note(Actor::Peer, ConnectionClosed { admission: world.registry.head(), code: 1000 }.into());
    world.tell(by(1, "read"), Command::Remove { device: device(9), with_approved: false });
    world.tell(owner(), Command::Rename { device: device(1), label: "desk".to_owned() });
    world.rotate(owner(), 1, None);
    world.revoke(owner(), 1);
    world.grant(&visit(1).asks("read"));
    world.remove(owner(), 1);
    // All that concerns nobody.
    let condition = Condition::Storage;
    world.note(Actor::System, ConditionFound { condition, detail: "full".to_owned() }.into());
    world.note(Actor::System, ConditionCleared { condition }.into());
    let repaired = JournalRepaired { after: Seq(1), offset: 1, bytes: 1, kept: "x".to_owned() };
    world.note(Actor::System, repaired.into());
    world.note(Actor::System, SegmentSealed { first: Seq(1), bytes: 1 }.into());
    world.note(Actor::System, WitnessPlaced { path: "x".to_owned(), lost: None }.into());
    let archived = HistoryArchived { through: Seq(1), hash: Digest([0; 32]), archive: "x".to_owned() };
    world.note(Actor::System, archived.into());
    world.tell(Actor::System, Command::Stop(GatewayStopped { cause: "a test".to_owned() }));
    world.note(owner(), PolicyChanged { policy: "{ version: 1 }".to_owned() }.into());
    world.note(owner(), RuleArmed { rule: Rule::LocalFirstPairing }.into());
    world.note(owner(), OwnerActsSeen { through: Seq(1) }.into());
    let code = SetupCodeId([1; 16]);
    let created = SetupCodeCreated { code, digest: Digest([1; 32]), grants: vec![], expires: Millis(u64::MAX), label: None };
    world.note(owner(), created.into());
    world.note(Actor::Peer, SetupCodeSpent { code, device: device(1) }.into());
    world.note(owner(), SetupCodeRevoked { code }.into());
    let suppressed = AttemptsSuppressed {
        like: None,
        address: None,
        device: Some(device(1)),
        request: None,
        refusal: 4,
        count: 1,
        first: Millis(1),
        last: Millis(1),
    };
    world.note(Actor::System, suppressed.into());
    let keeps = [6, 7, 8, 9].map(device).to_vec();
    world.note(owner(), RollbackAccepted { head: Seq(1), witnessed: Seq(2), hash: Digest([0; 32]), keeps }.into());
    world.note(Actor::System, ConfigurationChanged { key: "port".to_owned(), before: None, after: None }.into());
    world.note(owner(), ActUndone { undoes: Seq(1) }.into());
    let profile = imported(1);
    world.note(owner(), DeviceRestored { profile: profile.clone(), grants: vec![] }.into());
    world.note(owner(), GrantWithdrawn { device: device(1), role: Role::Operator, scopes: scopes("read") }.into());
    world.remove(owner(), 1);
    world.note(owner(), DeviceImported { source: Digest([0; 32]), profile, grants: vec![] }.into());
    world.remove(owner(), 1);
    world.pair(4, "read");
    let request = world.connect(&visit(1).asks("read")).request();
    world.note(owner(), DeviceSucceeded { device: device(4), by: device(1), request }.into());
    world.note(Actor::System, TokenKeyReplaced { key: KeyId([0; 8]), before: None }.into());
    let host = Actor::SharedSecret { rule: Rule::LocalCli, scopes: scopes("read") };
    let names = ["owner", "admin", "host", "pairing", "write", "reader", "nobody"];
    let actors = [owner(), admin, host, pairing, write, reader, Actor::Peer];
    let mut actors = names.into_iter().zip(actors);
    (world, std::array::from_fn(|_| actors.next().expect("seven")))
}

pub(super) fn imported(n: u8) -> Profile {
    Profile {
        device: device(n),
        key: key(n),
        client: Client { id: ClientId::Cli, mode: ClientMode::Cli },
        description: Description::default(),
        label: None,
        address: address(203, 1),
        created_at: Millis(1),
        approved_at: Millis(1),
    }
}

fn started() -> openclaw_pairing::pairing::GatewayStarted {
    openclaw_pairing::pairing::GatewayStarted { version: "0".to_owned(), key: None, identity: None, settings: vec![] }
}

#[test]
fn x34_a_record_is_read_by_whoever_it_concerns_and_by_those_who_may_do_everything() {
    let (world, actors) = told();
    let (mut kinds, own) = (std::collections::BTreeSet::new(), by(1, "read"));
    for record in &world.records {
        let name = record.event.name();
        let readers: Vec<_> =
            actors.iter().filter(|(_, actor)| may_read(&world.registry, actor, record)).map(|(who, _)| *who).collect();
        let concerns = |n: u8| format!("{record:?}").contains(&device(n).to_string());
        let expected: &[&str] = match name {
            "JournalCreated"
            | "GatewayStarted"
            | "GatewayStopped"
            | "JournalRepaired"
            | "SegmentSealed"
            | "ConditionFound"
            | "ConditionCleared"
            | "WitnessPlaced"
            | "HistoryArchived"
            | "PolicyChanged"
            | "RuleArmed"
            | "ConfigurationChanged"
            | "TokenKeyReplaced" => &["owner", "admin", "host", "pairing", "write", "reader", "nobody"],
            // Of the others each device reads what is its own.
            _ if !concerns(1) => {
                kinds.insert(name);
                continue;
            }
            "PairingRequested" | "PairingApproved" | "PairingRejected" | "PairingExpired" => {
                &["owner", "admin", "host", "pairing", "write"]
            }
            _ => &["owner", "admin", "host"],
        };
        kinds.insert(name);
        assert_eq!(readers, expected, "{name}");
        let is_everybodys = expected.len() == 7;
        assert_eq!(may_read(&world.registry, &own, record), is_everybodys || concerns(1), "{name} by the device itself");
    }
    let known: std::collections::BTreeSet<_> = KINDS.iter().map(|(_, name)| *name).collect();
    assert_eq!(kinds, known, "a record of every kind was looked at");
    // Who is let go is named by a seq only.
    let closed = world.records.iter().find(|record| record.event.name() == "ConnectionClosed").expect("one");
    for (who, actor) in &actors {
        assert_eq!(may_read(&world.registry, actor, closed), ["owner", "admin", "host"].contains(who), "{who}");
    }
    assert!(!may_read(&world.registry, &own, closed));
}

#[test]
fn x34_a_device_and_a_request_are_seen_by_those_who_may_act_on_them() {
    let mut world = World::new();
    let (pairing, write, reader) = (world.pair(7, "pairing read"), world.pair(8, "pairing write"), world.pair(6, "read"));
    let admin = world.pair(9, "admin");
    let host = Actor::SharedSecret { rule: Rule::LocalCli, scopes: scopes("pairing") };
    let bare_host = Actor::SharedSecret { rule: Rule::LocalCli, scopes: scopes("read") };
    let secret = Actor::SharedSecret { rule: Rule::SharedSecret, scopes: scopes("") };
    let request = world.connect(&visit(6).asks("write")).request();
    let settled = world.connect(&visit(5).asks("write")).request();
    world.reject(owner(), settled);
    let waiting = world.registry.request(&request).expect("it waits").clone();
    for (who, actor, sees_request, sees_device, sees_own, reads_all) in [
        ("owner", owner(), true, true, true, true),
        ("admin", admin, true, true, true, true),
        ("host", host, true, true, true, true),
        ("host without pairing", bare_host, true, false, false, true),
        ("pairing", pairing, false, false, true, false),
        ("write", write, true, false, false, false),
        ("reader", reader, true, false, false, false),
        ("secret", secret, false, false, false, false),
        ("peer", Actor::Peer, false, false, false, false),
    ] {
        assert_eq!(may_see_request(&world.registry, &actor, &waiting), sees_request, "{who}");
        assert_eq!(may_hear_of(&world.registry, &actor, &request), sees_request, "{who}");
        assert_eq!(may_hear_of(&world.registry, &actor, &settled), sees_request && who != "reader", "{who}");
        assert_eq!(may_hear_of(&world.registry, &actor, &NO_REQUEST), reads_all, "{who}");
        assert_eq!(may_see_device(&world.registry, &actor, &device(6)), sees_device, "{who}");
        assert_eq!(may_see_device(&world.registry, &actor, &device(7)), sees_own, "{who}");
        assert_eq!(may_read_of(&world.registry, &actor, &device(6)), reads_all || who == "reader", "{who}");
        assert_eq!(may_read_all(&world.registry, &actor), reads_all, "{who}");
    }
}

#[test]
fn x31_only_what_takes_power_away_by_who_may_do_everything_goes_into_the_reserve() {
    let mut world = World::new();
    let (pairing, admin) = (world.pair(7, "pairing read"), world.pair(9, "admin"));
    world.pair(1, "write");
    let (one, role) = (device(1), Role::Operator);
    let rotate = |names: Option<&str>, n: u8| Command::Rotate { device: device(n), role, scopes: names.map(scopes) };
    for (command, narrows) in [
        (Command::Reject { request: NO_REQUEST }, true),
        (Command::Remove { device: one, with_approved: false }, true),
        (Command::Revoke { device: one, role, with_approved: false }, true),
        (rotate(Some("read"), 1), true),
        (rotate(Some("write"), 1), true),
        (rotate(Some("write pairing"), 1), false),
        (rotate(Some("read"), 2), false),
        (rotate(None, 1), false),
        (Command::RejectFrom { address: address(203, 1) }, true),
        (Command::RevokeSetupCode { code: SetupCodeId([1; 16]) }, true),
        (Command::ApplyPolicy { text: STRICT_POLICY.to_owned() }, true),
        (Command::ApplyPolicy { text: DEFAULT_POLICY.to_owned() }, true),
        (Command::ApplyPolicy { text: "{ version: 1, localUpgrade: { scopes: ['operator.read'] } }".to_owned() }, false),
        (Command::ApplyPolicy { text: "{ version: 1, requestTtl: '1h' }".to_owned() }, false),
        (Command::ApplyPolicy { text: "{ version: 2 }".to_owned() }, false),
        (Command::ApplyPolicy { text: format!("{STRICT_POLICY}{}", " ".repeat(limits::RESERVE_POLICY_BYTES)) }, false),
        (Command::ArmRule { rule: Rule::LocalFirstPairing }, false),
        (Command::MarkSeen { through: Seq(1) }, false),
        (Command::CreateSetupCode { grants: vec![], digest: Digest([1; 32]), lives_ms: 60_000, label: None }, false),
        (Command::Ask { scopes: scopes("read"), address: address(203, 1) }, false),
        (Command::Close { admission: Seq(1), code: 1000 }, false),
        (Command::Approve { request: NO_REQUEST }, false),
        (Command::Rename { device: one, label: String::new() }, false),
        (Command::Expire, false),
        (visit(1).command(&world.registry), false),
    ] {
        let cli = |names| Actor::SharedSecret { rule: Rule::LocalCli, scopes: scopes(names) };
        for (actor, may) in [
            (owner(), true),
            (admin.clone(), true),
            (cli("admin"), true),
            (cli("pairing"), false),
            (pairing.clone(), false),
            (by(1, ALL), false),
            (Actor::Peer, false),
            (Actor::System, false),
            (Actor::Rule(Rule::LocalFirstPairing), false),
        ] {
            assert_eq!(takes_away(&world.registry, &actor, &command), narrows && may, "{command:?} by {actor:?}");
        }
    }
}
