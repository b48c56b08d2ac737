//! What waits for something that is not built yet. Whoever builds it takes the rows out and puts checks in their place.

use std::collections::BTreeSet;
use std::io::Write as _;

use serde_json::Value;

/// A scenario, the step of it that is not checked yet, and what that needs. A scenario without any test has one row: `all of it`.
const TABLE: &[(&str, &str, &str)] =
    &[("S17", "the owner lets C2 succeed C, and what follows from it", "needs recover"), ("S26", ALL, "needs import")];

const ALL: &str = "all of it";

/// Says, past the captured output of a test, that this step of a scenario waits.
pub(crate) fn waits(id: &str, step: &str) {
    let row = TABLE.iter().find(|row| (row.0, row.1) == (id, step));
    let (_, _, needs) = row.unwrap_or_else(|| panic!("{id} {step} has no row in the table"));
    let _nobody_listens = writeln!(std::io::stderr(), "waiting: {id} step {step:?}: {needs}");
}

const SCENARIOS: &str = include_str!("scenarios.jsonl");

/// The source of every test here.
const SOURCES: &[&str] = &[
    include_str!("copies.rs"),
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
fn every_scenario_has_a_test_or_waits() {
    let has_test = |id: &str| SOURCES.iter().any(|source| source.contains(&format!("fn {}_", id.to_lowercase())));
    let mut ids = BTreeSet::new();
    for line in SCENARIOS.lines() {
        let scenario: Value = serde_json::from_str(line).expect("JSON");
        let id = scenario["id"].as_str().and_then(|id| id.split('-').next()).expect("an id");
        let waits_whole = TABLE.iter().any(|row| (row.0, row.1) == (id, ALL));
        assert_ne!(has_test(id), waits_whole, "{id} has a test, or one row for all of it");
        if waits_whole {
            waits(id, ALL);
        }
        ids.insert(id.to_owned());
    }
    assert_eq!(ids, (1..=30).map(|number| format!("S{number:02}")).collect());
    for (id, step, _) in TABLE {
        let call = format!("waits(\"{id}\", \"{step}\")");
        let said = SOURCES.iter().any(|source| source.contains(&call));
        assert!(said || *step == ALL, "nothing waits for {id} {step:?} any more: take its row out");
    }
}
