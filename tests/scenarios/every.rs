//! Nothing of the scenarios is left out in silence: each has a test that begins with its id.

use serde_json::Value;

const SCENARIOS: &str = include_str!("scenarios.jsonl");

/// The source of every test here.
const SOURCES: &[&str] = &[
    include_str!("copies.rs"),
    include_str!("imports.rs"),
    include_str!("journals.rs"),
    include_str!("losses.rs"),
    include_str!("metadata.rs"),
    include_str!("nodes.rs"),
    include_str!("owners.rs"),
    include_str!("policies.rs"),
    include_str!("races.rs"),
    include_str!("refusals.rs"),
    include_str!("requests.rs"),
    include_str!("scopes.rs"),
    include_str!("tokens.rs"),
];

#[test]
fn every_scenario_has_a_test() {
    let mut ids = vec![];
    for line in SCENARIOS.lines() {
        let scenario: Value = serde_json::from_str(line).expect("JSON");
        let id = scenario["id"].as_str().and_then(|id| id.split('-').next()).expect("an id").to_lowercase();
        assert!(SOURCES.iter().any(|source| source.contains(&format!("fn {id}_"))), "{id} has a test");
        ids.push(id);
    }
    assert_eq!(ids, (1..=30).map(|number| format!("s{number:02}")).collect::<Vec<_>>());
}
