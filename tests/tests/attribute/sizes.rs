use super::*;

/// Room for the guard, the acquire, the release and the error; arguments that
/// the plain function keeps over an await take no more than they take there.
const MOST: usize = 128;

const KIB: usize = 1024;

async fn pause() {
    tokio::task::yield_now().await;
}

/// The same function twice, with the attribute and without.
macro_rules! both {
    ($locked:ident, $plain:ident, ($($options:tt)*), $arguments:tt -> $output:ty $body:block) => {
        #[distributed_lock(key = "size", ttl = "2s", $($options)*)]
        async fn $locked $arguments -> $output $body

        async fn $plain $arguments -> $output $body
    };
}

both!(empty, plain_empty, (), () -> Result<(), LockError> { Ok(()) });
both!(waited, plain_waited, (wait = "5s"), (id: u64) -> Result<u64, LockError> {
    pause().await;
    Ok(id)
});
both!(text, plain_text, (), (text: String) -> Result<usize, LockError> {
    pause().await;
    Ok(text.len())
});
both!(large, plain_large, (), (bytes: [u8; KIB]) -> Result<usize, LockError> {
    pause().await;
    Ok(bytes.len())
});
both!(borrowed, plain_borrowed, (), (bytes: &[u8; KIB]) -> Result<usize, LockError> {
    pause().await;
    Ok(bytes.len())
});
both!(local, plain_local, (), () -> Result<usize, LockError> {
    let bytes = [1_u8; KIB];
    pause().await;
    Ok(bytes.len())
});
both!(handled, plain_handled, (on_error = |_| 0), (id: u64) -> u64 {
    pause().await;
    id
});
both!(skipped, plain_skipped, (on_busy = skip), (id: u64) -> Result<Option<u64>, LockError> {
    pause().await;
    Ok(Some(id))
});
both!(bound, plain_bound, (bind = _lease), (id: u64) -> Result<u64, LockError> {
    pause().await;
    Ok(id)
});

both!(fenced, plain_fenced, (fence = _token), (id: u64) -> Result<u64, LockError> {
    pause().await;
    Ok(id)
});

/// `cargo test --test attribute sizes -- --nocapture` prints them.
#[test]
#[expect(
    clippy::print_stdout,
    reason = "whoever changes the expansion looks at these"
)]
fn a_locked_future_is_the_plain_one_and_little_more() {
    let bytes = [0; KIB];
    let shapes = [
        ("empty", size_of_val(&empty()), size_of_val(&plain_empty())),
        (
            "wait",
            size_of_val(&waited(1)),
            size_of_val(&plain_waited(1)),
        ),
        (
            "a String",
            size_of_val(&text(String::new())),
            size_of_val(&plain_text(String::new())),
        ),
        (
            "1 KiB",
            size_of_val(&large(bytes)),
            size_of_val(&plain_large(bytes)),
        ),
        (
            "&1 KiB",
            size_of_val(&borrowed(&bytes)),
            size_of_val(&plain_borrowed(&bytes)),
        ),
        (
            "1 KiB local",
            size_of_val(&local()),
            size_of_val(&plain_local()),
        ),
        (
            "on_error",
            size_of_val(&handled(1)),
            size_of_val(&plain_handled(1)),
        ),
        (
            "skip",
            size_of_val(&skipped(1)),
            size_of_val(&plain_skipped(1)),
        ),
        (
            "fence",
            size_of_val(&fenced(1)),
            size_of_val(&plain_fenced(1)),
        ),
        ("bind", size_of_val(&bound(1)), size_of_val(&plain_bound(1))),
    ];
    println!("{:<12} {:>7} {:>7} {:>5}", "", "plain", "locked", "more");
    for (name, locked, plain) in shapes {
        let more = locked.saturating_sub(plain);
        println!("{name:<12} {plain:>7} {locked:>7} {more:>5}");
        assert!(more <= MOST, "{name}: {more} bytes more");
    }
}
