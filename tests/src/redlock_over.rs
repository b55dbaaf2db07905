//! One lock store of several nodes.

use std::sync::Arc;

use lockguard::backend::{Backend, Redlock};

/// Makes one lock store of these nodes, of one kind.
pub fn redlock_over(nodes: impl IntoIterator<Item = impl Backend>) -> Redlock {
    let nodes = nodes.into_iter();
    Redlock::new(nodes.map(|node| Arc::new(node) as Arc<dyn Backend>))
}
