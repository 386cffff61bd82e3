//! `cargo xtask python`: builds and tests the Python package.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::thread;

use lexopt::prelude::*;

use crate::{Command, Failure, browser, cargo, clients, process, venv};

/// The package's folder.
const FOLDER: &str = "crates/python";

/// The variable with the path of the server binary.
const SERVER: &str = "STREAMTABLE_BIN";

/// The test of a table in JupyterLab, in its own environment.
const IN_JUPYTER: &str = "tests/test_jupyter.py";

/// The older versions of pandas, Polars and PyArrow with which values are tested.
const GENERATIONS: [&str; 2] = ["oldest", "middle"];

/// The tests of values: those that use pandas, Polars and PyArrow.
const OF_VALUES: [&str; 4] = [
    "tests/test_value_table.py",
    "tests/test_values.py",
    "tests/test_reading.py",
    "tests/test_matrix.py",
];

/// The tests of trainers.
const OF_TRAINERS: &str = "tests/test_trainers.py";

/// The real client with which the package is compared: the first version with StreamTable.
const COMPARED: &str = "weave-0.24";

pub(crate) const COMMAND: Command = Command {
    name: "python",
    about: "build the Python package's wheel and test it",
    help: "\
Builds the wheel of the Python package, installs it into an empty environment,
checks its types, and runs its tests against a server that it builds as well.

The wheel is in target/python/wheels, the environments are in target/python. It does not
contain the server; `cargo xtask dist` builds one that does. If STREAMTABLE_BIN is the path
of a server, that one is used, and none is built.

Usage: cargo xtask python [OPTIONS] [-- PYTEST-ARGUMENTS]

Options:
      --release     optimise the wheel, for distribution
      --wheel       only build it
      --jupyter     also install JupyterLab, and test a table in it with the
                    system's Chromium; screenshots are in target/python/screenshots
      --clients     also install the real weave client, and compare with it
      --generations also test values with two older generations of pandas, Polars
                    and PyArrow
      --nightly     also test trainings with PyTorch: Transformers and Lightning.
                    For root on Debian, installs python3-torch if it is missing
  -h, --help        print this

Needs python3, 3.10 or later, with its venv module; pip installs the rest. For root on
a system with apt-get, --jupyter installs Chromium if it is missing.
",
    run: |parser| Ok(run(&parse(parser)?)?),
};

/// The parsed arguments.
#[derive(Debug, Default, PartialEq)]
struct Request {
    is_release: bool,
    only_wheel: bool,
    with_clients: bool,
    with_jupyter: bool,
    with_generations: bool,
    with_trainers: bool,
    pytest: Vec<String>,
}

fn parse(mut parser: lexopt::Parser) -> Result<Request, Failure> {
    let mut request = Request::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("release") => request.is_release = true,
            Long("wheel") => request.only_wheel = true,
            Long("jupyter") => request.with_jupyter = true,
            Long("clients") => request.with_clients = true,
            Long("generations") => request.with_generations = true,
            Long("nightly") => request.with_trainers = true,
            Value(first) => request.pytest = crate::rest(first, &mut parser)?,
            _ => return Err(arg.unexpected().into()),
        }
    }
    Ok(request)
}

/// Runs everything for `cargo xtask ci`, with the server binary that the tests have built.
pub(crate) fn check() -> Result<(), String> {
    let tests = ["test", "--workspace", "--all-features", "--no-run", "--quiet"];
    test(&Request { with_clients: true, with_jupyter: true, ..Request::default() }, &tests)
}

fn run(request: &Request) -> Result<(), String> {
    test(request, &["build", "--package", "streamtable-cli"])
}

fn test(request: &Request, build_server: &[&str]) -> Result<(), String> {
    let (tools, jupyter) = (Environment::new("tools"), Environment::new("jupyter"));
    // In parallel: one step is limited by the network, the other by the CPU.
    let wheel = thread::scope(|scope| {
        let installing =
            request.with_jupyter.then(|| scope.spawn(|| jupyter.provide("requirements-jupyter")));
        let wheel = tools.provide("requirements").and_then(|()| wheel(&tools, request.is_release));
        match installing.map(|thread| thread.join()) {
            Some(Ok(Err(failure))) => Err(failure),
            Some(Err(_)) => Err("the installation of JupyterLab panicked".to_owned()),
            Some(Ok(Ok(()))) | None => wheel,
        }
    })?;
    println!("{}", wheel.display());
    if request.only_wheel {
        return Ok(());
    }

    if env::var_os(SERVER).is_none() {
        let mut server = cargo::command();
        process::run(server.args(build_server).current_dir(cargo::root()))?;
    }
    if request.with_clients {
        clients::provide_one(COMPARED)?;
    }

    let empty = Environment::new("empty");
    venv::make(&empty.folder)?;
    empty.install(&wheel)?;
    tools.install(&wheel)?;
    // Isolated mode, so that the installed package is tested and not the source folder.
    process::run(empty.python().args(["-I", "tests/alone.py"]).env(SERVER, binary()))?;
    process::run(tools.python().args(["-m", "mypy"]))?;
    let stubtest = ["-m", "mypy.stubtest", "--concise", "--mypy-config-file", "pyproject.toml"];
    let allowed = ["--allowlist", "tests/stubtest.txt", "streamtable"];
    process::run(tools.python().args(stubtest).args(allowed).env("KERAS_BACKEND", "jax"))?;
    let mut pytest = tools.pytest();
    pytest.arg(format!("--ignore={IN_JUPYTER}")).args(&request.pytest);
    if request.with_clients {
        pytest.env(clients::VARIABLE, clients::folder());
    }
    process::run(&mut pytest)?;
    if request.with_jupyter {
        jupyter.install(&wheel)?;
        let chromium = browser::provide_chromium()?;
        process::run(jupyter.pytest().arg(IN_JUPYTER).env("CHROMIUM", chromium))?;
    }
    if request.with_generations {
        for name in GENERATIONS {
            let generation = Environment::new(name);
            generation.provide(&format!("requirements-{name}"))?;
            generation.install(&wheel)?;
            process::run(generation.pytest().args(OF_VALUES))?;
        }
    }
    if request.with_trainers {
        let trainers = Environment::new("trainers");
        clients::provide_torch()?;
        venv::provide_with(
            &clients::SYSTEM,
            &requirements("requirements-trainers"),
            &trainers.folder,
        )?;
        trainers.install(&wheel)?;
        process::run(trainers.pytest().arg(OF_TRAINERS))?;
    }
    Ok(())
}

/// Returns the path of a requirements file of the package.
fn requirements(set: &str) -> PathBuf {
    cargo::root().join(FOLDER).join(set).with_extension("txt")
}

/// Makes an environment with only the optimised package.
pub(crate) fn provide(folder: PathBuf) -> Result<(), String> {
    let tools = Environment::new("tools");
    tools.provide("requirements")?;
    let wheel = wheel(&tools, true)?;
    venv::make(&folder)?;
    Environment { folder }.install(&wheel)
}

/// Builds the wheel.
fn wheel(tools: &Environment, is_release: bool) -> Result<PathBuf, String> {
    // A server that `cargo xtask dist` has left would make the wheel large.
    include(None)?;
    built(tools, if is_release { &["--release"] } else { &[] })
}

/// Builds the command for an older C library.
fn server_with_zig(zig: &Environment) -> Result<PathBuf, String> {
    let triple = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let target = format!("{triple}.{GLIBC}");
    let mut build = Process::new(zig.folder.join("bin/cargo-zigbuild"));
    cargo::forget_xtask(&mut build);
    build.args(["zigbuild", "--release", "--package", "streamtable-cli", "--target", &target]);
    process::run(zig.on_path(&mut build).current_dir(cargo::root()))?;
    Ok(cargo::target().join(triple).join("release/streamtable"))
}

fn built(tools: &Environment, arguments: &[&str]) -> Result<PathBuf, String> {
    let folder = folder().join("wheels");
    // Remove wheels of other versions.
    let _ = fs::remove_dir_all(&folder);
    let mut maturin = tools.python();
    maturin.args(["-m", "maturin", "build", "--quiet", "--out"]).arg(&folder).args(arguments);
    process::run(tools.on_path(&mut maturin))?;
    let wheels = fs::read_dir(&folder).map_err(|error| error.to_string())?;
    let mut wheels = wheels.filter_map(|entry| Some(entry.ok()?.path()));
    wheels.next().ok_or_else(|| "maturin built no wheel".to_owned())
}

pub(crate) const DIST: Command = Command {
    name: "dist",
    about: "build the Python package's wheel with the server, for distribution",
    help: "\
Builds the optimised wheel of the Python package for this system, with the command
`streamtable` in it, checks it with abi3audit and twine, and installs it into an empty
environment. The wheel is in target/python/wheels.

Usage: cargo xtask dist [OPTIONS]

Options:
      --server FILE   put this program into the wheel, instead of building it
      --zig           on Linux, build for the C library of 2018 (manylinux_2_28) and
                      later ones, with the compiler of the package ziglang
  -h, --help          print this

Without --zig, the wheel works with the C library of this system and later ones.
.github/workflows/wheels.yml builds the wheels of other systems.
",
    run: |parser| Ok(dist(parse_dist(parser)?)?),
};

/// The parsed arguments of `dist`.
#[derive(Debug, Default, PartialEq)]
struct Distribution {
    server: Option<PathBuf>,
    with_zig: bool,
}

fn parse_dist(mut parser: lexopt::Parser) -> Result<Distribution, Failure> {
    let mut request = Distribution::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("server") => request.server = Some(parser.value()?.into()),
            Long("zig") => request.with_zig = true,
            _ => return Err(arg.unexpected().into()),
        }
    }
    Ok(request)
}

/// The oldest C library that `--zig` builds for.
const GLIBC: &str = "2.28";

/// The arguments of maturin that build for it.
const WITH_ZIG: [&str; 3] = ["--zig", "--compatibility", "manylinux_2_28"];

fn dist(request: Distribution) -> Result<(), String> {
    let tools = Environment::new("tools");
    tools.provide("requirements")?;
    let zig = Environment::new("zig");
    if request.with_zig {
        zig.provide("requirements-zig")?;
    }
    let builder = if request.with_zig { &zig } else { &tools };
    let server = match request.server {
        Some(file) => file,
        None if request.with_zig => server_with_zig(&zig)?,
        None => {
            let build = ["build", "--release", "--package", "streamtable-cli"];
            process::run(cargo::command().args(build).current_dir(cargo::root()))?;
            cargo::target().join("release/streamtable")
        }
    };
    include(Some(&server))?;
    let more: &[&str] = if request.with_zig { &WITH_ZIG } else { &[] };
    let wheel = built(builder, &[&["--release"], more].concat());
    include(None)?;
    let wheel = wheel?;
    process::run(tools.python().args(["-m", "abi3audit", "--strict"]).arg(&wheel))?;
    process::run(tools.python().args(["-m", "twine", "check", "--strict"]).arg(&wheel))?;
    let empty = Environment::new("empty");
    venv::make(&empty.folder)?;
    empty.install(&wheel)?;
    let command = ["-I", "-m", "streamtable", "--version"];
    process::run(empty.python().args(command).env_remove(SERVER))?;
    // Starts the server by the installed command.
    let installed = empty.folder.join("bin/streamtable");
    process::run(empty.python().args(["-I", "tests/alone.py"]).env(SERVER, installed))?;
    let bytes = fs::metadata(&wheel).map_err(|error| error.to_string())?.len();
    println!("{}: {} MB", wheel.display(), bytes / 1_000_000);
    Ok(())
}

/// Puts a server into the package, or removes the one that is there.
fn include(server: Option<&Path>) -> Result<(), String> {
    let folder = cargo::root().join(FOLDER).join("python/streamtable/_bin");
    let _ = fs::remove_dir_all(&folder);
    let Some(server) = server else { return Ok(()) };
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let name = format!("streamtable{}", env::consts::EXE_SUFFIX);
    let copied = folder.join(name);
    fs::copy(server, &copied)
        .map_err(|error| format!("cannot copy {}: {error}", server.display()))?;
    if cfg!(unix) {
        process::run(Process::new("strip").arg(&copied))?;
    }
    Ok(())
}

/// A virtual environment.
struct Environment {
    folder: PathBuf,
}

impl Environment {
    fn new(name: &str) -> Self {
        Self { folder: folder().join(name) }
    }

    /// Installs the packages of a requirements file of the package.
    fn provide(&self, set: &str) -> Result<(), String> {
        venv::provide(&requirements(set), &self.folder)
    }

    /// Returns the environment's Python, in the package's folder.
    fn python(&self) -> Process {
        let mut python = Process::new(self.folder.join("bin/python"));
        cargo::forget_xtask(&mut python);
        python.current_dir(cargo::root().join(FOLDER)).env("VIRTUAL_ENV", &self.folder);
        python
    }

    /// Lets a command find the environment's programs.
    fn on_path<'a>(&self, command: &'a mut Process) -> &'a mut Process {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = [self.folder.join("bin")].into_iter().chain(env::split_paths(&path));
        match env::join_paths(folders) {
            Ok(path) => command.env("PATH", path),
            Err(_) => command,
        }
    }

    /// Returns the environment's pytest, with the server binary that was built.
    fn pytest(&self) -> Process {
        let mut python = self.python();
        python.args(["-m", "pytest"]).env(SERVER, binary());
        python
    }

    fn install(&self, wheel: &Path) -> Result<(), String> {
        let mut pip = self.python();
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        // The package has no dependencies, so pip needs no index.
        process::run(pip.args(["--no-index", "--force-reinstall"]).arg(wheel))
    }
}

fn folder() -> PathBuf {
    cargo::target().join("python")
}

/// Returns the path of the server binary.
fn binary() -> PathBuf {
    env::var_os(SERVER).map_or_else(|| cargo::target().join("debug/streamtable"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        #[track_caller]
        fn check(args: &str, expected: Result<Request, &str>) {
            crate::check_arguments(parse, args, expected);
        }
        check("", Ok(Request::default()));
        check(
            "--release --wheel",
            Ok(Request { is_release: true, only_wheel: true, ..Request::default() }),
        );
        let pytest = vec!["-k".to_owned(), "fork".to_owned()];
        check(
            "--clients -- -k fork",
            Ok(Request { with_clients: true, pytest, ..Request::default() }),
        );
        let both = Request { with_generations: true, with_trainers: true, ..Request::default() };
        check("--generations --nightly", Ok(both));
        check("--fast", Err("invalid option '--fast'"));
    }

    #[test]
    fn arguments_of_dist() {
        let check = |args, expected| crate::check_arguments(parse_dist, args, expected);
        check("", Ok(Distribution::default()));
        check("--server=s --zig", Ok(Distribution { server: Some("s".into()), with_zig: true }));
        check("s", Err("unexpected argument \"s\""));
    }
}
