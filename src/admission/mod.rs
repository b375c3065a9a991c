//! Access decisions: whether a request may pass, and with which identity. Rules are pure functions: facts in, a
//! decision out.

pub(crate) mod cache_protection;
pub(crate) mod clear_site_data;
pub mod cross_site;
pub(crate) mod destination;
pub(crate) mod facts;
pub(crate) mod forwarded;
pub(crate) mod head_rules;
pub mod identity_headers;
pub(crate) mod permit;
pub(crate) mod public_address;
pub(crate) mod service_worker;
pub(crate) mod upstream_request;
pub(crate) mod upstream_response;
