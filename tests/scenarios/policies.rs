//! Policies: tried on history first, applied, taken back.

use serde_json::{Value, json};

use crate::client::{CLI, Device, READ, WRITE, text};
use crate::waiting::waits;
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
    waits("S30", "simulate finds zero differences with P0, and with P1 exactly those of G and C");
    let p0 = text(&world.gateway.owner("policy.show", json!({})).await.expect("shown")["text"]).to_owned();
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let [p0_file, p1_file] = [("p0.json5", &*p0), ("p1.json5", P1)].map(|(name, text)| {
        let path = scratch.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    });
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
