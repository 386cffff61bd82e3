//! `streamtable tail`: the last rows of a table, and new ones.

use std::time::Duration;

use clap::{Args, ValueEnum};
use futures_util::StreamExt;
use http::header::{ACCEPT, HeaderValue};
use http::{HeaderName, Method};
use streamtable_wire::Events;
use tokio::time::timeout;

use crate::cli::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::remote::{Answer, Remote, table_path};
use crate::row_text::RowText;
use crate::style;

/// Time without data after which the connection counts as lost. The server sends a heartbeat every
/// 15 seconds.
const MAX_SILENCE: Duration = Duration::from_secs(45);

/// Delay before reconnecting: the first one and the maximum.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(10)];

const EXAMPLES: &str = "\
Examples:
  streamtable tail me/shop/requests              the last 10 rows
  streamtable tail -f me/shop/requests           and new rows, until Ctrl-C
  streamtable tail -f -n 0 me/shop/requests | jq -r .path

On a terminal, a row is printed as its time and its cells; in a pipe, as a JSON
object. --follow reconnects after a server restart and prints no row twice.";

/// Print the last rows of a table, optionally follow it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Tail {
    /// Table name, `[[entity/]project/]table`; missing parts come from your settings or the server
    table: String,
    /// Print new rows until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Number of existing rows to print first
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    rows: u32,
    /// Output format [default: text on a terminal, otherwise jsonl]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// Output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One readable line per row
    Text,
    /// One JSON object per line
    Jsonl,
}

/// Prints rows in the selected format.
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
    /// Prints the rows; with `--follow`, until Ctrl-C.
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

/// Prints new rows. If the connection is lost, reconnects and continues after the last printed row.
async fn follow(remote: &Remote, path: &str, rows: u32, lines: &mut Lines) -> Result<(), Failure> {
    let mut last = String::new();
    let mut pause = PAUSES[0];
    let mut was_there = false;
    let mut is_reported = false;
    loop {
        // `-0` would mean the start of the table. Without `from`, the server sends new rows only.
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
                if std::mem::take(&mut is_reported) {
                    style::note("reconnected");
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
        if !std::mem::replace(&mut is_reported, true) {
            let why = match lost {
                Failure::Failed(why) => why,
                _ => "the server closed the connection".to_owned(),
            };
            style::note(format_args!("{}; waiting for the server", style::printable(&why)));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES[1]);
    }
}

/// Prints the rows of one connection. Returns why it ended.
async fn show(
    remote: &Remote,
    answer: Answer,
    lines: &mut Lines,
    last: &mut String,
) -> Result<Failure, Failure> {
    let (mut events, mut body) = (Events::default(), remote.body(answer));
    loop {
        let bytes = match timeout(MAX_SILENCE, body.next()).await {
            Err(_) => return Ok(Failure::failed("the server stopped responding")),
            Ok(None) => {
                return Ok(Failure::failed(format!("{} closed the connection", remote.base())));
            }
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
            return Err(Failure::failed("the server sent a row that is too large"));
        }
    }
}
