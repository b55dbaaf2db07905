//! Logs in on a connection to a node, and asks who is there.

use std::{sync::Arc, time::Duration};

use redis::{ErrorKind, Pipeline, RedisError, RedisResult, Value};
use tokio::time::{Instant, timeout_at};

use super::{
    address::{Address, Place},
    dial::dial,
    failure,
    lookup::Lookup,
    probe::NodeFacts,
    push::Pushes,
    rights, script,
    wire::Wire,
};
use crate::node_status::NodeRole;

/// A connection that has been logged in to, and what is at its other end.
pub(super) struct Opened {
    pub(super) wire: Wire,
    pub(super) facts: NodeFacts,
    pub(super) identity: Option<Identity>,
}

/// A connection as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    run_id: String,
    pub(super) client_id: i64,
}

/// Why there is no connection.
pub(super) enum Refused {
    /// It may come to be by itself.
    ForNow(String),
    /// No lock can be kept there.
    ByKind(NodeRole, String),
}

impl From<RedisError> for Refused {
    fn from(error: RedisError) -> Self {
        Self::ForNow(failure::of_connection(&error))
    }
}

/// Connects, logs in, and asks the server what it is.
///
/// `lingering` is the connection before this one, if commands were on their
/// way on it when it was closed.
/// A network that was cut delivers them when it is whole again, and the server
/// would execute them after the releases that are sent on this connection.
/// So the server is told first to throw the other one away.
pub(super) async fn open(
    address: Address,
    lookup: Lookup,
    limit: Duration,
    lingering: Option<Identity>,
    pushes: Arc<Pushes>,
) -> Result<Opened, Refused> {
    let end = Instant::now() + limit;
    let wire = timeout_at(end, dial(&address, &lookup)).await;
    let wire = wire.map_err(|_| Refused::ForNow(not_connected(&address, &lookup, limit)))??;
    let opened = greet(wire, &address, &lookup, lingering, pushes);
    let opened = timeout_at(end, opened).await;
    opened.unwrap_or_else(|_| {
        Err(Refused::ForNow(format!(
            "no answer to the greeting within {limit:?}; if it is only slow, raise \
             `connect_timeout`"
        )))
    })
}

/// What has kept us from a connection for so long.
fn not_connected(address: &Address, lookup: &Lookup, limit: Duration) -> String {
    let hint = match &address.place {
        _ if lookup.is_under_way() => ": its name is still being looked up",
        // Servers without TLS wait for the rest of a greeting.
        Place::Tls { .. } => "; if it speaks no TLS, write `redis://`",
        _ => "",
    };
    format!("no connection within {limit:?}{hint}")
}

async fn greet(
    wire: Wire,
    address: &Address,
    lookup: &Lookup,
    lingering: Option<Identity>,
    pushes: Arc<Pushes>,
) -> Result<Opened, Refused> {
    let (mut wire, resp3_refusal) = log_in(wire, address, lookup).await?;
    let mut greeting = Pipeline::new();
    greeting.cmd("INFO");
    greeting.cmd("CLIENT").arg("ID");
    rights::ask(&mut greeting, address.user.as_deref());
    for script in script::codes() {
        greeting.cmd("SCRIPT").arg("LOAD").arg(script);
    }
    if resp3_refusal.is_none() {
        greeting.cmd("SUBSCRIBE").arg(pushes.channel());
    }
    let mut replies = wire.ask(&greeting).await?.into_iter();
    let mut facts = facts_of(replies.next())?;
    let identity = match (&facts.run_id, replies.next()) {
        (Some(run_id), Some(Value::Int(client_id))) => Some(Identity {
            run_id: run_id.clone(),
            client_id,
        }),
        _ => None,
    };
    facts.missing_rights = rights::missing(&mut replies);
    let cannot_tell = rights::cannot_tell(&mut replies);
    let not_heard = || match replies.next_back() {
        Some(Value::ServerError(error)) => Some(format!(
            "the user may not listen to the channels `lockguard:*` ({})",
            failure::of_reply(&error)
        )),
        _ => None,
    };
    facts.push_refusal = resp3_refusal.or_else(not_heard).or(cannot_tell);
    if let (Some(old), Some(new)) = (lingering, &identity)
        // Another run gives the same numbers to other clients.
        && old.run_id == new.run_id
    {
        kill(&old, &mut wire).await?;
    }
    Ok(Opened {
        wire,
        facts,
        identity,
    })
}

/// What the server says of itself, if it can keep locks now.
fn facts_of(info: Option<Value>) -> Result<NodeFacts, Refused> {
    let facts = match info {
        // While a script keeps it busy, it would tell us nothing of itself, and
        // not let us listen, for as long as the connection lasts.
        Some(Value::ServerError(error)) if matches!(error.code(), "NOAUTH" | "BUSY") => {
            return Err(Refused::ForNow(failure::of_reply(&error)));
        }
        info => NodeFacts::of_reply(info),
    };
    if facts.is_loading {
        // Until it has loaded it would refuse what it is sent first: owed releases.
        return Err(Refused::ForNow(failure::LOADING.to_owned()));
    }
    match facts.refusal() {
        Some(refusal) => Err(Refused::ByKind(facts.role, refusal.to_owned())),
        None => Ok(facts),
    }
}

/// Lets the server close a connection, and throw away what has not come by it yet.
async fn kill(old: &Identity, wire: &mut Wire) -> RedisResult<()> {
    let mut kill = Pipeline::new();
    kill.cmd("CLIENT").arg("KILL").arg("ID").arg(old.client_id);
    // An error says that it is closed already, or that the user may not close it.
    wire.ask(&kill).await?;
    Ok(())
}

/// Logs in by the protocol that carries pushes, or where the server refuses that,
/// which it says, anew by the one before.
async fn log_in(
    mut wire: Wire,
    address: &Address,
    lookup: &Lookup,
) -> Result<(Wire, Option<String>), Refused> {
    let greeted = log_in_by(&mut wire, address, &hello(address)).await;
    let Err(refusal) = greeted.map_err(|error| not_greeted(address, &error))? else {
        return Ok((wire, None));
    };
    // Whoever refuses the greeting may refuse the login as well, and says so.
    drop(wire);
    let mut wire = dial(address, lookup).await?;
    if let Err(refusal) = log_in_by(&mut wire, address, &auth(address)).await? {
        return Err(Refused::ForNow(refusal));
    }
    let refusal = format!("the server speaks no RESP3 (`HELLO 3` came to: {refusal})");
    Ok((wire, Some(refusal)))
}

/// Why the server did not answer our first words.
fn not_greeted(address: &Address, error: &RedisError) -> Refused {
    let reason = failure::of_connection(error);
    Refused::ForNow(match &address.place {
        // Servers that speak TLS alone hang up.
        Place::Tcp { .. } if error.is_connection_dropped() => {
            format!("{reason}; if it speaks TLS, write `rediss://`")
        }
        _ => reason,
    })
}

/// Logs in by this command, and chooses the database; what was refused is the
/// inner error.
async fn log_in_by(
    wire: &mut Wire,
    address: &Address,
    login: &Pipeline,
) -> RedisResult<Result<(), String>> {
    let mut greeting = login.clone();
    if address.database != 0 {
        greeting.cmd("SELECT").arg(address.database);
    }
    let must_succeed = greeting.len();
    for (what, value) in [
        ("LIB-NAME", "lockguard"),
        ("LIB-VER", env!("CARGO_PKG_VERSION")),
    ] {
        // Servers before version 7.2 do not know it.
        greeting.cmd("CLIENT").arg("SETINFO").arg(what).arg(value);
    }
    let replies = wire.ask(&greeting).await?;
    for reply in replies.iter().take(must_succeed) {
        match reply {
            // To HELLO, and to AUTH and SELECT.
            Value::Map(_) | Value::Okay => {}
            Value::ServerError(error) => return Ok(Err(failure::of_reply(error))),
            _ => return Err((ErrorKind::Parse, "an answer to another question").into()),
        }
    }
    Ok(Ok(()))
}

/// The user that a password without one is of.
const DEFAULT_USER: &str = "default";

/// Says hello by RESP3, and logs in where there is a password.
fn hello(address: &Address) -> Pipeline {
    let mut greeting = Pipeline::new();
    let hello = greeting.cmd("HELLO").arg("3");
    if let Some(password) = &address.password {
        let user = address.user.as_deref().unwrap_or(DEFAULT_USER);
        hello.arg("AUTH").arg(user).arg(password);
    }
    greeting
}

/// Logs in where there is a password, as servers know it that know no RESP3.
fn auth(address: &Address) -> Pipeline {
    let mut greeting = Pipeline::new();
    if let Some(password) = &address.password {
        let auth = greeting.cmd("AUTH");
        if let Some(user) = &address.user {
            auth.arg(user);
        }
        auth.arg(password);
    }
    greeting
}
