//! Delivery of orphaned spools without the programs that wrote them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamtable_schema::TablePath;

use super::deliver_orphan::{Delivery, Event, Target, Watch, deliver_orphan};
use super::disk::{Disk, Machine, off_thread};
use super::inspect::table_dirs;
use super::orphan::{Lookup, OrphanSpool};
use super::recover::writers_of;
use crate::open::open_at_backend;
use crate::session::Backoff;
use crate::shared::REPORTED_ATTEMPT;
use crate::{Backend, BatchLimits, OpenError, RetryPolicy, StopReason};

/// Options of [`sync`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncOptions {
    /// Limits of the batches that are sent.
    pub limits: BatchLimits,
    /// Delays between retries.
    pub retry: RetryPolicy,
    /// How long to try to reach a server before its spools are skipped. The default is 30 s.
    pub open_timeout: Duration,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            limits: BatchLimits::default(),
            retry: RetryPolicy::default(),
            open_timeout: Duration::from_secs(30),
        }
    }
}

/// The result of [`sync`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of spools that were delivered completely and removed.
    pub spools: u64,
    /// Number of spools held by running processes, which deliver their rows themselves.
    pub busy: u64,
    /// Spools that were not delivered, or not completely.
    pub left: Vec<Left>,
    /// Number of rows found.
    pub found: u64,
    /// Number of rows that a server has stored.
    pub acked: u64,
    /// Number of rows that a server rejected permanently; they are in the table's `rejected.jsonl`.
    pub rejected: u64,
    /// Number of media files that a server has stored.
    pub media_uploaded: u64,
    /// Number of media files that a server rejected permanently.
    pub media_failed: u64,
    /// Number of damaged places that were moved aside.
    pub damaged: u64,
    /// Number of rows known to be lost with them.
    pub lost: u64,
}

/// A spool that was not delivered, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The folder of the spool.
    pub dir: PathBuf,
    /// Why the spool was not delivered.
    pub reason: String,
}

/// The progress of [`sync`].
#[derive(Debug)]
pub struct SyncProgress<'a> {
    /// The table whose rows are being delivered.
    pub table: &'a TablePath,
    /// The id of the writer.
    pub writer: &'a str,
    /// The totals so far.
    pub tally: &'a Tally,
    /// Why the last attempt failed; it is retried.
    pub trouble: Option<&'a str>,
}

/// Delivers all orphaned spools below a folder, one after the other.
///
/// `connect` creates the backend for a server's URL and is called once for each server. `progress`
/// is called after every step. A spool that cannot be delivered does not prevent the delivery of
/// others. While a server is busy, this retries without a time limit; drop the future to stop. Rows
/// that were acked stay acked.
///
/// Fails only if the folder cannot be read. A missing folder contains no spools.
pub async fn sync<C, P>(
    root: &Path,
    options: &SyncOptions,
    connect: C,
    mut progress: P,
) -> io::Result<Tally>
where
    C: Fn(&str) -> Result<Arc<dyn Backend>, OpenError> + Send,
    P: FnMut(SyncProgress<'_>) + Send,
{
    let disk: Arc<dyn Disk> = Arc::new(Machine);
    let (of, below) = (Arc::clone(&disk), root.to_owned());
    let found = off_thread(&disk, move || -> io::Result<Vec<(PathBuf, String)>> {
        let mut found = Vec::new();
        for dir in table_dirs(&*of, &below)? {
            let writers = writers_of(&*of, &dir)?;
            found.extend(writers.into_iter().map(|writer| (dir.clone(), writer)));
        }
        Ok(found)
    });
    let mut tally = Tally::default();
    let mut servers = BTreeMap::new();
    for (table_dir, writer) in found.await?? {
        let dir = table_dir.join(&writer);
        let from = Arc::clone(&disk);
        let opened =
            off_thread(&disk, move || OrphanSpool::open(&from, &table_dir, &writer)).await?;
        let orphan = match opened {
            Ok(Lookup::Orphan(orphan)) => *orphan,
            Ok(Lookup::Busy) => {
                tally.busy += 1;
                continue;
            }
            Ok(Lookup::Gone) => continue,
            Ok(Lookup::Newer(version)) => {
                let reason = format!("format {version} is newer than this program");
                tally.left.push(Left { dir, reason });
                continue;
            }
            Ok(Lookup::Unreadable) => {
                let reason =
                    "its segments are lost or damaged, and with them the name of its table"
                        .to_owned();
                tally.left.push(Left { dir, reason });
                continue;
            }
            Err(error) => {
                tally.left.push(Left { dir, reason: error.to_string() });
                continue;
            }
        };
        let server = orphan.header.server.clone();
        let backend = servers.entry(server).or_insert_with_key(|server| connect(server));
        let result = match backend {
            Ok(backend) => deliver(orphan, backend, options, &mut tally, &mut progress).await,
            Err(error) => Err(error.to_string()),
        };
        match result {
            Ok(()) => tally.spools += 1,
            Err(reason) => tally.left.push(Left { dir, reason }),
        }
    }
    Ok(tally)
}

async fn deliver(
    orphan: OrphanSpool,
    backend: &Arc<dyn Backend>,
    options: &SyncOptions,
    tally: &mut Tally,
    progress: &mut (dyn FnMut(SyncProgress<'_>) + Send),
) -> Result<(), String> {
    let seed = u64::from(orphan.header.salt());
    let table = orphan.table.clone();
    let backoff = Backoff::new(options.retry, seed);
    let opened =
        open_at_backend(&**backend, &table.clone().into(), options.open_timeout, backoff).await;
    let opened = opened.map_err(|error| error.to_string())?;
    let target = Target {
        backend: Arc::clone(backend),
        table: table.clone(),
        limits: options.limits,
        retry: options.retry,
        pace: opened.pace,
    };
    let writer = orphan.header.writer.clone();
    let mut watch = Tallying { table: &table, writer: &writer, tally, progress };
    match deliver_orphan(orphan, &target, &mut watch).await {
        Ok(Delivery::Done) => {
            if let Err(error) = backend.finish(&table).await {
                tracing::debug!(%table, %error, "the finish request failed");
            }
            Ok(())
        }
        Ok(Delivery::Stopped(reason)) => Err(reason.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

struct Tallying<'a> {
    table: &'a TablePath,
    writer: &'a str,
    tally: &'a mut Tally,
    progress: &'a mut (dyn FnMut(SyncProgress<'_>) + Send),
}

#[async_trait]
impl Watch for Tallying<'_> {
    fn on_event(&mut self, event: Event<'_>) {
        let table = self.table;
        let mut trouble = None;
        match event {
            Event::Failed { attempts, reason } => {
                if attempts == REPORTED_ATTEMPT {
                    tracing::warn!(%table, reason, "delivery of rows fails; it is retried");
                }
                trouble = Some(reason);
            }
            Event::Found(rows) => self.tally.found += rows,
            Event::Acked(rows) => self.tally.acked += rows,
            Event::Rejected { reason, .. } => {
                tracing::warn!(%table, %reason, "a row was rejected");
                self.tally.rejected += 1;
            }
            Event::Media { uploaded, failed } => {
                self.tally.media_uploaded += uploaded;
                self.tally.media_failed += failed;
            }
            Event::SetAside(path) => {
                let path = path.display();
                tracing::error!(%table, %path, "moved a damaged part of the spool aside");
                self.tally.damaged += 1;
            }
            Event::Lost(rows) => self.tally.lost += rows,
            Event::Torn(_) => {}
            Event::Trouble(error) => {
                tracing::warn!(%table, %error, "an operation on the spool failed")
            }
        }
        let Self { table, writer, tally, .. } = self;
        (self.progress)(SyncProgress { table, writer, tally, trouble });
    }

    async fn stopped(&mut self, _: &StopReason) -> bool {
        false
    }
}
