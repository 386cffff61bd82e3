//! An isolated home folder for each test, and a server in it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Timeout of every wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An empty home folder.
pub(crate) struct Home {
    folder: TempDir,
    /// The URL of the server that commands use.
    pub(crate) url: Option<String>,
    /// Further variables of the environment.
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) bytes: Vec<u8>,
}

impl Ended {
    /// Returns the standard output. Panics if the command failed.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), url: None, variables: Vec::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Returns a command whose environment contains only this home folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamtable"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let is_ours = ["WANDB_", "WEAVE_", "STREAMTABLE_", "AWS_", "XDG_", "RUST_LOG", "NETRC"];
            if is_ours.iter().any(|start| text.starts_with(start)) {
                command.env_remove(&name);
            }
        }
        command.args(args).current_dir(self.folder.path());
        command.env("HOME", self.folder.path()).env("XDG_STATE_HOME", self.path("state"));
        command.env("USER", "me").envs(self.variables.clone());
        if let Some(url) = &self.url {
            command.env("WANDB_BASE_URL", url);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        finish(self.command(args).spawn().unwrap())
    }

    /// Runs a command with the given standard input.
    pub(crate) fn pipe(&self, args: &[&str], input: &str) -> Ended {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // The command may exit before it has read everything; the test checks the result.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        finish(child)
    }

    /// Starts a server, which later commands use.
    pub(crate) fn serve(&mut self, args: &[&str]) -> Server {
        let data: &[&str] = if args.contains(&"--data") { &[] } else { &["--data", "data"] };
        let addr: &[&str] = if args.contains(&"--addr") { &[] } else { &["--addr", "127.0.0.1:0"] };
        let mut child = self.command(&[&["serve"], data, addr, args].concat()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let Some((_, url)) = line.trim().rsplit_once(" at ") else {
            panic!("{line}{:?}", finish(child));
        };
        self.url = Some(url.to_owned());
        // The rest of the greeting is read on a thread, because it ends only when the server stops.
        let greeting = std::thread::spawn(move || {
            let mut text = line;
            let _ = out.read_to_string(&mut text);
            text
        });
        Server { child, greeting: Some(greeting) }
    }
}

/// A server in its own process. Dropping it kills the process.
pub(crate) struct Server {
    child: Child,
    greeting: Option<std::thread::JoinHandle<String>>,
}

impl Server {
    /// Sends SIGTERM and returns the result, including the greeting.
    pub(crate) fn stop(mut self) -> Ended {
        signal(&self.child, "TERM");
        let mut ended = wait(&mut self.child);
        ended.out = self.greeting.take().unwrap().join().unwrap();
        ended
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
}

/// Waits for the end of a process and returns its output.
pub(crate) fn finish(mut child: Child) -> Ended {
    wait(&mut child)
}

fn wait(child: &mut Child) -> Ended {
    let reader = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_end(&mut bytes);
            }
            bytes
        })
    };
    let out = reader(child.stdout.take().map(|it| Box::new(it) as _));
    let err = reader(child.stderr.take().map(|it| Box::new(it) as _));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("timed out: {}", String::from_utf8_lossy(&err.join().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let bytes = out.join().unwrap();
    Ended {
        code: status.code(),
        out: String::from_utf8_lossy(&bytes).into_owned(),
        err: String::from_utf8_lossy(&err.join().unwrap()).into_owned(),
        bytes,
    }
}

/// Waits until a condition is true. Panics after [`PATIENCE`].
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "timed out: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the permissions of a file.
#[cfg(unix)]
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().unwrap().permissions().mode() & 0o777
}
