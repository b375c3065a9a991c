//! What `[audit]` says.

use std::fmt;
use std::path::PathBuf;

use data_encoding::BASE64;
use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use crate::outbound::Endpoint;

/// Where events go besides the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditSettings {
    /// A file.
    pub file: Option<FileSettings>,
    /// A server that is told of each event.
    pub webhook: Option<WebhookSettings>,
}

/// A file that rotates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// Its path. Older parts of it are beside it, with a number at the end of their names.
    pub path: PathBuf,
    /// It has at most this many bytes.
    pub size: u64,
    /// So many older parts are kept.
    pub older: u32,
    /// Whether what was written is on the disk before the next events are written.
    pub sync: bool,
}

/// A server that is told of each event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Where to.
    pub(crate) endpoint: Endpoint,
    /// What requests are signed with.
    pub(crate) secrets: WebhookSecrets,
    /// Who may have signed the server's certificate; `None`: whom the machine trusts.
    pub(crate) authorities: Option<Vec<CertificateDer<'static>>>,
}

/// Secrets that the receiver knows too: each request is signed with all of them, so that they can be changed one after
/// the other.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WebhookSecrets(Vec<Zeroizing<Vec<u8>>>);

/// Before the base64 of a secret, by the Standard Webhooks specification.
const PREFIX: &str = "whsec_";
/// The shortest and the longest secret in bytes, by the same.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;
/// So many secrets at most.
const MOST: usize = 4;

impl WebhookSecrets {
    /// Reads the content of a file: a secret in each line.
    ///
    /// # Errors
    /// What is wrong with it, and after a colon what to write.
    pub(crate) fn parse(content: &[u8]) -> Result<Self, &'static str> {
        let text =
            std::str::from_utf8(content).map_err(|_| "is not text: write a line made by openssl rand -hex 32")?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets: Vec<_> = lines.take(MOST + 1).map(secret).collect::<Result<_, _>>()?;
        match secrets.len() {
            0 => Err("contains no secret: write a line made by openssl rand -hex 32"),
            1..=MOST => Ok(Self(secrets)),
            _ => Err("contains more than four secrets: remove those that the receiver no longer needs"),
        }
    }

    /// Each of them.
    pub(super) fn each(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|secret| secret.as_slice())
    }
}

fn secret(line: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let secret = match line.strip_prefix(PREFIX) {
        Some(encoded) => BASE64.decode(encoded.as_bytes()).map_err(|_| "has a secret whose base64 cannot be read")?,
        None => line.as_bytes().to_vec(),
    };
    let secret = Zeroizing::new(secret);
    let fits = LENGTHS.contains(&secret.len());
    fits.then_some(secret)
        .ok_or("has a secret that is not 24 to 64 bytes long: write a line made by openssl rand -hex 32")
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_lines_and_are_not_shown() {
        let read = |text: &str| WebhookSecrets::parse(text.as_bytes());
        let plain = "0123456789abcdef0123456789abcdef";
        let both = read(&format!("{plain}\n\nwhsec_{}\n", BASE64.encode(&[7; 24]))).unwrap();
        assert_eq!(both.each().collect::<Vec<_>>(), [plain.as_bytes(), &[7; 24]]);
        assert_eq!(format!("{both:?}"), "2 secrets");
        for (text, wrong) in [
            ("", "no secret"),
            ("short", "24 to 64"),
            ("whsec_!!!", "base64"),
            (&"x".repeat(65), "24 to 64"),
            (&format!("{plain}\n").repeat(5), "more than four"),
        ] {
            assert!(read(text).unwrap_err().contains(wrong), "{text}");
        }
        assert!(WebhookSecrets::parse(b"\xff").is_err());
    }
}
