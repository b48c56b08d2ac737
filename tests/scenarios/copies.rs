//! What is only a copy may be broken, lost or written by somebody else: nothing is believed that stands there.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use openclaw_pairing::authority;
use openclaw_pairing::journal::Lock;
use openclaw_pairing::pairing::Seq;
use openclaw_pairing::state::StateDir;
use serde_json::{Value, json};

use crate::client::{ADMIN, Device, PATIENCE, READ, text};
use crate::running::{Running, Stopped};
use crate::world::{fold, needs_a_person};

/// The file of the newest saved state.
fn checkpoint_of(state: &StateDir, seq: Seq) -> std::path::PathBuf {
    state.journal().join(format!("{:020}.checkpoint", seq.0))
}

/// Saves the state beside the journal, and breaks its checksum.
fn broken_checkpoint(stopped: &Stopped) {
    let lock = Lock::acquire(&stopped.state.journal()).expect("free");
    let host = Arc::clone(&stopped.host);
    let seq = authority::checkpoint(lock, &*host, None).expect("saved");
    let path = checkpoint_of(&stopped.state, seq);
    let mut bytes = fs::read(&path).expect("a checkpoint");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes).expect("written");
}

async fn until_written_again(state: &StateDir, ids: &[String]) -> Value {
    let look = async {
        loop {
            let read = |name: &str| fs::read(state.devices().join(name)).ok();
            let paired = read("paired.json").and_then(|bytes| serde_json::from_slice::<BTreeMap<String, Value>>(&bytes).ok());
            if let (Some(paired), Some(pending)) = (paired, read("pending.json"))
                && paired.keys().eq(ids.iter())
                && pending == b"{}"
            {
                return json!(paired);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("they are written again")
}

#[tokio::test]
async fn s25_copies_that_are_broken_lost_or_edited_change_nothing() {
    let gateway = Running::start().await;
    let devices: Vec<_> = (1..=5).map(Device::new).collect();
    let mut tokens = vec![];
    for device in &devices {
        let request = gateway.request(&device.asks(READ).remote()).await;
        gateway.owner("device.pair.approve", json!({ "requestId": request })).await.expect("approved");
        let (_, hello) = gateway.admit(&device.asks(READ).remote()).await;
        tokens.push(text(&hello["auth"]["deviceToken"]).to_owned());
    }
    let request = gateway.request(&Device::new(9).asks(READ).remote()).await;
    let mut ids: Vec<_> = devices.iter().map(Device::id).collect();
    ids.sort();
    let sixth = Device::new(6);
    let mut stopped = gateway.stop().await;
    let edited = |state: &StateDir| {
        let path = state.devices().join("paired.json");
        let mut paired: Value = serde_json::from_slice(&fs::read(&path).expect("a copy")).expect("JSON");
        let mut entry = paired[&ids[0]].clone();
        entry["deviceId"] = sixth.id().into();
        for scopes in ["scopes", "approvedScopes"] {
            entry[scopes] = json!(ADMIN);
        }
        paired[sixth.id()] = entry;
        fs::write(path, paired.to_string()).expect("written");
    };
    type Harm<'a> = (&'a str, &'a dyn Fn(&Stopped), Vec<String>);
    let harms: [Harm<'_>; 4] = [
        (
            "broken",
            &|stopped| {
                fs::write(stopped.state.devices().join("paired.json"), "").expect("written");
                fs::write(stopped.state.devices().join("pending.json"), "[]").expect("written");
                broken_checkpoint(stopped);
            },
            vec![
                "devices/ held a paired.json that is no copy of ours (0 bytes); ".to_owned(),
                "devices/ held a pending.json that is no copy of ours (2 bytes); ".to_owned(),
            ],
        ),
        (
            "deleted",
            &|stopped| {
                fs::remove_dir_all(stopped.state.devices()).expect("removed");
                for entry in
                    fs::read_dir(stopped.state.journal()).expect("a journal").map(|entry| entry.expect("an entry").path())
                {
                    if entry.extension().is_some_and(|extension| extension == "checkpoint") {
                        fs::remove_file(entry).expect("removed");
                    }
                }
            },
            vec!["devices/ was gone at the start; ".to_owned()],
        ),
        (
            "edited",
            &|stopped| edited(&stopped.state),
            vec![format!("devices/ is edited: paired.json names 1 not paired, which changes nothing: {}", &sixth.id()[..16])],
        ),
        ("as it was left", &|_| {}, vec![]),
    ];
    for (harm, harmed, lines) in harms {
        harmed(&stopped);
        let before = stopped.records().len();
        let gateway = stopped.start().await;
        let copy = until_written_again(&gateway.state, &ids).await;
        assert!(!copy.to_string().contains("token"), "{harm}: {copy}");
        for (device, token) in devices.iter().zip(&tokens) {
            gateway.admit(&device.returns(token, READ).remote()).await;
        }
        let refused = gateway.refuse(&sixth.asks(ADMIN).remote()).await;
        let asked = needs_a_person(&refused, "not-paired");
        gateway.owner("device.pair.reject", json!({ "requestId": asked })).await.expect("rejected");
        let list = gateway.owner("device.pair.list", json!({})).await.expect("a list");
        let pending: Vec<_> = list["pending"].as_array().expect("a list").iter().map(|entry| text(&entry["requestId"])).collect();
        assert_eq!((list["paired"].as_array().map(Vec::len), pending), (Some(5), vec![request.as_str()]), "{harm}");
        let status = gateway.owner("status", json!({})).await.expect("a status");
        let replayed =
            fold(&gateway.records()[..usize::try_from(status["journal"]["seq"].as_u64().expect("a seq")).expect("small")]);
        assert_eq!(text(&status["journal"]["digest"]), replayed.digest().0.to_string(), "{harm}");
        let log: Vec<_> = gateway.log().await.split_off(before);
        for line in &lines {
            assert_eq!(log.iter().filter(|(_, said)| said.starts_with(line)).count(), 1, "{harm}: {line} in {log:#?}");
        }
        let found = log.iter().filter(|(event, said)| event == "ConditionFound" && said.starts_with("devices/")).count();
        assert_eq!(found, lines.len(), "{harm}: {log:#?}");
        stopped = gateway.stop().await;
    }
}
