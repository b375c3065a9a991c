//! From an endpoint to the engine's word for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pingora::Result;
use pingora::protocols::TcpKeepalive;
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::{H1UpgradePolicy, HttpPeer};
use pingora::utils::tls::{WrappedX509, parse_x509};

use crate::routes::endpoint::{Endpoint, Place};
use crate::routes::pool::UpstreamSettings;
use crate::routes::upstream_trust::UpstreamTrust;

/// Who may use a connection after this exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Every exchange with the same endpoint.
    Everybody,
    /// Only exchanges of the same owner: routes with `connection_auth`. The number must be one of the client
    /// connection and the session together, so that neither alone inherits an authentication.
    Owner(u64),
    /// Nobody, and none that was used before is taken.
    Nobody,
}

/// A dead machine or a forgotten connection is noticed after two minutes, however long a silence is allowed.
const KEEPALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(60),
    interval: Duration::from_secs(15),
    count: 4,
    user_timeout: Duration::ZERO,
};

/// The engine's peer for an exchange with this endpoint.
///
/// Over TLS the name is always set, since the engine checks no certificate without one, and certificate and name
/// are always checked; a name that is an address must be in the certificate as one. HTTP/1.1 only, and
/// no upgrades: WebSockets are opened without the engine.
///
/// # Errors
/// The path of a unix socket is too long for one; configured addresses are not.
pub fn http_peer(
    endpoint: &Endpoint,
    settings: &UpstreamSettings,
    sharing: Sharing,
    own_authorities: &OwnAuthorities,
) -> Result<HttpPeer> {
    let name = endpoint.server_name();
    let sni = name.unwrap_or_default().to_owned();
    let mut peer = match endpoint.place() {
        Place::Tcp(address) => HttpPeer::new(*address, name.is_some(), sni),
        Place::Unix(path) => HttpPeer::new_uds(&path.to_string_lossy(), name.is_some(), sni)?,
    };
    peer.group_key = group(endpoint, &settings.trust, sharing);
    let options = &mut peer.options;
    options.verify_cert = true;
    options.verify_hostname = true;
    options.ca = if name.is_some() { own_authorities.get(&settings.trust) } else { None };
    options.http_upstream_request_policy.h1_upgrade = H1UpgradePolicy::Deny;
    options.connection_timeout = Some(settings.connect_timeout);
    options.total_connection_timeout = Some(settings.connect_timeout);
    // Silence is the client connection's business (`Connection::answer_within`): the engine would make and drop a
    // timer for each read.
    options.write_timeout = Some(settings.response_timeout);
    options.tcp_keepalive = Some(KEEPALIVE);
    Ok(peer)
}

/// Connections are shared within one group. The engine leaves the authorities out of its own comparison of peers.
fn group(endpoint: &Endpoint, trust: &UpstreamTrust, sharing: Sharing) -> u64 {
    let (kind, number) = match sharing {
        Sharing::Everybody => ([1, endpoint.generation()], 0),
        Sharing::Owner(owner) => ([2, endpoint.generation()], owner),
        Sharing::Nobody => ([3, endpoint.lonely_generation()], 0),
    };
    kind.into_iter().chain([number]).fold(mixed(trust.id()), |group, number| mixed(group ^ number))
}

/// The finaliser of splitmix64: every bit of the input reaches every bit of the output, and no two inputs have the
/// same output. What it mixes here are numbers of our own.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The authorities of `upstream_ca_file`s in the engine's form, made once for each set.
///
/// With authorities of its own a route costs more for each new TLS connection: the engine then makes a new client
/// configuration for every one, without session resumption. Requests on kept connections cost the same.
#[derive(Default)]
pub struct OwnAuthorities(Mutex<HashMap<u64, Arc<CaType>>>);

impl OwnAuthorities {
    /// Those of this trust; `None` where the machine's are used, which the engine knows.
    fn get(&self, trust: &UpstreamTrust) -> Option<Arc<CaType>> {
        if trust.own_certificates().is_empty() {
            return None;
        }
        let mut known = self.0.lock();
        let authorities = known.entry(trust.id()).or_insert_with(|| {
            let wrap = |der: &rustls::pki_types::CertificateDer<'_>| WrappedX509::new(der.to_vec(), parse_x509);
            trust.own_certificates().iter().map(wrap).collect()
        });
        Some(Arc::clone(authorities))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::endpoint::Generations;
    use pingora::upstreams::peer::Peer;

    fn endpoint(server_name: Option<&str>) -> Endpoint {
        Endpoint::new(Place::Tcp("10.0.0.1:443".parse().unwrap()), server_name, &Generations::default())
    }

    fn trust() -> Arc<UpstreamTrust> {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
        UpstreamTrust::from_pem(pem.as_bytes()).unwrap()
    }

    fn peer(endpoint: &Endpoint, trust: &Arc<UpstreamTrust>, sharing: Sharing) -> HttpPeer {
        let settings = UpstreamSettings::new(Arc::clone(trust));
        http_peer(endpoint, &settings, sharing, &OwnAuthorities::default()).unwrap()
    }

    #[test]
    fn tls_is_always_verified_against_a_name() {
        let nobody = UpstreamTrust::nobody();
        for name in ["app.test", "10.0.0.1", "::1"] {
            let peer = peer(&endpoint(Some(name)), &nobody, Sharing::Everybody);
            assert!(peer.is_tls() && peer.verify_cert() && peer.verify_hostname());
            assert_eq!(peer.sni(), name);
        }
        assert!(!peer(&endpoint(None), &nobody, Sharing::Everybody).is_tls());
    }

    #[test]
    fn own_authorities_are_given_to_tls_peers_only() {
        let own = trust();
        assert_eq!(peer(&endpoint(Some("app.test")), &own, Sharing::Everybody).get_ca().unwrap().len(), 1);
        assert!(peer(&endpoint(None), &own, Sharing::Everybody).get_ca().is_none());
        assert!(peer(&endpoint(Some("app.test")), &UpstreamTrust::nobody(), Sharing::Everybody).get_ca().is_none());
    }

    #[test]
    fn connections_are_shared_with_the_same_owner_under_the_same_trust() {
        let (endpoint, trust, other) = (endpoint(Some("app.test")), trust(), trust());
        let hash = |trust, sharing| peer(&endpoint, trust, sharing).reuse_hash();
        let shared = hash(&trust, Sharing::Everybody);
        assert_eq!(shared, hash(&trust, Sharing::Everybody));
        assert_ne!(shared, hash(&other, Sharing::Everybody));
        assert_ne!(shared, hash(&trust, Sharing::Owner(0)));
        assert_eq!(hash(&trust, Sharing::Owner(7)), hash(&trust, Sharing::Owner(7)));
        assert_ne!(hash(&trust, Sharing::Owner(7)), hash(&trust, Sharing::Owner(8)));
        assert_ne!(hash(&trust, Sharing::Nobody), hash(&trust, Sharing::Nobody));
        endpoint.retire_connections();
        assert_ne!(shared, hash(&trust, Sharing::Everybody));
    }
}
