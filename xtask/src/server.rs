//! `cargo xtask server …`: where a server is that an example wants to start.

use crate::{postgres, redis, step::Steps};

/// Prints the path, alone on a line of standard output.
pub(crate) fn run(which: &str) -> Result<(), String> {
    let mut steps = Steps::new();
    let found = match which {
        "redis" => redis::find_or_install(&mut steps),
        "postgres" => postgres::find_or_install(&mut steps),
        _ => Err(format!("`{which}` is no server; say `redis` or `postgres`")),
    };
    println!("{}", found?.display());
    Ok(())
}
