//! `streamtable export`: writes a table or a query result to a file, and the table's media next to
//! it.

use std::io::{Seek, Write};
use std::path::{Component, Path, PathBuf};

use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Schema};
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::FileWriter;
use clap::Args;
use futures_util::{StreamExt, stream};
use http::Method;
use indicatif::ProgressBar;
use serde::Deserialize;
use streamtable::TablePath;

use crate::cli::Global;
use crate::commands::query::{Format, ask};
use crate::failure::Failure;
use crate::output::Output;
use crate::progress;
use crate::remote::{Answer, Remote, encode, table_path};
use crate::style;
use crate::text::{counted, size};

/// Timeout of the whole export, in seconds.
const TIMEOUT_SECONDS: f64 = 600.0;

/// Number of concurrent downloads.
const DOWNLOADS: usize = 8;

const EXAMPLES: &str = "\
Examples:
  streamtable export me/shop/requests -o requests.parquet
  streamtable export me/shop/requests -o requests.csv --no-media
  streamtable export --sql 'select path, ms from me.shop.requests' -o slow.arrow
  streamtable export me/shop/requests > requests.jsonl

The extension selects the format: .parquet, .arrow, .csv, .jsonl or .json. Images
and other media of a table are written next to the file, under the paths in its
cells. The file appears only when it is complete.";

/// Export a table or a query result to a file
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Export {
    /// Table name, `[[entity/]project/]table`; missing parts come from your settings or the server
    #[arg(required_unless_present = "sql", conflicts_with = "sql")]
    table: Option<String>,
    /// Export the result of a query instead, without media files
    #[arg(long, value_name = "SQL")]
    sql: Option<String>,
    /// Write to this file [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Output format [default: from the file's extension, otherwise jsonl]
    #[arg(long, short, value_enum)]
    format: Option<Format>,
    /// Do not download media files
    #[arg(long)]
    no_media: bool,
    /// Print errors and warnings only
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Deserialize)]
struct About {
    rows: u64,
}

impl Export {
    /// Writes the file and its media files, then prints a summary.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let remote = Remote::new(global)?;
        let path = self.output.clone().filter(|path| path != Path::new("-"));
        let format = self.format(path.as_deref())?;
        let (table, sql, total) = match (&self.table, &self.sql) {
            (Some(table), _) => {
                let table = remote.table(table).await?;
                let About { rows } = remote.get(&table_path(&table, "")).await?;
                let sql = format!("select * from {}", quoted(&table));
                (Some(table), sql, Some(rows))
            }
            (None, Some(sql)) => (None, sql.clone(), None),
            (None, None) => {
                return Err(Failure::usage("missing argument: name a table or pass --sql"));
            }
        };
        let out = Output::open(path.as_deref())?;
        if matches!(format, Format::Parquet | Format::Arrow) && out.is_terminal() {
            let name = format.name();
            return Err(Failure::usage(format!(
                "cannot print {name} on a terminal; pass a file, such as -o rows.{name}"
            )));
        }
        let answer = ask(&remote, &sql, None, format, TIMEOUT_SECONDS).await?;
        let bar = match (self.quiet, format) {
            (true, _) => ProgressBar::hidden(),
            // Parquet is compressed, so rows cannot be counted while they are received.
            (_, Format::Parquet) => progress::bytes(None),
            _ => progress::rows(total),
        };
        bar.set_message(if format == Format::Parquet { "receiving" } else { "rows" });
        let written = match format {
            Format::Arrow => write_arrow(&remote, answer, out, &bar).await?,
            _ => write(&remote, answer, out, &bar, format).await?,
        };
        bar.finish_and_clear();
        let mut summary = written.to_string();
        let mut missing = 0;
        if let (Some(table), Some(path), false) = (&table, &path, self.no_media) {
            let folder = path.parent().unwrap_or(Path::new(""));
            let media = Media { remote: &remote, table, folder, quiet: self.quiet };
            let fetched = media.fetch().await?;
            if fetched.files > 0 {
                summary.push_str(&format!(", {} next to it", counted(fetched.files, "media file")));
            }
            missing = fetched.missing;
        }
        if let (Some(path), false) = (&path, self.quiet) {
            style::note(format_args!("{}: {summary}", path.display()));
        }
        match missing {
            0 => Ok(()),
            missing => {
                let files = counted(missing, "media file");
                Err(Failure::failed(format!(
                    "{files} could not be downloaded; everything else was exported"
                )))
            }
        }
    }

    fn format(&self, path: Option<&Path>) -> Result<Format, Failure> {
        let format = match (self.format, path) {
            (Some(format), _) => format,
            (None, None) => Format::Jsonl,
            (None, Some(path)) => Format::of(path).ok_or_else(|| {
                Failure::usage(format!(
                    "cannot infer the format from {}; pass --format",
                    path.display()
                ))
            })?,
        };
        match format {
            Format::Table => Err(Failure::usage("--format table is only supported by `query`")),
            format => Ok(format),
        }
    }
}

/// The amount of data written.
#[derive(Debug, Default)]
struct Written {
    rows: Option<u64>,
    bytes: u64,
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(rows) = self.rows {
            write!(f, "{}, ", counted(rows, "row"))?;
        }
        f.write_str(&size(self.bytes))
    }
}

/// Writes a response while it is being received.
async fn write(
    remote: &Remote,
    answer: Answer,
    mut out: Output,
    bar: &ProgressBar,
    format: Format,
) -> Result<Written, Failure> {
    let mut written = Written::default();
    let mut lines = 0;
    let mut body = remote.body(answer);
    while let Some(bytes) = body.next().await {
        let bytes = bytes?;
        out.put(&bytes)?;
        written.bytes += bytes.len() as u64;
        lines += bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        bar.set_position(if format == Format::Parquet { written.bytes } else { lines });
    }
    // CSV fields may contain line breaks, so lines are not rows.
    written.rows = (format == Format::Jsonl).then_some(lines);
    out.finish()?;
    Ok(written)
}

/// Converts the Arrow stream to the Arrow file format, which has an index and is what `.arrow`
/// stands for.
async fn write_arrow(
    remote: &Remote,
    answer: Answer,
    mut out: Output,
    bar: &ProgressBar,
) -> Result<Written, Failure> {
    let mut written = Written { rows: Some(0), bytes: 0 };
    let (mut decoder, mut body) = (StreamDecoder::new(), remote.body(answer));
    let mut file = None;
    while let Some(bytes) = body.next().await {
        let mut buffer = Buffer::from(bytes?);
        while !buffer.is_empty() {
            let batch = decoder.decode(&mut buffer).map_err(Failure::failed)?;
            if let (None, Some(schema)) = (&file, decoder.schema()) {
                let temporary = tempfile::tempfile()
                    .map_err(|error| Failure::writing("a temporary file", &error))?;
                file = Some(
                    FileWriter::try_new_buffered(temporary, &schema).map_err(Failure::failed)?,
                );
            }
            let (Some(batch), Some(file)) = (batch, &mut file) else { continue };
            file.write(&batch).map_err(Failure::failed)?;
            bar.inc(batch.num_rows() as u64);
            written.rows = written.rows.map(|rows| rows + batch.num_rows() as u64);
        }
    }
    decoder.finish().map_err(Failure::failed)?;
    let mut file = file.ok_or_else(|| Failure::failed("the result has no columns"))?;
    file.finish().map_err(Failure::failed)?;
    let file = file.into_inner().map_err(Failure::failed)?;
    let mut file = file.into_inner().map_err(|error| Failure::failed(error.into_error()))?;
    let copied = file.rewind().and_then(|()| std::io::copy(&mut file, &mut out));
    written.bytes = copied.map_err(|error| Failure::writing("the file", &error))?;
    out.flush().map_err(|error| Failure::writing("the file", &error))?;
    out.finish()?;
    Ok(written)
}

/// Downloads the media files of a table.
struct Media<'a> {
    remote: &'a Remote,
    table: &'a TablePath,
    folder: &'a Path,
    quiet: bool,
}

#[derive(Debug, Default)]
struct Fetched {
    files: u64,
    missing: u64,
}

impl Media<'_> {
    /// Downloads the files that the folder does not have yet. File names contain a hash of the
    /// content, so an existing file is never outdated.
    async fn fetch(&self) -> Result<Fetched, Failure> {
        let mut paths = Vec::new();
        for column in self.columns().await? {
            paths.extend(self.paths(&column).await?);
        }
        paths.sort_unstable();
        paths.dedup();
        let bar = match self.quiet || paths.is_empty() {
            true => ProgressBar::hidden(),
            false => progress::rows(Some(paths.len() as u64)),
        };
        bar.set_message("media files");
        let mut fetched = Fetched::default();
        let mut downloads = stream::iter(&paths)
            .map(|path| async move { (path, self.download(path).await) })
            .buffer_unordered(DOWNLOADS);
        while let Some((path, result)) = downloads.next().await {
            bar.inc(1);
            match result {
                Ok(()) => fetched.files += 1,
                Err(Failure::Failed(reason)) => {
                    fetched.missing += 1;
                    bar.suspend(|| style::warn(format_args!("{path}: {reason}")));
                }
                Err(other) => return Err(other),
            }
        }
        bar.finish_and_clear();
        Ok(fetched)
    }

    /// Returns the SQL expression for the media path of each column that holds media.
    async fn columns(&self) -> Result<Vec<String>, Failure> {
        let sql = format!("select * from {} limit 0", quoted(self.table));
        let answer = ask(self.remote, &sql, None, Format::Arrow, TIMEOUT_SECONDS).await?;
        let (mut decoder, mut body) = (StreamDecoder::new(), self.remote.body(answer));
        while let Some(bytes) = body.next().await {
            let mut buffer = Buffer::from(bytes?);
            while !buffer.is_empty() {
                decoder.decode(&mut buffer).map_err(Failure::failed)?;
            }
        }
        Ok(decoder.schema().map_or(Vec::new(), |schema| media_paths(&schema)))
    }

    async fn paths(&self, column: &str) -> Result<Vec<String>, Failure> {
        #[derive(Deserialize)]
        struct Cell {
            path: String,
        }
        let table = quoted(self.table);
        let sql =
            format!("select distinct {column} as path from {table} where {column} is not null");
        let answer = ask(self.remote, &sql, None, Format::Jsonl, TIMEOUT_SECONDS).await?;
        let (mut body, mut text) = (self.remote.body(answer), Vec::new());
        while let Some(bytes) = body.next().await {
            text.extend_from_slice(&bytes?);
        }
        let cells = serde_json::Deserializer::from_slice(&text).into_iter::<Cell>();
        cells.map(|cell| Ok(cell.map_err(Failure::failed)?.path)).collect()
    }

    async fn download(&self, path: &str) -> Result<(), Failure> {
        if !is_inside(Path::new(path)) {
            return Err(Failure::failed("the path points outside the folder"));
        }
        let place = self.folder.join(path);
        if place.exists() {
            return Ok(());
        }
        let parts: Vec<String> = path.split('/').map(encode).collect();
        let [entity, project, run] =
            [self.table.entity(), self.table.project(), self.table.table()].map(encode);
        let path = format!("/files/{entity}/{project}/{run}/{}", parts.join("/"));
        let answer = self.remote.send(self.remote.request(Method::GET, &path, None)?).await?;
        if let Some(folder) = place.parent() {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|error| Failure::writing(folder.display(), &error))?;
        }
        let mut out = Output::open(Some(&place))?;
        let mut body = self.remote.body(answer);
        while let Some(bytes) = body.next().await {
            out.put(&bytes?)?;
        }
        out.finish()
    }
}

fn media_paths(schema: &Schema) -> Vec<String> {
    let is_media = |ty: &DataType| match ty {
        DataType::Struct(fields) => {
            ["kind", "path", "hash"].iter().all(|name| fields.find(name).is_some())
        }
        _ => false,
    };
    let path_of = |field: &arrow::datatypes::FieldRef| {
        let name = identifier(field.name());
        match field.data_type() {
            ty if is_media(ty) => Some(format!("{name}['path']")),
            DataType::Struct(fields) => {
                let (_, media) = fields.find("media")?;
                is_media(media.data_type()).then(|| format!("{name}['media']['path']"))
            }
            _ => None,
        }
    };
    schema.fields().iter().filter_map(path_of).collect()
}

/// Returns whether a relative path stays inside its folder.
fn is_inside(path: &Path) -> bool {
    let mut parts = path.components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Returns the table's name, quoted for SQL.
pub(crate) fn quoted(table: &TablePath) -> String {
    [table.entity(), table.project(), table.table()].map(identifier).join(".")
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_are_quoted() {
        assert_eq!(quoted(&"my-team/a b/t.1".parse().unwrap()), r#""my-team"."a b"."t.1""#);
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn media_paths_stay_in_their_folder() {
        for (path, expected) in [
            ("media/images/a.png", true),
            ("", false),
            ("../a", false),
            ("a/../../b", false),
            ("/etc/passwd", false),
        ] {
            assert_eq!(is_inside(Path::new(path)), expected, "{path}");
        }
    }
}
