//! Between clients and upstreams. Towards clients: listeners, the life of a connection, its deadlines, and the stop.
//! Towards upstreams: connections, kept ones and new ones, which the engine makes: it is named nowhere else. Between
//! them the exchange: one request and its answer in one task.

mod accept;
mod answer;
mod arrival;
mod client;
mod connection;
mod dispatch;
mod door;
mod exchange;
mod failure;
pub mod frames;
mod idle;
pub mod listener;
mod peer;
mod refusal;
mod relay;
mod reply;
mod request;
mod retry;
mod sending;
mod serve;
pub mod settings;
mod signals;
mod socket;
mod stage;
mod table;
mod transport;
pub mod tunnel;
pub mod unix_socket;
mod wire;

pub use client::Client;
pub use connection::Connection;
pub use door::Door;
pub use exchange::Proxy;
pub use request::Request;
pub use serve::{After, Behind, Rest, TakeOver};
pub use signals::Signals;
pub use transport::Transport;
