pub mod session { pub mod live; }
