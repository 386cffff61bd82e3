//! The server's process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long it may take to start, or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A `streamtable serve` that may not listen yet.
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
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        Ok(Self { child })
    }

    /// Waits until it listens, and returns where.
    pub(crate) async fn addr(&mut self) -> Result<SocketAddr, String> {
        let out = self.child.stdout.take().ok_or("a server without an output")?;
        let mut out = BufReader::new(out);
        let mut line = String::new();
        let read = timeout(PATIENCE, out.read_line(&mut line)).await;
        let read = read.map_err(|_| "the server does not come up")?;
        read.map_err(|error| error.to_string())?;
        // The greeting is long, and nobody may make it wait.
        tokio::spawn(async move { while let Ok(1..) = out.read_line(&mut String::new()).await {} });
        let addr = line.trim().rsplit_once("http://").and_then(|(_, addr)| addr.parse().ok());
        addr.ok_or_else(|| format!("the server does not say where it listens: {line:?}"))
    }

    pub(crate) async fn kill(mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|error| format!("the server had ended by itself: {error}"))
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) -> Result<(), String> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.ok_or("the server had ended by itself")?;
        kill_process(pid, Signal::TERM).map_err(|error| format!("the server: {error}"))
    }

    /// Asks it to stop, and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<ExitStatus, String> {
        self.terminate()?;
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.map_err(|_| "the server does not stop")?.map_err(|error| error.to_string())
    }
}
