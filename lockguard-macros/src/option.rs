//! Which options there are, and what other libraries call them.

use crate::similar::{closest, listed};

/// One option.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// A use of it, which messages show.
    pub(crate) example: &'static str,
}

/// Every option, in the order of the reference page.
const OPTIONS: &[Row] = &[
    Row {
        name: "key",
        example: "key = \"seat:{seat_id}\"",
    },
    Row {
        name: "keys",
        example: "keys = [\"seat:{from}\", \"seat:{to}\"]",
    },
    Row {
        name: "ttl",
        example: "ttl = \"2s\"",
    },
    Row {
        name: "wait",
        example: "wait = \"5s\"",
    },
    Row {
        name: "max_hold",
        example: "max_hold = \"1m\"",
    },
    Row {
        name: "min_hold",
        example: "min_hold = \"10s\"",
    },
    Row {
        name: "fence",
        example: "fence = token",
    },
    Row {
        name: "bind",
        example: "bind = lease",
    },
    Row {
        name: "on_busy",
        example: "on_busy = skip",
    },
    Row {
        name: "on_error",
        example: "on_error = |e| Err(e.into())",
    },
    Row {
        name: "on_lost",
        example: "on_lost = finish",
    },
    Row {
        name: "manager",
        example: "manager = self.locks",
    },
    Row {
        name: "name",
        example: "name = \"booking\"",
    },
    Row {
        name: "crate",
        example: "crate = my_framework::lockguard",
    },
];

/// What other libraries call our options.
#[rustfmt::skip]
const FOREIGN: &[(&str, &[&str])] = &[
    ("key", &["resource", "resource_name", "lock_key", "lock_name", "template", "id"]),
    ("keys", &["resources", "lock_keys"]),
    ("ttl", &[
        "expiry", "expire", "expires", "expires_in", "expiration", "lease_time",
        "lock_at_most_for", "at_most", "lock_timeout", "lock_ttl", "duration", "max_duration",
        "px", "ex", "ttl_ms", "ttl_secs",
    ]),
    ("wait", &[
        "timeout", "acquire_timeout", "wait_time", "wait_timeout", "wait_for", "max_wait",
        "blocking", "blocking_timeout", "tries", "max_tries", "retry", "retries",
        "max_retries", "retry_count", "retry_delay",
    ]),
    ("max_hold", &[
        "renew", "auto_renew", "renewal", "watchdog", "extend", "auto_extend", "heartbeat",
        "keep_alive", "refresh",
    ]),
    ("min_hold", &["lock_at_least_for", "at_least", "hold_at_least"]),
    ("fence", &["fencing", "fenced", "fencing_token", "token"]),
    ("bind", &["lease", "guard", "with"]),
    ("on_busy", &["skip", "skip_if_locked", "try_lock", "nowait", "no_wait", "on_locked", "on_conflict"]),
    ("on_error", &["map_err", "map_error", "error", "or_else", "fallback", "on_fail", "on_failure"]),
    ("on_lost", &["on_expired", "on_expire", "on_timeout"]),
    ("manager", &["pool", "client", "redis", "redlock", "connection", "backend", "store"]),
    ("name", &["point", "lock_point", "label"]),
    ("crate", &["lockguard", "crate_path", "path"]),
];

/// The option of this name.
pub(crate) fn row(name: &str) -> Option<&'static Row> {
    OPTIONS.iter().find(|row| row.name == name)
}

/// A use of some option.
pub(crate) fn example() -> &'static str {
    OPTIONS.first().map_or("", |row| row.example)
}

/// Answers a name that is none of ours, and says which option it stands for.
pub(crate) fn unknown(given: &str) -> (String, Option<&'static str>) {
    let name = given.replace('-', "_");
    let foreign = FOREIGN
        .iter()
        .find(|(_, names)| names.contains(&name.as_str()))
        .and_then(|(ours, _)| row(ours));
    if let Some(row) = foreign {
        let message = format!(
            "`{given}` is called `{}` here: write `{}`",
            row.name, row.example
        );
        return (message, Some(row.name));
    }
    match closest(given, OPTIONS.iter().map(|row| row.name)).and_then(row) {
        Some(row) => (
            format!("there is no option `{given}`; did you mean `{}`?", row.name),
            Some(row.name),
        ),
        None => (
            format!(
                "there is no option `{given}`; the options are {}",
                listed(OPTIONS.iter().map(|row| row.name))
            ),
            None,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_name_stands_for_one_option_and_is_none_of_ours() {
        let mut seen: Vec<&str> = OPTIONS.iter().map(|row| row.name).collect();
        for (ours, names) in FOREIGN {
            assert!(row(ours).is_some(), "{ours}");
            for name in *names {
                assert!(!seen.contains(name), "{name}");
                seen.push(name);
            }
        }
    }

    #[test]
    fn an_example_begins_with_its_option() {
        for row in OPTIONS {
            assert!(
                row.example.starts_with(&format!("{} = ", row.name)),
                "{}",
                row.name
            );
        }
    }
}
