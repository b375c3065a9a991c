//! The only place that names the engine. Towards clients: listeners, the life of a connection, its deadlines, the
//! way to hand a connection over, and the stop. Towards upstreams: peers, what may be sent again, what failed. Between
//! them the callbacks, in the order of an exchange's life.

mod accept;
mod arrival;
pub mod callbacks;
mod client_io;
mod connection;
mod context;
pub mod dial;
pub mod dispatch;
mod door;
pub mod failure;
pub mod frames;
mod hand_over;
pub mod listener;
pub mod peer;
mod refusal;
pub mod retry;
mod serve;
pub mod settings;
mod signals;
mod stage;
mod table;
mod transport;
pub mod tunnel;
pub mod unix_socket;
mod upgrade;
pub mod websocket;

pub use connection::Connection;
pub use door::Door;
pub use hand_over::{connection_of, hand_over};
pub use refusal::Behind;
pub use signals::Signals;
pub use transport::Transport;
