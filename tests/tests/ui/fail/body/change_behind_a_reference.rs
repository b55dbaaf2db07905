use lockguard::{LockError, distributed_lock};

#[distributed_lock(key = "k", ttl = "2s")]
async fn add(seats: &Vec<u64>) -> Result<(), LockError> {
    seats.push(1);
    Ok(())
}

fn main() {
    drop(add(&vec![]));
}
