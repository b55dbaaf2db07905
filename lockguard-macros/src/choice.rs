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

/// What happens to a body whose lease is lost.
pub(crate) enum OnLost {
    /// It is dropped at its next poll.
    Cancel,
    /// It goes on, and its value is returned.
    Finish,
}

impl OnLost {
    const WORDS: [&str; 2] = ["cancel", "finish"];

    /// Reads the value of `on_lost`.
    pub(crate) fn parse(value: &Expr, errors: &mut Errors) -> Option<Self> {
        let word = word(value);
        match word.as_deref() {
            Some("cancel") => return Some(Self::Cancel),
            Some("finish") => return Some(Self::Finish),
            _ => {}
        }
        let guess = word.and_then(|word| Some((closest(&word, Self::WORDS)?, word)));
        let problem = if let Some((meant, word)) = guess {
            format!("`on_lost = {word}` is not known here; did you mean `on_lost = {meant}`?")
        } else if let Some(problem) = quoted("on_lost", value, Self::WORDS) {
            problem
        } else {
            "`on_lost` takes a word: write `on_lost = cancel` to drop the body when its lease is \
             lost, or `on_lost = finish` to let it end"
                .to_owned()
        };
        errors.at(value, problem);
        None
    }
}

impl OnBusy {
    const WORDS: [&str; 2] = ["skip", "error"];

    /// What the words are called elsewhere.
    const SKIP: [&str; 4] = ["ignore", "none", "nothing", "pass"];
    const ERROR: [&str; 3] = ["err", "fail", "raise"];
    const WAIT: [&str; 4] = ["block", "queue", "retry", "wait"];

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
                    format!("`on_busy = {word}` is not known here; {meant}"),
                );
                return None;
            }
        }
        if let Some(problem) = quoted("on_busy", value, Self::WORDS) {
            errors.at(value, problem);
            return None;
        }
        let problem = match unwrapped(value) {
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
    fn meant(word: &str, target: &Target) -> Option<String> {
        if target.arguments().any(|argument| argument == word) {
            return None;
        }
        if Self::WAIT.contains(&word) {
            return Some("how long to queue is said by `wait = \"5s\"`, without `on_busy`".into());
        }
        let meant = if Self::SKIP.contains(&word) {
            "skip"
        } else if Self::ERROR.contains(&word) {
            "error"
        } else {
            closest(word, Self::WORDS)?
        };
        Some(format!("did you mean `on_busy = {meant}`?"))
    }
}

/// What is wrong with one of the option's words in quotes.
fn quoted(option: &str, value: &Expr, words: [&str; 2]) -> Option<String> {
    let Expr::Lit(ExprLit {
        lit: Lit::Str(text),
        ..
    }) = unwrapped(value)
    else {
        return None;
    };
    let text = text.value();
    words
        .contains(&text.as_str())
        .then(|| format!("`{text}` is a word, not text: write `{option} = {text}`"))
}

/// A single lower-case word.
fn word(value: &Expr) -> Option<String> {
    let Expr::Path(path) = unwrapped(value) else {
        return None;
    };
    let word = path.path.get_ident()?.to_string();
    word.starts_with(char::is_lowercase).then_some(word)
}
