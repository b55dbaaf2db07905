//! An unsafe function stays unsafe, and its body with it.
use lockguard::{LockError, distributed_lock};

/// # Safety
///
/// The caller promises nothing.
unsafe fn number() -> u8 {
    1
}

/// # Safety
///
/// The caller promises nothing.
#[distributed_lock(key = "unsafe", ttl = "2s")]
async unsafe fn locked() -> Result<u8, LockError> {
    // SAFETY: `number` asks nothing of its caller.
    Ok(unsafe { number() })
}

fn main() {
    // SAFETY: `locked` asks nothing of its caller.
    drop(unsafe { locked() });
}
