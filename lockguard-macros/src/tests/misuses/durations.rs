//! Durations.

use super::{BOOK, Misuse};

#[rustfmt::skip]
pub(super) const MISUSES: &[Misuse] = &[
    ("ttl_is_a_number", r#"key = "seat:{seat_id}", ttl = 2"#, BOOK, &[
        ("2", r#"`ttl` takes text with a unit: write `ttl = "2s"` or `ttl = "2ms"`"#),
    ]),
    ("ttl_is_a_large_number", r#"key = "seat:{seat_id}", ttl = 2000"#, BOOK, &[
        ("2000", r#"`ttl` takes text with a unit: write `ttl = "2000s"` or `ttl = "2000ms"`"#),
    ]),
    ("ttl_without_quotes", r#"key = "seat:{seat_id}", ttl = 2s"#, BOOK, &[
        ("2s", r#"`ttl` takes text: write `ttl = "2s"`"#),
    ]),
    ("ttl_of_milliseconds_without_quotes", r#"key = "seat:{seat_id}", ttl = 250ms"#, BOOK, &[
        ("250ms", r#"`ttl` takes text: write `ttl = "250ms"`"#),
    ]),
    ("ttl_of_two_units_without_quotes", r#"key = "seat:{seat_id}", ttl = 1m30s"#, BOOK, &[
        ("1m30s", r#"`ttl` takes text: write `ttl = "1m30s"`"#),
    ]),
    ("ttl_of_a_fraction_without_quotes", r#"key = "seat:{seat_id}", ttl = 1.5s"#, BOOK, &[
        ("1.5s", r#"`ttl` takes text: write `ttl = "1s500ms"`"#),
    ]),
    ("ttl_is_a_fraction", r#"key = "seat:{seat_id}", ttl = 2.5"#, BOOK, &[
        ("2.5", r#"`ttl` takes text: write `ttl = "2s500ms"`"#),
    ]),
    ("ttl_is_a_typed_fraction", r#"key = "seat:{seat_id}", ttl = 0.5f64"#, BOOK, &[
        ("0.5f64", r#"`ttl` takes text: write `ttl = "500ms"`"#),
    ]),
    ("ttl_of_a_fraction_of_microseconds_without_quotes", r#"key = "seat:{seat_id}", ttl = 1.5us"#, BOOK, &[
        ("1.5us", r#"`ttl` takes text: write for instance `ttl = "2s"`"#),
    ]),
    ("ttl_is_a_number_with_an_exponent", r#"key = "seat:{seat_id}", ttl = 1e3"#, BOOK, &[
        ("1e3", r#"`ttl` takes text: write for instance `ttl = "2s"`"#),
    ]),
    ("ttl_is_a_hexadecimal_number", r#"key = "seat:{seat_id}", ttl = 0x10"#, BOOK, &[
        ("0x10", r#"`ttl` takes text with a unit: write `ttl = "16s"` or `ttl = "16ms"`"#),
    ]),
    ("ttl_is_a_grouped_number", r#"key = "seat:{seat_id}", ttl = 1_500ms"#, BOOK, &[
        ("1_500ms", r#"`ttl` takes text: write `ttl = "1s500ms"`"#),
    ]),
    ("ttl_is_a_template", r#"key = "seat:{seat_id}", ttl = "{limits.ttl}""#, BOOK, &[
        (r#""{limits.ttl}""#, r#"`ttl = "{limits.ttl}"`: only a key is a template; write `ttl = limits.ttl`, a `Duration`"#),
    ]),
    ("ttl_is_a_template_with_a_format", r#"key = "seat:{seat_id}", ttl = "{seconds:02}""#, BOOK, &[
        (r#""{seconds:02}""#, r#"`ttl = "{seconds:02}"`: `{seconds:` has no number before it; write for instance `"2s"`"#),
    ]),
    ("ttl_is_an_empty_template", r#"key = "seat:{seat_id}", ttl = "{}""#, BOOK, &[
        (r#""{}""#, r#"`ttl = "{}"`: `{}` has no number before it; write for instance `"2s"`"#),
    ]),
    ("ttl_is_a_typed_number", r#"key = "seat:{seat_id}", ttl = 2u64"#, BOOK, &[
        ("2u64", r#"`ttl` takes text with a unit: write `ttl = "2s"` or `ttl = "2ms"`"#),
    ]),
    ("ttl_without_unit", r#"key = "seat:{seat_id}", ttl = "2""#, BOOK, &[
        (r#""2""#, r#"`ttl = "2"`: the unit is missing; did you mean `"2s"` or `"2ms"`?"#),
    ]),
    ("ttl_without_number", r#"key = "seat:{seat_id}", ttl = "s""#, BOOK, &[
        (r#""s""#, r#"`ttl = "s"`: `s` has no number before it; write for instance `"2s"`"#),
    ]),
    ("ttl_empty", r#"key = "seat:{seat_id}", ttl = """#, BOOK, &[
        (r#""""#, r#"`ttl = ""`: no duration; write for instance `"2s"`"#),
    ]),
    ("ttl_of_a_fraction", r#"key = "seat:{seat_id}", ttl = "1.5s""#, BOOK, &[
        (r#""1.5s""#, r#"`ttl = "1.5s"`: no fractions; write `"1s500ms"`"#),
    ]),
    ("ttl_in_upper_case", r#"key = "seat:{seat_id}", ttl = "2S""#, BOOK, &[
        (r#""2S""#, r#"`ttl = "2S"`: `S` is not a unit; did you mean `"2s"`?"#),
    ]),
    ("ttl_in_months", r#"key = "seat:{seat_id}", ttl = "2M""#, BOOK, &[
        (r#""2M""#, r#"`ttl = "2M"`: `M` is not a unit; did you mean `"2m"`?"#),
    ]),
    ("ttl_misspelt", r#"key = "seat:{seat_id}", ttl = "2secconds""#, BOOK, &[
        (r#""2secconds""#, r#"`ttl = "2secconds"`: `secconds` is not a unit; did you mean `"2seconds"`?"#),
    ]),
    ("ttl_in_unknown_units", r#"key = "seat:{seat_id}", ttl = "2 fortnights""#, BOOK, &[
        (r#""2 fortnights""#, r#"`ttl = "2 fortnights"`: `fortnights` is not a unit; the units are `ms`, `s`, `m` (minutes), `h` and `d`"#),
    ]),
    ("ttl_in_words", r#"key = "seat:{seat_id}", ttl = "two seconds""#, BOOK, &[
        (r#""two seconds""#, r#"`ttl = "two seconds"`: `two` has no number before it; write for instance `"2s"`"#),
    ]),
    ("ttl_in_iso_8601", r#"key = "seat:{seat_id}", ttl = "PT2S""#, BOOK, &[
        (r#""PT2S""#, r#"`ttl = "PT2S"`: did you mean `"2s"`?"#),
    ]),
    ("ttl_in_microseconds", r#"key = "seat:{seat_id}", ttl = "500us""#, BOOK, &[
        (r#""500us""#, r#"`ttl = "500us"`: `us` is too fine: whole milliseconds, such as `"20ms"`"#),
    ]),
    ("ttl_negative", r#"key = "seat:{seat_id}", ttl = "-2s""#, BOOK, &[
        (r#""-2s""#, r#"`ttl = "-2s"`: a duration cannot be negative"#),
    ]),
    ("ttl_negative_number", r#"key = "seat:{seat_id}", ttl = -2"#, BOOK, &[
        ("-2", "`ttl` cannot be negative"),
    ]),
    ("ttl_is_true", r#"key = "seat:{seat_id}", ttl = true"#, BOOK, &[
        ("true", r#"`ttl` takes text such as `ttl = "2s"`, or an expression of type `Duration`"#),
    ]),
    ("ttl_is_bytes", r#"key = "seat:{seat_id}", ttl = b"2s""#, BOOK, &[
        (r#"b"2s""#, r#"`ttl` takes text such as `ttl = "2s"`, or an expression of type `Duration`"#),
    ]),
    ("ttl_zero", r#"key = "seat:{seat_id}", ttl = "0s""#, BOOK, &[
        (r#""0s""#, r#"`ttl = "0s"`: a lease that short ends before a server has answered; the shortest is `"10ms"`"#),
    ]),
    ("ttl_too_short", r#"key = "seat:{seat_id}", ttl = "9ms""#, BOOK, &[
        (r#""9ms""#, r#"`ttl = "9ms"`: a lease that short ends before a server has answered; the shortest is `"10ms"`"#),
    ]),
    ("ttl_too_long", r#"key = "seat:{seat_id}", ttl = "24h1ms""#, BOOK, &[
        (r#""24h1ms""#, r#"`ttl = "24h1ms"`: a crashed holder would keep the key that long; the longest is `"24h"`"#),
    ]),
    ("ttl_in_days", r#"key = "seat:{seat_id}", ttl = "2d""#, BOOK, &[
        (r#""2d""#, r#"`ttl = "2d"`: a crashed holder would keep the key that long; the longest is `"24h"`"#),
    ]),
    ("ttl_larger_than_any_number", r#"key = "seat:{seat_id}", ttl = "99999999999999999999999999999999999999999999s""#, BOOK, &[
        (r#""99999999999999999999999999999999999999999999s""#, r#"`ttl = "99999999999999999999999999999999999999999999s"`: the number is too large"#),
    ]),
    ("wait_is_a_number", r#"key = "seat:{seat_id}", ttl = "2s", wait = 5"#, BOOK, &[
        ("5", r#"`wait` takes text with a unit: write `wait = "5s"` or `wait = "5ms"`"#),
    ]),
    ("wait_zero_without_quotes", r#"key = "seat:{seat_id}", ttl = "2s", wait = 0"#, BOOK, &[
        ("0", r#"`wait` takes text: write `wait = "0s"`"#),
    ]),
    ("wait_without_unit", r#"key = "seat:{seat_id}", ttl = "2s", wait = "5""#, BOOK, &[
        (r#""5""#, r#"`wait = "5"`: the unit is missing; did you mean `"5s"` or `"5ms"`?"#),
    ]),
    ("wait_too_long", r#"key = "seat:{seat_id}", ttl = "2s", wait = "25h""#, BOOK, &[
        (r#""25h""#, r#"`wait = "25h"`: no caller waits that long; the longest is `"24h"`"#),
    ]),
    ("wait_is_false", r#"key = "seat:{seat_id}", ttl = "2s", wait = false"#, BOOK, &[
        ("false", r#"`wait` takes text such as `wait = "2s"`, or an expression of type `Duration`"#),
    ]),
];
