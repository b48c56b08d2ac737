//! Acts of the owner from a shell that OpenClaw's agent started: what widens is a person's.

use super::client::{ADMIN, Device, READ};
use super::home::{Ended, Home};
use super::{asked, under, words};

const SAYS: &str = "refused from a shell of OpenClaw's agent";

/// How an agent's command may come to run ours: as its shell does, in a grandchild, and in one that hides what it is below.
const SHELLS: [&[&str]; 3] = [
    &["env", "OPENCLAW_SHELL=exec"],
    &["env", "OPENCLAW_SHELL=exec", "sh", "-c", "sh -c '\"$@\"; exit $?' sh \"$@\"; exit $?", "sh"],
    &["env", "OPENCLAW_SHELL=exec", "sh", "-c", "env -u OPENCLAW_SHELL \"$@\"; exit $?", "sh"],
];

impl Home {
    /// Runs a command below a shell.
    fn below(&self, shell: &[&str], args: &[&str]) -> Ended {
        self.spawn(&words(shell), args).end()
    }

    /// The refusals on record that say from where they came.
    fn refused_from_exec(&self) -> usize {
        let logs = self.run(&["logs", "--limit", "5000"]).done();
        let says = |line: &&str| line.contains(", from a shell of OpenClaw's agent") && line.contains(SAYS);
        logs.lines().filter(says).count()
    }
}

#[tokio::test]
async fn x15_what_widens_is_not_taken_from_a_shell_of_the_agent_and_what_narrows_is() {
    let home = Home::new();
    let gateway = home.start();
    let (phone, pad) = (Device::new(1), Device::new(2));
    let request = asked(&phone, READ, gateway.address, &home).await;
    for (place, shell) in SHELLS.iter().enumerate() {
        home.below(shell, &["devices", "approve", &request]).refused(&[SAYS, "seat belt", "ownerActsFromExec"]);
        home.below(shell, &["devices", "approve"]).refused(&[SAYS]);
        assert_eq!(home.refused_from_exec(), 2 * (place + 1));
    }
    let told = home.below(SHELLS[0], &["devices", "approve", &request, "--json"]).refused(&[SAYS]).json();
    assert_eq!(told["error"]["details"]["code"], "FROM_EXEC_SHELL");

    home.run(&["devices", "approve", &request]).done();
    let (id, role) = (phone.id(), ["--role", "operator"]);
    let rotate = |scope| ["devices", "rotate", "--device", &id, role[0], role[1], "--scope", scope].map(str::to_owned);
    let [wider, same] = [rotate("operator.admin"), rotate("operator.read")];
    let args = |args: &[String]| home.below(SHELLS[1], &args.iter().map(String::as_str).collect::<Vec<_>>());
    args(&wider).refused(&[SAYS]);
    args(&same).done();
    // Nor does an agent's shell see for a person.
    home.below(SHELLS[0], &["gateway", "status", "--seen"]).refused(&[SAYS]);
    let looked = home.below(SHELLS[0], &["gateway", "status", "--json"]);
    assert_eq!(looked.code, Some(0));
    assert!(looked.json()["ownerActs"]["unseen"].as_u64().is_some_and(|count| count > 5));
    let other = asked(&pad, ADMIN, gateway.address, &home).await;
    home.below(SHELLS[2], &["devices", "reject", &other]).done();
    home.below(SHELLS[2], &["devices", "remove", &phone.id()]).done();

    // With the gateway stopped it is the process itself that is looked at.
    let last = asked(&pad, ADMIN, gateway.address, &home).await;
    gateway.stop();
    let before = home.refused_from_exec();
    for shell in SHELLS {
        home.below(shell, &["devices", "approve", &last]).refused(&[SAYS]);
    }
    assert_eq!(home.refused_from_exec(), before + SHELLS.len());
    home.run(&["devices", "approve", &last]).done();
}

#[tokio::test]
async fn x15_a_person_in_openclaws_own_terminal_or_a_policy_that_says_so_is_no_agent() {
    let typed: &[&str] = &["env", "OPENCLAW_SHELL=tui-local"];
    for (policy, shell) in [("{ version: 1 }", typed), ("{ version: 1, ownerActsFromExec: true }", SHELLS[1])] {
        let home = under(policy);
        let gateway = home.start();
        let first = asked(&Device::new(1), READ, gateway.address, &home).await;
        home.below(shell, &["devices", "approve", &first]).done();
        let second = asked(&Device::new(2), READ, gateway.address, &home).await;
        gateway.stop();
        home.below(shell, &["devices", "approve", &second]).done();
        // What is let through is told as what it was.
        let logs = home.run(&["logs"]).done();
        let granted = logs.lines().filter(|line| line.contains("was granted"));
        let from_exec = granted.filter(|line| line.contains("from a shell of OpenClaw's agent")).count();
        assert_eq!(from_exec, if shell == typed { 0 } else { 2 }, "{logs}");
    }
}
