async fn transfer(from: u64, to: &Account) -> Result<(), TransferError> {
    use ::lockguard::__private as __lockguard;
    let __lockguard_request = {
        let __lockguard_key = {
            let __lockguard_key_0 = __lockguard::key(&["account:", ""], &[&from]);
            let __lockguard_key_1 = __lockguard::raw_key(&to.lock_key());
            __lockguard::keys([__lockguard_key_0, __lockguard_key_1])
        };
        let __lockguard_ttl = __lockguard::Duration::from_millis(2000);
        __lockguard::request_all(
            __lockguard_key,
            __lockguard_ttl,
            __lockguard::concat!(__lockguard::module_path!(), "::transfer"),
        )
    };
    return __lockguard::locked::<
        Result<(), TransferError>,
        _,
    >(
            __lockguard_request,
            async move {
                let _ = &from;
                if false {
                    return __lockguard::never::<Result<(), TransferError>>();
                }
                { move_money(from, to).await }
            },
        )
        .await;
}
async fn merge(orders: &[Order]) -> Result<Order, LockError> {
    use ::lockguard::__private as __lockguard;
    let __lockguard_request = {
        let __lockguard_key = __lockguard::raw_keys(orders.iter().map(Order::key));
        let __lockguard_ttl = __lockguard::Duration::from_millis(2000);
        __lockguard::request_all(
            __lockguard_key,
            __lockguard_ttl,
            __lockguard::concat!(__lockguard::module_path!(), "::merge"),
        )
    };
    return __lockguard::locked::<
        Result<Order, LockError>,
        _,
    >(
            __lockguard_request,
            async move {
                if false {
                    return __lockguard::never::<Result<Order, LockError>>();
                }
                { Ok(Order::of(orders)) }
            },
        )
        .await;
}
