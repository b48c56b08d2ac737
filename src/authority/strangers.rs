//! Who comes to a writer in its tests, and how.

use std::net::{IpAddr, Ipv4Addr};

use crate::pairing::{
    Actor, Ask, Attempt, AuthMode, Client, ClientId, ClientMode, Command, ConnectionId, Credential, Described, Description,
    DeviceId, Digest, Forwarding, Issue, KeyId, Mint, PeerUser, Person, Proof, PublicKey, Role, Salt, ScopeSet, SharedVerdict,
    SignatureForm, Source, TokenVerdict,
};

/// Another token each time.
pub(super) struct Fresh(pub(super) u8);

impl Mint for Fresh {
    fn mint(&self, device: &DeviceId, _: Role) -> Option<Issue> {
        Some(Issue { salt: Salt([self.0; 16]), key: KeyId([2; 8]), digest: Digest(device.0.map(|byte| byte ^ self.0)) })
    }
}

/// The owner.
pub(super) fn owner() -> Actor {
    Actor::Owner(Person::default())
}

/// A device's key.
pub(super) fn key(n: u32) -> PublicKey {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&n.to_le_bytes());
    PublicKey(key)
}

/// A device.
pub(super) fn device(n: u32) -> DeviceId {
    DeviceId::of(&key(n))
}

/// Another address for each number.
pub(super) fn afar(n: u32) -> Source {
    from(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n)))
}

/// Somewhere.
pub(super) fn from(peer: IpAddr) -> Source {
    let peer = peer.into();
    let (forwarding, user) = (Forwarding::None, PeerUser::NotAsked);
    Source { peer, forwarding, claimed: None, host_is_loopback: false, is_page: false, user }
}

/// On this machine.
pub(super) fn here(user: PeerUser) -> Source {
    Source { host_is_loopback: true, user, ..from(IpAddr::V4(Ipv4Addr::LOCALHOST)) }
}

/// A connect with the shared secret, for `operator.read`.
pub(super) fn attempt(n: u32, source: Source) -> Attempt {
    let description = Description { platform: Some("linux".into()), ..Description::default() };
    Attempt {
        connection: ConnectionId([1; 16]),
        source,
        fault: None,
        protocol: Some(3),
        client: Some(Client { id: ClientId::Cli, mode: ClientMode::Cli }),
        ask: Some(Ask {
            role: Role::Operator,
            scopes: ScopeSet::parse(["operator.read"]).expect("scopes"),
            described: Described { like: None, here: Some(Box::new(description)) },
        }),
        proof: Some(Proof { device: device(n), form: SignatureForm::V3 }),
        credential: Some(Credential {
            mode: AuthMode::Token,
            shared: SharedVerdict::Right,
            token: TokenVerdict::Missing,
            token_is_explicit: false,
            bootstrap: false,
        }),
    }
}

/// It as a command.
pub(super) fn connect(n: u32, source: Source) -> Command {
    Command::Connect { attempt: Box::new(attempt(n, source)), key: Some(key(n)), code: None }
}

/// One without a key and with a wrong secret.
pub(super) fn guess(source: Source) -> Command {
    let mut attempt = attempt(0, source);
    attempt.proof = None;
    if let Some(credential) = &mut attempt.credential {
        credential.shared = SharedVerdict::Wrong;
    }
    Command::Connect { attempt: Box::new(attempt), key: None, code: None }
}
