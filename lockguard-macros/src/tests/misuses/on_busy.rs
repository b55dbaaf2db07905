//! What happens when the key is busy.

use super::{BOOK, Misuse};

#[rustfmt::skip]
pub(super) const MISUSES: &[Misuse] = &[
    ("on_busy_is_a_quoted_skip", r#"key = "k", ttl = "2s", on_busy = "skip""#, BOOK, &[
        (r#""skip""#, "`skip` is a word, not text: write `on_busy = skip`"),
    ]),
    ("on_busy_is_a_quoted_error", r#"key = "k", ttl = "2s", on_busy = "error""#, BOOK, &[
        (r#""error""#, "`error` is a word, not text: write `on_busy = error`"),
    ]),
    ("on_busy_misspelt", r#"key = "k", ttl = "2s", on_busy = skp"#, BOOK, &[
        ("skp", "`on_busy = skp` is not known here; did you mean `on_busy = skip`?"),
    ]),
    ("on_busy_is_ignore", r#"key = "k", ttl = "2s", on_busy = ignore"#, BOOK, &[
        ("ignore", "`on_busy = ignore` is not known here; did you mean `on_busy = skip`?"),
    ]),
    ("on_busy_is_fail", r#"key = "k", ttl = "2s", on_busy = fail"#, BOOK, &[
        ("fail", "`on_busy = fail` is not known here; did you mean `on_busy = error`?"),
    ]),
    ("on_busy_is_wait", r#"key = "k", ttl = "2s", on_busy = wait"#, BOOK, &[
        ("wait", r#"`on_busy = wait` is not known here; how long to queue is said by `wait = "5s"`, without `on_busy`"#),
    ]),
    ("on_busy_is_retry", r#"key = "k", ttl = "2s", on_busy = retry"#, BOOK, &[
        ("retry", r#"`on_busy = retry` is not known here; how long to queue is said by `wait = "5s"`, without `on_busy`"#),
    ]),
    ("on_busy_in_parentheses_misspelt", r#"key = "k", ttl = "2s", on_busy = (eror)"#, BOOK, &[
        ("(eror)", "`on_busy = eror` is not known here; did you mean `on_busy = error`?"),
    ]),
    ("on_busy_is_a_closure", r#"key = "k", ttl = "2s", on_busy = |_| Ok(())"#, BOOK, &[
        ("|_| Ok(())", "`on_busy` takes what the function returns, not a function: write `on_busy = Ok(…)`, or `on_error = |error| …` and ask `error.is_busy()`"),
    ]),
    ("on_busy_is_a_return", r#"key = "k", ttl = "2s", on_busy = return Ok(())"#, BOOK, &[
        ("return Ok(())", "`on_busy` takes the value that the function returns: leave out `return`"),
    ]),
    ("on_busy_without_value", r#"key = "k", ttl = "2s", on_busy"#, BOOK, &[
        ("on_busy", "`on_busy` has no value: write `on_busy = skip`"),
    ]),
    ("on_busy_in_parentheses", r#"key = "k", ttl = "2s", on_busy(skip)"#, BOOK, &[
        ("on_busy", "`on_busy` takes its value after `=`, not in parentheses: write `on_busy = skip`"),
    ]),
    ("on_busy_after_a_colon", r#"key = "k", ttl = "2s", on_busy: skip"#, BOOK, &[
        ("on_busy", "`on_busy` takes its value after `=`, not `:`: write `on_busy = skip`"),
    ]),
    ("on_busy_twice", r#"key = "k", ttl = "2s", on_busy = skip, on_busy = error"#, BOOK, &[
        ("on_busy", "`on_busy` is given twice: remove one"),
    ]),
    ("nowait_flag", r#"key = "k", ttl = "2s", nowait"#, BOOK, &[
        ("nowait", "`nowait` is called `on_busy` here: write `on_busy = skip`"),
    ]),
];
