//! The owner of the gateway's host: who acted, from where, what is told of it and what is not taken. Real processes, as people
//! and agents start them.

#[path = "../support/client.rs"]
mod client;
#[path = "../support/home.rs"]
mod home;

mod acts;
mod doors;
mod exec;
mod files;
mod users;

use std::time::{SystemTime, UNIX_EPOCH};

use client::{Ask, Device, Tried};
use home::{Ended, Home};
use openclaw_pairing::journal::{Journal, Lock};
use openclaw_pairing::pairing::{Actor, JournalCreated, JournalId, Millis, Record, Seq};
use serde_json::Value;
use std::net::SocketAddr;

/// What the machine's clock says.
fn present() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time");
    u64::try_from(since.as_millis()).expect("a time")
}

/// A home whose journal begins with this policy.
fn under(policy: &str) -> Home {
    let home = Home::new();
    let lock = Lock::acquire(&home.journal()).expect("free");
    let mut journal = Journal::create(lock, JournalId([9; 16])).expect("a journal");
    let event = JournalCreated { journal: journal.id(), policy: policy.to_owned() }.into();
    let record = Record { seq: Seq(1), at: Millis(present()), actor: Actor::System, event };
    journal.append(journal.head(), &[record]).expect("a first record");
    home
}

impl Ask {
    /// With the secret of this home, at the present time.
    async fn at(self, address: SocketAddr, home: &Home) -> Tried {
        self.auth(serde_json::json!({ "token": home.token() })).connect(address, present()).await
    }
}

/// A request of a device that is not local.
async fn asked(device: &Device, scopes: &[&str], address: SocketAddr, home: &Home) -> String {
    device.asks(scopes).remote().at(address, home).await.refused().await.request()
}

impl Ended {
    #[track_caller]
    fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// Exit 1, and these on standard error.
    #[track_caller]
    fn refused(self, parts: &[&str]) -> Self {
        assert_eq!(self.code, Some(1), "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is missing in {self:?}");
        }
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Words as a process takes them.
fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}
