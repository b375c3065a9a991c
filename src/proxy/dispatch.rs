//! Gets an upstream connection for an exchange: chooses the endpoint, reuses an idle connection or opens a new one, and
//! returns it to the pool.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use pingora::connectors::TransportConnector;

use super::buffers;
use super::client::Client;
use super::failure::ExchangeFailure;
use super::idle::{AuthenticatedConnection, IdleConnections, UpstreamKey};
use super::peer::{OwnAuthorities, http_peer};
use super::request::Request;
use super::upstream_stream::{ConnectError, UpstreamStream};
use crate::gateway::Forward;
use crate::http1::connection_auth::request_touches_connection;
use crate::routes::endpoint::{Endpoint, FailedEndpoints};
use crate::routes::pool::{Pool, UpstreamSettings};
use crate::values::time::Clock;

/// Opens connections to upstreams, and keeps idle ones.
pub(super) struct UpstreamConnector {
    transport: TransportConnector,
    authorities: OwnAuthorities,
    pub(super) idle: IdleConnections,
    clock: Clock,
}

/// A connection to an upstream, with received bytes that are not processed yet.
#[derive(Debug)]
pub(super) struct UpstreamConnection {
    pub(super) stream: UpstreamStream,
    pub(super) input: BytesMut,
    /// Whether it was used before: the upstream may close such a connection at any moment.
    pub(super) reused: bool,
    key: UpstreamKey,
}

/// Which exchanges may reuse a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// All exchanges with the same endpoint.
    Everybody,
    /// Only exchanges of the same session on the same client connection, since the connection may be authenticated.
    Owner,
}

/// The attempts of one exchange.
pub(super) struct Dispatch<'a> {
    forward: &'a Forward,
    tried: FailedEndpoints,
    sharing: Sharing,
    /// Whether only a new connection is used.
    only_new: bool,
    may_repeat: bool,
}

impl UpstreamConnector {
    pub(super) fn new(clock: Clock, idle: Duration) -> Self {
        Self {
            transport: TransportConnector::new(None),
            authorities: OwnAuthorities::default(),
            idle: IdleConnections::new(idle),
            clock,
        }
    }

    /// Opens a new connection. If that fails, the endpoint is paused for a while.
    pub(super) async fn connect(&self, pool: &Pool, endpoint: &Endpoint) -> Result<UpstreamConnection, ()> {
        let stream = self.stream(endpoint, pool.settings()).await.map_err(|error| {
            tracing::warn!(place = ?endpoint.address(), %error, "cannot connect to an upstream");
            pool.failed_to_connect(endpoint);
        })?;
        endpoint.connected();
        let key = UpstreamKey::of(endpoint, &pool.settings().trust);
        Ok(UpstreamConnection { stream, input: BytesMut::new(), reused: false, key })
    }

    async fn stream(&self, endpoint: &Endpoint, settings: &UpstreamSettings) -> Result<UpstreamStream, ConnectError> {
        if endpoint.server_name().is_none() {
            return UpstreamStream::connect(endpoint.address(), settings.connect_timeout).await;
        }
        let peer = http_peer(endpoint, settings, &self.authorities)?;
        Ok(UpstreamStream::Tls(self.transport.new_stream(&peer).await?))
    }

    /// Returns a connection that can be reused.
    pub(super) fn release(
        &self,
        client: &mut Client,
        forward: &Forward,
        upstream: UpstreamConnection,
        sharing: Sharing,
        promised: Option<Duration>,
    ) {
        let UpstreamConnection { stream, key, mut input, .. } = upstream;
        buffers::give_back(&mut input);
        match (sharing, forward.session()) {
            (Sharing::Everybody, _) => self.idle.put(key, stream, self.clock.now(), promised),
            (Sharing::Owner, Some(owner)) => {
                client.bound = Some(Box::new(AuthenticatedConnection { key, owner: Arc::clone(owner), stream }));
            }
            // Without a session it has no owner, so it is closed.
            (Sharing::Owner, None) => {}
        }
    }
}

impl<'a> Dispatch<'a> {
    /// The dispatch of a permitted request. With `only_new` it does not reuse a connection.
    pub(super) fn new(forward: &'a Forward, request: &Request, only_new: bool) -> Self {
        let touches = request_touches_connection(request.fields());
        let sharing = if touches { Sharing::Owner } else { Sharing::Everybody };
        Self { forward, tried: FailedEndpoints::NOTHING, sharing, only_new, may_repeat: forward.may_repeat() }
    }

    /// Whether the request is idempotent.
    pub(super) fn may_repeat(&self) -> bool {
        self.may_repeat
    }

    pub(super) fn sharing(&self) -> Sharing {
        self.sharing
    }

    /// Prepares to send the request again: on a new connection, since another idle one may be closing too.
    pub(super) fn again(&mut self) {
        self.only_new = true;
    }

    /// Gets a connection. After a failed connect the next endpoint is tried, with any method, since nothing was sent.
    ///
    /// # Errors
    /// No endpoint is left, or no name is resolved.
    pub(super) async fn connect(
        &mut self,
        connector: &UpstreamConnector,
        client: &mut Client,
    ) -> Result<UpstreamConnection, ExchangeFailure> {
        let (pool, affinity) = (self.forward.pool(), self.forward.affinity());
        loop {
            let endpoint = match pool.pick(affinity, &self.tried) {
                Some(endpoint) => endpoint,
                None => Box::pin(pool.choose(affinity, &self.tried)).await.ok_or(ExchangeFailure::Unreachable)?,
            };
            if let Some(kept) = self.kept(connector, client, &endpoint) {
                return Ok(kept);
            }
            // Boxed, since this large future is rarely needed: most exchanges reuse a connection.
            match Box::pin(connector.connect(pool, &endpoint)).await {
                Ok(made) => return Ok(made),
                Err(()) => self.tried.insert(&endpoint),
            }
        }
    }

    /// An idle connection: the owner's authenticated one, or a shared one.
    fn kept(
        &mut self,
        connector: &UpstreamConnector,
        client: &mut Client,
        endpoint: &Endpoint,
    ) -> Option<UpstreamConnection> {
        if self.only_new {
            return None;
        }
        let key = UpstreamKey::of(endpoint, &self.forward.pool().settings().trust);
        let stream = match self.take_authenticated(client, key) {
            Some(own) => {
                self.sharing = Sharing::Owner;
                own
            }
            None if self.sharing == Sharing::Owner => return None,
            None => connector.idle.take(key, connector.clock.now(), self.may_repeat)?,
        };
        Some(UpstreamConnection { stream, input: BytesMut::new(), reused: true, key })
    }

    /// The connection that was authenticated by an earlier request of the same session.
    fn take_authenticated(&self, client: &mut Client, key: UpstreamKey) -> Option<UpstreamStream> {
        let session = self.forward.session()?;
        let bound = client.bound.take_if(|bound| bound.key == key && Arc::ptr_eq(&bound.owner, session))?;
        let mut stream = bound.stream;
        stream.is_silent().then_some(stream)
    }
}
