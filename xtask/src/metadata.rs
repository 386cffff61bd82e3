//! The output of `cargo metadata`: the workspace's manifests and the resolved dependency tree.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use serde_json::Value;

use crate::cargo;

/// Which workspace to read, and how.
pub(crate) struct Query {
    pub(crate) manifest: PathBuf,
    /// With `--offline`, cargo fails instead of downloading missing crates.
    pub(crate) offline: bool,
}

impl Query {
    fn ask(&self, flag: &str) -> Result<Value, String> {
        let mut command = cargo::command();
        command.args(["metadata", "--format-version", "1", flag, "--manifest-path"]);
        command.arg(&self.manifest);
        if self.offline {
            command.arg("--offline");
        }
        let output = command.output().map_err(|error| format!("cannot start cargo: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("cargo metadata failed\n{}", said.trim_end()));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("cargo metadata is not JSON: {error}"))
    }
}

impl Default for Query {
    fn default() -> Self {
        Self { manifest: cargo::root().join("Cargo.toml"), offline: false }
    }
}

/// The crates of the workspace with their declared dependencies, by name.
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
}

impl Workspace {
    /// Reads only the manifests, without resolution, so that a cycle or a missing download is not
    /// an error here.
    pub(crate) fn read(query: &Query) -> Result<Self, String> {
        let json = query.ask("--no-deps")?;
        let mut packages: Vec<Package> = list(&json["packages"]).map(Package::new).collect();
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { packages })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.packages.iter().any(|package| package.name == name)
    }
}

/// One crate of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    /// False with `publish = false`.
    pub(crate) published: bool,
    /// The names of its features, including `default`.
    pub(crate) features: Vec<String>,
    /// Dependencies within the workspace, including optional ones.
    pub(crate) dependencies: Vec<Dependency>,
}

impl Package {
    fn new(json: &Value) -> Self {
        Self {
            name: text(&json["name"]),
            published: json["publish"] != Value::Array(Vec::new()),
            features: json["features"]
                .as_object()
                .map_or_else(Vec::new, |all| all.keys().cloned().collect()),
            dependencies: list(&json["dependencies"])
                .filter(|dependency| dependency["path"].is_string())
                .map(|dependency| Dependency {
                    on: text(&dependency["name"]),
                    kind: Kind::new(&dependency["kind"]),
                })
                .collect(),
        }
    }
}

/// A declared dependency on another crate of the workspace.
#[derive(Debug, PartialEq)]
pub(crate) struct Dependency {
    pub(crate) on: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

impl Kind {
    fn new(json: &Value) -> Self {
        match json.as_str() {
            Some("dev") => Self::Dev,
            Some("build") => Self::Build,
            _ => Self::Normal,
        }
    }
}

/// The resolved normal and build dependencies of the whole workspace, for every platform and with
/// all features enabled.
///
/// Features are unified over the workspace, as in a build of the workspace: a crate has at least
/// the dependencies here that it has alone.
pub(crate) struct Tree {
    nodes: BTreeMap<String, Node>,
}

pub(crate) struct Node {
    pub(crate) name: String,
    /// The oldest Rust that its manifest names.
    pub(crate) rust: Option<Rust>,
    /// Keys of `nodes`.
    dependencies: Vec<String>,
}

/// A version of Rust, as major, minor and patch.
pub(crate) type Rust = [u32; 3];

/// Parses `1.88` or `1.88.0`.
fn rust(json: &Value) -> Option<Rust> {
    let mut numbers = json.as_str()?.split('.').map(|number| number.parse().unwrap_or(0));
    Some(std::array::from_fn(|_| numbers.next().unwrap_or(0)))
}

impl Tree {
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.nodes.values().find(|node| node.name == name)
    }

    pub(crate) fn read(query: &Query) -> Result<Self, String> {
        let json = query.ask("--all-features")?;
        let packages: BTreeMap<&str, &Value> = list(&json["packages"])
            .filter_map(|package| Some((package["id"].as_str()?, package)))
            .collect();
        let node = |json: &Value| {
            let id = text(&json["id"]);
            let package = packages.get(id.as_str()).copied().unwrap_or(&Value::Null);
            let (name, rust) = (text(&package["name"]), rust(&package["rust_version"]));
            let dependencies = list(&json["deps"])
                .filter(|dep| list(&dep["dep_kinds"]).any(|of| Kind::new(&of["kind"]) != Kind::Dev))
                .map(|dep| text(&dep["pkg"]))
                .collect();
            (id, Node { name, rust, dependencies })
        };
        Ok(Self { nodes: list(&json["resolve"]["nodes"]).map(node).collect() })
    }

    /// Returns the shortest chain of names from `name` to each package that `is_end` accepts,
    /// without the chains that lead through another such package or through one that `is_left_out`
    /// accepts.
    pub(crate) fn chains(
        &self,
        name: &str,
        is_end: impl Fn(&Node) -> bool,
        is_left_out: impl Fn(&str) -> bool,
    ) -> Vec<Vec<&str>> {
        let Some((start, node)) = self.nodes.iter().find(|(_, node)| node.name == name) else {
            return Vec::new();
        };
        let mut chains = Vec::new();
        let mut seen = BTreeSet::from([start]);
        let mut queue = VecDeque::from([(start, vec![node.name.as_str()])]);
        while let Some((id, chain)) = queue.pop_front() {
            for next in self.nodes.get(id).into_iter().flat_map(|node| &node.dependencies) {
                let Some(node) = self.nodes.get(next) else { continue };
                if is_left_out(&node.name) || !seen.insert(next) {
                    continue;
                }
                let mut chain = chain.clone();
                chain.push(node.name.as_str());
                if is_end(node) {
                    chains.push(chain);
                } else {
                    queue.push_back((next, chain));
                }
            }
        }
        chains
    }
}

fn list(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Makes a workspace of the crates named in `edges`, each `from -> to`, `from => to` for a
    /// dev-dependency, or a single name.
    pub(crate) fn workspace(edges: &[&str]) -> Workspace {
        let mut all: BTreeMap<String, Vec<Dependency>> = BTreeMap::new();
        for edge in edges {
            let (from, to) = match edge.split_once(" -> ").map(|ends| (ends, Kind::Normal)) {
                None => match edge.split_once(" => ") {
                    None => (*edge, None),
                    Some((from, on)) => (from, Some((on, Kind::Dev))),
                },
                Some(((from, on), kind)) => (from, Some((on, kind))),
            };
            let dependencies = all.entry(from.to_owned()).or_default();
            if let Some((on, kind)) = to {
                dependencies.push(Dependency { on: on.to_owned(), kind });
                all.entry(on.to_owned()).or_default();
            }
        }
        let package = |(name, dependencies)| Package {
            name,
            published: true,
            features: Vec::new(),
            dependencies,
        };
        Workspace { packages: all.into_iter().map(package).collect() }
    }

    /// Makes a tree with the edges `from -> to`.
    pub(crate) fn tree(edges: &[&str]) -> Tree {
        let node = |package: Package| {
            let dependencies = package.dependencies.into_iter().map(|dep| dep.on).collect();
            (package.name.clone(), Node { name: package.name, rust: None, dependencies })
        };
        Tree { nodes: workspace(edges).packages.into_iter().map(node).collect() }
    }

    #[test]
    fn rust_versions() {
        assert_eq!(rust(&"1.88".into()), Some([1, 88, 0]));
        assert_eq!(rust(&"1.88.1".into()), Some([1, 88, 1]));
        assert_eq!(rust(&Value::Null), None);
        assert!(rust(&"1.100".into()) > rust(&"1.88.1".into()));
    }

    /// Sets the oldest Rust of one crate.
    pub(crate) fn with_rust(mut tree: Tree, name: &str, version: Rust) -> Tree {
        tree.nodes.values_mut().filter(|node| node.name == name).for_each(|node| {
            node.rust = Some(version);
        });
        tree
    }

    #[test]
    fn chains_are_shortest_and_end_at_the_first_hit() {
        let tree = tree(&["a -> b", "b -> c", "c -> x", "a -> c", "x -> y", "b -> y", "c -> a"]);
        let is_end = |node: &Node| node.name == "x" || node.name == "y";
        assert_eq!(tree.chains("a", is_end, |_| false), [vec!["a", "b", "y"], vec!["a", "c", "x"]]);
        assert_eq!(tree.chains("a", is_end, |name| name == "b"), [vec!["a", "c", "x"]]);
        assert!(tree.chains("y", is_end, |_| false).is_empty());
        assert!(tree.chains("unknown", is_end, |_| false).is_empty());
    }
}
