//! The operator at the admin socket: the user of the program at the other end, according to the kernel.

use std::borrow::Cow;

use nix::unistd::{Uid, User};

use crate::audit::{Act, Operation};
use crate::gateway::Gateway;
use crate::values::session_id::SessionKey;

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
    let (operator, about) = (name(operator).await, about.map(without_cookies));
    let about = about.as_deref();
    gateway.note_operation(Operation::Asked { operator: &operator, act, about, done, sessions_ended });
}

/// The text without values of session cookies: an operator may paste one in the place of a handle or a name, and the
/// audit log holds no secret.
fn without_cookies(text: &str) -> Cow<'_, str> {
    let is_around = |byte: char| !(byte.is_ascii_alphanumeric() || matches!(byte, '-' | '_'));
    let cookies = text.split(is_around).filter(|part| SessionKey::of_cookie_value(part.as_bytes()).is_some());
    cookies.fold(text.into(), |text: Cow<'_, str>, cookie| text.replace(cookie, "[session cookie]").into())
}

/// The user's name, else the id. The lookup may query a directory server, so it runs on a blocking thread.
async fn name(operator: Operator) -> String {
    let Some(number) = operator else { return "unknown".to_owned() };
    let found = tokio::task::spawn_blocking(move || User::from_uid(Uid::from_raw(number)).ok().flatten());
    found.await.ok().flatten().map_or_else(|| number.to_string(), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::session_id::SessionId;

    #[test]
    fn values_of_session_cookies_are_left_out() {
        let cookie = SessionId::generate().unwrap().cookie_value();
        for (text, want) in [
            (cookie.clone(), "[session cookie]"),
            (format!("exeunt={cookie}"), "exeunt=[session cookie]"),
            (format!("user={cookie}&all=yes"), "user=[session cookie]&all=yes"),
            (cookie[1..].to_owned(), &cookie[1..]),
            ("abcdefghij234567".to_owned(), "abcdefghij234567"),
        ] {
            assert_eq!(without_cookies(&text), want);
        }
    }
}
