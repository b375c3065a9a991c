//! The audit events, and the log line of each. They are written even where access lines are disabled.

use super::line::{LogLine, key};
use super::operation::Operation;
use super::timestamp;
use crate::metrics::Metrics;
use crate::values::client_address::ClientAddress;
use crate::values::device::Device;
use crate::values::end_cause::EndCause;
use crate::values::host_receipt::HostOutcome;
use crate::values::reason::Reason;
use crate::values::receipt::{ApplicationReceipt, Receipt, StepReceipt};
use crate::values::session_id::Handle;
use crate::values::time::WallTime;

/// One event. The names of events and fields are stable: operators search for them.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// A user signed in.
    SignedIn {
        /// The user's name.
        user: &'a str,
        /// The new session.
        session: Option<Handle>,
        /// The client's address.
        client: ClientAddress,
        /// The sign-in method.
        method: &'static str,
        /// Browser and operating system, from `User-Agent`.
        device: Device,
    },
    /// An existing session was extended to another host of the gateway.
    HostEntered {
        /// The user's name.
        user: &'a str,
        /// The session.
        session: Option<Handle>,
        /// The client's address.
        client: ClientAddress,
        /// The host.
        host: &'a str,
    },
    /// A sign-in was refused. Programs that ban addresses parse this line (`deploy/fail2ban`): the name, which the
    /// client chooses, comes last, after everything that they match.
    SignInRefused {
        /// The user name that was tried.
        user: &'a str,
        /// The client's address.
        client: ClientAddress,
        /// The reason.
        reason: Reason,
    },
    /// A user changed their own password.
    PasswordChanged {
        /// The user's name.
        user: &'a str,
        /// The session in which it was changed; it continues.
        session: Option<Handle>,
        /// The client's address.
        client: ClientAddress,
        /// The number of other sessions that ended because of it.
        ended: usize,
    },
    /// Many sign-ins fail from one private address: most likely a proxy that is missing in `trusted_proxies`.
    LikelyProxy {
        /// The address.
        client: ClientAddress,
    },
    /// A session ended.
    Ended {
        /// The user's name.
        user: &'a str,
        /// The session.
        session: Option<Handle>,
        /// Why it ended.
        cause: EndCause,
        /// The result of each step of the logout.
        receipt: &'a Receipt,
    },
    /// An application was asked to end its own session.
    ApplicationLogout {
        /// The user's name.
        user: &'a str,
        /// The gateway's session that ended.
        session: Option<Handle>,
        /// The id of the logout, as in [`Self::Ended`].
        logout_id: &'a str,
        /// The application, and the result.
        application: &'a ApplicationReceipt,
    },
    /// The result of clearing the browser's data on one of the further hosts of an ended session.
    SiteData {
        /// The id of the logout, as in [`Self::Ended`].
        logout_id: &'a str,
        /// The host.
        host: &'a str,
        /// The result.
        result: HostOutcome,
        /// The browser's address.
        client: ClientAddress,
    },
    /// An operator's request, or a start or stop of the program.
    Operation(Operation<'a>),
    /// A reload of the configuration succeeded.
    Reloaded {
        /// The configuration keys whose value changed.
        keys: &'a [String],
        /// The numbers of users added, changed and removed.
        users: [usize; 3],
        /// The number of sessions that ended because of it.
        sessions_ended: usize,
        /// The number of exchanges in progress that the new configuration refuses.
        exchanges_cut: usize,
    },
    /// A reload was refused because of mistakes in the configuration; the previous one stays in use.
    ReloadRefused {
        /// The number of mistakes. Each is logged as a message.
        problems: usize,
    },
}

impl Event<'_> {
    /// Whether an unauthenticated client can cause any number of such events.
    pub(super) fn is_unauthenticated(&self) -> bool {
        match self {
            // The link by which a host clears its data can be requested any number of times.
            Self::SignInRefused { .. } | Self::LikelyProxy { .. } | Self::SiteData { .. } => true,
            Self::SignedIn { .. }
            | Self::HostEntered { .. }
            | Self::PasswordChanged { .. }
            | Self::Ended { .. }
            | Self::ApplicationLogout { .. }
            | Self::Operation(_)
            | Self::Reloaded { .. }
            | Self::ReloadRefused { .. } => false,
        }
    }

    /// Adds the event to the metrics.
    pub(super) fn count(&self, metrics: &Metrics) {
        match self {
            Self::SignedIn { .. } => metrics.signed_in(),
            Self::SignInRefused { reason, .. } => metrics.sign_in_refused(*reason),
            Self::Ended { cause, receipt, .. } => metrics.ended(*cause, receipt),
            Self::SiteData { result, .. } => metrics.site_data(*result),
            Self::Reloaded { .. } => metrics.reloaded(false),
            Self::ReloadRefused { .. } => metrics.reloaded(true),
            Self::HostEntered { .. }
            | Self::PasswordChanged { .. }
            | Self::LikelyProxy { .. }
            | Self::ApplicationLogout { .. }
            | Self::Operation(_) => {}
        }
    }

    /// Appends the line.
    pub(super) fn write(&self, at: WallTime, json: bool, out: &mut Vec<u8>) {
        let mut line = LogLine::begin(out, json);
        self.write_fields(at, &mut line);
        line.end();
    }

    /// Appends the fields, the time first, to an empty line.
    pub(super) fn write_fields(&self, at: WallTime, line: &mut LogLine<'_>) {
        line.word(key!("time"), &timestamp::rfc3339(at));
        match self {
            Self::SignedIn { user, session, client, method, device } => {
                line.word(key!("event"), "signed_in");
                line.value(key!("user"), user);
                line.optional(key!("session"), session.as_ref().map(Handle::as_str));
                line.client(key!("client"), *client);
                line.word(key!("method"), method);
                line.value(key!("device"), device.to_string());
            }
            Self::HostEntered { user, session, client, host } => {
                line.word(key!("event"), "host_entered");
                line.value(key!("user"), user);
                line.optional(key!("session"), session.as_ref().map(Handle::as_str));
                line.client(key!("client"), *client);
                line.value(key!("host"), host);
            }
            Self::PasswordChanged { user, session, client, ended } => {
                password_changed(line, user, session.as_ref(), *client, *ended);
            }
            Self::Ended { user, session, cause, receipt } => {
                session_ended(line, user, session.as_ref(), *cause, receipt);
            }
            Self::ApplicationLogout { user, session, logout_id, application } => {
                application_logout(line, user, session.as_ref(), logout_id, application);
            }
            Self::SignInRefused { user, client, reason } => sign_in_refused(line, user, *client, *reason),
            Self::LikelyProxy { client } => likely_proxy(line, *client),
            Self::SiteData { logout_id, host, result, client } => site_data(line, logout_id, host, *result, *client),
            Self::Operation(operation) => operation.write(line),
            Self::Reloaded { keys, users, sessions_ended, exchanges_cut } => {
                reloaded(line, keys, *users, *sessions_ended, *exchanges_cut);
            }
            Self::ReloadRefused { problems } => {
                line.word(key!("event"), "reload_refused");
                line.number(key!("problems"), *problems as u64);
            }
        }
    }
}

fn password_changed(line: &mut LogLine<'_>, user: &str, session: Option<&Handle>, client: ClientAddress, ended: usize) {
    line.word(key!("event"), "password_changed");
    line.value(key!("user"), user);
    line.optional(key!("session"), session.map(Handle::as_str));
    line.client(key!("client"), client);
    line.number(key!("sessions_ended"), ended as u64);
}

fn session_ended(line: &mut LogLine<'_>, user: &str, session: Option<&Handle>, cause: EndCause, receipt: &Receipt) {
    line.word(key!("event"), "session_ended");
    line.value(key!("user"), user);
    line.optional(key!("session"), session.map(Handle::as_str));
    line.word(key!("cause"), cause.id());
    line.value(key!("logout_id"), &receipt.logout_id);
    line.value(key!("steps"), steps(receipt));
}

fn application_logout(
    line: &mut LogLine<'_>,
    user: &str,
    session: Option<&Handle>,
    logout_id: &str,
    application: &ApplicationReceipt,
) {
    line.word(key!("event"), "application_logout");
    line.value(key!("user"), user);
    line.optional(key!("session"), session.map(Handle::as_str));
    line.value(key!("logout_id"), logout_id);
    line.value(key!("application"), application.application.as_bytes());
    line.value(key!("result"), application.result.to_string());
}

fn sign_in_refused(line: &mut LogLine<'_>, user: &str, client: ClientAddress, reason: Reason) {
    line.word(key!("event"), "sign_in_refused");
    line.client(key!("client"), client);
    line.word(key!("reason"), reason.id());
    line.value(key!("user"), user);
}

fn likely_proxy(line: &mut LogLine<'_>, client: ClientAddress) {
    const MEANING: &str = "many wrong passwords from this one address: if a proxy stands there, name it";
    line.word(key!("event"), "likely_proxy");
    line.client(key!("client"), client);
    line.word(key!("meaning"), MEANING);
    line.value(key!("write"), format!("trusted_proxies = [\"{client}\"]"));
}

fn site_data(line: &mut LogLine<'_>, logout_id: &str, host: &str, result: HostOutcome, client: ClientAddress) {
    line.word(key!("event"), "site_data");
    line.value(key!("logout_id"), logout_id);
    line.value(key!("host"), host);
    line.word(key!("result"), result.id());
    line.client(key!("client"), client);
}

fn reloaded(line: &mut LogLine<'_>, keys: &[String], users: [usize; 3], sessions_ended: usize, exchanges_cut: usize) {
    let [added, changed, removed] = users;
    line.word(key!("event"), "reloaded");
    line.value(key!("changed"), keys.join(","));
    line.number(key!("users_added"), added as u64);
    line.number(key!("users_changed"), changed as u64);
    line.number(key!("users_removed"), removed as u64);
    line.number(key!("sessions_ended"), sessions_ended as u64);
    line.number(key!("exchanges_cut"), exchanges_cut as u64);
}

fn steps(receipt: &Receipt) -> String {
    let step = |step: &StepReceipt| format!("{}:{}:{}", step.step.id(), step.result.id(), step.count);
    receipt.steps.iter().map(step).collect::<Vec<_>>().join(",")
}
