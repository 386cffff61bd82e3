//! Random schedules of writers, sleeping nodes, restarts, trims and faults of a bucket, in simulated
//! time, with an external ledger.
//!
//! They run the state machines of the bucket's log and of [`Replica`](crate::Replica) themselves.
//! `STREAMTABLE_LOG_SCHEDULES` sets the number of schedules, `STREAMTABLE_LOG_SEED` repeats those of a
//! failure.

mod rows;
mod world;

use std::cell::Cell;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestError, TestRng, TestRunner};

use crate::seeded_bug::{Bug, seed};
use world::{Figures, World};

const SCHEDULES: u32 = 3000;

#[derive(Clone, Debug)]
struct Schedule {
    steps: Vec<Step>,
    /// What happens to the messages, in the order in which they are sent.
    fates: Vec<Fate>,
}

#[derive(Clone, Debug)]
struct Step {
    what: What,
    /// The time until the next step.
    pause: Duration,
}

#[derive(Clone, Debug)]
enum What {
    /// A writer has more lines, and sends them to a node.
    Write { writer: u8, node: u8, lines: u8 },
    /// A node stops for a time. Messages to it wait.
    Sleep { node: u8, time: Duration },
    /// A node is killed and starts again.
    Restart { node: u8 },
    /// A node flushes its rows, which takes a time. Then it trims the log.
    Flush { node: u8, takes: Duration },
}

/// What happens to a message.
#[derive(Clone, Copy, Debug)]
struct Fate {
    /// The time until it arrives.
    out: Duration,
    /// The time until the response arrives.
    back: Duration,
    loses_request: bool,
    loses_response: bool,
    /// The bucket responds 409, and does nothing.
    is_conflict: bool,
    /// The message arrives a second time, this much later.
    again: Option<Duration>,
}

impl Default for Fate {
    fn default() -> Self {
        let delay = Duration::from_millis(20);
        Self {
            out: delay,
            back: delay,
            loses_request: false,
            loses_response: false,
            is_conflict: false,
            again: None,
        }
    }
}

impl Fate {
    fn is_fault(self) -> bool {
        self.loses_request
            || self.loses_response
            || self.is_conflict
            || self.again.is_some()
            || self.out > Duration::from_secs(1)
    }
}

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn minutes(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(|minutes| Duration::from_secs(60 * minutes))
}

fn fate() -> impl Strategy<Value = Fate> {
    let kind = prop_oneof![
        12 => Just(Fate::default()),
        1 => Just(Fate { loses_request: true, ..Fate::default() }),
        2 => Just(Fate { loses_response: true, ..Fate::default() }),
        1 => Just(Fate { is_conflict: true, ..Fate::default() }),
        1 => prop_oneof![millis(0..15_000), minutes(1..30)]
            .prop_map(|again| Fate { again: Some(again), ..Fate::default() }),
        1 => prop_oneof![millis(0..15_000), minutes(1..30)]
            .prop_map(|out| Fate { out, ..Fate::default() }),
    ];
    (kind, millis(1..200), millis(1..200)).prop_map(|(kind, out, back)| Fate {
        out: kind.out.max(out),
        back,
        ..kind
    })
}

fn step() -> impl Strategy<Value = Step> {
    let node = || 0u8..3;
    let what = prop_oneof![
        6 => (0u8..3, node(), 1u8..9)
            .prop_map(|(writer, node, lines)| What::Write { writer, node, lines }),
        2 => (node(), prop_oneof![millis(0..30_000), minutes(1..60)])
            .prop_map(|(node, time)| What::Sleep { node, time }),
        1 => node().prop_map(|node| What::Restart { node }),
        2 => (node(), prop_oneof![3 => millis(0..5_000), 1 => minutes(1..20)])
            .prop_map(|(node, takes)| What::Flush { node, takes }),
    ];
    let pause = prop_oneof![6 => millis(0..2_000), 1 => minutes(1..12)];
    (what, pause).prop_map(|(what, pause)| Step { what, pause })
}

fn schedule() -> impl Strategy<Value = Schedule> {
    (vec(step(), 1..40), vec(fate(), 0..150)).prop_map(|(steps, fates)| Schedule { steps, fates })
}

fn run(schedule: Schedule) -> Result<Figures, TestCaseError> {
    let mut world = World::new(schedule);
    world.run().map_err(TestCaseError::fail)?;
    Ok(world.figures)
}

/// Runs schedules, always the same for a seed.
fn runner(cases: u32, seed: u64, is_shrunk: bool) -> TestRunner {
    let max_shrink_iters = if is_shrunk { 20_000 } else { 0 };
    let config =
        Config { failure_persistence: None, max_shrink_iters, ..Config::with_cases(cases) };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|it| it.parse().unwrap())
}

/// For any schedule: every acked line is in the log once and in order, and all nodes read the same.
#[test]
fn any_schedule() {
    seed(None);
    let cases = number("STREAMTABLE_LOG_SCHEDULES").map_or(SCHEDULES, |it| it as u32);
    let chosen =
        number("STREAMTABLE_LOG_SEED").unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    let total = Cell::new(Figures::default());
    let result = runner(cases, chosen, true).run(&schedule(), |schedule| -> TestCaseResult {
        let (mut sum, one) = (total.get(), run(schedule)?);
        sum.acked += one.acked;
        sum.lost += one.lost;
        sum.trimmed += one.trimmed;
        sum.deleted += one.deleted;
        sum.faults += one.faults;
        total.set(sum);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("STREAMTABLE_LOG_SEED={chosen}: {error}"));
    let Figures { acked, lost, trimmed, deleted, faults } = total.get();
    tell(format_args!(
        "{cases} schedules of a log in a bucket: {acked} lines acked, none lost, none twice, all in \
         order; {faults} faults, {lost} lost races, {trimmed} nodes behind the base, {deleted} frames \
         deleted"
    ));
    assert!(cases < 1000 || [lost, trimmed, deleted].iter().all(|&count| count > 0));
}

/// Runs the same schedules each time, with a seeded bug or none, and returns how many it took until
/// one failed.
fn first_failure(bug: Option<Bug>, cases: u32) -> Option<(u32, String)> {
    seed(bug);
    let tried = Cell::new(0);
    let result = runner(cases, 1, false).run(&schedule(), |schedule| {
        tried.set(tried.get() + 1);
        run(schedule).map(drop)
    });
    seed(None);
    match result {
        Err(TestError::Fail(reason, _)) => Some((tried.get(), reason.to_string())),
        _ => None,
    }
}

/// Checks that schedules find a bug of this kind, and find nothing without it.
#[track_caller]
fn finds(bug: Bug) {
    const CASES: u32 = 5000;
    let Some((tried, reason)) = first_failure(Some(bug), CASES) else {
        panic!("{CASES} schedules do not find {bug:?}");
    };
    assert_eq!(first_failure(None, tried), None, "schedule {tried} fails without {bug:?}, too");
    tell(format_args!("seeded bug {bug:?} of the log: found by schedule {tried}: {reason}"));
}

/// Prints a figure in the form that `cargo xtask simulate` reads.
#[expect(clippy::print_stdout, reason = "figures are for whoever runs the test")]
fn tell(figure: std::fmt::Arguments<'_>) {
    println!("figure: {figure}");
}

#[test]
fn finds_a_base_that_is_not_looked_at() {
    finds(Bug::BaseNotLookedAt);
}

#[test]
fn finds_a_look_at_the_predecessor_instead_of_the_base() {
    finds(Bug::PredecessorInsteadOfBase);
}

#[test]
fn finds_a_gap_that_is_refused() {
    finds(Bug::GapRefused);
}

#[test]
fn finds_an_own_frame_that_is_taken_for_a_loss() {
    finds(Bug::OwnFrameTakenForLoss);
}

#[test]
fn finds_a_refusal_that_is_taken_for_a_loss() {
    finds(Bug::RefusalTakenForLoss);
}

#[test]
fn finds_a_trim_before_the_commit() {
    finds(Bug::TrimBeforeCommit);
}
