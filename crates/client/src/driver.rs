//! The delivery task. It executes what the session decides.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamtable_schema::TablePath;

use crate::delivery::{InFlight, Lane, at, in_flight, within};
use crate::shared::{LiveFiles, LiveRows, Shared, eprint_line, now};
use crate::spool::disk::{Disk, off_thread};
use crate::spool::maintenance::Task;
use crate::spool::recover::{SpoolHome, recover};
use crate::{AppendError, Backend, Stats};

/// Time limit for reporting that a writer has finished, including retries.
const FINISH_TIMEOUT: Duration = Duration::from_secs(10);

/// Delivers a table's rows until the table is finished or abandoned.
pub(crate) fn drive(
    shared: Arc<Shared>,
    backend: Arc<dyn Backend>,
    spool: Option<SpoolHome>,
) -> impl Future<Output = ()> {
    // Created here, because a task may be dropped before it is first polled.
    let gone = Gone(shared);
    async move {
        match spool {
            Some(home) if gone.0.is_offline => maintain_offline(&gone.0, &home).await,
            spool => deliver(&gone.0, backend, spool).await,
        }
    }
}

/// Runs the spool maintenance of an offline table.
async fn maintain_offline(shared: &Shared, home: &SpoolHome) {
    loop {
        let due = match shared.next_task() {
            Ok(task) => {
                run_task(shared, &home.disk, task).await;
                continue;
            }
            Err(until) => until,
        };
        if shared.core().is_finished {
            break;
        }
        tokio::select! {
            biased;
            () = at(due) => {}
            () = shared.wake.notified() => {}
        }
    }
    shared.close_spool();
    shared.core().is_closed = true;
    shared.progress.notify_waiters();
}

async fn run_task(shared: &Shared, disk: &Arc<dyn Disk>, task: Task) {
    // A panic in the task is a bug; the rows then do not count as durable.
    if let Ok(done) = off_thread(disk, move || task.run()).await {
        shared.finish_task(done);
    }
}

async fn deliver(shared: &Arc<Shared>, backend: Arc<dyn Backend>, spool: Option<SpoolHome>) {
    let mut recovery: Option<InFlight<()>> = spool.as_ref().map(|home| {
        let recovery = recover(Arc::clone(shared), Arc::clone(&backend), home.clone());
        Box::pin(recovery) as InFlight<()>
    });
    let mut maintenance: Option<InFlight<()>> = None;
    let mut rows = Lane::new(LiveRows(shared), &backend);
    let mut files = Lane::new(LiveFiles(shared), &backend);
    loop {
        let mut due = earlier(rows.start(), files.start());
        if let Some(home) = &spool
            && maintenance.is_none()
        {
            match shared.next_task() {
                Ok(task) => {
                    let (shared, disk) = (Arc::clone(shared), Arc::clone(&home.disk));
                    maintenance =
                        Some(Box::pin(async move { run_task(&shared, &disk, task).await }));
                }
                Err(until) => due = earlier(due, until),
            }
        }
        match end(shared, recovery.is_some()) {
            End::NotYet(give_up_at) => due = earlier(due, give_up_at),
            End::Settled => {
                shared.close_spool();
                close(shared, &*backend).await;
                break;
            }
            End::GivenUp => break,
        }
        tokio::select! {
            // The order is fixed, so that a schedule can be reproduced. Branches that may always be
            // ready come last, so that the others do not starve.
            biased;
            () = at(due) => {}
            () = in_flight(&mut maintenance) => maintenance = None,
            () = in_flight(&mut recovery) => {
                recovery = None;
                shared.progress.notify_waiters();
            }
            () = files.settle() => {}
            () = rows.settle() => {}
            () = shared.wake.notified() => {}
        }
    }
}

enum End {
    NotYet(Option<Instant>),
    Settled,
    GivenUp,
}

fn end(shared: &Shared, is_recovering: bool) -> End {
    let core = shared.core();
    let give_up_at = core.abandoned_at;
    let may_end = !is_recovering || core.is_recovery_idle;
    if core.is_finished && core.stats().is_settled() && may_end {
        End::Settled
    } else if give_up_at.is_some_and(|at| at <= now() || core.stuck_reason().is_some()) {
        End::GivenUp
    } else {
        End::NotYet(give_up_at)
    }
}

/// Reports that the writer has finished. All rows are stored by now, so a failure is only logged.
async fn close(shared: &Shared, backend: &dyn Backend) {
    let mut delay = Duration::from_millis(100);
    let attempts = async {
        loop {
            match backend.finish(&shared.table).await {
                Err(AppendError::Transient { retry_after, .. }) => {
                    tokio::time::sleep(delay.max(retry_after.unwrap_or_default())).await;
                    delay *= 2;
                }
                other => return other,
            }
        }
    };
    let result = within(FINISH_TIMEOUT, attempts).await;
    if let Err(error) = result {
        tracing::warn!(table = %shared.table, %error, "the end of the writer could not be reported to the server");
    }
    shared.core().is_closed = true;
    shared.progress.notify_waiters();
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Reports rows that this process will not deliver any more: in the log, or in a line on standard
/// error if there is no log subscriber and `may_print` is set.
pub(crate) fn report_left(
    table: &TablePath,
    stats: &Stats,
    is_spooled: bool,
    cause: &str,
    may_print: bool,
) {
    let fate = match is_spooled {
        true => "stay in the spool until the table is opened again or `streamtable sync` runs",
        false => "are lost, because they were only in memory",
    };
    if is_spooled {
        tracing::warn!(%table, %stats, %cause, "rows {fate}");
    } else {
        tracing::error!(%table, %stats, %cause, "rows {fate}");
    }
    if may_print && !tracing::dispatcher::has_been_set() {
        eprint_line(format_args!("streamtable: rows of {table} {fate}: {stats} ({cause})"));
    }
}

/// Marks the driver as gone when the task ends or is dropped with its runtime.
struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        let mut core = self.0.core();
        core.is_driver_gone = true;
        let (stats, error) = (core.stats(), core.last_error());
        let is_abandoned = core.abandoned_at.is_some_and(|at| at <= now());
        let is_spooled = core.journal.spool().is_some();
        let has_asked = core.has_asked;
        drop(core);
        self.0.close_spool();
        self.0.progress.notify_waiters();
        if stats.is_settled() {
            return;
        }
        let cause = match error {
            _ if std::thread::panicking() => "the backend panicked".to_owned(),
            Some(error) => error,
            None if is_abandoned => "the time limit is reached".to_owned(),
            None => "the runtime that delivers the rows has ended".to_owned(),
        };
        // Spooled rows are not lost, so the result of `finish` is enough.
        let may_print = !(has_asked && is_spooled);
        report_left(&self.0.table, &stats, is_spooled, &cause, may_print);
    }
}
