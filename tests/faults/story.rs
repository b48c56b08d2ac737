//! Some twenty commands in nine stages, one process each, in which a system call can be made to fail or to kill. Whatever
//! happens in them, afterwards the promises hold.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::Path;

use serde_json::json;

use super::client::{Ask, Device, READ, Reply, Token, WRITE, connect, owner, text};
use super::home::{Gateway, Home};
use super::ledger::Ledger;
use super::strace::{self, Attached};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A gateway makes its state, a phone pairs by rule, and it stops.
    First,
    /// A gateway that runs: devices ask, the owner answers, rotates, revokes, removes, and it stops.
    Traffic,
    /// The owner at the journal of the stopped gateway.
    Approve,
    Rotate,
    Revoke,
    Remove,
    Head,
    Export,
    /// A gateway finds a torn end, the phone returns with its token, and it stops.
    Again,
}

pub(crate) const STAGES: [Stage; 9] = [
    Stage::First,
    Stage::Traffic,
    Stage::Approve,
    Stage::Rotate,
    Stage::Revoke,
    Stage::Remove,
    Stage::Head,
    Stage::Export,
    Stage::Again,
];

impl Stage {
    /// Whether it has a runtime of tasks and sockets.
    pub(crate) fn is_async(self) -> bool {
        !matches!(self, Self::Head | Self::Export)
    }
}

/// What strace is to do with the process of a stage.
struct Means<'a> {
    trace: &'a Path,
    options: &'a [String],
}

impl Means<'_> {
    fn words(&self) -> Vec<String> {
        strace::over(self.trace, self.options)
    }

    fn attach(&self, gateway: &Gateway) -> Attached {
        Attached::to(&gateway.process, self.trace, self.options)
    }
}

/// What one stage leaves for the next ones.
#[derive(Clone, Default)]
struct Facts {
    /// The phone's own token.
    token: String,
    /// A request that waits.
    request: String,
}

fn phone() -> Device {
    Device::new(1)
}

fn tablet() -> Device {
    Device::new(2)
}

fn laptop() -> Device {
    Device::new(3)
}

fn stranger() -> Device {
    Device::new(6)
}

/// A stage, what was there before it, and how often it makes each call where nothing goes wrong.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) counts: BTreeMap<String, u64>,
    before: Home,
    records: Vec<String>,
    facts: Facts,
}

/// Plays the story once without faults.
pub(crate) fn scenes() -> Vec<Scene> {
    let (mut facts, mut home) = (Facts::default(), Home::new());
    let mut scene = |stage| {
        if stage == Stage::Again {
            tear(&home);
        }
        let (before, records) = (Home::copy_of(&home), home.records());
        let facts_before = facts.clone();
        let acting = Home::copy_of(&home);
        let (trace, mut ledger) = (acting.path().join("trace"), Ledger::default());
        play(stage, &acting, &mut facts, &Means { trace: &trace, options: &strace::counting() }, &mut ledger);
        assert!(ledger.told() > 0 || matches!(stage, Stage::Head | Stage::Export), "{stage:?} did nothing");
        let counts = strace::counts(&trace);
        ledger.check(&records, &acting.records());
        if matches!(stage, Stage::First | Stage::Traffic) {
            home = acting;
        }
        Scene { stage, counts, before, records, facts: facts_before }
    };
    STAGES.iter().map(|stage| scene(*stage)).collect()
}

impl Scene {
    /// Plays it with this fault, and checks the promises; whether it happened.
    pub(crate) fn play(&self, inject: &str) -> bool {
        let (home, mut ledger) = (Home::copy_of(&self.before), Ledger::default());
        let (trace, options) = (home.path().join("trace"), strace::injecting(inject));
        play(self.stage, &home, &mut self.facts.clone(), &Means { trace: &trace, options: &options }, &mut ledger);
        check(&home, &self.records, &mut ledger);
        strace::has_happened(&trace)
    }
}

/// The promises: no damage, a start without a hand, everything that was told on record and nothing else, and work goes on.
pub(crate) fn check(home: &Home, before: &[String], ledger: &mut Ledger) {
    if home.segment().exists() {
        home.verify();
    }
    let gateway = home.start();
    let late = Device::new(4);
    ledger.ask(&late.id());
    // Sockets are left before the stop, which would wait for their answer.
    let (_, reply) = connect(gateway.address, local(&late, &home.token()));
    tell_admitted(ledger, &reply);
    reply.granted();
    let ended = gateway.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    home.verify_sound();
    ledger.check(before, &home.records());
}

/// Takes three bytes of the last record away.
fn tear(home: &Home) {
    let bytes = fs::read(home.segment()).expect("a segment");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("a record") + 1;
    let file = OpenOptions::new().write(true).open(home.segment()).expect("a segment");
    file.set_len(u64::try_from(end - 3).expect("small")).expect("cut");
}

fn play(stage: Stage, home: &Home, facts: &mut Facts, means: &Means<'_>, ledger: &mut Ledger) {
    match stage {
        Stage::First | Stage::Again => {
            // One that a fault kept from starting has told nobody anything.
            let Ok(gateway) = home.start_behind(&means.words()) else { return };
            ledger.ask(&phone().id());
            let shared = home.token();
            let token = if stage == Stage::First { Token::Shared(&shared) } else { Token::Own(&facts.token) };
            let (_, reply) = connect(gateway.address, Ask { token, ..local(&phone(), &shared) });
            tell_admitted(ledger, &reply);
            if let Reply::Yes(hello) = &reply {
                facts.token = text(&hello["auth"]["deviceToken"]);
            }
            gateway.stop();
        }
        Stage::Traffic => {
            let gateway = home.start();
            let attached = means.attach(&gateway);
            traffic(&gateway, home, facts, ledger);
            gateway.stop();
            attached.finish();
        }
        Stage::Approve => {
            ledger.ask(&stranger().id());
            let args = ["devices", "approve", &facts.request];
            command(home, means, ledger, &args, &facts.request, "PairingApproved");
        }
        Stage::Rotate => {
            let id = phone().id();
            let args = ["devices", "rotate", "--device", &id, "--role", "operator"];
            command(home, means, ledger, &args, &id, "TokenRotated");
        }
        Stage::Revoke => {
            let id = phone().id();
            let args = ["devices", "revoke", "--device", &id, "--role", "operator"];
            command(home, means, ledger, &args, &id, "TokenRevoked");
        }
        Stage::Remove => {
            let id = laptop().id();
            command(home, means, ledger, &["devices", "remove", &id], &id, "DeviceRemoved");
        }
        Stage::Head => {
            if home.spawn(&means.words(), &["journal", "head", "--output", "head"]).end().code == Some(0) {
                let ended = home.run(&["journal", "verify", "--head", "head"]);
                assert_eq!(ended.code, Some(0), "{ended:?}");
            }
        }
        Stage::Export => {
            if home.spawn(&means.words(), &["journal", "export", "--output", "export"]).end().code == Some(0) {
                let export = fs::read_to_string(home.path().join("export")).expect("an export");
                assert_eq!(export.lines().collect::<Vec<_>>(), home.records());
            }
        }
    }
}

/// One command of the owner; whatever it printed of `id` it has told.
fn command(home: &Home, means: &Means<'_>, ledger: &mut Ledger, args: &[&str], id: &str, event: &'static str) {
    ledger.ask(id);
    let ended = home.spawn(&means.words(), args).end();
    if ended.stdout.contains(id) {
        ledger.tell(event, id);
    }
}

fn local<'a>(device: &'a Device, shared: &'a str) -> Ask<'a> {
    Ask { device, scopes: READ, token: Token::Shared(shared), is_remote: false }
}

pub(crate) fn tell_admitted(ledger: &mut Ledger, reply: &Reply) {
    if let Reply::Yes(hello) = reply {
        ledger.tell("ConnectionAdmitted", &text(&hello["server"]["connId"]));
    }
}

fn traffic(gateway: &Gateway, home: &Home, facts: &mut Facts, ledger: &mut Ledger) {
    let shared = home.token();
    // Gives the id of a request, or a token.
    let ask = |ledger: &mut Ledger, device: &Device, scopes: &[&str], is_remote| {
        ledger.ask(&device.id());
        let (_, reply) = connect(gateway.address, Ask { scopes, is_remote, ..local(device, &shared) });
        tell_admitted(ledger, &reply);
        match reply {
            Reply::No(error) if error["details"]["requestId"].is_string() => {
                let request = text(&error["details"]["requestId"]);
                ledger.tell("PairingRequested", &request);
                request
            }
            Reply::Yes(hello) => text(&hello["auth"]["deviceToken"]),
            _ => String::new(),
        }
    };
    let owns = |ledger: &mut Ledger, method: &str, params, event, id: &str| {
        if id.is_empty() {
            return;
        }
        ledger.ask(id);
        if let Reply::Yes(_) = owner(home.state(), method, &params) {
            ledger.tell(event, id);
        }
    };
    ask(ledger, &tablet(), READ, false);
    let more = ask(ledger, &phone(), WRITE, true);
    let unwanted = ask(ledger, &Device::new(5), READ, true);
    owns(ledger, "device.pair.approve", json!({ "requestId": more }), "PairingApproved", &more);
    facts.token = ask(ledger, &phone(), WRITE, true);
    owns(ledger, "device.pair.reject", json!({ "requestId": unwanted }), "PairingRejected", &unwanted);
    ask(ledger, &laptop(), READ, false);
    let id = tablet().id();
    owns(ledger, "device.token.rotate", json!({ "deviceId": id, "role": "operator" }), "TokenRotated", &id);
    owns(ledger, "device.token.revoke", json!({ "deviceId": id, "role": "operator" }), "TokenRevoked", &id);
    ask(ledger, &tablet(), READ, false);
    let waits = ask(ledger, &stranger(), READ, true);
    if !waits.is_empty() {
        facts.request = waits;
    }
    owner(home.state(), "device.pair.list", &json!({}));
}
