//! Names of the user's never meet names of an expansion.
#![allow(dead_code, non_camel_case_types, unused_macros)]

use lockguard::{LockError, distributed_lock};

mod core {}
mod std {}
mod __private {}

struct Option;
struct Some;
struct Duration;
struct String;
trait Future {}

macro_rules! concat {
    () => {};
}
macro_rules! module_path {
    () => {};
}
macro_rules! pin {
    () => {};
}

fn key() {}
fn acquire() {}
fn release() {}
fn run() {}
fn fail() {}

#[distributed_lock(key = "k:{guard}:{error}", ttl = "2s", wait = "1s", bind = __lockguard_guard, fence = __lockguard_value)]
async fn book(guard: u8, error: u8, value: u8, body: u8) -> Result<u8, LockError> {
    const POINT: u8 = 1;
    let lockguard = POINT;
    let _ = (__lockguard_guard.is_held(), __lockguard_value.get());
    Ok(guard + error + value + body + lockguard)
}

fn main() {
    drop(book(1, 2, 3, 4));
}
