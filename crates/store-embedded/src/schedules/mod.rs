//! Random schedules of batches, flushes, faults and crashes, checked against a model.
//!
//! They are unit tests so that bugs can be seeded; each seeded bug must be found.
//! `STREAMTABLE_STORE_SCHEDULES` sets the number of schedules.

mod steps;
mod world;

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use streamtable_log::seeded_bug::Bug as LogBug;
use tokio::runtime::Runtime;

use crate::seeded_bug::{Bug, seed};
use world::World;

const SCHEDULES: u32 = 32;

/// A step of a schedule.
#[derive(Clone, Debug)]
enum Op {
    /// Lines of a writer are appended; some may be repeated.
    Append { writer: u8, first: u64, count: u64, kind: u8 },
    /// Lines of a run are appended and overwrite others.
    Overwrite { line: u64, count: u64, value: u8 },
    /// Rows are flushed.
    Flush,
    /// The process crashes.
    Crash,
    /// The process crashes between a commit and the next write.
    CrashAfterCommit,
    /// The store is closed.
    Close,
    /// A flush fails, and the process crashes.
    CrashInFlush,
    /// The log cannot be written while lines are appended, and the process crashes.
    CrashWhenFull { writer: u8, first: u64, count: u64 },
    /// A bit of the log flips while no process runs.
    Flip { at: usize, bit: u8 },
}

fn op() -> impl Strategy<Value = Op> {
    let batch = || (0u8..3, 0u64..60, 1u64..30);
    prop_oneof![
        8 => (batch(), 0u8..5)
            .prop_map(|((writer, first, count), kind)| Op::Append { writer, first, count, kind }),
        4 => (0u64..8, 1u64..6, 0u8..2)
            .prop_map(|(line, count, value)| Op::Overwrite { line, count, value }),
        2 => Just(Op::Flush),
        1 => Just(Op::Crash),
        1 => Just(Op::CrashAfterCommit),
        1 => Just(Op::Close),
        1 => Just(Op::CrashInFlush),
        1 => batch()
            .prop_map(|(writer, first, count)| Op::CrashWhenFull { writer, first, count }),
        2 => (any::<usize>(), 0u8..8).prop_map(|(at, bit)| Op::Flip { at, bit }),
    ]
}

fn schedule() -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 1..20)
}

/// Makes a runtime whose threads all have a seeded bug, or none. The calling thread has it too.
fn runtime(bug: Option<Bug>) -> Runtime {
    seed(bug);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().on_thread_start(move || seed(bug));
    builder.build().unwrap()
}

async fn run(ops: Vec<Op>) -> Result<(), TestCaseError> {
    let mut world = World::new().await;
    for op in ops {
        world.step(op).await?;
    }
    Ok(())
}

/// For any batches and any end of the process: no row is lost or duplicated, and the order is kept.
#[test]
fn any_schedule() {
    let told = std::env::var("STREAMTABLE_STORE_SCHEDULES").ok();
    let cases = told.map_or(SCHEDULES, |it| it.parse().unwrap());
    let runtime = runtime(None);
    let config = Config { failure_persistence: None, ..Config::with_cases(cases) };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&schedule(), |ops| runtime.block_on(run(ops)));
    result.unwrap_or_else(|error| panic!("{error}"));
    tell(format_args!("{cases} schedules of the store: no row lost, none twice, all in order"));
}

/// Runs the same schedules each time, with a seeded bug or none, and returns how many it took until
/// one failed.
fn first_failure(bug: Option<Bug>, cases: u32) -> Option<u32> {
    let runtime = runtime(bug);
    let config =
        Config { failure_persistence: None, max_shrink_iters: 0, ..Config::with_cases(cases) };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let tried = Cell::new(0);
    let result = TestRunner::new_with_rng(config, rng).run(&schedule(), |ops| {
        tried.set(tried.get() + 1);
        runtime.block_on(run(ops))
    });
    seed(None);
    matches!(result, Err(TestError::Fail(..))).then_some(tried.get())
}

/// Checks that schedules like those above find a bug of this kind, and find nothing without it.
#[track_caller]
fn finds(bug: Bug) {
    let Some(tried) = first_failure(Some(bug), 200) else {
        panic!("200 schedules do not find {bug:?}");
    };
    assert_eq!(first_failure(None, tried), None, "schedule {tried} fails without {bug:?}, too");
    tell(format_args!("seeded bug {bug:?} of the store: found by schedule {tried} of 200"));
}

/// Prints a figure in the form that `cargo xtask simulate` reads.
#[expect(clippy::print_stdout, reason = "figures are for whoever runs the test")]
fn tell(figure: std::fmt::Arguments<'_>) {
    println!("figure: {figure}");
}

#[test]
fn finds_an_ack_before_the_write() {
    finds(Bug::Log(LogBug::EarlyAck));
}

#[test]
fn finds_a_checksum_that_is_not_looked_at() {
    finds(Bug::Log(LogBug::SkippedCrc));
}

#[test]
fn finds_lines_that_are_forgotten_after_a_restart() {
    finds(Bug::ForgottenLines);
}

#[test]
fn finds_contents_that_are_forgotten_after_a_restart() {
    finds(Bug::ForgottenContents);
}

#[test]
fn finds_a_trim_before_the_state_is_on_disk() {
    finds(Bug::EarlyTrim);
}
