//! A server process with its own data folder.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;
use ureq::Body;
use ureq::http::Response;

use crate::resources::Usage;
use crate::{Bench, Error};

/// Timeout for the server's shutdown.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A server process; killed on drop.
pub(crate) struct Server {
    child: Child,
    home: TempDir,
    binary: PathBuf,
    pub(crate) url: String,
    pub(crate) key: String,
    /// Time from the start of the process until it reported that it listens.
    pub(crate) start: Duration,
}

impl Server {
    pub(crate) fn start(bench: &Bench) -> Result<Self, Error> {
        Self::start_binary(bench, &bench.server)
    }

    /// Starts another build of the server.
    pub(crate) fn start_binary(bench: &Bench, binary: &Path) -> Result<Self, Error> {
        let home =
            tempfile::Builder::new().prefix("streamtable-bench-").tempdir_in(&bench.folder)?;
        let (child, url, start) = launch(binary, &home)?;
        let netrc = std::fs::read_to_string(home.path().join(".netrc"))?;
        let mut words = netrc.split_whitespace().skip_while(|word| *word != "password");
        let key = words.nth(1).ok_or("the server stored no key")?.to_owned();
        Ok(Self { child, home, binary: binary.to_owned(), url, key, start })
    }

    /// Stops the server, which flushes its rows, and starts another with the same data folder.
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        self.end()?;
        (self.child, self.url, self.start) = launch(&self.binary, &self.home)?;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            if start.elapsed() > TIMEOUT {
                return Err("the server did not stop in time".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    pub(crate) fn usage(&self) -> Result<Usage, Error> {
        Usage::of(&self.child.id().to_string())
    }

    /// Returns the folder of a table.
    pub(crate) fn table_folder(&self, name: &str) -> PathBuf {
        self.home.path().join("data/store/tables").join(name)
    }

    /// Runs an SQL query; returns the response in Arrow format.
    pub(crate) fn query(&self, sql: &str) -> Result<Vec<u8>, Error> {
        let answer = ureq::post(format!("{}/api/query", self.url))
            .header("authorization", format!("Bearer {}", self.key))
            .header("accept", "application/vnd.apache.arrow.stream")
            .send_json(serde_json::json!({ "sql": sql }))?;
        Ok(answer.into_body().with_config().limit(1 << 30).read_to_vec()?)
    }

    /// Appends rows, as JSON lines, to a table `project/name`.
    pub(crate) fn post(&self, table: &str, rows: &[u8]) -> Result<(), Error> {
        ureq::post(format!("{}/api/tables/bench/{table}/rows", self.url))
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/x-ndjson")
            .send(rows)?;
        Ok(())
    }

    /// Posts JSON as W&B clients do; returns the response.
    pub(crate) fn post_json(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let authorization = format!("Bearer {}", self.key);
        let request = ureq::post(format!("{}/{path}", self.url));
        let answer = request.header("authorization", authorization).send_json(body)?;
        Ok(answer.into_body().with_config().limit(1 << 30).read_json()?)
    }

    pub(crate) fn get(&self, path: &str) -> Result<Response<Body>, Error> {
        let authorization = format!("Bearer {}", self.key);
        let request = ureq::get(format!("{}{path}", self.url));
        Ok(request.header("authorization", authorization).call()?)
    }

    pub(crate) fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        Ok(self.get(path)?.into_body().read_json()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(binary: &Path, home: &TempDir) -> Result<(Child, String, Duration), Error> {
    let start = Instant::now();
    let mut child = Command::new(binary)
        .args(["serve", "--addr", "127.0.0.1:0", "--entity", "bench", "--data"])
        .arg(home.path().join("data"))
        .env("HOME", home.path())
        .env_remove("NETRC")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}", binary.display()))?;
    let mut out = BufReader::new(child.stdout.take().ok_or("the server has no output")?);
    let mut line = String::new();
    out.read_line(&mut line)?;
    let took = start.elapsed();
    let url = line.trim().rsplit_once(" at ").ok_or("the server did not start")?.1.to_owned();
    // Read the rest of the greeting, so that the server is not blocked by a full pipe.
    std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
    Ok((child, url, took))
}
