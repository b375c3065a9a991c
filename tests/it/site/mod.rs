//! The whole gateway over real sockets: server, exchange, gateway and upstreams, driven by clients that speak raw
//! bytes.

pub mod answer;
pub mod echo;
pub mod harness;
mod secrets;

mod activity;
mod application_logout;
mod audit;
mod bodies;
mod dispatch;
mod exceptions;
mod failures;
mod handshakes;
mod head_rules;
mod heads;
mod hostile;
mod hosts;
mod limits;
mod lines;
mod many_sign_ins;
mod own_link;
mod raw_corpus;
mod reloads;
mod sessions;
mod sign_in_again;
mod sockets;
mod streams;
mod write_guards;
