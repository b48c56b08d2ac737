//! Scopes: implied, upgraded, narrowed, rotated.

use std::collections::BTreeSet;

use openclaw_pairing::pairing::{Act, Command, Outcome, Policy, Registry, Role, Seq, Simulation};
use serde_json::{Value, json};

use crate::client::{ADMIN, CLI, Device, PAIRING, READ, WRITE, text};
use crate::given;
use crate::world::{World, by_device, by_owner, is, needs_a_person};

const READ_WRITE: &[&str] = &["operator.read", "operator.write"];
const READ_PAIRING: &[&str] = &["operator.pairing", "operator.read"];

/// As sets, for an order is nobody's promise.
#[track_caller]
pub(crate) fn same(found: &Value, wanted: &[&str]) {
    let found: BTreeSet<_> = found.as_array().expect("scopes").iter().map(text).collect();
    assert_eq!(found, wanted.iter().copied().collect());
}

#[tokio::test]
async fn s05_what_a_held_scope_implies_is_never_asked_for() {
    let world = World::new().await;
    let (c, e, f) = (Device::new(1), Device::new(2), Device::new(3));
    let held = ["operator.admin", "operator.approvals", "operator.pairing"];
    let token = world.pair(&c.afar(&held)).await;
    world.pair(&e.afar(&["operator.approvals", "operator.pairing"])).await;
    world.pair(&f.afar(WRITE)).await;
    let held_before: Vec<_> = [&c, &f].map(|device| world.device(device)).into();
    for asked in [WRITE, READ, CLI] {
        world.gateway.admit(&c.returns(&token, asked).afar()).await;
    }
    world.gateway.admit(&f.afar(READ)).await;
    let refused = world.gateway.refuse(&e.afar(WRITE)).await;
    needs_a_person(&refused, "scope-upgrade");
    same(&refused.error["details"]["missingScopes"], WRITE);
    let list = world.list().await;
    assert_eq!(list["pending"].as_array().map(Vec::len), Some(1));
    same(&list["pending"][0]["missingScopes"], WRITE);
    assert_eq!(list["pending"][0]["deviceId"], json!(e.id()));
    let requested = world.on_record(is!(PairingRequested)).into_iter().map(|(_, event)| event.device.to_string());
    let requested: Vec<_> = requested.collect();
    for device in [&c, &f] {
        assert_eq!(requested.iter().filter(|id| **id == device.id()).count(), 1, "only when it was paired");
    }
    let held_after: Vec<_> = [&c, &f].map(|device| world.device(device)).into();
    assert_eq!(held_after, held_before);
}

/// Connect, token check, approve, rotate and policy simulate, for every pair of sets of the five scopes.
#[test]
fn s05_the_same_table_answers_everywhere() {
    let sets = sets();
    let mut world = given::World::new();
    for (n, held) in (1..).zip(&sets) {
        world.pair(n, held);
    }
    for (n, held) in (1..).zip(&sets) {
        let (token, actor) = (world.token(n), given::by(n, held));
        let mut ways = vec![];
        for asked in &sets {
            let asks = given::visit(n).asks(asked);
            let is_let_in = |visit: &given::Visit| {
                let decision = world.decide(openclaw_pairing::pairing::Actor::Peer, visit.command(&world.registry));
                matches!(decision.outcome, Outcome::Admitted(_))
            };
            ways.push([is_let_in(&asks), is_let_in(&asks.clone().token(token)), rotates(&world, &actor, n, asked)]);
        }
        let covered: Vec<_> =
            sets.iter().map(|asked| given::scopes(held).covers(Role::Operator, &given::scopes(asked))).collect();
        assert_eq!(ways, covered.iter().map(|yes| [*yes; 3]).collect::<Vec<_>>(), "{held:?} holds");
        // Whoever may answer at all may approve what it covers itself.
        if held.contains("admin") || held.contains("pairing") {
            let approved: Vec<_> = sets.iter().map(|asked| approves(&mut world, &actor, asked)).collect();
            assert_eq!(approved, covered, "{held:?} holds");
        }
    }
}

/// Whoever holds everything asks for each of these sets; under a ceiling of each of them, those would be refused that it does not cover.
#[test]
fn s05_policy_simulate_answers_by_the_same_table() {
    let sets = sets();
    let mut world = given::World::new();
    world.pair(1, given::ALL);
    let begun = world.registry.head();
    for asked in &sets {
        world.connect(&given::visit(1).asks(asked)).admission();
    }
    for ceiling in &sets {
        let ceiling = given::scopes(ceiling);
        let listed: Vec<_> = ceiling.iter().map(|scope| format!("{scope:?}")).collect();
        let policy = Policy::parse(&format!("{{ version: 1, ceilings: [{{ scopes: [{}] }}] }}", listed.join(", ")));
        let mut simulation = Simulation::new(policy.expect("a policy"), Registry::default());
        world.records.iter().for_each(|record| simulation.pass(record));
        let admitted: Vec<_> =
            (begun.0 + 1..).zip(&sets).map(|(seq, _)| !simulation.differences().contains_key(&Seq(seq))).collect();
        let covered: Vec<_> = sets.iter().map(|asked| ceiling.covers(Role::Operator, &given::scopes(asked))).collect();
        assert_eq!(admitted, covered, "under {ceiling}");
    }
}

/// Every set of the five scopes.
fn sets() -> Vec<String> {
    let set = |bits: u8| {
        let picked = given::ALL.split(' ').enumerate().filter(|(place, _)| bits & (1 << place) != 0);
        picked.map(|(_, name)| name).collect::<Vec<_>>().join(" ")
    };
    (0..32).map(set).collect()
}

fn rotates(world: &given::World, actor: &openclaw_pairing::pairing::Actor, n: u8, asked: &str) -> bool {
    let scopes = Some(given::scopes(asked));
    let command = Command::Rotate { device: given::device(n), role: Role::Operator, scopes };
    matches!(world.decide(actor.clone(), command).outcome, Outcome::Rotated { .. })
}

/// Whether `actor` could approve that a new device asks for this.
fn approves(world: &mut given::World, actor: &openclaw_pairing::pairing::Actor, asked: &str) -> bool {
    let request = world.connect(&given::visit(200).asks(asked)).request();
    let outcome = world.decide(actor.clone(), Command::Approve { request }).outcome;
    world.reject(given::owner(), request);
    matches!(outcome, Outcome::Approved { .. })
}

#[tokio::test]
async fn s06_a_pending_upgrade_takes_nothing_away_and_cannot_approve_itself() {
    let world = World::new().await;
    let device = Device::new(1);
    let token = world.pair(&device.afar(READ_PAIRING)).await;
    // Local: no proxy in between.
    let refused = world.gateway.refuse(&device.asks(ADMIN)).await;
    let request = needs_a_person(&refused, "scope-upgrade");
    same(&refused.error["details"]["missingScopes"], ADMIN);

    let (mut socket, hello) = world.gateway.admit(&device.asks(READ_PAIRING)).await;
    assert_eq!(hello["auth"]["deviceToken"], json!(token), "not rotated");
    let list = socket.get("device.pair.list", json!({})).await;
    assert_eq!(list["pending"][0]["requestId"], json!(request));
    same(&list["pending"][0]["scopes"], ADMIN);
    same(&list["pending"][0]["approvedScopes"], READ_PAIRING);

    let denied = socket.denied("device.pair.approve", json!({ "requestId": request })).await;
    assert!(text(&denied["message"]).starts_with("missing scope: operator.admin"), "{denied}");
    assert_eq!(world.list().await["pending"][0]["requestId"], json!(request), "it stays");
    assert_eq!(world.gateway.request(&device.asks(ADMIN)).await, request);

    world.owner(&["devices", "approve", &request]).await.done();
    let (actor, approved) = world.on_record(is!(PairingApproved)).pop().expect("an approval");
    assert!(by_owner(&actor) && approved.request.map(|id| id.to_string()) == Some(request), "{actor:?}");
    let (_, hello) = world.gateway.admit(&device.asks(ADMIN)).await;
    same(&hello["auth"]["scopes"], &["operator.admin", "operator.pairing", "operator.read"]);
}

#[tokio::test]
async fn s07_approving_a_small_request_on_a_large_grant_takes_nothing_away() {
    let world = World::new().await;
    let (admin, _) = world.admin(9).await;
    let (pocket, device) = (world.pocket(&admin), Device::new(1));
    let last = world.pair(&device.afar(CLI)).await;
    let moved = device.afar(READ).platform("windows");
    let refused = world.gateway.refuse(&moved).await;
    let request = needs_a_person(&refused, "metadata-upgrade");
    world.run(&pocket, &["devices", "approve", &request]).await.done();

    let paired = world.device(&device);
    same(&paired["scopes"], CLI);
    same(&paired["tokens"][0]["scopes"], CLI);
    let (_, hello) = world.gateway.admit(&device.returns(&last, ADMIN).platform("windows").afar()).await;
    let now = text(&hello["auth"]["deviceToken"]).to_owned();
    world.gateway.admit(&device.returns(&now, ADMIN).platform("windows").afar()).await;
    assert_eq!(world.list().await["pending"], json!([]));
    let (_, approved) = world.on_record(is!(PairingApproved)).pop().expect("an approval");
    assert_eq!((approved.request.map(|id| id.to_string()), approved.scopes.is_empty()), (Some(request.clone()), true));
    assert_eq!(paired["platform"], "windows");
    let audit = world.owner(&["audit", &request]).await.done().out;
    assert!(
        audit.contains("(metadata-upgrade)")
            && audit.contains(&format!("was granted no scopes as operator by device {}", admin.id())),
        "{audit}"
    );
}

#[tokio::test]
async fn s08_a_token_rotated_to_less_stays_narrow_and_asking_for_more_makes_one_request() {
    let world = World::new().await;
    let device = Device::new(1);
    world.pair(&device.afar(CLI)).await;
    let rotate = ["devices", "rotate", "--device", &device.id(), "--role", "operator", "--json"];
    world.owner(&[&rotate[..], &["--scope", "operator.read"]].concat()).await.done();
    let paired = world.device(&device);
    same(&paired["tokens"][0]["scopes"], READ);
    same(&paired["scopes"], CLI);
    let (_, hello) = world.gateway.admit(&device.afar(READ)).await;
    same(&hello["auth"]["scopes"], READ);
    let token = text(&hello["auth"]["deviceToken"]).to_owned();
    let (_, hello) = world.gateway.admit(&device.returns(&token, READ).afar()).await;
    same(&hello["auth"]["scopes"], READ);

    let mut requests = BTreeSet::new();
    for _ in 0..10 {
        let refused = world.gateway.refuse(&device.returns(&token, ADMIN).afar()).await;
        requests.insert(needs_a_person(&refused, "scope-upgrade"));
        same(&refused.error["details"]["missingScopes"], ADMIN);
        let said = text(&refused.error["message"]);
        assert!(said.contains("is approved for operator.admin, but its token was narrowed to operator.read"), "{said}");
        let command = format!("openclaw devices rotate --device {} --role operator", device.id());
        assert!(said.contains(&command), "{said}");
        world.wait(1_000);
    }
    assert_eq!(requests.len(), 1);
    assert_eq!((world.count("TokenIssued"), world.count("TokenRotated")), (1, 1), "none by these attempts");
    world.owner(&rotate).await.done();
    same(&world.device(&device)["tokens"][0]["scopes"], READ);
    same(&world.device(&device)["scopes"], CLI);
    let rotated = world.on_record(is!(TokenRotated));
    let told = rotated.iter().map(|(actor, event)| (by_owner(actor), event.scopes_before.len(), event.scopes.len()));
    assert_eq!(told.collect::<Vec<_>>(), [(true, 5, 1), (true, 1, 1)]);
    let audit = world.owner(&["audit", &device.id(), "--json"]).await.done().json();
    let rotated = audit["events"].as_array().expect("events").iter().filter(|event| event["event"] == "TokenRotated");
    let told = rotated.map(|event| {
        let count = |key: &str| event["fields"][key].as_array().map(Vec::len);
        (event["actor"]["person"]["uid"].is_u64(), count("scopes_before"), count("scopes"))
    });
    assert_eq!(told.collect::<Vec<_>>(), [(true, Some(5), Some(1)), (true, Some(1), Some(1))]);
    let narrow = audit["holds"].as_array().expect("what it holds");
    assert_eq!((narrow.len(), &narrow[0]["scope"]), (1, &json!("operator.read")));
}

/// The command that a narrow token's refusal names works as it stands.
#[tokio::test]
async fn s08_the_command_that_is_named_works() {
    let world = World::new().await;
    let device = Device::new(1);
    world.pair(&device.afar(CLI)).await;
    let id = device.id();
    world.owner(&["devices", "rotate", "--device", &id, "--role", "operator", "--scope", "operator.read"]).await.done();
    let refused = world.gateway.refuse(&device.afar(ADMIN)).await;
    let said = text(&refused.error["message"]);
    let command = said.split("openclaw devices rotate").nth(1).expect("a command").trim_end_matches(')');
    let words: Vec<_> = ["devices", "rotate"].into_iter().chain(command.split_whitespace()).collect();
    world.owner(&words).await.done();
    world.gateway.admit(&device.afar(ADMIN)).await;
}

#[tokio::test]
async fn s09_a_rotation_beyond_what_was_approved_is_an_approval() {
    let world = World::new().await;
    let (admin, _) = world.admin(9).await;
    let (c, p) = (Device::new(1), Device::new(2));
    let token = world.pair(&c.afar(READ_WRITE)).await;
    let held = ["operator.pairing", "operator.read", "operator.write"];
    let own = world.pair(&p.afar(&held)).await;
    let (admins, ps) = (world.pocket(&admin), world.pocket(&p).holding(&own, &held));
    let rotate = ["devices", "rotate", "--device", &c.id(), "--role", "operator", "--scope", "operator.admin"];
    world.run(&ps, &rotate).await.refused(&["missing scope: operator.admin"], &[]);
    world.gateway.admit(&c.returns(&token, READ_WRITE).afar()).await;
    assert_eq!(world.count("TokenRotated"), 0);
    assert_eq!(world.list().await["pending"], json!([]), "a command asks for nothing");

    let before = world.gateway.records().len();
    world.run(&admins, &rotate).await.done();
    let records = world.gateway.records().split_off(before);
    let acts: Vec<_> = records.iter().filter(|record| by_device(&record.actor, &admin)).collect();
    let named: Vec<_> = acts.iter().map(|record| record.event.name()).collect();
    assert_eq!(named, ["PairingApproved", "TokenRotated"]);
    let approved: Vec<_> = records.iter().filter_map(is!(PairingApproved)).map(|(_, event)| event).collect();
    assert_eq!((approved[0].device.to_string(), approved[0].act), (c.id(), Act::Rotation));
    assert_eq!(approved[0].scopes.iter().collect::<Vec<_>>(), ADMIN);
    let audit = world.owner(&["audit", &c.id(), "--json"]).await.done().json();
    let holds = audit["holds"].as_array().expect("what it holds").iter();
    let warrant = &holds.clone().find(|one| one["scope"] == "operator.admin").expect("it holds admin")["warrant"];
    assert_eq!(
        (&warrant["act"], &warrant["actor"]["device"], &warrant["root"]),
        (&json!("rotation"), &json!(admin.id()), &json!("owner"))
    );

    let node = ["devices", "rotate", "--device", &c.id(), "--role", "node", "--scope", "operator.read"];
    world.run(&admins, &node).await.refused(&["holds no node role"], &[]);

    // A token that is narrower than what was approved, and a stranger: whatever is printed is obeyed, from top to bottom.
    world.owner(&["devices", "rotate", "--device", &c.id(), "--role", "operator", "--scope", "operator.read"]).await.done();
    let narrow = world.token(&c.afar(READ)).await;
    world.gateway.request(&c.returns(&narrow, ADMIN).afar()).await;
    world.gateway.request(&Device::new(77).afar(READ)).await;
    let told = world.owner(&["doctor", "--json"]).await.json();
    let commands = told["findings"].as_array().expect("findings").iter().filter_map(|finding| finding["command"].as_str());
    let commands: Vec<_> = commands.map(|command| command.strip_prefix("openclaw ").expect("one of ours").to_owned()).collect();
    assert!(commands.iter().any(|command| command.starts_with("devices approve ")), "{told}");
    for command in commands {
        world.owner(&command.split(' ').collect::<Vec<_>>()).await.done();
    }
    assert_eq!(world.owner(&["doctor"]).await.code, Some(0));
}

#[tokio::test]
async fn s10_a_rotation_cannot_exceed_its_caller() {
    let world = World::new().await;
    let (admin, mut live) = world.admin(9).await;
    let token = world.token(&admin.afar(CLI)).await;
    let p = Device::new(1);
    world.pair(&p.afar(PAIRING)).await;
    let (mut socket, _) = world.gateway.admit(&p.afar(PAIRING)).await;
    let of_admin = json!({ "deviceId": admin.id(), "role": "operator" });
    let with = |scopes: Option<&[&str]>| {
        let mut params = of_admin.clone();
        if let Some(scopes) = scopes {
            params["scopes"] = json!(scopes);
        }
        params
    };
    for (scopes, says) in [
        (None, "missing scope: operator.admin"),
        (Some(ADMIN), "missing scope: operator.admin"),
        (Some(PAIRING), "acting on another device, or on a role that is not operator, needs it"),
    ] {
        let denied = socket.denied("device.token.rotate", with(scopes)).await;
        assert_eq!(denied["code"], "INVALID_REQUEST", "{denied}");
        assert!(text(&denied["message"]).contains("operator.admin") && text(&denied["message"]).contains(says), "{denied}");
    }
    world.gateway.admit(&admin.returns(&token, CLI).afar()).await;
    live.get("health", json!({})).await;
    assert_eq!(world.count("TokenRotated"), 0);
    let refused = world.on_record(is!(CommandRefused));
    assert_eq!(refused.iter().filter(|(actor, _)| by_device(actor, &p)).count(), 3);
    let audit = world.owner(&["audit", "--actor", &p.id(), "--json"]).await.done().json();
    let events = audit["events"].as_array().expect("events").iter().filter(|event| event["event"] == "CommandRefused");
    let of_p = events.filter(|event| event["actor"]["device"] == json!(p.id()) && event["fields"]["command"] == "rotate");
    assert_eq!(of_p.filter(|event| event["fields"]["device"] == json!(admin.id())).count(), 3);
    let rotated = socket.get("device.token.rotate", json!({ "deviceId": p.id(), "role": "operator" })).await;
    same(&rotated["scopes"], PAIRING);
}
