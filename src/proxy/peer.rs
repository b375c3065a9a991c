//! Converts an endpoint to pingora's type.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pingora::Result;
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{WrappedX509, parse_x509};

use super::keepalive;
use crate::routes::endpoint::{Endpoint, EndpointAddress};
use crate::routes::pool::UpstreamSettings;
use crate::routes::upstream_trust::UpstreamTrust;

/// Pingora's type for an endpoint.
///
/// Over TLS the name is always set, since pingora does not verify certificates without one. Certificate and name are
/// always verified; for an IP address the certificate must contain that address. HTTP/1.1 only.
///
/// # Errors
/// The path of a unix socket is too long; paths in the configuration are checked before.
pub(crate) fn http_peer(
    endpoint: &Endpoint,
    settings: &UpstreamSettings,
    own_authorities: &OwnAuthorities,
) -> Result<HttpPeer> {
    let name = endpoint.server_name();
    let sni = name.unwrap_or_default().to_owned();
    let mut peer = match endpoint.address() {
        EndpointAddress::Tcp(address) => HttpPeer::new(*address, name.is_some(), sni),
        EndpointAddress::Unix(path) => HttpPeer::new_uds(&path.to_string_lossy(), name.is_some(), sni)?,
    };
    let options = &mut peer.options;
    options.verify_cert = true;
    options.verify_hostname = true;
    options.ca = if name.is_some() { own_authorities.get(&settings.trust) } else { None };
    options.connection_timeout = Some(settings.connect_timeout);
    options.total_connection_timeout = Some(settings.connect_timeout);
    options.tcp_keepalive = Some(keepalive::FOR_THE_ENGINE);
    Ok(peer)
}

/// The authorities of `upstream_ca_file`s in pingora's form, made once for each set.
///
/// With its own certificate authorities, a route's new TLS connections cost more: pingora makes a client configuration
/// for each of them, without session resumption. Requests on reused connections cost the same.
#[derive(Default)]
pub(crate) struct OwnAuthorities(Mutex<HashMap<u64, Arc<CaType>>>);

impl OwnAuthorities {
    /// The authorities for pingora; `None` for the system's, which are pingora's default.
    fn get(&self, trust: &UpstreamTrust) -> Option<Arc<CaType>> {
        let own = trust.own_certificates()?;
        let mut known = self.0.lock();
        let authorities = known.entry(trust.id()).or_insert_with(|| {
            let wrap = |der: &rustls::pki_types::CertificateDer<'_>| WrappedX509::new(der.to_vec(), parse_x509);
            own.iter().map(wrap).collect()
        });
        Some(Arc::clone(authorities))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pingora::upstreams::peer::Peer;

    fn endpoint(server_name: Option<&str>) -> Endpoint {
        Endpoint::new(EndpointAddress::Tcp("10.0.0.1:443".parse().unwrap()), server_name)
    }

    fn trust() -> Arc<UpstreamTrust> {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
        UpstreamTrust::from_pem(pem.as_bytes()).unwrap()
    }

    fn peer(endpoint: &Endpoint, trust: &Arc<UpstreamTrust>) -> HttpPeer {
        let settings = UpstreamSettings::new(Arc::clone(trust));
        http_peer(endpoint, &settings, &OwnAuthorities::default()).unwrap()
    }

    #[test]
    fn tls_is_always_verified_against_a_name() {
        let nobody = UpstreamTrust::none();
        for name in ["app.test", "10.0.0.1", "::1"] {
            let peer = peer(&endpoint(Some(name)), &nobody);
            assert!(peer.is_tls() && peer.verify_cert() && peer.verify_hostname());
            assert_eq!(peer.sni(), name);
        }
        assert!(!peer(&endpoint(None), &nobody).is_tls());
    }

    #[test]
    fn own_authorities_are_given_to_tls_peers_only() {
        let own = trust();
        assert_eq!(peer(&endpoint(Some("app.test")), &own).get_ca().unwrap().len(), 1);
        assert!(peer(&endpoint(None), &own).get_ca().is_none());
        assert!(peer(&endpoint(Some("app.test")), &UpstreamTrust::platform()).get_ca().is_none());
        // With an empty list pingora refuses every certificate.
        assert!(peer(&endpoint(Some("app.test")), &UpstreamTrust::none()).get_ca().unwrap().is_empty());
    }
}
