use super::super::event::{Client, ClientId, ClientMode};
use super::super::scopes::ScopeSet;
use super::*;
use crate::limits;

fn policy(keys: &str) -> Policy {
    Policy::parse(&format!("{{ version: 1, {keys} }}")).expect(keys)
}

#[test]
fn the_default_document_spells_out_the_defaults() {
    assert_eq!(Policy::parse(DEFAULT), Policy::parse("{ version: 1 }"));
}

/// Each flaw with what is said of it: `|` ends a line of the document.
#[test]
fn what_is_no_policy_is_told_with_line_key_and_reason() {
    let loopback = "localPeer: 'loopback',| localUpgrade: { scopes: ['operator.read'] }";
    for (keys, says) in [
        // Keys.
        ("| localfirstPairing: false", "line 2, column 2: unknown key `localfirstPairing`, expected one of `version`, "),
        (
            "| budgets: {| record: { a: 1 } }",
            "line 3, column 12: budgets.record: unknown key `a`, expected one of `perAddress`, ",
        ),
        ("| localCli: { }", "line 2, column 12: localCli: missing key `scopes`"),
        ("| metadata: 'exact',| metadata: 'family'", "line 3, column 2: the key `metadata` stands twice"),
        ("| nodeCommands: {| ios: [],| ios: [] }", "line 4, column 2: the key `ios` stands twice"),
        ("| nodeCommands: {| ios: [],| ioz: [] }", "line 4, column 7: nodeCommands.ioz: no platform family is called \"ioz\"; "),
        // Values.
        ("| localCli: true", "line 2, column 12: localCli: a rule is false or its terms"),
        ("| localCli: 5", "line 2, column 12: localCli: invalid type: integer `5`, expected false, or the terms of the rule"),
        ("| localPeer: 'anybody'", "line 2, column 13: localPeer: \"owner-uid\" or \"loopback\" is meant, not \"anybody\""),
        ("| requestTtl: '1m'", "line 2, column 14: requestTtl: a time from \"2m\" to \"24h\" is meant, not \"1m\""),
        ("| requestTtl: 5", "line 2, column 14: requestTtl: expected string"),
        ("| trustedNodeCidrs: ['10.0.0.1/8']", "line 2, column 21: trustedNodeCidrs[0]: \"10.0.0.1/8\" names an address inside"),
        ("| trustedNodeCidrs: ['10.0.0.0/+8']", "line 2, column 21: trustedNodeCidrs[0]: a network is an address and how many"),
        ("| ceilings: [{ clientId: 'x', scopes: [] }]", "line 2, column 25: ceilings[0].clientId: no client id is called \"x\""),
        // Bounds of budgets.
        ("| budgets: { record: {| perAddress: 0 } }", "line 3, column 14: budgets.record.perAddress: 0 is not from 1 to 1000000"),
        (
            "| budgets: { failure: {| window: '1d' } }",
            "line 3, column 10: budgets.failure.window: a time from \"1s\" to \"1h\" is",
        ),
        ("| budgets: { socket: {| total: -1 } }", "line 3, column 9: budgets.socket.total: invalid value: integer `-1`"),
        // Slips of the pen.
        (
            "| localCli: { scopes: ['operator.read',| 'operator.reed'] }",
            "line 3, column 2: localCli.scopes[1]: no scope of any release of OpenClaw is called \"operator.reed\"",
        ),
        (
            "| localFirstPairing: { roles: ['node'], scopes: ['x'] }",
            "line 2, column 49: localFirstPairing.scopes[0]: no scope of",
        ),
        ("| signatures: ['v3',| 'v3']", "line 3, column 2: signatures[1]: it stands twice"),
        ("| ceilings: [{ scopes: [] },| { scopes: [] }]", "line 3, column 2: ceilings[1]: it stands twice"),
        // What lets in too much, or nobody.
        ("| signatures: []", "line 2, column 14: signatures: no device could sign anything; name \"v3\" at least"),
        ("| localFirstPairing: { roles: [], scopes: 'asked' }", "line 2, column 30: localFirstPairing.roles: no role is named; "),
        (
            "| localUpgrade: { scopes: ['operator.admin'] }",
            "line 2, column 26: localUpgrade.scopes: operator.admin is never given",
        ),
        (
            "| localUpgrade: { scopes: ['operator.talk.secrets'] }",
            "line 2, column 26: localUpgrade.scopes: operator.talk.secrets is",
        ),
        (&format!("| {loopback}"), "line 3, column 16: localUpgrade: with localPeer \"loopback\" every user of this host, "),
        ("// \u{202e}|", "line 1, column 18: the character \\u{202e} makes a text look like another one"),
    ] {
        let text = format!("{{ version: 1, {keys} }}").replace('|', "\n");
        let said = Policy::parse(&text).expect_err(&text).to_string();
        assert!(said.starts_with(says), "{text}\n{said}");
    }
    for (text, says) in [
        ("{ version: 2 }", "line 1, column 12: version: policy version 2 is not known; this program knows version 1"),
        ("{}", "line 1, column 1: missing key `version`"),
        ("[]", "line 1, column 1: expected opening brace"),
        ("{ version: 1", "line 1, column 1: EOF parsing object"),
        ("{ version: 1 }\n x", "line 2, column 2: trailing characters"),
    ] {
        assert_eq!(Policy::parse(text).expect_err(text).to_string(), says);
    }
    assert_eq!(Policy::parse(&"[".repeat(60_000)), Err(PolicyError::TooDeep));
    // A bracket in a string or a comment closes nothing.
    for level in ["[']',", "{']}': [\"\\\"]\",", "[/*]*/", "[/*/]*/", "[//]\n", "[//]\u{2029}", "['\\\n]',", "{a:/*'*/{/*'}}*/a:"]
    {
        assert_eq!(json5_depth(&level.repeat(40)), 40 * level.matches(['[', '{']).count().min(2), "{level}");
        let whole = level.repeat(limits::POLICY_BYTES / level.len());
        assert_eq!(Policy::parse(&whole), Err(PolicyError::TooDeep), "{level}");
    }
    for flat in ["(", "+", "-", "!", "'", "\"", "/*", "//", "\\", "[],", "a:", "0x"] {
        let whole = flat.repeat(limits::POLICY_BYTES / flat.len());
        assert!(json5_depth(&whole) <= 1, "{flat}");
        assert!(matches!(Policy::parse(&whole), Err(PolicyError::Malformed(_))), "{flat}");
    }
    assert_eq!(Policy::parse(&" ".repeat(limits::POLICY_BYTES + 1)), Err(PolicyError::TooLarge));
    let long = Policy::parse(&format!("{{ version: 1, {}: 1 }}", "x".repeat(60_000))).expect_err("unknown").to_string();
    assert!(long.len() < 2 * limits::POLICY_FLAW_BYTES, "what is recorded of it is bounded");
}

#[test]
fn a_network_is_one_that_a_person_has() {
    let parse = |cidr: &str| Policy::parse(&format!("{{ version: 1, trustedNodeCidrs: [\"{cidr}\"] }}"));
    for cidr in ["10.0.0.0/8", "192.168.1.7/32", "100.64.0.0/10", "fd7a:115c:a1e0::/48", "2001:db8::/32", "::ffff:10.0.0.0/104"] {
        assert!(parse(cidr).is_ok(), "{cidr}");
    }
    let loopback = ["0.0.0.0/0", "::/0", "127.0.0.0/8", "127.0.0.1/32", "::1/128", "::/64", "126.0.0.0/7", "::ffff:0:0/96"];
    for cidr in loopback {
        assert!(parse(cidr).expect_err(cidr).to_string().contains("holds loopback"), "{cidr}");
    }
    for cidr in ["10.0.0.0/7", "128.0.0.0/1", "::ffff:10.0.0.0/103", "2000::/3", "fc00::/7"] {
        assert!(parse(cidr).expect_err(cidr).to_string().contains("no network that one person has"), "{cidr}");
    }
}

#[test]
fn a_list_cuts_what_is_given() {
    let policy = policy(r#"localCli: { scopes: ["operator.write"] }"#);
    let cli = Client { id: ClientId::Cli, mode: ClientMode::Cli };
    let asked = ScopeSet::parse(["operator.read", "operator.admin"]).expect("scopes");
    assert_eq!(policy.gives_cli(cli, &asked), ScopeSet::parse(["operator.read"]).ok());
}

/// Every key, one edit of it that is stricter and its way back.
const STRICTER: [(&str, &str, &str); 24] = [
    ("localFirstPairing", "localFirstPairing: { roles: ['node', 'operator'], scopes: 'asked' }", "localFirstPairing: false"),
    ("localFirstPairing", "", "localFirstPairing: { roles: ['node'], scopes: 'asked' }"),
    ("localFirstPairing", "", "localFirstPairing: { roles: ['node', 'operator'], scopes: ['operator.write'] }"),
    ("localPeer", "localPeer: 'loopback'", "localPeer: 'owner-uid'"),
    ("restAfterRemoval", "", "restAfterRemoval: true"),
    ("ownerActsFromExec", "ownerActsFromExec: true", ""),
    ("localUpgrade", "localUpgrade: { scopes: ['operator.write'] }", "localUpgrade: { scopes: ['operator.read'] }"),
    ("localUpgrade", "localUpgrade: { scopes: ['operator.read'] }", ""),
    ("trustedNodeCidrs", "trustedNodeCidrs: ['10.0.0.0/8']", "trustedNodeCidrs: ['10.1.0.0/16', '::ffff:10.2.0.0/112']"),
    ("trustedNodeCidrs", "trustedNodeCidrs: ['10.0.0.0/8']", ""),
    ("localCli", "", "localCli: { scopes: ['operator.admin'] }"),
    ("localCli", "localCli: { scopes: ['operator.write'] }", "localCli: { scopes: ['operator.read'] }"),
    ("localCli", "", "localCli: false"),
    ("localBackend", "", "localBackend: false"),
    ("ceilings", "", "ceilings: [{ clientId: 'cli', scopes: ['operator.write'] }]"),
    (
        "ceilings",
        "ceilings: [{ role: 'operator', scopes: ['operator.write'] }]",
        "ceilings: [{ role: 'operator', scopes: ['operator.read'] }]",
    ),
    ("ceilings", "ceilings: [{ clientId: 'cli', scopes: [] }]", "ceilings: [{ scopes: [] }]"),
    ("nodeCommands", "nodeCommands: { ios: ['a.b', 'a.c'] }", "nodeCommands: { ios: ['a.b'] }"),
    ("metadata", "", "metadata: 'exact'"),
    ("signatures", "", "signatures: ['v3']"),
    ("requestTtl", "", "requestTtl: '2m'"),
    ("budgets", "", "budgets: { record: { perAddress: 5 } }"),
    ("budgets", "budgets: { failure: { window: '30s' } }", ""),
    ("budgets", "", "budgets: { pending: { total: 5 }, socket: { perAddress: 5 } }"),
];

#[test]
fn each_key_is_stricter_one_way_and_looser_the_other() {
    for (key, loose, strict) in STRICTER {
        let (loose, strict) = (policy(loose), policy(strict));
        assert_eq!(loose.loosened_by(&strict), Vec::<&str>::new(), "{key}: {strict:?}");
        assert_eq!(strict.loosened_by(&loose), [key], "{strict:?}");
        assert!(strict.is_within(&loose));
        assert_eq!(loose.is_within(&strict), matches!(key, "requestTtl" | "budgets"), "{key} has an order");
        let ways = |changes: Vec<Change>| changes.iter().map(|change| change.way).collect::<Vec<_>>();
        let (there, back) = (loose.changes(&strict), strict.changes(&loose));
        assert!(there.iter().all(|change| change.key.split('.').next() == Some(key) && change.from != change.to), "{there:?}");
        assert!(!there.is_empty() && ways(there).iter().all(|way| *way == Way::Stricter), "{key}");
        assert!(ways(back).iter().all(|way| *way == Way::Looser), "{key}");
    }
    let keys: BTreeSet<_> = STRICTER.iter().map(|(key, ..)| *key).collect();
    let said = policy("").lines_of_keys();
    assert_eq!(keys, said, "every key of the language");
}

#[test]
fn what_cannot_be_compared_is_looser_both_ways() {
    let (read, talk) = (policy("localCli: { scopes: ['operator.read'] }"), policy("localCli: { scopes: ['operator.talk'] }"));
    assert_eq!((read.loosened_by(&talk), talk.loosened_by(&read)), (vec!["localCli"], vec!["localCli"]));
    assert!(!read.is_within(&talk) && !talk.is_within(&read));
    // A longer window of records is neither.
    let other = policy("budgets: { record: { window: '1h' } }");
    let (there, back) = (policy("").changes(&other), other.changes(&policy("")));
    assert_eq!([there[0].way, back[0].way], [Way::Other, Way::Other]);
}

/// What is written of a policy reads back as the same.
#[test]
fn each_line_is_written_in_the_language() {
    for (_, loose, strict) in STRICTER {
        for text in [loose, strict] {
            let written = policy(text).written();
            assert_eq!(policy(&written), policy(text), "{written}");
        }
    }
}

#[test]
fn presets_are_ordinary_documents_and_strict_is_the_stricter_one() {
    let [default, strict] = PRESETS.map(|(_, text)| Policy::parse(text).expect("a policy"));
    assert!(strict.is_within(&default) && Policy::closed().is_within(&default));
    assert_eq!(default.loosened_by(&strict), Vec::<&str>::new());
    assert!(strict.spares().is_empty() && strict.warnings().is_empty());
    let standing = default.spares().into_iter().filter(|rule| rule.stands_out).map(|rule| rule.rule.to_string());
    assert_eq!(standing.collect::<Vec<_>>(), ["localFirstPairing", "localCli", "localBackend"]);
}

#[test]
fn a_rule_stands_out_by_what_it_gives() {
    let standing = |keys: &str| {
        let all = policy(&format!("localFirstPairing: false, localCli: false, localBackend: false, {keys}"));
        all.spares().iter().map(|rule| rule.stands_out).collect::<Vec<_>>()
    };
    assert_eq!(standing("localUpgrade: { scopes: ['operator.read'] }"), [true], "it is silent");
    assert_eq!(standing("trustedNodeCidrs: ['10.0.0.0/8']"), [false], "a node with no scopes");
    let with = |rule: &str| {
        let text = format!("{{ version: 1, localFirstPairing: false, localBackend: false, localCli: false, {rule} }}");
        let text = if rule.contains("localCli") { text.replace("localCli: false, ", "") } else { text };
        let text = if rule.contains("First") { text.replace("localFirstPairing: false, ", "") } else { text };
        Policy::parse(&text).expect(&text).spares().iter().map(|rule| rule.stands_out).collect::<Vec<_>>()
    };
    assert_eq!(with("localCli: { scopes: ['operator.write'] }"), [false]);
    assert_eq!(with("localCli: { scopes: ['operator.pairing'] }"), [true]);
    assert_eq!(with("localFirstPairing: { roles: ['node'], scopes: 'asked' }"), [false], "no operator");
    assert_eq!(with("localFirstPairing: { roles: ['operator'], scopes: 'asked' }"), [true]);
}

#[test]
fn what_is_easily_mistaken_is_warned_of() {
    let of = |keys: &str| policy(&format!("localFirstPairing: false, localCli: false, localBackend: false, {keys}")).warnings();
    let claim = |n: usize| Warning::CeilingByClaim { ceiling: format!("ceilings[{n}]") };
    assert_eq!(of("ceilings: [{ role: 'node', scopes: [] }, { clientMode: 'ui', scopes: [] }]"), [claim(1)]);
    assert_eq!(of("localPeer: 'loopback', ownerActsFromExec: true"), [Warning::LoopbackPeer, Warning::ActsFromExec]);
    assert!(matches!(&*of("localUpgrade: { scopes: ['operator.read'] }"), [Warning::Spares(_)]));
    assert_eq!(of("trustedNodeCidrs: ['10.0.0.0/8']"), []);
}
