//! Functions, keys and options that `macro_rules` puts together.
use lockguard::{LockError, distributed_lock};

macro_rules! locked {
    ($vis:vis $name:ident($($argument:ident: $ty:ty),*) -> $output:ty, $key:literal, $ttl:expr, $body:block) => {
        #[distributed_lock(key = $key, ttl = $ttl)]
        $vis async fn $name($($argument: $ty),*) -> $output $body
    };
}

locked!(pub book(seat_id: u64, user: String) -> Result<u64, LockError>, "seat:{seat_id}", "2s", {
    drop(user);
    Ok(seat_id)
});

locked!(sweep() -> Result<(), LockError>, "sweep", std::time::Duration::from_secs(2), { Ok(()) });

macro_rules! with_options {
    ($($options:tt)*) => {
        #[distributed_lock($($options)*)]
        async fn passed_on(id: u8) -> Result<u8, LockError> {
            Ok(id)
        }
    };
}

with_options!(key = "passed:{id}", ttl = "1m30s", on_error = |error| Err(error));

macro_rules! item {
    ($item:item) => {
        #[distributed_lock(key = "item:{id}", ttl = "2s")]
        $item
    };
}

item! {
    async fn whole(id: u8) -> Result<u8, LockError> {
        Ok(id)
    }
}

fn main() {
    drop((book(1, String::new()), sweep(), passed_on(1), whole(1)));
}
