//! Plain words, each parsed once. No I/O, and nothing here knows the engine.

pub mod client_address;
pub mod connection_auth;
pub mod cookie;
pub mod device;
pub mod end_cause;
pub mod escapes;
pub mod form;
pub mod header_edits;
pub mod header_names;
pub mod identity;
pub mod known_browser;
pub mod listen_address;
pub mod origin;
pub mod own_hosts;
pub mod own_path;
pub mod readings;
pub mod reason;
pub mod receipt;
pub mod reply;
pub mod return_to;
pub mod secret;
pub mod session_id;
pub mod target;
pub mod time;
pub mod upstream_address;
pub mod websocket_request;
