//! The whole gateway over real sockets: door, engine, gateway and upstreams, driven by clients that speak raw bytes.

mod answer;
mod echo;
mod house;

mod bodies;
mod identity;
mod raw_corpus;
mod sessions;
mod targets;
