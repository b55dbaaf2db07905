//! Whatever stands in a file, the attribute answers and never panics.
//!
//! A few seconds of it run with every `cargo test`; `cargo xtask fuzz` goes on
//! for minutes, from a new seed.

use std::{
    thread,
    time::{Duration, Instant},
};

use proc_macro2::TokenStream;

use super::dice::{Dice, asked};
use crate::{duration, expand};

#[rustfmt::skip]
const OPTION_WORDS: &[&str] = &[
    "key", "keys", "ttl", "wait", "max_hold", "fence", "bind", "on_busy", "on_lost", "min_hold", "on_error", "manager",
    "name", "crate", "expiry", "skip", "error", "finish", "[\"a:{a}\", b]", "\"skip\"", "colour", "=", "=", "=", "=", ",", ",", ",", ",", ";",
    ":", "::", "=>", "==", "|", "||", "@", "#", "!", "?", "&", "*", "-", ".", "..",
    "\"seat:{seat_id}\"", "\"{}\"", "\"{a:?}\"", "\"{a}{b}\"", "\"{a.b[0].c()}:{{\"", "\"2s\"",
    "\"2\"", "\"1.5s\"", "2s", "2", "1.5s", "1e9s", "0x2s", "'a'", "b\"x\"", "c\"x\"", "true",
    "self", "Self", "async", "move", "|e| e", "Err", "(a)", "[a, b]", "{ a }", "()", "'life",
    "r#type", "concat!(\"{a}\")", "é", "_", "if", "fn", "let", "return", "<", ">",
    "if a { b } else { c }",
];

#[rustfmt::skip]
const ITEM_WORDS: &[&str] = &[
    "#[test]", "#[cfg(all())]", "#![allow(x)]", "pub", "pub(crate)", "const", "async", "unsafe",
    "extern", "\"C\"", "fn", "book", "main", "r#type", "<T>", "<'a>", "()", "(a: u8)", "(self)",
    "(&self, (a, b): (u8, u8))", "(a: u8, ...)", "->", "!", "u8", "impl Future",
    "impl Future<Output = u8>", "Pin<Box<dyn Future<Output = u8>>>", "BoxFuture<'_, u8>", "{}",
    "{ Box::pin(async move { 1 }) }", "{ async { 1 }.boxed() }", "{ @ }", "{ block_on }", ";",
    "struct", "enum", "impl", "trait", "mod", "use", "static", "type", "let", "union",
    "macro_rules", "where T: Copy", "=", "1", "|x|", "async move", "self", "'a", "_",
];

/// Expands, and checks that the answer can be compiled or is an error.
fn answer(options: &str, item: &str) {
    let (Ok(options), Ok(item)) = (options.parse::<TokenStream>(), item.parse::<TokenStream>())
    else {
        return;
    };
    let _input = Input {
        options: &options,
        item: &item,
    };
    let expanded = expand(options.clone(), &item);
    let is_answered = expanded.to_string().contains("compile_error")
        || syn::parse2::<syn::ItemFn>(expanded.clone()).is_ok();
    // A body with its own syntax error is passed on as it is.
    let is_broken = syn::parse2::<syn::ItemFn>(item.clone()).is_err();
    assert!(
        is_answered || is_broken,
        "#[distributed_lock({options})] {item}\n=> {expanded}"
    );
}

/// Shown when the attribute panics on it.
struct Input<'a> {
    options: &'a TokenStream,
    item: &'a TokenStream,
}

impl Drop for Input<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            say(&format!(
                "#[distributed_lock({})] {}",
                self.options, self.item
            ));
        }
    }
}

#[expect(clippy::print_stderr, reason = "a long run says how far it is")]
fn say(line: &str) {
    eprintln!("{line}");
}

/// Feeds `serve` with dice: 20,000 times or two seconds, or as long as asked.
fn feed(name: &str, seed: u64, mut serve: impl FnMut(&mut Dice)) {
    let asked_for: Option<u64> = asked("LOCKGUARD_FUZZ_SECONDS");
    let seed = asked("LOCKGUARD_FUZZ_SEED").map_or(seed, |asked: u64| asked.wrapping_add(seed));
    let budget = Duration::from_secs(asked_for.unwrap_or(2));
    let most = if asked_for.is_some() {
        u64::MAX
    } else {
        20_000
    };
    let mut dice = Dice::new(seed);
    let start = Instant::now();
    let mut told = start;
    let mut served = 0_u64;
    while served < most && start.elapsed() < budget {
        serve(&mut dice);
        served += 1;
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            say(&format!(
                "{name}: {served} after {} s",
                start.elapsed().as_secs()
            ));
        }
    }
    let seconds = start.elapsed().as_secs();
    say(&format!(
        "fuzz: {served} {name} answered in {seconds} s, seed {seed}"
    ));
}

#[test]
fn random_options_are_answered() {
    let item = "async fn book(seat_id: u64, a: &str, b: T) -> Result<(), E> { a }";
    feed("options", 1, |dice| {
        answer(&dice.soup(OPTION_WORDS, 16, " "), item);
    });
}

#[test]
fn random_items_are_answered() {
    feed("items", 2, |dice| {
        let item = dice.soup(ITEM_WORDS, 10, " ");
        answer("key = \"k:{a}\", ttl = \"2s\", on_error = |e| e", &item);
        answer("", &item);
    });
}

#[rustfmt::skip]
const TEMPLATE_PIECES: &[&str] = &[
    "{", "}", "{{", "}}", "a", "b", "self", ".", ":", "::", "?", ">04", "(", ")", "[", "]", "0",
    "|", "/", " ", "é", "\\n", "\\\"", "\\u{a0}", "&", "*", "+", "!", "await", "<", "%d",
];

#[test]
fn random_templates_are_answered() {
    let item = "async fn book(&self, a: u64, b: &str) -> Result<(), E> {}";
    feed("templates", 3, |dice| {
        let one = dice.soup(TEMPLATE_PIECES, 14, "");
        answer(&format!("key = \"{one}\", ttl = \"2s\""), item);
        let other = dice.soup(TEMPLATE_PIECES, 8, "");
        answer(
            &format!("keys = [\"{one}\", \"{other}\"], ttl = \"2s\""),
            item,
        );
    });
}

#[rustfmt::skip]
const DURATION_PIECES: &[&str] = &[
    "0", "1", "2", "9", "10", "007", "18446744073709551616", "340282366920938463463374607431768211456",
    ".", "_", "-", "+", " ", "e", "x", "s", "ms", "m", "h", "d", "us", "µs", "ns", "S", "M", "sec",
    "secs", "minutes", "fortnight", "PT", "T", "P", "é", "\\0", "\\u{a0}", ",",
];

#[test]
fn random_durations_are_answered() {
    let item = "async fn book() -> Result<(), E> {}";
    feed("durations", 4, |dice| {
        let text = dice.soup(DURATION_PIECES, 8, "");
        if let Ok(read) = duration::parse(&text) {
            let written = duration::written(read);
            assert_eq!(
                duration::parse(&written),
                Ok(read),
                "{text:?} as {written:?}"
            );
        }
        let hold = dice.soup(DURATION_PIECES, 5, "");
        let option = dice.pick(&["wait", "max_hold", "min_hold"]);
        answer(
            &format!("key = \"k\", ttl = \"{text}\", {option} = \"{hold}\""),
            item,
        );
        // Without quotes, some of it is a number with a suffix.
        answer(
            &format!("key = \"k\", ttl = {text}, {option} = {hold}"),
            item,
        );
    });
}
