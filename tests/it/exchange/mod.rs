//! One exchange, as both sides see it on the wire: how messages are framed and read, in whichever pieces they come, and
//! what becomes of the two connections.

mod harness;

mod answers;
mod continues;
mod endings;
mod interim;
mod mended;
mod old_clients;
mod pieces;
mod pipelined;
