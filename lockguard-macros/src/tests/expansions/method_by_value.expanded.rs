impl Order {
    async fn ship(self, line: u32, (left, right): (Pallet, Pallet), unused: u8) {
        use ::lockguard::__private as __lockguard;
        let __lockguard_request = __lockguard::request_at(
            &["order:", ":", ""],
            &[&self.id, &__lockguard::padded(&line, 4)],
            90000,
            __lockguard::concat!(__lockguard::module_path!(), "::ship"),
        );
        return match __lockguard::try_locked(
                __lockguard_request,
                async move {
                    let _ = &right;
                    let _ = &left;
                    let _ = &self;
                    if false {
                        return __lockguard::never::<()>();
                    }
                    {
                        send(self.address, left, right);
                    }
                },
            )
            .await
        {
            __lockguard::Ok(__lockguard_value) => __lockguard_value,
            __lockguard::Err(__lockguard_error) => {
                __lockguard::on_error::<()>(log, __lockguard_error)
            }
        };
    }
}
