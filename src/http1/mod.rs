//! HTTP/1.1 on the wire: heads, bodies and header fields, read strictly and written in one way. No I/O, and nothing
//! here knows the engine.

pub mod answer_head;
pub mod body;
pub mod chunks;
pub mod connection_auth;
pub mod cookie;
pub mod half_head;
pub mod head_lines;
pub mod header_edits;
pub mod header_names;
pub mod headers;
pub mod hop_by_hop;
pub mod instance_id;
pub mod media_type;
pub mod method_override;
pub mod nominated;
pub mod own_cookies;
pub mod provenance;
pub mod refresh;
pub mod removed_headers;
pub mod request_head;
pub mod websocket_request;
