//! What other libraries call our options.

use super::{BOOK, Misuse};

#[rustfmt::skip]
pub(super) const MISUSES: &[Misuse] = &[
    ("expiry_of_redsync", r#"key = "k", expiry = "8s""#, BOOK, &[
        ("expiry", r#"`expiry` is called `ttl` here: write `ttl = "2s"`"#),
    ]),
    ("lock_at_most_for_of_shedlock", r#"key = "k", lock_at_most_for = "8s""#, BOOK, &[
        ("lock_at_most_for", r#"`lock_at_most_for` is called `ttl` here: write `ttl = "2s"`"#),
    ]),
    ("lock_at_least_for_of_shedlock", r#"key = "seat:{seat_id}", ttl = "2s", lock_at_least_for = "8s""#, BOOK, &[
        ("lock_at_least_for", r#"`lock_at_least_for` is called `min_hold` here: write `min_hold = "10s"`"#),
    ]),
    ("lease_time_of_redisson", r#"key = "k", lease_time = "8s""#, BOOK, &[
        ("lease_time", r#"`lease_time` is called `ttl` here: write `ttl = "2s"`"#),
    ]),
    ("hyphenated_name_of_another_library", r#"lock-key = "k", ttl = "2s""#, BOOK, &[
        ("lock-key", r#"`lock-key` is called `key` here: write `key = "seat:{seat_id}"`"#),
    ]),
    ("timeout_of_redis_py", r#"key = "seat:{seat_id}", ttl = "2s", timeout = 5"#, BOOK, &[
        ("timeout", r#"`timeout` is called `wait` here: write `wait = "5s"`"#),
    ]),
    ("acquire_timeout_of_pottery", r#"key = "seat:{seat_id}", ttl = "2s", acquire_timeout = 5"#, BOOK, &[
        ("acquire_timeout", r#"`acquire_timeout` is called `wait` here: write `wait = "5s"`"#),
    ]),
    ("blocking_timeout_of_redis_py", r#"key = "seat:{seat_id}", ttl = "2s", blocking_timeout = 5"#, BOOK, &[
        ("blocking_timeout", r#"`blocking_timeout` is called `wait` here: write `wait = "5s"`"#),
    ]),
    ("tries_of_redsync", r#"key = "seat:{seat_id}", ttl = "2s", tries = 32"#, BOOK, &[
        ("tries", r#"`tries` is called `wait` here: write `wait = "5s"`"#),
    ]),
    ("retry_count_of_node_redlock", r#"key = "seat:{seat_id}", ttl = "2s", retry_count = 10"#, BOOK, &[
        ("retry_count", r#"`retry_count` is called `wait` here: write `wait = "5s"`"#),
    ]),
    ("renew_flag", r#"key = "seat:{seat_id}", ttl = "2s", renew"#, BOOK, &[
        ("renew", r#"`renew` is called `max_hold` here: write `max_hold = "1m"`"#),
    ]),
    ("watchdog_of_redisson", r#"key = "seat:{seat_id}", ttl = "2s", watchdog = true"#, BOOK, &[
        ("watchdog", r#"`watchdog` is called `max_hold` here: write `max_hold = "1m"`"#),
    ]),
    ("auto_extend_value", r#"key = "seat:{seat_id}", ttl = "2s", auto_extend = true"#, BOOK, &[
        ("auto_extend", r#"`auto_extend` is called `max_hold` here: write `max_hold = "1m"`"#),
    ]),
    ("skip_flag", r#"key = "seat:{seat_id}", ttl = "2s", skip"#, BOOK, &[
        ("skip", "`skip` is called `on_busy` here: write `on_busy = skip`"),
    ]),
    ("try_lock_flag", r#"key = "seat:{seat_id}", ttl = "2s", try_lock"#, BOOK, &[
        ("try_lock", "`try_lock` is called `on_busy` here: write `on_busy = skip`"),
    ]),
    ("guard_name", r#"key = "seat:{seat_id}", ttl = "2s", guard = g"#, BOOK, &[
        ("guard", "`guard` is called `bind` here: write `bind = lease`"),
    ]),
    ("lease_name", r#"key = "seat:{seat_id}", ttl = "2s", lease = l"#, BOOK, &[
        ("lease", "`lease` is called `bind` here: write `bind = lease`"),
    ]),
    ("token_name", r#"key = "seat:{seat_id}", ttl = "2s", token = t"#, BOOK, &[
        ("token", "`token` is called `fence` here: write `fence = token`"),
    ]),
    ("resource_of_node_redlock", r#"resource = "k", ttl = "2s""#, BOOK, &[
        ("resource", r#"`resource` is called `key` here: write `key = "seat:{seat_id}"`"#),
    ]),
    ("resources_of_node_redlock", r#"resources = ["k"], ttl = "2s""#, BOOK, &[
        ("resources", r#"`resources` is called `keys` here: write `keys = ["seat:{from}", "seat:{to}"]`"#),
    ]),
    ("map_err_instead_of_on_error", r#"key = "seat:{seat_id}", ttl = "2s", map_err = f"#, BOOK, &[
        ("map_err", "`map_err` is called `on_error` here: write `on_error = |e| Err(e.into())`"),
    ]),
    ("pool_instead_of_manager", r#"key = "seat:{seat_id}", ttl = "2s", pool = p"#, BOOK, &[
        ("pool", "`pool` is called `manager` here: write `manager = self.locks`"),
    ]),
    ("label_instead_of_name", r#"key = "seat:{seat_id}", ttl = "2s", label = "l""#, BOOK, &[
        ("label", r#"`label` is called `name` here: write `name = "booking"`"#),
    ]),
];
