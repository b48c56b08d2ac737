//! Durable appends a second, and what they write to the device. All contestants take turns in short slices, so that whatever
//! else the machine does hits all alike.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::reading;
use crate::stores::{Bare, Grouped, Item, Ours, RaftEngine, Raw, Redb, Sqlite, Store};
use crate::system;

pub const WRITERS: [usize; 3] = [1, 8, 64];
const RAW_FILE_BYTES: u64 = 64 << 20;

pub const NAMES: [&str; 7] =
    ["ours", "ours after a long history", "raw", "raw, each for itself", "SQLite", "raft-engine", "redb"];

/// What each of [`NAMES`] did in each round, with so many writers.
pub struct Rounds {
    pub writers: usize,
    rates: [Vec<f64>; NAMES.len()],
    /// Bytes of the device for each byte of payload; empty where no device tells.
    bytes: [Vec<f64>; NAMES.len()],
}

impl Rounds {
    pub fn rate(&self, of: usize) -> f64 {
        median(self.rates[of].clone())
    }

    /// How many times as fast as `other` in the same round: what slows a round slows both.
    pub fn rate_by(&self, of: usize, other: usize) -> f64 {
        median(self.rates[of].iter().zip(&self.rates[other]).map(|(of, other)| of / other).collect())
    }

    pub fn bytes(&self, of: usize) -> Option<f64> {
        (!self.bytes[of].is_empty()).then(|| median(self.bytes[of].clone()))
    }
}

/// `young` and `old` are journals with few and with many records.
pub fn run(dir: &Path, young: &Path, old: &Path, rounds: usize, slice: Duration) -> Vec<Rounds> {
    let items = Item::some();
    let raw = |name| Raw::new(&dir.join(name), RAW_FILE_BYTES).expect("room");
    let stores: [Box<dyn Store>; NAMES.len()] = [
        Box::new(Grouped::over(Ours::new(reading::open(young).0))),
        Box::new(Grouped::over(Ours::new(reading::open(old).0))),
        Box::new(Grouped::over(raw("raw"))),
        Box::new(Bare::new(raw("bare"))),
        Box::new(Sqlite::new(&dir.join("appended.sqlite")).expect("a database")),
        Box::new(RaftEngine::new(&dir.join("raft-engine"))),
        Box::new(Redb::new(&dir.join("redb"))),
    ];
    let of_writers = |writers: usize| {
        let mut measured = Rounds { writers, rates: Default::default(), bytes: Default::default() };
        for round in 0..rounds {
            eprintln!("appends: {writers} waiting, round {} of {rounds}", round + 1);
            // Nobody always follows the same one, which may leave the disk something to do. Any step meets all, for 7 is prime.
            for turn in 0..stores.len() {
                let place = (turn * (round % (stores.len() - 1) + 1) + round) % stores.len();
                let before = system::device_bytes(dir);
                let (a_second, payload_bytes) = one_slice(&*stores[place], writers, slice, items);
                measured.rates[place].push(a_second);
                let written = before.zip(system::device_bytes(dir)).map(|(before, after)| (after - before) as f64);
                measured.bytes[place].extend(written.map(|written| written / payload_bytes as f64));
            }
        }
        measured
    };
    WRITERS.into_iter().map(of_writers).collect()
}

/// Records a second, and the bytes of their payloads.
fn one_slice(store: &dyn Store, writers: usize, slice: Duration, items: &'static [Item]) -> (f64, u64) {
    let (is_over, count, bytes) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let (is_over, count, bytes) = (&is_over, &count, &bytes);
            scope.spawn(move || {
                for item in items.iter().cycle().skip(writer * 13) {
                    store.write(item);
                    count.fetch_add(1, Ordering::Relaxed);
                    bytes.fetch_add(item.payload.len() as u64, Ordering::Relaxed);
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        std::thread::sleep(slice);
        is_over.store(true, Ordering::Relaxed);
    });
    (count.into_inner() as f64 / start.elapsed().as_secs_f64(), bytes.into_inner())
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
