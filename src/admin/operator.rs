//! The operator at the admin socket: the user of the program at the other end, according to the kernel.

use nix::unistd::{Uid, User};

use crate::audit::{Act, Operation};
use crate::gateway::Gateway;

/// The id of the user at the other end; `None` if the kernel does not know it.
pub(super) type Operator = Option<u32>;

/// The result of a request that changes something.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OperationResult {
    /// Whether something was changed.
    pub(super) done: bool,
    /// The number of sessions that it ended.
    pub(super) sessions_ended: usize,
}

/// Writes a request that changes something to the audit log.
pub(super) async fn log_operation(
    operator: Operator,
    (act, about): (Act, Option<&str>),
    OperationResult { done, sessions_ended }: OperationResult,
    gateway: &Gateway,
) {
    let operator = name(operator).await;
    gateway.note_operation(Operation::Asked { operator: &operator, act, about, done, sessions_ended });
}

/// The user's name, else the id. The lookup may query a directory server, so it runs on a blocking thread.
async fn name(operator: Operator) -> String {
    let Some(number) = operator else { return "unknown".to_owned() };
    let found = tokio::task::spawn_blocking(move || User::from_uid(Uid::from_raw(number)).ok().flatten());
    found.await.ok().flatten().map_or_else(|| number.to_string(), |user| user.name)
}
