//! Each system call of the story is made to kill, or to fail. `FAULT_CALLS` says how many are tried besides the first and the
//! last of each kind (`all` of them in the long run), `FAULT_ONLY="Traffic fdatasync KILL 7"` tries one.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::home::say;
use super::story::{Scene, scenes};
use super::strace;

/// The n-th call of a kind in a scene.
#[derive(Clone, Copy)]
struct Case<'a> {
    scene: &'a Scene,
    call: &'a str,
    number: u64,
}

#[test]
fn d01_killed_at_any_system_call_the_next_start_needs_no_hand_and_what_was_told_is_there() {
    every_call("KILL", "d01_killed_at_any");
}

#[test]
fn d04_with_no_room_at_any_system_call_what_was_told_is_there() {
    every_call("ENOSPC", "d04_with_no_room");
}

#[test]
fn d06_with_an_error_at_any_system_call_what_was_told_is_there() {
    every_call("EIO", "d06_with_an_error");
}

fn every_call(fault: &str, test: &str) {
    let only = std::env::var("FAULT_ONLY").ok();
    let is_other = only.as_ref().is_some_and(|only| only.split(' ').nth(2) != Some(fault));
    if is_other || !strace::is_there("faults of system calls") {
        return;
    }
    let begun = Instant::now();
    let scenes = scenes();
    let all: Vec<Case<'_>> = scenes
        .iter()
        .flat_map(|scene| scene.counts.iter().map(move |(call, count)| (scene, call, *count)))
        // An error of it would hit the runtime's own wake-ups, which cannot fail.
        .filter(|(scene, call, _)| *call != "write" || fault == "KILL" || !scene.stage.is_async())
        .flat_map(|(scene, call, count)| (1..=count).map(move |number| Case { scene, call, number }))
        .collect();
    let cases: Vec<_> = match only {
        Some(only) => all.iter().filter(|case| case.name(fault) == only).copied().collect(),
        None => chosen(&all),
    };
    assert!(!cases.is_empty(), "no such case");
    let (count, failed, happened) = (cases.len(), Mutex::new(vec![]), AtomicUsize::new(0));
    let queue = Mutex::new(cases.into_iter());
    let work = || {
        while let Some(case) = { queue.lock().expect("no panic under it").next() } {
            match catch_unwind(AssertUnwindSafe(|| case.scene.play(&case.inject(fault)))) {
                Ok(it_happened) => drop(happened.fetch_add(usize::from(it_happened), Ordering::Relaxed)),
                Err(why) => {
                    say(&format!("repeat it: FAULT_ONLY=\"{}\" cargo test --test faults {test}", case.name(fault)));
                    failed.lock().expect("no panic under it").push(why);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    let happened = happened.into_inner();
    say(&format!("{fault}: {count} of {} calls, {happened} were met, {} s", all.len(), begun.elapsed().as_secs()));
    if let Some(why) = failed.into_inner().expect("no panic under it").pop() {
        resume_unwind(why);
    }
    // Which thread makes a call is not always the same, so that a few are not met.
    assert!(happened * 10 >= count * 9, "{happened} of {count}");
}

/// The first and the last of each kind, and others spread over the rest.
fn chosen<'a>(all: &[Case<'a>]) -> Vec<Case<'a>> {
    let spread = match std::env::var("FAULT_CALLS") {
        Ok(text) if text == "all" => return all.to_vec(),
        Ok(text) => text.parse().expect("FAULT_CALLS is a number, or all"),
        Err(_) => 100,
    };
    let is_end = |at: usize| {
        let same = |other: &Case<'_>| other.call == all[at].call;
        !all[..at].iter().any(same) || !all[at + 1..].iter().any(same)
    };
    let (ends, rest): (Vec<_>, Vec<_>) = (0..all.len()).partition(|at| is_end(*at));
    let some = (0..spread.min(rest.len())).map(|at| rest[at * rest.len() / spread.min(rest.len())]);
    ends.iter().copied().chain(some).map(|at| all[at]).collect()
}

impl Case<'_> {
    fn name(&self, fault: &str) -> String {
        format!("{:?} {} {fault} {}", self.scene.stage, self.call, self.number)
    }

    fn inject(&self, fault: &str) -> String {
        let what = if fault == "KILL" { "signal=KILL".to_owned() } else { format!("error={fault}") };
        format!("{}:{what}:when={}", self.call, self.number)
    }
}
