//! Devices that a real OpenClaw kept, at the sockets: who may import, what is no device, and what a token of OpenClaw's is told.

use openclaw_pairing::pairing::{PublicKey, foreign_digest};
use openclaw_pairing::wire::devices::public_key_text;
use serde_json::{Value, json};

use super::client::{ADMIN, Device, READ, text};
use super::running::Running;

const TOKEN: &str = "84GU9vqB9DutIekWqlQR2L7Hsd4Mm7P0cdedNq0lkmg";

fn kept(device: &Device) -> Value {
    let token = json!({
        "digest": foreign_digest(TOKEN).expect("strong").to_string(), "scopes": READ, "createdAtMs": 1, "rotatedAtMs": null,
    });
    json!({
        "publicKey": public_key_text(&PublicKey(device.public())), "clientId": "gateway-client", "clientMode": "ui",
        "displayName": null, "platform": "linux", "deviceFamily": null, "version": null, "modelIdentifier": null,
        "caps": [], "commands": [], "operatorLabel": null, "remoteIp": "::", "createdAtMs": 1, "approvedAtMs": 2,
        "roles": [{ "role": "operator", "scopes": READ, "token": token }],
    })
}

fn params(device: &Value) -> Value {
    json!({ "source": "00".repeat(32), "devices": [device] })
}

#[tokio::test]
async fn x44_nobody_imports_over_the_network_whatever_it_holds() {
    let gateway = Running::start().await;
    let (mut admin, _) = gateway.admit(&Device::new(1).asks(ADMIN)).await;
    let (mut reader, _) = gateway.admit(&Device::new(2).asks(READ)).await;
    let mut asked = params(&kept(&Device::new(3)));
    assert_eq!(reader.denied("device.import", asked.clone()).await["message"], "missing scope: operator.admin");
    for dry_run in [false, true] {
        asked["dryRun"] = dry_run.into();
        let refused = admin.denied("device.import", asked.clone()).await;
        assert!(text(&refused["message"]).contains("only the owner may do that"), "{refused}");
    }
    assert!(gateway.records().iter().all(|record| record.event.name() != "DeviceImported"));
    let imported = gateway.owner("device.import", params(&kept(&Device::new(3)))).await.expect("imported");
    assert_eq!(imported["imported"], json!([Device::new(3).id()]));
}

#[tokio::test]
async fn x44_what_is_no_device_is_not_imported() {
    let gateway = Running::start().await;
    let (sound, records) = (kept(&Device::new(1)), gateway.records().len());
    let long = "x".repeat(129);
    for (pointer, value) in [
        ("/publicKey", json!("AAAA")),
        ("/clientId", json!("root")),
        ("/clientMode", json!("root")),
        ("/platform", json!(long)),
        ("/caps", json!(vec!["x"; 129])),
        ("/commands", json!([long])),
        ("/operatorLabel", json!("x".repeat(65))),
        ("/remoteIp", json!("nowhere")),
        ("/createdAtMs", json!(-1)),
        ("/roles", json!([])),
        ("/roles", json!([sound["roles"][0], sound["roles"][0]])),
        ("/roles/0/role", json!("root")),
        ("/roles/0/scopes", json!(["a,b"])),
        ("/roles/0/token/scopes", json!(ADMIN)),
        ("/roles/0/token/digest", json!("00")),
    ] {
        let mut device = sound.clone();
        *device.pointer_mut(pointer).expect("a place") = value.clone();
        let refused = gateway.owner("device.import", params(&device)).await.expect_err("refused");
        assert!(text(&refused["message"]).starts_with("invalid device.import params: "), "{pointer} {value}: {refused}");
    }
    let mut more = sound.clone();
    more["more"] = json!(1);
    for asked in [params(&more), json!({ "source": "00", "devices": [sound] }), json!({ "source": "00".repeat(32) })] {
        gateway.owner("device.import", asked).await.expect_err("refused");
    }
    assert_eq!(gateway.records().len(), records, "none of it is on record");
}

#[tokio::test]
async fn a_token_of_openclaws_is_told_again_to_who_presents_it_and_to_nobody_else() {
    let gateway = Running::start().await;
    let device = Device::new(1);
    gateway.owner("device.import", params(&kept(&device))).await.expect("imported");
    let ask = |ask: super::client::Ask| ask.client("gateway-client", "ui").remote();
    let (_, hello) = gateway.admit(&ask(device.returns(TOKEN, READ))).await;
    assert_eq!(hello["auth"]["deviceToken"], TOKEN);
    // By the shared secret it is let in, and its own token cannot be made again.
    let (_, hello) = gateway.admit(&ask(device.asks(READ))).await;
    assert_eq!(hello.get("auth"), None);
    let both = json!({ "token": super::client::SECRET, "deviceToken": TOKEN });
    let (_, hello) = gateway.admit(&ask(device.asks(READ).auth(both))).await;
    assert_eq!(hello["auth"]["deviceToken"], TOKEN);
    let wrong = json!({ "token": super::client::SECRET, "deviceToken": "84GU9vqB9DutIekWqlQR2L7Hsd4Mm7P0cdedNq0lkmh" });
    let (_, hello) = gateway.admit(&ask(device.asks(READ).auth(wrong))).await;
    assert_eq!(hello.get("auth"), None);
    // Rotated, it has one that can.
    gateway.owner("device.token.rotate", json!({ "deviceId": device.id(), "role": "operator" })).await.expect("rotated");
    gateway.refuse(&ask(device.returns(TOKEN, READ))).await;
    let (_, hello) = gateway.admit(&ask(device.asks(READ))).await;
    let fresh = text(&hello["auth"]["deviceToken"]).to_owned();
    assert_ne!(fresh, TOKEN);
    gateway.admit(&ask(device.returns(&fresh, READ))).await;
}
