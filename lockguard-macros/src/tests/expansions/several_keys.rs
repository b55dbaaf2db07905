#[distributed_lock(keys = ["account:{from}", to.lock_key()], ttl = "2s")]
async fn transfer(from: u64, to: &Account) -> Result<(), TransferError> {
    move_money(from, to).await
}

#[distributed_lock(keys = orders.iter().map(Order::key), ttl = "2s")]
async fn merge(orders: &[Order]) -> Result<Order, LockError> {
    Ok(Order::of(orders))
}
