//! The current users: a changed password replaces them without reading anything else again.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Users;

/// The users of one configuration.
#[derive(Debug)]
pub(crate) struct CurrentUsers(ArcSwap<Users>);

impl CurrentUsers {
    /// These users.
    pub(crate) fn new(users: Arc<Users>) -> Self {
        Self(ArcSwap::new(users))
    }

    /// The current users.
    pub(crate) fn get(&self) -> Arc<Users> {
        self.0.load_full()
    }

    /// Replaces the users.
    pub(crate) fn replace(&self, users: Users) {
        self.0.store(Arc::new(users));
    }
}
