//! Options as such.

use super::{BOOK, Misuse};

#[rustfmt::skip]
pub(super) const MISUSES: &[Misuse] = &[
    ("nothing_at_all", "", BOOK, &[
        ("", r#"`key` and `ttl` are missing: write `#[distributed_lock(key = "book:{seat_id}", ttl = "2s")]`"#),
    ]),
    ("nothing_at_all_on_a_function_without_arguments", "", "async fn sweep() -> Result<(), LockError> {}", &[
        ("", r#"`key` and `ttl` are missing: write `#[distributed_lock(key = "sweep", ttl = "2s")]`"#),
    ]),
    ("key_missing", r#"ttl = "2s""#, BOOK, &[
        ("", r#"`key` is missing: say what is locked, such as `key = "book:{seat_id}"`"#),
    ]),
    ("ttl_missing", r#"key = "seat:{seat_id}""#, BOOK, &[
        ("", r#"`ttl` is missing: say how long the body may take, and a crashed holder keeps the lock, such as `ttl = "2s"`"#),
    ]),
    ("key_twice", r#"key = "seat:{seat_id}", ttl = "2s", key = "x""#, BOOK, &[
        ("key", "`key` is given twice: remove one"),
    ]),
    ("timeout_beside_wait", r#"key = "seat:{seat_id}", ttl = "2s", timeout = 5, wait = "5s""#, BOOK, &[
        ("timeout", r#"`timeout` is called `wait` here: write `wait = "5s"`"#),
    ]),
    ("ttl_twice", r#"key = "seat:{seat_id}", ttl = "2s", ttl = "3s""#, BOOK, &[
        ("ttl", "`ttl` is given twice: remove one"),
    ]),
    ("positional_key", r#""seat:{seat_id}", ttl = "2s""#, BOOK, &[
        (r#""seat:{seat_id}""#, r#"options are named: write `key = "seat:{seat_id}"`"#),
    ]),
    ("positional_ttl", r#"key = "seat:{seat_id}", "2s""#, BOOK, &[
        (r#""2s""#, r#"options are named: write `ttl = "2s"`"#),
    ]),
    ("positional_wait", r#"key = "seat:{seat_id}", ttl = "2s", "5s""#, BOOK, &[
        (r#""5s""#, r#"options are named: write `wait = "5s"`"#),
    ]),
    ("positional_number", r#"key = "seat:{seat_id}", 2"#, BOOK, &[
        ("2", r#"options are named: write `ttl = "2s"`"#),
    ]),
    ("positional_argument", r#"seat_id.to_string(), ttl = "2s""#, BOOK, &[
        ("seat_id.to_string()", "options are named: write `key = …`"),
    ]),
    ("positional_call", r#"make(seat_id), ttl = "2s""#, BOOK, &[
        ("make(seat_id)", "options are named: write `key = …`"),
    ]),
    ("positional_truth", r#"key = "k", ttl = "2s", true"#, BOOK, &[
        ("true", "there is no option `true`; the options are `key`, `keys`, `ttl`, `wait`, `max_hold`, `min_hold`, `fence`, `bind`, `on_busy`, `on_error`, `on_lost`, `manager`, `name` and `crate`"),
    ]),
    ("positional_closure", r#"key = "k", ttl = "2s", |e| Err(e)"#, BOOK, &[
        ("|e| Err(e)", "options are named: write `on_error = …`"),
    ]),
    ("positional_number_beside_ttl", r#"key = "k", ttl = "2s", 5"#, BOOK, &[
        ("5", r#"options are named: write `wait = "2s"`"#),
    ]),
    ("positional_text_beside_keys", r#"keys = ["a", "b"], ttl = "2s", "c""#, BOOK, &[
        (r#""c""#, "options are named: write which one this is, such as `on_busy = skip`"),
    ]),
    ("positional_duration_beside_ttl_and_wait", r#"key = "k", ttl = "2s", wait = "1s", "5s""#, BOOK, &[
        (r#""5s""#, "options are named: write which one this is, such as `on_busy = skip`"),
    ]),
    ("positional_path_beside_key", r#"key = "k", ttl = "2s", OnBusy::Skip; wait = "1s""#, BOOK, &[
        ("OnBusy::Skip", "options are named: write which one this is, such as `on_busy = skip`"),
        (";", "a comma separates options"),
    ]),
    ("positional_punctuation", r#"=> ttl = "2s""#, BOOK, &[
        ("=", r#"expected an option, such as `key = "seat:{seat_id}"`"#),
        ("", r#"`key` is missing: say what is locked, such as `key = "book:{seat_id}"`"#),
    ]),
    ("key_without_value", r#"key, ttl = "2s""#, BOOK, &[
        ("key", r#"`key` has no value: write `key = "seat:{seat_id}"`"#),
    ]),
    ("key_without_value_after_equals", r#"key = , ttl = "2s""#, BOOK, &[
        ("key", r#"`key` has no value: write `key = "seat:{seat_id}"`"#),
    ]),
    ("ttl_without_value_at_the_end", r#"key = "k", ttl ="#, BOOK, &[
        ("ttl", r#"`ttl` has no value: write `ttl = "2s"`"#),
    ]),
    ("key_after_a_colon", r#"key: "seat:{seat_id}", ttl = "2s""#, BOOK, &[
        ("key", r#"`key` takes its value after `=`, not `:`: write `key = "seat:{seat_id}"`"#),
    ]),
    ("key_after_an_arrow", r#"key => "k", ttl => "2s""#, BOOK, &[
        ("key", r#"`key` takes its value after `=`, not `=>`: write `key = "seat:{seat_id}"`"#),
        ("ttl", r#"`ttl` takes its value after `=`, not `=>`: write `ttl = "2s"`"#),
    ]),
    ("key_compared", r#"key == "k", ttl = "2s""#, BOOK, &[
        ("key", r#"`key` takes its value after `=`, not `==`: write `key = "seat:{seat_id}"`"#),
    ]),
    ("key_after_a_colon_and_an_equals_sign", r#"key := "k", ttl = "2s""#, BOOK, &[
        ("key", r#"`key` takes its value after `=`, not `:=`: write `key = "seat:{seat_id}"`"#),
    ]),
    ("key_in_parentheses", r#"key("seat:{seat_id}"), ttl = "2s""#, BOOK, &[
        ("key", r#"`key` takes its value after `=`, not in parentheses: write `key = "seat:{seat_id}"`"#),
    ]),
    ("comma_missing", r#"key = "seat:{seat_id}" ttl = "2s""#, BOOK, &[
        ("ttl", "there is no comma before this option"),
    ]),
    ("comma_missing_after_a_closure", r#"key = "k", on_error = |e| Err(e) ttl = "2s""#, BOOK, &[
        ("ttl", "there is no comma before this option"),
    ]),
    ("comma_twice", r#"key = "k",, ttl = "2s""#, BOOK, &[
        (",", "there is no option before this comma"),
    ]),
    ("comma_first", r#", key = "k", ttl = "2s""#, BOOK, &[
        (",", "there is no option before this comma"),
    ]),
    ("semicolon_between_options", r#"key = "k"; ttl = "2s""#, BOOK, &[
        (";", "the value of `key` ended before this; a comma separates options"),
    ]),
    ("template_without_quotes", r#"key = seat:{seat_id}, ttl = "2s""#, BOOK, &[
        (":", "the value of `key` ended before this; a template is text, in quotes"),
    ]),
    ("words_after_a_value", r#"key = "k", ttl = 2 seconds, wait = "1s""#, BOOK, &[
        ("seconds", "the value of `ttl` ended before this; a comma separates options"),
        ("2", r#"`ttl` takes text with a unit: write `ttl = "2s"` or `ttl = "2ms"`"#),
    ]),
    ("value_that_is_no_expression", r#"key = "k", ttl = @, wait = "1s""#, BOOK, &[
        ("@", r#"`ttl` is not understood: write `ttl = "2s"` (expected an expression)"#),
    ]),
    ("value_that_is_cut_off", r#"key = "k", ttl = Duration::"#, BOOK, &[
        ("ttl", r#"`ttl` is not understood: write `ttl = "2s"` (unexpected end of input, expected identifier)"#),
    ]),
    ("value_that_is_cut_off_before_another", r#"key = "k", ttl = Duration::, wait = "1s""#, BOOK, &[
        (",", r#"`ttl` is not understood: write `ttl = "2s"` (expected identifier)"#),
    ]),
    ("value_that_goes_on_after_a_comma", r#"key = "k", ttl = @, 1 + 1, wait = "1s""#, BOOK, &[
        ("@", r#"`ttl` is not understood: write `ttl = "2s"` (expected an expression)"#),
    ]),
    ("value_that_goes_on_with_an_assignment", r#"key = "k", ttl = @ other = 1, wait = "1s""#, BOOK, &[
        ("@", r#"`ttl` is not understood: write `ttl = "2s"` (expected an expression)"#),
    ]),
    ("ttl_as_on_a_clock", r#"key = "k", ttl = 1:30, wait = "1s""#, BOOK, &[
        (":", "the value of `ttl` ended before this; a comma separates options"),
        ("1", r#"`ttl` takes text with a unit: write `ttl = "1s"` or `ttl = "1ms"`"#),
    ]),
    ("unknown_option", r#"key = "seat:{seat_id}", ttl = "2s", colour = "red""#, BOOK, &[
        ("colour", "there is no option `colour`; the options are `key`, `keys`, `ttl`, `wait`, `max_hold`, `min_hold`, `fence`, `bind`, `on_busy`, `on_error`, `on_lost`, `manager`, `name` and `crate`"),
    ]),
    ("unknown_flag", r#"key = "seat:{seat_id}", ttl = "2s", colour"#, BOOK, &[
        ("colour", "there is no option `colour`; the options are `key`, `keys`, `ttl`, `wait`, `max_hold`, `min_hold`, `fence`, `bind`, `on_busy`, `on_error`, `on_lost`, `manager`, `name` and `crate`"),
    ]),
    ("misspelt_key", r#"kye = "seat:{seat_id}", ttl = "2s""#, BOOK, &[
        ("kye", "there is no option `kye`; did you mean `key`?"),
    ]),
    ("misspelt_ttl", r#"key = "k", tll = "2s""#, BOOK, &[
        ("tll", "there is no option `tll`; did you mean `ttl`?"),
    ]),
    ("misspelt_wait", r#"key = "seat:{seat_id}", ttl = "2s", wiat = "2s""#, BOOK, &[
        ("wiat", "there is no option `wiat`; did you mean `wait`?"),
    ]),
    ("camel_case_option", r#"key = "seat:{seat_id}", ttl = "2s", onError = |e| Err(e)"#, BOOK, &[
        ("onError", "there is no option `onError`; did you mean `on_error`?"),
    ]),
    ("hyphenated_option", r#"key = "k", ttl = "2s", max-hold = "1m", on-error = |e| Err(e)"#, BOOK, &[
        ("max-hold", "there is no option `max-hold`; did you mean `max_hold`?"),
        ("on-error", "there is no option `on-error`; did you mean `on_error`?"),
    ]),
    ("field_as_an_option", r#"key = "k", ttl = "2s", lock.name = "n""#, BOOK, &[
        ("lock.name", "there is no option `lock.name`; the options are `key`, `keys`, `ttl`, `wait`, `max_hold`, `min_hold`, `fence`, `bind`, `on_busy`, `on_error`, `on_lost`, `manager`, `name` and `crate`"),
    ]),
    ("unknown_option_with_a_long_value", r#"key = "k", colour = red::<A, B, C>(), ttl = "2s""#, BOOK, &[
        ("colour", "there is no option `colour`; the options are `key`, `keys`, `ttl`, `wait`, `max_hold`, `min_hold`, `fence`, `bind`, `on_busy`, `on_error`, `on_lost`, `manager`, `name` and `crate`"),
    ]),
    ("upper_case_option", r#"KEY = "k", ttl = "2s""#, BOOK, &[
        ("KEY", "there is no option `KEY`; did you mean `key`?"),
    ]),
    ("all_mistakes_at_once", r#"key = "seat:{seatid}", ttl = "2", wait = 5, colour = "red", manager = "m", name = 1"#, "fn book(seat_id: u64) {}", &[
        ("fn", "`book` is not async, and taking a lock waits: write `async fn book`; blocking code calls it as `handle.block_on(book(…))`, where `handle` is a `tokio::runtime::Handle`"),
        ("colour", "there is no option `colour`; the options are `key`, `keys`, `ttl`, `wait`, `max_hold`, `min_hold`, `fence`, `bind`, `on_busy`, `on_error`, `on_lost`, `manager`, `name` and `crate`"),
        (r#""2""#, r#"`ttl = "2"`: the unit is missing; did you mean `"2s"` or `"2ms"`?"#),
        ("5", r#"`wait` takes text with a unit: write `wait = "5s"` or `wait = "5ms"`"#),
        (r#""m""#, r#"`manager` takes a manager, not its name: write `manager = lockguard::named("m")`"#),
        ("1", r#"`name` takes text that does not change from call to call: write `name = "…"`"#),
        (r#""seat:{seatid}""#, "`key`: `seatid` is not an argument of `book`; did you mean `seat_id`?"),
    ]),
];
