//! Loop detection: a random id of the running gateway is added to every forwarded request, and a request that already
//! has it is refused.

use bytes::BytesMut;
use data_encoding::BASE32_NOPAD;
use http::{HeaderName, HeaderValue};

use super::header_edits::put_parts;
use super::headers::Headers;
use crate::values::secret::NoRandomness;

/// The header with the id. `Via` is not used, since nginx does not compress answers to requests that have one.
pub(crate) static X_EXEUNT_INSTANCE: HeaderName = HeaderName::from_static("x-exeunt-instance");

/// The id: 80 random bits in base32. It is not secret: applications see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstanceId(HeaderValue);

impl InstanceId {
    /// A new id from the operating system's random source.
    ///
    /// # Errors
    /// The random source fails.
    pub(crate) fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 10];
        getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
        let name = BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        HeaderValue::try_from(name).map(Self).map_err(|_| NoRandomness)
    }

    /// Whether a request was forwarded by this instance.
    pub(crate) fn has_forwarded(&self, headers: &dyn Headers) -> bool {
        headers.lines(&X_EXEUNT_INSTANCE).any(|name| self.0 == *name)
    }

    /// Writes the header.
    pub(crate) fn put(&self, to: &mut BytesMut) {
        put_parts(to, &[b"X-Exeunt-Instance: ", self.0.as_bytes(), b"\r\n"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn a_forwarded_request_is_recognised() {
        let (own, other) = (InstanceId::generate().unwrap(), InstanceId::generate().unwrap());
        assert_ne!(own, other);
        let mut headers = HeaderMap::new();
        assert!(!own.has_forwarded(&headers));
        headers.append(&X_EXEUNT_INSTANCE, own.0.clone());
        assert!(own.has_forwarded(&headers) && !other.has_forwarded(&headers));
        headers.append(&X_EXEUNT_INSTANCE, HeaderValue::from_static("x"));
        assert!(own.has_forwarded(&headers), "every field is checked");
        let mut line = BytesMut::new();
        own.put(&mut line);
        assert_eq!(line, format!("X-Exeunt-Instance: {}\r\n", own.0.to_str().unwrap()));
    }
}
