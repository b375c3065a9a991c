pub mod values;
pub mod session { pub mod live; }
#[cfg(feature = "engine")]
pub mod proxy;
