//! The network side of the proxy. Towards clients: listeners, connections with their deadlines, graceful shutdown.
//! Towards upstreams: new and pooled connections; pingora, which opens those over TLS, is used in no other module.
//! Between them the exchange: one request and its answer in one task.

mod accept;
mod answer;
mod application;
mod buffers;
mod client;
mod connection;
mod connection_state;
mod connection_table;
mod dispatch;
mod exchange;
mod failure;
pub(crate) mod frames;
mod idle;
pub mod inherited;
mod keepalive;
pub mod listener;
mod outcome;
mod own_requests;
mod peer;
mod rate_limited_log;
mod read_head;
mod refusal;
mod relay;
mod reply;
mod request;
mod retry;
mod sending;
mod serve;
mod server;
pub mod settings;
mod shared;
mod signals;
mod socket;
mod transport;
pub mod tunnel;
pub(crate) mod unix_socket;
mod upstream_stream;
mod wire;

pub use application::Application;
pub use client::Client;
pub use connection::Connection;
pub use exchange::Proxy;
pub use outcome::{ConnectionTask, ExchangeOutcome, UpgradeHandler};
pub use request::Request;
pub use server::Server;
pub use signals::Signals;
pub use transport::Transport;
