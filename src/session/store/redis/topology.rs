//! Finds the server with the store: the configured one, or the one that Sentinels or the nodes of a Cluster name.
//!
//! All Sentinels or nodes are asked at the same time, and the first answer that names a server which reports to be a
//! primary is used, so that one that hangs causes no delay. Whether it still is the primary is known when its replicas
//! have confirmed a write ([`super::link`]).

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisError, RedisResult, Value, cmd};
use tokio::task::JoinSet;

use super::PREFIX;

/// The timeout for the answer of a Sentinel or a node.
const ANSWERING: Duration = Duration::from_millis(500);

/// The location of the store.
#[derive(Clone)]
pub(super) enum RedisTopology {
    /// A single server.
    Server(Client),
    /// The primary with this name, which Sentinels monitor.
    Sentinels { sentinels: Vec<Client>, name: String },
    /// The node of a Cluster that has the slot of the store's keys.
    Cluster { nodes: Vec<Client> },
}

/// A host and a port.
type HostAndPort = (String, u16);

impl RedisTopology {
    /// Connects to the server that currently has the store.
    pub(super) async fn connect(&self, config: &AsyncConnectionConfig) -> RedisResult<MultiplexedConnection> {
        let mut answers = JoinSet::new();
        match self {
            Self::Server(client) => return client.get_multiplexed_async_connection_with_config(config).await,
            Self::Sentinels { sentinels, name } => {
                for sentinel in sentinels.iter().cloned() {
                    let name = name.clone();
                    answers.spawn(async move { (primary_of(&sentinel, &name).await, sentinel) });
                }
            }
            Self::Cluster { nodes } => {
                for node in nodes.iter().cloned() {
                    answers.spawn(async move { (owner_by(&node).await, node) });
                }
            }
        }
        let mut tried = HashSet::new();
        let mut last = problem("none of the servers of session.store answers");
        while let Some(Ok((told, by))) = answers.join_next().await {
            let connected = match told {
                Ok(told) if !tried.insert(told.clone()) => continue,
                Ok((host, port)) => primary_at(with_address(by.get_connection_info(), host, port), config).await,
                Err(error) => Err(error),
            };
            match connected {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// Connects to a server, if it reports to be a primary.
async fn primary_at(info: ConnectionInfo, config: &AsyncConnectionConfig) -> RedisResult<MultiplexedConnection> {
    let client = Client::open(info)?;
    let mut connection = client.get_multiplexed_async_connection_with_config(config).await?;
    let role: Vec<Value> = cmd("ROLE").query_async(&mut connection).await?;
    match role.first() {
        Some(Value::BulkString(role)) if role == b"master" => Ok(connection),
        Some(_) | None => Err(problem("the server that has the session store by its Sentinels or nodes is a replica")),
    }
}

/// The connection settings of another server: the same TLS settings and user as for the one that was asked.
fn with_address(info: &ConnectionInfo, to: String, at: u16) -> ConnectionInfo {
    let mut addr = info.addr().clone();
    match &mut addr {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (*host, *port) = (to, at),
        // Addresses of Sentinels and nodes are never Unix sockets.
        ConnectionAddr::Unix(_) => {}
        _ => {}
    }
    info.clone().set_addr(addr)
}

fn short_timeouts() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(ANSWERING)).set_response_timeout(Some(ANSWERING))
}

/// The primary with this name. The Sentinel is asked without a password, and if it requires one, with that of the
/// servers.
async fn primary_of(sentinel: &Client, name: &str) -> RedisResult<HostAndPort> {
    let info = sentinel.get_connection_info().clone().set_redis_settings(redis::RedisConnectionInfo::default());
    match ask_sentinel(&Client::open(info)?, name).await {
        Err(error) if error.code() == Some("NOAUTH") => ask_sentinel(&without_database(sentinel)?, name).await,
        told => told,
    }
}

/// The client without the selection of a database, which Sentinels do not have.
fn without_database(sentinel: &Client) -> RedisResult<Client> {
    let info = sentinel.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_db(0);
    Client::open(info.set_redis_settings(settings))
}

async fn ask_sentinel(sentinel: &Client, name: &str) -> RedisResult<HostAndPort> {
    let mut connection = sentinel.get_multiplexed_async_connection_with_config(&short_timeouts()).await?;
    let mut command = cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let told: Option<HostAndPort> = command.query_async(&mut connection).await?;
    told.ok_or_else(|| problem("a Sentinel knows no primary of the name in session.store"))
}

/// The node that has the store, according to this node.
async fn owner_by(node: &Client) -> RedisResult<HostAndPort> {
    let mut connection = node.get_multiplexed_async_connection_with_config(&short_timeouts()).await?;
    let mut commands = redis::pipe();
    commands.cmd("CLUSTER").arg("KEYSLOT").arg(PREFIX).cmd("CLUSTER").arg("SLOTS");
    let (slot, ranges): (u16, Vec<Vec<Value>>) = commands.query_async(&mut connection).await?;
    let owner = ranges.iter().find_map(|range| owner_in(range, slot));
    match (owner, node.get_connection_info().addr()) {
        // An empty host means the host that was asked.
        (Some((host, port)), ConnectionAddr::Tcp(asked, _) | ConnectionAddr::TcpTls { host: asked, .. })
            if host.is_empty() =>
        {
            Ok((asked.clone(), port))
        }
        (Some(told), _) if told.0 != "?" => Ok(told),
        (Some(_) | None, _) => Err(problem("no node of the Cluster has the slot of the session store")),
    }
}

/// The host and port of the owner of a range of slots, if `slot` is in it.
fn owner_in(range: &[Value], slot: u16) -> Option<HostAndPort> {
    let [first, last, Value::Array(node), ..] = range else { return None };
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    if !(number(first)?..=number(last)?).contains(&slot) {
        return None;
    }
    let host = redis::from_redis_value::<Option<String>>(node.first()?.clone()).ok()?;
    Some((host.unwrap_or_default(), number(node.get(1)?)?))
}

pub(super) fn problem(text: &'static str) -> RedisError {
    io::Error::other(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_slot_is_read_from_the_ranges() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let range = |first, last, host: Value, port| {
            let node = Value::Array(vec![host, Value::Int(port), text("id"), Value::Array(Vec::new())]);
            [Value::Int(first), Value::Int(last), node.clone(), node]
        };
        let found = |range: &[Value]| owner_in(range, 100);
        assert_eq!(found(&range(0, 100, text("a.test"), 6379)), Some(("a.test".to_owned(), 6379)));
        assert_eq!(found(&range(100, 100, Value::Nil, 1)), Some((String::new(), 1)));
        for other in [range(0, 99, text("a.test"), 1), range(101, 200, text("a.test"), 1), range(0, 200, text("a"), -1)]
        {
            assert_eq!(found(&other), None);
        }
        assert_eq!(found(&[Value::Int(0), Value::Int(200)]), None);
    }
}
