//! `[limits]` and `[log]`: how long the gateway waits, how much it takes, and how it writes.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::audit::{Format, Settings as LogSettings};
use crate::proxy::settings::Settings as DoorSettings;
use crate::values::listen_address::ListenAddress;

use super::duration::{self, ONE_DAY, ONE_SECOND};
use super::raw::Table;
use super::schema;

/// The limits of several parts, read from their one table.
#[derive(Debug)]
pub struct Limits {
    /// The client side.
    pub door: DoorSettings,
    /// Making a connection to an application.
    pub connect_timeout: Duration,
    /// An application that owes an answer.
    pub response_timeout: Duration,
    /// The largest body of a sign-in, in bytes.
    pub login_body: usize,
}

/// Reads `[limits]`.
pub fn read(file: &Table<'_>, listen: Vec<ListenAddress>) -> Limits {
    let table = file.table("limits", &schema::LIMITS);
    let default = DoorSettings::default();
    let door = DoorSettings {
        listen,
        head_timeout: wait(&table, "head_timeout", default.head_timeout),
        idle_timeout: wait(&table, "idle", default.idle_timeout),
        silent_timeout: wait(&table, "silent_timeout", default.silent_timeout),
        body_timeout: wait(&table, "body_timeout", default.body_timeout),
        send_timeout: wait(&table, "send_timeout", default.send_timeout),
        drain: wait(&table, "drain", default.drain),
        connections: count(&table, "connections", 1_000_000, default.connections),
        ..default
    };
    Limits {
        door,
        connect_timeout: wait(&table, "connect_timeout", CONNECT_TIMEOUT),
        response_timeout: wait(&table, "response_timeout", RESPONSE_TIMEOUT),
        login_body: count(&table, "login_body", 1024 * 1024, 16 * 1024),
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

fn wait(table: &Table<'_>, key: &str, default: Duration) -> Duration {
    const LIMITS: RangeInclusive<Duration> = ONE_SECOND..=ONE_DAY;
    let read = table.item(key).and_then(|item| item.parse(|text| duration::parse(text, &LIMITS)));
    read.unwrap_or(default)
}

fn count(table: &Table<'_>, key: &str, most: u64, default: usize) -> usize {
    let read = table.item(key).and_then(|item| item.number(1, most));
    read.and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
}

/// Reads `[log]`.
pub fn log(file: &Table<'_>) -> LogSettings {
    const FORMATS: [(&str, Format); 3] =
        [("text", Format::Text), ("json", Format::Json), ("combined", Format::Combined)];
    let table = file.table("log", &schema::LOG);
    LogSettings {
        format: table.item("format").and_then(|item| item.word(&FORMATS)).unwrap_or_default(),
        access: table.item("access").and_then(|item| item.switch()).unwrap_or(true),
    }
}
