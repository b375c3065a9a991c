//! Which application a request is for, and where that application is reached.

pub mod access;
pub mod app_logout;
pub(crate) mod endpoint;
pub mod logout_link;
pub mod methods;
pub mod pass_headers;
pub(crate) mod path_table;
pub(crate) mod pool;
pub mod resolver;
pub mod settings;
pub(crate) mod table;
pub mod upstream_trust;
