//! Plain words, each parsed once. No I/O, and nothing here knows the engine.

pub mod connection_auth;
pub mod origin;
pub mod session_id;
pub mod time;
pub mod upstream_address;
pub mod websocket_request;
