//! What a server did instead of answering.

use std::{fmt, sync::Arc};

/// One server that did not answer, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeError {
    node: Arc<str>,
    reason: Arc<str>,
}

impl NodeError {
    /// Names the node, by host and port, and what it did instead of answering.
    pub fn new(node: impl Into<Arc<str>>, reason: impl Into<Arc<str>>) -> Self {
        Self {
            node: node.into(),
            reason: reason.into(),
        }
    }

    /// The node's host and port, without user and password.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// What the node did instead of answering.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.node, self.reason)
    }
}

impl std::error::Error for NodeError {}

/// One node a clause, so that the operator sees at once which ones to look at.
pub(crate) fn write_nodes(f: &mut fmt::Formatter<'_>, nodes: &[NodeError]) -> fmt::Result {
    for (index, node) in nodes.iter().enumerate() {
        f.write_str(if index == 0 { ": " } else { "; " })?;
        fmt::Display::fmt(node, f)?;
    }
    Ok(())
}
