//! What happened to sessions, whatever the access log says.

use super::line::Line;
use super::stamp;
use crate::values::client_address::ClientAddress;
use crate::values::device::Device;
use crate::values::end_cause::EndCause;
use crate::values::reason::Reason;
use crate::values::receipt::{Receipt, StepReceipt, StepResult};
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
    /// Whether somebody who is not let in can cause it, by the thousand.
    pub(super) fn is_strangers(&self) -> bool {
        match self {
            Self::SignInRefused { .. } | Self::LikelyProxy { .. } => true,
            Self::SignedIn { .. } | Self::Ended { .. } => false,
        }
    }

    /// Appends the line.
    pub(super) fn write(&self, at: WallTime, json: bool, out: &mut Vec<u8>) {
        let mut line = Line::begin(out, json);
        line.value("time", stamp::rfc3339(at));
        match self {
            Self::SignedIn { user, session, client, device } => {
                line.value("event", "signed_in");
                line.value("user", user);
                line.optional("session", session.as_ref().map(Handle::as_str));
                line.client("client", *client);
                line.display("device", device);
            }
            Self::SignInRefused { user, client, reason } => {
                line.value("event", "sign_in_refused");
                line.client("client", *client);
                line.value("reason", reason.id());
                line.value("user", user);
            }
            Self::LikelyProxy { client } => {
                line.value("event", "likely_proxy");
                line.client("client", *client);
                line.value("meaning", "many wrong passwords from this one address: if a proxy stands there, name it");
                line.value("write", format!("trusted_proxies = [\"{client}\"]"));
            }
            Self::Ended { user, session, cause, receipt } => {
                line.value("event", "session_ended");
                line.value("user", user);
                line.optional("session", session.as_ref().map(Handle::as_str));
                line.value("cause", cause.id());
                line.value("logout_id", &receipt.logout_id);
                line.value("steps", steps(receipt));
            }
        }
        line.end();
    }
}

fn steps(receipt: &Receipt) -> String {
    let step = |step: &StepReceipt| format!("{}:{}:{}", step.step.id(), result(step.result), step.count);
    receipt.steps.iter().map(step).collect::<Vec<_>>().join(",")
}

const fn result(result: StepResult) -> &'static str {
    match result {
        StepResult::Done => "done",
        StepResult::TimedOut => "timed_out",
        StepResult::Nothing => "nothing",
        StepResult::Failed => "failed",
    }
}
