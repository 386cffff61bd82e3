//! The program that logs rows and is killed.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use streamtable::{BatchLimits, RetryPolicy, Row, StreamTable, WhenFull, WhenUnreachable, row};
use streamtable_transport_hyper::HyperTransport;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::generator::Generator;
use crate::options::WriterRole;

/// The table of the run.
pub(crate) const TABLE: &str = "crash/test/rows";

/// The environment variables with the server's address and the key.
const SERVER: &str = "STREAMTABLE_CRASH_SERVER";
const KEY: &str = "STREAMTABLE_CRASH_KEY";

/// The maximum number of rows per call of `log`.
const MOST_ROWS: u64 = 40;

/// Returns the text of a row. It depends only on the number, so that a stored row can be checked.
pub(crate) fn text(number: u64) -> String {
    let length = Generator::new(number).below(200);
    format!("{number} {}", "x".repeat(length as usize))
}

fn made(number: u64) -> Row {
    row! { "n" => number, "text" => text(number) }
}

/// Runs as a writer until it is killed or has finished.
pub(crate) async fn run(role: WriterRole) -> Result<(), String> {
    let env = |name| std::env::var(name).map_err(|_| format!("{name} is not set"));
    end_with_the_driver();
    let table = StreamTable::builder(TABLE)
        .base_url(&env(SERVER)?)
        .api_key(&env(KEY)?)
        .transport(HyperTransport::new().map_err(|error| error.to_string())?)
        .when_unreachable(WhenUnreachable::LogAnyway)
        .when_full(WhenFull::Wait)
        .open_timeout(Duration::from_secs(1))
        .finish_patience(Duration::from_secs(60))
        .limits(BatchLimits { linger: Duration::from_millis(5), ..BatchLimits::default() })
        .retry(RetryPolicy {
            first_delay: Duration::from_millis(10),
            max_delay: Duration::from_millis(200),
        })
        .quiet()
        .open()
        .await
        .map_err(|error| error.to_string())?;
    tell(format_args!("writer {}", table.writer()))?;
    if role == WriterRole::Last {
        let stats = table.finish().await.map_err(|error| error.to_string())?;
        return tell(format_args!("stats {stats}"));
    }
    let mut generator = Generator::new(std::process::id().into());
    let mut number = 0;
    loop {
        let end = number + 1 + generator.below(MOST_ROWS);
        table.log((number..end).map(made)).await.map_err(|error| error.to_string())?;
        number = end;
        tell(format_args!("took {number}"))?;
        tokio::time::sleep(Duration::from_millis(generator.below(20))).await;
    }
}

/// Ends this process when its driver exits, since its output is then lost.
fn end_with_the_driver() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
}

fn tell(line: std::fmt::Arguments<'_>) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| error.to_string())
}

/// A writer process, as seen by the driver.
#[derive(Debug)]
pub(crate) struct Writer {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
}

/// A line of a writer's output.
#[derive(Debug)]
pub(crate) enum Output {
    /// The writer's id; always the first line.
    Writer(String),
    /// `log` accepted all rows below this number.
    Took(u64),
    /// The final statistics.
    Stats(String),
}

impl Writer {
    pub(crate) fn start(
        role: WriterRole,
        url: &str,
        key: &str,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(own);
        command.args(["--writer", role.name()]);
        prepare(&mut command);
        command.env(SERVER, url).env(KEY, key);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("no writer: {error}"))?;
        let out = child.stdout.take().ok_or("a writer without an output")?;
        Ok(Self { child, out: BufReader::new(out).lines() })
    }

    /// Returns the next line, or `None` once the writer has exited.
    pub(crate) async fn next(&mut self) -> Result<Option<Output>, String> {
        let Ok(Some(line)) = self.out.next_line().await else { return Ok(None) };
        let said = line.split_once(' ').and_then(|(word, rest)| match word {
            "writer" => Some(Output::Writer(rest.to_owned())),
            "took" => rest.parse().ok().map(Output::Took),
            "stats" => Some(Output::Stats(rest.to_owned())),
            _ => None,
        });
        said.map(Some).ok_or_else(|| format!("unexpected output of a writer: {line:?}"))
    }

    /// Kills it. Its output so far can still be read.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        self.child.start_kill().map_err(|error| format!("a writer exited unexpectedly: {error}"))
    }

    pub(crate) async fn ended(&mut self) -> Result<std::process::ExitStatus, String> {
        self.child.wait().await.map_err(|error| error.to_string())
    }
}
