//! Whether a server deletes keys when its memory is full: sessions would end by themselves.

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, cmd};

/// The one policy under which a full server refuses to take more, and deletes nothing.
const KEEPS_ALL: &str = "noeviction";

/// The policy by which a server deletes keys; `None` where it deletes none.
pub(super) async fn policy(connection: &mut MultiplexedConnection) -> RedisResult<Option<String>> {
    // CONFIG GET is not for every user.
    let info: String = cmd("INFO").arg("memory").query_async(connection).await?;
    Ok(policy_in(&info).map(str::to_owned))
}

fn policy_in(info: &str) -> Option<&str> {
    let policy = info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
    policy.filter(|policy| *policy != KEEPS_ALL)
}

/// Tells operators of it.
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
    fn a_server_that_deletes_keys_is_told_from_one_that_does_not() {
        let cases =
            [("noeviction", None), ("allkeys-lru", Some("allkeys-lru")), ("volatile-ttl", Some("volatile-ttl"))];
        for (policy, want) in cases {
            let info = format!("# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:{policy}\r\nmem_clients:8\r\n");
            assert_eq!(policy_in(&info), want);
        }
        assert_eq!(policy_in("maxmemory:0"), None, "a server that does not say it");
    }
}
