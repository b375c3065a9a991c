//! One exchange's way to its upstream: which endpoint, a kept connection or a new one, and what becomes of it after.

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
use crate::routes::endpoint::{Endpoint, Tried};
use crate::routes::pool::{Pool, UpstreamSettings};
use crate::values::time::Clock;

/// Makes connections to upstreams, and keeps them.
pub(super) struct Connector {
    transport: TransportConnector,
    authorities: OwnAuthorities,
    pub(super) idle: IdleConnections,
    clock: Clock,
}

/// A connection to an upstream, and what was read of it and not used yet.
#[derive(Debug)]
pub(super) struct UpstreamConnection {
    pub(super) stream: UpstreamStream,
    pub(super) input: BytesMut,
    /// It has carried a request before: the upstream may close it at any moment.
    pub(super) reused: bool,
    key: UpstreamKey,
}

/// Who may use a connection after this exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Every exchange with the same endpoint.
    Everybody,
    /// Only exchanges of the same session on the same client connection: it was authenticated, or may have been.
    Owner,
}

/// The attempts of one exchange.
pub(super) struct Dispatch<'a> {
    forward: &'a Forward,
    tried: Tried,
    sharing: Sharing,
    /// Only a new connection will do.
    anew: bool,
    may_repeat: bool,
}

impl Connector {
    pub(super) fn new(clock: Clock, idle: Duration) -> Self {
        Self {
            transport: TransportConnector::new(None),
            authorities: OwnAuthorities::default(),
            idle: IdleConnections::new(idle),
            clock,
        }
    }

    /// Makes a new connection. An endpoint that cannot be reached rests for a while.
    pub(super) async fn connect(&self, pool: &Pool, endpoint: &Endpoint) -> Result<UpstreamConnection, ()> {
        let stream = self.stream(endpoint, pool.settings()).await.map_err(|error| {
            tracing::warn!(place = ?endpoint.address(), %error, "no connection to an upstream");
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

    /// Gives a connection back that may carry another request.
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
            // It has no owner: it is closed.
            (Sharing::Owner, None) => {}
        }
    }
}

impl<'a> Dispatch<'a> {
    /// The exchange that this permit is for. `anew`: it does not reuse a connection.
    pub(super) fn new(forward: &'a Forward, request: &Request, anew: bool) -> Self {
        let touches = request_touches_connection(request.fields());
        let sharing = if touches { Sharing::Owner } else { Sharing::Everybody };
        Self { forward, tried: Tried::NOTHING, sharing, anew, may_repeat: forward.may_repeat() }
    }

    /// Whether sending the request twice does no harm.
    pub(super) fn may_repeat(&self) -> bool {
        self.may_repeat
    }

    pub(super) fn sharing(&self) -> Sharing {
        self.sharing
    }

    /// The request is sent a second time: on a new connection, so that it does not meet another one that is closing.
    pub(super) fn again(&mut self) {
        self.anew = true;
    }

    /// A connection. A failed connect moves on to the next endpoint, whatever the method is: nothing was sent.
    ///
    /// # Errors
    /// No endpoint is left, or no name has an address.
    pub(super) async fn connect(
        &mut self,
        connector: &Connector,
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
            // Boxed: most exchanges find a connection, and none should carry the room of making one.
            match Box::pin(connector.connect(pool, &endpoint)).await {
                Ok(made) => return Ok(made),
                Err(()) => self.tried.insert(&endpoint),
            }
        }
    }

    /// A kept connection: the owner's own, or a shared one.
    fn kept(&mut self, connector: &Connector, client: &mut Client, endpoint: &Endpoint) -> Option<UpstreamConnection> {
        if self.anew {
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

    /// The connection that an earlier request of the same session has authenticated.
    fn take_authenticated(&self, client: &mut Client, key: UpstreamKey) -> Option<UpstreamStream> {
        let session = self.forward.session()?;
        let bound = client.bound.take_if(|bound| bound.key == key && Arc::ptr_eq(&bound.owner, session))?;
        let mut stream = bound.stream;
        stream.is_silent().then_some(stream)
    }
}
