//! Wrappers of a store that change some of what it does.

/// The methods of a `Backend` that a wrapper leaves to what it wraps.
///
/// `forward!(acquire, release => |store| store.memory);` inside the
/// implementation.
#[macro_export]
macro_rules! forward {
    (@ acquire, $this:ident, $inner:expr) => {
        fn acquire(
            &self,
            request: ::lockguard::backend::AcquireRequest,
        ) -> ::lockguard::BoxFuture<
            'static,
            Result<::lockguard::backend::AcquireReply, ::lockguard::backend::BackendError>,
        > {
            let $this = self;
            $inner.acquire(request)
        }
    };
    (@ extend, $this:ident, $inner:expr) => {
        fn extend(
            &self,
            requests: Vec<::lockguard::backend::ExtendRequest>,
        ) -> ::lockguard::BoxFuture<
            'static,
            Vec<Result<::lockguard::backend::ExtendReply, ::lockguard::backend::BackendError>>,
        > {
            let $this = self;
            $inner.extend(requests)
        }
    };
    (@ release, $this:ident, $inner:expr) => {
        fn release(
            &self,
            request: ::lockguard::backend::ReleaseRequest,
        ) -> ::lockguard::BoxFuture<
            'static,
            Result<::lockguard::backend::ReleaseReply, ::lockguard::backend::BackendError>,
        > {
            let $this = self;
            $inner.release(request)
        }
    };
    ($($method:ident),+ => |$this:ident| $inner:expr) => {
        $($crate::forward!(@ $method, $this, $inner);)+
    };
}
