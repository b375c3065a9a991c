//! The interface through which the admin socket reloads the configuration of the running program.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::credentials::user_file::UserChanges;
use crate::values::mac::KeyChanges;

/// A program that can read its configuration again.
#[async_trait]
pub trait Reload: fmt::Debug + Send + Sync {
    /// Reads the configuration and applies it, after any other reload in progress.
    ///
    /// # Errors
    /// The configuration is refused; then nothing has changed.
    async fn reload(self: Arc<Self>) -> Result<ReloadReport, ReloadRefused>;
}

/// What a reload changed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ReloadReport {
    /// Keys of the configuration, by their full names, and `exeunt.key` if the key file has changed.
    pub changed: Vec<String>,
    /// The changes of users in the users' file.
    pub users: UserChanges,
    /// The number of sessions that it ended.
    pub sessions_ended: usize,
    /// The number of running requests and WebSockets that it cut.
    pub exchanges_cut: usize,
    /// The changes of the keys in the key file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyChanges>,
    /// Warnings, in the form of `exeunt check`.
    pub warnings: String,
}

/// Why nothing was changed.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReloadRefused {
    /// All problems, in the form of `exeunt check`.
    pub report: String,
}

impl fmt::Display for ReloadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UserChanges { added, changed, removed } = self.users;
        if !self.changed.is_empty() {
            writeln!(f, "changed: {}", self.changed.join(", "))?;
        }
        if let Some(KeyChanges { added, removed, signs }) = self.keys {
            let signer = if signs { "another key signs" } else { "the same key signs" };
            writeln!(f, "keys: {added} added, {removed} removed, {signer}")?;
        }
        if self.users != UserChanges::default() {
            writeln!(f, "users: {added} added, {changed} changed, {removed} removed")?;
        }
        if self.changed.is_empty() && self.users == UserChanges::default() {
            writeln!(f, "no key and no user has changed; the files that the configuration names were read again")?;
        }
        writeln!(
            f,
            "{}, {}",
            counted(self.sessions_ended, "session", "ended"),
            counted(self.exchanges_cut, "request", "cut")
        )
    }
}

/// "1 session ended"
pub fn counted(count: usize, noun: &str, verb: &str) -> String {
    format!("{count} {noun}{} {verb}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_reported_in_a_few_lines() {
        let nothing = ReloadReport::default();
        assert!(nothing.to_string().starts_with("no key and no user has changed"), "{nothing}");
        let users = UserChanges { added: 1, changed: 0, removed: 2 };
        let much = ReloadReport {
            changed: vec!["limits.idle".into(), "exeunt.key".into()],
            users,
            sessions_ended: 1,
            keys: Some(KeyChanges { added: 1, removed: 0, signs: true }),
            ..nothing
        };
        let want = "changed: limits.idle, exeunt.key\nkeys: 1 added, 0 removed, another key signs\n\
             users: 1 added, 0 changed, 2 removed\n\
             1 session ended, 0 requests cut\n";
        assert_eq!(much.to_string(), want);
    }
}
