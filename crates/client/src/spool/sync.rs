//! Delivering what lies in a spool, without the programs that wrote it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamtable_schema::TablePath;

use super::dead::{Dead, Found};
use super::disk::{Disk, Machine, off_thread};
use super::drain::{Drained, Event, Target, Watch, drain};
use super::inspect::table_dirs;
use super::recover::writers_of;
use crate::builder::open;
use crate::session::Backoff;
use crate::shared::REPORTED_ATTEMPT;
use crate::{Backend, BatchLimits, OpenError, RetryPolicy, StopReason};

/// How [`sync`] delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncOptions {
    /// How rows go out together.
    pub limits: BatchLimits,
    /// How long to wait before a repetition.
    pub retry: RetryPolicy,
    /// How long to try to reach a server before its spools are left. 30 s by default.
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

/// What [`sync`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Spools that were delivered wholly, and are gone.
    pub spools: u64,
    /// Spools of processes that live: they deliver their rows themselves.
    pub busy: u64,
    /// Spools that were not, or not wholly, delivered.
    pub left: Vec<Left>,
    /// Rows that were found.
    pub found: u64,
    /// Those that a server has stored.
    pub acked: u64,
    /// Those that a server refused for good; they are in the table's `rejected.jsonl`.
    pub rejected: u64,
    /// Media files that a server has stored.
    pub media_uploaded: u64,
    /// Media files that a server refused for good.
    pub media_failed: u64,
    /// Damaged places that were set aside.
    pub damaged: u64,
    /// Rows that are known to be lost with them.
    pub lost: u64,
}

/// A spool that was left, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its folder.
    pub dir: PathBuf,
    /// What stood in the way.
    pub reason: String,
}

/// How far [`sync`] is.
#[derive(Debug)]
pub struct SyncProgress<'a> {
    /// The table whose rows are under way.
    pub table: &'a TablePath,
    /// Who wrote them.
    pub writer: &'a str,
    /// What was done so far.
    pub tally: &'a Tally,
    /// Why the last attempt to deliver brought no acknowledgement; it is repeated.
    pub trouble: Option<&'a str>,
}

/// Delivers all that dead processes left below a folder, one spool after the other.
///
/// `connect` makes the backend for a server's address, once each; `progress` hears of every step.
/// A spool that cannot be delivered does not keep others from it. While a server is busy this
/// waits, without an end; whoever has not the time drops the future: what is acked stays acked.
///
/// Only a folder that cannot be read is an error; one that is not there holds nothing.
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
        let opened = off_thread(&disk, move || Dead::open(&from, &table_dir, &writer)).await?;
        let dead = match opened {
            Ok(Found::Dead(dead)) => *dead,
            Ok(Found::Busy) => {
                tally.busy += 1;
                continue;
            }
            Ok(Found::Gone) => continue,
            Ok(Found::Newer(version)) => {
                let reason = format!("format {version} is newer than this program");
                tally.left.push(Left { dir, reason });
                continue;
            }
            Ok(Found::Unreadable) => {
                let reason = "it is damaged: nobody knows whose rows it holds".to_owned();
                tally.left.push(Left { dir, reason });
                continue;
            }
            Err(error) => {
                tally.left.push(Left { dir, reason: error.to_string() });
                continue;
            }
        };
        let server = dead.header.server.clone();
        let backend = servers.entry(server).or_insert_with_key(|server| connect(server));
        let result = match backend {
            Ok(backend) => deliver(dead, backend, options, &mut tally, &mut progress).await,
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
    dead: Dead,
    backend: &Arc<dyn Backend>,
    options: &SyncOptions,
    tally: &mut Tally,
    progress: &mut (dyn FnMut(SyncProgress<'_>) + Send),
) -> Result<(), String> {
    let seed = u64::from(dead.header.salt());
    let table = dead.table.clone();
    let backoff = Backoff::new(options.retry, seed);
    let opened = open(&**backend, &table.clone().into(), options.open_timeout, backoff).await;
    let opened = opened.map_err(|error| error.to_string())?;
    let target = Target {
        backend: Arc::clone(backend),
        table: table.clone(),
        limits: options.limits,
        retry: options.retry,
        pace: opened.pace,
    };
    let writer = dead.header.writer.clone();
    let mut watch = Tallying { table: &table, writer: &writer, tally, progress };
    match drain(dead, &target, &mut watch).await {
        Ok(Drained::Done) => {
            if let Err(error) = backend.finish(&table).await {
                tracing::debug!(%table, %error, "the server did not hear of the finish");
            }
            Ok(())
        }
        Ok(Drained::Stopped(reason)) => Err(reason.to_string()),
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
    fn hear(&mut self, event: Event<'_>) {
        let table = self.table;
        let mut trouble = None;
        match event {
            Event::Failed { attempts, reason } => {
                if attempts == REPORTED_ATTEMPT {
                    tracing::warn!(%table, reason, "rows wait and are sent again");
                }
                trouble = Some(reason);
            }
            Event::Found(rows) => self.tally.found += rows,
            Event::Acked(rows) => self.tally.acked += rows,
            Event::Rejected { reason, .. } => {
                tracing::warn!(%table, %reason, "a row was refused");
                self.tally.rejected += 1;
            }
            Event::Media { uploaded, failed } => {
                self.tally.media_uploaded += uploaded;
                self.tally.media_failed += failed;
            }
            Event::SetAside(path) => {
                let path = path.display();
                tracing::error!(%table, %path, "a part of the spool was damaged, and is set aside");
                self.tally.damaged += 1;
            }
            Event::Lost(rows) => self.tally.lost += rows,
            Event::Torn(_) => {}
            Event::Trouble(error) => tracing::warn!(%table, %error, "trouble with the spool"),
        }
        let Self { table, writer, tally, .. } = self;
        (self.progress)(SyncProgress { table, writer, tally, trouble });
    }

    async fn stopped(&mut self, _: &StopReason) -> bool {
        false
    }
}
