//! Makes a connection to a node, and asks who is there.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, Pipeline,
    ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError, RedisResult, Value,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use tokio::{sync::oneshot, time::timeout};

use super::{
    address::{Address, Place},
    command, failure,
    probe::NodeFacts,
    push::Pushes,
    rights,
};
use crate::node_status::NodeRole;

/// A connection that has been logged in to, and what is at its other end.
pub(super) struct Opened {
    pub(super) connection: MultiplexedConnection,
    pub(super) facts: NodeFacts,
    pub(super) identity: Option<Identity>,
    /// Resolves when the connection has been lost; `None` where that cannot be
    /// told.
    pub(super) lost: Option<oneshot::Receiver<()>>,
}

/// A connection as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    run_id: String,
    client_id: i64,
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
    limit: Duration,
    lingering: Option<Identity>,
    pushes: Arc<Pushes>,
) -> Result<Opened, Refused> {
    match timeout(limit, open_unbounded(&address, lingering, pushes)).await {
        Ok(opened) => opened,
        Err(_) => Err(Refused::ForNow(format!("no connection within {limit:?}"))),
    }
}

async fn open_unbounded(
    address: &Address,
    lingering: Option<Identity>,
    pushes: Arc<Pushes>,
) -> Result<Opened, Refused> {
    let Dialled {
        mut connection,
        lost,
        resp3_refusal,
    } = dial(address, &pushes).await?;
    let mut greeting = Pipeline::new();
    greeting.cmd("INFO");
    greeting.cmd("CLIENT").arg("ID");
    rights::ask(&mut greeting, address.user.as_deref());
    for script in command::scripts() {
        greeting.cmd("SCRIPT").arg("LOAD").arg(script);
    }
    if resp3_refusal.is_none() {
        greeting.cmd("SUBSCRIBE").arg(pushes.channel());
    }
    let replies = connection
        .send_packed_commands(&greeting, 0, greeting.len())
        .await?;
    let mut replies = replies.into_iter();
    let mut facts = match replies.next() {
        Some(Value::ServerError(error)) if error.code() == "NOAUTH" => {
            return Err(Refused::ForNow(failure::of_reply(&error)));
        }
        info => NodeFacts::of_reply(info),
    };
    if facts.is_loading {
        // Until then it would refuse what it is sent first: owed releases.
        return Err(Refused::ForNow(failure::LOADING.to_owned()));
    }
    if let Some(refusal) = facts.refusal() {
        return Err(Refused::ByKind(facts.role, refusal.to_owned()));
    }
    let identity = match (&facts.run_id, replies.next()) {
        (Some(run_id), Some(Value::Int(client_id))) => Some(Identity {
            run_id: run_id.clone(),
            client_id,
        }),
        _ => None,
    };
    facts.missing_rights = rights::missing(&mut replies);
    facts.push_refusal = resp3_refusal.or_else(|| match replies.next_back() {
        Some(Value::ServerError(error)) => Some(format!(
            "the user may not listen to the channels `lockguard:*` ({})",
            failure::of_reply(&error)
        )),
        _ => None,
    });
    if let (Some(old), Some(new)) = (lingering, &identity)
        // Another run gives the same numbers to other clients.
        && old.run_id == new.run_id
    {
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("ID").arg(old.client_id);
        // It is gone already, or we may not: then that is how it is.
        let _ = connection.send_packed_command(&kill).await?;
    }
    Ok(Opened {
        connection,
        facts,
        identity,
        lost,
    })
}

/// A connection on which nothing has been said yet.
struct Dialled {
    connection: MultiplexedConnection,
    lost: Option<oneshot::Receiver<()>>,
    resp3_refusal: Option<String>,
}

/// Connects and logs in, by the protocol that tells of a lost connection and
/// carries pushes, or where the server refuses that by the one before.
async fn dial(address: &Address, pushes: &Arc<Pushes>) -> RedisResult<Dialled> {
    let (tell, lost) = oneshot::channel();
    let (pushes, tell) = (Arc::clone(pushes), Mutex::new(Some(tell)));
    let with_pushes = config().set_push_sender(move |push: PushInfo| {
        if push.kind == PushKind::Disconnection {
            drop(tell.lock().take());
        } else {
            pushes.receive(&push);
        }
        Ok::<_, ()>(())
    });
    let connecting = client(address, ProtocolVersion::RESP3)?;
    let connected = connecting
        .get_multiplexed_async_connection_with_config(&with_pushes)
        .await;
    let refusal = match connected {
        Ok(connection) => {
            return Ok(Dialled {
                connection,
                lost: Some(lost),
                resp3_refusal: None,
            });
        }
        Err(error) if error.is_io_error() => return Err(error),
        Err(error) => failure::of_connection(&error),
    };
    // Whoever refuses the greeting may refuse the login as well, and says so.
    let connecting = client(address, ProtocolVersion::RESP2)?;
    let connection = connecting
        .get_multiplexed_async_connection_with_config(&config())
        .await?;
    Ok(Dialled {
        connection,
        lost: None,
        resp3_refusal: Some(format!(
            "the server speaks no RESP3 (`HELLO 3` came to: {refusal}), so that a restart, too, is \
             noticed only when it is next asked something"
        )),
    })
}

fn client(address: &Address, protocol: ProtocolVersion) -> RedisResult<Client> {
    let place = match address.place.clone() {
        Place::Tcp { host, port } => ConnectionAddr::Tcp(host, port),
        Place::Tls { host, port } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        },
        Place::Unix { path } => ConnectionAddr::Unix(path.into()),
    };
    #[cfg(feature = "tls")]
    if matches!(place, ConnectionAddr::TcpTls { .. }) {
        // Where the program has chosen a provider, this fails, as it should.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let mut login = RedisConnectionInfo::default()
        .set_db(address.database)
        .set_protocol(protocol)
        .set_lib_name("lockguard", env!("CARGO_PKG_VERSION"));
    if let Some(user) = &address.user {
        login = login.set_username(user);
    }
    if let Some(password) = &address.password {
        login = login.set_password(password);
    }
    let info = place
        .into_connection_info()?
        .set_tcp_settings(tcp_settings())
        .set_redis_settings(login);
    Client::open(info)
}

/// How long a peer may be silent to the system's own probes.
const DEAD_PEER: Duration = Duration::from_secs(5);

fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(DEAD_PEER)
        .with_interval(DEAD_PEER / 5);
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(DEAD_PEER);
    settings
}

/// Room in the driver's channel for more batches than are ever on their way,
/// so that each is in the channel after the first poll of its future.
pub(super) const DRIVER_ROOM: usize = 64;

/// The link bounds the waiting for replies, by the age of the commands.
fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(DRIVER_ROOM)
}

/// Sends the commands and waits for the reply to each.
///
/// After its first poll they are in the driver's channel, in order.
pub(super) async fn send(
    mut connection: MultiplexedConnection,
    commands: Pipeline,
) -> Result<Vec<Value>, String> {
    let count = commands.len();
    let replies = connection
        .send_packed_commands(&commands, 0, count)
        .await
        .map_err(|error| failure::of_connection(&error))?;
    if replies.len() == count {
        Ok(replies)
    } else {
        Err("replies got lost".to_owned())
    }
}
