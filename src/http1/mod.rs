//! HTTP/1.1 on the wire: strict parsers and one writer for heads, bodies and header fields. Without I/O, and
//! independent of the engine.

pub mod answer_head;
pub mod body;
pub mod chunks;
pub(crate) mod connection_auth;
pub mod cookie;
pub mod head_lines;
pub mod header_edits;
pub(crate) mod header_name_bytes;
pub mod header_names;
pub(crate) mod headers;
pub(crate) mod hop_by_hop;
pub(crate) mod instance_id;
pub mod known_name;
pub(crate) mod media_type;
pub(crate) mod method_override;
pub(crate) mod nominated;
pub mod own_cookies;
pub(crate) mod partial_head;
pub(crate) mod provenance;
pub(crate) mod refresh;
pub mod removed_headers;
pub mod request_head;
mod usual_names;
pub(crate) mod websocket_request;
