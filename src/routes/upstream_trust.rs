//! Which certificate authorities are trusted for upstreams over TLS.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;

/// The certificate authorities that upstreams are verified against: the system's, or only those of `upstream_ca_file`.
///
/// Verification cannot be switched off.
pub struct UpstreamTrust {
    id: u64,
    /// `None` for the system's.
    own: Option<Vec<CertificateDer<'static>>>,
}

/// What is wrong with a file of certificates, as the end of a sentence that begins with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadCertificates {
    /// The file has no `BEGIN CERTIFICATE`.
    #[error("contains no certificate; remove this line, or name a file with the authority's certificate (PEM)")]
    Empty,
    /// The file has invalid PEM, or a certificate that cannot be used as an authority.
    #[error("holds a certificate that cannot be read; write PEM certificates only into it")]
    Unreadable,
}

impl UpstreamTrust {
    /// The system's authorities, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`. Certificates that cannot be read are
    /// left out.
    pub(crate) fn platform() -> Arc<Self> {
        Self::of(None)
    }

    /// No trusted authority: every TLS upstream is refused.
    pub fn none() -> Arc<Self> {
        Self::of(Some(Vec::new()))
    }

    /// Only the certificates of a PEM file.
    ///
    /// # Errors
    /// The file holds no certificate, or one that cannot be used.
    pub fn from_pem(pem: &[u8]) -> Result<Arc<Self>, BadCertificates> {
        let own: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| BadCertificates::Unreadable)?;
        if own.is_empty() {
            return Err(BadCertificates::Empty);
        }
        let mut roots = RootCertStore::empty();
        for certificate in &own {
            roots.add(certificate.clone()).map_err(|_| BadCertificates::Unreadable)?;
        }
        Ok(Self::of(Some(own)))
    }

    fn of(own: Option<Vec<CertificateDer<'static>>>) -> Arc<Self> {
        let mut hasher = DefaultHasher::new();
        own.as_ref().map(|own| own.iter().map(AsRef::<[u8]>::as_ref).collect::<Vec<_>>()).hash(&mut hasher);
        Arc::new(Self { id: hasher.finish(), own })
    }

    /// A number that identifies the certificates. It is part of the key of the connection pool, so that connections
    /// that were verified against different authorities are never shared.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The certificates of `upstream_ca_file`; `None` for the system's.
    pub(crate) fn own_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.own.as_deref()
    }
}

impl fmt::Debug for UpstreamTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTrust").field("own", &self.own.as_ref().map(Vec::len)).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new(vec!["ca.test".to_owned()]).unwrap().self_signed(&key).unwrap().pem()
    }

    #[test]
    fn a_file_of_certificates_is_read_whole_or_refused() {
        let (one, other) = (authority(), authority());
        let both = UpstreamTrust::from_pem(format!("# ours\n{one}{other}").as_bytes()).unwrap();
        assert_eq!(both.own_certificates().unwrap().len(), 2);
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let refused = |text: &str| UpstreamTrust::from_pem(text.as_bytes()).unwrap_err();
        assert_eq!(refused(""), BadCertificates::Empty);
        assert_eq!(refused("hello"), BadCertificates::Empty);
        assert_eq!(refused(broken), BadCertificates::Unreadable);
        assert_eq!(refused(&format!("{one}{broken}")), BadCertificates::Unreadable);
        for (problem, write) in
            [(BadCertificates::Empty, "certificate (PEM)"), (BadCertificates::Unreadable, "PEM certificates")]
        {
            assert!(problem.to_string().contains(write), "{problem}");
        }
        assert_eq!(format!("{both:?}"), "UpstreamTrust { own: Some(2), .. }");
    }

    #[test]
    fn trust_is_identified_by_its_certificates() {
        let (one, other) = (authority(), authority());
        let id = |pem: &str| UpstreamTrust::from_pem(pem.as_bytes()).unwrap().id();
        assert_eq!(id(&one), id(&one));
        assert_ne!(id(&one), id(&other));
        let others = [UpstreamTrust::none().id(), UpstreamTrust::platform().id()];
        assert!(others[0] != others[1] && !others.contains(&id(&one)));
    }
}
