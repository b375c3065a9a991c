//! Which application a request is for, and where that application is reached.

pub mod access;
pub mod endpoint;
pub mod methods;
pub mod pass_headers;
pub mod path_table;
pub mod pool;
pub mod resolver;
pub mod settings;
pub mod table;
pub mod upstream_trust;
