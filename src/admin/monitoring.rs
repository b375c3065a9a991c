//! `[metrics]`: metrics and health checks over TCP. They change nothing and contain no user names.
//!
//! | request | answer |
//! |---|---|
//! | `GET /metrics` | all metrics, as text for Prometheus (OpenMetrics) |
//! | `GET /healthz` | 200 as long as the program runs |
//! | `GET /readyz` | 200 while connections are accepted and the store answers, else 503; JSON, by check |

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::ALLOW;
use http::{HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use tokio::net::TcpListener;

use super::connections;
use crate::gateway::Gateway;
use crate::metrics::Gauges;
use crate::values::reply::Reply;

/// The media type of the text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The bound listener.
#[derive(Debug)]
pub struct Monitoring {
    listener: TcpListener,
    accepting: Arc<AtomicBool>,
}

impl Monitoring {
    /// Binds the listener. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The error of the operating system.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, accepting: Arc::new(AtomicBool::new(true)) })
    }

    /// The address at which it listens.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves forever. After `stopping` has finished, it reports that the gateway is not ready.
    pub async fn serve(
        self,
        gateway: Arc<Gateway>,
        open_connections: impl Fn() -> usize + Clone + Send + 'static,
        stopping: impl Future<Output = ()>,
    ) {
        gateway.metrics().measure_requests(true);
        let notice = async {
            stopping.await;
            self.accepting.store(false, Ordering::Relaxed);
            std::future::pending::<()>().await;
        };
        let accepting = Arc::clone(&self.accepting);
        let answer = move |request: Request<Incoming>, _| {
            let gauges = gateway.gauges(open_connections());
            let state = GatewayStatus { accepting: accepting.load(Ordering::Relaxed), gauges };
            let reply = answer(request.method(), request.uri().path(), &gateway, state);
            async move { reply }
        };
        tokio::join!(notice, connections::serve(&self.listener, answer));
    }
}

/// The state of the gateway at the time of a request.
#[derive(Clone, Copy, Debug)]
struct GatewayStatus {
    accepting: bool,
    gauges: Gauges,
}

fn answer(method: &Method, path: &str, gateway: &Gateway, state: GatewayStatus) -> Reply {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return not_here(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Only GET and HEAD are allowed here.")
            .with(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    match path {
        "/metrics" => {
            let text = gateway.metrics().to_text(state.gauges);
            Reply::with_body(StatusCode::OK, OPEN_METRICS, text)
        }
        "/healthz" => Reply::json(StatusCode::OK, &json!({ "status": "running" })),
        "/readyz" => readiness(state),
        _ => not_here(StatusCode::NOT_FOUND, "no_route", "The addresses here are /metrics, /healthz and /readyz."),
    }
}

fn readiness(state: GatewayStatus) -> Reply {
    let ready = state.accepting && state.gauges.store_trusted;
    let word = |fine: bool, otherwise: &'static str| if fine { "ok" } else { otherwise };
    let body = json!({
        "status": if ready { "ready" } else { "not_ready" },
        "checks": {
            // The gateway does not start with an invalid one.
            "configuration": "ok",
            "listeners": word(state.accepting, "stopping"),
            "store": word(state.gauges.store_trusted, "unavailable"),
        },
    });
    Reply::json(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &body)
}

fn not_here(status: StatusCode, error: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "error": error, "message": message }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_accepting_and_with_a_store() {
        for (accepting, store_trusted, want) in [(true, true, 200), (false, true, 503), (true, false, 503)] {
            let gauges = Gauges { store_trusted, ..Gauges::default() };
            let reply = readiness(GatewayStatus { accepting, gauges });
            assert_eq!(reply.status, want, "{accepting} {store_trusted}");
        }
    }
}
