//! Each row is stored once, whatever happens to a call.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use streamtable_schema::TablePath;

use super::compare::numbered;
use super::{AppendFault, AppendPlan, Case, Check, Suite, case};
use crate::Backend;

pub(super) const CASES: &[Case] = &[
    case!(a_call_that_never_arrived),
    case!(a_call_that_failed_halfway),
    case!(a_lost_answer),
    case!(a_call_that_arrived_twice),
    case!(a_call_that_arrived_late),
    case!(a_call_that_panicked),
    case!(two_calls_at_the_same_time),
    case!(a_call_that_was_dropped),
    case!(calls_that_overlap),
    case!(random_faults),
];

/// Delivers ten rows in three appends, each of which has the fault in turn.
async fn with_fault(suite: &Suite, table: &TablePath, fault: AppendFault) -> Check {
    let backend = suite.make();
    for call in 0..3 {
        let table = suite.table(&format!("{}-{call}", table.table()))?;
        let mut writer = suite.writer(&*backend, &table).await?;
        writer.log((0..10).map(numbered))?;
        let plan = AppendPlan::new().with(call, fault);
        writer.deliver_with(&backend, plan, [0..4, 4..9, 9..10]).await?;
        suite.check(&table, 10, fault.story()).await?;
    }
    Ok(())
}

async fn a_call_that_never_arrived(suite: &Suite, table: &TablePath) -> Check {
    with_fault(suite, table, AppendFault::Before).await
}

async fn a_call_that_failed_halfway(suite: &Suite, table: &TablePath) -> Check {
    with_fault(suite, table, AppendFault::Halfway).await
}

async fn a_lost_answer(suite: &Suite, table: &TablePath) -> Check {
    with_fault(suite, table, AppendFault::After).await
}

async fn a_call_that_arrived_twice(suite: &Suite, table: &TablePath) -> Check {
    with_fault(suite, table, AppendFault::Twice).await
}

async fn a_call_that_arrived_late(suite: &Suite, table: &TablePath) -> Check {
    with_fault(suite, table, AppendFault::Late).await
}

async fn a_call_that_panicked(suite: &Suite, table: &TablePath) -> Check {
    with_fault(suite, table, AppendFault::Panic).await
}

/// The client gave up waiting for a call, which still runs when its repetition arrives.
async fn two_calls_at_the_same_time(suite: &Suite, table: &TablePath) -> Check {
    let backend = suite.make();
    let mut writer = suite.writer(&*backend, table).await?;
    writer.log((0..20).map(numbered))?;
    for start in (0..20).step_by(5) {
        let rows = start..start + 5;
        let (first, second) = futures_util::future::join(
            backend.append(writer.append(rows.clone())),
            backend.append(writer.append(rows.clone())),
        )
        .await;
        if first.is_err() && second.is_err() {
            writer.deliver(&*backend, rows).await?;
        }
    }
    suite.check(table, 20, "after a call and its repetition ran at the same time").await
}

/// The client drops a call at its timeout, at any point of its work.
async fn a_call_that_was_dropped(suite: &Suite, table: &TablePath) -> Check {
    let backend = suite.make();
    let mut writer = suite.writer(&*backend, table).await?;
    writer.log((0..30).map(numbered))?;
    for polls in 0..10 {
        let rows = polls * 3..polls * 3 + 3;
        {
            let mut call = pin!(backend.append(writer.append(rows.clone())));
            for _ in 0..polls {
                if call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                    break;
                }
                yield_once().await;
            }
        }
        writer.deliver(&*backend, rows.clone()).await?;
        suite.check(table, rows.end, "after a call that was dropped at its timeout").await?;
    }
    Ok(())
}

/// Lets other tasks run.
async fn yield_once() {
    let mut has_yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The program was killed, and the next one sends its spool again in other batches.
async fn calls_that_overlap(suite: &Suite, table: &TablePath) -> Check {
    let backend = suite.make();
    let mut writer = suite.writer(&*backend, table).await?;
    writer.log((0..8).map(numbered))?;
    let mut count = 0;
    for rows in [0..3, 1..5, 0..5, 4..8, 2..3] {
        let from = rows.start;
        writer.deliver(&*backend, rows.clone()).await?;
        count = rows.end.max(count);
        let story =
            format!("after rows {from} to {} were sent again in other batches", rows.end - 1);
        suite.check(table, count, &story).await?;
    }
    Ok(())
}

async fn random_faults(suite: &Suite, table: &TablePath) -> Check {
    let backend: Arc<dyn Backend> = suite.make();
    let mut random = Random(7);
    for round in 0..20 {
        let table = suite.table(&format!("{}-{round}", table.table()))?;
        let mut writer = suite.writer(&*backend, &table).await?;
        writer.log((0..12).map(numbered))?;
        let plan: AppendPlan = (0..8)
            .filter(|_| random.below(2) == 0)
            .collect::<Vec<u64>>()
            .into_iter()
            .map(|call| (call, AppendFault::ALL[random.below(AppendFault::ALL.len())]))
            .collect();
        let (a, b) = (1 + random.below(5), 6 + random.below(6));
        writer.deliver_with(&backend, plan.clone(), [0..a, a..b, b..12]).await?;
        let story =
            format!("with the faults `{plan}` of appends of rows 0..{a}, {a}..{b}, {b}..12");
        suite.check(&table, 12, &story).await?;
    }
    Ok(())
}

/// A small generator of random numbers, the same in each run (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}
