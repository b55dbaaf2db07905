//! Handlers, managers, names and paths.

use super::{BOOK, Misuse};

#[rustfmt::skip]
pub(super) const MISUSES: &[Misuse] = &[
    ("on_error_is_a_value", r#"key = "seat:{seat_id}", ttl = "2s", on_error = 0"#, BOOK, &[
        ("0", "`on_error` takes a function of the error: write `on_error = |error| …`, or its path"),
    ]),
    ("on_error_is_text", r#"key = "seat:{seat_id}", ttl = "2s", on_error = "failed""#, BOOK, &[
        (r#""failed""#, "`on_error` takes a function of the error: write `on_error = |error| …`, or its path"),
    ]),
    ("on_error_is_a_call", r#"key = "seat:{seat_id}", ttl = "2s", on_error = Err(e)"#, BOOK, &[
        ("Err(e)", "`on_error` takes a function of the error: write `on_error = |error| …`, or its path"),
    ]),
    ("on_error_without_argument", r#"key = "seat:{seat_id}", ttl = "2s", on_error = || 0"#, BOOK, &[
        ("|| 0", "`on_error` is given the `LockError` and nothing else: write `on_error = |error| …`"),
    ]),
    ("on_error_with_two_arguments", r#"key = "seat:{seat_id}", ttl = "2s", on_error = |a, b| 0"#, BOOK, &[
        ("|a, b| 0", "`on_error` is given the `LockError` and nothing else: write `on_error = |error| …`"),
    ]),
    ("on_error_async", r#"key = "seat:{seat_id}", ttl = "2s", on_error = async |e| 0"#, BOOK, &[
        ("async", "`on_error` is not async: return a value, and await in the caller"),
    ]),
    ("manager_is_text", r#"key = "seat:{seat_id}", ttl = "2s", manager = "payments""#, BOOK, &[
        (r#""payments""#, r#"`manager` takes a manager, not its name: write `manager = lockguard::named("payments")`"#),
    ]),
    ("manager_is_a_number", r#"key = "seat:{seat_id}", ttl = "2s", manager = 1"#, BOOK, &[
        ("1", "`manager` takes a manager, such as `manager = self.locks`"),
    ]),
    ("name_is_a_path", r#"key = "seat:{seat_id}", ttl = "2s", name = booking"#, BOOK, &[
        ("booking", r#"`name` takes text that does not change from call to call: write `name = "…"`"#),
    ]),
    ("name_is_a_number", r#"key = "seat:{seat_id}", ttl = "2s", name = 1"#, BOOK, &[
        ("1", r#"`name` takes text that does not change from call to call: write `name = "…"`"#),
    ]),
    ("name_is_empty", r#"key = "seat:{seat_id}", ttl = "2s", name = """#, BOOK, &[
        (r#""""#, "`name` is what metrics and spans call this lock: write visible text on one line"),
    ]),
    ("name_is_blank", r#"key = "seat:{seat_id}", ttl = "2s", name = " ""#, BOOK, &[
        (r#"" ""#, "`name` is what metrics and spans call this lock: write visible text on one line"),
    ]),
    ("name_with_a_closing_brace", r#"key = "seat:{seat_id}", ttl = "2s", name = "seat_id}""#, BOOK, &[
        (r#""seat_id}""#, "`name` has no placeholders, so that all calls are counted together: remove the braces"),
    ]),
    ("name_with_a_placeholder", r#"key = "seat:{seat_id}", ttl = "2s", name = "seat:{seat_id}""#, BOOK, &[
        (r#""seat:{seat_id}""#, "`name` has no placeholders, so that all calls are counted together: remove the braces"),
    ]),
    ("name_with_a_line_break", r#"key = "seat:{seat_id}", ttl = "2s", name = "a\nb""#, BOOK, &[
        (r#""a\nb""#, "`name` is what metrics and spans call this lock: write visible text on one line"),
    ]),
    ("crate_is_text", r#"key = "seat:{seat_id}", ttl = "2s", crate = "my::lockguard""#, BOOK, &[
        (r#""my::lockguard""#, "`crate` takes a path, not text: write `crate = my::lockguard`"),
    ]),
    ("crate_is_a_call", r#"key = "seat:{seat_id}", ttl = "2s", crate = my()"#, BOOK, &[
        ("my()", "`crate` takes the path where lockguard is: write `crate = my_framework::lockguard`"),
    ]),
    ("crate_is_a_number", r#"key = "seat:{seat_id}", ttl = "2s", crate = 1"#, BOOK, &[
        ("1", "`crate` takes the path where lockguard is: write `crate = my_framework::lockguard`"),
    ]),
];
