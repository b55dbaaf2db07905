//! Variables for the body.

use super::{BOOK, Misuse};

#[rustfmt::skip]
pub(super) const MISUSES: &[Misuse] = &[
    ("bind_is_text", r#"key = "k", ttl = "2s", bind = "lease""#, BOOK, &[
        (r#""lease""#, "`bind` takes a name, not text: write `bind = lease`"),
    ]),
    ("bind_is_text_that_is_no_name", r#"key = "k", ttl = "2s", bind = "the lease""#, BOOK, &[
        (r#""the lease""#, "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_is_an_argument", r#"key = "k", ttl = "2s", bind = user"#, BOOK, &[
        ("user", "`user` is an argument of `book`, and the body could not use it any more: choose another name, such as `bind = lease`"),
    ]),
    ("bind_is_an_argument_called_lease", r#"key = "k", ttl = "2s", bind = lease"#, "async fn f(lease: u8) -> R {}", &[
        ("lease", "`lease` is an argument of `f`, and the body could not use it any more: choose another name, such as `bind = held_lease`"),
    ]),
    ("bind_is_in_a_pattern", r#"key = "k", ttl = "2s", bind = b"#, "async fn f((a, b): (u8, u8)) -> R {}", &[
        ("b", "`b` is an argument of `f`, and the body could not use it any more: choose another name, such as `bind = lease`"),
    ]),
    ("bind_is_self", r#"key = "k", ttl = "2s", bind = self"#, BOOK, &[
        ("self", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_is_a_type", r#"key = "k", ttl = "2s", bind = Lease"#, BOOK, &[
        ("Lease", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_is_a_path", r#"key = "k", ttl = "2s", bind = lockguard::lease"#, BOOK, &[
        ("lockguard::lease", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_is_an_underscore", r#"key = "k", ttl = "2s", bind = _"#, BOOK, &[
        ("_", "`bind` without a name binds nothing: write `bind = lease`, or remove it"),
    ]),
    ("bind_is_a_closure", r#"key = "k", ttl = "2s", bind = |lease| lease"#, BOOK, &[
        ("|lease| lease", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_is_a_number", r#"key = "k", ttl = "2s", bind = 1"#, BOOK, &[
        ("1", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_is_true", r#"key = "k", ttl = "2s", bind = true"#, BOOK, &[
        ("true", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_is_a_keyword", r#"key = "k", ttl = "2s", bind = type"#, BOOK, &[
        ("type", "`bind` is not understood: write `bind = lease` (expected an expression)"),
    ]),
    ("bind_without_value", r#"key = "k", ttl = "2s", bind"#, BOOK, &[
        ("bind", "`bind` has no value: write `bind = lease`"),
    ]),
    ("bind_in_parentheses", r#"key = "k", ttl = "2s", bind(lease)"#, BOOK, &[
        ("bind", "`bind` takes its value after `=`, not in parentheses: write `bind = lease`"),
    ]),
    ("fence_is_text", r#"key = "k", ttl = "2s", fence = "token""#, BOOK, &[
        (r#""token""#, "`fence` takes a name, not text: write `fence = token`"),
    ]),
    ("fence_is_an_argument", r#"key = "k", ttl = "2s", fence = user"#, BOOK, &[
        ("user", "`user` is an argument of `book`, and the body could not use it any more: choose another name, such as `fence = token`"),
    ]),
    ("fence_is_an_argument_called_token", r#"key = "k", ttl = "2s", fence = token"#, "async fn f(token: u8) -> R {}", &[
        ("token", "`token` is an argument of `f`, and the body could not use it any more: choose another name, such as `fence = held_token`"),
    ]),
    ("fence_is_true", r#"key = "k", ttl = "2s", fence = true"#, BOOK, &[
        ("true", "`fence` takes the name of a new variable: write `fence = token`"),
    ]),
    ("fence_is_a_type", r#"key = "k", ttl = "2s", fence = FencingToken"#, BOOK, &[
        ("FencingToken", "`fence` takes the name of a new variable: write `fence = token`"),
    ]),
    ("fence_is_an_underscore", r#"key = "k", ttl = "2s", fence = _"#, BOOK, &[
        ("_", "`fence` without a name binds nothing: write `fence = token`, or remove it"),
    ]),
    ("fence_is_the_lease", r#"key = "k", ttl = "2s", bind = held, fence = held"#, BOOK, &[
        ("held", "`bind` and `fence` are two things, and `held` names one: write `fence = held_token`"),
    ]),
    ("fence_flag", r#"key = "k", ttl = "2s", fence"#, BOOK, &[
        ("fence", "`fence` has no value: write `fence = token`"),
    ]),
    ("bind_and_fence_are_arguments", r#"key = "k", ttl = "2s", bind = user, fence = seat_id"#, BOOK, &[
        ("user", "`user` is an argument of `book`, and the body could not use it any more: choose another name, such as `bind = lease`"),
        ("seat_id", "`seat_id` is an argument of `book`, and the body could not use it any more: choose another name, such as `fence = token`"),
    ]),
    ("bind_is_an_argument_as_a_raw_identifier", r#"key = "k", ttl = "2s", bind = r#user"#, BOOK, &[
        ("r#user", "`r#user` is an argument of `book`, and the body could not use it any more: choose another name, such as `bind = lease`"),
    ]),
    ("bind_is_super", r#"key = "k", ttl = "2s", bind = super"#, BOOK, &[
        ("super", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_with_an_attribute", r#"key = "k", ttl = "2s", bind = #[cfg(test)] lease"#, BOOK, &[
        ("#[cfg(test)] lease", "`bind` takes the name of a new variable: write `bind = lease`"),
    ]),
    ("bind_twice", r#"key = "k", ttl = "2s", bind = a, bind = b"#, BOOK, &[
        ("bind", "`bind` is given twice: remove one"),
    ]),
];
