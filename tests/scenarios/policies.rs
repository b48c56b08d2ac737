//! Policies: tried on history first, applied, taken back.

use serde_json::{Value, json};

use crate::client::{CLI, Device, READ, WRITE, text};
use crate::world::{World, by_owner, is};

/// Limits backend helpers, and pairs nobody without a person.
const P1: &str = r#"{
  version: 1,
  localFirstPairing: false,
  ceilings: [{ clientId: "gateway-client", scopes: ["operator.read"] }],
}"#;

#[tokio::test]
async fn s30_a_stricter_policy_refuses_by_name_and_takes_nothing_away() {
    let world = World::new().await;
    let (c, g, h) = (Device::new(1), Device::new(2), Device::new(3));
    world.gateway.admit(&c.asks(CLI)).await;
    let backend = |scopes: &[&str]| g.afar(scopes).client("gateway-client", "backend");
    world.pair(&backend(&["operator.read", "operator.write"])).await;
    world.pair(&h.afar(READ).client("openclaw-macos", "ui")).await;
    let held_before = world.device(&g);
    let p0 = text(&world.gateway.owner("policy.show", json!({})).await.expect("shown")["text"]).to_owned();
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let [p0_file, p1_file] = [("p0.json5", &*p0), ("p1.json5", P1)].map(|(name, text)| {
        let path = scratch.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    });
    simulated(&world, [&p0_file, &p1_file], &[&c, &g]).await;
    let checked: Value = world.owner(&["policy", "check", &p1_file, "--json"]).await.done().json();
    assert_eq!(checked["stricter"], json!(["localFirstPairing", "ceilings"]));
    assert_eq!(world.count("PolicyChanged"), 0);
    world.owner(&["policy", "apply", &p1_file, "--digest", text(&checked["digest"])]).await.done();
    let changed = world.on_record(is!(PolicyChanged));
    assert_eq!(changed.len(), 1);
    assert!(by_owner(&changed[0].0) && changed[0].1.policy == P1, "{changed:?}");

    let requests = world.count("PairingRequested");
    let refused = world.gateway.refuse(&backend(WRITE)).await;
    assert_eq!(refused.error["details"]["code"], "POLICY_DENIED", "{refused:?}");
    assert_eq!(
        (&refused.error["details"]["rule"], &refused.error["details"]["beyondScopes"]),
        (&json!("ceilings[0]"), &json!(WRITE))
    );
    assert!(text(&refused.error["message"]).contains("ceilings[0]") && refused.close.1.contains("ceilings[0]"), "{refused:?}");
    assert!(!text(&refused.error["message"]).contains("pairing required"), "{refused:?}");
    assert_eq!(world.count("PairingRequested"), requests, "no approval is asked for");
    world.gateway.admit(&backend(READ)).await;
    assert_eq!(world.device(&g)["scopes"], held_before["scopes"], "untouched");
    // Whom the ceiling does not name it does not touch, and a first local pairing asks a person.
    world.gateway.admit(&c.asks(CLI)).await;
    world.gateway.admit(&h.afar(READ).client("openclaw-macos", "ui")).await;
    world.gateway.request(&Device::new(4).asks(READ)).await;

    let approvals = world.count("PairingApproved");
    world.owner(&["policy", "apply", &p0_file]).await.done();
    world.gateway.admit(&backend(WRITE)).await;
    assert_eq!(world.count("PairingApproved"), approvals, "nobody approved anything again");
}

/// With P0 nothing differs, with P1 what these two devices did, and neither writes a byte.
async fn simulated(world: &World, [p0_file, p1_file]: [&String; 2], [c, g]: &[&Device; 2]) {
    // Who left is written down a moment later.
    world.until("everybody is gone", || world.count("ConnectionClosed") == world.count("ConnectionAdmitted")).await;
    let journal = world.gateway.state.journal();
    let bytes = || -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let mut files: Vec<_> =
            std::fs::read_dir(&journal).expect("a directory").map(|entry| entry.expect("one").path()).collect();
        files.sort();
        files.into_iter().map(|path| (path.clone(), std::fs::read(path).expect("readable"))).collect()
    };
    let before = bytes();
    let told = world.owner(&["policy", "simulate", p0_file, "--json"]).await.done().json();
    assert_eq!((&told["differing"], &told["differences"]), (&json!(0), &json!([])));
    let told = world.owner(&["policy", "simulate", p1_file, "--json"]).await.done().json();
    assert_eq!(told["digest"], json!(openclaw_pairing::pairing::policy_digest(P1).to_string()));
    let differences = told["differences"].as_array().expect("differences");
    let of = |device: &Device| differences.iter().filter(|one| one["deviceId"] == json!(device.id())).collect::<Vec<_>>();
    let (of_c, of_g) = (of(c), of(g));
    assert_eq!(of_c.len() + of_g.len(), differences.len(), "nobody else: {told}");
    // Of C only that it was paired by rule, which a person would be asked for.
    assert_eq!(of_c.len(), 1, "{of_c:?}");
    assert_eq!((&of_c[0]["then"]["rule"], &of_c[0]["now"]["reason"]), (&json!("localFirstPairing"), &json!("not-paired")));
    // Of G every time that it asked to write, be it in vain, and what came of that.
    let admitted: Vec<_> = world
        .on_record(|record| match &record.event {
            openclaw_pairing::pairing::Event::ConnectionAdmitted(event) => Some((record.seq.0, event.clone())),
            _ => None,
        })
        .into_iter()
        .filter(|(_, event)| event.attempt.proof.is_some_and(|proof| proof.device.to_string() == g.id()))
        .map(|(seq, _)| json!(seq))
        .collect();
    let told_admitted: Vec<_> =
        of_g.iter().filter(|one| one["then"]["outcome"] == "admitted").map(|one| one["seq"].clone()).collect();
    assert!(!admitted.is_empty() && told_admitted == admitted, "{told_admitted:?}, not {admitted:?}");
    for one in of_g {
        assert_eq!((&one["now"]["outcome"], &one["now"]["rule"]), (&json!("refused"), &json!("ceilings[0]")), "{one}");
    }
    assert!(bytes() == before, "nothing is written");
}
