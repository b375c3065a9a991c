//! `[limits]` and `[log]`: timeouts, sizes and numbers, and the log's format.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::audit::{Format, LogSettings};
use crate::http1::request_head::HeadLimits;
use crate::proxy::settings::ServerSettings;
use crate::values::client_address::TrustedProxies;
use crate::values::listen_address::ListenAddress;

use super::duration::{self, ONE_DAY, ONE_SECOND};
use super::raw::RawTable;
use super::schema;

/// The limits of several modules, from one table.
#[derive(Debug)]
pub(crate) struct LimitSettings {
    /// The client side.
    pub(crate) server: ServerSettings,
    /// Timeout for connecting to an application.
    pub(crate) connect_timeout: Duration,
    /// Timeout for an application's response to begin.
    pub(crate) response_timeout: Duration,
    /// The largest sign-in form, in bytes.
    pub(crate) login_body: usize,
    /// The longest URL of the sign-in page with a return target, in bytes.
    pub(crate) return_size: usize,
    /// Concurrent exchanges of one session.
    pub(crate) requests_per_session: usize,
}

/// Reads `[limits]`.
pub(crate) fn read(file: &RawTable<'_>, listen: Vec<ListenAddress>, trusted: TrustedProxies) -> LimitSettings {
    let table = file.table("limits", &schema::LIMITS);
    let default = ServerSettings::default();
    let server = ServerSettings {
        listen,
        head_timeout: wait(&table, "head_timeout", default.head_timeout),
        idle_timeout: wait(&table, "idle", default.idle_timeout),
        silent_timeout: wait(&table, "silent_timeout", default.silent_timeout),
        body_timeout: wait(&table, "body_timeout", default.body_timeout),
        send_timeout: wait(&table, "send_timeout", default.send_timeout),
        upstream_idle: wait(&table, "upstream_idle", default.upstream_idle),
        drain: wait(&table, "drain", default.drain),
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
        connect_timeout: wait(&table, "connect_timeout", CONNECT_TIMEOUT),
        response_timeout: wait(&table, "response_timeout", RESPONSE_TIMEOUT),
        return_size: count(&table, "return_size", 256..=64 * 1024, 3500),
        login_body: count(&table, "login_body", 1..=MIB, 16 * 1024),
        requests_per_session: count(&table, "requests_per_session", 1..=1_000_000, REQUESTS_PER_SESSION),
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// More than one user's browsers need at once, and not too many for an application.
const REQUESTS_PER_SESSION: usize = 500;
const MIB: u64 = 1024 * 1024;

/// A timeout between a second and a day.
pub(crate) fn wait(table: &RawTable<'_>, key: &str, default: Duration) -> Duration {
    const LIMITS: RangeInclusive<Duration> = ONE_SECOND..=ONE_DAY;
    let read = table.item(key).and_then(|item| item.parse(|text| duration::parse(text, &LIMITS)));
    read.unwrap_or(default)
}

fn number(table: &RawTable<'_>, key: &str, range: RangeInclusive<u64>, default: u64) -> u64 {
    let (least, most) = range.into_inner();
    table.item(key).and_then(|item| item.number(least, most)).unwrap_or(default)
}

fn count(table: &RawTable<'_>, key: &str, range: RangeInclusive<u64>, default: usize) -> usize {
    usize::try_from(number(table, key, range, default as u64)).unwrap_or(default)
}

/// Reads `[log]`.
pub(crate) fn log(file: &RawTable<'_>) -> LogSettings {
    const FORMATS: [(&str, Format); 3] =
        [("text", Format::Text), ("json", Format::Json), ("combined", Format::Combined)];
    let table = file.table("log", &schema::LOG);
    LogSettings {
        format: table.item("format").and_then(|item| item.word(&FORMATS)).unwrap_or_default(),
        access: table.item("access").and_then(|item| item.switch()).unwrap_or(true),
    }
}
