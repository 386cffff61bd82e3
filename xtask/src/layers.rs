//! `cargo xtask check-layers`: checks the crate graph.
//!
//! The rules are data: [`LAYERS`], [`EXCEPTIONS`] and [`ABSENCES`]. The code below compares.

use lexopt::prelude::*;

use crate::metadata::{Kind, Node, Query, Tree, Workspace};
use crate::{Command, Failure};

/// The layers from the top down. A dependency goes from a layer to one strictly below it.
const LAYERS: &[Layer] = &[
    Layer {
        name: "leaves",
        crates: &[
            "streamtable-bench",
            "streamtable-cli",
            "streamtable-opentelemetry",
            "streamtable-python",
            "streamtable-sqlite-backend",
            "streamtable-tests",
            // Used by no other crate; its tests use the client.
            "streamtable-transport-reqwest",
            "xtask",
        ],
    },
    // Below the command that starts it.
    Layer { name: "service", crates: &["streamtable-server"] },
    // The features of the service. None depends on another.
    Layer { name: "protocols", crates: &["streamtable-live", "streamtable-wandb"] },
    Layer { name: "shared", crates: &["streamtable-server-core"] },
    Layer { name: "storage", crates: &["streamtable-store-embedded"] },
    Layer {
        name: "features",
        crates: &[
            "streamtable",
            "streamtable-board",
            "streamtable-digits",
            "streamtable-format",
            "streamtable-log",
            "streamtable-mock-backend",
            "streamtable-monitor",
            "streamtable-store",
        ],
    },
    // `url` and `transport-hyper` are here because the client, a feature, builds links and has a
    // default transport.
    Layer {
        name: "protocol",
        crates: &["streamtable-transport-hyper", "streamtable-url", "streamtable-wire"],
    },
    Layer { name: "vocabulary", crates: &["streamtable-schema", "streamtable-transport"] },
    // The one crate with `unsafe` code, and what `schema` exports: the derive macro and names, which
    // links use without values.
    Layer {
        name: "system",
        crates: &["streamtable-derive", "streamtable-mapped", "streamtable-name"],
    },
];

/// The dependencies that are allowed although they do not go down.
const EXCEPTIONS: &[Exception] = &[Exception {
    // The client's own tests and examples need a backend and sample rows.
    from: "streamtable",
    kind: Kind::Dev,
    to: &["streamtable-digits", "streamtable-mock-backend"],
}];

/// Crates that a crate's dependency tree must not contain, with all features enabled. A `*` ends a
/// pattern.
const ABSENCES: &[Absence] = &[
    Absence {
        of: Of::Crates(&[
            "streamtable-schema",
            "streamtable-wire",
            "streamtable-transport",
            "streamtable-url",
            "streamtable-mock-backend",
        ]),
        without: &[],
        never: &["arrow*", "hyper*", "ring", "rustls*", "tokio*"],
        rule: "vocabulary, protocol and mock must not depend on a runtime, HTTP, TLS or arrow",
    },
    Absence {
        of: Of::Crates(&["streamtable"]),
        without: &[
            "arrow-array",
            "arrow-buffer",
            "arrow-ipc",
            "arrow-schema",
            "streamtable-transport-hyper",
        ],
        never: &["arrow*", "aws-lc*", "hyper*", "native-tls", "openssl*", "ring", "rustls*"],
        rule: "without its default transport the client must not depend on TLS, an HTTP client or arrow",
    },
    Absence {
        of: Of::Crates(&["streamtable-url"]),
        without: &[],
        never: &["imagesize", "jiff*", "serde_json"],
        rule: "links need names, but no values, dates or image formats",
    },
    Absence {
        of: Of::Crates(&["streamtable-live"]),
        without: &[],
        never: &["axum*", "async-graphql*", "rusqlite", "streamtable-server-core"],
        rule: "live views need a store, but no HTTP and no catalog",
    },
    Absence {
        of: Of::Crates(&["streamtable-log"]),
        without: &[],
        never: &["arrow*", "axum*", "datafusion*", "parquet*", "rusqlite"],
        rule: "the log stores bytes: it must not depend on a query engine, a file format or HTTP",
    },
    Absence {
        of: Of::Crates(&["streamtable-monitor"]),
        without: &[],
        never: &["arrow*", "axum*", "hyper*", "rusqlite", "rustls*", "tokio*"],
        rule: "documents and states of monitors need no runtime, no HTTP and no query engine",
    },
    Absence {
        of: Of::Crates(&["streamtable-server"]),
        without: &["streamtable-wandb"],
        never: &["async-graphql*"],
        rule: "without the W&B protocol the server must not depend on GraphQL",
    },
    Absence {
        of: Of::BelowServiceExcept("streamtable-store-embedded"),
        without: &[],
        never: &["datafusion*", "deltalake*"],
        rule: "below the service, only the embedded store may depend on the query engine",
    },
    Absence {
        of: Of::Crates(&["streamtable-store"]),
        without: &[],
        never: &["object_store*", "parquet*", "sqlparser*"],
        rule: "the interface of stores must not depend on a file format, an object store or an SQL parser",
    },
];

struct Layer {
    name: &'static str,
    crates: &'static [&'static str],
}

struct Exception {
    from: &'static str,
    kind: Kind,
    to: &'static [&'static str],
}

struct Absence {
    of: Of,
    /// Dependencies whose trees are left out: the crate has them only behind a feature.
    without: &'static [&'static str],
    never: &'static [&'static str],
    rule: &'static str,
}

enum Of {
    Crates(&'static [&'static str]),
    BelowServiceExcept(&'static str),
}

pub(crate) const COMMAND: Command = Command {
    name: "check-layers",
    about: "check the crate graph against the layers",
    help: "\
Checks the workspace's crate graph against the rules in xtask/src/layers.rs.

Every crate must be in a layer, and every dependency must go strictly down.
Crates that promise not to depend on something (a runtime, TLS, the query engine)
must not have it in their trees, with all features, on any platform. No crate may
depend on one that needs a newer Rust than its own manifest promises. Prints every
violation; the exit code is then 1.

Usage: cargo xtask check-layers [OPTIONS]

Options:
      --manifest-path PATH   the workspace to check, instead of this one
      --offline              fail rather than download what is not on this machine
  -h, --help                 print this
",
    run,
};

fn run(parser: lexopt::Parser) -> Result<(), Failure> {
    Ok(check(&parse(parser)?)?)
}

fn parse(mut parser: lexopt::Parser) -> Result<Query, Failure> {
    let mut query = Query::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("offline") => query.offline = true,
            Long("manifest-path") => query.manifest = parser.value()?.into(),
            _ => return Err(arg.unexpected().into()),
        }
    }
    Ok(query)
}

/// Checks the workspace and prints the result.
pub(crate) fn check(query: &Query) -> Result<(), String> {
    let workspace = Workspace::read(query)?;
    let mut broken = broken_edges(&workspace);
    let tree = Tree::read(query);
    if let Ok(tree) = &tree {
        broken.extend(broken_absences(&workspace, tree));
        broken.extend(broken_rust_versions(&workspace, tree));
    }
    for line in &broken {
        eprintln!("{line}");
    }
    // Cargo refuses a cycle of crates before it resolves; the edges printed above show the cause.
    tree?;
    if broken.is_empty() {
        let edges: usize =
            workspace.packages.iter().map(|package| package.dependencies.len()).sum();
        println!("{} crates and {edges} edges, no violations", workspace.packages.len());
        return Ok(());
    }
    Err(format!("{} violations; the rules are in xtask/src/layers.rs", broken.len()))
}

/// Returns one line for each crate without a layer, and for each dependency that does not go down.
fn broken_edges(workspace: &Workspace) -> Vec<String> {
    let mut broken = Vec::new();
    for package in &workspace.packages {
        let from = package.name.as_str();
        let Some(from_layer) = layer_of(from) else {
            broken.push(format!("{from}: is not in LAYERS of xtask/src/layers.rs"));
            continue;
        };
        for dependency in &package.dependencies {
            let on = dependency.on.as_str();
            // Crates without a layer are reported separately. A crate may depend on itself as a
            // dev-dependency to enable features.
            let Some(on_layer) = layer_of(on).filter(|_| on != from) else { continue };
            if on_layer > from_layer || is_exception(from, dependency.kind, on) {
                continue;
            }
            let kind = match dependency.kind {
                Kind::Normal => "",
                Kind::Build => " (build)",
                Kind::Dev => " (dev)",
            };
            broken.push(format!(
                "{from} → {on}{kind}: a dependency must go strictly down, this one goes {} → {}",
                LAYERS[from_layer].name, LAYERS[on_layer].name,
            ));
        }
    }
    broken
}

/// Returns one line for each dependency chain to a crate that must be absent.
fn broken_absences(workspace: &Workspace, tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for absence in ABSENCES {
        for name in absence.of.crates().into_iter().filter(|name| workspace.has(name)) {
            let forbidden =
                |node: &Node| absence.never.iter().any(|pattern| matches(pattern, &node.name));
            let is_left_out = |package: &str| absence.without.contains(&package);
            for chain in tree.chains(name, forbidden, is_left_out) {
                broken.push(format!("{}: {}", chain.join(" → "), absence.rule));
            }
        }
    }
    broken
}

/// One line for each chain from a crate to one that needs a newer Rust than the first promises.
fn broken_rust_versions(workspace: &Workspace, tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for name in workspace.packages.iter().map(|package| &package.name) {
        let Some(promised) = tree.get(name).and_then(|node| node.rust) else { continue };
        let is_newer = |node: &Node| node.rust > Some(promised);
        for chain in tree.chains(name, is_newer, |_| false) {
            let [major, minor, patch] = promised;
            let chain = chain.join(" → ");
            broken.push(format!("{chain}: needs a newer Rust than {major}.{minor}.{patch}"));
        }
    }
    broken
}

impl Of {
    fn crates(&self) -> Vec<&'static str> {
        match *self {
            Self::Crates(crates) => crates.to_vec(),
            Self::BelowServiceExcept(except) => {
                let below = LAYERS.iter().skip(2).flat_map(|layer| layer.crates);
                below.copied().filter(|name| *name != except).collect()
            }
        }
    }
}

/// Returns the index in [`LAYERS`]; greater is lower.
fn layer_of(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.crates.contains(&name))
}

fn is_exception(from: &str, kind: Kind, to: &str) -> bool {
    EXCEPTIONS.iter().any(|it| it.from == from && it.kind == kind && it.to.contains(&to))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::tests::{tree, with_rust, workspace};

    #[track_caller]
    fn check_edges(edges: &[&str], expected: &[&str]) {
        assert_eq!(broken_edges(&workspace(edges)), expected);
    }

    #[test]
    fn edges() {
        check_edges(
            &["streamtable -> streamtable-url", "streamtable-url -> streamtable-schema"],
            &[],
        );
        check_edges(&["streamtable-tests => streamtable", "xtask"], &[]);
        check_edges(
            &["streamtable-wire -> streamtable"],
            &[
                "streamtable-wire → streamtable: a dependency must go strictly down, this one goes protocol → features",
            ],
        );
        check_edges(
            &["streamtable-url -> streamtable-wire"],
            &[
                "streamtable-url → streamtable-wire: a dependency must go strictly down, this one goes protocol → protocol",
            ],
        );
        check_edges(
            &["new -> streamtable-wire", "streamtable -> new"],
            &["new: is not in LAYERS of xtask/src/layers.rs"],
        );
    }

    #[test]
    fn dev_edges() {
        check_edges(&["streamtable => streamtable-mock-backend"], &[]);
        check_edges(&["streamtable-wire => streamtable-wire"], &[]);
        check_edges(
            &["streamtable -> streamtable-mock-backend"],
            &[
                "streamtable → streamtable-mock-backend: a dependency must go strictly down, this one goes features → features",
            ],
        );
        check_edges(
            &["streamtable-wire => streamtable-mock-backend"],
            &[
                "streamtable-wire → streamtable-mock-backend (dev): a dependency must go strictly down, this one goes protocol → features",
            ],
        );
    }

    #[test]
    fn rust_versions() {
        let edges = ["streamtable -> a", "a -> uuid"];
        let tree = with_rust(tree(&edges), "streamtable", [1, 88, 0]);
        let tree = with_rust(tree, "uuid", [1, 89, 0]);
        assert_eq!(
            broken_rust_versions(&workspace(&edges), &tree),
            ["streamtable → a → uuid: needs a newer Rust than 1.88.0"],
        );
    }

    #[track_caller]
    fn check_absences(edges: &[&str], expected: &[&str]) {
        assert_eq!(broken_absences(&workspace(edges), &tree(edges)), expected);
    }

    #[test]
    fn absences() {
        check_absences(&["streamtable -> tokio", "streamtable-transport-hyper -> hyper"], &[]);
        check_absences(
            &["streamtable-store-embedded -> datafusion", "streamtable-server -> datafusion"],
            &[],
        );
        check_absences(
            &["streamtable -> streamtable-wire", "streamtable-wire -> a", "a -> arrow-cast"],
            &[
                "streamtable-wire → a → arrow-cast: vocabulary, protocol and mock must not depend on a runtime, HTTP, TLS or arrow",
                "streamtable → streamtable-wire → a → arrow-cast: without its default transport the client must not depend on TLS, an HTTP client or arrow",
            ],
        );
        check_absences(
            &[
                "streamtable -> streamtable-transport-hyper",
                "streamtable-transport-hyper -> rustls",
                "streamtable -> b",
                "b -> ring",
            ],
            &[
                "streamtable → b → ring: without its default transport the client must not depend on TLS, an HTTP client or arrow",
            ],
        );
        check_absences(
            &["streamtable-board -> b", "b -> datafusion-expr"],
            &[
                "streamtable-board → b → datafusion-expr: below the service, only the embedded store may depend on the query engine",
            ],
        );
    }
}
