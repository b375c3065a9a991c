//! The address of a Redis store in the configuration.

use std::fmt;
use std::sync::Arc;

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult, TlsCertificates};
use zeroize::Zeroizing;

use super::topology::RedisTopology;

/// The schemes of addresses, the scheme for each single server, and the kind of the servers.
const SCHEMES: [(&str, &str, RedisDeployment); 7] = [
    ("redis", "redis", RedisDeployment::Server),
    ("rediss", "rediss", RedisDeployment::Server),
    ("redis+unix", "redis+unix", RedisDeployment::Server),
    ("redis+sentinel", "redis", RedisDeployment::Sentinels),
    ("rediss+sentinel", "rediss", RedisDeployment::Sentinels),
    ("redis+cluster", "redis", RedisDeployment::Cluster),
    ("rediss+cluster", "rediss", RedisDeployment::Cluster),
];
/// The default port of a Sentinel.
const SENTINEL: u16 = 26379;
/// The maximum number of Sentinels or nodes in an address.
const MAX_SERVERS: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RedisDeployment {
    Server,
    Sentinels,
    Cluster,
}

/// The address of one or several servers, the password for them, and the trusted certificate authorities.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    written: String,
    kind: RedisDeployment,
    /// A URL for each server in the address.
    urls: Vec<String>,
    /// The name of the primary in the Sentinels' configuration; empty without Sentinels.
    name: String,
    password: Option<Zeroizing<String>>,
    /// The trusted certificates (PEM); `None` for those of the operating system.
    authorities: Option<Arc<[u8]>>,
    replicas: u32,
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnAddress {
    /// It contains a password, which would be shown in logs.
    HasPassword,
    /// It does not have one of the supported forms.
    Invalid,
}

impl RedisAddress {
    /// Parses `redis://HOST:PORT/DATABASE`, `rediss://…` (TLS) or `redis+unix:///PATH`; for Sentinels
    /// `redis+sentinel://HOST:PORT,HOST:PORT/NAME/DATABASE`, for a Cluster `redis+cluster://HOST:PORT,HOST:PORT`, or
    /// these two with `rediss+` for TLS. `USER@` may precede the hosts.
    ///
    /// # Errors
    /// [`NotAnAddress`]
    pub fn parse(text: &str) -> Result<Self, NotAnAddress> {
        let (scheme, rest) = text.split_once("://").ok_or(NotAnAddress::Invalid)?;
        let known = SCHEMES.iter().find(|(name, ..)| *name == scheme);
        let (_, reached, kind) = known.ok_or(NotAnAddress::Invalid)?;
        // A fragment could switch off the verification of certificates.
        if text.contains('#') {
            return Err(NotAnAddress::Invalid);
        }
        let (urls, name) = match kind {
            RedisDeployment::Server => (vec![text.to_owned()], ""),
            RedisDeployment::Sentinels | RedisDeployment::Cluster => {
                several(reached, rest, *kind).ok_or(NotAnAddress::Invalid)?
            }
        };
        for url in &urls {
            let info = url.as_str().into_connection_info().map_err(|_| NotAnAddress::Invalid)?;
            if info.redis_settings().password().is_some() {
                return Err(NotAnAddress::HasPassword);
            }
        }
        Ok(Self {
            written: text.to_owned(),
            kind: *kind,
            urls,
            name: name.to_owned(),
            password: None,
            authorities: None,
            replicas: u32::from(*kind != RedisDeployment::Server),
        })
    }

    /// Sets the password.
    #[must_use]
    pub(crate) fn with_password(self, password: Zeroizing<String>) -> Self {
        Self { password: Some(password), ..self }
    }

    /// Trusts only these certificates (PEM).
    #[must_use]
    pub(crate) fn with_authorities(self, pem: &[u8]) -> Self {
        Self { authorities: Some(pem.into()), ..self }
    }

    /// Sets the number of Redis replicas that have to confirm important writes.
    #[must_use]
    pub(crate) fn with_replicas(self, replicas: u32) -> Self {
        Self { replicas, ..self }
    }

    /// The number of Redis replicas that have to confirm important writes. The default is one with Sentinels or a
    /// Cluster, which can fail over, and zero for a single server.
    pub fn replicas(&self) -> u32 {
        self.replicas
    }

    /// Whether connections use TLS.
    pub fn is_tls(&self) -> bool {
        self.written.starts_with("rediss")
    }

    pub(super) fn place(&self) -> RedisResult<RedisTopology> {
        let mut clients = self.urls.iter().map(|url| self.client(url)).collect::<RedisResult<Vec<_>>>()?;
        Ok(match (self.kind, clients.pop()) {
            (RedisDeployment::Server, Some(client)) => RedisTopology::Server(client),
            (RedisDeployment::Sentinels, last) => {
                clients.extend(last);
                RedisTopology::Sentinels { sentinels: clients, name: self.name.clone() }
            }
            (RedisDeployment::Server | RedisDeployment::Cluster, last) => {
                clients.extend(last);
                RedisTopology::Cluster { nodes: clients }
            }
        })
    }

    fn client(&self, url: &str) -> RedisResult<Client> {
        let info = self.info(url)?;
        let is_tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let root_cert = self.authorities.as_deref().filter(|_| is_tls).map(<[u8]>::to_vec);
        match root_cert {
            Some(_) => Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert }),
            None => Client::open(info),
        }
    }

    fn info(&self, url: &str) -> RedisResult<ConnectionInfo> {
        let info = url.into_connection_info()?;
        // Each request is written in one piece, so Nagle's algorithm would only delay it.
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_tcp_settings(tcp);
        let Some(password) = &self.password else { return Ok(info) };
        let settings = info.redis_settings().clone().set_password(password.as_str());
        Ok(info.set_redis_settings(settings))
    }
}

/// The URLs of several servers, and the name of the primary for Sentinels.
fn several<'a>(scheme: &str, rest: &'a str, kind: RedisDeployment) -> Option<(Vec<String>, &'a str)> {
    let (servers, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) =
        servers.rsplit_once('@').map_or(("", servers), |(_, hosts)| servers.split_at(servers.len() - hosts.len()));
    let (name, database) = path.split_once('/').unwrap_or((path, ""));
    let is_name = |sign: char| sign.is_ascii_alphanumeric() || "._-".contains(sign);
    let is_sound = match kind {
        RedisDeployment::Sentinels => !name.is_empty() && name.chars().all(is_name),
        // A Cluster has only the database 0, so there is no path.
        RedisDeployment::Cluster | RedisDeployment::Server => path.is_empty(),
    };
    let hosts: Vec<_> = hosts.split(',').collect();
    if !is_sound || hosts.len() > MAX_SERVERS || rest.contains('?') || hosts.iter().any(|host| host.is_empty()) {
        return None;
    }
    let has_port = |host: &str| host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let url = |host: &&str| match kind {
        RedisDeployment::Sentinels if !has_port(host) => format!("{scheme}://{user}{host}:{SENTINEL}/{database}"),
        RedisDeployment::Sentinels | RedisDeployment::Cluster | RedisDeployment::Server => {
            format!("{scheme}://{user}{host}/{database}")
        }
    };
    Some((hosts.iter().map(url).collect(), name))
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({})", self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_a_password_are_refused_and_none_is_displayed() {
        let sound = [
            "redis://localhost",
            "rediss://exeunt@redis.test:6380/3",
            "redis+unix:///run/redis/redis.sock?db=1",
            "redis+sentinel://exeunt@a.test,b.test:1/sessions/2",
            "rediss+cluster://a.test,b.test",
        ];
        for url in sound {
            let address = RedisAddress::parse(url).unwrap().with_password("open sesame".to_owned().into());
            for server in &address.urls {
                assert_eq!(address.info(server).unwrap().redis_settings().password(), Some("open sesame"));
            }
            assert_eq!(address.to_string(), url);
            assert!(!format!("{address:?}").contains("sesame"));
            assert!(address.place().is_ok(), "{url}");
        }
        for url in ["redis://:secret@localhost", "redis+sentinel://u:secret@a,b/sessions", "redis+cluster://:s@a"] {
            assert_eq!(RedisAddress::parse(url), Err(NotAnAddress::HasPassword), "{url}");
        }
        let broken = [
            "redis://", "redis:localhost", "http://localhost", "rediss://localhost#insecure", "redis://h/x",
            "redis+sentinel://a,b", "redis+sentinel://a,,b/name", "redis+sentinel:///name", "redis+sentinel://a/na me",
            "redis+sentinel://a/name/x", "redis+cluster://a/1", "redis+cluster://", "redis+cluster://a?protocol=resp3",
            "rediss+cluster://a#insecure",
        ];
        for url in broken {
            assert_eq!(RedisAddress::parse(url), Err(NotAnAddress::Invalid), "{url}");
        }
    }

    #[test]
    fn an_address_can_have_several_servers() {
        let urls = |text: &str| RedisAddress::parse(text).unwrap().urls;
        let sentinels = "rediss+sentinel://exeunt@a.test,[::1]:7,[::2]/sessions/3";
        let want = ["rediss://exeunt@a.test:26379/3", "rediss://exeunt@[::1]:7/3", "rediss://exeunt@[::2]:26379/3"];
        assert_eq!(urls(sentinels), want);
        assert_eq!(urls("redis+cluster://a:1,b"), ["redis://a:1/", "redis://b/"]);
        let replicas = |text: &str| RedisAddress::parse(text).unwrap().replicas();
        assert_eq!([replicas("redis://a"), replicas("redis+sentinel://a/b"), replicas("redis+cluster://a")], [0, 1, 1]);
        let many = vec!["a"; MAX_SERVERS + 1].join(",");
        assert_eq!(RedisAddress::parse(&format!("redis+cluster://{many}")), Err(NotAnAddress::Invalid));
    }
}
