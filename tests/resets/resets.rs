//! The four resets: an update, a reinstall, deleted identity and copies, another shared secret or bind.

use std::fs;
use std::process::Command;

use insta::assert_snapshot;
use openclaw_pairing::journal::{Journal, Lock};
use openclaw_pairing::pairing::{Actor, Event, GatewayStarted, GatewayStopped, Record};
use openclaw_pairing::state::StateDir;
use serde_json::json;

use crate::client::{CLI, Device, READ, SECRET, text};
use crate::home::BINARY;
use crate::world::present;
use crate::{findings, follow, is_well, masked, paired, real};

/// A run of an older version, in front of the next start.
fn ran(state: &StateDir, version: &str) {
    let mut last = None;
    let mut note = |record: &Record| {
        if let Event::GatewayStarted(event) = &record.event {
            last = Some(event.clone());
        }
    };
    let (mut journal, _) = Journal::open(Lock::acquire(&state.journal()).expect("free"), &mut note).expect("a journal");
    let started = GatewayStarted { version: version.to_owned(), ..last.expect("a start") };
    for event in [Event::from(started), GatewayStopped { cause: "SIGTERM".to_owned() }.into()] {
        let record = Record { seq: journal.head().seq.next(), at: present(), actor: Actor::System, event };
        journal.append(journal.head(), &[record]).expect("appended");
    }
}

#[tokio::test]
async fn after_an_update_everyone_who_asks_for_more_is_let_in_by_one_command() {
    let real = real();
    let gateway = real.home.start();
    let (laptop, phone, tablet) = (Device::new(1), Device::new(2), Device::new(3));
    let devices = [&laptop, &phone, &tablet];
    let names = [(&laptop, "laptop"), (&phone, "phone"), (&tablet, "tablet")];
    let tokens = paired(&real, &gateway, &devices, READ).await;
    gateway.stop();
    ran(&real.state, "0.0.9");
    let gateway = real.home.start();
    is_well(&real).await;
    // The new release of each client asks for more.
    for (device, token) in devices.iter().zip(&tokens).chain([(&devices[0], &tokens[0])]) {
        let refused = device.returns(token, CLI).afar().connect(gateway.address, present().0).await.refused().await;
        assert_eq!(text(&refused.error["details"]["reason"]), "scope-upgrade");
    }
    let said = real.cli(&["doctor"]).await;
    assert!(said.out.contains("4 refusals began ") && said.out.contains(" after the update from 0.0.9 to "), "{said:?}");
    assert_snapshot!("update_doctor", masked(&real, &said, &names));
    let why = real.cli(&["devices", "why", &phone.id()]).await;
    assert_snapshot!("update_why", masked(&real, &why, &names));
    let audit = real.cli(&["audit", "--device", &phone.id()]).await;
    assert_snapshot!("update_audit", masked(&real, &audit, &names));
    let commands = follow(&real).await;
    assert_eq!(commands.len(), 1, "{commands:?}");
    for (device, token) in devices.iter().zip(&tokens) {
        let (_, hello) = device.returns(token, CLI).afar().connect(gateway.address, present().0).await.admitted().await;
        assert_eq!(hello["auth"]["deviceToken"], json!(token), "the same token, widened");
    }
    is_well(&real).await;
    gateway.stop();
}

#[tokio::test]
async fn after_a_reinstall_that_keeps_the_state_nobody_is_out() {
    let real = real();
    let gateway = real.home.start();
    let (laptop, phone) = (Device::new(1), Device::new(2));
    let tokens = paired(&real, &gateway, &[&laptop, &phone], READ).await;
    // Taken away under it.
    gateway.kill();
    let said = real.cli(&["doctor"]).await;
    assert_snapshot!("reinstall_doctor_before", masked(&real, &said, &[]));
    let program = real.home.path().join("bin-openclaw");
    // By another process: one of ours could be forked with the file open for writing, and then nobody could run it.
    assert!(Command::new("cp").args([BINARY, &program.display().to_string()]).status().expect("it runs").success());
    let behind = ["/bin/sh", "-c", r#"shift; exec "$0" "$@""#, &program.display().to_string()].map(str::to_owned);
    let gateway = real.home.start_behind(&behind).expect("it starts");
    for (device, token) in [&laptop, &phone].into_iter().zip(&tokens) {
        device.returns(token, READ).afar().connect(gateway.address, present().0).await.admitted().await;
    }
    let said = real.cli(&["doctor"]).await;
    assert_snapshot!("reinstall_doctor", masked(&real, &said, &[]));
    let why = real.cli(&["devices", "why", &phone.id()]).await;
    assert_snapshot!("reinstall_why", masked(&real, &why, &[(&laptop, "laptop"), (&phone, "phone")]));
    let audit = real.cli(&["audit", "--device", &phone.id()]).await;
    assert_snapshot!("reinstall_audit", masked(&real, &audit, &[(&laptop, "laptop"), (&phone, "phone")]));
    assert!(follow(&real).await.is_empty());
    gateway.stop();
}

#[tokio::test]
async fn after_identity_and_devices_were_deleted_the_command_line_gets_its_place_back() {
    let real = real();
    let gateway = real.home.start();
    real.cli(&["policy", "apply", "--preset", "strict"]).await.done();
    let phone = Device::new(2);
    let tokens = paired(&real, &gateway, &[&phone], READ).await;
    // The host's own command line is a device too.
    let list = |port: u16| {
        ["devices", "list", "--token", SECRET, "--url"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("ws://127.0.0.1:{port}")])
            .collect::<Vec<_>>()
    };
    let ask = async |port: u16| {
        let words = list(port);
        real.cli(&words.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    ask(gateway.address.port()).await.refused(&["pairing required"], &[]);
    assert_eq!(follow(&real).await.len(), 1);
    ask(gateway.address.port()).await.done();
    gateway.stop();
    real.home.start().stop();
    fs::remove_dir_all(real.state.devices()).expect("removed");
    fs::remove_dir_all(real.state.identity().parent().expect("a directory")).expect("removed");

    let gateway = real.home.start();
    phone.returns(&tokens[0], READ).afar().connect(gateway.address, present().0).await.admitted().await;
    let refused = ask(gateway.address.port()).await.refused(&["pairing required"], &[]);
    let said = real.cli(&["doctor"]).await;
    assert_snapshot!("deleted_doctor", masked(&real, &said, &[(&phone, "phone")]));
    let (_, found) = findings(&real).await;
    let found = found.iter().find(|finding| finding["id"] == "identity").expect("the new key").clone();
    let [old, new] = [0, 1].map(|n| text(&found["devices"][n]).to_owned());
    let why = real.cli(&["devices", "why", &new]).await.done();
    assert_snapshot!("deleted_why", masked(&real, &why, &[]));
    let audit = real.cli(&["audit", "--device", &new]).await;
    assert_snapshot!("deleted_audit", masked(&real, &audit, &[]));
    let request = refused.err.split("openclaw devices approve ").nth(1).and_then(|rest| rest.split([' ', '\n']).next());
    let request = request.expect("a request");
    assert_eq!(found["command"], json!(format!("openclaw recover --succeed {old} --request {request}")));
    // The refusal and `devices why` name the other way, which makes it a device of its own.
    assert!(why.out.contains(&format!("Next: openclaw devices approve {request}")), "{why:?}");
    assert_eq!(follow(&real).await.len(), 1);
    ask(gateway.address.port()).await.done();
    is_well(&real).await;
    gateway.stop();
}

#[tokio::test]
async fn after_the_secret_the_mode_or_the_bind_changed_it_is_told_and_paired_devices_come_back() {
    for (name, auth, bind) in [
        ("secret", json!({ "token": "another secret of these tests" }), json!({})),
        ("mode", json!({ "mode": "password", "password": "another secret of these tests" }), json!({})),
        ("bind", json!({ "token": SECRET }), json!({ "bind": "custom", "customBindHost": "127.0.0.1" })),
    ] {
        let real = real();
        let gateway = real.home.start();
        let (laptop, phone) = (Device::new(1), Device::new(2));
        let names = [(&laptop, "laptop"), (&phone, "phone")];
        let tokens = paired(&real, &gateway, &[&laptop, &phone], READ).await;
        gateway.stop();
        let mut settings = json!({ "auth": auth, "trustedProxies": ["127.0.0.1"] });
        settings.as_object_mut().expect("settings").extend(bind.as_object().expect("settings").clone());
        fs::write(real.state.config(), json!({ "gateway": settings }).to_string()).expect("written");
        let gateway = real.home.start();
        if name == "bind" {
            let logs = real.cli(&["logs"]).await.done().out;
            assert!(logs.contains("the setting bind changed from loopback to custom"), "{logs}");
            phone.afar(READ).connect(gateway.address, present().0).await.admitted().await;
            let said = real.cli(&["doctor"]).await;
            assert_snapshot!("changed_bind_doctor", masked(&real, &said, &names));
            gateway.stop();
            continue;
        }
        for device in [&laptop, &laptop, &phone] {
            device.afar(READ).connect(gateway.address, present().0).await.refused().await;
        }
        let said = real.cli(&["doctor"]).await;
        assert_snapshot!(format!("changed_{name}_doctor"), masked(&real, &said, &names));
        let why = real.cli(&["devices", "why", &phone.id()]).await;
        assert_snapshot!(format!("changed_{name}_why"), masked(&real, &why, &names));
        let audit = real.cli(&["audit", "--device", &phone.id()]).await;
        assert_snapshot!(format!("changed_{name}_audit"), masked(&real, &audit, &names));
        assert_eq!(follow(&real).await.len(), 1);
        // As OpenClaw's clients do when they are told that they may.
        for (device, token) in [&laptop, &phone].into_iter().zip(&tokens) {
            device.returns(token, READ).afar().connect(gateway.address, present().0).await.admitted().await;
        }
        is_well(&real).await;
        let export = real.cli(&["journal", "export"]).await.done().out;
        assert!(!export.contains("secret of these tests"), "no secret is on record");
        gateway.stop();
    }
}
