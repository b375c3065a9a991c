//! The settings of `[audit]`.

use std::fmt;
use std::path::PathBuf;

use data_encoding::BASE64;
use rustls::pki_types::CertificateDer;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::outbound::OutboundEndpoint;

/// The targets of events besides the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditSettings {
    /// The audit file.
    pub file: Option<FileSettings>,
    /// The webhook.
    pub webhook: Option<WebhookSettings>,
}

/// The settings of the audit file, which is rotated by size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// The path of the current file. Rotated parts are beside it, with a number appended to the name.
    pub path: PathBuf,
    /// The size in bytes at which the file is rotated.
    pub size: u64,
    /// The number of rotated parts that are kept.
    pub older: u32,
    /// Whether each write is synced to the disk before the next one.
    pub sync: bool,
}

/// The settings of the webhook, to which each event is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// The address of the receiver.
    pub(crate) endpoint: OutboundEndpoint,
    /// The keys with which requests are signed.
    pub(crate) secrets: WebhookSecrets,
    /// The certificate authorities trusted for the receiver; `None` for those of the operating system.
    pub(crate) authorities: Option<Vec<CertificateDer<'static>>>,
}

/// Signing keys shared with the receiver. Each request is signed with all of them, so that a key can be rotated without
/// a gap.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WebhookSecrets(Vec<Zeroizing<Vec<u8>>>);

/// The prefix of a secret in base64, by the Standard Webhooks specification.
const PREFIX: &str = "whsec_";
/// The minimum and maximum length of a secret in bytes, by the same specification.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;
/// The maximum number of secrets.
const MAX_SECRETS: usize = 4;

/// Why a file has no usable secrets. Its message follows the file's name, and says what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum WebhookSecretsError {
    /// Not UTF-8.
    #[error("is not text: write a line made by openssl rand -hex 32")]
    NotText,
    /// Nothing but blank lines.
    #[error("contains no secret: write a line made by openssl rand -hex 32")]
    None,
    /// More than [`MAX_SECRETS`].
    #[error("contains more than four secrets: remove those that the receiver no longer needs")]
    TooMany,
    /// After [`PREFIX`].
    #[error("has a secret whose base64 cannot be read")]
    NotBase64,
    /// Not as long as [`LENGTHS`] says.
    #[error("has a secret that is not 24 to 64 bytes long: write a line made by openssl rand -hex 32")]
    Length,
}

impl WebhookSecrets {
    /// Reads the content of a file: a secret in each line.
    pub(crate) fn parse(content: &[u8]) -> Result<Self, WebhookSecretsError> {
        let text = std::str::from_utf8(content).map_err(|_| WebhookSecretsError::NotText)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets: Vec<_> = lines.take(MAX_SECRETS + 1).map(secret).collect::<Result<_, _>>()?;
        match secrets.len() {
            0 => Err(WebhookSecretsError::None),
            1..=MAX_SECRETS => Ok(Self(secrets)),
            _ => Err(WebhookSecretsError::TooMany),
        }
    }

    /// The secrets as bytes.
    pub(super) fn each(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|secret| secret.as_slice())
    }
}

fn secret(line: &str) -> Result<Zeroizing<Vec<u8>>, WebhookSecretsError> {
    let secret = match line.strip_prefix(PREFIX) {
        Some(encoded) => BASE64.decode(encoded.as_bytes()).map_err(|_| WebhookSecretsError::NotBase64)?,
        None => line.as_bytes().to_vec(),
    };
    let secret = Zeroizing::new(secret);
    let fits = LENGTHS.contains(&secret.len());
    fits.then_some(secret).ok_or(WebhookSecretsError::Length)
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
            assert!(read(text).unwrap_err().to_string().contains(wrong), "{text}");
        }
        assert!(WebhookSecrets::parse(b"\xff").is_err());
    }
}
