//! From the loss of a lease to the end of its body.

use super::matrix::Settings;

/// Placeholder.
pub async fn run(_: &Settings) -> Result<(), String> {
    Err("nothing yet".to_owned())
}

/// Placeholder.
pub fn hold(_: &[&str]) -> Result<(), String> {
    Err("nothing yet".to_owned())
}
