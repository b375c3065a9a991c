//! The id of an event in a Redis stream.

use std::fmt;

use redis::{FromRedisValue, ParsingError, RedisWrite, ToRedisArgs, Value};

/// A time in milliseconds, and a sequence number among the events of the same millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EventId(u64, u64);

impl EventId {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (millis, number) = text.split_once('-')?;
        Some(Self(millis.parse().ok()?, number.parse().ok()?))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl ToRedisArgs for EventId {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        out.write_arg(self.to_string().as_bytes());
    }
}

impl FromRedisValue for EventId {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let text: String = redis::from_redis_value(value)?;
        Self::parse(&text).ok_or_else(|| "not the id of a stream entry".into())
    }
}
