//! `cargo xtask crash`: processes that are killed, and the count of their rows.

use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

use serde_json::Value;

use crate::{Command, Failure, cargo, process};

pub(crate) const COMMAND: Command = Command {
    name: "crash",
    about: "kill a server and the programs that log to it, and count what became of the rows",
    help: "\
Starts `streamtable serve`, programs that log to it with a spool on disk, and a
proxy between them that cuts, delays and doubles what goes through. Kills server
and programs by SIGKILL at random moments. In the end a last program delivers
what the others left, and all rows are read back and compared with what `log`
took. Prints the tally; the exit code is 1 unless no row was lost, none is there
twice, and each program's are in order. The first build takes some minutes.

Usage: cargo xtask crash [OPTIONS]

Options:
      --seconds N   how long to kill, 60 by default
      --seed N      makes the same choices as the run that printed this number;
                    what the processes do meanwhile differs all the same
      --json        print the tally as JSON
  -h, --help        print this

Ctrl-C ends the killing early; the rows are delivered and counted all the same.
",
    run: |args| process::replace(build(args)?).map_err(failed),
};

/// Runs it for a while as a check, inside of this process.
pub(crate) fn check(args: &[&str]) -> Result<(), Failure> {
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    process::run(&mut build(&args)?).map_err(failed)
}

/// Builds both programs, and returns the call of the one that kills.
fn build(args: &[String]) -> Result<Process, Failure> {
    // With the workspace's features, so that nothing is compiled for this alone. Not quiet: it may
    // take minutes.
    let mut build = cargo::command();
    build.args(["build", "--workspace", "--all-features"]);
    build.args(["--bin", "streamtable", "--example", "crash"]);
    build.arg("--message-format=json-render-diagnostics");
    build.current_dir(cargo::root()).stderr(Stdio::inherit());
    let output = build.output().map_err(|error| failed(format!("cargo did not start: {error}")))?;
    if !output.status.success() {
        return Err(failed("it could not be built".to_owned()));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let program = |name: &str| {
        executable(&messages, name).ok_or_else(|| failed(format!("cargo built no `{name}`")))
    };
    let mut command = Process::new(program("crash")?);
    command.arg("--server").arg(program("streamtable")?).args(args);
    Ok(command)
}

/// Finds where cargo says that it has put a program.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

fn failed(why: String) -> Failure {
    Failure::Failed(format!("crash: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}
not JSON
{"reason":"compiler-artifact","target":{"name":"crash"},"executable":"/t/examples/crash"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "crash"), Some(PathBuf::from("/t/examples/crash")));
        assert_eq!(executable(messages, "serde"), None);
        assert_eq!(executable(messages, "streamtable"), None);
    }
}
