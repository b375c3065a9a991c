//! What happened to sessions, whatever the access log says.

use serde_json::Value;

use super::format::{self, Pairs, string};
use crate::values::client_address::ClientAddress;
use crate::values::device::Device;
use crate::values::end_cause::EndCause;
use crate::values::reason::Reason;
use crate::values::receipt::Receipt;
use crate::values::session_id::Handle;
use crate::values::time::WallTime;

/// One event. Names and reasons are stable.
#[derive(Debug)]
pub enum Event<'a> {
    /// Somebody signed in.
    SignedIn {
        /// Who.
        user: &'a str,
        /// The new session.
        session: Option<Handle>,
        /// From where.
        client: ClientAddress,
        /// With what.
        device: Device,
    },
    /// A sign-in was refused. Programs that ban addresses read this line (`deploy/fail2ban`): what comes from
    /// outside stands at its end, behind everything that they look at.
    SignInRefused {
        /// The name that was tried.
        user: &'a str,
        /// From where.
        client: ClientAddress,
        /// Why.
        reason: Reason,
    },
    /// So many sign-ins fail behind one private address that it is most likely a proxy that nobody named.
    LikelyProxy {
        /// The address.
        client: ClientAddress,
    },
    /// A session ended.
    Ended {
        /// Whose.
        user: &'a str,
        /// Which.
        session: Option<Handle>,
        /// Why.
        cause: EndCause,
        /// What was done.
        receipt: &'a Receipt,
    },
}

impl Event<'_> {
    pub(super) fn pairs(&self, at: WallTime) -> Pairs {
        let handle = |handle: &Option<Handle>| handle.as_ref().map_or(Value::Null, |handle| handle.as_str().into());
        let mut pairs = vec![("time", format::timestamp(at).into())];
        match self {
            Self::SignedIn { user, session, client, device } => pairs.extend([
                ("event", "signed_in".into()),
                ("user", string(user)),
                ("session", handle(session)),
                ("client", client.to_string().into()),
                ("device", string(&device.to_string())),
            ]),
            Self::SignInRefused { user, client, reason } => pairs.extend([
                ("event", "sign_in_refused".into()),
                ("client", client.to_string().into()),
                ("reason", reason.id().into()),
                ("user", string(user)),
            ]),
            Self::LikelyProxy { client } => pairs.extend([
                ("event", "likely_proxy".into()),
                ("client", client.to_string().into()),
                ("meaning", "many wrong passwords from this one address: if a proxy stands there, name it".into()),
                ("write", format!("trusted_proxies = [\"{client}\"]").into()),
            ]),
            Self::Ended { user, session, cause, receipt } => pairs.extend([
                ("event", "session_ended".into()),
                ("user", string(user)),
                ("session", handle(session)),
                ("cause", cause.id().into()),
                ("logout_id", string(&receipt.logout_id)),
                ("steps", string(&steps(receipt))),
            ]),
        }
        pairs
    }
}

fn steps(receipt: &Receipt) -> String {
    let word = |value: Value| value.as_str().unwrap_or("").to_owned();
    let step = |step: &crate::values::receipt::StepReceipt| {
        let name = word(serde_json::to_value(step.step).unwrap_or_default());
        let result = word(serde_json::to_value(step.result).unwrap_or_default());
        format!("{name}:{result}:{}", step.count)
    };
    receipt.steps.iter().map(step).collect::<Vec<_>>().join(",")
}
