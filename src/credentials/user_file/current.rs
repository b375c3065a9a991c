//! The users at this moment: a change of a password replaces them, without anything else being read anew.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Users;

/// The users of one configuration at work.
#[derive(Debug)]
pub(crate) struct CurrentUsers(ArcSwap<Users>);

impl CurrentUsers {
    /// These users.
    pub(crate) fn new(users: Arc<Users>) -> Self {
        Self(ArcSwap::new(users))
    }

    /// Those who may sign in at this moment.
    pub(crate) fn get(&self) -> Arc<Users> {
        self.0.load_full()
    }

    /// From now on these may.
    pub(crate) fn replace(&self, users: Users) {
        self.0.store(Arc::new(users));
    }
}
