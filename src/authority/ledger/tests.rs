use std::net::{IpAddr, Ipv6Addr};

use super::*;
use crate::authority::strangers::{Fresh, afar, attempt, connect, device, from, guess, here, key, owner};
use crate::pairing::{
    CommandName, CommandRefused, Context, Description, Fault, JournalCreated, JournalId, Record, Role, ScopeSet, Source, decide,
};

const POLICY: &str = r#"{ version: 1, requestTtl: "24h",
    budgets: { record: { perAddress: 4, perDevice: 20, total: 10, window: "10m" }, pending: { perAddress: 4096, total: 4096 } } }"#;
const WINDOW: u64 = 600_000;

/// A ledger, what was recorded, and the time.
struct World {
    ledger: Ledger,
    registry: Registry,
    records: Vec<Record>,
    told: Vec<AttemptsSuppressed>,
    now: Millis,
    ids: u8,
}

impl World {
    fn new() -> Self {
        Self::under(POLICY)
    }

    fn under(policy: &str) -> Self {
        let ledger = Ledger::new([7; 16]);
        let mut world =
            Self { ledger, registry: Registry::default(), records: vec![], told: vec![], now: Millis(1_000_000), ids: 0 };
        let created = JournalCreated { journal: JournalId([9; 16]), policy: policy.to_owned() };
        world.note(Actor::System, created.into());
        world
    }

    fn note(&mut self, actor: Actor, event: Event) {
        let record = Record { seq: self.registry.head().next(), at: self.now, actor, event };
        crate::pairing::check(&self.registry, &record).expect("possible");
        self.registry.apply(&record);
        self.records.push(record);
    }

    /// As the writer does it, a batch for each.
    fn ask(&mut self, actor: Actor, command: Command) -> Outcome {
        self.ids = self.ids.wrapping_add(1);
        let mut id = [self.ids; 16];
        id[..8].copy_from_slice(&self.registry.head().0.to_be_bytes());
        let asker = Asker::of(&self.registry, &actor, &command);
        let context = Context { actor, now: self.now, ids: [id, id], mint: &Fresh(self.ids) };
        let policy = std::sync::Arc::clone(self.registry.policy());
        let decision = decide(&self.registry, &policy, command, &context);
        let decision = self.ledger.weigh(&self.registry, &asker, decision, self.now);
        decision.events.into_iter().for_each(|(actor, event)| self.note(actor, event));
        self.tell();
        decision.outcome
    }

    fn tell(&mut self) {
        let due = self.ledger.due(self.registry.policy().budgets().record.window_ms, self.now);
        self.told.extend(due.iter().cloned());
        due.into_iter().for_each(|event| self.note(Actor::System, event.into()));
        self.ledger.told();
    }

    fn stop(&mut self) {
        let rest = self.ledger.rest(self.now);
        self.told.extend(rest.iter().cloned());
        rest.into_iter().for_each(|event| self.note(Actor::System, event.into()));
        self.ledger.told();
    }

    fn count(&self, name: &str) -> usize {
        self.records.iter().filter(|record| record.event.name() == name).count()
    }

    /// How many were refused, by the records.
    fn refused(&self) -> u64 {
        let written = self.records.iter().map(|record| match &record.event {
            Event::ConnectionRefused(_) | Event::CommandRefused(_) => 1,
            Event::AttemptsSuppressed(event) => event.count,
            _ => 0,
        });
        written.sum()
    }

    fn pair(&mut self, n: u32) -> Actor {
        let outcome = self.ask(Actor::Peer, connect(n, afar(n)));
        let Outcome::Refused(refusal) = outcome else { panic!("{outcome:?}") };
        let request = request_of(&refusal).expect("a request");
        self.ask(owner(), Command::Approve { request });
        Actor::Device { device: device(n), scopes: ScopeSet::parse(["operator.read"]).expect("scopes") }
    }
}

fn spent(outcome: &Outcome) -> Option<u64> {
    match outcome {
        Outcome::Refused(refusal) => match **refusal {
            Refusal::RecordBudgetSpent { retry_after_ms } => Some(retry_after_ms),
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn beyond_the_budget_a_refusal_is_the_same_answer_and_is_counted_with_the_one_on_record() {
    let mut world = World::new();
    let first = world.ask(Actor::Peer, connect(1, afar(1)));
    let Outcome::Refused(first) = first else { panic!("{first:?}") };
    for _ in 0..100 {
        let Outcome::Refused(again) = world.ask(Actor::Peer, connect(1, afar(1))) else { panic!("let in") };
        assert_eq!(request_of(&again), request_of(&first));
    }
    assert_eq!((world.count("ConnectionRefused"), world.count("PairingRequested")), (4, 1));
    // 1, 2, 4 … 64.
    assert_eq!(world.told.iter().map(|event| event.count).collect::<Vec<_>>(), [1, 1, 2, 4, 8, 16, 32]);
    world.stop();
    assert_eq!(world.refused(), 101);
    for event in &world.told {
        let like = world.records.iter().find(|record| Some(record.seq) == event.like).expect("it is there");
        assert!(matches!(&like.event, Event::ConnectionRefused(like) if like.refusal.number() == event.refusal), "{like:?}");
        assert_eq!((event.device, event.request, event.address), (Some(device(1)), request_of(&first), None));
    }
    let request = world.registry.request(&request_of(&first).expect("a request")).expect("it waits");
    assert_eq!(request.attempts, 101, "the request knows of all of them");
}

#[test]
fn more_than_a_refusal_is_refused_until_the_window_ends() {
    let mut world = World::new();
    for n in 1..=4 {
        assert_eq!(spent(&world.ask(Actor::Peer, connect(n, afar(1)))), None);
    }
    world.now = world.now.plus(1_000);
    assert_eq!(spent(&world.ask(Actor::Peer, connect(5, afar(1)))), Some(WINDOW - 1_000));
    assert_eq!(spent(&world.ask(Actor::Peer, connect(5, afar(2)))), None, "another address");
    assert_eq!((world.count("PairingRequested"), world.told.len()), (5, 1));
    let told = &world.told[0];
    assert_eq!((told.refusal, told.like, told.address), (16, None, Some(afar(1).peer)));
    world.now = world.now.plus(WINDOW - 1_000);
    assert_eq!(spent(&world.ask(Actor::Peer, connect(6, afar(1)))), None);
    assert_eq!(world.refused(), 7);
}

#[test]
fn what_grows_is_told_every_minute_and_at_the_end() {
    let mut world = World::new();
    for _ in 0..4 + 5 {
        world.ask(Actor::Peer, guess(afar(1)));
    }
    assert_eq!(world.told.iter().map(|event| event.count).sum::<u64>(), 4, "the fifth waits");
    assert!(world.ledger.owes());
    world.now = world.now.plus(limits::SUPPRESSED_MS - 1);
    world.tell();
    assert!(world.ledger.owes());
    world.now = world.now.plus(limits::SUPPRESSED_LOOK_MS);
    world.tell();
    assert_eq!((world.refused(), world.ledger.owes()), (9, false));
    let told = world.told.len();
    world.now = world.now.plus(10 * limits::SUPPRESSED_MS);
    world.tell();
    assert_eq!(world.told.len(), told, "nothing grew");
}

/// A request lives on its last attempt, so that has to be told in time even where the table is full of others.
#[test]
fn a_request_is_told_of_in_time_also_where_the_table_is_full() {
    let mut world =
        World::under(r#"{ version: 1, requestTtl: "2m", budgets: { record: { perAddress: 1, total: 1200, window: "24h" } } }"#);
    let Outcome::Refused(first) = world.ask(Actor::Peer, connect(1, afar(1))) else { panic!("let in") };
    let request = request_of(&first).expect("a request");
    let others = u32::try_from(limits::SUPPRESSED).expect("small");
    for n in 0..2 * others {
        // The third of each waits to be told, so that none of them makes room.
        for _ in 0..4 {
            world.ask(Actor::Peer, guess(afar(100 + n)));
        }
    }
    for round in 0..20 {
        world.now = world.now.plus(100_000);
        let Outcome::Refused(again) = world.ask(Actor::Peer, connect(1, afar(1))) else { panic!("let in") };
        assert_eq!(request_of(&again), Some(request), "{round}");
        world.tell();
        world.ask(Actor::System, Command::Expire);
        assert!(world.registry.request(&request).is_some());
    }
    assert!(world.ledger.counts.len() <= limits::SUPPRESSED + 23, "{}", world.ledger.counts.len());
    world.stop();
    assert_eq!(world.refused(), u64::from(8 * others) + 21);
}

#[test]
fn x24_a_neighbour_a_page_and_a_proxys_client_spend_nothing_of_the_owners() {
    let mut world = World::new();
    let page = Source { is_page: true, ..here(PeerUser::Owner) };
    let passed_on = Source { forwarding: Forwarding::ForwardedFor, ..here(PeerUser::Owner) };
    for _ in 0..20 {
        let mut foreign = attempt(1, page.clone());
        foreign.fault = Some(Fault::OriginForbidden);
        world.ask(Actor::Peer, Command::Connect { attempt: Box::new(foreign), key: None, code: None });
    }
    assert_eq!(spent(&world.ask(Actor::Peer, connect(1, page.clone()))), None, "a page that may ask is another");
    for source in [here(PeerUser::Other), passed_on, afar(1), afar(2)] {
        for _ in 0..20 {
            world.ask(Actor::Peer, guess(source.clone()));
        }
    }
    // Ten of all strangers are on record, and no more.
    assert_eq!(world.count("ConnectionRefused"), 10);
    assert!(spent(&world.ask(Actor::Peer, connect(3, afar(3)))).is_some());
    assert!(matches!(world.ask(Actor::Peer, connect(4, here(PeerUser::Owner))), Outcome::Admitted(_)));
    world.stop();
    assert_eq!(world.refused(), 102);
}

#[test]
fn x24_ten_thousand_addresses_of_one_network_are_one_and_the_table_is_bounded() {
    let mut world = World::under("{ version: 1, budgets: { record: { perAddress: 4, total: 100000000 } } }");
    for n in 0..10_000 {
        let address = Ipv6Addr::from(0x2001_0db8_0000_0000_0000_0000_0000_0000 + n);
        world.ask(Actor::Peer, guess(from(IpAddr::V6(address))));
    }
    assert_eq!((world.count("ConnectionRefused"), world.ledger.places.of.len()), (4, 1));
    let mut world = World::under("{ version: 1, budgets: { record: { perAddress: 4, total: 100000000 } } }");
    for n in 0..10_000 {
        world.ask(Actor::Peer, guess(afar(n)));
    }
    assert_eq!(world.ledger.places.of.len(), limits::COUNTED + 1);
    assert_eq!(world.count("ConnectionRefused"), limits::COUNTED + 4, "those beyond share one account");
    assert!(world.ledger.counts.len() <= limits::SUPPRESSED + 23, "{}", world.ledger.counts.len());
    world.stop();
    assert_eq!(world.refused(), 10_000);
    world.now = world.now.plus(WINDOW);
    world.ask(Actor::Peer, guess(afar(20_000)));
    assert_eq!(world.ledger.places.of.len(), 1, "what is over makes room");
}

#[test]
fn x24_bad_signatures_under_a_paired_id_are_a_strangers() {
    let mut world = World::new();
    world.pair(1);
    for _ in 0..100 {
        let mut forged = attempt(1, afar(9));
        forged.proof = None;
        forged.fault = Some(Fault::SignatureInvalid);
        world.ask(Actor::Peer, Command::Connect { attempt: Box::new(forged), key: None, code: None });
    }
    assert!(matches!(world.ask(Actor::Peer, connect(1, afar(1))), Outcome::Admitted(_)));
    assert!(matches!(world.ask(Actor::Peer, connect(1, afar(9))), Outcome::Admitted(_)), "also from their address");
}

#[test]
fn x30_a_paired_device_pays_for_its_connections_their_ends_and_its_commands_and_nobody_else_does() {
    let mut world = World::new();
    let (one, _) = (world.pair(1), world.pair(2));
    let mut admitted = 0;
    for _ in 0..30 {
        admitted += u32::from(matches!(world.ask(Actor::Peer, connect(1, afar(1))), Outcome::Admitted(_)));
    }
    assert_eq!(admitted, 10, "twenty, its ends included");
    // An end is always noted.
    let (closed, admission) = (world.count("ConnectionClosed"), world.registry.head());
    world.ask(Actor::Peer, Command::Close { admission, code: 1000 });
    assert_eq!(world.count("ConnectionClosed"), closed + 1);
    let rename = || Command::Rename { device: device(1), label: "x".to_owned() };
    for _ in 0..10 {
        assert!(matches!(world.ask(one.clone(), rename()), Outcome::Refused(refusal) if refusal.number() == 7));
    }
    assert_eq!(world.count("CommandRefused"), 0, "only counted");
    assert!(matches!(world.ask(Actor::Peer, connect(2, afar(2))), Outcome::Admitted(_)));
    world.stop();
    let told: u64 = world.told.iter().filter(|event| event.device == Some(device(1))).map(|event| event.count).sum();
    assert_eq!(told, 30);
}

#[test]
fn x30_the_owner_and_who_takes_power_away_are_always_on_record() {
    let mut world = World::new();
    world.pair(1);
    world.pair(2);
    let admin = Actor::Device { device: device(1), scopes: ScopeSet::cli() };
    for n in 0..30 {
        world.ask(owner(), Command::Rename { device: device(2), label: n.to_string() });
    }
    assert_eq!(world.count("DeviceRenamed"), 30);
    let mut admins = world.registry.device(&device(1)).expect("paired").as_ref().clone();
    assert!(admins.grants.remove(&Role::Operator).is_some());
    // It holds read only, so it may not: its refusals are counted as everybody's.
    for _ in 0..30 {
        world.ask(admin.clone(), Command::Remove { device: device(2), with_approved: false });
    }
    assert_eq!(world.count("CommandRefused"), 20);
    let own = Command::Rotate { device: device(1), role: Role::Operator, scopes: None };
    assert!(spent(&world.ask(admin, own)).is_some());
    world.ask(owner(), Command::Remove { device: device(2), with_approved: false });
    assert_eq!(world.count("DeviceRemoved"), 1);
}

#[test]
fn who_comes_without_a_device_by_a_rule_pays_as_that_rule() {
    let mut world = World::new();
    let cli = || {
        let mut attempt = attempt(0, here(PeerUser::Owner));
        attempt.proof = None;
        Command::Connect { attempt: Box::new(attempt), key: None, code: None }
    };
    let admitted = (0..30).filter(|_| matches!(world.ask(Actor::Peer, cli()), Outcome::Admitted(_))).count();
    assert_eq!(admitted, 10);
    let act = Actor::SharedSecret { rule: Rule::LocalCli, scopes: ScopeSet::EMPTY };
    let outcome = world.ask(act, Command::Rename { device: device(1), label: String::new() });
    assert!(matches!(outcome, Outcome::Refused(_)));
    assert_eq!(world.count("CommandRefused"), 0);
    world.stop();
    assert_eq!(world.refused(), 21);
}

#[test]
fn what_says_much_costs_more() {
    let mut world = World::new();
    let mut stuffed = attempt(1, afar(1));
    stuffed.ask.as_mut().expect("an ask").role = Role::Node;
    let description = Description { commands: vec!["x".repeat(128); 128], ..Description::default() };
    stuffed.ask.as_mut().expect("an ask").described.here = Some(Box::new(description));
    let command = Command::Connect { attempt: Box::new(stuffed), key: Some(key(1)), code: None };
    assert_eq!(spent(&world.ask(Actor::Peer, command)), None, "the last may take more than is left");
    assert!(spent(&world.ask(Actor::Peer, connect(2, afar(1)))).is_some());
}

#[test]
fn what_could_not_be_written_is_told_later() {
    let mut world = World::new();
    for _ in 0..4 {
        world.ask(Actor::Peer, guess(afar(1)));
    }
    let head = world.registry.head();
    let asker = Asker { payer: None, device: None, address: Some(afar(1).peer), narrows: false };
    let refusal = Refusal::DeviceRequired;
    world.ledger.count(&asker, &refusal, None, world.now);
    let event = CommandRefused {
        command: CommandName::Ask,
        request: None,
        device: None,
        role: None,
        scopes: None,
        refusal: refusal.clone(),
    };
    let decision = Decision { events: vec![(owner(), event.into())], outcome: Outcome::Refused(Box::new(refusal)) };
    world.ledger.remember(head, &asker, &decision, world.now);
    assert_eq!(world.ledger.due(WINDOW, world.now).len(), 1);
    assert!(!world.ledger.owes());
    world.ledger.lost(head);
    assert!(world.ledger.owes());
    assert!(world.ledger.counts.values().all(|count| count.like.is_none_or(|like| like <= head)), "nothing points beyond");
    assert_eq!(world.ledger.rest(world.now).iter().map(|event| event.count).collect::<Vec<_>>(), [1]);
}

#[test]
fn another_policy_counts_from_the_next_decision_on() {
    let mut world = World::new();
    for _ in 0..10 {
        world.ask(Actor::Peer, guess(afar(1)));
    }
    assert_eq!(world.count("ConnectionRefused"), 4);
    let text = POLICY.replace("perAddress: 4,", "perAddress: 6,");
    world.ask(owner(), Command::ApplyPolicy { text });
    for _ in 0..10 {
        world.ask(Actor::Peer, guess(afar(1)));
    }
    assert_eq!(world.count("ConnectionRefused"), 6);
    world.stop();
    assert_eq!(world.refused(), 20);
}
