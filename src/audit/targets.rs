//! The targets of events besides the log: the audit file and the webhook.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::event::Event;
use super::file_writer::FileTarget;
use super::record::AuditRecord;
use super::settings::AuditSettings;
use super::webhook::{Backoff, WebhookTarget};
use crate::metrics::Metrics;
use crate::values::time::{Clock, WallTime};

/// The targets of one configuration. Dropping it stops their threads, after they have written the queued events.
#[derive(Debug)]
pub struct AuditTargets {
    settings: AuditSettings,
    file: Option<FileTarget>,
    webhook: Option<WebhookTarget>,
}

/// Why a target cannot be used.
#[derive(Debug, Error)]
pub enum AuditProblem {
    /// The audit file cannot be opened or its thread not be started; the second field is its path.
    #[error("the audit file {1} cannot be written: {0}; see [audit] file")]
    File(io::Error, String),
    /// The webhook's client or thread could not be started.
    #[error("the audit webhook cannot be used: {0}; see [audit] webhook")]
    Webhook(io::Error),
}

impl AuditTargets {
    pub(super) fn open(settings: AuditSettings, clock: &Clock, metrics: &Arc<Metrics>) -> Result<Self, AuditProblem> {
        Self::open_with(settings, Backoff::USUAL, clock, metrics)
    }

    pub(super) fn open_with(
        settings: AuditSettings,
        backoff: Backoff,
        clock: &Clock,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, AuditProblem> {
        let file = settings.file.clone().map(|file| {
            let path = file.path.display().to_string();
            FileTarget::open(file, clock, metrics).map_err(|error| AuditProblem::File(error, path))
        });
        let webhook = settings.webhook.clone();
        let webhook = webhook.map(|webhook| WebhookTarget::open(webhook, backoff, clock, metrics));
        Ok(Self { file: file.transpose()?, webhook: webhook.transpose().map_err(AuditProblem::Webhook)?, settings })
    }

    pub(super) fn settings(&self) -> &AuditSettings {
        &self.settings
    }

    /// Queues an event for each target, without blocking.
    pub(super) fn push(&self, at: WallTime, event: &Event<'_>) {
        if self.file.is_none() && self.webhook.is_none() {
            return;
        }
        let Some(record) = AuditRecord::of(event, at) else { return };
        if let Some(file) = &self.file {
            file.push(&record);
        }
        if let Some(webhook) = &self.webhook {
            webhook.push(&record);
        }
    }

    /// Waits until every queued event is written or delivered, at most for `patience` for each target.
    pub(super) fn flush(&self, patience: Duration) {
        if let Some(file) = &self.file {
            file.flush(patience);
        }
        if let Some(webhook) = &self.webhook {
            webhook.flush(patience);
        }
    }

    /// How much is queued: bytes for the file, events for the webhook.
    pub(super) fn waiting(&self) -> [usize; 2] {
        [self.file.as_ref().map_or(0, FileTarget::waiting), self.webhook.as_ref().map_or(0, WebhookTarget::waiting)]
    }
}
