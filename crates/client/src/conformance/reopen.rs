//! Cases in which a new instance of the backend opens the storage of an earlier one.

use streamtable_schema::TablePath;

use super::compare::numbered;
use super::{Case, Check, Suite, case};

pub(super) const CASES: &[Case] = &[
    case!(rows_survive_when_the_backend_is_opened_again),
    case!(acked_rows_survive_a_kill),
    case!(a_call_is_repeated_after_a_restart),
];

async fn rows_survive_when_the_backend_is_opened_again(suite: &Suite, table: &TablePath) -> Check {
    for start in [0, 3, 6] {
        let backend = suite.make();
        let mut writer = suite.writer(&*backend, table).await?;
        writer.log((start..start + 3).map(numbered))?;
        writer.deliver(&*backend, 0..3).await?;
        let finished = backend.finish(table).await;
        finished.map_err(|error| format!("`finish` failed: {error}"))?;
        drop(backend);
        suite.check(table, start + 3, "after the backend was opened again").await?;
    }
    Ok(())
}

/// The program is killed after an answer: the old instance is never dropped.
async fn acked_rows_survive_a_kill(suite: &Suite, table: &TablePath) -> Check {
    let backend = suite.make();
    let mut writer = suite.writer(&*backend, table).await?;
    writer.log((0..3).map(numbered))?;
    writer.deliver(&*backend, 0..3).await?;
    std::mem::forget(backend);

    let backend = suite.make();
    suite.open(&*backend, table).await?;
    suite.check(table, 3, "after a kill, although `append` had returned Ok").await
}

/// The program is killed before it gets an answer; the next one sends the spool again.
async fn a_call_is_repeated_after_a_restart(suite: &Suite, table: &TablePath) -> Check {
    let backend = suite.make();
    let mut writer = suite.writer(&*backend, table).await?;
    writer.log((0..6).map(numbered))?;
    writer.deliver(&*backend, 0..4).await?;
    drop(backend);

    let backend = suite.make();
    // The next program has its own writer, and delivers the spool under the old one.
    suite.open(&*backend, table).await?;
    writer.deliver(&*backend, 0..6).await?;
    suite.check(table, 6, "after it was sent again by a restarted program").await
}
