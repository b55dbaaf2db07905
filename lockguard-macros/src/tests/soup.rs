//! Whatever stands in a file, the attribute answers and never panics.

use std::time::{Duration, Instant};

use proc_macro2::TokenStream;

use super::expand;

/// `SplitMix64`: the same soup on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("lengths are small");
        usize::try_from(self.roll() % bound).expect("less than a usize")
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

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

fn soup(dice: &mut Dice, words: &[&str], most: usize) -> String {
    let length = dice.below(most);
    let mut soup = String::new();
    for _ in 0..length {
        soup.push_str(dice.pick(words));
        soup.push(' ');
    }
    soup
}

/// Expands, and checks that the answer can be compiled or is an error.
fn answer(options: &str, item: &str) {
    let (Ok(options), Ok(item)) = (options.parse::<TokenStream>(), item.parse::<TokenStream>())
    else {
        return;
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

const BUDGET: Duration = Duration::from_secs(2);

#[test]
fn random_options_are_answered() {
    let mut dice = Dice(1);
    let start = Instant::now();
    let item = "async fn book(seat_id: u64, a: &str, b: T) -> Result<(), E> { a }";
    for _ in 0..20_000 {
        if start.elapsed() > BUDGET {
            break;
        }
        answer(&soup(&mut dice, OPTION_WORDS, 16), item);
    }
}

#[test]
fn random_items_are_answered() {
    let mut dice = Dice(2);
    let start = Instant::now();
    for _ in 0..20_000 {
        if start.elapsed() > BUDGET {
            break;
        }
        let item = soup(&mut dice, ITEM_WORDS, 10);
        answer("key = \"k:{a}\", ttl = \"2s\", on_error = |e| e", &item);
        answer("", &item);
    }
}

#[test]
fn random_templates_are_answered() {
    let mut dice = Dice(3);
    let start = Instant::now();
    let pieces = &[
        "{", "}", "{{", "}}", "a", "b", "self", ".", ":", "::", "?", ">04", "(", ")", "[", "]",
        "0", "|", "/", " ", "é", "\\n", "\\\"", "\\u{a0}", "&", "*", "+", "!", "await", "<", "%d",
    ];
    for _ in 0..20_000 {
        if start.elapsed() > BUDGET {
            break;
        }
        let mut template = String::new();
        for _ in 0..dice.below(14) {
            template.push_str(dice.pick(pieces));
        }
        answer(
            &format!("key = \"{template}\", ttl = \"2s\""),
            "async fn book(&self, a: u64, b: &str) -> Result<(), E> {}",
        );
    }
}
