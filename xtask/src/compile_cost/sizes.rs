//! Prints the sizes of futures, none of which is ever polled.

use lockguard::{LockError, distributed_lock};

macro_rules! shapes {
    ($($shape:literal, $by_value:expr, $call:ident($($value:expr),*),
       fn ($($name:ident: $type:ty),*) $body:block)*) => {
        mod plain {
            use super::*;
            $(pub async fn $call($($name: $type),*) -> Result<u64, LockError> $body)*
        }
        mod locked {
            use super::*;
            $(
                #[distributed_lock(key = "seat:1", ttl = "2s", wait = "5s")]
                pub async fn $call($($name: $type),*) -> Result<u64, LockError> $body
            )*
        }
        fn main() {
            $(println!(
                "{} {} {} {}",
                $shape,
                size_of_val(&plain::$call($($value),*)),
                size_of_val(&locked::$call($($value),*)),
                $by_value,
            );)*
        }
    };
}

async fn look(seat: u64) -> Result<u64, LockError> {
    std::future::ready(()).await;
    Ok(seat)
}

async fn keep(bytes: &[u8]) -> u64 {
    std::future::ready(()).await;
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

shapes! {
    "no argument, no await", 0, nothing(),
    fn () { Ok(1) }

    "one number, two awaits", size_of::<u64>(), number(1),
    fn (seat: u64) {
        let seat = look(seat).await?;
        Ok(look(seat).await? + seat)
    }

    "a number and a reference", size_of::<u64>() + size_of::<&str>(), reference(1, "ann"),
    fn (seat: u64, buyer: &str) {
        let seat = look(seat).await?;
        Ok(seat + keep(buyer.as_bytes()).await)
    }

    "two strings by value", 2 * size_of::<String>(), strings(String::new(), String::new()),
    fn (seat: String, buyer: String) {
        let seat = keep(seat.as_bytes()).await;
        Ok(seat + keep(buyer.as_bytes()).await)
    }

    "1 KiB on the stack over an await", size_of::<u64>(), buffer(1),
    fn (seat: u64) {
        let bytes = [0; 1024];
        let seat = look(seat).await?;
        Ok(seat + keep(&bytes).await)
    }

    "1 KiB by value", 1024, large([0; 1024]),
    fn (bytes: [u8; 1024]) {
        Ok(keep(&bytes).await)
    }
}
