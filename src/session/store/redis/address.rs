//! Where a server is, as it is written in a configuration.

use std::fmt;

use redis::{Client, ConnectionInfo, IntoConnectionInfo};
use zeroize::Zeroizing;

/// The schemes of addresses.
const SCHEMES: [&str; 3] = ["redis", "rediss", "redis+unix"];

/// The address of a server, and the password for it.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    url: String,
    password: Option<Zeroizing<String>>,
}

/// Why an address is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnAddress {
    /// It has a password in it.
    HasPassword,
    /// Nothing can be connected to it.
    Invalid,
}

impl RedisAddress {
    /// Reads `redis://HOST:PORT/DATABASE`, `rediss://…` (TLS) or `redis+unix:///PATH`, each with a user's name or
    /// without.
    ///
    /// # Errors
    /// [`NotAnAddress`]
    pub fn parse(url: &str) -> Result<Self, NotAnAddress> {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        // A fragment could switch off the verification of certificates.
        if !scheme.is_some_and(|scheme| SCHEMES.contains(&scheme)) || url.contains('#') {
            return Err(NotAnAddress::Invalid);
        }
        let info = url.into_connection_info().map_err(|_| NotAnAddress::Invalid)?;
        match info.redis_settings().password() {
            Some(_) => Err(NotAnAddress::HasPassword),
            None => Ok(Self { url: url.to_owned(), password: None }),
        }
    }

    /// The same, with this password.
    #[must_use]
    pub fn with_password(self, password: Zeroizing<String>) -> Self {
        Self { password: Some(password), ..self }
    }

    fn info(&self) -> redis::RedisResult<ConnectionInfo> {
        let info = self.url.as_str().into_connection_info()?;
        let Some(password) = &self.password else { return Ok(info) };
        let settings = info.redis_settings().clone().set_password(password.as_str());
        Ok(info.set_redis_settings(settings))
    }

    pub(super) fn client(&self) -> redis::RedisResult<Client> {
        Client::open(self.info()?)
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({})", self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_password_and_shows_none() {
        let sound =
            ["redis://localhost", "rediss://exeunt@redis.test:6380/3", "redis+unix:///run/redis/redis.sock?db=1"];
        for url in sound {
            let address = RedisAddress::parse(url).unwrap().with_password("open sesame".to_owned().into());
            assert_eq!(address.info().unwrap().redis_settings().password(), Some("open sesame"));
            assert_eq!(address.to_string(), url);
            assert!(!format!("{address:?}").contains("sesame"));
            assert!(address.client().is_ok(), "{url}");
        }
        assert_eq!(RedisAddress::parse("redis://:secret@localhost"), Err(NotAnAddress::HasPassword));
        for url in ["redis://", "redis:localhost", "http://localhost", "rediss://localhost#insecure", "redis://h/x"] {
            assert_eq!(RedisAddress::parse(url), Err(NotAnAddress::Invalid), "{url}");
        }
    }
}
