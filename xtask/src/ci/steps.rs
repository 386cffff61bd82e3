//! The steps of `cargo xtask ci`, as data, and the commands they are made of.

use std::fmt;
use std::io::{self, IsTerminal};
use std::process::{self, ExitStatus};

use super::tools::{CLIPPY, NEXTEST, RUSTFMT, Tool};
use crate::metadata::{Package, Query, Workspace};
use crate::{board, browser, cargo, clients, crash, hostile, layers, python, venv};

/// All steps, in the order in which they run: the fastest to fail are first.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "the code is formatted",
        needs: Some(&RUSTFMT),
        tasks: |_| vec![task(fmt_args())],
    },
    Step {
        name: "typos",
        about: "no word is misspelled",
        needs: None,
        tasks: |_| vec![Task::Installed("typos")],
    },
    Step {
        name: "deny",
        about: "dependencies have allowed licences and sources, and each duplicate has a reason",
        needs: None,
        tasks: |_| vec![Task::Installed(DENY), Task::Advisories],
    },
    Step {
        name: "unused",
        about: "no crate declares a dependency that it does not use",
        needs: None,
        tasks: |_| vec![Task::Installed("cargo-shear")],
    },
    Step {
        name: "clippy",
        about: "no lint warns, on all targets with all features",
        needs: Some(&CLIPPY),
        tasks: |_| vec![task("clippy --workspace --all-targets --all-features -- -D warnings")],
    },
    Step {
        name: "test",
        about: "the tests pass, with all features",
        needs: Some(&NEXTEST),
        tasks: |_| vec![task("nextest run --workspace --all-features --no-fail-fast")],
    },
    Step {
        name: "crash",
        about: "a server and its clients are killed for some seconds and lose or duplicate no rows",
        needs: None,
        tasks: |_| vec![Task::Crash(&["--seconds", "10"])],
    },
    Step {
        name: "hostile",
        about: "a server that gets hostile requests for a minute lives, answers and keeps its rows",
        needs: None,
        tasks: |_| vec![Task::Hostile(&["--seconds", "60"])],
    },
    Step {
        name: "clients",
        about: "the real Python clients log into the server and read back",
        needs: Some(&NEXTEST),
        tasks: |_| vec![Task::ProvideClients, task(clients::TESTS).with_clients()],
    },
    Step {
        name: "python",
        about: "the Python package's wheel installs, its types are right, its tests pass, a notebook shows it",
        needs: None,
        tasks: |_| vec![Task::TestPython],
    },
    Step {
        name: "board",
        about: "the board's page is built from its sources",
        needs: None,
        tasks: |_| vec![Task::CheckBoard],
    },
    Step {
        name: "browser",
        about: "the board's page works in a real browser, against the real server",
        needs: None,
        tasks: |_| vec![Task::Browser],
    },
    Step {
        name: "doctest",
        about: "the examples in the documentation run",
        needs: None,
        tasks: |_| vec![task("test --doc --workspace --all-features")],
    },
    Step {
        name: "examples",
        about: "the examples that need no server run",
        needs: None,
        tasks: |_| {
            // The same features as for the tests, so that nothing is compiled again.
            let mut tasks = vec![task("build --workspace --all-features --examples")];
            tasks.extend(["digits", "custom_transport", "custom_backend"].map(Task::Example));
            tasks
        },
    },
    Step {
        name: "doc",
        about: "the documentation is built without a warning",
        needs: None,
        tasks: |_| {
            let doc = task("doc --workspace --no-deps --all-features");
            vec![doc.with_env("RUSTDOCFLAGS", "-D warnings")]
        },
    },
    Step {
        name: "alone",
        about: "each published crate compiles without its neighbours' features, and with each of its own",
        needs: None,
        tasks: alone,
    },
    Step {
        name: "msrv",
        about: "the client and its layers compile with the Rust that they promise, if it can be installed",
        needs: None,
        tasks: |_| vec![msrv()],
    },
    Step {
        name: "targets",
        about: "the client and its layers compile for WebAssembly, Windows and macOS, if these can be installed",
        needs: None,
        tasks: |_| TARGETS.iter().flat_map(targets).collect(),
    },
    Step {
        name: "check-layers",
        about: "the crate graph obeys the layers",
        needs: None,
        tasks: |_| vec![Task::CheckLayers],
    },
    Step {
        name: "golden",
        about: "what goes over the wire stays the same with serde_json's leaking features on",
        needs: Some(&NEXTEST),
        tasks: |_| {
            vec![task(
                "nextest run --package streamtable-schema --package streamtable-wire \
                 --features serde_json/preserve_order,serde_json/arbitrary_precision",
            )]
        },
    },
    Step {
        name: "package",
        about: "every published crate can be packaged",
        needs: None,
        tasks: package,
    },
];

/// One check of the workspace.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) needs: Option<&'static Tool>,
    pub(super) tasks: fn(&Workspace) -> Vec<Task>,
}

/// One command of a step; `Display` formats it as a shell command.
#[derive(Debug)]
pub(super) enum Task {
    Cargo {
        args: Vec<String>,
        env: Vec<(&'static str, String)>,
    },
    /// Runs cargo after rustup has installed what it needs; skipped if that is not possible.
    Rustup {
        /// The arguments of rustup.
        install: String,
        command: String,
    },
    /// Runs a tool of `xtask/tools`, the first word, after installing it if it is missing.
    Installed(&'static str),
    /// Checks for published vulnerabilities, if their database is reachable.
    Advisories,
    /// Builds the page, and compares.
    CheckBoard,
    /// Tests the page.
    Browser,
    /// Installs missing Python clients.
    ProvideClients,
    /// Builds and tests the Python package.
    TestPython,
    /// Runs an example that was built.
    Example(&'static str),
    /// Checks the crate graph; in this process, because the tests' build may be replacing the binary.
    CheckLayers,
    /// Kills processes, with these arguments; in this process for the same reason.
    Crash(&'static [&'static str]),
    /// Sends hostile requests, with these arguments; in this process for the same reason.
    Hostile(&'static [&'static str]),
}

impl Task {
    fn with_env(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Cargo { env, .. } = &mut self {
            env.push((name, value.to_owned()));
        }
        self
    }

    fn with_clients(self) -> Self {
        self.with_env(clients::VARIABLE, &clients::folder().to_string_lossy())
    }

    /// Runs the task to its end and passes its output on.
    pub(super) fn run(&self) -> Result<(), String> {
        match self {
            Self::CheckLayers => layers::check(&Query::default()),
            Self::Crash(args) => crash::check(args),
            Self::Hostile(args) => hostile::check(args),
            Self::Installed(line) => self.judge(installed(line)?.status()),
            Self::Advisories => {
                if !installed("cargo-deny fetch db")?.output().is_ok_and(|it| it.status.success()) {
                    println!("skipped: the database of advisories is not reachable");
                    return Ok(());
                }
                self.judge(installed(ADVISORIES)?.status())
            }
            Self::Rustup { install, command } => {
                let mut rustup = process::Command::new("rustup");
                rustup.args(install.split_whitespace());
                if !rustup.output().is_ok_and(|it| it.status.success()) {
                    println!("skipped: `rustup {install}` failed; run it to see why");
                    return Ok(());
                }
                let mut words = command.split_whitespace();
                let mut run = match words.next() {
                    Some("cargo") | None => cargo::command(),
                    Some(program) => process::Command::new(program),
                };
                cargo::forget_xtask(&mut run);
                self.judge(run.args(words).current_dir(cargo::root()).status())
            }
            Self::CheckBoard => board::build(board::Mode::Check),
            Self::Browser => browser::run(None),
            Self::ProvideClients => clients::provide(),
            Self::TestPython => python::check(),
            Self::Example(name) => {
                let file = cargo::target().join("debug/examples").join(name);
                self.judge(process::Command::new(file).current_dir(cargo::root()).status())
            }
            Self::Cargo { args, env } => {
                let mut command = cargo::command();
                command
                    .args(args)
                    .envs(env.iter().map(|(name, value)| (name, value)))
                    .current_dir(cargo::root());
                self.judge(command.status())
            }
        }
    }

    fn judge(&self, ended: io::Result<ExitStatus>) -> Result<(), String> {
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("`{self}` ended with {status}")),
            Err(error) => Err(format!("`{self}` did not start: {error}")),
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CheckLayers => f.write_str("cargo xtask check-layers"),
            Self::Crash(args) => write!(f, "cargo xtask crash {}", args.join(" ")),
            Self::Hostile(args) => write!(f, "cargo xtask hostile {}", args.join(" ")),
            Self::Rustup { command, .. } => f.write_str(command),
            Self::Installed(line) => f.write_str(line),
            Self::Advisories => f.write_str(ADVISORIES),
            Self::CheckBoard => f.write_str("cargo xtask board --check"),
            Self::Browser => f.write_str("cargo xtask browser"),
            Self::ProvideClients => f.write_str("python3 -m venv, pip install"),
            Self::TestPython => f.write_str("cargo xtask python --clients --jupyter"),
            Self::Example(name) => write!(f, "target/debug/examples/{name}"),
            Self::Cargo { args, env } => {
                for (name, value) in env {
                    write!(f, "{name}=\"{value}\" ")?;
                }
                write!(f, "cargo {}", args.join(" "))
            }
        }
    }
}

/// Returns the command of a tool of `xtask/tools`, after installing it if it is missing.
fn installed(line: &str) -> Result<process::Command, String> {
    let (name, args) = line.split_once(' ').unwrap_or((line, ""));
    let folder = cargo::target().join(name);
    let requirements = cargo::root().join("xtask/tools").join(name).with_extension("txt");
    venv::provide(&requirements, &folder)?;
    let mut tool = process::Command::new(folder.join("bin").join(name));
    tool.args(args.split_whitespace()).current_dir(cargo::root());
    Ok(tool)
}

/// Checks `deny.toml`; entries of it that are no longer needed are errors.
const DENY: &str = "cargo-deny check --hide-inclusion-graph -D unmatched-skip -D unnecessary-skip \
                    -D license-exception-not-encountered licenses bans sources";

const ADVISORIES: &str = "cargo-deny --offline check advisories";

/// A call of cargo, its arguments separated by spaces.
fn task(args: &str) -> Task {
    Task::Cargo { args: args.split_whitespace().map(str::to_owned).collect(), env: Vec::new() }
}

fn fmt_args() -> &'static str {
    // rustfmt alone colours its differences wherever they go.
    let plain = "fmt --all --check -- --color never";
    if io::stdout().is_terminal() { "fmt --all --check" } else { plain }
}

/// Checked only together with the crates that use it: alone, its dependencies have other features, and
/// compiling the query engine again takes minutes.
const NOT_ALONE: &str = "streamtable-store-embedded";

fn alone(workspace: &Workspace) -> Vec<Task> {
    let mut tasks = Vec::new();
    let theirs = |package: &&Package| package.published && package.name != NOT_ALONE;
    for package in workspace.packages.iter().filter(theirs) {
        for features in selections(&package.features) {
            tasks.push(task(&format!("check --package {} {features}", package.name)));
        }
    }
    tasks
}

/// Returns the arguments of cargo that select none, all and each of a crate's features.
fn selections(features: &[String]) -> Vec<String> {
    let mut selections = vec![String::new()];
    if !features.is_empty() {
        selections.extend(["--no-default-features", "--all-features"].map(str::to_owned));
    }
    let own: Vec<&String> = features.iter().filter(|name| *name != "default").collect();
    // A single one is the same as all.
    if own.len() > 1 {
        let each = own.iter().map(|name| format!("--no-default-features --features {name}"));
        selections.extend(each);
    }
    selections
}

/// The Rust that all crates promise.
const OLDEST_RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// What programs depend on. The server is built by its operators, with a current Rust.
const CLIENT: &str = "--package streamtable --package streamtable-mock-backend \
                      --package streamtable-transport-hyper --package streamtable-transport-reqwest";

fn msrv() -> Task {
    Task::Rustup {
        install: format!("toolchain install {OLDEST_RUST} --profile minimal"),
        command: format!("rustup run {OLDEST_RUST} cargo check {CLIENT} --all-features"),
    }
}

/// A target for which some crates are checked.
struct Target {
    triple: &'static str,
    /// Selections of crates and features, one check each.
    selections: &'static [&'static str],
}

/// The crates that a browser can use: they need no files, no threads and no sockets.
const VOCABULARY: &str = "--package streamtable-schema --package streamtable-wire --package streamtable-url \
                          --package streamtable-transport --all-features";

/// The client without a transport, and the mock.
const WITHOUT_TRANSPORT: &str = "--package streamtable --package streamtable-mock-backend \
     --no-default-features --features streamtable/arrow-59,streamtable/conformance,streamtable/derive,\
     streamtable/metrics,streamtable/sink,streamtable/tracing-layer,streamtable-mock-backend/serve,\
     streamtable-mock-backend/strategies";

/// The transport without TLS, because compiling that needs a C compiler for the target.
const WITHOUT_TLS: &str =
    "--package streamtable-transport-hyper --no-default-features --features gzip,http2,proxy";

const TARGETS: &[Target] = &[
    Target {
        triple: "wasm32-unknown-unknown",
        selections: &[VOCABULARY, "--package streamtable-mock-backend"],
    },
    Target { triple: "x86_64-pc-windows-gnu", selections: &[WITHOUT_TRANSPORT, WITHOUT_TLS] },
    Target { triple: "aarch64-apple-darwin", selections: &[WITHOUT_TRANSPORT, WITHOUT_TLS] },
];

fn targets(target: &Target) -> Vec<Task> {
    let Target { triple, selections } = target;
    let check = |selection| Task::Rustup {
        install: format!("target add {triple}"),
        command: format!("cargo check --target {triple} {selection}"),
    };
    selections.iter().map(check).collect()
}

fn package(workspace: &Workspace) -> Vec<Task> {
    let mut args = "package --no-verify --allow-dirty".to_owned();
    // One call for all, so that cargo finds crates that are not published yet.
    for package in workspace.packages.iter().filter(|package| package.published) {
        args.push_str(" --package ");
        args.push_str(&package.name);
    }
    vec![task(&args)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::tests::workspace;

    #[track_caller]
    fn check(step: &str, workspace: &Workspace, expected: &[&str]) {
        let step = STEPS.iter().find(|it| it.name == step).unwrap();
        let shown: Vec<String> = (step.tasks)(workspace).iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn each_feature_is_selected_alone() {
        let mut workspace = workspace(&["a"]);
        workspace.packages[0].features = ["default", "gzip", "tls"].map(str::to_owned).to_vec();
        check(
            "alone",
            &workspace,
            &[
                "cargo check --package a",
                "cargo check --package a --no-default-features",
                "cargo check --package a --all-features",
                "cargo check --package a --no-default-features --features gzip",
                "cargo check --package a --no-default-features --features tls",
            ],
        );
    }

    #[test]
    fn commands() {
        let mut workspace = workspace(&["a", "b", "c"]);
        workspace.packages[1].features = vec!["default".to_owned(), "tls".to_owned()];
        workspace.packages[2].published = false;
        check(
            "doc",
            &workspace,
            &["RUSTDOCFLAGS=\"-D warnings\" cargo doc --workspace --no-deps --all-features"],
        );
        check("check-layers", &workspace, &["cargo xtask check-layers"]);
        check(
            "msrv",
            &workspace,
            &[&format!("rustup run {OLDEST_RUST} cargo check {CLIENT} --all-features")],
        );
        check(
            "alone",
            &workspace,
            &[
                "cargo check --package a",
                "cargo check --package b",
                "cargo check --package b --no-default-features",
                "cargo check --package b --all-features",
            ],
        );
        check(
            "package",
            &workspace,
            &["cargo package --no-verify --allow-dirty --package a --package b"],
        );
    }
}
