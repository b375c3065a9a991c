//! Where sessions outlive the process, and where replicas learn of each other's. One contract for all stores.

mod memory;

use async_trait::async_trait;

pub use self::memory::MemoryStore;
use super::record::Session;

/// The store did not confirm in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

/// What every store does. A call returns after the store is sure: a session that `open` has confirmed is there
/// after a crash, one whose `end` it has confirmed is not.
#[async_trait]
pub trait SessionStore: Send + Sync + std::fmt::Debug {
    /// Keeps a new session.
    async fn open(&self, session: &Session) -> Result<(), Unavailable>;

    /// Forgets a session for good. True if this call removed it, so that of several that end the same session one
    /// runs the rest of the logout.
    async fn end(&self, session: &Session) -> Result<bool, Unavailable>;
}
