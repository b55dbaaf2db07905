//! Different values never make the same key, and no value forges anything.
//!
//! Templates are read by the attribute's own parser and rendered by the
//! runtime, as in a locked function.
//! Some thousand pairs run with every `cargo test`; `cargo xtask injectivity`
//! runs ten millions.

use std::fmt::Write as _;

use lockguard::__private::{self as runtime, KeyPart};
use proc_macro2::Span;
use quote::ToTokens;
use syn::{Expr, ExprLit, Lit, LitStr};

use super::dice::{Dice, asked};
use crate::{
    error::Errors,
    key::{Key, Place},
    target::Target,
    template::Template,
};

const ITEM: &str = "async fn f(a: &str, b: &str, c: &str, n: u64, m: u64) -> Result<(), E> {}";

/// What templates are made of; most of what comes out is refused.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "{a}", "{b}", "{c}", "{n}", "{m}", "{n:>04}", "{m:02}", ":", ":", ":", "/", "|", "#", "-",
    ".", "a", "s", "seat", "%", "%3A", "{{", "}}", "7", "0", "é", "app:",
];

/// What values are made of: all that has a meaning somewhere.
#[rustfmt::skip]
const MATTER: &[&str] = &[
    "a", "b", "s", "seat", "0", "7", "07", ":", ":", "/", "|", "#", "{", "}", "{a}", "%", "%3A",
    "%3a", "%25", "25", "3A", "-", ".", " ", "\t", "\n", "\0", "\u{a0}", "\u{2028}", "\u{7f}", "é",
    "e\u{301}", "\u{202e}", "app:", "*", "\\", "\"",
];

const SEPARATORS: [char; 4] = [':', '/', '|', '#'];

/// What the arguments are in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Values {
    texts: [String; 3],
    numbers: [u64; 2],
}

impl Values {
    fn new(dice: &mut Dice) -> Self {
        let mut text = || {
            // An empty one makes no key at all.
            let text = dice.soup(MATTER, 4, "");
            if text.is_empty() {
                "a".to_owned()
            } else {
                text
            }
        };
        let texts = [text(), text(), text()];
        let numbers = [number(dice), number(dice)];
        Self { texts, numbers }
    }

    /// Other values, made from these so that they might make the same key.
    fn forged(&self, key: &str, dice: &mut Dice) -> Self {
        let mut forged = self.clone();
        let at = dice.below(3);
        let next = (at + 1) % 3;
        match dice.below(6) {
            // The end of one value moves to the beginning of the next.
            0 => {
                let whole = format!(
                    "{}{}{}",
                    self.texts[at],
                    dice.pick(&[":", "/", ""]),
                    self.texts[next]
                );
                let cut = whole.chars().count().max(2) - 1;
                let cut = 1 + dice.below(cut);
                forged.texts[at] = whole.chars().take(cut).collect();
                forged.texts[next] = whole.chars().skip(cut).collect();
            }
            // What escaping would have made, or undone.
            1 => forged.texts[at] = self.texts[at].replace(':', "%3A").replace('{', "%7B"),
            2 => forged.texts[at] = self.texts[at].replace("%3A", ":").replace("%25", "%"),
            // A piece of the key, or all of it.
            3 => {
                let from = dice.below(key.chars().count().max(1));
                forged.texts[at] = key.chars().skip(from).collect();
            }
            4 => forged.numbers[at % 2] = number(dice),
            _ => forged.texts[at].push_str(dice.pick(MATTER)),
        }
        for text in &mut forged.texts {
            if text.is_empty() {
                text.push('a');
            }
        }
        forged
    }
}

fn number(dice: &mut Dice) -> u64 {
    match dice.below(4) {
        0 => dice.roll(),
        1 => dice.roll() % 100_000,
        _ => dice.roll() % 12,
    }
}

/// A template, and which argument each of its placeholders names.
struct Parsed {
    template: Template,
    source: String,
    names: Vec<String>,
}

impl Parsed {
    fn new(source: String, target: &Target) -> Option<Self> {
        let literal = LitStr::new(&source, Span::call_site());
        let literal = Expr::Lit(ExprLit {
            attrs: Vec::new(),
            lit: Lit::Str(literal),
        });
        let place = Place {
            option: "key",
            target,
        };
        let Some(Key::Template(template)) = Key::parse(&literal, place, &mut Errors::default())
        else {
            return None;
        };
        let names = template.values.iter();
        let names = names
            .map(|value| value.expr.to_token_stream().to_string())
            .collect();
        Some(Self {
            template,
            source,
            names,
        })
    }

    /// What a locked function's expansion does.
    fn key(&self, values: &Values) -> String {
        let texts: Vec<&str> = self.template.texts.iter().map(String::as_str).collect();
        let [n, m] = &values.numbers;
        let parts: Vec<Box<dyn KeyPart + '_>> = self
            .names
            .iter()
            .zip(&self.template.values)
            .map(|(name, value)| -> Box<dyn KeyPart + '_> {
                match (name.as_str(), value.width) {
                    ("a", _) => Box::new(&values.texts[0]),
                    ("b", _) => Box::new(&values.texts[1]),
                    ("c", _) => Box::new(&values.texts[2]),
                    ("n", Some(width)) => Box::new(runtime::padded(n, width)),
                    ("n", None) => Box::new(n),
                    (_, Some(width)) => Box::new(runtime::padded(m, width)),
                    (_, None) => Box::new(m),
                }
            })
            .collect();
        let parts: Vec<&dyn KeyPart> = parts.iter().map(|part| &**part).collect();
        runtime::key(&texts, &parts).expect("no value is empty")
    }

    /// The values that the key is made of.
    fn used(&self, values: &Values) -> String {
        let mut used = String::new();
        for name in &self.names {
            let written = match name.as_str() {
                "a" => write!(used, "{:?},", values.texts[0]),
                "b" => write!(used, "{:?},", values.texts[1]),
                "c" => write!(used, "{:?},", values.texts[2]),
                "n" => write!(used, "{},", values.numbers[0]),
                _ => write!(used, "{},", values.numbers[1]),
            };
            written.expect("a String takes everything");
        }
        used
    }

    /// The key's structure is the template's: separators, braces and the parts
    /// between separators that hold no value stand as they were written, and
    /// values add none.
    ///
    /// So a value forges no key of a template of another structure, no cluster
    /// hash tag, and no prefix, which ends with a separator.
    fn assert_structure(&self, key: &str) {
        // A value is a private-use character here, which no template has.
        let shape = self.template.texts.join("\u{e000}");
        let is_structure = |c: &char| SEPARATORS.contains(c) || matches!(c, '{' | '}');
        let of_shape = shape.chars().filter(is_structure);
        assert!(
            of_shape.eq(key.chars().filter(is_structure)),
            "{:?} made {key:?}, of another structure",
            self.source
        );
        let parts = shape.split(SEPARATORS).zip(key.split(SEPARATORS));
        for (written, made) in parts {
            assert!(
                written.contains('\u{e000}') || written == made,
                "{:?} made {key:?}, where {written:?} became {made:?}",
                self.source
            );
        }
        let is_clean = |c: char| !c.is_whitespace() && !c.is_control();
        assert!(key.chars().all(is_clean), "{:?} made {key:?}", self.source);
    }
}

/// Pairs of values for each template: reading one takes as long as these.
const PAIRS_EACH: u64 = 64;

#[test]
#[expect(clippy::print_stderr, reason = "a long run says how far it is")]
fn different_values_never_make_the_same_key_and_forge_nothing() {
    let wanted: u64 = asked("LOCKGUARD_PAIRS").unwrap_or(20_000);
    let seed: u64 = asked("LOCKGUARD_FUZZ_SEED").unwrap_or(5);
    let mut dice = Dice::new(seed);
    let item = ITEM.parse().expect("the item is tokens");
    let target = Target::parse(&item, &mut Errors::default()).expect("a function");
    let (mut pairs, mut same, mut templates, mut refused) = (0_u64, 0_u64, 0_u64, 0_u64);
    while pairs < wanted {
        let source = dice.soup(PIECES, 9, "");
        let Some(parsed) = Parsed::new(source, &target).filter(|parsed| !parsed.names.is_empty())
        else {
            refused += 1;
            continue;
        };
        templates += 1;
        for _ in 0..PAIRS_EACH {
            let one = Values::new(&mut dice);
            let key = parsed.key(&one);
            parsed.assert_structure(&key);
            let other = match dice.below(4) {
                0 => Values::new(&mut dice),
                _ => one.forged(&key, &mut dice),
            };
            let other_key = parsed.key(&other);
            parsed.assert_structure(&other_key);
            let is_same = parsed.used(&one) == parsed.used(&other);
            assert_eq!(
                key == other_key,
                is_same,
                "{:?} made {key:?} of {one:?} and {other_key:?} of {other:?}",
                parsed.source
            );
            if is_same {
                // Another value of an argument that the key does not name.
                same += 1;
                continue;
            }
            pairs += 1;
            if pairs % 1_000_000 == 0 {
                eprintln!("injectivity: {pairs} pairs");
            }
        }
    }
    eprintln!(
        "injectivity: {pairs} pairs of different values made {pairs} pairs of different keys, \
         {same} pairs of the same values the same; {templates} templates ({refused} refused or \
         without a value), seed {seed}; nothing was forged"
    );
}
