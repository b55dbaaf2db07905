//! How long a lock is kept.

use super::{BOOK, Misuse};

#[rustfmt::skip]
pub(super) const MISUSES: &[Misuse] = &[
    ("max_hold_shorter_than_ttl", r#"key = "k", ttl = "2s", max_hold = "1999ms""#, BOOK, &[
        (r#""1999ms""#, r#"`max_hold` is how long a lease is renewed, and a lease lasts the `ttl` of 2s: write `max_hold = "2s"` or more, or remove it"#),
    ]),
    ("max_hold_before_a_longer_ttl", r#"key = "k", max_hold = "1s", ttl = "1m30s""#, BOOK, &[
        (r#""1s""#, r#"`max_hold` is how long a lease is renewed, and a lease lasts the `ttl` of 1m30s: write `max_hold = "1m30s"` or more, or remove it"#),
    ]),
    ("min_hold_longer_than_ttl", r#"key = "k", ttl = "2s", min_hold = "2001ms""#, BOOK, &[
        (r#""2001ms""#, r#"`min_hold` is longer than `ttl`, when an unrenewed lock is free: write `ttl = "2s1ms"` or more, or `max_hold = "2s1ms"` to renew the lease"#),
    ]),
    ("min_hold_longer_than_max_hold", r#"key = "k", ttl = "2s", max_hold = "10s", min_hold = "11s""#, BOOK, &[
        (r#""11s""#, r#"`min_hold` is longer than `max_hold`, after which no lock is kept: write `min_hold = "10s"` or less"#),
    ]),
    ("min_hold_too_long_for_both", r#"key = "k", ttl = "5s", max_hold = "2s", min_hold = "11s""#, BOOK, &[
        (r#""2s""#, r#"`max_hold` is how long a lease is renewed, and a lease lasts the `ttl` of 5s: write `max_hold = "5s"` or more, or remove it"#),
        (r#""11s""#, r#"`min_hold` is longer than `max_hold`, after which no lock is kept: write `min_hold = "2s"` or less"#),
    ]),
    ("min_hold_beside_a_broken_max_hold", r#"key = "k", ttl = "2s", max_hold = 5, min_hold = "4s""#, BOOK, &[
        ("5", r#"`max_hold` takes text with a unit: write `max_hold = "5s"` or `max_hold = "5ms"`"#),
    ]),
    ("max_hold_zero", r#"key = "k", ttl = TTL, max_hold = "0s""#, BOOK, &[
        (r#""0s""#, r#"`max_hold = "0s"`: a lease that short ends before a server has answered; the shortest is `"10ms"`"#),
    ]),
    ("max_hold_for_years", r#"key = "k", ttl = "2s", max_hold = "366d""#, BOOK, &[
        (r#""366d""#, r#"`max_hold = "366d"`: no body runs that long; the longest is `"365d"`"#),
    ]),
    ("max_hold_is_true", r#"key = "k", ttl = "2s", max_hold = true"#, BOOK, &[
        ("true", r#"`max_hold` takes text such as `max_hold = "2s"`, or an expression of type `Duration`"#),
    ]),
    ("max_hold_without_quotes", r#"key = "k", ttl = "2s", max_hold = 1m"#, BOOK, &[
        ("1m", r#"`max_hold` takes text: write `max_hold = "1m"`"#),
    ]),
    ("max_hold_without_value", r#"key = "k", ttl = "2s", max_hold"#, BOOK, &[
        ("max_hold", r#"`max_hold` has no value: write `max_hold = "1m"`"#),
    ]),
    ("min_hold_zero", r#"key = "k", ttl = "2s", min_hold = "0s""#, BOOK, &[
        (r#""0s""#, r#"`min_hold = "0s"`: the lock is kept as long as its body anyway: remove it"#),
    ]),
    ("min_hold_without_unit", r#"key = "k", ttl = "2s", min_hold = "1""#, BOOK, &[
        (r#""1""#, r#"`min_hold = "1"`: the unit is missing; did you mean `"1s"` or `"1ms"`?"#),
    ]),
    ("min_hold_negative", r#"key = "k", ttl = "2s", min_hold = "-1s""#, BOOK, &[
        (r#""-1s""#, r#"`min_hold = "-1s"`: a duration cannot be negative"#),
    ]),
    ("min_hold_for_years", r#"key = "k", ttl = TTL, min_hold = "400d""#, BOOK, &[
        (r#""400d""#, r#"`min_hold = "400d"`: no lock is kept that long; the longest is `"365d"`"#),
    ]),
    ("max_hold_twice", r#"key = "k", ttl = "2s", max_hold = "3s", max_hold = "4s""#, BOOK, &[
        ("max_hold", "`max_hold` is given twice: remove one"),
    ]),
];
