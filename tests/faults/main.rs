//! What a disk, a kernel and a process can do to the real binary: errors and kills at every system call, power cuts, signals,
//! races, too few descriptors. Counts are small here and large in `tests/long/run`; a failure names the one command that
//! repeats it.

mod calls;
mod client;
mod crowd;
mod descriptors;
mod disk;
#[path = "../support/home.rs"]
mod home;
mod kill;
mod ledger;
mod load;
mod lock;
mod power;
mod story;
mod strace;
mod time;
