//! `streamtable log`: rows from files and pipes into a table.

mod loaded;
mod record;

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
    WhenStopped, WhenUnreachable,
};
use streamtable_format::{Input, InputError, Item, Note, Options, Position, Source};
use streamtable_transport_hyper::HyperTransport;
use tokio::sync::{mpsc, watch};

use self::loaded::{Destination, Loaded, checksum};
use self::record::Known;
use crate::cli::Global;
use crate::commands::serve::Signals;
use crate::failure::Failure;
use crate::input::InputArgs;
use crate::output::print;
use crate::progress;
use crate::remote::{Remote, settings};
use crate::style;
use crate::text::{counted, printable_cell};
use crate::trouble::Trouble;

/// How long to try to reach the server before the input is read.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait after a signal for rows to be stored.
const INTERRUPTED_PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait at the end, while no row is stored, for a server that did not answer at the
/// start: long enough for one more attempt to open the table.
const UNREACHABLE_PATIENCE: Duration = Duration::from_secs(15);

/// Capacity of the queue between the reading thread and the logging task, in rows.
const QUEUE_ROWS: usize = 4096;

/// Maximum number of rows per call of `log`.
const BATCH_ROWS: usize = 1024;

/// Maximum number of refused rows that are reported individually.
const MAX_TOLD: u64 = 20;

const EXAMPLES: &str = "\
Examples:
  streamtable log me/shop/requests requests.jsonl
  jq -c '.requests[]' today.json | streamtable log me/shop/requests
  tail -F access.jsonl | streamtable log --evolve me/shop/requests
  streamtable log me/shop/orders --text zip orders-*.csv
  streamtable log me/shop/orders orders.parquet

Each file is inspected before its first row is logged: compression (gzip, zstd),
encoding, format, and in CSV the delimiter and the types of the columns. Choices are
printed once, each with the option that changes it; if one is yours to make, nothing is
logged. A CSV column has numbers only if all its cells print as they are written, so
versions, codes and hashes stay text. An empty cell is null.

Rows are sent while the input is read, so rows from a slow pipe are visible at once.
If the server is unreachable, at the start or later, rows wait on disk. A rejected
row is reported with its line number and the reason, and the other rows are still
logged; the exit code is 1. It is also 1 if rows are still waiting at the end.

A file that is logged again adds only the rows that are not in the table: those that
were refused, and the rest after an interruption. If all are, nothing is logged. A file
is recognized by its content; `--again` logs all of its rows.

Ctrl-C and SIGTERM end the reading. Rows that were read are stored or saved to disk
within 5 seconds; a second signal ends the command at once.";

/// Log rows from files or standard input
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Log {
    /// Table name, `[[entity/]project/]table`; missing parts come from your settings or the server
    table: String,
    /// Files with rows; `-` or no file means standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Add new columns to the table; missing columns become null
    #[arg(long, conflicts_with = "strict")]
    evolve: bool,
    /// Reject rows whose columns differ from the table's; this is the default
    #[arg(long)]
    strict: bool,
    /// Only write the rows to disk; `streamtable sync` delivers them later
    #[arg(long)]
    offline: bool,
    /// Log all rows of files that were logged before, too
    #[arg(long)]
    again: bool,
    /// How long to wait at the end while no further row is stored; the others stay on disk
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// Print only warnings and errors
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    input: InputArgs,
}

impl Log {
    /// Logs all rows, waits until they are stored, and prints the tally.
    ///
    /// The first signal ends the reading and limits the wait; the second one ends the wait.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let sources = self.sources()?;
        let options = self.input.options()?;
        let rejected: Arc<Mutex<Vec<Rejected>>> = Arc::default();
        let mut signals = Signals::new().map_err(Failure::failed)?;
        let opening = async {
            let inputs = inspect(sources.clone(), options.clone()).await?;
            let table = self.open(global, &rejected).await?;
            let loaded = self.loaded(global, &sources, &table).await?;
            Ok::<_, Failure>((inputs, table, loaded))
        };
        let (inputs, table, loaded) = tokio::select! {
            opened = opening => opened?,
            () = signals.next() => {
                if !self.quiet {
                    print(format!("{}: {}", self.table, Stats::default()))?;
                }
                return Err(Failure::Interrupted);
            }
        };
        let known = sources.iter().map(|source| loaded.known(&source.to_string()));
        let inputs = inputs.into_iter().zip(known).collect();
        let total = sources.iter().map(Source::size).sum::<Option<u64>>();
        let bar = if self.quiet { ProgressBar::hidden() } else { progress::bytes(total) };
        let bytes = Arc::new(AtomicU64::new(0));
        let items = read(inputs, options, &bytes);

        let report =
            RefusalReport { bar: bar.clone(), refused: 0, knows_columns: false, is_at_risk: false };
        let has_reader = std::io::stderr().is_terminal() && !self.offline;
        let remote = if has_reader { Remote::new(global).ok() } else { None };
        let mut session = Session {
            table,
            bar,
            bytes,
            report,
            rejected,
            loaded,
            remote,
            trouble: Trouble::default(),
            under_way: None,
            is_announced: self.quiet,
            has_stopped: false,
            is_offline: self.offline,
            quiet: self.quiet,
        };
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
        if logged.is_ok() && !is_interrupted {
            session.loaded.end();
        }
        session.conclude()?;
        logged?;
        match finished {
            Some(Err(error)) => Err(Failure::failed(error)),
            _ if is_interrupted => Err(Failure::Interrupted),
            _ if session.report.refused > 0 => Err(Failure::Told),
            _ => Ok(()),
        }
    }

    fn sources(&self) -> Result<Vec<Source>, Failure> {
        if self.files.is_empty() {
            if std::io::stdin().is_terminal() {
                return Err(Failure::usage(
                    "no input: name files, or pipe rows to standard input; see \
                     `streamtable log --help`",
                ));
            }
            return Ok(vec![Source::Stdin]);
        }
        let sources: Vec<Source> = self.files.iter().map(|path| Source::new(path)).collect();
        for source in &sources {
            // Report missing files before anything is logged.
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

    /// Opens the records of the files that were logged before. Rows that wait in memory are lost if
    /// the process ends, so without a spool there are no records.
    async fn loaded(
        &self,
        global: &Global,
        sources: &[Source],
        table: &StreamTable,
    ) -> Result<Loaded, Failure> {
        let settings = settings(global)?;
        let Some(spool) = settings.spool_dir.as_deref().filter(|_| table.is_spooled()) else {
            return Ok(Loaded::default());
        };
        let sources = sources.to_vec();
        let sum = move || {
            let of = |source: Source| match checksum(&source) {
                Ok(sum) => Ok((source, sum)),
                Err(error) => Err(Failure::failed(format!("{source}: {error}"))),
            };
            sources.into_iter().map(of).collect::<Result<Vec<_>, Failure>>()
        };
        let files = tokio::task::spawn_blocking(sum).await.map_err(Failure::failed)??;
        let remote = if self.offline { None } else { Remote::new(global).ok() };
        let (server, remote) = (settings.base_url.as_str(), remote.as_ref());
        Loaded::open(files, &Destination { table, spool, server, remote }, self.again).await
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
            .finish_idle_timeout(UNREACHABLE_PATIENCE)
            .open()
            .await
            .map_err(|error| match error {
                OpenError::Unavailable { .. } => Failure::failed(format!(
                    "{reason}; write entity/project/table to keep rows on disk until the server \
                     answers"
                )),
                OpenError::Spool { reason: disk } => {
                    Failure::failed(format!("{reason}; and rows cannot be kept on disk: {disk}"))
                }
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
            .when_stopped(WhenStopped::LogAnyway)
            .on_reject(move |row| {
                rejected.lock().unwrap_or_else(PoisonError::into_inner).push(row);
            })
            .open_timeout(OPEN_TIMEOUT)
            .finish_idle_timeout(Duration::from_secs(self.wait))
            .print_url(false);
        Ok(if self.offline { table.offline(SpoolConfig::default()) } else { table })
    }
}

fn failure(error: OpenError) -> Failure {
    match error {
        OpenError::Name(error) => Failure::usage(error),
        OpenError::NoEntity => Failure::usage(error),
        error => Failure::failed(error),
    }
}

/// A source, which was inspected unless it is standard input: a pipe may stay empty for long.
enum Checked {
    Input(Box<Input>),
    Pipe(Source),
}

/// Inspects all files, so that nothing is logged if one of them needs a decision.
async fn inspect(sources: Vec<Source>, options: Options) -> Result<Vec<Checked>, Failure> {
    let inspect = move || {
        let check = |source: Source| match source {
            Source::Stdin => Ok(Checked::Pipe(source)),
            Source::File(_) => match Input::inspect(&source, &options) {
                Ok(input) => Ok(Checked::Input(Box::new(input))),
                Err(error) => Err(input_failure(&source, &error)),
            },
        };
        sources.into_iter().map(check).collect()
    };
    tokio::task::spawn_blocking(inspect).await.map_err(Failure::failed)?
}

fn input_failure(source: &impl std::fmt::Display, error: &InputError) -> Failure {
    match error {
        InputError::Decision { .. } => {
            Failure::failed(format!("{source}: {error}; nothing was logged"))
        }
        error => Failure::failed(format!("{source}: {error}")),
    }
}

/// Reads the inputs on a detached thread, since a pipe may never end. Rows that were logged before
/// are left out.
fn read(
    inputs: Vec<(Checked, Known)>,
    options: Options,
    bytes: &Arc<AtomicU64>,
) -> mpsc::Receiver<Result<Item, Failure>> {
    let (sender, receiver) = mpsc::channel(QUEUE_ROWS);
    let bytes = Arc::clone(bytes);
    std::thread::spawn(move || {
        for (input, known) in inputs {
            let mut sink = |item| match item {
                Item::Row(at, _) if known.contains(at.number()) => !sender.is_closed(),
                item => sender.blocking_send(Ok(item)).is_ok(),
            };
            let read = || -> Result<(), Failure> {
                let input = match input {
                    Checked::Input(input) => *input,
                    Checked::Pipe(source) => Input::inspect(&source, &options)
                        .map_err(|error| input_failure(&source, &error))?,
                };
                let name = input.name().to_owned();
                for note in input.notes() {
                    sink(Item::Note(note.clone()));
                }
                input.read(&bytes, &mut sink).map_err(|error| input_failure(&name, &error))
            };
            if let Err(failure) = read() {
                let _ = sender.blocking_send(Err(failure));
                return;
            }
        }
    });
    receiver
}

/// The table and the state of a run of the command.
struct Session {
    table: StreamTable,
    bar: ProgressBar,
    bytes: Arc<AtomicU64>,
    report: RefusalReport,
    rejected: Arc<Mutex<Vec<Rejected>>>,
    /// Which rows of the files were logged.
    loaded: Loaded,
    /// The server that makes a login link, if there is a terminal to print it on.
    remote: Option<Remote>,
    trouble: Trouble,
    /// For a call of `log` that has not returned: its number of rows, and the rows logged before
    /// it.
    under_way: Option<(u64, u64)>,
    is_announced: bool,
    /// Whether it was reported that delivery has stopped.
    has_stopped: bool,
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

    /// Logs rows as they are read; after an interrupt, only those that were already read.
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

    /// Logs the valid rows, and reports the others in input order.
    async fn take(&mut self, items: Vec<Result<Item, Failure>>) -> Result<(), Failure> {
        let (mut places, mut rows, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        let (mut all, mut failed) = (Vec::new(), None);
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Ok(Item::Row(place, Ok(row))) => {
                    all.push((place.clone(), true));
                    places.push((index, place));
                    rows.push(row);
                }
                Ok(Item::Row(place, Err(reason))) => {
                    all.push((place.clone(), false));
                    bad.push((index, place, reason));
                }
                Ok(Item::Note(note)) => self.report.note(&note),
                Ok(_) => {}
                Err(failure) => failed = Some(failure),
            }
        }
        let before = self.table.stats().logged;
        self.under_way = Some((rows.len() as u64, before));
        self.loaded.logging(&all, before);
        let logged = self.table.log(rows).await;
        self.under_way = None;
        if logged.as_ref().err().is_none_or(|error| error.at_risk.is_none()) {
            let refused = logged.as_ref().err().into_iter().flat_map(|error| &error.refused);
            let refused = refused.map(|row| places[row.index].1.clone()).collect();
            self.loaded.logged(&all, &refused);
        }
        if let Err(error) = logged {
            match (&error.at_risk, places.first()) {
                // Offline, rows that are not on disk are lost.
                (Some(reason), Some((_, first))) if self.is_offline => {
                    let lost = format!("not all rows from {first} on are on disk: {reason}");
                    failed = Some(Failure::failed(lost));
                }
                (Some(reason), _) => self.report.at_risk(reason),
                (None, _) => {}
            }
            for refused in error.refused {
                let (index, place) = &places[refused.index];
                match refused.reason {
                    Refusal::Schema(_) | Refusal::TooLong { .. } => {
                        self.report.knows_columns |= matches!(refused.reason, Refusal::Schema(_));
                        bad.push((*index, place.clone(), refused.reason.to_string()));
                    }
                    // The reason also applies to all following rows.
                    reason => {
                        failed = failed.or(Some(Failure::failed(format!("{place}: {reason}"))));
                        break;
                    }
                }
            }
        }
        bad.sort_by_key(|(index, ..)| *index);
        for (_, place, reason) in &bad {
            self.report.row(place, reason);
        }
        self.announce().await;
        failed.map_or(Ok(()), Err)
    }

    /// Prints once where the rows can be seen; on a terminal, also a link that logs in once.
    async fn announce(&mut self) {
        let is_due = !self.is_announced && self.table.stats().logged > 0;
        if let (true, Some(url)) = (is_due, self.table.panel_url()) {
            self.is_announced = true;
            self.bar.suspend(|| style::note(format_args!("View data at: {url}")));
            if let Some(remote) = self.remote.take()
                && let Ok(link) = remote.login_link(url).await
            {
                self.bar.suspend(|| style::note(format_args!("Logged in, once: {link}")));
            }
        }
    }

    fn show(&mut self) {
        let rejected =
            std::mem::take(&mut *self.rejected.lock().unwrap_or_else(PoisonError::into_inner));
        for Rejected { line, reason, .. } in rejected {
            self.report.rejected(&line, &reason);
        }
        if let Some(error) = self.trouble.watch(self.table.last_error()) {
            self.bar.suspend(|| style::warn(format_args!("rows wait and are sent again: {error}")));
        }
        if let Some(reason) = self.table.stop_reason()
            && self.table.is_spooled()
            && !std::mem::replace(&mut self.has_stopped, true)
        {
            self.bar.suspend(|| {
                style::warn(format_args!("delivery has stopped: {reason}; rows go to the spool"));
            });
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

    /// Prints the tally, and where rows are that are not stored.
    fn conclude(&mut self) -> Result<(), Failure> {
        self.show();
        self.bar.finish_and_clear();
        self.report.print_total();
        let stats = self.table.stats();
        if let Some((rows, before)) = self.under_way.take() {
            let left = rows.saturating_sub(stats.logged - before);
            if left > 0 {
                style::error(format_args!(
                    "{} read but not logged: the buffer is full",
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
        let but = if self.report.is_at_risk {
            ", except rows that could not be written to disk"
        } else {
            ""
        };
        match self.table.is_spooled() {
            true => style::note(format_args!(
                "{waiting} in the spool{but}: `streamtable sync` delivers them"
            )),
            false => style::error(format_args!(
                "{waiting} in memory only, and are lost when this program ends"
            )),
        }
        Ok(())
    }
}

fn verb(count: u64, noun: &str, singular: &str, plural: &str) -> String {
    format!("{} {}", counted(count, noun), if count == 1 { singular } else { plural })
}

/// Reports refused rows.
struct RefusalReport {
    bar: ProgressBar,
    refused: u64,
    /// Whether a row did not match the columns.
    knows_columns: bool,
    is_at_risk: bool,
}

impl RefusalReport {
    fn row(&mut self, place: &Position, reason: &str) {
        self.warn(format!("{place}: {reason}"));
    }

    fn note(&self, note: &Note) {
        self.bar.suspend(|| style::note(note));
    }

    fn rejected(&mut self, line: &str, reason: &str) {
        let start: String = line.chars().take(120).collect();
        self.warn(format!("rejected by the server: {reason}: {}", printable_cell(&start)));
    }

    fn warn(&mut self, text: String) {
        self.refused += 1;
        if self.refused <= MAX_TOLD {
            self.bar.suspend(|| style::warn(text));
        }
    }

    fn at_risk(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.is_at_risk, true) {
            self.bar.suspend(|| {
                style::warn(format_args!("rows are only in memory, not on disk: {reason}"));
            });
        }
    }

    /// Prints the number of refused rows.
    fn print_total(&self) {
        if self.refused > 0 {
            let hint = match self.knows_columns {
                true => "; use --evolve to add columns, --skip to leave columns out",
                false => "",
            };
            style::error(format_args!("{} refused{hint}", counted(self.refused, "row")));
        }
    }
}
