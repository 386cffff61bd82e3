//! Recovery: an open table delivers the orphaned spools of earlier processes.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::dead::{Dead, Found};
use super::disk::{Disk, How, list_or_none, off_thread};
use super::drain::{Drained, Event, Target, Watch, drain};
use super::layout;
use crate::shared::{REPORTED_ATTEMPT, Shared};
use crate::{Backend, Recovered, RetryPolicy, StopReason};

/// The location of a table's spools.
#[derive(Clone, Debug)]
pub(crate) struct SpoolHome {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) table_dir: PathBuf,
    pub(crate) server: String,
    pub(crate) retry: RetryPolicy,
    pub(crate) pace: Duration,
    /// Whether rows must survive power failures.
    pub(crate) sync: bool,
}

/// Interval of checking whether other processes that log to the table have ended.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Delivers the orphaned spools of this table, one after the other.
///
/// Returns when no other process holds a spool of the table.
pub(crate) async fn recover(shared: Arc<Shared>, backend: Arc<dyn Backend>, home: SpoolHome) {
    let mut left_alone = BTreeSet::new();
    while deliver_dead(&shared, &backend, &home, &mut left_alone).await {
        shared.set_recovery_idle(true);
        tokio::time::sleep(LOOK_AGAIN).await;
        shared.set_recovery_idle(false);
    }
}

/// Delivers the spools that are orphaned now. Returns `true` if running processes hold others. A
/// spool that cannot be delivered is reported once.
async fn deliver_dead(
    shared: &Shared,
    backend: &Arc<dyn Backend>,
    home: &SpoolHome,
    left_alone: &mut BTreeSet<String>,
) -> bool {
    let table = &shared.table;
    let writers = match find(shared, home).await {
        Ok(writers) => writers,
        Err(error) => {
            tracing::warn!(%table, %error, "cannot search for orphaned spools");
            return false;
        }
    };
    let mut is_any_busy = false;
    for writer in writers {
        if !left_alone.insert(writer.clone()) {
            continue;
        }
        let opened = {
            let (disk, dir, writer) =
                (Arc::clone(&home.disk), home.table_dir.clone(), writer.clone());
            off_thread(&home.disk, move || Dead::open(&disk, &dir, &writer)).await
        };
        let dead = match opened.and_then(|opened| opened) {
            Ok(Found::Dead(dead)) => dead,
            Ok(Found::Busy) => {
                is_any_busy = true;
                left_alone.remove(&writer);
                continue;
            }
            Ok(Found::Gone) => continue,
            Ok(Found::Newer(version)) => {
                tracing::warn!(%table, %writer, version, "a newer version wrote this spool; its rows are not delivered");
                continue;
            }
            Ok(Found::Unreadable) => {
                tracing::error!(%table, %writer, "a spool is damaged and cannot be delivered");
                continue;
            }
            Err(error) => {
                tracing::warn!(%table, %writer, %error, "cannot open a spool");
                continue;
            }
        };
        // Two tables with truncated folder names may share a folder.
        if dead.table != *table || dead.header.server != home.server {
            continue;
        }
        let target = Target {
            backend: Arc::clone(backend),
            table: table.clone(),
            limits: shared.limits,
            retry: home.retry,
            pace: home.pace,
        };
        match drain(*dead, &target, &mut Watching { shared }).await {
            Ok(Drained::Done) => {
                tracing::info!(%table, %writer, "delivered the rows of an earlier process");
            }
            Ok(Drained::Stopped(reason)) => {
                tracing::error!(%table, %writer, %reason, "rows of an earlier process were not delivered and stay in the spool");
            }
            Err(error) => {
                tracing::error!(%table, %writer, %error, "a spool was not delivered completely");
            }
        }
    }
    is_any_busy
}

/// Returns the other writers of the table. Syncs the orphaned ones.
async fn find(shared: &Shared, home: &SpoolHome) -> io::Result<Vec<String>> {
    let (disk, dir, sync) = (Arc::clone(&home.disk), home.table_dir.clone(), home.sync);
    let own = Arc::clone(&shared.writer);
    let look = move || {
        let mut writers = writers_of(&*disk, &dir)?;
        writers.retain(|writer| **writer != *own);
        // A dead writer cannot sync its segments, so this is done here.
        writers.iter().filter(|_| sync).for_each(|writer| make_safe(&*disk, &dir, writer));
        Ok(writers)
    };
    off_thread(&home.disk, look).await?
}

/// Syncs an orphaned spool. Errors are ignored.
fn make_safe(disk: &dyn Disk, table_dir: &Path, writer: &str) {
    let dir = table_dir.join(writer);
    // A running process syncs its own spool, and must see the errors itself.
    let Ok(Some(_lock)) = disk.lock(&layout::lock(table_dir, writer)) else { return };
    for name in list_or_none(disk, &dir).unwrap_or_default() {
        if layout::segment_number(&name).is_some()
            && let Ok(file) = disk.open(&dir.join(name), How::Read)
        {
            let _ = file.sync();
        }
    }
    let _ = disk.sync_dir(&dir);
}

/// Returns the writers that have a folder or a lock.
pub(crate) fn writers_of(disk: &dyn Disk, table_dir: &Path) -> io::Result<Vec<String>> {
    let names = list_or_none(disk, table_dir)?;
    let locked = names.iter().filter_map(|name| layout::writer_of_lock(name));
    let mut writers: Vec<String> =
        layout::writers(&names).chain(locked).map(str::to_owned).collect();
    writers.sort();
    writers.dedup();
    Ok(writers)
}

struct Watching<'a> {
    shared: &'a Shared,
}

#[async_trait]
impl Watch for Watching<'_> {
    fn hear(&mut self, event: Event<'_>) {
        let table = &self.shared.table;
        let count = |add: &dyn Fn(&mut Recovered)| {
            add(&mut self.shared.core().recovered);
            self.shared.progress.notify_waiters();
        };
        match event {
            Event::Found(rows) => count(&|recovered| recovered.found += rows),
            Event::Acked(rows) => count(&|recovered| recovered.acked += rows),
            Event::Rejected { line, reason } => {
                count(&|recovered| recovered.rejected += 1);
                self.shared.reject(line, reason.to_owned());
            }
            Event::Media { .. } => self.shared.progress.notify_waiters(),
            Event::SetAside(path) => {
                count(&|recovered| recovered.damaged += 1);
                let path = path.display();
                tracing::error!(%table, %path, "moved a damaged part of the spool aside");
            }
            Event::Lost(rows) => {
                count(&|recovered| recovered.lost += rows);
                tracing::error!(%table, rows, "rows of an earlier process are damaged and lost");
            }
            Event::Torn(bytes) => {
                tracing::info!(%table, bytes, "ignored an incomplete row at the end of the spool");
            }
            Event::Trouble(error) => {
                tracing::warn!(%table, %error, "an operation on the spool failed")
            }
            Event::Failed { attempts: REPORTED_ATTEMPT, reason } => {
                tracing::warn!(%table, reason, "an earlier process's rows wait and are sent again");
            }
            Event::Failed { .. } => {}
        }
    }

    async fn stopped(&mut self, reason: &StopReason) -> bool {
        let table = &self.shared.table;
        tracing::error!(%table, %reason, "delivery of an earlier process's rows has stopped; they stay in the spool");
        self.shared.set_recovery_idle(true);
        self.shared.resumed.notified().await;
        self.shared.set_recovery_idle(false);
        true
    }
}
