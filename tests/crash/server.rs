//! The server process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Timeout for starting and stopping.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A `streamtable serve` process that may not be listening yet.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
}

impl Server {
    pub(crate) fn start(
        program: &Path,
        data: &Path,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self, String> {
        let mut command = Command::new(program);
        command.args(["serve", "--addr", "127.0.0.1:0", "--data"]).arg(data);
        prepare(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        Ok(Self { child })
    }

    /// Waits until the server listens, and returns its address.
    pub(crate) async fn addr(&mut self) -> Result<SocketAddr, String> {
        let out = self.child.stdout.take().ok_or("a server without an output")?;
        let mut out = BufReader::new(out);
        let mut line = String::new();
        let read = timeout(TIMEOUT, out.read_line(&mut line)).await;
        let read = read.map_err(|_| "the server did not start in time")?;
        read.map_err(|error| error.to_string())?;
        // Read the rest of the greeting, so that the server is not blocked by a full pipe.
        tokio::spawn(async move { while let Ok(1..) = out.read_line(&mut String::new()).await {} });
        let addr = line.trim().rsplit_once("http://").and_then(|(_, addr)| addr.parse().ok());
        addr.ok_or_else(|| format!("the server did not print its address: {line:?}"))
    }

    pub(crate) async fn kill(mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|error| format!("the server exited unexpectedly: {error}"))
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) -> Result<(), String> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.ok_or("the server exited unexpectedly")?;
        kill_process(pid, Signal::TERM).map_err(|error| format!("the server: {error}"))
    }

    /// Sends SIGTERM and waits for the exit.
    pub(crate) async fn stop(mut self) -> Result<ExitStatus, String> {
        self.terminate()?;
        let ended = timeout(TIMEOUT, self.child.wait()).await;
        ended.map_err(|_| "the server did not stop in time")?.map_err(|error| error.to_string())
    }
}
