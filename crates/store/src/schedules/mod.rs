//! Random schedules of batches, rests, faults and crashes, held against a model.
//!
//! They are among the unit tests so that bugs can be seeded, of which each must be found.
//! `STREAMTABLE_STORE_SCHEDULES` says how many to run.

mod steps;
mod world;

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use tokio::runtime::Runtime;

use crate::seeded_bug::{Bug, seed};
use world::World;

const SCHEDULES: u32 = 32;

/// What a schedule does.
#[derive(Clone, Debug)]
enum Op {
    /// A writer's lines come, some of them perhaps again.
    Append { writer: u8, first: u64, count: u64, kind: u8 },
    /// Lines of a run come, in the place of others.
    Overwrite { line: u64, count: u64, value: u8 },
    /// Rows are put to rest.
    Rest,
    /// The process ends.
    Crash,
    /// It ends between a commit and what comes after it.
    CrashAfterCommit,
    /// It ends as it should.
    Close,
    /// Rows cannot be put to rest, and the process ends.
    CrashInRest,
    /// The log takes nothing more just as lines come, and the process ends.
    CrashWhenFull { writer: u8, first: u64, count: u64 },
    /// A bit of the log flips while no process is there.
    Flip { at: usize, bit: u8 },
}

fn op() -> impl Strategy<Value = Op> {
    let batch = || (0u8..3, 0u64..60, 1u64..30);
    prop_oneof![
        8 => (batch(), 0u8..5)
            .prop_map(|((writer, first, count), kind)| Op::Append { writer, first, count, kind }),
        4 => (0u64..8, 1u64..6, 0u8..2)
            .prop_map(|(line, count, value)| Op::Overwrite { line, count, value }),
        2 => Just(Op::Rest),
        1 => Just(Op::Crash),
        1 => Just(Op::CrashAfterCommit),
        1 => Just(Op::Close),
        1 => Just(Op::CrashInRest),
        1 => batch()
            .prop_map(|(writer, first, count)| Op::CrashWhenFull { writer, first, count }),
        2 => (any::<usize>(), 0u8..8).prop_map(|(at, bit)| Op::Flip { at, bit }),
    ]
}

fn schedule() -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 1..20)
}

/// Makes a runtime all of whose threads have a bug, or none. So has the thread that calls.
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

/// Whatever comes and whenever it ends: no row is lost, none is there twice, the order stays.
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

/// Runs schedules that are the same each time, with a bug or none, and tells how many it took until
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

/// Shows that schedules like those above find a bug of this kind, and nothing where it is not.
#[track_caller]
fn finds(bug: Bug) {
    let Some(tried) = first_failure(Some(bug), 200) else {
        panic!("200 schedules do not find {bug:?}");
    };
    assert_eq!(first_failure(None, tried), None, "schedule {tried} fails without {bug:?}, too");
    tell(format_args!("seeded bug {bug:?} of the store: found by schedule {tried} of 200"));
}

/// Writes a figure down where `cargo xtask simulate` finds it.
#[expect(clippy::print_stdout, reason = "figures are for whoever runs the test")]
fn tell(figure: std::fmt::Arguments<'_>) {
    println!("figure: {figure}");
}

#[test]
fn finds_an_ack_before_the_write() {
    finds(Bug::EarlyAck);
}

#[test]
fn finds_a_checksum_that_is_not_looked_at() {
    finds(Bug::SkippedCrc);
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
