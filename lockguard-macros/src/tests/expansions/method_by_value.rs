impl Order {
    #[distributed_lock(key = "order:{self.id}:{line:>04}", ttl = "1m30s", on_error = log)]
    async fn ship(self, line: u32, (left, right): (Pallet, Pallet), unused: u8) {
        send(self.address, left, right);
    }
}
