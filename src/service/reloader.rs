//! Reads the configuration and the keys of a service again, and applies them or reports all problems.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::{ApplyOutcome, NotServed, Service};
use crate::admin::{self, Reload};
use crate::audit::{Event, Log, Operation};
use crate::config::{self, Outline, Report, Settings, StartValues};
use crate::credentials::user_file::{UserChanges, Users};
use crate::state::{self, KEY_FILE, StateProblem};
use crate::values::mac::MacKeys;
use crate::values::time::Clock;

/// The maximum number of changed users with an event in the audit log after one reload; all are counted.
const MAX_NAMED: usize = 1000;

/// The files that a reload reads.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The configuration, which names all other files.
    pub configuration: PathBuf,
    /// The key file; `None` if the keys were made for this run.
    pub keys: Option<PathBuf>,
}

/// A service, with the files of its configuration.
#[derive(Debug)]
pub struct Reloader {
    service: Arc<Service>,
    sources: Sources,
    start: StartValues,
    log: Log,
    clock: Clock,
    /// The current configuration. Locked during a reload, so that reloads run one after the other.
    current: Mutex<Current>,
}

/// The values that a reload compares with.
#[derive(Debug)]
pub struct Current {
    outline: Outline,
    users: Arc<Users>,
}

impl Current {
    /// The values of these settings.
    pub fn of(settings: &Settings) -> Self {
        Self { outline: settings.outline.clone(), users: Arc::clone(&settings.gateway.users) }
    }
}

/// What a reload changed.
#[derive(Debug)]
pub struct ReloadChanges {
    /// Keys of the configuration, and the key file's name.
    pub keys: Vec<String>,
    /// The changes of users in the users' file.
    pub users: UserChanges,
    /// The effects on sessions and running exchanges.
    pub applied: ApplyOutcome,
    /// Warnings, also about changes that need a restart.
    pub warnings: Report,
}

/// Why nothing was changed.
#[derive(Debug, Error)]
pub enum NotReloaded {
    /// The files have problems.
    #[error(transparent)]
    Refused(#[from] RefusedFiles),
    /// The files are valid, and the gateway cannot apply them.
    #[error("error: {0}\n")]
    NotServed(#[from] NotServed),
    /// The reload has panicked.
    #[error("error: the reload failed with an internal error: see the log\n")]
    Broken,
}

/// The problems of the files.
#[derive(Debug, Default, Error)]
pub struct RefusedFiles {
    /// Those of the configuration.
    configuration: Option<Report>,
    /// That of the key file.
    keys: Option<Box<StateProblem>>,
}

impl RefusedFiles {
    /// The number of problems.
    fn problems(&self) -> usize {
        self.configuration.iter().map(|report| report.findings().len()).sum::<usize>()
            + usize::from(self.keys.is_some())
    }
}

impl fmt::Display for RefusedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(report) = &self.configuration {
            report.fmt(f)?;
        }
        if let Some(problem) = &self.keys {
            writeln!(f, "error: {problem}")?;
        }
        Ok(())
    }
}

impl Reloader {
    /// A reloader of `service` from these files. `start` and `current` are of the settings that it was started with.
    pub fn new(
        service: Arc<Service>,
        sources: Sources,
        (start, current): (StartValues, Current),
        log: Log,
        clock: Clock,
    ) -> Self {
        Self { service, sources, start, log, clock, current: Mutex::new(current) }
    }

    /// Reads everything again: the configuration, the files that it names, and the keys. It runs after any other reload
    /// in progress, and is completed even if the caller's future is dropped.
    ///
    /// # Errors
    /// [`NotReloaded`]: then nothing has changed.
    pub async fn reload(self: Arc<Self>) -> Result<ReloadChanges, NotReloaded> {
        tokio::spawn(self.reload_here()).await.unwrap_or(Err(NotReloaded::Broken))
    }

    async fn reload_here(self: Arc<Self>) -> Result<ReloadChanges, NotReloaded> {
        let mut current = self.current.lock().await;
        let reloaded = self.read_and_apply(&mut current).await;
        let event = match &reloaded {
            Ok(ReloadChanges { keys, users, applied, .. }) => Event::Reloaded {
                keys,
                users: [users.added, users.changed, users.removed],
                sessions_ended: applied.sessions_ended,
                exchanges_cut: applied.exchanges_cut,
            },
            Err(NotReloaded::Refused(refusal)) => Event::ReloadRefused { problems: refusal.problems() },
            Err(NotReloaded::NotServed(_) | NotReloaded::Broken) => Event::ReloadRefused { problems: 1 },
        };
        self.log.event(self.clock.wall(), &event);
        match &reloaded {
            Ok(changes) => note_findings(&changes.warnings),
            Err(NotReloaded::Refused(RefusedFiles { configuration, keys })) => {
                if let Some(report) = configuration {
                    note_findings(report);
                }
                if let Some(problem) = keys {
                    tracing::error!("{problem}");
                }
            }
            Err(NotReloaded::NotServed(problem)) => tracing::error!("{problem}"),
            Err(NotReloaded::Broken) => {}
        }
        reloaded
    }

    async fn read_and_apply(&self, current: &mut Current) -> Result<ReloadChanges, NotReloaded> {
        // No password may be changed between the reading of the users' file and its use, or the change would have no
        // effect here until the next reload.
        let _reading = self.service.hold_users().await;
        let (sources, start) = (self.sources.clone(), self.start.clone());
        // Reading files and rendering templates blocks, so it runs on a blocking thread.
        let read = spawn_blocking(move || read(&sources, &start)).await;
        let (settings, warnings, keys) = read.map_err(|_| NotReloaded::Broken)?.map_err(NotReloaded::Refused)?;
        let next = Current::of(&settings);
        let applied = self.service.apply(settings, keys).await.map_err(NotReloaded::NotServed)?;
        let (mut keys, users) = (current.outline.changed(&next.outline), current.users.changes(&next.users));
        if applied.keys.is_some() {
            keys.push(KEY_FILE.to_owned());
        }
        for (user, change) in current.users.changed_users(&next.users).take(MAX_NAMED) {
            self.log.event(self.clock.wall(), &Event::Operation(Operation::UserChanged { user, change }));
        }
        *current = next;
        Ok(ReloadChanges { keys, users, applied, warnings })
    }
}

/// Reads all files, so that all problems are reported at once.
fn read(sources: &Sources, start: &StartValues) -> Result<(Settings, Report, Option<MacKeys>), RefusedFiles> {
    let settings = config::load_again(&sources.configuration, start);
    let keys = sources.keys.as_deref().map(read_keys).transpose();
    match (settings, keys) {
        (Ok((settings, warnings)), Ok(keys)) => Ok((settings, warnings, keys)),
        (settings, keys) => Err(RefusedFiles { configuration: settings.err(), keys: keys.err().map(Box::new) }),
    }
}

/// The keys of a file that existed at the start. It is not created here, since new keys would sign every user out.
fn read_keys(path: &Path) -> Result<MacKeys, StateProblem> {
    state::read(path)?.ok_or_else(|| StateProblem::Missing(path.to_owned()))
}

#[async_trait]
impl Reload for Reloader {
    async fn reload(self: Arc<Self>) -> Result<admin::ReloadReport, admin::ReloadRefused> {
        match Self::reload(self).await {
            Ok(ReloadChanges { keys, users, applied, warnings }) => Ok(admin::ReloadReport {
                changed: keys,
                users,
                sessions_ended: applied.sessions_ended,
                exchanges_cut: applied.exchanges_cut,
                keys: applied.keys,
                warnings: warnings.render(false),
            }),
            Err(problem) => Err(admin::ReloadRefused { report: problem.to_string() }),
        }
    }
}

/// Logs each finding in one line, in the format of the log.
fn note_findings(report: &Report) {
    for finding in report.findings() {
        let line = report.line(finding);
        tracing::warn!(key = finding.key, line, help = finding.write.join("; "), "{}", finding.what);
    }
}
