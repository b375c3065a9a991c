//! Who is signed in. One owner of every session: [`table::SessionTable`].
//!
//! Nothing here acts on an end: whoever ends a session gets it back as [`record::Ended`] and gives it to `logout`.

mod end_mark;
mod expiry_queue;
pub mod lifetime;
pub mod live;
pub mod record;
pub mod store;
pub mod table;

pub use self::end_mark::WriteGuard;
