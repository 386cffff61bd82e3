//! `streamtable query`: SQL queries.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use clap::{Args, ValueEnum};
use futures_util::StreamExt;
use http::Method;

use crate::arrow_text;
use crate::cli::Global;
use crate::failure::Failure;
use crate::output::Output;
use crate::remote::{Answer, Remote};
use crate::text;

/// Maximum size of SQL read from standard input, in bytes.
const MAX_SQL_BYTES: u64 = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  streamtable query 'select * from me.shop.requests order by ms desc limit 10'
  streamtable query --home me/shop 'select path, avg(ms) from requests group by path'
  streamtable query 'select * from me.shop.requests' -o requests.parquet
  streamtable query --format csv 'select path, ms from me.shop.requests' | head
  streamtable query - < report.sql

A table is entity.project.table. Every table has the columns timestamp, _writer
and _line before its own. Without ORDER BY, rows are returned oldest first. Names
that contain characters other than letters, digits and _ need double quotes: \"my-team\".\"shop\".\"requests\".";

/// Run an SQL query over all acknowledged rows
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Query {
    /// The SQL statement; - reads it from standard input
    sql: String,
    /// Output format [default: from the file's extension, otherwise table]
    #[arg(long, short, value_enum)]
    format: Option<Format>,
    /// Write the result to this file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Project in which short table names are looked up
    #[arg(long, value_name = "ENTITY/PROJECT")]
    home: Option<String>,
    /// Maximum number of rows to print as a table
    #[arg(long, value_name = "ROWS", default_value_t = 1000)]
    max_rows: usize,
    /// Time limit in seconds, at most 600
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    timeout: f64,
}

/// Output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for reading
    Table,
    /// Comma-separated values with a header line
    Csv,
    /// One JSON array of objects
    Json,
    /// One JSON object per line
    Jsonl,
    /// Apache Parquet
    Parquet,
    /// An Apache Arrow stream
    Arrow,
}

impl Format {
    /// Returns the format for a file name extension.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "txt" => Self::Table,
            "csv" => Self::Csv,
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::Jsonl,
            "parquet" => Self::Parquet,
            "arrow" | "arrows" => Self::Arrow,
            _ => return None,
        })
    }

    /// Returns the server's name of the format. A table is rendered from Arrow.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Table | Self::Arrow => "arrow",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

impl Query {
    /// Runs the query and prints the result while it is being received.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let remote = Remote::new(global)?;
        let format = self.format()?;
        let sql = read_sql(&self.sql)?;
        let home = self.home(&remote)?;
        let out = Output::open(self.output.as_deref())?;
        if matches!(format, Format::Parquet | Format::Arrow) && out.is_terminal() {
            let name = format.name();
            return Err(Failure::usage(format!(
                "cannot print {name} on a terminal; pass a file, such as -o result.{name}"
            )));
        }
        let start = Instant::now();
        let answer = ask(&remote, &sql, home, format, self.timeout).await?;
        match format {
            Format::Table => self.print_table(&remote, answer, out, start).await,
            _ => copy(&remote, answer, out).await,
        }
    }

    fn format(&self) -> Result<Format, Failure> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        match self.output.as_deref().filter(|path| *path != Path::new("-")) {
            None => Ok(Format::Table),
            Some(path) => Format::of(path).ok_or_else(|| {
                Failure::usage(format!(
                    "cannot infer the format from {}; pass --format",
                    path.display()
                ))
            }),
        }
    }

    fn home(&self, remote: &Remote) -> Result<Option<(String, String)>, Failure> {
        if let Some(home) = &self.home {
            let parts = home.split_once('/').filter(|(e, p)| !e.is_empty() && !p.is_empty());
            let (entity, project) = parts
                .ok_or_else(|| Failure::usage("--home must be ENTITY/PROJECT, such as me/shop"))?;
            return Ok(Some((entity.to_owned(), project.to_owned())));
        }
        let settings = remote.settings();
        Ok(settings.entity.clone().zip(settings.project.clone()))
    }

    async fn print_table(
        self,
        remote: &Remote,
        answer: Answer,
        mut out: Output,
        start: Instant,
    ) -> Result<(), Failure> {
        let (mut decoder, mut body) = (StreamDecoder::new(), remote.body(answer));
        let (mut grid, mut rows) = (None, 0);
        'reading: while let Some(bytes) = body.next().await {
            let mut buffer = Buffer::from(bytes?);
            while !buffer.is_empty() {
                let batch = decoder.decode(&mut buffer).map_err(Failure::failed)?;
                if let (None, Some(schema)) = (&grid, decoder.schema()) {
                    grid = Some(arrow_text::grid(&schema));
                }
                let (Some(batch), Some(grid)) = (batch, &mut grid) else { continue };
                let left = self.max_rows - rows.min(self.max_rows);
                arrow_text::push(grid, &batch, left).map_err(Failure::failed)?;
                rows += batch.num_rows();
                if rows > self.max_rows {
                    break 'reading;
                }
            }
        }
        let is_cut = rows > self.max_rows;
        if !is_cut {
            decoder.finish().map_err(Failure::failed)?;
        }
        let Some(grid) = grid else { return Err(Failure::failed("the result has no columns")) };
        let taken = text::duration(start.elapsed());
        let mut notes = match is_cut {
            true => format!(
                "the first {}, {taken}; use --max-rows for more, --format or -o for all",
                text::counted(self.max_rows as u64, "row")
            ),
            false => format!("{}, {taken}", text::counted(rows as u64, "row")),
        };
        let hidden = grid.hidden().len();
        if hidden > 0 {
            notes.push_str(&format!("; {} left out", text::counted(hidden as u64, "column")));
        }
        out.put(format!("{grid}\n({notes})\n").as_bytes())?;
        out.finish()
    }
}

/// Sends a query. Returns when the server has found the first rows.
pub(crate) async fn ask(
    remote: &Remote,
    sql: &str,
    home: Option<(String, String)>,
    format: Format,
    timeout: f64,
) -> Result<Answer, Failure> {
    let is_usable = Duration::try_from_secs_f64(timeout).is_ok_and(|timeout| !timeout.is_zero());
    if !is_usable {
        return Err(Failure::usage("--timeout must be a number of seconds above 0"));
    }
    let mut question =
        serde_json::json!({ "sql": sql, "format": format.name(), "timeout": timeout });
    if let Some((entity, project)) = home {
        question["entity"] = entity.into();
        question["project"] = project.into();
    }
    let body = question.to_string().into();
    remote.send(remote.request(Method::POST, "/api/query", Some(body))?).await
}

/// Writes a response while it is being received.
async fn copy(remote: &Remote, answer: Answer, mut out: Output) -> Result<(), Failure> {
    let mut body = remote.body(answer);
    while let Some(bytes) = body.next().await {
        out.put_now(&bytes?)?;
    }
    out.finish()
}

fn read_sql(given: &str) -> Result<String, Failure> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut sql = String::new();
    let stdin = std::io::stdin().lock();
    let read = stdin.take(MAX_SQL_BYTES + 1).read_to_string(&mut sql);
    let read = read.map_err(|error| Failure::failed(format!("standard input: {error}")))?;
    if read as u64 > MAX_SQL_BYTES {
        return Err(Failure::failed("the SQL is longer than 1 MiB"));
    }
    Ok(sql)
}
