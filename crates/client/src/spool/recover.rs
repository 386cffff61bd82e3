//! What an opening table does with what earlier processes left.

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

/// Where a table's spools are.
#[derive(Clone, Debug)]
pub(crate) struct SpoolHome {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) table_dir: PathBuf,
    pub(crate) server: String,
    pub(crate) retry: RetryPolicy,
    pub(crate) pace: Duration,
    /// Whether rows are to survive power cuts.
    pub(crate) sync: bool,
}

/// While other processes log to the table, who of them has died is looked up this often.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Delivers what dead processes left for this table, one after the other.
///
/// Ends when no other process is left that could die.
pub(crate) async fn recover(shared: Arc<Shared>, backend: Arc<dyn Backend>, home: SpoolHome) {
    let mut left_alone = BTreeSet::new();
    while deliver_dead(&shared, &backend, &home, &mut left_alone).await {
        shared.set_recovery_idle(true);
        tokio::time::sleep(LOOK_AGAIN).await;
        shared.set_recovery_idle(false);
    }
}

/// Delivers what is there now; `true` if others hold more, who live. What cannot be delivered is
/// told once.
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
            tracing::warn!(%table, %error, "cannot look for what earlier processes left");
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
                tracing::warn!(%table, %writer, version, "rows in the spool are left to a newer version");
                continue;
            }
            Ok(Found::Unreadable) => {
                tracing::error!(%table, %writer, "a spool is damaged, and left alone");
                continue;
            }
            Err(error) => {
                tracing::warn!(%table, %writer, %error, "a spool cannot be opened");
                continue;
            }
        };
        // Two tables whose names were cut may share a folder.
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
                tracing::info!(%table, %writer, "an earlier process's rows are delivered");
            }
            Ok(Drained::Stopped(reason)) => {
                tracing::error!(%table, %writer, %reason, "an earlier process's rows are kept");
            }
            Err(error) => {
                tracing::error!(%table, %writer, %error, "a spool is not delivered whole");
            }
        }
    }
    is_any_busy
}

/// Finds the other writers, and makes safe what the dead among them left.
async fn find(shared: &Shared, home: &SpoolHome) -> io::Result<Vec<String>> {
    let (disk, dir, sync) = (Arc::clone(&home.disk), home.table_dir.clone(), home.sync);
    let own = Arc::clone(&shared.writer);
    let look = move || {
        let mut writers = writers_of(&*disk, &dir)?;
        writers.retain(|writer| **writer != *own);
        // Whoever died before he could is not asked any more.
        writers.iter().filter(|_| sync).for_each(|writer| make_safe(&*disk, &dir, writer));
        Ok(writers)
    };
    off_thread(&home.disk, look).await?
}

/// Makes a dead writer's rows safe from power cuts, as far as the disk lets it.
fn make_safe(disk: &dyn Disk, table_dir: &Path, writer: &str) {
    let dir = table_dir.join(writer);
    // Whoever lives does it himself, and must be the one who hears of an error.
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

/// The writers that have a folder or a lock.
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
                tracing::error!(%table, %path, "a part of the spool was damaged, and is set aside");
            }
            Event::Lost(rows) => {
                count(&|recovered| recovered.lost += rows);
                tracing::error!(%table, rows, "rows of an earlier process are lost");
            }
            Event::Torn(bytes) => {
                tracing::info!(%table, bytes, "the spool's torn end is cut: no row was there yet");
            }
            Event::Failed { attempts: REPORTED_ATTEMPT, reason } => {
                tracing::warn!(%table, reason, "an earlier process's rows wait and are sent again");
            }
            Event::Failed { .. } => {}
            Event::Trouble(error) => tracing::warn!(%table, %error, "trouble with the spool"),
        }
    }

    async fn stopped(&mut self, reason: &StopReason) -> bool {
        let table = &self.shared.table;
        tracing::error!(%table, %reason, "an earlier process's rows are kept for now");
        self.shared.set_recovery_idle(true);
        self.shared.resumed.notified().await;
        self.shared.set_recovery_idle(false);
        true
    }
}
