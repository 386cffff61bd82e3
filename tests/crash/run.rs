//! A run: starts and kills the processes, and counts the rows at the end.

use std::fs::{File, OpenOptions};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use serde::Deserialize;
use streamtable::spool;
use streamtable_transport::{ApiKey, Transport, TransportExt};
use streamtable_transport_hyper::HyperTransport;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::Proxy;
use crate::generator::Generator;
use crate::ledger::{Ledger, StoredRow, Summary};
use crate::options::{Options, WriterRole};
use crate::server::Server;
use crate::writer::{self, Output, TABLE, Writer};

/// The number of concurrent writers.
const WRITERS: usize = 3;

/// The number of rows per read request.
const PAGE: usize = 20_000;

/// Servers, writers and the proxy between them, in a temporary folder.
#[derive(Debug)]
pub(crate) struct Run {
    options: Options,
    stopped: watch::Receiver<bool>,
    folder: TempDir,
    key: String,
    proxy: Proxy,
    server: Option<Server>,
    writers: Vec<RunningWriter>,
    ledger: Arc<Mutex<Ledger>>,
    generator: Generator,
    start: Instant,
    server_kills: u64,
    while_stopping: u64,
    client_kills: u64,
}

/// A writer, and the task that records its output.
#[derive(Debug)]
struct RunningWriter {
    kill: watch::Sender<bool>,
    noting: JoinHandle<Result<(), String>>,
}

impl Run {
    /// Starts the first server and the proxy.
    pub(crate) async fn new(
        options: Options,
        stopped: watch::Receiver<bool>,
    ) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("streamtable-crash-").tempdir();
        let folder = folder.map_err(|error| format!("no folder: {error}"))?;
        let seed = options.seed;
        let mut run = Self {
            proxy: Proxy::start(Generator::new(!seed)).await?,
            options,
            stopped,
            folder,
            key: String::new(),
            server: None,
            writers: Vec::new(),
            ledger: Arc::default(),
            generator: Generator::new(seed),
            start: Instant::now(),
            server_kills: 0,
            while_stopping: 0,
            client_kills: 0,
        };
        run.start_server().await?;
        // The first start creates a key and stores it there.
        let netrc = std::fs::read_to_string(run.path(".netrc")).map_err(|e| e.to_string())?;
        let key = netrc.rsplit_once("password ").map(|(_, key)| key.trim().to_owned());
        run.key = key.ok_or("the server created no key")?;
        Ok(run)
    }

    /// Kills processes until the time is over or a signal arrives. Then a last program delivers the
    /// remaining rows, and all rows are counted.
    pub(crate) async fn finish(mut self) -> Result<Summary, String> {
        let outcome = self.work().await;
        if !matches!(&outcome, Ok(summary) if summary.verdict.is_clean()) {
            self.folder.disable_cleanup(true);
            eprintln!("its files are in {}", self.folder.path().display());
        }
        outcome
    }

    async fn work(&mut self) -> Result<Summary, String> {
        for _ in 0..WRITERS {
            self.start_writer()?;
        }
        self.start = Instant::now();
        let mut told = Instant::now();
        let is_terminal = std::io::stderr().is_terminal();
        let pause = if is_terminal { Duration::from_millis(300) } else { Duration::from_secs(5) };
        while self.start.elapsed() < self.options.time && !*self.stopped.borrow() {
            let next = sleep(Duration::from_millis(20 + self.generator.below(400)));
            tokio::select! {
                () = next => {}
                _ = self.stopped.changed() => continue,
            }
            self.kill_something().await?;
            if told.elapsed() >= pause {
                told = Instant::now();
                self.show(is_terminal);
            }
        }
        let seconds = self.start.elapsed().as_secs_f64();
        self.show(is_terminal);
        if is_terminal {
            eprintln!();
        }
        self.deliver().await?;
        let stored = self.read_back().await?;
        let verdict = self.ledger().judge(stored);
        let status = self.take_server()?.stop().await?;
        if !status.success() {
            return Err(format!("the server was asked to stop, and ended with {status}"));
        }
        Ok(Summary {
            seconds,
            seed: self.options.seed,
            verdict,
            server_kills: self.server_kills,
            while_stopping: self.while_stopping,
            client_kills: self.client_kills,
            faults: self.proxy.faults(),
        })
    }

    /// Kills a process and starts it again.
    async fn kill_something(&mut self) -> Result<(), String> {
        match self.generator.below(10) {
            0..=3 => {
                let which = self.generator.below(WRITERS as u64) as usize;
                self.kill_writer(which).await?;
                self.start_writer()?;
            }
            4..=6 => self.kill_server().await?,
            7..=8 => {
                // Kill all writers at once.
                for writer in &self.writers {
                    writer.kill.send_replace(true);
                }
                self.kill_server().await?;
                for _ in 0..WRITERS {
                    self.kill_writer(0).await?;
                }
                self.start_server().await?;
                for _ in 0..WRITERS {
                    self.start_writer()?;
                }
                return Ok(());
            }
            _ => {
                // The server flushes rows at shutdown; kill it before, during or after the flush.
                let server = self.take_server()?;
                server.terminate()?;
                sleep(Duration::from_millis(self.generator.below(60))).await;
                server.kill().await?;
                self.server_kills += 1;
                self.while_stopping += 1;
            }
        }
        if self.server.is_none() {
            sleep(Duration::from_millis(self.generator.below(200))).await;
            self.start_server().await?;
        }
        Ok(())
    }

    fn take_server(&mut self) -> Result<Server, String> {
        self.proxy.set_server(None);
        self.server.take().ok_or_else(|| "no server is running".to_owned())
    }

    async fn kill_server(&mut self) -> Result<(), String> {
        self.server_kills += 1;
        self.take_server()?.kill().await
    }

    async fn start_server(&mut self) -> Result<(), String> {
        let data = self.path("data");
        let log = self.log("server.log")?;
        let home = self.folder.path().to_owned();
        let start = |log| {
            Server::start(&self.options.server, &data, |command| prepare(command, &home, log))
        };
        let clone = |log: &File| log.try_clone().map_err(|error| error.to_string());
        // Sometimes kill the server during the recovery from the previous kill.
        let has_a_key = !self.key.is_empty();
        if has_a_key && self.generator.below(4) == 0 {
            let server = start(clone(&log)?)?;
            sleep(Duration::from_millis(self.generator.below(150))).await;
            server.kill().await?;
            self.server_kills += 1;
        }
        let mut server = start(log)?;
        self.proxy.set_server(Some(server.addr().await?));
        self.server = Some(server);
        Ok(())
    }

    fn start_writer(&mut self) -> Result<(), String> {
        let mut writer = self.writer(WriterRole::Endless)?;
        let (kill, mut killed) = watch::channel(false);
        let ledger = Arc::clone(&self.ledger);
        let noting = tokio::spawn(async move {
            let mut id = String::new();
            let mut is_killed = false;
            loop {
                let said = tokio::select! {
                    said = writer.next() => said?,
                    _ = killed.changed(), if !is_killed => {
                        is_killed = true;
                        writer.kill()?;
                        continue;
                    }
                };
                match said {
                    Some(Output::Writer(name)) => id = name,
                    Some(Output::Took(rows)) => {
                        ledger.lock().unwrap_or_else(PoisonError::into_inner).took(&id, rows);
                    }
                    Some(Output::Stats(_)) => {}
                    None if is_killed => return writer.ended().await.map(drop),
                    None => {
                        let status = writer.ended().await?;
                        return Err(format!("a writer exited unexpectedly: {status}"));
                    }
                }
            }
        });
        self.writers.push(RunningWriter { kill, noting });
        Ok(())
    }

    async fn kill_writer(&mut self, which: usize) -> Result<(), String> {
        let RunningWriter { kill, noting } = self.writers.swap_remove(which);
        kill.send_replace(true);
        self.client_kills += 1;
        noting.await.map_err(|error| error.to_string())?
    }

    fn writer(&self, role: WriterRole) -> Result<Writer, String> {
        let log = self.log("writers.log")?;
        let prepare = |command: &mut Command| prepare(command, self.folder.path(), log);
        Writer::start(role, &self.proxy.url(), &self.key, prepare)
    }

    /// Starts a last program that delivers the rows of all others.
    async fn deliver(&mut self) -> Result<(), String> {
        while !self.writers.is_empty() {
            self.kill_writer(0).await?;
        }
        self.proxy.stop_faults();
        let mut last = self.writer(WriterRole::Last)?;
        let mut stats = None;
        while let Some(said) = last.next().await? {
            if let Output::Stats(text) = said {
                stats = Some(text);
            }
        }
        let status = last.ended().await?;
        let stats = stats.ok_or_else(|| format!("the last program exited with {status}"))?;
        eprintln!("the last program: {stats}");
        let left = spool::list(&self.path("state/streamtable/spool"));
        let left = left.map_err(|error| error.to_string())?;
        if !left.is_empty() {
            return Err(format!("rows are left in the spool: {left:?}"));
        }
        Ok(())
    }

    /// Reads all rows after a final kill of the server.
    async fn read_back(&mut self) -> Result<Vec<StoredRow>, String> {
        /// The relevant fields of a row in the API.
        #[derive(Deserialize)]
        struct Line {
            _position: u64,
            _writer: String,
            n: u64,
            text: String,
        }
        self.kill_server().await?;
        self.start_server().await?;
        let url = self.proxy.url();
        let origin = url.parse().map_err(|error| format!("{url}: {error}"))?;
        let key = ApiKey::new(self.key.as_str()).map_err(|error| error.to_string())?;
        let transport = HyperTransport::new().map_err(|error| error.to_string())?;
        let transport = transport.with_auth(origin, &key);
        let (mut rows, mut from) = (Vec::new(), 0);
        loop {
            let page = format!("{url}/api/tables/{TABLE}/rows?from={from}&limit={PAGE}");
            let request = Request::get(page).body(Bytes::new()).map_err(|e| e.to_string())?;
            let answer = transport.send(request).await.map_err(|error| error.to_string())?;
            if !answer.status().is_success() {
                return Err(format!("{}: {:?}", answer.status(), answer.body()));
            }
            let before = rows.len();
            for line in answer.body().split(|&byte| byte == b'\n').filter(|it| !it.is_empty()) {
                let row: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
                from = row._position + 1;
                let is_whole = row.text == writer::text(row.n);
                rows.push(StoredRow { writer: row._writer, number: row.n, is_whole });
            }
            if rows.len() == before {
                return Ok(rows);
            }
        }
    }

    fn ledger(&self) -> Ledger {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self, name: &str) -> Result<File, String> {
        let opened = OpenOptions::new().create(true).append(true).open(self.path(name));
        opened.map_err(|error| format!("{name}: {error}"))
    }

    fn show(&self, is_terminal: bool) {
        let line = format!(
            "{:3.0} s: {} rows logged, {} server kills, {} client kills",
            self.start.elapsed().as_secs_f64(),
            self.ledger().rows(),
            self.server_kills,
            self.client_kills
        );
        match is_terminal {
            true => eprint!("\r{line}  "),
            false => eprintln!("{line}"),
        }
    }
}

/// Gives a process its own home folder, and its own process group so that Ctrl-C reaches only the
/// driver.
fn prepare(command: &mut Command, home: &std::path::Path, log: File) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_ours = ["WANDB_", "WEAVE_", "STREAMTABLE_", "XDG_", "NETRC", "http_proxy"];
        if is_ours.iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    command.env("HOME", home).env("XDG_STATE_HOME", home.join("state"));
    command.current_dir(home).stderr(log).process_group(0).kill_on_drop(true);
}
