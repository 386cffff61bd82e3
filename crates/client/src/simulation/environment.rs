//! The state of a running schedule: programs, backend and disk, and the invariants that are
//! checked.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use streamtable_mock_backend::{MockBackend, MockConfig};
use streamtable_schema::{Media, Row, TableName, TablePath, Timestamp, Value};
use streamtable_transport::Timer;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use super::generator::{Generator, Op};
use crate::spool::sim_disk::SimMachine;
use crate::spool::{SpoolConfig, SyncPolicy};
use crate::{BatchLimits, Clock, OpenError, Refusal, Rejected, Stats, StreamTable, WhenFull, row};

const NAME: &str = "me/simulated/table";

#[derive(Debug)]
struct SimulatedTime;

#[async_trait]
impl Timer for SimulatedTime {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that can be moved, in milliseconds. All programs share it.
#[derive(Clone, Debug)]
struct SimulatedClock(Arc<AtomicI64>);

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// A program that logs to the table, running or killed.
struct Program {
    /// `None` after the program was killed.
    alive: Option<(StreamTable, JoinHandle<()>)>,
    writer: String,
    /// The rows that `log` accepted.
    taken: Vec<Taken>,
    /// The index of the first row that is only in memory, as reported by `log`.
    at_risk_from: Option<usize>,
    /// When it was killed, and how many calls to the disk had failed by then.
    died: Option<(Instant, u64)>,
    /// When the next program opened the table, which syncs the spool of this one.
    succeeded: Option<Instant>,
}

struct Taken {
    number: u64,
    /// Whether the row must be stored in the end; otherwise it may be.
    must: bool,
    at: Instant,
    /// How many calls to the disk had failed when it was logged.
    failed: u64,
}

/// Statistics of what the schedules covered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) rows: u64,
    pub(super) kills: u64,
    pub(super) power_cuts: u64,
    pub(super) disk_failures: u64,
    pub(super) disks_filled: u64,
    pub(super) network_faults: u64,
    pub(super) keys_lost: u64,
    pub(super) clock_jumps: u64,
    pub(super) recovered: u64,
}

impl Seen {
    pub(super) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.kills += other.kills;
        self.power_cuts += other.power_cuts;
        self.disk_failures += other.disk_failures;
        self.disks_filled += other.disks_filled;
        self.network_faults += other.network_faults;
        self.keys_lost += other.keys_lost;
        self.clock_jumps += other.clock_jumps;
        self.recovered += other.recovered;
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, kills, power_cuts, disk_failures, disks_filled, .. } = self;
        let Self { network_faults, keys_lost, clock_jumps, recovered, .. } = self;
        write!(f, "{rows} rows stored, {recovered} of them recovered; {kills} kills, ")?;
        write!(f, "{power_cuts} power cuts, {disk_failures} failed calls to the disk, ")?;
        write!(f, "{disks_filled} full disks, {network_faults} faults of network or server, ")?;
        write!(f, "{keys_lost} lost keys, {clock_jumps} jumps of the clock")
    }
}

pub(super) struct Environment {
    clock: SimulatedClock,
    backend: MockBackend,
    pub(super) machine: SimMachine,
    spool: Option<SpoolConfig>,
    programs: Vec<Program>,
    generator: Generator,
    next_row: u64,
    has_media: bool,
    rejected: Arc<Mutex<BTreeSet<u64>>>,
    seen: Seen,
}

impl Environment {
    /// Starts with one program. Odd seeds have a spool; with `must_spool` all have one. Every third
    /// seed has a server like W&B's, whose responses do not state what they cover.
    pub(super) async fn new(seed: u64, must_spool: bool) -> Result<Self, String> {
        let config = MockConfig {
            timer: Some(Arc::new(SimulatedTime)),
            acks: seed % 3 != 2,
            ..MockConfig::default()
        };
        let backend = MockBackend::new(config).map_err(|e| e.to_string())?;
        let mut generator = Generator(seed);
        let spool = (must_spool || has_disk(seed)).then(|| SpoolConfig {
            dir: Some("/spool".into()),
            server: None,
            max_bytes: 5_000 + generator.roll(40_000),
            segment_bytes: 4 << 10,
            sync: match generator.roll(4) {
                0 => SyncPolicy::Never,
                1..=2 => SyncPolicy::Interval(Duration::from_secs(1)),
                _ => SyncPolicy::Always,
            },
        });
        Ok(Self {
            clock: SimulatedClock(Arc::new(AtomicI64::new(1_700_000_000_000))),
            backend,
            machine: SimMachine::default(),
            has_media: spool.is_some() && generator.roll(3) == 0,
            spool,
            programs: Vec::new(),
            generator,
            next_row: 0,
            rejected: Arc::default(),
            seen: Seen::default(),
        })
    }

    pub(super) async fn open(&mut self) -> Result<(), String> {
        let mut attempts = 0;
        let (table, driver) = loop {
            attempts += 1;
            match self.builder()?.open_with_driver().await {
                // The disk fails sometimes.
                Err(OpenError::Spool { .. }) if attempts < 100 => self.machine.set_full(false),
                // Several scheduled faults may apply to requests of this kind.
                Err(OpenError::Unavailable { .. }) if attempts < 100 => {}
                opened => break opened.map_err(|e| format!("open: {e}"))?,
            }
        };
        let now = Instant::now();
        for program in self.programs.iter_mut().filter(|program| program.died.is_some()) {
            program.succeeded.get_or_insert(now);
        }
        self.programs.push(Program {
            writer: table.writer().to_owned(),
            alive: Some((table, driver)),
            taken: Vec::new(),
            at_risk_from: None,
            died: None,
            succeeded: None,
        });
        // The first row defines the columns, so it must be valid.
        let last = self.programs.len() - 1;
        while self.programs[last].taken.is_empty() {
            self.log(last, 1, false).await?;
        }
        Ok(())
    }

    fn builder(&mut self) -> Result<crate::Builder, String> {
        let sink = Arc::clone(&self.rejected);
        let on_reject = move |rejected: Rejected| {
            if let Some(Value::Int(n)) = rejected.row.get("n") {
                sink.lock().unwrap().insert(*n as u64);
            }
        };
        let limits = BatchLimits {
            max_rows: 1 + self.generator.roll(8) as usize,
            max_bytes: 200 + self.generator.roll(4000) as usize,
            ..BatchLimits::default()
        };
        let when_full = if self.generator.roll(2) == 0 { WhenFull::Wait } else { WhenFull::Refuse };
        let writer = Uuid::from_u64_pair(self.generator.roll(u64::MAX), self.programs.len() as u64);
        let builder = StreamTable::builder(NAME)
            .base_url("http://mock.invalid")
            .api_key("local-key")
            .transport(self.backend.clone())
            .clock(self.clock.clone())
            .limits(limits)
            .when_full(when_full)
            .buffer_bytes(500 + self.generator.roll(5_000))
            .on_reject(on_reject)
            .writer(writer)
            .print_url(false);
        Ok(match &self.spool {
            Some(config) => builder.spool(config.clone()).disk(self.machine.process()),
            None => builder.no_spool(),
        })
    }

    fn alive(&self) -> Vec<usize> {
        (0..self.programs.len()).filter(|&i| self.programs[i].alive.is_some()).collect()
    }

    pub(super) async fn step(&mut self, op: Op) -> Result<(), String> {
        let alive = self.alive();
        let which = alive[self.generator.roll(alive.len() as u64) as usize];
        match op {
            Op::Log { rows, with_bad } => self.log(which, rows, with_bad).await?,
            Op::Sleep(time) => tokio::time::sleep(time).await,
            Op::Flush(time) => {
                let before = self.programs[which].taken.len() as u64;
                if let Ok(stats) = self.table(which).flush(time).await {
                    let settled = stats.acked + stats.rejected;
                    ensure(settled >= before, || format!("flush left rows: {stats}"))?;
                }
            }
            Op::Fail(kind, fault) => {
                self.seen.network_faults += 1;
                self.backend.push_fault(kind, fault).map_err(|e| e.to_string())?;
            }
            Op::LoseKey(time) => {
                self.seen.keys_lost += 1;
                self.backend.set_keys(Some(Vec::new()));
                tokio::time::sleep(time).await;
                self.backend.set_keys(None);
                alive.into_iter().for_each(|i| self.table(i).resume());
            }
            Op::JumpClock(millis) => {
                self.seen.clock_jumps += 1;
                self.clock.0.fetch_add(millis, Ordering::Relaxed);
            }
            Op::Reopen if alive.len() < 3 => self.open().await?,
            Op::Reopen => {}
            Op::Kill => {
                self.seen.kills += 1;
                self.crash(false).await;
                self.open().await?;
            }
            Op::CutPower => {
                self.seen.power_cuts += 1;
                self.crash(true).await;
                self.open().await?;
            }
            Op::FailDisk(call, trouble) => self.machine.fail(call, trouble),
            Op::FillDisk { rows, time } => {
                self.seen.disks_filled += 1;
                self.machine.set_full(true);
                self.log(which, rows, false).await?;
                tokio::time::sleep(time).await;
                self.machine.set_full(false);
            }
        }
        self.check()
    }

    fn table(&self, which: usize) -> &StreamTable {
        &self.programs[which].alive.as_ref().expect("the program is running").0
    }

    /// Logs rows, and checks that all are accepted except invalid ones and those without space.
    async fn log(&mut self, which: usize, rows: u64, with_bad: bool) -> Result<(), String> {
        let numbers: Vec<u64> = (self.next_row..self.next_row + rows).collect();
        self.next_row += rows;
        let is_bad = |n: u64| with_bad && n.is_multiple_of(3);
        let made: Vec<Row> = numbers.iter().map(|&n| self.row(n, is_bad(n))).collect();
        // While the key is rejected, a call that waits for space waits until the key works again.
        let result = self.table(which).log(made.clone()).await;
        let (refused, at_risk) = match result {
            Ok(_) => (Vec::new(), None),
            Err(error) => (error.refused, error.at_risk),
        };
        let (at, failed) = (Instant::now(), self.machine.failed());
        let program = &mut self.programs[which];
        let before = program.taken.len();
        let mut refusals = refused.iter().peekable();
        for (index, &n) in numbers.iter().enumerate() {
            match refusals.next_if(|refused| refused.index == index) {
                None => {
                    ensure(!is_bad(n), || format!("bad row {n} was accepted"))?;
                    program.taken.push(Taken { number: n, must: true, at, failed });
                }
                Some(refused) => {
                    let fits = matches!(refused.reason, Refusal::Schema(_)) == is_bad(n)
                        || refused.reason.is_retryable();
                    ensure(fits, || format!("row {n} was refused: {}", refused.reason))?;
                    let back = refused.row.as_ref().and_then(|row| row.get("n"));
                    ensure(back == Some(&n.into()), || format!("row {n} was not returned"))?;
                }
            }
        }
        if at_risk.is_some() {
            ensure(self.spool.is_some(), || "there is nothing to be at risk".to_owned())?;
            program.at_risk_from.get_or_insert(before);
        } else if program.taken.len() > before {
            // A successful write to disk includes the earlier rows that were only in memory, so
            // they count as equally old.
            let from = program.at_risk_from.take().unwrap_or(program.taken.len());
            for taken in &mut program.taken[from..] {
                (taken.at, taken.failed) = (at, failed);
            }
        }
        Ok(())
    }

    fn row(&self, n: u64, is_bad: bool) -> Row {
        match (is_bad, self.has_media) {
            (true, _) => row! { "n" => n },
            (false, false) => row! { "n" => n, "text" => "x".repeat(n as usize % 50) },
            (false, true) => row! { "n" => n, "text" => Media::html(format!("{}", n % 23)) },
        }
    }

    /// Ends all programs at once, and records which rows may be lost.
    async fn crash(&mut self, is_power_cut: bool) {
        let (now, failed) = (Instant::now(), self.machine.failed());
        for program in &mut self.programs {
            let at_risk_from = program.at_risk_from.unwrap_or(usize::MAX);
            for (i, taken) in program.taken.iter_mut().enumerate() {
                let policy = self.spool.as_ref().filter(|_| is_power_cut).map(|spool| spool.sync);
                let is_old = |since: Instant, failed_then, interval| {
                    since + interval + Duration::from_millis(200) <= now && failed == failed_then
                };
                taken.must &= match (policy, program.died) {
                    _ if i >= at_risk_from && program.died.is_none() => false,
                    (None | Some(SyncPolicy::Always), _) => true,
                    (Some(SyncPolicy::Never), _) => false,
                    (Some(SyncPolicy::Interval(interval)), None) => {
                        is_old(taken.at, taken.failed, interval)
                    }
                    (Some(SyncPolicy::Interval(interval)), Some((died, failed_then))) => {
                        program.succeeded.is_some_and(|at| is_old(at, failed_then, Duration::ZERO))
                            || taken.at + interval + Duration::from_millis(200) <= died
                                && taken.failed == failed_then
                    }
                };
            }
        }
        match is_power_cut {
            true => self.machine.cut_power(|sides| self.generator.roll(sides)),
            false => self.machine.kill(),
        }
        for program in &mut self.programs {
            if let Some((table, driver)) = program.alive.take() {
                driver.abort();
                let _ = driver.await;
                drop(table);
                program.died = Some((now, failed));
            }
        }
    }

    /// Checks the invariants that hold at every moment.
    fn check(&mut self) -> Result<(), String> {
        for program in &self.programs {
            let Some((table, _)) = &program.alive else { continue };
            let stats @ Stats { logged, acked, pending, rejected, dropped, recovered, .. } =
                table.stats();
            let sum = acked + pending + rejected + dropped;
            ensure(logged == sum, || format!("the sum is wrong: {stats}"))?;
            ensure(dropped == 0, || format!("rows were dropped: {stats}"))?;
            let taken = program.taken.len() as u64;
            ensure(logged == taken, || format!("{taken} rows accepted, but {stats}"))?;
            let settled = recovered.acked + recovered.rejected;
            ensure(settled <= recovered.found, || format!("too many recovered: {stats}"))?;
            // Only a power failure can lose written rows between others.
            let reports_loss = recovered.lost + recovered.damaged > 0;
            ensure(self.seen.power_cuts > 0 || !reports_loss, || format!("not lost: {stats}"))?;
            let lines = self.backend.lines(table.path());
            let writer = Some(table.writer());
            let stored =
                lines.iter().filter(|line| line.writer.as_deref() == writer).count() as u64;
            ensure(acked <= stored, || format!("{acked} acked, {stored} stored"))?;
        }
        let violations = self.backend.violations();
        ensure(violations.is_empty(), || format!("the protocol was violated: {violations:?}"))
    }

    /// Lets everything be delivered, and checks the invariants that hold in the end.
    pub(super) async fn end(mut self) -> Result<Seen, String> {
        self.seen.disk_failures = self.machine.failed();
        self.machine.heal();
        self.finish().await?;
        for _ in 0..10 {
            if !self.has_segments() {
                break;
            }
            // The last killed program's rows are delivered by the next one.
            self.open().await?;
            self.finish().await?;
        }
        // After a power failure, a spool without a header cannot be identified.
        if self.seen.power_cuts == 0 {
            let files = || self.machine.files().into_iter().map(|(path, _)| path);
            ensure(!self.has_segments(), || format!("left: {:?}", files().collect::<Vec<_>>()))?;
        }
        self.backend.settle();
        self.check()?;
        let rejected = self.rejected.lock().unwrap().clone();
        let table = path();
        for program in &self.programs {
            // A row may be stored and the response lost before it is rejected.
            let mut stored = self.stored(&table, program);
            stored.retain(|n| !rejected.contains(n));
            let is_must = |taken: &&Taken| taken.must && !rejected.contains(&taken.number);
            let mut seen = stored.iter().copied();
            for taken in program.taken.iter().filter(is_must) {
                let found = seen.any(|n| n == taken.number);
                ensure(found, || {
                    let must: Vec<_> =
                        program.taken.iter().filter(is_must).map(|t| t.number).collect();
                    format!(
                        "row {} is not in its place: stored {stored:?}, not {must:?}",
                        taken.number
                    )
                })?;
            }
            let distinct: BTreeSet<u64> = stored.iter().copied().collect();
            ensure(distinct.len() == stored.len(), || {
                format!("rows are stored twice: {stored:?}")
            })?;
            // A request that sent a row may arrive after a power failure has lost the row on disk, and
            // after later rows were recovered.
            let may_be_late = |n: u64| {
                let is_lost = |taken: &Taken| taken.number == n && !taken.must;
                self.seen.power_cuts > 0 && program.taken.iter().any(is_lost)
            };
            let mut taken = program.taken.iter().map(|taken| taken.number);
            for n in stored.iter().filter(|&&n| !may_be_late(n)) {
                let found = taken.any(|number| number == *n);
                ensure(found, || format!("row {n} is too early: {stored:?}"))?;
            }
            self.seen.rows += stored.len() as u64;
        }
        if self.spool.as_ref().is_none_or(|spool| spool.sync != SyncPolicy::Never)
            || self.seen.power_cuts == 0
        {
            let missing = self.backend.missing_files(&table);
            ensure(missing.is_empty(), || format!("media files are lost: {missing:?}"))?;
        }
        Ok(self.seen)
    }

    async fn finish(&mut self) -> Result<(), String> {
        for i in self.alive() {
            let table = self.table(i);
            // Faults that were scheduled but not triggered yet may need several attempts.
            let mut outcome = table.finish().await;
            for _ in 0..20 {
                if outcome.is_ok() {
                    break;
                }
                table.resume();
                outcome = table.finish().await;
            }
            let stats = outcome.map_err(|e| format!("finish: {e}"))?;
            ensure(stats.is_settled(), || format!("finished too early: {stats}"))?;
            let late = table.log(self.row(0, false)).await;
            let is_finished = late.is_err_and(|e| e.refused[0].reason == Refusal::Finished);
            ensure(is_finished, || "a row was accepted after finish".to_owned())?;
            self.check()?;
            self.seen.recovered += self.table(i).stats().recovered.acked;
            if let Some((table, driver)) = self.programs[i].alive.take() {
                drop(table);
                let _ = driver.await;
                self.programs[i].died = Some((Instant::now(), self.machine.failed()));
            }
        }
        Ok(())
    }

    fn has_segments(&self) -> bool {
        let files = self.machine.files();
        files.iter().any(|(path, _)| path.extension().is_some_and(|e| e == "seg"))
    }

    /// Returns the numbers of the program's rows in the backend, in their order.
    fn stored(&self, table: &TablePath, program: &Program) -> Vec<u64> {
        let rows = self.backend.rows(table);
        let own = rows.iter().filter(|line| line.writer.as_deref() == Some(&program.writer));
        own.filter_map(|line| match line.row.get("n") {
            Some(Value::Int(n)) => u64::try_from(*n).ok(),
            _ => None,
        })
        .collect()
    }
}

/// Returns whether the programs of a seed have a spool.
pub(super) fn has_disk(seed: u64) -> bool {
    seed % 2 == 1
}

fn path() -> TablePath {
    let name: TableName = NAME.parse().expect("the name is valid");
    name.to_path().expect("the name is complete")
}

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}
