//! Options whose value is a word: `on_busy = skip`.

use syn::{Expr, ExprLit, Lit};

use crate::{argument::unwrapped, error::Errors, similar::closest, target::Target};

/// What the function does when another owner holds the key.
pub(crate) enum OnBusy {
    /// Return the error, as for any other.
    Error,
    /// Return without running, where the return type can say so.
    Skip,
    /// Return this.
    Value(Box<Expr>),
}

impl OnBusy {
    const WORDS: [&str; 2] = ["skip", "error"];

    /// What the words are called elsewhere.
    const SKIP: [&str; 4] = ["ignore", "none", "nothing", "pass"];
    const ERROR: [&str; 3] = ["err", "fail", "raise"];

    /// Reads the value of `on_busy`.
    pub(crate) fn parse(value: &Expr, target: &Target, errors: &mut Errors) -> Option<Self> {
        if let Some(word) = word(value) {
            match word.as_str() {
                "skip" => return Some(Self::Skip),
                "error" => return Some(Self::Error),
                _ => {}
            }
            if let Some(meant) = Self::meant(&word, target) {
                errors.at(
                    value,
                    format!(
                        "`on_busy = {word}` is not known here; did you mean `on_busy = {meant}`?"
                    ),
                );
                return None;
            }
        }
        let problem = match unwrapped(value) {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) if Self::WORDS.contains(&text.value().as_str()) => {
                format!(
                    "`{0}` is a word, not text: write `on_busy = {0}`",
                    text.value()
                )
            }
            Expr::Closure(_) => {
                "`on_busy` takes what the function returns, not a function: write `on_busy = \
                 Ok(…)`, or `on_error = |error| …` and ask `error.is_busy()`"
                    .to_owned()
            }
            Expr::Return(_) => {
                "`on_busy` takes the value that the function returns: leave out `return`".to_owned()
            }
            _ => return Some(Self::Value(Box::new(value.clone()))),
        };
        errors.at(value, problem);
        None
    }

    /// A lower-case word that names no argument is a slip.
    fn meant(word: &str, target: &Target) -> Option<&'static str> {
        if target.arguments().any(|argument| argument == word) {
            return None;
        }
        if Self::SKIP.contains(&word) {
            return Some("skip");
        }
        if Self::ERROR.contains(&word) {
            return Some("error");
        }
        closest(word, Self::WORDS)
    }
}

/// A single lower-case word.
fn word(value: &Expr) -> Option<String> {
    let Expr::Path(path) = unwrapped(value) else {
        return None;
    };
    let word = path.path.get_ident()?.to_string();
    word.starts_with(char::is_lowercase).then_some(word)
}
