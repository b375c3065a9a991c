//! Where a server is, as it is written in a configuration.

use std::fmt;
use std::sync::Arc;

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};
use zeroize::Zeroizing;

/// The schemes of addresses.
const SCHEMES: [&str; 3] = ["redis", "rediss", "redis+unix"];

/// The address of a server, the password for it, and who may vouch for it.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    url: String,
    password: Option<Zeroizing<String>>,
    /// Certificates (PEM); `None`: the machine's.
    authorities: Option<Arc<[u8]>>,
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
            None => Ok(Self { url: url.to_owned(), password: None, authorities: None }),
        }
    }

    /// The same, with this password.
    #[must_use]
    pub fn with_password(self, password: Zeroizing<String>) -> Self {
        Self { password: Some(password), ..self }
    }

    /// The same, where these certificates (PEM) alone are trusted.
    #[must_use]
    pub fn with_authorities(self, pem: &[u8]) -> Self {
        Self { authorities: Some(pem.into()), ..self }
    }

    /// Whether it is reached over TLS.
    pub fn is_tls(&self) -> bool {
        self.info().is_ok_and(|info| matches!(info.addr(), ConnectionAddr::TcpTls { .. }))
    }

    fn info(&self) -> redis::RedisResult<ConnectionInfo> {
        let info = self.url.as_str().into_connection_info()?;
        // A request is written at once, and waited for.
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_tcp_settings(tcp);
        let Some(password) = &self.password else { return Ok(info) };
        let settings = info.redis_settings().clone().set_password(password.as_str());
        Ok(info.set_redis_settings(settings))
    }

    pub(super) fn client(&self) -> redis::RedisResult<Client> {
        let root_cert = self.authorities.as_deref().filter(|_| self.is_tls()).map(<[u8]>::to_vec);
        match root_cert {
            Some(_) => Client::build_with_tls(self.info()?, TlsCertificates { client_tls: None, root_cert }),
            None => Client::open(self.info()?),
        }
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
