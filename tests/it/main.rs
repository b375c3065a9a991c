//! The integration tests, in one binary: over real sockets, in process, on ports that the system chooses.

mod check;
mod dispatch;
mod door;
mod sample;
mod service_manager;
mod site;
mod tunnel;
mod upstream;
mod websocket;
