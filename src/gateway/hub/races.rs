//! Every order in which a connection comes in and its device loses what it holds: whoever was let in before is sent away.

use super::*;
use crate::pairing::{
    Address, Ask, Attempt, AuthMode, Client, ClientId, Command, Context, Credential, DEFAULT_POLICY, Described, Description,
    Digest, Forwarding, Issue, JournalCreated, JournalId, KeyId, Mint, Outcome, PeerUser, Person, Proof, PublicKey, Salt,
    SharedVerdict, SignatureForm, Source, TokenVerdict, decide,
};

/// Decides as the authority does, and leaves what was decided to be heard as one batch, however many commands it is of.
struct Desk {
    registry: Registry,
    batch: Vec<Record>,
    tokens: std::cell::Cell<u8>,
}

impl Mint for Desk {
    fn mint(&self, _: &DeviceId, _: Role) -> Option<Issue> {
        self.tokens.set(self.tokens.get() + 1);
        Some(Issue { salt: Salt([0; 16]), key: KeyId([0; 8]), digest: Digest([self.tokens.get(); 32]) })
    }
}

impl Desk {
    fn new() -> Self {
        let mut desk = Self { registry: Registry::default(), batch: vec![], tokens: std::cell::Cell::new(0) };
        desk.note(Actor::System, JournalCreated { journal: JournalId([1; 16]), policy: DEFAULT_POLICY.to_owned() }.into());
        desk
    }

    fn note(&mut self, actor: Actor, event: Event) {
        let record = Record { seq: self.registry.head().next(), at: Millis(1), actor, event };
        self.registry.apply(&record);
        self.batch.push(record);
    }

    fn tell(&mut self, actor: Actor, command: Command) -> Outcome {
        let context = Context { actor, now: Millis(1), ids: [[self.tokens.get(); 16], [0; 16]], mint: self };
        let decision = decide(&self.registry, self.registry.policy(), command, &context);
        decision.events.into_iter().for_each(|(actor, event)| self.note(actor, event));
        decision.outcome
    }

    fn connect(&mut self, connection: ConnectionId, device: DeviceId) -> Outcome {
        let peer: Address = std::net::IpAddr::from([127, 0, 0, 1]).into();
        let (forwarding, user) = (Forwarding::None, PeerUser::Owner);
        let source = Source { peer, forwarding, claimed: None, host_is_loopback: true, is_page: false, user };
        let described = Described { like: None, here: Some(Box::new(Description::default())) };
        let (mode, shared, token) = (AuthMode::Token, SharedVerdict::Right, TokenVerdict::Missing);
        let attempt = Attempt {
            connection,
            source,
            fault: None,
            protocol: Some(3),
            client: Some(Client { id: ClientId::Test, mode: crate::pairing::ClientMode::Test }),
            ask: Some(Ask { role: Role::Operator, scopes: ScopeSet::EMPTY, described }),
            proof: Some(Proof { device, form: SignatureForm::V3 }),
            credential: Some(Credential { mode, shared, token, token_is_explicit: false, bootstrap: false }),
        };
        self.tell(Actor::Peer, Command::Connect { attempt: Box::new(attempt), key: Some(PublicKey([7; 32])), code: None })
    }
}

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Away,
    Arrived,
    /// Decided by the record with this seq, which may not be heard yet.
    LetIn(Seq),
    Welcome(Seq),
    InCall(Seq),
    Refused,
}

#[test]
fn a12_in_ten_thousand_orders_of_coming_and_losing_nobody_stays() {
    let (mut chance, mut sent_away, mut stayed) = (1_u64, 0, 0);
    let mut below = |most: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % most
    };
    let owner = Actor::Owner(Person::default());
    let role = Role::Operator;
    for round in 0..10_000 {
        let (mut desk, hub, device) = (Desk::new(), Hub::default(), DeviceId([9; 32]));
        desk.connect(ConnectionId([0xff; 16]), device);
        let mut peers: Vec<_> = (0..3).map(|n| (ConnectionId([n; 16]), queue(), Stage::Away)).collect();
        let (mut lost, mut heard) = (None, Seq(0));
        let mut turns = 0;
        while turns < 40 || !desk.batch.is_empty() {
            turns += 1;
            match below(6) {
                0 => {
                    hub.hear(&desk.batch, &desk.registry);
                    desk.batch.clear();
                    heard = desk.registry.head();
                }
                1 if lost.is_none() => {
                    let command = match round % 3 {
                        0 => Command::Remove { device, with_approved: false },
                        1 => Command::Revoke { device, role, with_approved: false },
                        _ => Command::Rotate { device, role, scopes: None },
                    };
                    assert!(!matches!(desk.tell(owner.clone(), command), Outcome::Refused(_)));
                    lost = Some(desk.registry.head());
                }
                _ => {
                    let Some((id, (outbox, _), stage)) = peers.get_mut(usize::try_from(below(3)).unwrap_or(0)) else { continue };
                    *stage = match *stage {
                        Stage::Away => {
                            hub.arrive(*id, outbox.clone());
                            Stage::Arrived
                        }
                        Stage::Arrived => match desk.connect(*id, device) {
                            Outcome::Admitted(_) => Stage::LetIn(desk.registry.head()),
                            _ => Stage::Refused,
                        },
                        // Nobody is answered before the batch is heard.
                        Stage::LetIn(seq) if seq <= heard => {
                            hub.welcome(id, String::new(), &json!({}));
                            Stage::Welcome(seq)
                        }
                        Stage::Welcome(seq) => {
                            hub.begin_call(id);
                            Stage::InCall(seq)
                        }
                        Stage::InCall(seq) => {
                            hub.end_call(id, String::new());
                            Stage::Welcome(seq)
                        }
                        stage => stage,
                    };
                }
            }
        }
        for (id, (_, inbox), stage) in &mut peers {
            let seq = match *stage {
                Stage::LetIn(seq) => {
                    hub.welcome(id, String::new(), &json!({}));
                    seq
                }
                Stage::InCall(seq) => {
                    hub.end_call(id, String::new());
                    seq
                }
                Stage::Welcome(seq) => seq,
                _ => continue,
            };
            let frames = std::iter::from_fn(|| inbox.frames.try_recv().ok());
            let is_closed = frames.filter(|frame| matches!(frame, Outgoing::Close(4001, _))).count() == 1;
            assert_eq!(is_closed, lost.is_some_and(|lost| seq < lost), "round {round}: {stage:?}, lost at {lost:?}");
            sent_away += usize::from(is_closed);
            stayed += usize::from(!is_closed);
        }
    }
    assert!(sent_away > 5_000 && stayed > 5_000, "{sent_away} sent away, {stayed} stayed");
}
