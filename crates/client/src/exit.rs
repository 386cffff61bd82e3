//! The end of the process: tables that were neither finished nor dropped, such as those in a
//! `static`, are given their time to deliver rows, and rows that are left are reported.

use std::sync::{Arc, Mutex, OnceLock, TryLockError, Weak};
use std::time::{Duration, Instant};

use crate::driver::report_left;
use crate::session::reachable;
use crate::shared::Shared;

/// The tables of this process.
static OPEN: OnceLock<Registry> = OnceLock::new();

/// Interval at which the exiting thread checks whether delivery has ended.
const CHECK_EVERY: Duration = Duration::from_millis(5);

struct Registry {
    /// A forked child inherits the hook, but not the delivery threads.
    process: u32,
    tables: Mutex<Vec<Watched>>,
}

/// A table to look after when the process ends.
struct Watched {
    shared: Weak<Shared>,
    /// How long its delivery thread may continue; `None` if the exiting thread may be the one that
    /// delivers the rows.
    timeout: Option<Duration>,
}

/// Registers a table whose rows are delivered by a task on the caller's runtime. They are only
/// reported at exit.
pub(crate) fn watch(shared: &Arc<Shared>) {
    register(Watched { shared: Arc::downgrade(shared), timeout: None });
}

/// Registers a table with its own thread, which may continue to deliver for `timeout` at exit.
pub(crate) fn watch_thread(shared: &Arc<Shared>, timeout: Duration) {
    register(Watched { shared: Arc::downgrade(shared), timeout: Some(timeout) });
}

fn register(table: Watched) {
    let registry = OPEN.get_or_init(|| {
        streamtable_mapped::at_exit(at_exit);
        Registry { process: std::process::id(), tables: Mutex::default() }
    });
    // After a fork, the mutex may be locked for ever.
    if registry.process == std::process::id()
        && let Ok(mut tables) = registry.tables.lock()
    {
        let is_same = |other: &Watched| Weak::ptr_eq(&other.shared, &table.shared);
        tables.retain(|other| other.shared.strong_count() > 0 && !is_same(other));
        tables.push(table);
    }
}

extern "C" fn at_exit() {
    // A log subscriber of the caller may panic, which would abort the process.
    let _ = std::panic::catch_unwind(finish_all);
}

/// Delivers and reports the rows of all tables that are still open.
fn finish_all() {
    let Some(registry) = OPEN.get().filter(|open| open.process == std::process::id()) else {
        return;
    };
    let tables = match registry.tables.try_lock() {
        Ok(mut tables) => std::mem::take(&mut *tables),
        Err(TryLockError::Poisoned(tables)) => std::mem::take(&mut *tables.into_inner()),
        // Another thread is opening a table.
        Err(TryLockError::WouldBlock) => return,
    };
    let start = Instant::now();
    let open: Vec<_> = tables
        .iter()
        .filter_map(|table| Some((table.shared.upgrade()?, table.timeout)))
        .filter(|(shared, _)| abandon(shared))
        .collect();
    for (shared, timeout) in open {
        if let Some(timeout) = timeout {
            wait(&shared, start + reachable(timeout));
        }
        report(&shared);
        // Dropping the last reference could run code of the caller.
        std::mem::forget(shared);
    }
}

/// Ends a table as if its last handle was dropped. Returns `false` if its caller has called `finish`
/// or its delivery has ended: then everything has been reported.
fn abandon(shared: &Shared) -> bool {
    let mut core = shared.core();
    if core.has_asked || core.is_driver_gone || core.stats().is_settled() {
        return false;
    }
    core.is_finished = true;
    core.flush();
    drop(core);
    shared.wake.notify_one();
    true
}

fn wait(shared: &Shared, deadline: Instant) {
    loop {
        let core = shared.core();
        // After the last row, the driver still removes the spool and reports the writer's end.
        if core.is_driver_gone || core.stuck_reason().is_some() {
            return;
        }
        drop(core);
        if Instant::now() >= deadline {
            return;
        }
        std::thread::sleep(CHECK_EVERY);
    }
}

fn report(shared: &Shared) {
    let mut core = shared.core();
    let (stats, is_spooled) = (core.stats(), core.journal.spool().is_some());
    let cause = core.last_error().unwrap_or_else(|| "the process ends without `finish`".to_owned());
    let is_reported = core.is_driver_gone;
    drop(core);
    if !stats.is_settled() && !is_reported {
        report_left(&shared.table, &stats, is_spooled, &cause, true);
    }
}
