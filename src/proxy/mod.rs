//! The only place that names the engine. The client side: listeners, the life of a connection, its deadlines,
//! the way to hand a connection over, and the stop.

mod accept;
mod client_io;
mod connection;
mod door;
mod hand_over;
mod head_scan;
pub mod listener;
mod serve;
pub mod settings;
mod signals;
mod stage;
mod table;
mod transport;

pub use connection::Connection;
pub use door::Door;
pub use hand_over::{connection_of, hand_over};
pub use signals::Signals;
pub use transport::Transport;
