//! The whole gateway over real sockets: door, exchange, gateway and upstreams, driven by clients that speak raw bytes.

pub mod answer;
pub mod echo;
mod evidence;
pub mod house;

mod activity;
mod bodies;
mod crowds;
mod dispatch;
mod exceptions;
mod failures;
mod handshakes;
mod head_rules;
mod heads;
mod hostile;
mod leaving;
mod limits;
mod lines;
mod raw_corpus;
mod sessions;
mod sockets;
mod streams;
