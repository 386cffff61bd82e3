//! The server's process, and what the system says of it.

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

/// The address space that it may use, in KiB. Stacks and reserved memory count, too.
const ADDRESS_SPACE_KIB: u64 = 12 << 20;

#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: SocketAddr,
    pub(crate) key: String,
}

impl Server {
    /// Starts a server on a folder, and waits until it listens.
    pub(crate) async fn start(program: &Path, folder: &Path, mib: u64) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("the server does not start: {error}");
        let log = std::fs::File::create(folder.join("server.log")).map_err(failed)?;
        let netrc = folder.join("netrc");
        let mut child = Command::new("sh")
            .args(["-c", "ulimit -v \"$1\" && shift && exec \"$@\"", "sh"])
            .arg(ADDRESS_SPACE_KIB.to_string())
            .arg(program)
            .args(["serve", "--addr", "127.0.0.1:0", "--entity", "me", "--data"])
            .arg(folder.join("data"))
            .arg("--memory-limit")
            .arg(format!("{mib}MiB"))
            .env("HOME", folder)
            .env("NETRC", &netrc)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let out = child.stdout.take().ok_or("a server without an output")?;
        let mut out = BufReader::new(out);
        let mut line = String::new();
        let read = timeout(PATIENCE, out.read_line(&mut line)).await;
        read.map_err(|_| "the server does not come up")?.map_err(failed)?;
        tokio::spawn(async move { while let Ok(1..) = out.read_line(&mut String::new()).await {} });
        let addr = line.trim().rsplit_once("http://").and_then(|(_, addr)| addr.parse().ok());
        let addr = addr.ok_or_else(|| format!("the server does not say where it is: {line:?}"))?;
        let netrc = std::fs::read_to_string(&netrc).map_err(failed)?;
        let key = netrc.split_whitespace().skip_while(|word| *word != "password").nth(1);
        let key = key.ok_or("the server made no key")?.to_owned();
        Ok(Self { child, addr, key })
    }

    /// Returns how it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Returns the most memory that it has had at a time, in MiB.
    pub(crate) fn peak_mib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib >> 10)
    }

    /// Sends SIGTERM to the server and waits until it has ended.
    pub(crate) async fn stop(mut self) -> Result<ExitStatus, String> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.ok_or("the server had ended by itself")?;
        kill_process(pid, Signal::TERM).map_err(|error| format!("the server: {error}"))?;
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.map_err(|_| "the server does not stop")?.map_err(|error| error.to_string())
    }
}
