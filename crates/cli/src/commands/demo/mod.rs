//! `streamtable demo`: a server with sample data.

mod draw;
mod samples;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use streamtable::{FlushError, Stats, StreamTable, TablePath, WhenFull};
use streamtable_digits::Digits;
use streamtable_server::{NewKey, Server, ServerConfig, WandbConfig};
use streamtable_transport_hyper::HyperTransport;
use streamtable_url::{Expr, form_encode};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use draw::Drawings;

use crate::commands::serve::{LogFormat, Signals, bind, init_log};
use crate::failure::Failure;
use crate::output::print;
use crate::progress;
use crate::style::{self, Bold};
use crate::text::counted;

/// The table that the digits are logged to.
const TABLE: &str = "demo/mnist/digits";

/// How many digits are logged for each call of a language model.
const DIGITS_PER_CALL: u64 = 4;

/// Lifetime of the login link.
const LINK_LIFETIME: Duration = Duration::from_secs(3600);

const EXAMPLES: &str = "\
Examples:
  streamtable demo
  streamtable demo --rate 200
  streamtable demo --rows 1797 --data ./demo     keep the data; `serve` can open it later";

/// Run a demo server that receives hand-written digits, and rows of a shop and an assistant
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Demo {
    /// Stop after N rows [default: run until Ctrl-C]
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Rows per second
    #[arg(long, value_name = "R", default_value_t = 10.0, value_parser = parse_rate)]
    rate: f64,
    /// The address to listen on [default: a free port of this machine]
    #[arg(long, value_name = "ADDR:PORT")]
    addr: Option<SocketAddr>,
    /// Folder for the server's data [default: a temporary folder, deleted at exit]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (1e-3..=1e5).contains(&rate) => Ok(rate),
        _ => Err("the rate must be between 0.001 and 100000 rows per second".to_owned()),
    }
}

impl Demo {
    /// Logs digits until the row limit or Ctrl-C, then prints a summary.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        init_log(LogFormat::Text);
        let mut signals = Signals::new().map_err(Failure::failed)?;
        let digits = Arc::new(Digits::read().map_err(Failure::failed)?);
        let temporary = match &self.data {
            Some(_) => None,
            None => Some(temporary_folder()?),
        };
        let folder = self.data.as_deref().or(temporary.as_ref().map(TempDir::path));
        let server = bind(self.config(folder.unwrap_or(Path::new(".")))).await?;
        let url = server.local_url();
        let key = key(&server).await?;
        let link = server.catalog().login_token(&key.key, LINK_LIFETIME).await;
        let next = form_encode(&board_link()?);
        let link = format!("{url}/login?token={}&next={next}", link.map_err(Failure::failed)?);
        let drawings = Drawings::new(Arc::clone(&digits), url.clone(), key.clone());
        let drawings = Arc::new(drawings);
        let server = server.with_pages("demo", Arc::clone(&drawings).router());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.run(async { drop(stopped.await) }));

        let session = Session { digits: &digits, drawings: &drawings, url: &url, key: &key };
        let streamed = self.stream(session, &link, &mut signals).await;
        drop(stop);
        let served = serving.await.map_err(Failure::failed)?;
        drop(temporary);
        let tally = streamed?;
        served.map_err(Failure::failed)?;
        print(tally)
    }

    fn config(&self, folder: &Path) -> ServerConfig {
        ServerConfig {
            addr: self.addr.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            data_dir: folder.to_owned(),
            wandb: WandbConfig { default_entity: "demo".to_owned(), ..WandbConfig::default() },
            ..ServerConfig::default()
        }
    }

    async fn stream(
        &self,
        session: Session<'_>,
        link: &str,
        signals: &mut Signals,
    ) -> Result<String, Failure> {
        let Session { digits, drawings, url, key } = session;
        let table = open(TABLE, url, key).await?;
        let samples = Samples {
            requests: open(samples::REQUESTS, url, key).await?,
            calls: open(samples::CALLS, url, key).await?,
        };
        print(self.greeting(url, key, link))?;

        let bar = match self.rows {
            Some(rows) => progress::rows(Some(rows as u64)),
            None => progress::words(),
        };
        let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / self.rate));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut right = 0_u64;
        for index in 0..self.rows.unwrap_or(usize::MAX) {
            tokio::select! {
                _ = tick.tick() => {}
                () = signals.next() => break,
            }
            let judged = digits.judge(index).map_err(Failure::failed)?;
            right += u64::from(judged.is_right);
            table.log(judged.row).await.map_err(Failure::failed)?;
            samples.log(index as u64).await?;
            self.show(&bar, &table, right);
        }
        bar.finish_and_clear();
        let finish = async {
            let others = samples.finish().await? + &drawings.finish().await?;
            Ok::<_, FlushError>((others, table.finish().await?))
        };
        let finished = tokio::select! {
            finished = finish => finished,
            () = signals.next() => return Err(Failure::Interrupted),
        };
        let (others, stats) = finished.map_err(Failure::failed)?;
        Ok(tally(right, &others, &stats))
    }

    fn show(&self, bar: &ProgressBar, table: &StreamTable, right: u64) {
        let Stats { logged, acked, .. } = table.stats();
        let share = 100.0 * right as f64 / logged.max(1) as f64;
        match self.rows {
            Some(_) => {
                bar.set_position(logged);
                bar.set_message(format!("digits, {share:.1}% recognised"));
            }
            None => bar.set_message(format!(
                "{} logged, {} stored, {share:.1}% recognised; Ctrl-C to stop",
                counted(logged, "digit"),
                crate::text::count(acked)
            )),
        }
    }

    fn greeting(&self, url: &str, key: &NewKey, link: &str) -> String {
        let colours = style::has_colours(&std::io::stdout());
        let bold = |text| Bold { text, colours };
        let program = program();
        let secret = &key.secret;
        let kept = match &self.data {
            Some(folder) => format!("rows are stored in {}", folder.display()),
            None => "all data is deleted at exit".to_owned(),
        };
        let (requests, calls) = (samples::REQUESTS, samples::CALLS);
        let (draw, drawn) = (draw::PATH, draw::TABLE);
        format!(
            "\
StreamTable demo: logging hand-written digits to {TABLE} at {url}; {kept}.
Two more tables have made-up rows: {requests} and {calls}.

Watch them in a browser (the link works once):

  {}

Then draw digits yourself at {url}{draw}; they are logged to {drawn}.

Or use these commands in another terminal:

  export WANDB_BASE_URL={url} WANDB_API_KEY={secret}
  {program} query \"select prediction, truth, count(*) as n from demo.mnist.digits \
                 group by prediction, truth order by n desc limit 12\"
  {program} tail -f {TABLE}
  curl -su api:$WANDB_API_KEY \"$WANDB_BASE_URL/api/tables/{TABLE}/rows?from=-3\"
",
            bold(link)
        )
    }
}

/// Returns the path and query that open the table's board. The page creates the board when it is
/// opened first.
fn board_link() -> Result<String, Failure> {
    let table: TablePath = TABLE.parse().map_err(Failure::failed)?;
    Ok(format!("/?exp={}#board=monitoring", form_encode(&Expr::rows_of(table).to_string())))
}

fn tally(right: u64, others: &str, stats: &Stats) -> String {
    format!("{others}{right} of {} recognised\n{TABLE}: {stats}", counted(stats.logged, "digit"))
}

async fn open(table: &str, url: &str, key: &NewKey) -> Result<StreamTable, Failure> {
    let table = StreamTable::builder(table)
        .base_url(url)
        .api_key(&key.secret)
        .transport(HyperTransport::new().map_err(Failure::failed)?)
        .when_full(WhenFull::Wait)
        // A spool is useless here: the server stops with this process.
        .no_spool()
        .print_url(false);
    table.open().await.map_err(Failure::failed)
}

/// State shared by the demo's tasks.
#[derive(Clone, Copy)]
struct Session<'a> {
    digits: &'a Digits,
    drawings: &'a Drawings,
    url: &'a str,
    key: &'a NewKey,
}

/// The tables of made-up rows.
struct Samples {
    requests: StreamTable,
    calls: StreamTable,
}

impl Samples {
    /// Logs the rows that belong to a digit: a request, and sometimes a call of a model.
    async fn log(&self, index: u64) -> Result<(), Failure> {
        self.requests.log(samples::request(index)).await.map_err(Failure::failed)?;
        if index.is_multiple_of(DIGITS_PER_CALL) {
            let row = samples::call(index / DIGITS_PER_CALL);
            self.calls.log(row).await.map_err(Failure::failed)?;
        }
        Ok(())
    }

    /// Waits until all rows are stored, and returns a line about each table.
    async fn finish(&self) -> Result<String, FlushError> {
        let mut lines = String::new();
        for (name, table) in [(samples::REQUESTS, &self.requests), (samples::CALLS, &self.calls)] {
            lines.push_str(&format!("{name}: {}\n", table.finish().await?));
        }
        Ok(lines)
    }
}

/// Returns the first key of a new data folder, or a new key for an existing folder.
async fn key(server: &Server) -> Result<NewKey, Failure> {
    if let Some(key) = server.first_key() {
        return Ok(key.clone());
    }
    let catalog = server.catalog();
    let made = catalog.add_key("streamtable demo", Some("demo"), streamtable_server::Right::Write);
    made.await.map_err(Failure::failed)
}

fn temporary_folder() -> Result<TempDir, Failure> {
    let mut folder = tempfile::Builder::new();
    folder.prefix("streamtable-demo-");
    #[cfg(unix)]
    folder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    folder
        .tempdir()
        .map_err(|error| Failure::failed(format!("cannot make a temporary folder: {error}")))
}

/// Returns the command that runs this program from any folder.
fn program() -> String {
    const NAME: &str = "streamtable";
    let Ok(own) = std::env::current_exe() else { return NAME.to_owned() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&path).map(|dir| dir.join(NAME)).find(|it| it.is_file());
    let real = |path: &Path| path.canonicalize().ok();
    if first.is_some_and(|first| real(&first) == real(&own)) {
        return NAME.to_owned();
    }
    let own = own.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@".contains(c);
    match own.chars().all(is_plain) {
        true => own,
        false => format!("'{}'", own.replace('\'', "'\\''")),
    }
}
