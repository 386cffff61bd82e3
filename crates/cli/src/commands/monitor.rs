//! `streamtable monitor`: monitors as files, and the targets of their messages.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::document;
use crate::cli::Global;
use crate::failure::Failure;
use crate::output::{Output, print};
use crate::remote::Remote;
use crate::text::{Align, Grid, count, printable_cell, when};

const EXAMPLES: &str = "\
Examples:
  streamtable monitor ls me/shop
  streamtable monitor put me/shop/slow slow.json
  streamtable monitor test me/shop/slow --send
  streamtable monitor silence me/shop/slow --for 2h --reason 'new release'
  streamtable monitor target put me/shop/default webhook.json

A monitor's messages go to the targets that it names, or to the target `default`.";

/// The monitors in the paths of the native API.
const MONITORS: &str = "monitors";

/// The targets in the paths of the native API.
const TARGETS: &str = "targets";

/// Watch tables: list, save, test and silence monitors, and the targets of their messages
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Monitor {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the monitors of a project with their states
    Ls {
        /// The project
        #[arg(value_name = "ENTITY/PROJECT")]
        project: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a monitor's document to standard output or a file
    Get {
        /// The monitor, entity/project/name
        monitor: String,
        /// Write to this file [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Print the states of its groups instead, as JSON
        #[arg(long)]
        state: bool,
    },
    /// Save a document as a monitor, replacing the monitor of the same name
    Put {
        /// The monitor, entity/project/name
        monitor: String,
        /// The document, a JSON file; - reads standard input
        #[arg(default_value = "-")]
        file: PathBuf,
        /// Fail if a monitor of this name exists
        #[arg(long, conflicts_with = "seen")]
        new: bool,
        /// Fail unless this is the monitor's current version
        #[arg(long, value_name = "N")]
        seen: Option<u64>,
    },
    /// Evaluate a monitor now, without changing its states
    Test {
        /// The monitor, entity/project/name
        monitor: String,
        /// Evaluate this document instead of the saved one; - reads standard input
        #[arg(conflicts_with = "send")]
        file: Option<PathBuf>,
        /// Send a test message to each of its targets
        #[arg(long)]
        send: bool,
    },
    /// Delete a monitor, its versions and its states
    Rm {
        /// The monitor, entity/project/name
        monitor: String,
    },
    /// Report nothing about a monitor for some time
    Silence {
        /// The monitor, entity/project/name
        monitor: String,
        /// For how long, such as 30m, 2h or 1d
        #[arg(long = "for", value_name = "TIME", required_unless_present_any = ["until", "end"])]
        span: Option<String>,
        /// Until when, such as 2026-12-01T08:00:00Z
        #[arg(long, value_name = "INSTANT", conflicts_with = "span")]
        until: Option<String>,
        /// Only this group
        #[arg(long)]
        group: Option<String>,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
        /// End all silences of the monitor
        #[arg(long, conflicts_with_all = ["span", "until", "group", "reason"])]
        end: bool,
    },
    /// List, save, test and delete the targets of messages
    Target {
        #[command(subcommand)]
        action: TargetAction,
    },
}

#[derive(Debug, Subcommand)]
enum TargetAction {
    /// List the targets of a project, without their secrets, as JSON
    Ls {
        /// The project
        #[arg(value_name = "ENTITY/PROJECT")]
        project: String,
    },
    /// Save a document as a target
    Put {
        /// The target, entity/project/name
        target: String,
        /// The document, a JSON file; - reads standard input
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// Send a test message to a target
    Test {
        /// The target, entity/project/name
        target: String,
    },
    /// Delete a target
    Rm {
        /// The target, entity/project/name
        target: String,
    },
}

impl Monitor {
    /// Runs the command.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let remote = Remote::new(global)?;
        match self.action {
            Action::Ls { project, json } => list(&remote, &project, json).await,
            Action::Get { monitor, output, state } => {
                get(&remote, &monitor, output.as_deref(), state).await
            }
            Action::Put { monitor, file, new, seen } => {
                document::put(&remote, (MONITORS, &monitor), &file, new, seen).await
            }
            Action::Test { monitor, file, send } => {
                test(&remote, &monitor, file.as_deref(), send).await
            }
            Action::Rm { monitor } => document::delete(&remote, MONITORS, &monitor).await,
            Action::Silence { monitor, span, until, group, reason, end } => {
                let path = document::path(&remote, MONITORS, &monitor).await? + "/silence";
                if end {
                    remote.send(remote.request(Method::DELETE, &path, None)?).await?;
                    return print(format!("{monitor} is not silenced any more"));
                }
                let mut body = json!({ "reason": reason });
                for (name, value) in [("for", span), ("until", until), ("group", group)] {
                    if let Some(value) = value {
                        body[name] = value.into();
                    }
                }
                let silences: Vec<Value> = remote.post(&path, &body).await?;
                let until = silences.last().and_then(|it| it["until"].as_str()).unwrap_or_default();
                print(format!("{monitor} is silenced until {until}"))
            }
            Action::Target { action } => target(&remote, action).await,
        }
    }
}

async fn list(remote: &Remote, project: &str, json: bool) -> Result<(), Failure> {
    let monitors: Vec<Value> = remote.get(&document::project_path(MONITORS, project)?).await?;
    if json {
        return print_json(&monitors);
    }
    if monitors.is_empty() {
        return print(format!("no monitors in {project}"));
    }
    let mut grid = Grid::new(&[
        ("monitor", Align::Left),
        ("state", Align::Left),
        ("groups", Align::Right),
        ("firing", Align::Right),
        ("severity", Align::Left),
        ("kind", Align::Left),
        ("table", Align::Left),
        ("evaluated", Align::Left),
    ]);
    for monitor in &monitors {
        let text = |name: &str| printable_cell(monitor[name].as_str().unwrap_or_default());
        let number = |name: &str| count(monitor[name].as_u64().unwrap_or_default());
        let state = match monitor["silenced"].as_bool() {
            Some(true) => format!("{} (silenced)", text("state")),
            _ => text("state"),
        };
        grid.push(vec![
            text("name"),
            state,
            number("groups"),
            number("firing"),
            text("severity"),
            text("kind"),
            text("table"),
            monitor["evaluated"].as_str().map(when).unwrap_or_default(),
        ]);
    }
    let mut out = Output::open(None)?;
    out.put(format!("{grid}\n").as_bytes())?;
    out.finish()
}

async fn get(
    remote: &Remote,
    monitor: &str,
    output: Option<&Path>,
    state: bool,
) -> Result<(), Failure> {
    let mut path = document::path(remote, MONITORS, monitor).await?;
    if state {
        path.push_str("/state");
        return print_json(&remote.get::<Value>(&path).await?);
    }
    document::get(remote, &path, output).await
}

async fn test(
    remote: &Remote,
    monitor: &str,
    file: Option<&Path>,
    send: bool,
) -> Result<(), Failure> {
    let path = document::path(remote, MONITORS, monitor).await?;
    let result: Value = match file {
        Some(file) => {
            let document: Value =
                serde_json::from_slice(&document::read(file)?).map_err(Failure::failed)?;
            let (project, _) = path.rsplit_once('/').unwrap_or_default();
            remote.post(project, &document).await?
        }
        None => {
            let send = if send { "?send=true" } else { "" };
            remote.post(&format!("{path}/test{send}"), &json!({})).await?
        }
    };
    print_json(&result)?;
    let unsent = result["messages"].as_array().into_iter().flatten().find(|it| it["sent"] == false);
    match (result.get("error"), unsent) {
        (Some(error), _) => Err(Failure::failed(error.as_str().unwrap_or_default())),
        (None, Some(message)) => Err(not_sent(message)),
        (None, None) => Ok(()),
    }
}

async fn target(remote: &Remote, action: TargetAction) -> Result<(), Failure> {
    match action {
        TargetAction::Ls { project } => {
            print_json(&remote.get::<Value>(&document::project_path(TARGETS, &project)?).await?)
        }
        TargetAction::Put { target, file } => {
            let document = document::read(&file)?;
            let path = document::path(remote, TARGETS, &target).await?;
            remote.send(remote.request(Method::PUT, &path, Some(document.into()))?).await?;
            print(format!("saved {target}"))
        }
        TargetAction::Test { target } => {
            let path = document::path(remote, TARGETS, &target).await? + "/test";
            let result: Value = remote.post(&path, &json!({})).await?;
            match result["sent"].as_bool() {
                Some(true) => print(format!("sent a test message to {target}")),
                _ => Err(not_sent(&result)),
            }
        }
        TargetAction::Rm { target } => document::delete(remote, TARGETS, &target).await,
    }
}

fn not_sent(result: &Value) -> Failure {
    let text = |name: &str| result[name].as_str().unwrap_or_default();
    Failure::failed(format!("no message was sent to {}: {}", text("target"), text("error")))
}

fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    print(serde_json::to_string_pretty(value).map_err(Failure::failed)?)
}
