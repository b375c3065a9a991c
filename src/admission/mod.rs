//! May this request pass, and as whom? Rules are pure: facts in, a decision out.

pub mod cache_protection;
pub mod clear_site_data;
pub mod cross_site;
pub mod destination;
pub mod facts;
pub mod forwarded;
pub mod identity_headers;
pub mod permit;
pub mod public_address;
pub mod service_worker;
pub mod upstream_head;
