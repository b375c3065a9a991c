//! May this request pass, and as whom? Rules are pure: facts in, a decision out.

pub mod cross_site;
pub mod facts;
pub mod identity_headers;
pub mod permit;
pub mod service_worker;
pub mod upstream_head;
