pub mod values;
pub mod session { pub mod live; }
