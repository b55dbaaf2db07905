async fn transfer(from: u64, to: &Account) -> Result<(), TransferError> {
    use ::lockguard::__private as __lockguard;
    let __lockguard_error = '__lockguard_failed: {
        let __lockguard_acquire = {
            let __lockguard_key = {
                let __lockguard_key_0 = __lockguard::key(&["account:", ""], &[&from]);
                let __lockguard_key_1 = __lockguard::raw_key(&to.lock_key());
                __lockguard::keys([__lockguard_key_0, __lockguard_key_1])
            };
            let __lockguard_ttl = __lockguard::Duration::from_millis(2000);
            let __lockguard_manager = __lockguard::default_manager();
            __lockguard::acquire(
                __lockguard::request_all(
                    __lockguard_manager,
                    __lockguard_key,
                    __lockguard_ttl,
                    __lockguard::concat!(__lockguard::module_path!(), "::transfer"),
                ),
            )
        };
        let __lockguard_guard = match __lockguard_acquire.await {
            __lockguard::Ok(__lockguard_guard) => __lockguard_guard,
            __lockguard::Err(__lockguard_error) => {
                break '__lockguard_failed __lockguard_error;
            }
        };
        let __lockguard_value = {
            let __lockguard_body = async move {
                let _ = &from;
                if let __lockguard::Some(__lockguard_output) = __lockguard::declared::<
                    Result<(), TransferError>,
                >() {
                    return __lockguard_output;
                }
                { move_money(from, to).await }
            };
            let __lockguard_body = __lockguard::pin!(__lockguard_body);
            let __lockguard_value = __lockguard::run(
                    &__lockguard_guard,
                    __lockguard_body,
                )
                .await;
            __lockguard_value
        };
        __lockguard::release(__lockguard_guard).await;
        match __lockguard_value {
            __lockguard::Ok(__lockguard_value) => return __lockguard_value,
            __lockguard::Err(__lockguard_error) => __lockguard_error,
        }
    };
    return __lockguard::fail::<Result<(), TransferError>>(__lockguard_error);
}
async fn merge(orders: &[Order]) -> Result<Order, LockError> {
    use ::lockguard::__private as __lockguard;
    let __lockguard_error = '__lockguard_failed: {
        let __lockguard_acquire = {
            let __lockguard_key = __lockguard::raw_keys(orders.iter().map(Order::key));
            let __lockguard_ttl = __lockguard::Duration::from_millis(2000);
            let __lockguard_manager = __lockguard::default_manager();
            __lockguard::acquire(
                __lockguard::request_all(
                    __lockguard_manager,
                    __lockguard_key,
                    __lockguard_ttl,
                    __lockguard::concat!(__lockguard::module_path!(), "::merge"),
                ),
            )
        };
        let __lockguard_guard = match __lockguard_acquire.await {
            __lockguard::Ok(__lockguard_guard) => __lockguard_guard,
            __lockguard::Err(__lockguard_error) => {
                break '__lockguard_failed __lockguard_error;
            }
        };
        let __lockguard_value = {
            let __lockguard_body = async move {
                if let __lockguard::Some(__lockguard_output) = __lockguard::declared::<
                    Result<Order, LockError>,
                >() {
                    return __lockguard_output;
                }
                { Ok(Order::of(orders)) }
            };
            let __lockguard_body = __lockguard::pin!(__lockguard_body);
            let __lockguard_value = __lockguard::run(
                    &__lockguard_guard,
                    __lockguard_body,
                )
                .await;
            __lockguard_value
        };
        __lockguard::release(__lockguard_guard).await;
        match __lockguard_value {
            __lockguard::Ok(__lockguard_value) => return __lockguard_value,
            __lockguard::Err(__lockguard_error) => __lockguard_error,
        }
    };
    return __lockguard::fail::<Result<Order, LockError>>(__lockguard_error);
}
