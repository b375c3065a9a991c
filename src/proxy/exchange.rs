//! The steps of a request: judged by the gateway, sent to an upstream, answered.

use std::fmt;
use std::sync::Arc;

use super::application::Application;
use super::client::Client;
use super::dispatch::{Dispatch, UpstreamConnection, UpstreamConnector};
use super::failure::ExchangeFailure;
use super::outcome::{ExchangeOutcome, UpgradeHandler};
use super::own_requests::OwnRequests;
use super::relay::{AnswerProgress, Awaiting, CompletedAnswer, Relay, RelayOutcome};
use super::reply;
use super::request::Request;
use super::retry::{FailedAttempt, may_send_again};
use super::sending::Sending;
use super::settings::ServerSettings;
use super::socket::{Handshake, SocketRules};
use super::tunnel::{self, Side};
use crate::gateway::{Exchange, Forward, Gateway, Received, SignInOutRequest};
use crate::values::client_address::Peer;
use crate::values::interruption::Interruption;
use crate::values::reason::Reason;
use crate::values::reply::Reply;
use crate::values::time::{Clock, Moment};

/// A gateway, with its connections to upstreams.
pub struct Proxy {
    gateway: Arc<Gateway>,
    connector: Arc<UpstreamConnector>,
}

impl Proxy {
    /// The proxy between clients and upstreams, for [`super::Server::open`].
    pub fn new(gateway: Arc<Gateway>, settings: &ServerSettings, clock: Clock) -> Arc<Self> {
        let connector = Arc::new(UpstreamConnector::new(clock, settings.upstream_idle));
        gateway.set_call_client(Arc::new(OwnRequests::new(&connector)));
        Arc::new(Self { gateway, connector })
    }

    /// Replaces the settings for connections to upstreams.
    pub fn set(&self, settings: &ServerSettings) {
        self.connector.idle.set_limit(settings.upstream_idle);
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("gateway", &self.gateway).finish_non_exhaustive()
    }
}

impl Application for Proxy {
    async fn exchange(&self, client: &mut Client, request: &Request) -> ExchangeOutcome {
        let connection = client.connection();
        let (mut record, mut received) =
            self.gateway.receive(request.head_over(connection), connection.peer(), connection.cut());
        loop {
            let (gateway, head, peer) = (&self.gateway, request.head_over(connection), connection.peer());
            // Boxed, so that the future of forwarded requests does not include the large one of built-in answers.
            received = match received {
                Received::Wait(wait) => Box::pin(gateway.resume(wait, head, peer, connection.cut(), &mut record)).await,
                Received::Forward(forward) => {
                    client.record = Some(record);
                    return self.forward(client, request, forward).await;
                }
                Received::Answer(reply) => {
                    client.record = Some(record);
                    return Box::pin(reply::answer(client, request, reply)).await;
                }
                Received::BuiltIn(own) => {
                    client.record = Some(record);
                    return Box::pin(self.sign_in_or_out(client, request, own)).await;
                }
            };
        }
    }

    fn refuse(&self, peer: Peer, head: &[u8], reason: Reason) -> Reply {
        self.gateway.refuse(peer, head, reason)
    }

    fn left(&self, peer: Peer, head: &[u8]) {
        self.gateway.left(peer, head);
    }

    fn sweep(&self, now: Moment) {
        self.connector.idle.sweep(now);
    }
}

impl Proxy {
    /// Signs in or out.
    async fn sign_in_or_out(
        &self,
        client: &mut Client,
        request: &Request,
        mut own: Box<SignInOutRequest>,
    ) -> ExchangeOutcome {
        own.keep_last_request(request.head(), request.fields());
        client.record.iter_mut().for_each(|record| record.note(own.note()));
        let limit = own.body_limit();
        // The body is not awaited here: a logout ends its session before it reads the body.
        let reply = self.gateway.sign_in_or_out(own, client.read_form(request, limit)).await;
        reply::answer(client, request, reply).await
    }

    /// Sends a request to an upstream, and its answer to the client.
    async fn forward(&self, client: &mut Client, request: &Request, forward: Box<Forward>) -> ExchangeOutcome {
        let handshake = match Handshake::of(request, &forward) {
            Ok(handshake) => handshake,
            Err(reason) => return Box::pin(refuse(client, request, &forward, reason)).await,
        };
        match self.attempt(client, request, &forward, handshake.as_ref()).await {
            Ok(RelayOutcome::Answered(answered)) => self.answered(client, &forward, answered).await,
            Ok(RelayOutcome::Switched(upstream)) => Box::pin(self.switch(client, request, forward, upstream)).await,
            Err(failure) => Box::pin(fail(client, request, &forward, failure)).await,
        }
    }

    /// Chooses an upstream and relays; a second time if a reused connection was just closing.
    async fn attempt(
        &self,
        client: &mut Client,
        request: &Request,
        forward: &Forward,
        handshake: Option<&Handshake>,
    ) -> Result<RelayOutcome, ExchangeFailure> {
        let mut dispatch = Dispatch::new(forward, request, handshake.is_some());
        let mut sending = Sending::new(client, request, forward, handshake.is_some());
        let mut sent_again = false;
        loop {
            let upstream = dispatch.connect(&self.connector, client).await?;
            client.record.iter_mut().for_each(Exchange::handed_over);
            let reused = upstream.reused;
            let mut relay = Relay {
                gateway: &self.gateway,
                client,
                request,
                forward,
                sending: &mut sending,
                upstream,
                sharing: dispatch.sharing(),
                may_repeat: reused && dispatch.may_repeat(),
                handshake,
                answer: AnswerProgress::awaited(request, handshake.is_some()),
                awaiting: Awaiting::Nothing,
                judged: forward.generation(),
                saving: None,
            };
            let ended = relay.run().await.map(|()| relay.end());
            let attempt = FailedAttempt {
                reused,
                may_repeat: dispatch.may_repeat(),
                body_at_hand: sending.is_whole(),
                sent_again,
            };
            if !matches!(ended, Err(ExchangeFailure::Lost)) || !may_send_again(attempt) {
                return ended;
            }
            sent_again = true;
            sending.rewind();
            dispatch.again();
        }
    }

    /// Returns the upstream's connection to the pool, and sends the rest of the answer.
    async fn answered(&self, client: &mut Client, forward: &Forward, answered: CompletedAnswer) -> ExchangeOutcome {
        let CompletedAnswer { keeps, upstream, sharing, promised } = answered;
        if let Some(upstream) = upstream {
            self.connector.release(client, forward, upstream, sharing, promised);
        }
        match client.send_rest().await {
            Ok(()) if keeps => ExchangeOutcome::Again,
            Ok(()) => ExchangeOutcome::Close,
            Err(_) => {
                client.note_cut(Interruption::ClientGone);
                ExchangeOutcome::Gone
            }
        }
    }

    /// Hands the connections over to the tunnel, which holds the permit as long as it runs.
    async fn switch(
        &self,
        client: &mut Client,
        request: &Request,
        forward: Box<Forward>,
        upstream: UpstreamConnection,
    ) -> ExchangeOutcome {
        if client.send_rest().await.is_err() {
            client.note_cut(Interruption::ClientGone);
            return ExchangeOutcome::Gone;
        }
        let (gateway, request, mut record) = (Arc::clone(&self.gateway), request.clone(), client.record.take());
        let take_over: UpgradeHandler = Box::new(move |stream, early, connection| {
            Box::pin(async move {
                let client = Side { stream, already_read: early };
                let upstream = Side { stream: upstream.stream, already_read: upstream.input.freeze() };
                let rules = SocketRules::new(gateway, request, forward, &connection);
                let end = tunnel::run(client, upstream, connection.cut(), &rules).await;
                record.iter_mut().for_each(|record| record.sent(end.to_client));
                record.iter_mut().zip(rules.interruption(&end)).for_each(|(record, why)| record.cut(why));
            })
        });
        ExchangeOutcome::HandedOver(take_over)
    }
}

/// Ends a failed exchange: with a response of the gateway, if none has begun and the client still waits.
async fn fail(client: &mut Client, request: &Request, forward: &Forward, failure: ExchangeFailure) -> ExchangeOutcome {
    if failure.is_the_upstreams() {
        tracing::warn!(?failure, "an exchange failed");
    } else {
        // Failures that clients can cause are only in the access line, so that they cannot fill the log.
        tracing::debug!(?failure, "an exchange failed");
    }
    client.connection().answer_arrived();
    if client.has_answer {
        client.note_cut(failure.interruption());
        return client.abort_response();
    }
    match failure.reason() {
        Some(reason) => refuse(client, request, forward, reason).await,
        None => {
            client.note_cut(Interruption::ClientGone);
            ExchangeOutcome::Gone
        }
    }
}

async fn refuse(client: &mut Client, request: &Request, forward: &Forward, reason: Reason) -> ExchangeOutcome {
    reply::answer(client, request, forward.upstream_failed(request.fields(), reason)).await
}
