//! Tests over real sockets, in process, on ports that the system chooses.

mod dispatch;
mod tunnel;
mod upstream;
mod websocket;
