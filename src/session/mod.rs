//! Sessions. The one owner of every session is [`table::SessionTable`].
//!
//! This module only ends sessions. The caller that ends one receives it as [`record::Ended`] and passes it to `logout`,
//! which carries out the steps of the logout.

pub(crate) mod backing;
mod confirmed;
pub(crate) mod elsewhere;
mod end_mark;
mod ended_sessions;
mod epoch;
mod expiry_queue;
pub(crate) mod hand_over;
pub(crate) mod hold;
mod key_index;
mod last_writes;
mod latest_stamp;
pub mod lifetime;
pub mod live;
mod loads;
pub mod pending;
pub mod record;
mod saved;
pub mod sign_in;
pub mod store;
mod successor;
mod sync;
pub mod table;
mod user_index;

pub(crate) use self::end_mark::WriteGuard;
