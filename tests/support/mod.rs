//! What several test files share: a world of records in which things are decided, and random stories to play in it.
#![allow(dead_code, unreachable_pub, reason = "each test binary includes all of it and uses a part")]

pub mod given;
pub mod story;
