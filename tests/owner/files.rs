//! Files of ours, and what is shown to others of what they hold.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use openclaw_pairing::journal::{Verdict, verify};

use super::client::{ADMIN, Device, READ};
use super::home::Home;
use super::{asked, words};

fn below(dir: &Path) -> Vec<PathBuf> {
    let mut all = vec![dir.to_owned()];
    for entry in fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if fs::symlink_metadata(&entry).expect("there").is_dir() {
            all.extend(below(&entry));
        } else {
            all.push(entry);
        }
    }
    all
}

/// Whatever the mask says: copies of secrets, what a repair puts aside, exports, sockets.
#[tokio::test]
async fn x36_every_file_is_its_owners_alone() {
    for mask in ["000", "777"] {
        let home = Home::new();
        let masked = words(&["sh", "-c", &format!("umask {mask}; exec \"$@\""), "sh"]);
        fs::create_dir(home.state()).expect("made");
        fs::set_permissions(home.state(), fs::Permissions::from_mode(0o700)).expect("closed");
        // A configuration with a secret, which a start writes anew and keeps beside.
        let config = home.state().join("openclaw.json");
        fs::write(&config, r#"{ "gateway": {}, "channels": { "x": { "token": "another secret" } } }"#).expect("written");
        let gateway = home.start_behind(&masked).expect("it starts");
        let (url, token) = (format!("ws://{}", gateway.address), home.token());
        home.spawn(&masked, &["devices", "list", "--url", &url, "--token", &token]).end().done();
        let check = |when: &str, more: &[&str]| {
            let mut names = vec![];
            let ours = [home.state().to_owned(), home.path().join(".local")].into_iter().flat_map(|dir| below(&dir));
            for path in ours.chain(more.iter().map(|name| home.path().join(name))) {
                let found = fs::symlink_metadata(&path).expect("there");
                let wanted = if found.is_dir() { 0o700 } else { 0o600 };
                assert_eq!(found.permissions().mode() & 0o7777, wanted, "umask {mask}, {when}: {}", path.display());
                assert!(found.is_dir() || found.is_file() || found.file_type().is_socket(), "{}", path.display());
                names.push(path.file_name().expect("a name").to_string_lossy().into_owned());
            }
            names
        };
        let names = check("while it runs", &[]);
        for name in ["owner.sock", "openclaw.json.bak", "token.key", "device.json", "device-auth.json", "lock"] {
            assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
        }
        let bak = fs::read_to_string(home.state().join("openclaw.json.bak")).expect("kept");
        assert!(bak.contains("another secret"));
        gateway.stop();
        let mut bytes = fs::read(home.segment()).expect("a segment");
        // Not where the zeros begin: what is sound may end with some.
        let Ok(Verdict::Sound(extent)) = verify(&home.journal()) else { panic!("it is sound") };
        bytes.truncate(usize::try_from(extent.offset).expect("a length"));
        bytes.extend(b"half a batch");
        fs::write(home.segment(), bytes).expect("written");
        assert!(home.spawn(&masked, &["journal", "repair"]).end().done().starts_with("Put aside 12 bytes"));
        home.spawn(&masked, &["journal", "checkpoint"]).end().done();
        let exports = ["records", "rows", "redacted", "head"];
        for (name, args) in exports.iter().zip([
            &["journal", "export"][..],
            &["journal", "export", "--csv"],
            &["journal", "export", "--redact"],
            &["journal", "head"],
        ]) {
            home.spawn(&masked, &[args, &["--output", name]].concat()).end().done();
        }
        let names = check("stopped", &exports);
        for kind in ["checkpoint", "segment", "torn", "witness", "key"] {
            assert!(names.iter().any(|name| name.contains(kind)), "{kind} in {names:?}");
        }
    }
}

/// An export for others has no address, name, label or path in it; what belongs together still does.
#[tokio::test]
async fn x35_a_redacted_export_names_nobody() {
    let home = Home::new();
    let gateway = home.start();
    let phone = Device::new(1);
    let named = |params: &mut serde_json::Value| {
        for field in ["displayName", "modelIdentifier", "instanceId"] {
            params["client"][field] = format!("my-{field}").into();
        }
    };
    // Not believed, and noted.
    let afar = |ask: super::client::Ask| ask.header("x-forwarded-for", "203.0.113.77").edit(named);
    afar(phone.asks(READ)).at(gateway.address, &home).await.refused().await;
    afar(Device::new(2).asks(ADMIN)).at(gateway.address, &home).await.refused().await;
    let request = asked(&phone, READ, gateway.address, &home).await;
    home.run(&["devices", "approve", &request]).done();
    home.run(&["devices", "rename", &phone.id(), "my phone"]).done();
    home.run(&["devices", "rename", &phone.id(), "my other phone"]).done();
    home.run(&["devices", "rename", &phone.id(), "my phone"]).done();
    gateway.stop();
    let place = home.path().file_name().expect("a name").to_str().expect("UTF-8").to_owned();
    for args in [&["journal", "export"][..], &["journal", "export", "--csv"]] {
        let (whole, redacted) = (home.run(args).done(), home.run(&[args, &["--redact"]].concat()).done());
        assert_eq!(whole.lines().count(), redacted.lines().count());
        for personal in ["203.0.113.77", "my-displayName", "my phone", "my other phone", place.as_str(), "localFirstPairing: {"] {
            assert!(whole.contains(personal) || args.len() == 3, "{personal} was there");
            assert!(!redacted.contains(personal), "{personal} in {redacted}");
        }
        // Who is asked about, and what was one thing, is still one.
        assert!(redacted.contains(&phone.id()) && redacted.contains("127.0.0.1"));
        assert!(redacted.contains("label-1") && redacted.contains("label-2") && !redacted.contains("label-3"), "{redacted}");
    }
    let redacted = home.run(&["journal", "export", "--redact"]).done();
    assert_eq!(
        redacted.matches("\"198.18.0.1\"").count(),
        home.run(&["journal", "export"]).done().matches("\"203.0.113.77\"").count()
    );
}
