//! What takes an installation apart, and who gets everyone back: the real binary, real sockets, and the commands that `doctor`
//! prints and nothing else. One snapshot per answer, with what differs from run to run made constant.

#[path = "../support/client.rs"]
mod client;
mod doctor;
#[path = "../support/home.rs"]
mod home;
mod resets;
#[path = "../support/running.rs"]
mod running;
#[path = "../scenarios/world.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "shared with the scenarios, which use the rest")]
mod world;

use client::{Device, SECRET, text};
use home::Gateway;
use serde_json::{Value, json};
use world::{Real, Said, present};

/// With a proxy that is trusted, so that clients come from afar.
fn real() -> Real {
    Real::new(json!({ "auth": { "token": SECRET }, "trustedProxies": ["127.0.0.1"] }))
}

/// Pairs these devices, by their owner; the tokens that they get.
async fn paired(real: &Real, gateway: &Gateway, devices: &[&Device], scopes: &[&str]) -> Vec<String> {
    let mut tokens = vec![];
    for device in devices {
        let request = device.afar(scopes).connect(gateway.address, present().0).await.refused().await.request();
        real.cli(&["devices", "approve", &request]).await.done();
        let (_, hello) = device.afar(scopes).connect(gateway.address, present().0).await.admitted().await;
        tokens.push(text(&hello["auth"]["deviceToken"]).to_owned());
    }
    tokens
}

/// Exit code and both outputs, masked; these devices have names.
fn masked(real: &Real, said: &Said, names: &[(&Device, &str)]) -> String {
    let part = |name, text: &str| if text.is_empty() { String::new() } else { format!("--- {name}\n{text}") };
    let code = said.code.expect("an exit code");
    let mut text = format!("exit {code}\n{}{}", part("stdout", &said.out), part("stderr", &said.err));
    for (device, name) in names {
        text = text.replace(&device.id(), &format!("<{name}>"));
    }
    let text = text.replace(&real.home.path().display().to_string(), "~").replace(env!("CARGO_PKG_VERSION"), "<this version>");
    let rules = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
        (r"[0-9a-f]{64}", "<hex>"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>"),
        (r"\b1[78]\d{11}\b", "<ms>"),
        (r"\d+ (s|min) after", "<span> after"),
        (r"seq \d+", "seq <n>"),
        (r"(?m)^ +\d+ <time>", "    <n> <time>"),
        // Written again within a moment, and then it is as it should be.
        (r"Note +devices/ was gone at the start;.*\n.*\n", ""),
        (r"(process|kill) \d+", "$1 <pid>"),
        (r"root on the gateway host|the owner on the gateway host \(uid \d+\)", "<owner>"),
    ];
    rules.iter().fold(text, |text, (from, to)| regex::Regex::new(from).expect("a pattern").replace_all(&text, *to).into_owned())
}

/// What `doctor --json` finds, and whether it says that nothing needs a person, as its exit code does.
async fn findings(real: &Real) -> (bool, Vec<Value>) {
    let said = real.cli(&["doctor", "--json"]).await;
    let told = said.json();
    let is_well = told["ok"] == true;
    assert_eq!(said.code, Some(i32::from(!is_well)), "{said:?}");
    (is_well, told["findings"].as_array().expect("findings").clone())
}

/// Types the commands of all problems, one after the other; each is obeyed.
async fn follow(real: &Real) -> Vec<String> {
    let (_, findings) = findings(real).await;
    let problems = findings.iter().filter(|finding| finding["severity"] == "problem");
    let commands: Vec<_> = problems.map(|finding| text(&finding["command"]).to_owned()).collect();
    for command in &commands {
        let mut words: Vec<_> = command.strip_prefix("openclaw ").expect("a command of ours").split(' ').collect();
        // Who types it is asked.
        words.extend((words[0] == "recover").then_some("--yes"));
        real.cli(&words).await.done();
    }
    commands
}

/// That nobody is needed.
async fn is_well(real: &Real) {
    let said = real.cli(&["doctor"]).await.done();
    assert!(!said.out.contains("Problem"), "{said:?}");
}
