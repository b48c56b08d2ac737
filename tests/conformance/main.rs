//! The gateway and the real ones, side by side: every recording of OpenClaw 2026.3.13 and 2026.9.6 (recordings/README.md) is
//! played against a gateway of its own, over real sockets, and what it says is compared with what the real one said. Each
//! difference is chosen or open (chosen.rs), and none may be open.
//!
//! `CONFORMANCE=3.13/tick cargo test --test conformance -- --nocapture` plays those whose names hold this, and shows all that
//! differs.

mod chosen;
mod compare;
mod gateway;
mod recording;
mod replay;
mod words;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Mutex;

use chosen::{PARTINGS, ROWS};
use compare::Difference;
use recording::Recording;

/// Gateways that run at once; they mostly wait for the disk.
const AT_ONCE: usize = 6;

/// What a recording comes to.
#[derive(Default)]
struct Verdict {
    chosen: usize,
    open: Vec<Difference>,
    parted: Vec<Difference>,
    rows: BTreeSet<usize>,
    parting: Option<usize>,
}

impl Verdict {
    fn of(name: &str, differences: &[Difference]) -> Self {
        let mut verdict = Self::default();
        for difference in differences {
            let row = ROWS.iter().position(|row| row.explains(name, difference));
            let parting = PARTINGS.iter().position(|parting| parting.recording == name && parting.at == difference.at);
            if let Some(row) = row {
                verdict.rows.insert(row);
                verdict.chosen += 1;
            } else if let Some(parting) = verdict.parting.or(parting) {
                verdict.parting = Some(parting);
                verdict.chosen += 1;
                verdict.parted.push(difference.clone());
            } else {
                verdict.open.push(difference.clone());
            }
        }
        verdict
    }
}

/// Plays all of them, several at once; the differences of each, in order of the recordings.
fn replay_all(recordings: &[Recording]) -> Vec<Vec<Difference>> {
    let next = Mutex::new(0..recordings.len());
    let found = Mutex::new(vec![vec![]; recordings.len()]);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(index) = { next.lock().expect("sound").next() } {
                    let differences = replay::replay(&recordings[index]);
                    found.lock().expect("sound")[index] = differences;
                }
            });
        }
    });
    found.into_inner().expect("sound")
}

fn say(text: &str) {
    let _nobody_listens = writeln!(std::io::stderr(), "{text}");
}

#[test]
fn no_difference_is_open() {
    let only = std::env::var("CONFORMANCE").ok();
    let mut recordings = Recording::all();
    recordings.retain(|recording| only.as_ref().is_none_or(|only| recording.name.contains(only)));
    let found = replay_all(&recordings);
    let verdicts: Vec<_> = recordings.iter().zip(&found).map(|(recording, found)| Verdict::of(&recording.name, found)).collect();
    let mut open = String::new();
    for (recording, verdict) in recordings.iter().zip(&verdicts) {
        for difference in &verdict.open {
            writeln!(open, "{}: {difference}", recording.name).expect("written");
        }
    }
    if only.is_some() {
        recordings
            .iter()
            .zip(&found)
            .for_each(|(recording, found)| found.iter().for_each(|one| say(&format!("{}: {one}", recording.name))));
    }
    for release in ["3.13", "9.6"] {
        let of_it: Vec<_> = recordings.iter().zip(&verdicts).filter(|(recording, _)| recording.release() == release).collect();
        let count = |is: &dyn Fn(&Verdict) -> bool| of_it.iter().filter(|(_, verdict)| is(verdict)).count();
        let open = count(&|verdict| !verdict.open.is_empty());
        let chosen = count(&|verdict| verdict.open.is_empty() && verdict.chosen > 0);
        let equal = of_it.len() - open - chosen;
        say(&format!(
            "OpenClaw 2026.{release}: {} recordings: {equal} equal, {chosen} with chosen differences, {open} open",
            of_it.len()
        ));
    }
    if let Ok(file) = std::env::var("CONFORMANCE_OPEN") {
        std::fs::write(file, &open).expect("written");
    }
    for (recording, verdict) in recordings.iter().zip(&verdicts) {
        if !verdict.parted.is_empty() {
            let lines: Vec<_> = verdict.parted.iter().map(ToString::to_string).collect();
            insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!(recording.name.replace('/', "-"), lines.join("\n"));
            });
        }
    }
    let reasons = ROWS.iter().map(|row| row.why).chain(PARTINGS.iter().map(|parting| parting.why));
    reasons.for_each(|why| assert!(why.0.contains(": "), "{why:?} names no decision and says nothing"));
    assert!(open.is_empty(), "open:\n{open}");
    if only.is_none() {
        let rows: BTreeSet<_> = verdicts.iter().flat_map(|verdict| verdict.rows.iter().copied()).collect();
        let partings: BTreeSet<_> = verdicts.iter().filter_map(|verdict| verdict.parting).collect();
        let idle: Vec<_> = ROWS.iter().enumerate().filter(|(row, _)| !rows.contains(row)).map(|(_, row)| row).collect();
        assert!(idle.is_empty(), "rows that explain nothing: {idle:#?}");
        let idle: Vec<_> = PARTINGS.iter().enumerate().filter(|(at, _)| !partings.contains(at)).map(|(_, one)| one).collect();
        assert!(idle.is_empty(), "partings that are none: {idle:#?}");
    }
}
