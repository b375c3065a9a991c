//! What happened to sessions, whatever the access log says.

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

/// One event. Names and reasons are stable.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// A user signed in.
    SignedIn {
        /// Who.
        user: &'a str,
        /// The new session.
        session: Option<Handle>,
        /// From where.
        client: ClientAddress,
        /// By which sign-in method.
        method: &'static str,
        /// With what.
        device: Device,
    },
    /// A session was opened on another own host.
    HostEntered {
        /// Who.
        user: &'a str,
        /// Which session.
        session: Option<Handle>,
        /// From where.
        client: ClientAddress,
        /// The host.
        host: &'a str,
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
    /// A user has changed the own password.
    PasswordChanged {
        /// Who.
        user: &'a str,
        /// In which session, which goes on.
        session: Option<Handle>,
        /// From where.
        client: ClientAddress,
        /// How many other sessions ended because of it.
        ended: usize,
    },
    /// Many sign-ins fail from one private address: most likely it is a proxy that is missing in `trusted_proxies`.
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
    /// An application was asked to end its own session.
    ApplicationLogout {
        /// Whose.
        user: &'a str,
        /// Which session of the gateway has ended.
        session: Option<Handle>,
        /// As part of which logout.
        logout_id: &'a str,
        /// Which application, and what came of it.
        application: &'a ApplicationReceipt,
    },
    /// What became of a browser's data for another host of the session that a logout has ended.
    SiteData {
        /// Which logout.
        logout_id: &'a str,
        /// The host.
        host: &'a str,
        /// What became of it.
        result: HostOutcome,
        /// The browser's address.
        client: ClientAddress,
    },
    /// What an operator or the program itself did.
    Operation(Operation<'a>),
    /// The configuration was read anew, and holds.
    Reloaded {
        /// The keys that have another value.
        keys: &'a [String],
        /// Users who are new, who have changed, who are gone.
        users: [usize; 3],
        /// Sessions that ended because of it.
        sessions_ended: usize,
        /// Exchanges that were under way and are refused by it.
        exchanges_cut: usize,
    },
    /// The configuration was read anew, and nothing has changed.
    ReloadRefused {
        /// How many things are wrong with it. Each is a message of its own.
        problems: usize,
    },
}

impl Event<'_> {
    /// Whether an unauthenticated client can cause it, in any number.
    pub(super) fn is_strangers(&self) -> bool {
        match self {
            // The link to a stop can be followed again and again.
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

    /// Counts it.
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

    /// Appends the fields to a line that has none yet.
    pub(super) fn write_fields(&self, at: WallTime, line: &mut LogLine<'_>) {
        line.word(key!("time"), &timestamp::rfc3339(at));
        match self {
            Self::SignedIn { .. } | Self::SignInRefused { .. } | Self::LikelyProxy { .. } => self.write_sign_in(line),
            Self::HostEntered { .. } | Self::PasswordChanged { .. } => self.write_session(line),
            Self::SiteData { logout_id, host, result, client } => {
                line.word(key!("event"), "site_data");
                line.value(key!("logout_id"), logout_id);
                line.value(key!("host"), host);
                line.word(key!("result"), result.id());
                line.client(key!("client"), *client);
            }
            Self::Ended { .. }
            | Self::ApplicationLogout { .. }
            | Self::Reloaded { .. }
            | Self::ReloadRefused { .. } => self.write_change(line),
            Self::Operation(operation) => operation.write(line),
        }
    }

    fn write_sign_in(&self, line: &mut LogLine<'_>) {
        match self {
            Self::SignedIn { user, session, client, method, device } => {
                line.word(key!("event"), "signed_in");
                line.value(key!("user"), user);
                line.optional(key!("session"), session.as_ref().map(Handle::as_str));
                line.client(key!("client"), *client);
                line.word(key!("method"), method);
                line.value(key!("device"), device.to_string());
            }
            Self::SignInRefused { user, client, reason } => {
                line.word(key!("event"), "sign_in_refused");
                line.client(key!("client"), *client);
                line.word(key!("reason"), reason.id());
                line.value(key!("user"), user);
            }
            Self::LikelyProxy { client } => {
                line.word(key!("event"), "likely_proxy");
                line.client(key!("client"), *client);
                line.word(
                    key!("meaning"),
                    "many wrong passwords from this one address: if a proxy stands there, name it",
                );
                line.value(key!("write"), format!("trusted_proxies = [\"{client}\"]"));
            }
            Self::HostEntered { .. }
            | Self::PasswordChanged { .. }
            | Self::Ended { .. }
            | Self::ApplicationLogout { .. }
            | Self::SiteData { .. }
            | Self::Operation(_)
            | Self::Reloaded { .. }
            | Self::ReloadRefused { .. } => {}
        }
    }

    fn write_session(&self, line: &mut LogLine<'_>) {
        match self {
            Self::HostEntered { user, session, client, host } => {
                line.word(key!("event"), "host_entered");
                line.value(key!("user"), user);
                line.optional(key!("session"), session.as_ref().map(Handle::as_str));
                line.client(key!("client"), *client);
                line.value(key!("host"), host);
            }
            Self::PasswordChanged { user, session, client, ended } => {
                line.word(key!("event"), "password_changed");
                line.value(key!("user"), user);
                line.optional(key!("session"), session.as_ref().map(Handle::as_str));
                line.client(key!("client"), *client);
                line.number(key!("sessions_ended"), *ended as u64);
            }
            Self::SignedIn { .. }
            | Self::SignInRefused { .. }
            | Self::LikelyProxy { .. }
            | Self::Ended { .. }
            | Self::ApplicationLogout { .. }
            | Self::SiteData { .. }
            | Self::Operation(_)
            | Self::Reloaded { .. }
            | Self::ReloadRefused { .. } => {}
        }
    }

    fn write_change(&self, line: &mut LogLine<'_>) {
        match self {
            Self::Ended { user, session, cause, receipt } => {
                line.word(key!("event"), "session_ended");
                line.value(key!("user"), user);
                line.optional(key!("session"), session.as_ref().map(Handle::as_str));
                line.word(key!("cause"), cause.id());
                line.value(key!("logout_id"), &receipt.logout_id);
                line.value(key!("steps"), steps(receipt));
            }
            Self::ApplicationLogout { user, session, logout_id, application } => {
                line.word(key!("event"), "application_logout");
                line.value(key!("user"), user);
                line.optional(key!("session"), session.as_ref().map(Handle::as_str));
                line.value(key!("logout_id"), logout_id);
                line.value(key!("application"), application.application.as_bytes());
                line.value(key!("result"), application.result.to_string());
            }
            Self::Reloaded { keys, users: [added, changed, removed], sessions_ended, exchanges_cut } => {
                line.word(key!("event"), "reloaded");
                line.value(key!("changed"), keys.join(","));
                line.number(key!("users_added"), *added as u64);
                line.number(key!("users_changed"), *changed as u64);
                line.number(key!("users_removed"), *removed as u64);
                line.number(key!("sessions_ended"), *sessions_ended as u64);
                line.number(key!("exchanges_cut"), *exchanges_cut as u64);
            }
            Self::ReloadRefused { problems } => {
                line.word(key!("event"), "reload_refused");
                line.number(key!("problems"), *problems as u64);
            }
            Self::SignedIn { .. }
            | Self::HostEntered { .. }
            | Self::SignInRefused { .. }
            | Self::PasswordChanged { .. }
            | Self::LikelyProxy { .. }
            | Self::SiteData { .. }
            | Self::Operation(_) => {}
        }
    }
}

fn steps(receipt: &Receipt) -> String {
    let step = |step: &StepReceipt| format!("{}:{}:{}", step.step.id(), step.result.id(), step.count);
    receipt.steps.iter().map(step).collect::<Vec<_>>().join(",")
}
