//! Random schedules of operations and faults, through the public API, in simulated time.
//!
//! A schedule is a seed: `STREAMTABLE_SEED=7 cargo nextest run -p streamtable simulation` runs that
//! one again, and a failure prints its seed with the schedule. `STREAMTABLE_SCHEDULES` says how
//! many to run.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use streamtable_mock_backend::{Fault, Loss, MockBackend, MockConfig, RequestKind};
use streamtable_schema::{Timestamp, Value};
use streamtable_transport::Timer;
use uuid::Uuid;

use crate::seeded_bug::{self, Bug};
use crate::{BatchLimits, Clock, Refusal, Rejected, Stats, StreamTable, WhenFull, row};

const SCHEDULES: u64 = 10_000;

/// What a schedule does.
#[derive(Clone, Debug)]
enum Op {
    /// Logs so many rows in one call, of which every third may be bad.
    Log { rows: u64, with_bad: bool },
    /// Waits.
    Sleep(Duration),
    /// Waits for the rows, at most so long.
    Flush(Duration),
    /// Something goes wrong with the next request of a kind.
    Fail(RequestKind, Fault),
    /// The key stops being accepted, and is accepted again after a while.
    LoseKey(Duration),
    /// Another program opens the same table.
    Reopen,
}

/// A source of numbers that depends on a seed alone (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.roll(most))
    }

    fn fault(&mut self) -> Fault {
        match self.roll(12) {
            0 => Fault::Unreachable,
            1 => Fault::LoseRequest(Loss::Interrupted),
            2 => Fault::LoseRequest(Loss::Timeout),
            3 => Fault::LoseAnswer(Loss::Interrupted),
            4 => Fault::LoseAnswer(Loss::Timeout),
            5 => Fault::Delay(self.millis(90_000)),
            6 => Fault::Duplicate,
            7 => Fault::Late,
            8 => Fault::HtmlErrorPage,
            9 => Fault::CutBody,
            10 => Fault::retry_after(503, self.millis(10_000)),
            _ => Fault::status([408, 413, 429, 500, 502, 503, 504][self.roll(7) as usize]),
        }
    }

    fn op(&mut self) -> Op {
        match self.roll(16) {
            0..=5 => Op::Log { rows: 1 + self.roll(12), with_bad: self.roll(4) == 0 },
            6..=7 => Op::Sleep(self.millis(2_000)),
            8..=9 => Op::Flush(self.millis(20_000)),
            10..=13 => Op::Fail(RequestKind::FileStream, self.fault()),
            // A status says nothing about the rows only if it is one of these.
            14 => Op::LoseKey(self.millis(5_000)),
            _ => Op::Reopen,
        }
    }
}

#[derive(Debug)]
struct SimulatedTime;

#[async_trait]
impl Timer for SimulatedTime {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[derive(Debug)]
struct SimulatedClock;

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000)
    }
}

/// One program that logs to the table.
struct Program {
    table: StreamTable,
    /// The numbers of the rows that `log` took.
    taken: Vec<u64>,
    rejected: Arc<Mutex<Vec<u64>>>,
}

/// A schedule under way: programs, backend, and what must be true of them.
struct World {
    backend: MockBackend,
    programs: Vec<Program>,
    dice: Dice,
    next_row: u64,
}

impl World {
    async fn new(seed: u64) -> Result<Self, String> {
        let config = MockConfig { timer: Some(Arc::new(SimulatedTime)), ..MockConfig::default() };
        let backend = MockBackend::new(config).map_err(|e| e.to_string())?;
        let dice = Dice(seed);
        let mut world = Self { backend, programs: Vec::new(), dice, next_row: 0 };
        world.open().await?;
        Ok(world)
    }

    async fn open(&mut self) -> Result<(), String> {
        let rejected = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&rejected);
        let on_reject = move |rejected: Rejected| {
            if let Some(Value::Int(n)) = rejected.row.get("n") {
                sink.lock().unwrap().push(*n as u64);
            }
        };
        let limits = BatchLimits {
            max_rows: 1 + self.dice.roll(8) as usize,
            max_bytes: 200 + self.dice.roll(4000) as usize,
            ..BatchLimits::default()
        };
        let when_full = if self.dice.roll(2) == 0 { WhenFull::Wait } else { WhenFull::Refuse };
        let writer = Uuid::from_u64_pair(self.dice.roll(u64::MAX), self.programs.len() as u64);
        let table = StreamTable::builder("me/simulated/table")
            .base_url("http://mock.invalid")
            .api_key("local-key")
            .map_err(|e| e.to_string())?
            .transport(self.backend.clone())
            .clock(SimulatedClock)
            .limits(limits)
            .when_full(when_full)
            .buffer_bytes(500 + self.dice.roll(5_000))
            .on_reject(on_reject)
            .writer(writer)
            .quiet()
            .open()
            .await
            .map_err(|e| format!("open: {e}"))?;
        self.programs.push(Program { table, taken: Vec::new(), rejected });
        // The first row names the columns, so it must not be a bad one.
        self.log(self.programs.len() - 1, 1, false).await
    }

    async fn step(&mut self, op: Op) -> Result<(), String> {
        let last = self.programs.len() - 1;
        let which = self.dice.roll(self.programs.len() as u64).min(last as u64) as usize;
        match op {
            Op::Log { rows, with_bad } => self.log(which, rows, with_bad).await?,
            Op::Sleep(time) => tokio::time::sleep(time).await,
            Op::Flush(time) => {
                let before = self.programs[which].taken.len() as u64;
                if let Ok(stats) = self.programs[which].table.flush(time).await {
                    let settled = stats.acked + stats.rejected;
                    ensure(settled >= before, || format!("flush left rows: {stats}"))?;
                }
            }
            Op::Fail(kind, fault) => {
                self.backend.push_fault(kind, fault).map_err(|e| e.to_string())?;
            }
            Op::LoseKey(time) => {
                self.backend.set_keys(Some(Vec::new()));
                tokio::time::sleep(time).await;
                self.backend.set_keys(None);
                self.programs.iter().for_each(|program| program.table.resume());
            }
            Op::Reopen if self.programs.len() < 3 => self.open().await?,
            Op::Reopen => {}
        }
        self.check()
    }

    /// Logs rows, and expects that each is taken but those that are bad or find no room.
    async fn log(&mut self, which: usize, rows: u64, with_bad: bool) -> Result<(), String> {
        let program = &mut self.programs[which];
        let numbers: Vec<u64> = (self.next_row..self.next_row + rows).collect();
        self.next_row += rows;
        let is_bad = |n: u64| with_bad && n.is_multiple_of(3);
        let made = numbers.iter().map(|&n| match is_bad(n) {
            true => row! { "n" => n },
            false => row! { "n" => n, "text" => "x".repeat(n as usize % 50) },
        });
        // Somebody who waits for room while the key is lost waits until it is back.
        let result = program.table.log(made.collect::<Vec<_>>()).await;
        let refused = result.map_or_else(|error| error.refused, |_| Vec::new());
        let mut refusals = refused.iter().peekable();
        for (index, &n) in numbers.iter().enumerate() {
            match refusals.next_if(|refused| refused.index == index) {
                None => {
                    ensure(!is_bad(n), || format!("bad row {n} was taken"))?;
                    program.taken.push(n);
                }
                Some(refused) => {
                    let fits = matches!(refused.reason, Refusal::Schema(_)) == is_bad(n)
                        || refused.reason.is_retryable();
                    ensure(fits, || format!("row {n} was refused: {}", refused.reason))?;
                    let back = refused.row.as_ref().and_then(|row| row.get("n"));
                    ensure(back == Some(&n.into()), || format!("row {n} was not handed back"))?;
                }
            }
        }
        Ok(())
    }

    /// Checks what must be true at every moment.
    fn check(&self) -> Result<(), String> {
        for program in &self.programs {
            let stats @ Stats { logged, acked, pending, rejected, dropped, .. } =
                program.table.stats();
            let sum = acked + pending + rejected + dropped;
            ensure(logged == sum, || format!("the sum is wrong: {stats}"))?;
            ensure(dropped == 0, || format!("rows were dropped: {stats}"))?;
            let taken = program.taken.len() as u64;
            ensure(logged == taken, || format!("{taken} rows taken, but {stats}"))?;
            let lines = self.backend.lines(program.table.path());
            let writer = Some(program.table.writer());
            let stored =
                lines.iter().filter(|line| line.writer.as_deref() == writer).count() as u64;
            ensure(acked <= stored, || format!("{acked} acked, {stored} stored"))?;
        }
        let violations = self.backend.violations();
        ensure(violations.is_empty(), || format!("the protocol was violated: {violations:?}"))
    }

    /// Lets everything be delivered, and checks what must be true in the end.
    async fn end(self) -> Result<u64, String> {
        let mut rows = 0;
        for program in &self.programs {
            // Faults that were scheduled but not met yet may take several attempts.
            let mut outcome = program.table.finish().await;
            for _ in 0..20 {
                if outcome.is_ok() {
                    break;
                }
                program.table.resume();
                outcome = program.table.finish().await;
            }
            let stats = outcome.map_err(|e| format!("finish: {e}"))?;
            ensure(stats.is_settled(), || format!("finished too early: {stats}"))?;
            let late = program.table.log(row! { "n" => 0, "text" => "" }).await;
            let is_finished = late.is_err_and(|e| e.refused[0].reason == Refusal::Finished);
            ensure(is_finished, || "a row was taken after finish".to_owned())?;
        }
        self.backend.settle();
        self.check()?;
        for program in &self.programs {
            let rejected = program.rejected.lock().unwrap();
            let expected: Vec<u64> =
                program.taken.iter().copied().filter(|n| !rejected.contains(n)).collect();
            // A row may be stored and its answer lost before it is refused.
            let mut stored = self.stored(program);
            stored.retain(|n| !rejected.contains(n));
            ensure(stored == expected, || format!("stored {stored:?}, not {expected:?}"))?;
            rows += stored.len() as u64;
        }
        Ok(rows)
    }

    /// The numbers of the program's rows in the backend, in their order.
    fn stored(&self, program: &Program) -> Vec<u64> {
        let rows = self.backend.rows(program.table.path());
        let own = rows.iter().filter(|line| line.writer.as_deref() == Some(program.table.writer()));
        own.filter_map(|line| match line.row.get("n") {
            Some(Value::Int(n)) => u64::try_from(*n).ok(),
            _ => None,
        })
        .collect()
    }
}

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

fn schedule(seed: u64) -> Vec<Op> {
    let mut dice = Dice(seed ^ 0x5eed);
    (0..4 + dice.roll(9)).map(|_| dice.op()).collect()
}

/// Runs a schedule, and returns how many rows it stored.
fn run(seed: u64) -> Result<u64, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|e| e.to_string())?;
    let result = runtime.block_on(async {
        let mut world = World::new(seed).await?;
        for op in schedule(seed) {
            world.step(op).await?;
        }
        world.end().await
    });
    result.map_err(|error| format!("seed {seed}: {error}\n{:#?}", schedule(seed)))
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
    let worker = |first| -> Result<u64, String> {
        seeds.clone().skip(first).step_by(threads).map(run).sum()
    };
    let rows: Result<u64, String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|i| scope.spawn(move || worker(i))).collect();
        workers.into_iter().map(|w| w.join().unwrap_or_else(|_| Err("a panic".into()))).sum()
    });
    let rows = rows.unwrap_or_else(|error| panic!("{error}"));
    assert!(rows >= seeds.end - seeds.start, "the schedules log too little: {rows} rows");
}

/// Shows that the schedules above find a bug of this kind, and soon.
#[track_caller]
fn finds(bug: Bug) {
    seeded_bug::seed(Some(bug));
    let found = (0..200).find_map(|seed| run(seed).err());
    seeded_bug::seed(None);
    assert!(found.is_some(), "200 schedules do not find {bug:?}");
}

#[test]
fn finds_an_ack_on_a_lost_reply() {
    finds(Bug::AckOnLostReply);
}

#[test]
fn finds_rows_rotated_on_retry() {
    finds(Bug::RotatedRetry);
}

#[test]
fn finds_an_offset_that_is_not_consumed() {
    finds(Bug::OffsetNotConsumed);
}
