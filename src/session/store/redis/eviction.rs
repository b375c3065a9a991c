//! Detects servers that evict keys when their memory is full, which would end sessions.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisResult, cmd};
use tokio::time::timeout;

use super::address::RedisAddress;

/// The policy under which a full server refuses writes and evicts nothing.
const NO_EVICTION: &str = "noeviction";

/// The policy by which a server evicts keys; `None` if it evicts none.
pub(super) async fn policy(connection: &mut MultiplexedConnection) -> RedisResult<Option<String>> {
    // Not CONFIG GET, for which many users have no permission.
    let info: String = cmd("INFO").arg("memory").query_async(connection).await?;
    Ok(policy_in(&info).map(str::to_owned))
}

/// The policy by which the server that has the store at this moment deletes keys. `None` also where it does not answer
/// in time, or does not say. Nothing is written there.
pub(crate) async fn policy_at(address: &RedisAddress, patience: Duration) -> Option<String> {
    let ask = async {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(patience)).set_response_timeout(Some(patience));
        policy(&mut address.place()?.connect(&config).await?).await
    };
    timeout(patience, ask).await.ok()?.ok()?
}

fn policy_in(info: &str) -> Option<&str> {
    let policy = info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
    policy.filter(|policy| *policy != NO_EVICTION)
}

/// Logs a warning for operators.
pub(super) fn warn(policy: &str) {
    tracing::warn!(
        "the server of the session store deletes keys when its memory is full (maxmemory-policy {policy}): that ends \
         sessions; write maxmemory-policy noeviction in its configuration"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_evicts_keys_is_detected() {
        let cases =
            [("noeviction", None), ("allkeys-lru", Some("allkeys-lru")), ("volatile-ttl", Some("volatile-ttl"))];
        for (policy, want) in cases {
            let info = format!("# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:{policy}\r\nmem_clients:8\r\n");
            assert_eq!(policy_in(&info), want);
        }
        assert_eq!(policy_in("maxmemory:0"), None, "a server that does not report its policy");
    }
}
