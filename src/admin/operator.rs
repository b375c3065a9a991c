//! Who asks at the admin socket: the kernel says which user the program at the other end runs as.

use nix::unistd::{Uid, User};

use crate::audit::{Act, Operation};
use crate::gateway::Gateway;

/// The user at the other end; `None` where the kernel does not say.
pub(super) type Operator = Option<u32>;

/// What came of a request that changes something.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    /// Whether there was something to do, and it was done.
    pub(super) done: bool,
    /// Sessions that ended because of it.
    pub(super) sessions_ended: usize,
}

/// Writes a request that changes something to the audit log.
pub(super) async fn note(
    operator: Operator,
    (act, about): (Act, Option<&str>),
    Done { done, sessions_ended }: Done,
    gateway: &Gateway,
) {
    let operator = name(operator).await;
    gateway.note_operation(Operation::Asked { operator: &operator, act, about, done, sessions_ended });
}

/// The user's name, else the number. The lookup may ask a directory server: not on a thread that serves.
async fn name(operator: Operator) -> String {
    let Some(number) = operator else { return "unknown".to_owned() };
    let found = tokio::task::spawn_blocking(move || User::from_uid(Uid::from_raw(number)).ok().flatten());
    found.await.ok().flatten().map_or_else(|| number.to_string(), |user| user.name)
}
