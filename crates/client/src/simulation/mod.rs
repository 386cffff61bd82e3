//! Random schedules of operations and faults, through the public API, in simulated time.
//!
//! A schedule is determined by its seed. `STREAMTABLE_SEED=7 cargo nextest run -p streamtable
//! simulation` runs one schedule; a failure prints its seed and the schedule.
//! `STREAMTABLE_SCHEDULES` sets the number of schedules, and `cargo xtask simulate` prints
//! statistics. Programs with odd seeds have a spool on a simulated disk: there, programs are
//! killed, the power fails, and the disk fails, too.

mod dice;
mod world;

use std::time::Duration;

use streamtable_mock_backend::{Fault, Loss, RequestKind};

use crate::seeded_bug::{self, Bug};
use crate::spool::sim_disk::Trouble;
use dice::{Dice, Op};
use world::{Seen, World, has_disk};

const SCHEDULES: u64 = 10_000;

fn schedule(seed: u64) -> Vec<Op> {
    let mut dice = Dice(seed ^ 0x5eed);
    (0..4 + dice.roll(9)).map(|_| dice.op(has_disk(seed))).collect()
}

fn simulate<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|e| e.to_string())?;
    runtime.block_on(work)
}

/// Runs a schedule and returns what it covered.
fn run(seed: u64) -> Result<Seen, String> {
    let result = simulate(async {
        let mut world = World::new(seed, false).await?;
        world.open().await?;
        for op in schedule(seed) {
            world.step(op).await?;
        }
        world.end().await
    });
    result.map_err(|error| format!("seed {seed}: {error}\n{:#?}", schedule(seed)))
}

/// Prints a figure for `cargo xtask simulate`.
#[expect(clippy::print_stdout, reason = "`cargo xtask simulate` reads the figures")]
fn print_figure(figure: std::fmt::Arguments<'_>) {
    println!("figure: {figure}");
}

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_row_once_and_in_order() {
    let seeds = match env("STREAMTABLE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..env("STREAMTABLE_SCHEDULES").unwrap_or(SCHEDULES),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let worker = |first| -> Result<Seen, String> {
        let mut seen = Seen::default();
        for seed in seeds.clone().skip(first).step_by(threads) {
            seen.add(run(seed)?);
        }
        Ok(seen)
    };
    let mut seen = Seen::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|i| scope.spawn(move || worker(i))).collect();
        for worker in workers {
            let result = worker.join().unwrap_or_else(|_| Err("a panic".into()));
            seen.add(result.unwrap_or_else(|error| panic!("{error}")));
        }
    });
    let schedules = seeds.end - seeds.start;
    print_figure(format_args!("{schedules} schedules: {seen}"));
    assert!(seen.rows >= schedules, "the schedules log too few rows: {seen:?}");
    if schedules >= SCHEDULES {
        let kills = seen.kills.min(seen.power_cuts).min(seen.disk_failures).min(seen.clock_jumps);
        assert!(
            kills > schedules / 10,
            "too few kills, power failures, disk failures or clock jumps: {seen:?}"
        );
        assert!(seen.recovered > schedules / 10, "too few rows were recovered: {seen:?}");
    }
}

/// The operations of a program with a spool, including a kill and a restart.
fn life() -> Vec<Op> {
    let second = Duration::from_secs(1);
    vec![
        Op::Log { rows: 3, with_bad: false },
        Op::Flush(20 * second),
        Op::Fail(RequestKind::FileStream, Fault::LoseAnswer(Loss::Interrupted)),
        Op::Log { rows: 60, with_bad: false },
        Op::Sleep(3 * second),
        Op::Log { rows: 2, with_bad: true },
        Op::Fail(RequestKind::FileStream, Fault::status(503)),
        Op::Log { rows: 5, with_bad: false },
        Op::Kill,
        Op::Log { rows: 4, with_bad: false },
        Op::Sleep(5 * second),
    ]
}

/// Runs these operations with one failing call to the disk. Returns the number of calls.
fn run_with_failure(seed: u64, call: u64, trouble: Trouble) -> Result<u64, String> {
    let result = simulate(async {
        let mut world = World::new(seed, true).await?;
        world.machine.fail(call, trouble);
        let machine = world.machine.clone();
        world.open().await?;
        for op in life() {
            world.step(op).await?;
        }
        let calls = machine.calls();
        world.end().await?;
        Ok(calls)
    });
    result.map_err(|error| format!("seed {seed}, call {call} fails by {trouble:?}: {error}"))
}

/// Fails the first call to the disk, then the second, and so on, until every call has failed once.
#[test]
fn every_call_to_the_disk_may_fail() {
    let troubles = [Trouble::NoSpace, Trouble::Io, Trouble::Short];
    let one_by_one = |trouble| {
        let mut failed = 0;
        // These seeds cover all sync policies, with and without media files.
        for seed in 0..4 {
            for call in 0.. {
                if call >= run_with_failure(seed, call, trouble)? {
                    break;
                }
                failed += 1;
            }
        }
        Ok::<u64, String>(failed)
    };
    let failed: u64 = std::thread::scope(|scope| {
        let workers = troubles.map(|trouble| scope.spawn(move || one_by_one(trouble)));
        let results = workers.map(|w| w.join().unwrap_or_else(|_| Err("a panic".into())));
        results.map(|result| result.unwrap_or_else(|error| panic!("{error}"))).iter().sum()
    });
    print_figure(format_args!("{failed} calls to the disk failed, one by one"));
    assert!(failed > 1_000, "only {failed} calls");
}

/// Checks that the schedules above find a seeded bug quickly.
#[track_caller]
fn finds(bug: Bug) {
    seeded_bug::seed(Some(bug));
    let found = (0..400).find(|&seed| run(seed).is_err());
    seeded_bug::seed(None);
    let Some(seed) = found else { panic!("400 schedules do not find {bug:?}") };
    print_figure(format_args!("seeded bug {bug:?}: found by schedule {} of 400", seed + 1));
}

#[test]
fn finds_an_ack_on_a_lost_reply() {
    finds(Bug::AckOnLostReply);
}

#[test]
fn finds_an_ack_on_any_success() {
    finds(Bug::AckOnAnySuccess);
}

#[test]
fn finds_rows_rotated_on_retry() {
    finds(Bug::RotatedRetry);
}

#[test]
fn finds_an_offset_that_is_not_consumed() {
    finds(Bug::OffsetNotConsumed);
}

#[test]
fn finds_an_unverified_checksum() {
    finds(Bug::SkippedCrc);
}

#[test]
fn finds_a_trim_before_the_ack() {
    finds(Bug::EarlyTrim);
}

#[test]
fn finds_a_watermark_ahead_of_the_acks() {
    finds(Bug::EagerWatermark);
}

#[test]
fn finds_an_offset_that_is_forgotten_on_retry() {
    finds(Bug::ForgottenOffset);
}
