//! `[audit]`: further receivers of events besides the log.

use std::path::Path;

use crate::audit::{AuditSettings, FileSettings, WebhookSecrets, WebhookSettings};
use crate::outbound::OutboundEndpoint;
use crate::routes::upstream_trust::UpstreamTrust;

use super::files;
use super::raw::{Item, RawTable};
use super::refusal::ValueRefusal;
use super::schema;

/// The size of a file: default, minimum, maximum.
const SIZE: (u64, u64, u64) = (100 * MIB, 4096, 1024 * 1024 * MIB);
const MIB: u64 = 1024 * 1024;
/// The number of older parts that are kept: default, maximum.
const OLDER: (u64, u64) = (10, 1000);
/// The maximum size of a file with secrets, in bytes.
const SECRETS: usize = 4096;
/// The maximum size of a file with certificates, in bytes: it may have all of the system's.
const CERTIFICATES: usize = 4 * 1024 * 1024;

/// Reads the table.
pub(crate) fn read(file: &RawTable<'_>, folder: &Path) -> AuditSettings {
    let table = file.table("audit", &schema::AUDIT);
    AuditSettings { file: audit_file(&table, folder), webhook: webhook(&table, folder) }
}

fn audit_file(table: &RawTable<'_>, folder: &Path) -> Option<FileSettings> {
    let number = |key, (usual, least, most)| table.item(key).and_then(|item| item.number(least, most)).unwrap_or(usual);
    let size = number("file_size", SIZE);
    let older = u32::try_from(number("older_files", (OLDER.0, 0, OLDER.1))).unwrap_or(u32::MAX);
    let sync = table.item("sync").and_then(|item| item.switch()).unwrap_or(true);
    let item = table.item("file").filter(|item| item.peek() != Some(""))?;
    let path = item.parse(|text| files::resolve(folder, text))?;
    let is_sound = path.parent().is_none_or(Path::is_dir) && (!path.exists() || path.is_file());
    if !is_sound {
        let example = "write \"/var/log/exeunt/audit.jsonl\", or another file in a folder that exists";
        item.location.problem(ValueRefusal::new(format!("{} cannot be a file", path.display())).write(example));
    }
    Some(FileSettings { path, size, older, sync })
}

fn webhook(table: &RawTable<'_>, folder: &Path) -> Option<WebhookSettings> {
    let secrets = table.item("webhook_secret_file").and_then(|item| item.parse(|text| secrets(folder, text)));
    let authorities = table.item("webhook_ca_file").and_then(|item| item.parse(|text| trust(folder, text)));
    let item = table.item("webhook").filter(|item| item.peek() != Some(""))?;
    let endpoint =
        item.literal(|text| OutboundEndpoint::parse(text).map_err(|error| ValueRefusal::of(text, &error)))?;
    warn_of_plain_http(&item, &endpoint);
    if !table.has("webhook_secret_file") {
        let refusal = ValueRefusal::new("needs a secret, with which the receiver authenticates requests");
        let first = "write `webhook_secret_file = \"webhook.secret\"` below [audit]";
        item.location.problem(refusal.write(first).write("make that file with: openssl rand -hex 32"));
    }
    let authorities = authorities.and_then(|trust| trust.own_certificates().map(<[_]>::to_vec));
    Some(WebhookSettings { endpoint, secrets: secrets?, authorities })
}

fn warn_of_plain_http(item: &Item<'_>, endpoint: &OutboundEndpoint) {
    if endpoint.is_exposed() {
        let refusal = ValueRefusal::new("over plain http everybody on the network path can read who signs in and out");
        item.location.warning(refusal.write("write an https:// address"));
    }
}

fn secrets(folder: &Path, text: &str) -> Result<WebhookSecrets, ValueRefusal> {
    let path = files::resolve(folder, text)?;
    let content = zeroize::Zeroizing::new(files::read_up_to(&path, SECRETS)?);
    WebhookSecrets::parse(&content).map_err(|error| ValueRefusal::of_file(&path, text, &error))
}

fn trust(folder: &Path, text: &str) -> Result<std::sync::Arc<UpstreamTrust>, ValueRefusal> {
    let path = files::resolve(folder, text)?;
    let content = files::read_up_to(&path, CERTIFICATES)?;
    UpstreamTrust::from_pem(&content).map_err(|error| ValueRefusal::of_file(&path, text, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    /// The settings, or what is wrong.
    fn read_in(folder: &Path, audit: &str) -> Result<AuditSettings, String> {
        let text = format!(
            "listen = ['127.0.0.1:0']\npublic_url = 'http://localhost'\n[[route]]\nupstream = 'http://127.0.0.1:9'\n\
             [login]\nusers = 'u.toml'\n[audit]\n{audit}\n"
        );
        parse("config.toml", &text, folder).map(|(settings, _)| settings.audit).map_err(|report| report.render(false))
    }

    #[test]
    fn a_file_has_limits_by_default() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_in(folder.path(), ""), Ok(AuditSettings::default()));
        assert_eq!(read_in(folder.path(), "file = ''\nwebhook = ''"), Ok(AuditSettings::default()));
        let path = folder.path().join("audit.jsonl");
        let file = read_in(folder.path(), "file = 'audit.jsonl'").unwrap().file;
        assert_eq!(file, Some(FileSettings { path, size: 104_857_600, older: 10, sync: true }));
        for (text, wrong) in [
            ("file = 'no/such.jsonl'", "cannot be a file"),
            ("file = '.'", "cannot be a file"),
            ("file = 'a'\nfile_size = 1", "between 4_096"),
            ("file = 'a'\nolder_files = 1001", "between 0 and 1_000"),
        ] {
            let report = read_in(folder.path(), text).unwrap_err();
            assert!(report.contains(wrong), "{text}: {report}");
        }
    }

    #[test]
    fn a_webhook_needs_a_secret_that_no_report_shows() {
        let folder = tempfile::tempdir().unwrap();
        let secret = "0123456789abcdef0123456789abcdef";
        std::fs::write(folder.path().join("good"), secret).unwrap();
        std::fs::write(folder.path().join("short"), "kurz-und-geheim").unwrap();
        let hook = "webhook = 'https://audit.test/hook'\n";
        let settings = read_in(folder.path(), &format!("{hook}webhook_secret_file = 'good'")).unwrap();
        assert!(!format!("{settings:?}").contains("0123"), "{settings:?}");
        for (text, wrong) in [
            (hook.to_owned(), "needs a secret"),
            (format!("{hook}webhook_secret_file = 'none'"), "not found"),
            (format!("{hook}webhook_secret_file = 'short'"), "24 to 64"),
            (format!("{hook}webhook_secret_file = 'good'\nwebhook_ca_file = 'good'"), "no certificate"),
            ("webhook = 'ftp://a.test/'\nwebhook_secret_file = 'good'".to_owned(), "must be an address"),
        ] {
            let report = read_in(folder.path(), &text).unwrap_err();
            assert!(report.contains(wrong) && !report.contains("kurz-und"), "{text}: {report}");
        }
    }
}
