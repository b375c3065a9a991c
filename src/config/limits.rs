//! `[limits]`: timeouts, sizes and numbers.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::http1::request_head::HeadLimits;
use crate::proxy::settings::ServerSettings;
use crate::values::client_address::TrustedProxies;
use crate::values::listen_address::ListenAddress;

use super::duration::timeout;
use super::raw::RawTable;
use super::schema;

/// The limits of several modules, from one table.
#[derive(Debug)]
pub(crate) struct LimitSettings {
    /// The network side.
    pub(crate) server: ServerSettings,
    /// Timeout for connecting to an application.
    pub(crate) connect_timeout: Duration,
    /// Timeout for an application's response to begin.
    pub(crate) response_timeout: Duration,
    /// The maximum size of a sign-in form, in bytes.
    pub(crate) login_body: usize,
    /// The maximum length of the sign-in page's URL with a return target, in bytes.
    pub(crate) return_size: usize,
    /// The maximum number of concurrent exchanges of one session.
    pub(crate) requests_per_session: usize,
}

/// Reads `[limits]`.
pub(crate) fn read(file: &RawTable<'_>, listen: Vec<ListenAddress>, trusted: TrustedProxies) -> LimitSettings {
    let table = file.table("limits", &schema::LIMITS);
    let default = ServerSettings::default();
    let server = ServerSettings {
        listen,
        head_timeout: timeout(&table, "head_timeout", default.head_timeout),
        idle_timeout: timeout(&table, "idle", default.idle_timeout),
        silent_timeout: timeout(&table, "silent_timeout", default.silent_timeout),
        body_timeout: timeout(&table, "body_timeout", default.body_timeout),
        send_timeout: timeout(&table, "send_timeout", default.send_timeout),
        upstream_idle: timeout(&table, "upstream_idle", default.upstream_idle),
        drain: timeout(&table, "drain", default.drain),
        min_rate: number(&table, "min_rate", 1..=1_000_000, default.min_rate),
        head: HeadLimits {
            size: count(&table, "head_size", 1024..=MIB, default.head.size),
            fields: count(&table, "fields", 10..=200, default.head.fields),
        },
        connections: count(&table, "connections", 1..=1_000_000, default.connections),
        connections_per_address: count(
            &table,
            "connections_per_address",
            1..=1_000_000,
            default.connections_per_address,
        ),
        trusted,
        ..default
    };
    LimitSettings {
        server,
        connect_timeout: timeout(&table, "connect_timeout", CONNECT_TIMEOUT),
        response_timeout: timeout(&table, "response_timeout", RESPONSE_TIMEOUT),
        return_size: count(&table, "return_size", 256..=64 * 1024, 3500),
        login_body: count(&table, "login_body", 1..=MIB, 16 * 1024),
        requests_per_session: count(&table, "requests_per_session", 1..=1_000_000, REQUESTS_PER_SESSION),
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// More than the browsers of one user need, and few enough for an application.
const REQUESTS_PER_SESSION: usize = 500;
const MIB: u64 = 1024 * 1024;

fn number(table: &RawTable<'_>, key: &str, range: RangeInclusive<u64>, default: u64) -> u64 {
    let (least, most) = range.into_inner();
    table.item(key).and_then(|item| item.number(least, most)).unwrap_or(default)
}

fn count(table: &RawTable<'_>, key: &str, range: RangeInclusive<u64>, default: usize) -> usize {
    usize::try_from(number(table, key, range, default as u64)).unwrap_or(default)
}
