//! The numbers of connections that use sessions, which the gateways tell each other.

use super::RedisState;
use crate::session::elsewhere::SessionConnections;
use crate::session::store::Unavailable;
use crate::values::session_id::SessionKey;

/// The time for which the numbers of a gateway hold, in milliseconds: a gateway that was killed counts no longer.
const TIME_TO_LIVE: u64 = 10_000;
/// The bytes of one session: its name, and its number.
const ENTRY: usize = 36;

impl RedisState {
    pub(super) async fn exchange_connections(
        &self,
        own: &[SessionConnections],
    ) -> Result<Vec<SessionConnections>, Unavailable> {
        let arguments = |call: &mut redis::ScriptInvocation<'_>| {
            call.arg(self.peers.own_name()).arg(TIME_TO_LIVE).arg(encode(own));
        };
        let others: Vec<Vec<u8>> = self.link.call(&self.scripts.connections, arguments).await?;
        Ok(others.iter().flat_map(|bytes| decode(bytes)).collect())
    }
}

fn encode(connections: &[SessionConnections]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(connections.len() * ENTRY);
    for (session, count) in connections {
        bytes.extend_from_slice(session.as_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
    }
    bytes
}

fn decode(bytes: &[u8]) -> impl Iterator<Item = SessionConnections> {
    bytes.chunks_exact(ENTRY).filter_map(|entry| {
        let (session, count) = entry.split_first_chunk()?;
        Some((SessionKey::from_bytes(*session), u32::from_be_bytes(*count.first_chunk()?)))
    })
}
