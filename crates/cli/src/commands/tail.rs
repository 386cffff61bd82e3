//! `streamtable tail`: the last rows of a table, and those that come.

use std::time::Duration;

use clap::{Args, ValueEnum};
use futures_util::StreamExt;
use http::header::{ACCEPT, HeaderValue};
use http::{HeaderName, Method};
use tokio::time::timeout;

use crate::cli::Global;
use crate::events::Events;
use crate::failure::Failure;
use crate::output::Output;
use crate::remote::{Answer, Remote, table_path};
use crate::row_text::RowText;
use crate::style;

/// The server shows every quarter of a minute that it lives.
const MAX_SILENCE: Duration = Duration::from_secs(45);

/// How long to wait before the server is called again, at first and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(10)];

const EXAMPLES: &str = "\
Examples:
  streamtable tail me/shop/requests              the last 10 rows
  streamtable tail -f me/shop/requests           and those that come, until Ctrl-C
  streamtable tail -f -n 0 me/shop/requests | jq -r .path

On a terminal a row is a line of its time and its cells; in a pipe it is a JSON
object. --follow survives a restart of the server, and shows no row twice.";

/// Show the last rows of a table, and follow it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Tail {
    /// The table: entity/project/table; what is left out, the settings or the server tell
    table: String,
    /// Show rows as they come, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// How many of the last rows to show first
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    rows: u32,
    /// How rows look [default: text on a terminal, jsonl elsewhere]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// How rows look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for people
    Text,
    /// An object a line
    Jsonl,
}

/// Where rows go.
struct Lines {
    out: Output,
    text: Option<RowText>,
}

impl Lines {
    fn put(&mut self, row: &str) -> Result<(), Failure> {
        let mut line = match &self.text {
            Some(text) => text.line(row),
            None => row.to_owned(),
        };
        line.push('\n');
        self.out.put(line.as_bytes())
    }
}

impl Tail {
    /// Prints rows; with `--follow` until somebody ends it.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let remote = Remote::new(global)?;
        let table = remote.table(&self.table).await?;
        let out = Output::open(None)?;
        let is_text = match self.format {
            Some(format) => format == Format::Text,
            None => out.is_terminal(),
        };
        let text = is_text.then(|| RowText::for_stream(&std::io::stdout()));
        let mut lines = Lines { out, text };
        if self.follow {
            let path = table_path(&table, "/tail");
            return follow(&remote, &path, self.rows, &mut lines).await;
        }
        let (from, limit) = (-i64::from(self.rows), self.rows);
        let path = table_path(&table, &format!("/rows?from={from}&limit={limit}"));
        let answer = remote.send(remote.request(Method::GET, &path, None)?).await?;
        let (mut body, mut rest) = (remote.body(answer), Vec::new());
        while let Some(bytes) = body.next().await {
            rest.extend_from_slice(&bytes?);
            while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                lines.put(&String::from_utf8_lossy(&line[..end]))?;
            }
        }
        lines.out.finish()
    }
}

/// Shows rows as they come. When the connection is lost, goes on behind the last row that was
/// shown.
async fn follow(remote: &Remote, path: &str, rows: u32, lines: &mut Lines) -> Result<(), Failure> {
    let mut last = String::new();
    let mut pause = PAUSES[0];
    let mut was_there = false;
    let mut is_told = false;
    loop {
        // `-0` is the table's start, and no rows are what the server gives by itself.
        let from = if rows == 0 { String::new() } else { format!("?from=-{rows}") };
        let mut request = remote.request(Method::GET, &format!("{path}{from}"), None)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Ok(last) = HeaderValue::try_from(&last)
            && !last.is_empty()
        {
            request.headers_mut().insert(HeaderName::from_static("last-event-id"), last);
        }
        let lost = match remote.attempt(request).await {
            Ok(answer) if answer.status().is_success() => {
                if std::mem::take(&mut is_told) {
                    style::note("connected again");
                }
                (was_there, pause) = (true, PAUSES[0]);
                show(remote, answer, lines, &mut last).await?
            }
            Ok(answer) if answer.status().is_server_error() => remote.refusal(answer).await,
            Ok(answer) => return Err(remote.refusal(answer).await),
            Err(failure) => failure,
        };
        if !was_there {
            return Err(lost);
        }
        if !std::mem::replace(&mut is_told, true) {
            let why = match lost {
                Failure::Failed(why) => why,
                _ => "the server has ended".to_owned(),
            };
            style::note(format_args!("{}; waiting for the server", style::printable(&why)));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES[1]);
    }
}

/// Shows the rows of one connection, and returns how it ended.
async fn show(
    remote: &Remote,
    answer: Answer,
    lines: &mut Lines,
    last: &mut String,
) -> Result<Failure, Failure> {
    let (mut events, mut body) = (Events::default(), remote.body(answer));
    loop {
        let bytes = match timeout(MAX_SILENCE, body.next()).await {
            Err(_) => return Ok(Failure::failed("the server says nothing any more")),
            Ok(None) => return Ok(Failure::failed(format!("{} has ended", remote.base()))),
            Ok(Some(Err(failure))) => return Ok(failure),
            Ok(Some(Ok(bytes))) => bytes,
        };
        let mut written = Ok(());
        let whole = events.push(&bytes, |event| {
            if written.is_ok() {
                written = lines.put(&event.data);
                *last = event.id;
            }
        });
        written?;
        lines.out.put_now(b"")?;
        if whole.is_none() {
            return Err(Failure::failed("the server sends a row without an end"));
        }
    }
}
