//! What an old installation kept is taken over as far as it is sound.

use std::fs;
use std::path::PathBuf;

use openclaw_pairing::pairing::{PublicKey, foreign_digest};
use openclaw_pairing::wire::devices::public_key_text;
use serde_json::{Value, json};

use crate::client::{ADMIN, Device, READ, WRITE, text};
use crate::world::{World, by_owner, is, needs_a_person};

/// A text such as OpenClaw makes tokens of.
fn token(seed: u8) -> String {
    public_key_text(&PublicKey(std::array::from_fn(|at| {
        seed.wrapping_mul(29).wrapping_add(u8::try_from(at).expect("small") * 7)
    })))
}

/// A device as 2026.3.13 writes it.
fn entry(device: &Device, seed: u8, approved: &[&str], carried: &[&str]) -> Value {
    let token = json!({ "token": token(seed), "role": "operator", "scopes": carried, "createdAtMs": 1_790_000_000_000_u64 });
    json!({
        "deviceId": device.id(), "publicKey": public_key_text(&PublicKey(device.public())), "platform": "linux",
        "clientId": "gateway-client", "clientMode": "ui", "role": "operator", "roles": ["operator"], "scopes": approved,
        "approvedScopes": approved, "tokens": { "operator": token },
        "createdAtMs": 1_790_000_000_000_u64, "approvedAtMs": 1_790_000_000_000_u64,
    })
}

#[tokio::test]
async fn s26_importing_an_old_installation_keeps_what_is_sound_and_says_what_is_not() {
    let world = World::new().await;
    let old = tempfile::tempdir().expect("a scratch directory");
    let devices: Vec<_> = (1..=11).map(Device::new).collect();
    let (over_wide, odd) = (&devices[4], Device::new(99));
    let mut paired = json!({});
    for (seed, device) in (1..).zip(&devices) {
        let carried = if seed == 5 { ADMIN } else { READ };
        paired[device.id()] = entry(device, seed, WRITE, carried);
    }
    paired[over_wide.id()]["tokens"]["operator"]["scopes"] = json!(["operator.read", "operator.admin"]);
    let key = public_key_text(&PublicKey(odd.public()));
    paired[odd.id()] = json!({ "requestId": "r", "deviceId": odd.id(), "publicKey": key, "role": "operator", "ts": 1 });
    let files: [(PathBuf, String); 2] =
        [("paired.json", paired.to_string()), ("pending.json", json!([{ "requestId": "a" }, { "requestId": "b" }]).to_string())]
            .map(|(name, text)| (old.path().join("devices").join(name), text));
    fs::create_dir(old.path().join("devices")).expect("made");
    files.iter().for_each(|(path, text)| fs::write(path, text).expect("written"));
    let dir = old.path().to_str().expect("a plain name");

    let said = world.owner(&["import", dir, "--yes"]).await.done();
    let imported = world.on_record(is!(DeviceImported));
    let mut ids: Vec<_> = imported.iter().map(|(_, event)| event.profile.device.to_string()).collect();
    let mut expected: Vec<_> = devices.iter().map(Device::id).collect();
    (ids.sort(), expected.sort());
    assert_eq!(ids, expected);
    assert!(imported.iter().all(|(actor, _)| by_owner(actor)));
    let reported = |parts: &[&str]| said.out.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(reported(&[&odd.id(), "not taken over", "ever approved"]), "{said:?}");
    assert!(reported(&["2 requests in devices/pending.json are not taken over"]), "{said:?}");
    assert!(reported(&[&over_wide.id(), "cut down to what was approved", "operator.admin"]), "{said:?}");

    let records = world.gateway.records().len();
    let again = world.owner(&["import", dir, "--yes"]).await.done();
    assert!(again.out.ends_with("Nothing new: nothing was imported.\n"), "{again:?}");
    assert_eq!(world.gateway.records().len(), records);

    for (seed, device) in (1..).zip(&devices) {
        let (_, hello) = world.gateway.admit(&device.returns(&token(seed), READ).client("gateway-client", "ui").remote()).await;
        // Told again to who presents it, and nobody else could be told.
        assert_eq!((text(&hello["auth"]["deviceToken"]), &hello["auth"]["scopes"]), (&*token(seed), &json!(READ)));
    }
    let beyond = world.gateway.refuse(&over_wide.returns(&token(5), ADMIN).client("gateway-client", "ui").remote()).await;
    needs_a_person(&beyond, "scope-upgrade");
    let events = world.on_record(|record| Some(record.event.name()));
    assert!(!events.contains(&"PairingApproved"), "nobody had to pair again");

    let log = world.gateway.log().await;
    let digest = |seed| foreign_digest(&token(seed)).expect("a token");
    for (seed, device) in (1..).zip(&devices) {
        let held = imported.iter().find(|(_, event)| event.profile.device.to_string() == device.id());
        let held = held.and_then(|(_, event)| event.grants[0].token.as_ref()).expect("a token");
        assert_eq!(held.digest, digest(seed));
        assert!(log.iter().all(|(_, line)| !line.contains(&token(seed))));
    }
    let segment = fs::read(world.gateway.state.journal().join("00000000000000000001.segment")).expect("a segment");
    let holds = |needle: &[u8]| segment.windows(needle.len()).any(|window| window == needle);
    assert!((1..=11).all(|seed| holds(&digest(seed).0) && !holds(token(seed).as_bytes())));
    for (path, text) in files {
        assert_eq!(fs::read(path).expect("read"), text.into_bytes());
    }
}
