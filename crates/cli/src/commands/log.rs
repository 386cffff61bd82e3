//! `streamtable log`: rows from files and pipes into a table.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use streamtable::spool::SpoolConfig;
use streamtable::{
    Builder, ColumnPolicy, FlushError, OpenError, Refusal, Rejected, Stats, StreamTable, WhenFull,
    WhenUnreachable,
};
use streamtable_transport_hyper::HyperTransport;
use tokio::sync::{mpsc, watch};

use crate::cli::Global;
use crate::commands::serve::Signals;
use crate::failure::Failure;
use crate::input::{self, Format, Item, Options, Place, Source};
use crate::output::print;
use crate::progress;
use crate::remote::settings;
use crate::style;
use crate::text::{counted, printable_cell};
use crate::trouble::Trouble;

/// How long to try to reach the server before anything is read.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait after a signal for rows to be stored.
const INTERRUPTED_PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait at the end, without a row stored, for a server that did not answer at the start:
/// long enough for one more attempt to open the table.
const UNREACHABLE_PATIENCE: Duration = Duration::from_secs(15);

/// How many rows may wait between who reads and who logs.
const QUEUE_ROWS: usize = 4096;

/// How many rows are logged at once.
const BATCH_ROWS: usize = 1024;

/// How many refused rows are told one by one.
const MAX_TOLD: u64 = 20;

const EXAMPLES: &str = "\
Examples:
  streamtable log me/shop/requests requests.jsonl
  jq -c '.requests[]' today.json | streamtable log me/shop/requests
  tail -F access.jsonl | streamtable log --evolve me/shop/requests
  streamtable log me/shop/orders --text zip orders-*.csv
  streamtable log me/shop/orders orders.parquet

A file's name tells its form; standard input is JSON, an object a line, unless
--format says otherwise. In CSV whole numbers, numbers, true and false, and
instants such as 2026-01-02T03:04:05Z are what they look like, an empty cell is
null, and all else is text.

Rows are sent as they come, so that a slow pipe shows its rows at once. If the
server is not there at the start, or goes away later, rows wait on disk. A row that
is refused is reported with its line and the reason, keeps no other from the table,
and makes the exit code 1; so do rows that still wait at the end.

Ctrl-C and SIGTERM end the reading. Rows that were read are stored or kept on disk
within 5 seconds; a second signal ends at once.";

/// Log rows from files or standard input
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Log {
    /// The table: entity/project/table; what is left out, the settings or the server tell
    table: String,
    /// Files with rows; - is standard input, and so is no file at all
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The form of the rows [default: by each file's name, else jsonl]
    #[arg(long, short, value_enum)]
    format: Option<Format>,
    /// Let the table grow: new columns appear, absent ones are null
    #[arg(long, conflicts_with = "strict")]
    evolve: bool,
    /// Refuse rows whose columns are not exactly the table's; this is the default
    #[arg(long)]
    strict: bool,
    /// Only write the rows to disk; `streamtable sync` delivers them later
    #[arg(long)]
    offline: bool,
    /// A column of CSV whose cells are texts, whatever they look like; may be repeated
    #[arg(long, value_name = "COLUMN")]
    text: Vec<String>,
    /// A column that is left out; may be repeated
    #[arg(long, value_name = "COLUMN")]
    skip: Vec<String>,
    /// How long to wait at the end while no row gets stored; those that are not wait on disk
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// Say nothing but what went wrong
    #[arg(long, short)]
    quiet: bool,
}

impl Log {
    /// Logs all rows, waits until they are stored, and prints the tally.
    ///
    /// A first signal ends the reading and bounds the wait; a second one ends the wait.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let sources = self.sources()?;
        let rejected: Arc<Mutex<Vec<Rejected>>> = Arc::default();
        let table = self.open(global, &rejected).await?;
        let total = sources.iter().map(Source::len).sum::<Option<u64>>();
        let bar = if self.quiet { ProgressBar::hidden() } else { progress::bytes(total) };
        let bytes = Arc::new(AtomicU64::new(0));
        let options = Options { format: self.format, text: self.text, skip: self.skip };
        let items = read(sources, options, &bytes);

        let told = Told { bar: bar.clone(), refused: 0, knows_columns: false, is_at_risk: false };
        let mut session = Session {
            table,
            bar,
            bytes,
            told,
            rejected,
            trouble: Trouble::default(),
            under_way: None,
            is_announced: self.quiet,
            is_offline: self.offline,
            quiet: self.quiet,
        };
        let mut signals = Signals::new().map_err(Failure::failed)?;
        let (interrupt, interrupted) = watch::channel(false);
        let done = {
            let work = session.work(items, interrupted);
            tokio::pin!(work);
            tokio::select! {
                done = &mut work => Some(done),
                () = signals.next() => {
                    interrupt.send_replace(true);
                    tokio::select! {
                        done = &mut work => Some(done),
                        () = tokio::time::sleep(INTERRUPTED_PATIENCE) => None,
                        () = signals.next() => None,
                    }
                }
            }
        };
        let is_interrupted = *interrupt.borrow();
        let (logged, finished) = done.unwrap_or((Ok(()), None));
        session.conclude()?;
        logged?;
        match finished {
            Some(Err(error)) => Err(Failure::failed(error)),
            _ if is_interrupted => Err(Failure::Interrupted),
            _ if session.told.refused > 0 => Err(Failure::Told),
            _ => Ok(()),
        }
    }

    fn sources(&self) -> Result<Vec<Source>, Failure> {
        if self.files.is_empty() {
            if std::io::stdin().is_terminal() {
                return Err(Failure::usage(
                    "there is nothing to log: name files, or pipe rows into it; see \
                     `streamtable log --help`",
                ));
            }
            return Ok(vec![Source::Stdin]);
        }
        let sources: Vec<Source> = self.files.iter().map(|path| Source::new(path)).collect();
        for source in &sources {
            // What is not there should be told before anything is logged.
            if let Source::File(path) = source {
                match path.metadata() {
                    Ok(it) if it.is_dir() => {
                        return Err(Failure::failed(format!("{source} is a folder")));
                    }
                    Ok(_) => {}
                    Err(error) => return Err(Failure::failed(format!("{source}: {error}"))),
                }
            }
        }
        Ok(sources)
    }

    /// Opens the table. If the server does not answer, rows go to the spool until it does.
    async fn open(
        &self,
        global: &Global,
        rejected: &Arc<Mutex<Vec<Rejected>>>,
    ) -> Result<StreamTable, Failure> {
        let reason = match self.builder(global, rejected)?.open().await {
            Err(OpenError::Unavailable { reason, .. }) => reason,
            opened => return opened.map_err(failure),
        };
        let table = self
            .builder(global, rejected)?
            .open_timeout(Duration::ZERO)
            .when_unreachable(WhenUnreachable::LogAnyway)
            .spool(SpoolConfig::default())
            .finish_patience(UNREACHABLE_PATIENCE)
            .open()
            .await
            .map_err(|error| match error {
                OpenError::Unavailable { .. } => Failure::failed(format!(
                    "{reason}; write entity/project/table, and rows are kept on disk until the \
                     server answers"
                )),
                OpenError::Spool { reason: disk } => Failure::failed(format!(
                    "{reason}; and rows cannot be kept on disk until the server answers: {disk}"
                )),
                error => failure(error),
            })?;
        style::warn(format_args!(
            "{reason}; logging offline: rows go to the spool until the server answers"
        ));
        Ok(table)
    }

    fn builder(
        &self,
        global: &Global,
        rejected: &Arc<Mutex<Vec<Rejected>>>,
    ) -> Result<Builder, Failure> {
        let columns = if self.evolve { ColumnPolicy::Evolve } else { ColumnPolicy::Strict };
        let rejected = Arc::clone(rejected);
        let table = StreamTable::builder(&self.table)
            .settings(settings(global)?)
            .transport(HyperTransport::new().map_err(Failure::failed)?)
            .columns(columns)
            .when_full(WhenFull::Wait)
            .on_reject(move |row| {
                rejected.lock().unwrap_or_else(PoisonError::into_inner).push(row);
            })
            .open_timeout(OPEN_TIMEOUT)
            .finish_patience(Duration::from_secs(self.wait))
            .quiet();
        Ok(if self.offline { table.offline() } else { table })
    }
}

fn failure(error: OpenError) -> Failure {
    match error {
        OpenError::Name(error) => Failure::usage(error),
        OpenError::NoEntity => Failure::usage(error),
        error => Failure::failed(error),
    }
}

/// Reads on a thread of its own, which nobody waits for: a pipe may never end.
fn read(
    sources: Vec<Source>,
    options: Options,
    bytes: &Arc<AtomicU64>,
) -> mpsc::Receiver<Result<Item, Failure>> {
    let (sender, receiver) = mpsc::channel(QUEUE_ROWS);
    let bytes = Arc::clone(bytes);
    std::thread::spawn(move || {
        for source in &sources {
            let mut sink = |item| sender.blocking_send(Ok(item)).is_ok();
            if let Err(error) = input::read(source, &options, &bytes, &mut sink) {
                let _ = sender.blocking_send(Err(Failure::failed(format!("{source}: {error}"))));
                return;
            }
        }
    });
    receiver
}

/// A table that rows are logged to.
struct Session {
    table: StreamTable,
    bar: ProgressBar,
    bytes: Arc<AtomicU64>,
    told: Told,
    rejected: Arc<Mutex<Vec<Rejected>>>,
    trouble: Trouble,
    /// The rows of the call of `log` that has not returned, and how many were logged before it.
    under_way: Option<(u64, u64)>,
    is_announced: bool,
    is_offline: bool,
    quiet: bool,
}

/// The results of logging the rows of all sources, and of the wait until they are stored.
type Done = (Result<(), Failure>, Option<Result<Stats, FlushError>>);

impl Session {
    /// Logs all rows, and waits until they are stored.
    async fn work(
        &mut self,
        items: mpsc::Receiver<Result<Item, Failure>>,
        interrupted: watch::Receiver<bool>,
    ) -> Done {
        let logged = self.log(items, interrupted).await;
        (logged, Some(self.finish().await))
    }

    /// Logs rows as they come; after an interrupt, only those that were read before.
    async fn log(
        &mut self,
        mut items: mpsc::Receiver<Result<Item, Failure>>,
        mut interrupted: watch::Receiver<bool>,
    ) -> Result<(), Failure> {
        let mut batch = Vec::with_capacity(BATCH_ROWS);
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            // The value that `wait_for` returns holds a lock, which must not live across an await.
            let stop = async { drop(interrupted.wait_for(|it| *it).await) };
            tokio::select! {
                () = stop, if !items.is_closed() => items.close(),
                count = items.recv_many(&mut batch, BATCH_ROWS) => {
                    if count == 0 {
                        return Ok(());
                    }
                    self.take(std::mem::take(&mut batch)).await?;
                }
                _ = tick.tick() => {}
            }
            self.show();
        }
    }

    /// Logs what there is, and tells what is wrong with the others in their order.
    async fn take(&mut self, items: Vec<Result<Item, Failure>>) -> Result<(), Failure> {
        let (mut places, mut rows, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        let mut failed = None;
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Ok((place, Ok(row))) => {
                    places.push((index, place));
                    rows.push(row);
                }
                Ok((place, Err(reason))) => bad.push((index, place, reason)),
                Err(failure) => failed = Some(failure),
            }
        }
        self.under_way = Some((rows.len() as u64, self.table.stats().logged));
        let logged = self.table.log(rows).await;
        self.under_way = None;
        if let Err(error) = logged {
            match (&error.at_risk, places.first()) {
                // Nothing else will deliver them.
                (Some(reason), Some((_, first))) if self.is_offline => {
                    let lost = format!("rows from {first} on are not all on disk: {reason}");
                    failed = Some(Failure::failed(lost));
                }
                (Some(reason), _) => self.told.at_risk(reason),
                (None, _) => {}
            }
            for refused in error.refused {
                let (index, place) = &places[refused.index];
                match refused.reason {
                    Refusal::Schema(_) | Refusal::TooLong { .. } => {
                        self.told.knows_columns |= matches!(refused.reason, Refusal::Schema(_));
                        bad.push((*index, place.clone(), refused.reason.to_string()));
                    }
                    // It holds for all rows that follow.
                    reason => {
                        failed = failed.or(Some(Failure::failed(format!("{place}: {reason}"))));
                        break;
                    }
                }
            }
        }
        bad.sort_by_key(|(index, ..)| *index);
        for (_, place, reason) in &bad {
            self.told.row(place, reason);
        }
        self.announce();
        failed.map_or(Ok(()), Err)
    }

    /// Says once where the rows can be looked at.
    fn announce(&mut self) {
        let is_due = !self.is_announced && self.table.stats().logged > 0;
        if let (true, Some(url)) = (is_due, self.table.panel_url()) {
            self.is_announced = true;
            self.bar.suspend(|| style::note(format_args!("View data at: {url}")));
        }
    }

    fn show(&mut self) {
        let rejected =
            std::mem::take(&mut *self.rejected.lock().unwrap_or_else(PoisonError::into_inner));
        for Rejected { line, reason, .. } in rejected {
            self.told.rejected(&line, &reason);
        }
        if let Some(error) = self.trouble.watch(self.table.last_error()) {
            self.bar.suspend(|| style::warn(format_args!("rows wait and are sent again: {error}")));
        }
        let stats = self.table.stats();
        self.bar.set_position(self.bytes.load(Ordering::Relaxed));
        self.bar.set_message(format!(
            "{}, {} stored",
            counted(stats.logged, "row"),
            crate::text::count(stats.acked)
        ));
    }

    /// Waits until all rows are stored.
    async fn finish(&mut self) -> Result<Stats, FlushError> {
        let table = self.table.clone();
        let finishing = table.finish();
        tokio::pin!(finishing);
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tokio::select! {
                finished = &mut finishing => return finished,
                _ = tick.tick() => self.show(),
            }
        }
    }

    /// Prints the tally, and what becomes of rows that are not stored.
    fn conclude(&mut self) -> Result<(), Failure> {
        self.show();
        self.bar.finish_and_clear();
        self.told.rest();
        let stats = self.table.stats();
        if let Some((rows, before)) = self.under_way.take() {
            let left = rows.saturating_sub(stats.logged - before);
            if left > 0 {
                style::error(format_args!(
                    "{} read and not logged: there was no room",
                    counted(left, "row")
                ));
            }
        }
        if !self.quiet {
            print(format!("{}: {stats}", self.table.path()))?;
        }
        if stats.is_settled() || self.is_offline {
            return Ok(());
        }
        let waiting = match (stats.pending, stats.media.pending) {
            (rows, 0) => verb(rows, "row", "waits", "wait"),
            (0, files) => verb(files, "media file", "waits", "wait"),
            (rows, files) => {
                format!("{} and {} wait", counted(rows, "row"), counted(files, "media file"))
            }
        };
        let but =
            if self.told.is_at_risk { ", except those that the disk did not take" } else { "" };
        match self.table.is_spooled() {
            true => style::note(format_args!(
                "{waiting} in the spool{but}: `streamtable sync` delivers them"
            )),
            false => style::error(format_args!(
                "{waiting} in memory, without a spool, and are lost when this program ends"
            )),
        }
        Ok(())
    }
}

fn verb(count: u64, noun: &str, singular: &str, plural: &str) -> String {
    format!("{} {}", counted(count, noun), if count == 1 { singular } else { plural })
}

/// What was said of rows that were refused.
struct Told {
    bar: ProgressBar,
    refused: u64,
    /// Whether a row did not fit the columns.
    knows_columns: bool,
    is_at_risk: bool,
}

impl Told {
    fn row(&mut self, place: &Place, reason: &str) {
        self.say(format!("{place}: {reason}"));
    }

    fn rejected(&mut self, line: &str, reason: &str) {
        let start: String = line.chars().take(120).collect();
        self.say(format!("refused by the server: {reason}: {}", printable_cell(&start)));
    }

    fn say(&mut self, text: String) {
        self.refused += 1;
        if self.refused <= MAX_TOLD {
            self.bar.suspend(|| style::warn(text));
        }
    }

    fn at_risk(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.is_at_risk, true) {
            self.bar.suspend(|| {
                style::warn(format_args!("rows wait in memory only, and not on disk: {reason}"));
            });
        }
    }

    /// Says what was not told one by one.
    fn rest(&self) {
        if self.refused > 0 {
            let hint = match self.knows_columns {
                true => "; --evolve lets the table grow, and --skip leaves a column out",
                false => "",
            };
            style::error(format_args!("{} refused{hint}", counted(self.refused, "row")));
        }
    }
}
