//! The whole gateway over real sockets: door, engine, gateway and upstreams, driven by clients that speak raw bytes.

mod answer;
mod echo;
mod house;

mod identity;
mod sessions;
mod targets;
