//! What is right is not refused.

use proc_macro2::TokenStream;

use crate::expand;

const BOOK: &str = "async fn book(&self, id: u64, order: &Order, r#type: u8) -> Result<(), E> {}";

fn assert_accepted(options: &str, item: &str) {
    let options: TokenStream = options.parse().expect("the options are tokens");
    let item: TokenStream = item.parse().expect("the item is tokens");
    let expanded = expand(options.clone(), &item);
    assert!(
        syn::parse2::<syn::ItemFn>(expanded.clone()).is_ok(),
        "#[distributed_lock({options})] {item}\n=> {expanded}"
    );
}

fn expanded(options: &str, item: &str) -> String {
    let options = options.parse().expect("the options are tokens");
    expand(options, &item.parse().expect("the item is tokens")).to_string()
}

#[test]
fn options_come_in_any_order_and_with_any_expression() {
    for options in [
        "ttl = \"2s\", key = \"k\"",
        "key = \"k\", ttl = \"2s\",",
        "key = (\"k:{id}\"), ttl = (\"2s\")",
        "key = KEY, ttl = TTL, wait = WAIT",
        "key = KEY.to_owned() + \":\" + name as &str, ttl = \"2s\"",
        "key = self.key(id), ttl = Self::ttl::<A, B>(), wait = Duration::from_secs(5) / 2",
        "key = format!(\"{}:{id}\", 1), ttl = Duration::from_millis(10)",
        "key = if id == 0 { A } else { B }, ttl = const { TTL }",
        "key = { \"a\" }, ttl = \"2s\"",
        "key = concat!(\"a\", \"b\"), ttl = \"2s\"",
        "key = concat!(\"a\", \"{{b}}\"), ttl = \"2s\"",
        "key = render(\"{id}\", id), ttl = \"2s\"",
        "key = \"{id}\".replace(\"{id}\", \"x\"), ttl = \"2s\"",
        "key = r\"k\", ttl = r#\"2s\"#",
        "key = \"100%discount:{id}\", ttl = \"2s\"",
        "key = \"%d0%bf:{id}\", ttl = \"2s\"",
        "key = \"k\", ttl = \"2s\", on_error = |error| Err(error.into())",
        "key = \"k\", ttl = \"2s\", on_error = move |_: LockError| -> R { return x }",
        "key = \"k\", ttl = \"2s\", on_error = |LockError { .. }| {}, wait = \"0s\"",
        "key = \"k\", ttl = \"2s\", on_error = (Self::rescue::<A, B>)",
        "key = \"k\", ttl = \"2s\", manager = lockguard::named(\"payments\")",
        "key = \"k\", ttl = \"2s\", manager = &*self.locks[0]",
        "key = \"k\", ttl = \"2s\", name = \"nightly report\"",
        "keys = [\"a:{id}\", \"b:{id}\"], ttl = \"2s\"",
        "keys = [\"a:{id}\", KEY, format!(\"b:{id}\"), order.key(),], ttl = \"2s\"",
        "keys = ([\"a\"]), ttl = \"2s\"",
        "keys = [\"a:{id}\", \"a:{id:>04}\", \"a:{order.id}\", \"a:{id}:\"], ttl = \"2s\"",
        "keys = order.lines.iter().map(|line| format!(\"line:{line}\")), ttl = \"2s\"",
        "keys = &order.keys, ttl = \"2s\"",
        "keys = vec![\"a\", \"b\"], ttl = \"2s\"",
        "keys = [\"a\", \"b\"].into_iter(), ttl = \"2s\"",
        "r#key = \"k\", r#ttl = \"2s\"",
        "key = \"k\", ttl = \"24h\", wait = \"24h\", max_hold = \"365d\"",
        "key = \"k\", ttl = \"2s\", max_hold = \"10s\", min_hold = \"10s\"",
        "key = \"k\", ttl = \"2s\", max_hold = \"2s\"",
        "key = \"k\", ttl = \"2s\", max_hold = \"30d\", min_hold = \"1h\"",
        "key = \"k\", ttl = \"2s\", min_hold = \"2s\"",
        "key = \"k\", ttl = TTL, min_hold = \"1h\"",
        "key = \"k\", ttl = \"2s\", max_hold = self.longest(), min_hold = \"1h\"",
        "key = \"k\", ttl = TTL, max_hold = \"2s\", min_hold = self.shortest()",
        "key = \"k\", ttl = \"2s\", fence = token",
        "key = \"k\", ttl = \"2s\", fence = token, bind = lease",
        "key = \"k\", ttl = \"2s\", on_lost = cancel",
        "key = \"k\", ttl = \"2s\", on_lost = (finish)",
        "key = \"k\", ttl = \"2s\", bind = lease",
        "key = \"k\", ttl = \"2s\", bind = r#match",
        "key = \"k\", ttl = \"2s\", bind = (_lease)",
        "key = \"k\", ttl = \"2s\", on_busy = skip",
        "key = \"k\", ttl = \"2s\", on_busy = (error)",
        "key = \"k\", ttl = \"2s\", on_busy = Ok(())",
        "key = \"k\", ttl = \"2s\", on_busy = id",
        "key = \"k\", ttl = \"2s\", on_busy = SKIP",
        "key = \"k\", ttl = \"2s\", on_busy = \"busy\"",
        "key = \"k\", ttl = \"2s\", on_busy = { skipp }",
        "key = \"k\", ttl = \"2s\", on_busy = self.queue(order).await?",
        "key = \"k\", ttl = \"2s\", on_busy = Err(Busy { id }), wait = \"1s\", bind = lease",
        "key = \"k\", ttl = \"2s\", crate = crate",
        "key = \"k\", ttl = \"2s\", crate = ::framework::lockguard",
        "key = \"k\", ttl = \"2s\", crate = super::lockguard, name = \"n\"",
    ] {
        assert_accepted(options, BOOK);
    }
}

#[test]
fn templates_hold_every_kind_of_place() {
    for template in [
        "k",
        "k:{id}",
        "{id}:k",
        "k:{id}/{order}|{id}#{id}",
        "k:{id}-x:{id}",
        "{{tag}}:{id}",
        "{{{id}}}:k",
        "k:{r#type}",
        "k:{r#id}",
        "k:{order.id}",
        "k:{order.0.1}",
        "k:{order.lines[0]}",
        "k:{order.lines[id]}",
        "k:{order.name()}",
        "k:{order.part(0, id).name::<A>()}",
        "k:{self.id}",
        "k:{self}",
        "k:{Self::KIND}",
        "k:{KIND}",
        "k:{N}",
        "k:{crate::seats::KIND}",
        "k:{<Self as Job>::NAME}",
        "k:{*order}",
        "k:{&id}",
        "k:{(order).id}",
        "k:{id:>04}",
        "k:{id:04}",
        "k:{id:0>4}",
        "k:{id:>04 }",
        "k:{Self::DAY:>04}",
        "k:{ id }",
        "ключ:{id}",
        "k%20:{id}",
        "$k:@{id}",
    ] {
        assert_accepted(&format!("key = {template:?}, ttl = \"2s\""), BOOK);
    }
}

#[test]
fn functions_come_in_every_shape() {
    for item in [
        "async fn f() {}",
        "pub(in crate::a) async unsafe fn f() -> u8 { 1 }",
        "#[doc = \"d\"] #[inline] #[cfg(all())] async fn f(self) {}",
        "async fn f(mut self: Box<Self>, _: u8, (a, b): (u8, u8), [c, ..]: [u8; 2]) {}",
        "async fn f(self: Pin<&mut Self>, S { a, b: T(c), .. }: S, d @ 1..: u8) {}",
        "async fn f<'a, T: 'a, const N: usize>(a: &'a [T; N]) -> &'a T where T: Copy { &a[0] }",
        "async fn f(a: impl Fn(u8) -> u8, #[cfg(x)] b: dyn_type!()) -> Result<impl A + '_, B> {}",
        "async fn f() -> impl A {}",
        "async fn f() -> Box<dyn Fn(u8) -> Result<u8, Box<dyn A<B = impl C>>>> {}",
        "async fn main(a: u8) {}",
        "async fn union() {}",
        "async fn r#fn() { #![allow(x)] 1 }",
        "fn f() -> impl Future<Output = u8> { async { 1 } }",
        "fn f() -> impl Future<Output = u8> + Send + use<> { let a = 1; async move { a } }",
        "fn f<'a>(&'a self) -> Pin<Box<dyn Future<Output = R> + Send + 'a>> { Box::pin(async move { 1 }) }",
        "fn f(&self) -> BoxFuture<'_, R> { async move { 1 }.boxed() }",
        "fn f(&self) -> LocalBoxFuture<'_, R> { (async move { 1 }).boxed_local() }",
        "fn f() -> Alias { ::std::boxed::Box::pin(async move { 1 }) }",
        "fn f() -> Alias { fn g() -> u8 { return 1 } let a = || { return 1 }; Box::pin(async move { return 1 }) }",
        "fn f() -> Alias { let a = |a: u8| -> Vec<[u8; 1]> { return 1 }; Box::pin(async move { 1 }) }",
        "fn f() -> Alias { let a = async { return 1 }; let b = async move { return 1 }; Box::pin(async move { 1 }) }",
        "fn f() -> Alias { let a = |b: &str, c| match b { \"\" => return 1, _ => 2 }; Box::pin(async move { 1 }) }",
        "fn f() -> Alias { let a = b.map(|b: A| if b >= c { return 1 } else { 2 }); Box::pin(async move { 1 }) }",
        "fn f() -> Alias { let a = move || return 1; Box::pin(async move { 1 }) }",
        "fn f() -> Alias { let a = |b| -> Map<A, B> { return 1 }; let c = async |d| { return 1 }; Box::pin(async move { 1 }) }",
        "fn f() -> Alias { let a = { fn g<A>(b: A) -> u8 where A: B { return 1 } g(1) }; Box::pin(async move { 1 }) }",
    ] {
        assert_accepted("key = \"k\", ttl = \"2s\"", item);
    }
}

/// An editor asks while the body is being typed.
#[test]
fn a_body_need_not_parse() {
    let item = "async fn f(order: Order) { order. }";
    let expanded = expanded("key = \"k\", ttl = \"2s\"", item);
    assert!(!expanded.contains("compile_error"), "{expanded}");
    assert!(expanded.contains("{ order . }"), "{expanded}");
}

#[test]
fn an_argument_may_be_called_as_a_word_is() {
    let item = "async fn f(wait: R, skipp: R) -> R { wait }";
    assert_accepted("key = \"k\", ttl = \"2s\", on_busy = wait", item);
    assert_accepted("key = \"k\", ttl = \"2s\", on_busy = skipp", item);
}

/// It is for whoever reads the signature.
#[test]
fn an_attribute_of_an_argument_stays_there_unless_it_is_cfg() {
    let item = "async fn f(#[case] #[cfg(unix)] a: A) -> R { a }";
    let expanded = expanded("key = \"k\", ttl = \"2s\"", item);
    assert_eq!(expanded.matches("case").count(), 1, "{expanded}");
    assert_eq!(expanded.matches("cfg").count(), 2, "{expanded}");
}

#[test]
fn a_key_names_what_a_pattern_binds() {
    for (name, argument) in [
        ("a", "(a): A"),
        ("a", "(Ok(a) | Err(a)): Result<u8, u8>"),
        ("a.id", "ref a @ Order { id, .. }: Order"),
        ("id", "ref a @ Order { id, .. }: Order"),
    ] {
        let options = format!("key = \"k:{{{name}}}\", ttl = \"2s\"");
        assert_accepted(&options, &format!("async fn f({argument}) -> R {{}}"));
    }
}

#[test]
fn a_lock_point_is_called_as_its_function_without_the_raw_prefix() {
    let expanded = expanded("key = \"k\", ttl = \"2s\"", "async fn r#loop() -> R {}");
    assert!(expanded.contains("\"::loop\""), "{expanded}");
}

#[test]
fn a_list_that_the_function_owns_is_lent_to_the_key() {
    for list in [
        "Vec<String>",
        "[String; 2]",
        "std::collections::BTreeSet<String>",
    ] {
        let item = format!("async fn f(seats: {list}) -> R {{}}");
        let expanded = expanded("keys = seats, ttl = \"2s\"", &item);
        assert!(expanded.contains("(& seats)"), "{expanded}");
    }
}
