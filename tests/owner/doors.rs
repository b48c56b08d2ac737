//! Every way in that a host has for its owner, open and closed.

use super::client::{ADMIN, Ask, Device, Heard, READ};
use super::{asked, under};
use openclaw_pairing::pairing::{DEFAULT_POLICY, STRICT_POLICY};

/// The preset closes all local doors at once. What is left is the owner's own: on the channel, and on a stopped gateway's
/// journal, of which the next start tells.
#[tokio::test]
async fn x18_closing_the_local_doors_leaves_none_but_the_owners_which_is_seen() {
    for (policy, is_open) in [(DEFAULT_POLICY, true), (STRICT_POLICY, false)] {
        let home = under(policy);
        let gateway = home.start();
        let doors: [Ask; 4] = [
            Device::new(1).asks(READ),
            Device::new(2).asks(&[]).role("node"),
            Ask::new(ADMIN).four(),
            Ask::new(READ).client("gateway-client", "backend").four(),
        ];
        for (place, door) in doors.into_iter().enumerate() {
            let heard = door.at(gateway.address, &home).await.heard;
            let Heard::Frame(frame) = heard else { panic!("door {place}: {heard:?}") };
            let scopes = frame["payload"]["auth"]["scopes"].as_array().is_some_and(|scopes| !scopes.is_empty());
            let lets_in = frame["ok"] == true && (scopes || place == 1);
            assert_eq!(lets_in, is_open, "door {place}: {frame}");
        }
        let request = asked(&Device::new(7), READ, gateway.address, &home).await;
        gateway.stop();
        home.run(&["devices", "approve", &request]).done();
        let gateway = home.start();
        assert!(gateway.process.stdout().contains("Owner acts     1 not seen yet"), "{}", gateway.process.stdout());
        gateway.stop();
    }
}
