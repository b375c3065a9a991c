//! Filters that select sessions.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use percent_encoding::percent_decode_str;

use crate::session::record::Session;
use crate::values::client_address::ClientAddress;

/// A filter; sessions have to meet all of its conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionFilter {
    /// Of the users with this name.
    pub(super) user: Option<String>,
    /// Opened from an address of this network.
    pub(super) network: Option<IpNet>,
    /// Idle for at least this long.
    pub(super) idle: Option<Duration>,
    /// Opened at least this long ago.
    pub(super) age: Option<Duration>,
    /// Whether `all=yes` was given, without which an empty filter ends nothing.
    pub(super) all: bool,
}

/// The query is malformed or has an unknown condition. It is refused, since ignoring a condition would select more
/// sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadFilter;

impl SessionFilter {
    /// Reads a query.
    pub(super) fn read(query: &str) -> Result<Self, BadFilter> {
        let mut filter = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(BadFilter)?;
            let value = value.replace('+', " ");
            let value = percent_decode_str(&value).decode_utf8().map_err(|_| BadFilter)?;
            match name {
                "user" => once(&mut filter.user, value.into_owned())?,
                "address" => once(&mut filter.network, network(&value)?)?,
                "idle" => once(&mut filter.idle, seconds(&value)?)?,
                "age" => once(&mut filter.age, seconds(&value)?)?,
                "all" if value == "yes" => filter.all = true,
                _ => return Err(BadFilter),
            }
        }
        Ok(filter)
    }

    /// Whether there is no condition, so that every session is selected.
    pub(super) fn is_everything(&self) -> bool {
        let Self { user, network, idle, age, all: _ } = self;
        user.is_none() && network.is_none() && idle.is_none() && age.is_none()
    }

    /// Whether a session with this age and idle time is selected. The user is not compared.
    pub(super) fn matches(&self, session: &Session, (age, idle): (Duration, Duration)) -> bool {
        let from = |network: IpNet| match session.address() {
            ClientAddress::Ip(address) => network.contains(&address),
            ClientAddress::Unix => false,
        };
        self.network.is_none_or(from)
            && self.idle.is_none_or(|least| idle >= least)
            && self.age.is_none_or(|least| age >= least)
    }
}

/// A repeated condition is refused.
fn once<T>(place: &mut Option<T>, value: T) -> Result<(), BadFilter> {
    if place.replace(value).is_some() { Err(BadFilter) } else { Ok(()) }
}

fn seconds(text: &str) -> Result<Duration, BadFilter> {
    text.parse().map(Duration::from_secs).map_err(|_| BadFilter)
}

/// An address, or a network.
fn network(text: &str) -> Result<IpNet, BadFilter> {
    let single = |_| text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    text.parse::<IpNet>().or_else(single).map_err(|_| BadFilter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::record::tests::session;

    #[test]
    fn a_filter_that_is_not_understood_is_refused() {
        for query in [
            "user=a&user=b", "name=alice", "user", "idle=", "idle=1m", "idle=-1", "address=a", "all=no", "user=%ff",
            "User=a",
        ] {
            assert_eq!(SessionFilter::read(query), Err(BadFilter), "{query}");
        }
        let filter = SessionFilter::read("user=j%C3%BCrgen+a&address=10.0.0.0%2F8&idle=60&age=3600").unwrap();
        let (idle, age) = (Some(Duration::from_secs(60)), Some(Duration::from_secs(3600)));
        let network = Some("10.0.0.0/8".parse().unwrap());
        assert_eq!(filter, SessionFilter { user: Some("jürgen a".into()), network, idle, age, all: false });
        assert!(SessionFilter::read("").unwrap().is_everything() && SessionFilter::read("all=yes").unwrap().all);
        assert!(!filter.is_everything());
    }

    #[test]
    fn every_condition_counts() {
        let session = session();
        let minutes = |age: u64, idle: u64| (Duration::from_secs(age * 60), Duration::from_secs(idle * 60));
        let cases = [
            ("", true),
            ("idle=300", true),
            ("idle=301", false),
            ("age=600&idle=300", true),
            ("age=601&idle=300", false),
            // The test's session was opened over a unix socket.
            ("address=0.0.0.0/0", false),
        ];
        for (query, want) in cases {
            assert_eq!(SessionFilter::read(query).unwrap().matches(&session, minutes(10, 5)), want, "{query}");
        }
    }
}
