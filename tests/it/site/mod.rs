//! The whole gateway over real sockets: door, engine, gateway and upstreams, driven by clients that speak raw bytes.

pub mod answer;
mod echo;
mod evidence;
pub mod house;

mod bodies;
mod failures;
mod identity;
mod lines;
mod raw_corpus;
mod sessions;
mod sockets;
mod streams;
mod targets;
