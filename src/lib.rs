pub mod values;
pub mod routes;
pub mod proxy;
pub mod session { pub mod live; }
