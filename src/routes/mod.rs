//! Which application a request is for, and where that application is reached.

pub mod endpoint;
pub mod pool;
pub mod resolver;
pub mod upstream_trust;
