//! Records of every kind, and journals made of records. The values are chosen to be recognised in hex.

use std::sync::Arc;

use openclaw_pairing::journal::{Journal, MemoryVolume, Options};
use openclaw_pairing::pairing::{
    Act, ActUndone, Actor, Address, Ask, Attempt, AttemptsSuppressed, AuthMode, Client, ClientId, ClientMode, CommandName,
    CommandRefused, Condition, ConditionCleared, ConditionFound, ConfigurationChanged, ConnectionAdmitted, ConnectionClosed,
    ConnectionId, ConnectionRefused, Credential, Described, Description, DeviceId, DeviceImported, DeviceMetadataChanged,
    DeviceRemoved, DeviceRenamed, DeviceRestored, DeviceSucceeded, Digest, Ending, Event, Forwarding, GatewayStarted,
    GatewayStopped, GrantWithdrawn, HistoryArchived, ImportedGrant, ImportedToken, Issue, JournalCreated, JournalId,
    JournalRepaired, KeyId, KnownScope, Millis, OwnerActsSeen, PairingApproved, PairingExpired, PairingNeed, PairingRejected,
    PairingRequested, PeerUser, Person, PolicyChanged, Profile, Proof, PublicKey, Reason, Record, Refusal, RequestId, Resolution,
    Role, RoleGrant, RollbackAccepted, Rule, RuleArmed, Salt, ScopeSet, SegmentSealed, Seq, SetupCodeCreated, SetupCodeId,
    SetupCodeRevoked, SetupCodeSpent, SharedVerdict, SignatureForm, Source, TokenIssued, TokenKeyReplaced, TokenRevoked,
    TokenRotated, TokenVerdict, WitnessPlaced,
};

/// The journal that the examples belong to.
pub(crate) const JOURNAL: JournalId = JournalId(*b"an example's id.");

/// One record of every kind, in the order of the numbers, the first ones fit to be appended to a new journal. Together they hold every
/// structure of the format, every actor, and every optional part both there and absent.
pub(crate) fn every_kind() -> Vec<Record> {
    let peer = || Actor::Peer;
    let owner = |terminal: Option<&str>| {
        Actor::Owner(Person {
            uid: 1000,
            pid: 4321,
            program: "openclaw".into(),
            terminal: terminal.map(Into::into),
            from_exec: false,
        })
    };
    let (request, successor) = (RequestId([0xa1; 16]), RequestId([0xa2; 16]));
    let (device, role) = (device(), Role::Operator);
    let events: Vec<(Actor, Event)> = vec![
        (Actor::System, JournalCreated { journal: JOURNAL, policy: "{ version: 1 }".into() }.into()),
        (
            Actor::System,
            GatewayStarted {
                version: "0.1.0".into(),
                key: Some(KeyId([0x4b; 8])),
                identity: None,
                settings: vec![("gateway.bind".into(), "loopback".into())],
            }
            .into(),
        ),
        (Actor::System, GatewayStopped { cause: "SIGTERM".into() }.into()),
        (
            Actor::System,
            JournalRepaired { after: Seq(3), offset: 377, bytes: 99, kept: "00000000000000000001.segment.torn-377".into() }
                .into(),
        ),
        (Actor::System, SegmentSealed { first: Seq(1), bytes: 16_777_300 }.into()),
        (Actor::System, ConditionFound { condition: Condition::Devices, detail: "is gone".into() }.into()),
        (Actor::System, ConditionCleared { condition: Condition::Devices }.into()),
        (Actor::System, WitnessPlaced { path: "/var/lib/witness".into(), lost: Some("/home/me/witness".into()) }.into()),
        (
            Actor::System,
            // Of records that are here, so that it allows none to be missing.
            HistoryArchived { through: Seq(0), hash: Digest([0x9a; 32]), archive: "/var/lib/archive".into() }.into(),
        ),
        (
            Actor::Owner(Person { uid: 1000, pid: 4321, program: "node".into(), terminal: None, from_exec: true }),
            PolicyChanged { policy: "{ version: 1, localCli: false }".into() }.into(),
        ),
        (Actor::Device { device, scopes: ScopeSet::cli() }, OwnerActsSeen { through: Seq(10) }.into()),
        (owner(Some("pts/1")), RuleArmed { rule: Rule::LocalFirstPairing }.into()),
        (
            owner(Some("pts/1")),
            RollbackAccepted { head: Seq(9), witnessed: Seq(11), hash: Digest([0x9b; 32]), keeps: vec![device] }.into(),
        ),
        (
            Actor::System,
            ConfigurationChanged { key: "auth".into(), before: Some("none".into()), after: Some("token".into()) }.into(),
        ),
        (owner(None), ActUndone { undoes: Seq(10) }.into()),
        (peer(), ConnectionAdmitted { attempt: connected(), rule: Rule::Paired, scopes: known(&[KnownScope::Read]) }.into()),
        (peer(), ConnectionRefused { attempt: connected(), refusal: Refusal::PairingRequired(need(request)) }.into()),
        (peer(), ConnectionClosed { admission: Seq(8), code: 1000 }.into()),
        (
            Actor::Device { device, scopes: known(&[KnownScope::Pairing]) },
            CommandRefused {
                command: CommandName::Approve,
                request: Some(request),
                device: None,
                role: None,
                scopes: None,
                refusal: Refusal::Resolved(Resolution {
                    ending: Ending::Superseded,
                    at: Millis(1_767_225_600_000),
                    by: Actor::Peer,
                    successor: Some((successor, known(&[KnownScope::Write]))),
                }),
            }
            .into(),
        ),
        (
            Actor::System,
            AttemptsSuppressed {
                like: Some(Seq(14)),
                address: None,
                device: Some(device),
                request: Some(request),
                refusal: 5,
                count: 12,
                first: Millis(1_767_225_600_000),
                last: Millis(1_767_225_660_000),
            }
            .into(),
        ),
        (peer(), requested(successor, Some(request)).into()),
        (
            owner(Some("pts/1")),
            PairingApproved { device, role, scopes: known(&[KnownScope::Write]), act: Act::Approval, request: Some(successor) }
                .into(),
        ),
        (
            Actor::SharedSecret { rule: Rule::LocalCli, scopes: known(&[KnownScope::Admin]) },
            PairingRejected { request, device }.into(),
        ),
        (Actor::System, PairingExpired { request, device, due: Millis(1_767_225_900_000) }.into()),
        (owner(None), GrantWithdrawn { device, role, scopes: known(&[KnownScope::Write]) }.into()),
        (
            Actor::Rule(Rule::Metadata),
            DeviceMetadataChanged { device, platform: Some("macOS 26.1".into()), platform_before: Some("macOS 26.0".into()) }
                .into(),
        ),
        (owner(None), DeviceRemoved { device }.into()),
        (
            Actor::Device { device, scopes: ScopeSet::cli() },
            DeviceRenamed { device, label: "Zoë's phone".into(), label_before: Some("phone".into()) }.into(),
        ),
        (owner(None), DeviceRestored { profile: profile(), grants: vec![RoleGrant { role, scopes: ScopeSet::cli() }] }.into()),
        (
            owner(Some("pts/1")),
            DeviceImported {
                source: Digest([0xe3; 32]),
                profile: profile(),
                grants: vec![ImportedGrant { role, scopes: ScopeSet::cli(), token: Some(imported()) }],
            }
            .into(),
        ),
        (owner(None), DeviceSucceeded { device, by: DeviceId([0x99; 32]), request }.into()),
        (Actor::Rule(Rule::LocalFirstPairing), TokenIssued { device, role, scopes: ScopeSet::cli(), issue: issue(0x51) }.into()),
        (
            Actor::Device { device, scopes: ScopeSet::cli() },
            TokenRotated { device, role, scopes_before: ScopeSet::cli(), scopes: known(&[KnownScope::Read]), issue: issue(0x52) }
                .into(),
        ),
        (owner(Some("pts/1")), TokenRevoked { device, role }.into()),
        (Actor::System, TokenKeyReplaced { key: KeyId([0x4c; 8]), before: Some(KeyId([0x4b; 8])) }.into()),
        (
            owner(Some("pts/1")),
            SetupCodeCreated {
                code: SetupCodeId([0x5c; 16]),
                digest: Digest([0xd5; 32]),
                grants: vec![RoleGrant { role: Role::Node, scopes: ScopeSet::EMPTY }],
                expires: Millis(1_767_226_200_000),
                label: Some("Zoë's phone".into()),
            }
            .into(),
        ),
        (peer(), SetupCodeSpent { code: SetupCodeId([0x5c; 16]), device }.into()),
        (owner(None), SetupCodeRevoked { code: SetupCodeId([0x5d; 16]) }.into()),
    ];
    events
        .into_iter()
        .zip(1_u64..)
        .map(|((actor, event), seq)| Record { seq: Seq(seq), at: Millis(1_767_225_600_000 + seq), actor, event })
        .collect()
}

/// The bytes of a journal to which `batches` were appended, one by one.
pub(crate) fn journal_of(id: JournalId, batches: &[&[Record]]) -> Vec<u8> {
    let disk = MemoryVolume::default();
    let journal = Journal::create_on(Arc::new(disk.clone()), id).expect("a new journal");
    let mut journal = journal.with(Options::without_room(u64::MAX));
    for batch in batches {
        journal.append(journal.head(), batch).expect("records that follow on");
    }
    disk.bytes("00000000000000000001.segment")
}

fn known(scopes: &[KnownScope]) -> ScopeSet {
    scopes.iter().copied().collect()
}

fn key() -> PublicKey {
    PublicKey([0x07; 32])
}

fn profile() -> Profile {
    Profile {
        device: device(),
        key: key(),
        client: client(),
        description: Description { platform: Some("macOS 26.0".into()), ..Description::default() },
        label: Some("Zoë's phone".into()),
        address: std::net::IpAddr::from([192, 0, 2, 7]).into(),
        created_at: Millis(1_767_225_500_000),
        approved_at: Millis(1_767_225_550_000),
    }
}

fn imported() -> ImportedToken {
    ImportedToken {
        digest: Digest([0x1d; 32]),
        scopes: known(&[KnownScope::Read]),
        created_at: Millis(1_767_225_500_000),
        rotated_at: Some(Millis(1_767_225_560_000)),
    }
}

fn device() -> DeviceId {
    DeviceId::of(&key())
}

fn client() -> Client {
    Client { id: ClientId::Cli, mode: ClientMode::Cli }
}

fn address() -> Address {
    Address::from(std::net::IpAddr::from([192, 0, 2, 7]))
}

fn issue(salt: u8) -> Issue {
    Issue { salt: Salt([salt; 16]), key: KeyId([0x4b; 8]), digest: Digest([0xd9; 32]) }
}

fn connected() -> Attempt {
    Attempt {
        connection: ConnectionId([0xc0; 16]),
        source: Source {
            peer: address(),
            forwarding: Forwarding::None,
            claimed: None,
            host_is_loopback: false,
            is_page: false,
            user: PeerUser::NotAsked,
        },
        fault: None,
        protocol: Some(3),
        client: Some(client()),
        ask: Some(Ask {
            role: Role::Operator,
            scopes: known(&[KnownScope::Read, KnownScope::Write]),
            described: Described { like: Some(Seq(12)), here: None },
        }),
        proof: Some(Proof { device: device(), form: SignatureForm::V3 }),
        credential: Some(Credential {
            mode: AuthMode::Token,
            shared: SharedVerdict::Right,
            token: TokenVerdict::Missing,
            token_is_explicit: false,
            bootstrap: false,
        }),
    }
}

fn need(request: RequestId) -> PairingNeed {
    PairingNeed {
        reason: Reason::RoleUpgrade,
        request,
        missing: known(&[KnownScope::Write]),
        held: known(&[KnownScope::Read]),
        token_is_narrow: false,
        revoked: Some((Millis(1_767_225_500_000), Actor::System)),
        retry_after_ms: 1_000,
        rests: None,
    }
}

fn requested(request: RequestId, supersedes: Option<RequestId>) -> PairingRequested {
    PairingRequested {
        request,
        reason: Reason::ScopeUpgrade,
        device: device(),
        key: key(),
        ask: Ask {
            role: Role::Operator,
            scopes: ScopeSet::parse(["operator.write", "example.paint"]).expect("well-formed scopes"),
            described: Described {
                like: None,
                here: Some(Box::new(Description {
                    platform: Some("macOS 26.0".into()),
                    family: None,
                    display_name: Some("Zoë's laptop".into()),
                    version: Some("2026.3.13".into()),
                    model: None,
                    instance: None,
                    caps: vec!["camera".into()],
                    commands: vec![],
                })),
            },
        },
        client: client(),
        form: SignatureForm::V3,
        address: address(),
        supersedes,
    }
}
