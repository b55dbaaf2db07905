//! From addresses to a lock store that a quorum of servers keeps.

use std::{collections::HashSet, future::poll_fn, sync::Arc, task::Poll, time::Duration};

use tokio::time::Instant;

use crate::{
    backend::{
        Backend, BoxFuture, Redlock,
        redis::{Address, Membership, NoContact, NodeFacts, OnRestart, RedisNode, Timeouts, Twins},
    },
    clock::until,
    connect_error::ConnectError,
    node_error::NodeError,
    quorum::quorum,
};

/// How long the other servers are waited for once a quorum has answered, to
/// see whether one of them is given twice or cannot keep locks.
const GRACE: Duration = Duration::from_millis(100);

/// Begins to connect to the servers, and waits for none of them.
///
/// # Errors
///
/// An address that does not parse, none at all, or the same one twice.
pub(crate) fn open(
    addresses: &[String],
    timeouts: Timeouts,
    restart_delay: Option<Duration>,
) -> Result<Nodes, ConnectError> {
    if addresses.is_empty() {
        return Err(ConnectError::invalid_address(
            "no address is given; write `redis://host:6379`, several such addresses separated by \
             commas, or `memory://`",
        ));
    }
    no_comma_in_login(addresses)?;
    let parsed: Vec<Address> = addresses
        .iter()
        .enumerate()
        .map(|(nth, text)| {
            // By its place in the list: the text may contain a password.
            let place = if addresses.len() > 1 {
                format!("address {}: ", nth + 1)
            } else {
                String::new()
            };
            Address::parse(text.trim())
                .map_err(|problem| ConnectError::invalid_address(format!("{place}{problem}")))
        })
        .collect::<Result<_, _>>()?;
    let mut names = HashSet::new();
    if let Some(twice) = parsed.iter().find(|address| !names.insert(address.name())) {
        return Err(ConnectError::same_node(twice.name(), twice.name()));
    }
    let membership = Membership {
        on_restart: match parsed.len() {
            1 => OnRestart::EndLeases,
            2 => OnRestart::Nothing,
            _ => OnRestart::KeepOut(restart_delay),
        },
        twins: Twins::of(parsed.len()),
    };
    let nodes = parsed
        .into_iter()
        .map(|address| RedisNode::open_among(address, timeouts, membership.clone()))
        .collect();
    Ok(Nodes(nodes))
}

/// Refuses addresses that are parts of one, whose password has a comma.
///
/// It goes before the parser, to which the first part may be a host and a port.
fn no_comma_in_login(addresses: &[String]) -> Result<(), ConnectError> {
    let ends_login = |text: &String| text.contains('@') && !text.contains("://");
    match addresses.iter().skip(1).position(ends_login) {
        Some(nth) => Err(ConnectError::invalid_address(format!(
            "address {}: the address has no scheme, or a comma inside a password is not written \
             `%2C`; write `redis://user:password@host:6379`",
            nth + 2
        ))),
        None => Ok(()),
    }
}

/// Servers that are being connected to.
pub(crate) struct Nodes(Vec<RedisNode>);

/// How the first contact with one server went, once it has ended.
type Contact = Option<Result<NodeFacts, NoContact>>;

impl Nodes {
    /// Waits until a quorum answers.
    ///
    /// # Errors
    ///
    /// What is wrong with the servers.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub(crate) async fn ready(&self) -> Result<(), ConnectError> {
        let mut contacts = Contacts::of(&self.0);
        contacts.until_decided().await;
        let _ = until(Instant::now() + GRACE, contacts.until_all()).await;
        contacts.verdict(&self.0)
    }

    /// The lock store that these servers make.
    pub(crate) fn into_backend(self) -> Arc<dyn Backend> {
        match <[RedisNode; 1]>::try_from(self.0) {
            Ok([only]) => Arc::new(only),
            Err(nodes) => {
                let nodes = nodes.into_iter();
                Arc::new(Redlock::new(
                    nodes.map(|node| Arc::new(node) as Arc<dyn Backend>),
                ))
            }
        }
    }
}

/// All first contacts at once.
struct Contacts<'a> {
    /// `None` once it has ended.
    pending: Vec<Option<BoxFuture<'a, Result<NodeFacts, NoContact>>>>,
    contacts: Vec<Contact>,
}

impl<'a> Contacts<'a> {
    fn of(nodes: &'a [RedisNode]) -> Self {
        Self {
            pending: nodes
                .iter()
                .map(|node| Some(Box::pin(node.first_contact()) as _))
                .collect(),
            contacts: nodes.iter().map(|_| None).collect(),
        }
    }

    /// Until a quorum has answered, or cannot any more.
    async fn until_decided(&mut self) {
        let quorum = quorum(self.contacts.len());
        self.advance(|contacts| {
            let open = contacts.iter().filter(|contact| contact.is_none()).count();
            let good = contacts.iter().flatten().filter(|c| c.is_ok()).count();
            good >= quorum || good + open < quorum
        })
        .await;
    }

    async fn until_all(&mut self) {
        self.advance(|contacts| contacts.iter().all(Option::is_some))
            .await;
    }

    async fn advance(&mut self, is_enough: impl Fn(&[Contact]) -> bool) {
        poll_fn(|cx| {
            for (pending, contact) in self.pending.iter_mut().zip(&mut self.contacts) {
                let Some(future) = pending else { continue };
                if let Poll::Ready(outcome) = future.as_mut().poll(cx) {
                    *contact = Some(outcome);
                    *pending = None;
                }
            }
            if is_enough(&self.contacts) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn verdict(&self, nodes: &[RedisNode]) -> Result<(), ConnectError> {
        let mut silent = Vec::new();
        for (node, contact) in nodes.iter().zip(&self.contacts) {
            match contact {
                Some(Ok(_)) => {}
                None => silent.push(NodeError::new(node.address(), "no answer yet")),
                Some(Err(NoContact {
                    twin: Some(twin), ..
                })) => {
                    return Err(ConnectError::same_node(twin, &node.address()));
                }
                Some(Err(NoContact {
                    error,
                    is_for_good: true,
                    ..
                })) => {
                    return Err(ConnectError::Unsuitable {
                        node: error.clone(),
                    });
                }
                Some(Err(NoContact { error, .. })) => silent.push(error.clone()),
            }
        }
        if nodes.len().saturating_sub(silent.len()) < quorum(nodes.len()) {
            return Err(ConnectError::Unavailable { nodes: silent });
        }
        Ok(())
    }
}
