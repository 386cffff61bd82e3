//! Monitors: evaluated by queries, recorded in the table `_monitors` of their project, and reported to
//! targets.
//!
//! A transition, the row about it and the messages about it are stored in one transaction of the
//! catalog. Rows are appended and messages are sent from there, so that a restart neither loses nor
//! repeats one.

mod catalog;
mod deliver;
mod evaluate;
mod publish;
mod routes;
mod schedule;
mod sql;
mod targets;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use streamtable_monitor::{Event, Severity, State};
use streamtable_server_core::{Alert, AlertLevel, Alerts, Core};
use streamtable_store::Store;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::documents::{DocumentCatalog, Kind};
use crate::{ApiError, Principal, Right};
use catalog::{MonitorCatalog, Record};
use deliver::Sender;
use evaluate::Evaluator;
use schedule::{Entry, RowCells, now, row};

pub(crate) use catalog::TABLES;
pub(crate) use routes::{
    delete, get, list, put, silence, state, test, test_document, unsilence, versions,
};
pub(crate) use targets::{
    delete as delete_target, get as get_target, list as targets, put as put_target,
    test as test_target,
};

/// Maximum number of monitors of a project.
const MAX_MONITORS: i64 = 2_000;

/// The target of alerts of programs.
const DEFAULT_TARGET: &str = "default";

/// Maximum length of an alert's text in characters.
const MAX_ALERT: usize = 2_000;

/// Settings of monitors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonitorsConfig {
    /// Whether messages may be sent to addresses that are not public: this machine and its network.
    pub allow_private_targets: bool,
    /// The command that targets of the kind `command` run. It gets a message as JSON on its standard
    /// input. Without it, such targets do not work.
    pub command: Option<PathBuf>,
}

/// The monitors of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Monitors(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    catalog: MonitorCatalog,
    documents: DocumentCatalog,
    evaluator: Evaluator,
    /// Evaluates tests of monitors, one at a time.
    tester: Evaluator,
    testing: Semaphore,
    sender: Sender,
    /// By id.
    entries: Mutex<BTreeMap<i64, Entry>>,
    /// Notified when documents or silences have changed.
    changed: Notify,
    /// Notified when rows wait.
    recorded: Notify,
    /// Notified when messages wait.
    reported: Notify,
    stopping: CancellationToken,
}

/// How many groups of a monitor are in a state.
#[derive(Debug)]
pub(crate) struct Level {
    pub(crate) entity: String,
    pub(crate) project: String,
    pub(crate) name: String,
    pub(crate) severity: &'static str,
    pub(crate) state: &'static str,
    pub(crate) groups: u64,
}

impl Monitors {
    pub(crate) fn new(core: &Core, store: Arc<dyn Store>, config: &MonitorsConfig) -> Self {
        let kind = Kind { noun: "monitor", max: MAX_MONITORS };
        Self(Arc::new(Inner {
            catalog: MonitorCatalog::new(core.catalog.clone()),
            documents: DocumentCatalog::new(core.catalog.clone(), kind),
            evaluator: Evaluator::new(Arc::clone(&store), true),
            tester: Evaluator::new(Arc::clone(&store), false),
            testing: Semaphore::new(1),
            sender: Sender::new(config),
            entries: Mutex::default(),
            changed: Notify::new(),
            recorded: Notify::new(),
            reported: Notify::new(),
            stopping: core.stopping.clone(),
            store,
        }))
    }

    /// Starts to evaluate, to record and to deliver, until the server stops.
    pub(crate) fn start(&self) -> Vec<JoinHandle<()>> {
        let until_stopped = |work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
            let stopping = self.0.stopping.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = work => {}
                    () = stopping.cancelled() => {}
                }
            })
        };
        vec![
            until_stopped(Box::pin(schedule::run(self.clone()))),
            until_stopped(Box::pin(publish::run(self.clone()))),
            until_stopped(Box::pin(deliver::run(self.clone()))),
        ]
    }

    /// Returns how many groups are pending or firing, of the monitors that a principal may read.
    pub(crate) fn alerts(&self, principal: &Principal) -> Vec<Level> {
        let mut levels = Vec::new();
        for entry in self.0.entries.lock().values() {
            if !principal.may(Right::Read, &entry.path.entity) {
                continue;
            }
            for state in [State::Pending, State::Firing] {
                let groups = entry.machine.groups().filter(|(_, it)| it.state() == state).count();
                if groups > 0 {
                    levels.push(Level {
                        entity: entry.path.entity.clone(),
                        project: entry.path.project.clone(),
                        name: entry.path.name.clone(),
                        severity: entry.monitor.severity.as_str(),
                        state: state.as_str(),
                        groups: groups as u64,
                    });
                }
            }
        }
        levels
    }
}

#[async_trait]
impl Alerts for Monitors {
    async fn raise(&self, alert: Alert) -> Result<(), ApiError> {
        let severity = match alert.level {
            AlertLevel::Info => Severity::Info,
            AlertLevel::Warn => Severity::Warning,
            AlertLevel::Error => Severity::Error,
        };
        let cut = |text: &str| text.chars().take(MAX_ALERT).collect::<String>();
        let (title, text, at) = (cut(&alert.title), cut(&alert.text), now());
        let message = match text.is_empty() {
            true => title.clone(),
            false => format!("{title}: {text}"),
        };
        let cells = RowCells {
            monitor: "wandb.alert",
            group: &alert.run,
            from: None,
            to: State::Firing,
            value: None,
            severity: severity.as_str(),
            message: &message,
            at,
        };
        let event = Event {
            id: Uuid::new_v4().to_string(),
            monitor: format!("{}/{}/{}", alert.entity, alert.project, alert.run),
            title,
            group: alert.run.clone(),
            from: None,
            to: State::Firing,
            value: None,
            severity,
            message: text,
            at,
        };
        let record = Record {
            rows: vec![row(&cells)],
            events: vec![(event, vec![DEFAULT_TARGET.to_owned()])],
            entity: alert.entity,
            project: alert.project,
        };
        self.0.catalog.record(record).await?;
        self.0.recorded.notify_one();
        self.0.reported.notify_one();
        Ok(())
    }
}
