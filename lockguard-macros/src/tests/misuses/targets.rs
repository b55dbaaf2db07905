//! What the attribute stands on.

use super::Misuse;

#[rustfmt::skip]
pub(super) const MISUSES: &[Misuse] = &[
    ("function_is_not_async", r#"key = "seat:{seat_id}", ttl = "2s""#, "fn book(seat_id: u64) -> Result<(), LockError> { Ok(()) }", &[
        ("fn", "`book` is not async, and taking a lock waits: write `async fn book`; blocking code calls it as `handle.block_on(book(…))`, where `handle` is a `tokio::runtime::Handle`"),
    ]),
    ("method_is_not_async", r#"key = "seat:{seat_id}", ttl = "2s""#, "pub fn book(&self, seat_id: u64) {}", &[
        ("fn", "`book` is not async, and taking a lock waits: write `async fn book`; blocking code calls it as `handle.block_on(book(…))`, where `handle` is a `tokio::runtime::Handle`"),
    ]),
    ("const_function", r#"ttl = "2s", key = "k""#, "const fn f() {}", &[
        ("const", "`f` is const, and a lock is taken at run time: remove `const`"),
    ]),
    ("const_async_function", r#"ttl = "2s", key = "k""#, "const async fn f() {}", &[
        ("const", "`f` is const, and a lock is taken at run time: remove `const`"),
    ]),
    ("const_extern_function", r#"ttl = "2s", key = "k""#, r#"const extern "C" fn f() {}"#, &[
        ("const", "`f` is const, and a lock is taken at run time: remove `const`"),
        (r#"extern "C""#, "`f` is called from another language, which cannot await it: lock an async function that it calls"),
    ]),
    ("extern_function", r#"ttl = "2s", key = "k""#, r#"extern "C" fn f() {}"#, &[
        (r#"extern "C""#, "`f` is called from another language, which cannot await it: lock an async function that it calls"),
    ]),
    ("async_extern_function", r#"ttl = "2s", key = "k""#, r#"pub async extern "C" fn f() {}"#, &[
        (r#"extern "C""#, "`f` is called from another language, which cannot await it: lock an async function that it calls"),
    ]),
    ("variadic_function", r#"ttl = "2s", key = "k""#, r#"unsafe extern "C" fn f(a: u8, ...) {}"#, &[
        (r#"extern "C""#, "`f` is called from another language, which cannot await it: lock an async function that it calls"),
    ]),
    ("variadic_function_without_abi", r#"ttl = "2s", key = "k""#, "async unsafe fn f(a: u8, ...) {}", &[
        ("...", "`f` takes any number of arguments, which an async function cannot"),
    ]),
    ("no_body", r#"ttl = "2s", key = "k""#, "async fn f(&self) -> R;", &[
        ("f", "`f` has no body to run under the lock: give it one here, or put the attribute on the function that has it"),
    ]),
    ("no_body_after_async_trait", r#"ttl = "2s", key = "k""#, "fn f<'a>(&'a self) -> Pin<Box<dyn Future<Output = R> + Send + 'a>>;", &[
        ("f", "`f` has no body to run under the lock: give it one here, or put the attribute on the function that has it"),
    ]),
    ("never_returns", r#"ttl = "2s", key = "k""#, "async fn f() -> ! { loop {} }", &[
        ("!", "`f` never returns, so its lock would never be released: lock one round of its loop, in a function of its own"),
    ]),
    ("main_itself", r#"ttl = "2s", key = "k""#, "async fn main() -> R {}", &[
        ("main", "`main` registers the lock manager, so it cannot run under a lock: lock a function that it calls"),
    ]),
    ("main_below_tokio_main", r#"ttl = "2s", key = "k""#, "fn main() -> R { let body = async {}; runtime.block_on(body) }", &[
        ("main", "`main` registers the lock manager, so it cannot run under a lock: lock a function that it calls"),
    ]),
    ("below_tokio_main", r#"ttl = "2s", key = "k""#, "fn run() -> R { let body = async {}; runtime.block_on(body) }", &[
        ("run", "`run` blocks on its future: put `#[distributed_lock]` above `#[tokio::main]` or `#[tokio::test]`, or on the async function that `block_on` is given"),
    ]),
    ("below_tokio_test", r#"ttl = "2s", key = "k""#, "#[::core::prelude::v1::test] fn run() -> R { let body = async {}; runtime.block_on(body) }", &[
        ("#[::core::prelude::v1::test]", "the test attribute has made `run` a function that is not async: put `#[distributed_lock]` above it"),
    ]),
    ("future_made_elsewhere", r#"ttl = "2s", key = "k""#, "fn f() -> impl Future<Output = R> + Send { make() }", &[
        ("-> impl Future<Output = R> + Send", "`f` returns a future that it does not end with: end its body with `async move { … }` or `Box::pin(async move { … })`, which then runs under the lock"),
    ]),
    ("boxed_future_made_elsewhere", r#"ttl = "2s", key = "k""#, "fn f() -> Pin<Box<dyn Future<Output = R>>> { let x = async {}; Box::pin(x) }", &[
        ("-> Pin<Box<dyn Future<Output = R>>>", "`f` returns a future that it does not end with: end its body with `async move { … }` or `Box::pin(async move { … })`, which then runs under the lock"),
    ]),
    ("future_returned_early", r#"ttl = "2s", key = "k""#, "fn f(a: u8) -> BoxFuture<'static, R> { if a - 1 == 0 || a > 9 { return Box::pin(async { 0 }); } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_after_a_number", r#"ttl = "2s", key = "k""#, "fn f(a: u8) -> BoxFuture<'static, R> { if a == 8 | 1 { return Box::pin(async { 0 }); } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_by_an_arm_of_numbers", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { match a { 1 | -1 => { return Box::pin(async { 0 }); } _ => {} } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_by_a_negated_number", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { if a == 1 || -a == 2 { return Box::pin(async { 0 }); } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_by_an_arm_that_begins_with_an_or", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { match a { | 1 => { return Box::pin(async { 0 }); } _ => {} } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_behind_a_closure", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { if b.any(|c, d| c) || c()? || d { return Box::pin(async { 0 }); } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_behind_a_closure_in_a_let", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { let b = |c| c + 1; if a == 1 { return Box::pin(async { 0 }); } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_behind_a_closure_with_a_type", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { let c = (a, |b| -> A { 1 }); let b = |b| -> A { 1 }; if a == 1 { return Box::pin(async { 0 }); } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_behind_a_closure_of_an_arm", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { let b = match a { 1 => |c| { 1 }, _ => return Box::pin(async { 0 }) }; Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_behind_a_function_in_a_block", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { { fn g() {} if a == 1 { return Box::pin(async { 0 }); } } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_behind_a_type_of_functions", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { let b: fn(u8) = if a == 1 { return Box::pin(async { 0 }); } else { c }; Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_returned_early_behind_an_async_closure", r#"ttl = "2s", key = "k""#, "fn f(a: i8) -> BoxFuture<'static, R> { { let b = (async || 1, { return Box::pin(async { 0 }); }); } Box::pin(async move { 1 }) }", &[
        ("return", "a future that is returned here runs without the lock: decide inside the `async` block at the end"),
    ]),
    ("future_pinned_with_something_else", r#"ttl = "2s", key = "k""#, "fn f() -> BoxFuture<'static, R> { pin(span, async move { 1 }) }", &[
        ("-> BoxFuture<'static, R>", "`f` returns a future that it does not end with: end its body with `async move { … }` or `Box::pin(async move { … })`, which then runs under the lock"),
    ]),
    ("future_boxed_with_something_else", r#"ttl = "2s", key = "k""#, "fn f() -> BoxFuture<'static, R> { async move { 1 }.boxed(arena) }", &[
        ("-> BoxFuture<'static, R>", "`f` returns a future that it does not end with: end its body with `async move { … }` or `Box::pin(async move { … })`, which then runs under the lock"),
    ]),
    ("struct_item", r#"ttl = "2s", key = "k""#, "pub struct Seat { id: u64 }", &[
        ("struct", "`#[distributed_lock]` goes on an async function, not on a struct"),
    ]),
    ("enum_item", r#"ttl = "2s", key = "k""#, "enum Seat { A }", &[
        ("enum", "`#[distributed_lock]` goes on an async function, not on an enum"),
    ]),
    ("union_item", r#"ttl = "2s", key = "k""#, "union Seat { a: u8 }", &[
        ("union", "`#[distributed_lock]` goes on an async function, not on a union"),
    ]),
    ("trait_item", r#"ttl = "2s", key = "k""#, "pub trait Seat { async fn f(); }", &[
        ("trait", "`#[distributed_lock]` goes on an async function, not on a trait: put it on each method that needs the lock"),
    ]),
    ("unsafe_trait_item", r#"ttl = "2s", key = "k""#, "unsafe trait Seat {}", &[
        ("unsafe", "`#[distributed_lock]` goes on an async function, not on a trait: put it on each method that needs the lock"),
    ]),
    ("impl_item", r#"ttl = "2s", key = "k""#, "impl Seat { async fn f() {} }", &[
        ("impl", "`#[distributed_lock]` goes on an async function, not on an impl block: put it on each method that needs the lock"),
    ]),
    ("unsafe_impl_item", r#"ttl = "2s", key = "k""#, "unsafe impl Seat for A {}", &[
        ("unsafe", "`#[distributed_lock]` goes on an async function, not on an impl block: put it on each method that needs the lock"),
    ]),
    ("module_item", r#"ttl = "2s", key = "k""#, "mod seats { }", &[
        ("mod", "`#[distributed_lock]` goes on an async function, not on a module"),
    ]),
    ("static_item", r#"ttl = "2s", key = "k""#, "static SEAT: u8 = 1;", &[
        ("static", "`#[distributed_lock]` goes on an async function, not on a static"),
    ]),
    ("constant_item", r#"ttl = "2s", key = "k""#, "const SEAT: u8 = 1;", &[
        ("const", "`#[distributed_lock]` goes on an async function, not on a constant"),
    ]),
    ("type_item", r#"ttl = "2s", key = "k""#, "type Seat = u8;", &[
        ("type", "`#[distributed_lock]` goes on an async function, not on a type alias"),
    ]),
    ("use_item", r#"ttl = "2s", key = "k""#, "use seats::Seat;", &[
        ("use", "`#[distributed_lock]` goes on an async function, not on an import"),
    ]),
    ("macro_item", r#"ttl = "2s", key = "k""#, "macro_rules! seat { () => {} }", &[
        ("macro_rules", "`#[distributed_lock]` goes on an async function, not on a macro"),
    ]),
    ("extern_block_item", r#"ttl = "2s", key = "k""#, r#"extern "C" { fn f(); }"#, &[
        ("extern", "`#[distributed_lock]` goes on an async function, not on an extern block"),
    ]),
    ("extern_crate_item", r#"ttl = "2s", key = "k""#, "extern crate seat;", &[
        ("extern", "`#[distributed_lock]` goes on an async function, not on an extern crate"),
    ]),
    ("closure", r#"ttl = "2s", key = "k""#, "async |x| x", &[
        ("async", "`#[distributed_lock]` goes on an async function, not on an expression: move the code into a function, or use `manager.lock(key, ttl).run(async |_| { … })`"),
    ]),
    ("plain_closure", r#"ttl = "2s", key = "k""#, "|x| x", &[
        ("|", "`#[distributed_lock]` goes on an async function, not on an expression: move the code into a function, or use `manager.lock(key, ttl).run(async |_| { … })`"),
    ]),
    ("block", r#"ttl = "2s", key = "k""#, "{ let x = 1; }", &[
        ("{", "`#[distributed_lock]` goes on an async function, not on an expression: move the code into a function, or use `manager.lock(key, ttl).run(async |_| { … })`"),
    ]),
    ("async_block", r#"ttl = "2s", key = "k""#, "async move { 1 }", &[
        ("async", "`#[distributed_lock]` goes on an async function, not on an expression: move the code into a function, or use `manager.lock(key, ttl).run(async |_| { … })`"),
    ]),
    ("statement", r#"ttl = "2s", key = "k""#, "let x = 1;", &[
        ("let", "`#[distributed_lock]` goes on an async function, not on a statement: move the code into a function, or use `manager.lock(key, ttl).run(async |_| { … })`"),
    ]),
    ("call", r#"ttl = "2s", key = "k""#, "book(1).await", &[
        ("book", "`#[distributed_lock]` goes on an async function, not on an expression: move the code into a function, or use `manager.lock(key, ttl).run(async |_| { … })`"),
    ]),
    ("mistakes_in_the_function_and_in_the_options", r#"key = "seat:{seatid}", ttl = "2""#, "const fn f(seat_id: u64) -> ! {}", &[
        ("const", "`f` is const, and a lock is taken at run time: remove `const`"),
        ("!", "`f` never returns, so its lock would never be released: lock one round of its loop, in a function of its own"),
        (r#""2""#, r#"`ttl = "2"`: the unit is missing; did you mean `"2s"` or `"2ms"`?"#),
        (r#""seat:{seatid}""#, "`key`: `seatid` is not an argument of `f`; did you mean `seat_id`?"),
    ]),
];
