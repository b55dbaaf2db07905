//! When a service is to stop.

use tokio::signal::unix::{SignalKind, signal};

use crate::Failure;

/// Resolves at Ctrl-C, or when an orchestrator says so.
///
/// # Errors
///
/// The signals cannot be listened for.
///
/// # Cancel safety
///
/// From its first poll on, neither signal kills the process any more.
pub async fn told_to_stop() -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
