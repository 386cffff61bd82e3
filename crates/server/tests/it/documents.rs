//! Whether the schema has what the documents of the real clients use.
//!
//! Each document of each installed client is compared with the schema: fields, arguments, type
//! conditions, variable types, input fields and enum values. Missing ones must be in
//! `tests/it/missing.txt`, with the reason.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::path::Path;
use std::process::Command;

use async_graphql::Value;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::{BaseType, OperationType, Selection, SelectionSet};
use serde::Deserialize;
use serde_json::json;

use crate::support::Running;

/// Each environment, and the packages in it that have documents.
const CLIENTS: [(&str, &[&str]); 6] = [
    ("wandb-0.31", &["wandb"]),
    ("wandb-0.22", &["wandb"]),
    ("wandb-0.19", &["wandb"]),
    ("weave-0.50", &["wandb", "weave"]),
    ("weave-0.31", &["wandb", "weave"]),
    ("weave-0.24", &["wandb", "weave"]),
];

const INTROSPECTION: &str = "{ __schema { types { name kind
    fields { name type { ...t } args { name type { ...t } } }
    inputFields { name type { ...t } } enumValues { name } possibleTypes { name } } } }
    fragment t on __Type { name ofType { name ofType { name ofType { name ofType { name } } } } }";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Type {
    name: String,
    fields: Option<Vec<Field>>,
    input_fields: Option<Vec<Field>>,
    enum_values: Option<Vec<Named>>,
    possible_types: Option<Vec<Named>>,
}

#[derive(Debug, Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    ty: TypeRef,
    #[serde(default)]
    args: Vec<Self>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypeRef {
    name: Option<String>,
    of_type: Option<Box<Self>>,
}

impl TypeRef {
    /// Returns the name of the type inside of lists and non-null types.
    fn inner(&self) -> &str {
        match (&self.of_type, &self.name) {
            (Some(inner), _) => inner.inner(),
            (None, name) => name.as_deref().unwrap_or_default(),
        }
    }
}

fn named<'a>(fields: Option<&'a Vec<Field>>, name: &str) -> Option<&'a Field> {
    fields?.iter().find(|field| field.name == name)
}

/// A comparison of documents with the schema.
struct Check {
    types: HashMap<String, Type>,
    /// How many things were looked up.
    checked: usize,
    missing: BTreeSet<String>,
}

impl Check {
    async fn new(server: &Running) -> Self {
        let mut data = server.ask(INTROSPECTION, json!({})).await;
        let types: Vec<Type> = serde_json::from_value(data["__schema"]["types"].take()).unwrap();
        let types = types.into_iter().map(|ty| (ty.name.clone(), ty)).collect();
        Self { types, checked: 0, missing: BTreeSet::new() }
    }

    fn expect(&mut self, is_there: bool, what: impl FnOnce() -> String) -> bool {
        self.checked += 1;
        if !is_there {
            self.missing.insert(what());
        }
        is_there
    }

    fn document(&mut self, place: &str, document: &str) {
        // A document of the parser has an operation; a client may define a fragment alone.
        let with_operation = || parse_query(format!("{document}\nquery Added {{ __typename }}"));
        let document = match parse_query(document).or_else(|_| with_operation()) {
            Ok(document) => document,
            Err(error) => panic!("a document of {place} cannot be read: {error}\n{document}"),
        };
        for (_, operation) in document.operations.iter() {
            let operation = &operation.node;
            let root = match operation.ty {
                OperationType::Query => "Query",
                OperationType::Mutation => "Mutation",
                OperationType::Subscription => "Subscription",
            };
            for variable in &operation.variable_definitions {
                let mut ty = &variable.node.var_type.node.base;
                while let BaseType::List(inner) = ty {
                    ty = &inner.base;
                }
                let BaseType::Named(name) = ty else { unreachable!("lists were unwrapped") };
                let is_there = self.types.contains_key(name.as_str());
                self.expect(is_there, || format!("variable {name}"));
            }
            self.selection(root, &operation.selection_set.node);
        }
        let mut fragments: Vec<_> = document.fragments.iter().collect();
        fragments.sort_by_key(|&(name, _)| name);
        for (_, fragment) in fragments {
            let on = fragment.node.type_condition.node.on.node.as_str();
            let is_there = self.types.contains_key(on);
            if self.expect(is_there, || format!("on {on}")) {
                self.selection(on, &fragment.node.selection_set.node);
            }
        }
    }

    fn selection(&mut self, on: &str, selection: &SelectionSet) {
        for item in &selection.items {
            match &item.node {
                Selection::Field(field) => self.field(on, &field.node),
                Selection::InlineFragment(inline) => {
                    let inline = &inline.node;
                    let condition = inline.type_condition.as_ref();
                    let to = condition.map_or(on, |condition| condition.node.on.node.as_str());
                    let fits = self.may_be(on, to);
                    if self.expect(fits, || format!("on {to} in {on}")) {
                        self.selection(to, &inline.selection_set.node);
                    }
                }
                // Each fragment is checked by itself.
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    /// Returns whether an object of one type can have the other.
    fn may_be(&self, on: &str, to: &str) -> bool {
        let possible = |a: &str, b: &str| {
            let possible = self.types.get(a).and_then(|ty| ty.possible_types.as_ref());
            possible.is_some_and(|all| all.iter().any(|it| it.name == b))
        };
        self.types.contains_key(to) && (on == to || possible(on, to) || possible(to, on))
    }

    fn field(&mut self, on: &str, field: &async_graphql::parser::types::Field) {
        let name = field.name.node.as_str();
        // `__type` and others are answered from the schema itself.
        if name.starts_with("__") {
            return;
        }
        let found = self.types.get(on).and_then(|ty| named(ty.fields.as_ref(), name));
        let types = found.map(|found| {
            let args = found.args.iter().map(|it| (it.name.clone(), it.ty.inner().to_owned()));
            (found.ty.inner().to_owned(), args.collect::<HashMap<_, _>>())
        });
        if !self.expect(types.is_some(), || format!("{on}.{name}")) {
            return;
        }
        let (ty, args) = types.unwrap_or_default();
        for (argument, value) in &field.arguments {
            let argument = argument.node.as_str();
            let of = args.get(argument).cloned();
            if self.expect(of.is_some(), || format!("{on}.{name}({argument})")) {
                let value =
                    value.node.clone().into_const_with(|_| Ok::<_, Infallible>(Value::Null));
                let Ok(value) = value;
                self.value(&of.unwrap_or_default(), &value);
            }
        }
        self.selection(&ty, &field.selection_set.node);
    }

    fn value(&mut self, ty: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let inputs = self.types.get(ty).and_then(|ty| ty.input_fields.as_ref());
                    let of = named(inputs, name).map(|field| field.ty.inner().to_owned());
                    if self.expect(of.is_some(), || format!("input {ty}.{name}")) {
                        self.value(&of.unwrap_or_default(), value);
                    }
                }
            }
            Value::List(items) => items.iter().for_each(|item| self.value(ty, item)),
            Value::Enum(name) => {
                let values = self.types.get(ty).and_then(|ty| ty.enum_values.as_ref());
                let is_there =
                    values.is_some_and(|all| all.iter().any(|it| it.name == name.as_str()));
                self.expect(is_there, || format!("enum {ty}.{name}"));
            }
            _ => {}
        }
    }
}

/// Returns the documents of a client, with their places.
fn documents(client: &str, packages: &[&str]) -> Vec<(String, String)> {
    #[derive(Deserialize)]
    struct Line {
        place: String,
        document: String,
    }

    let clients = std::env::var_os("STREAMTABLE_CLIENTS").unwrap_or_default();
    let python = Path::new(&clients).join(client).join("bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/documents.py");
    let output = Command::new(&python).arg(script).args(packages).output();
    let output = output.unwrap_or_else(|error| panic!("run `cargo xtask clients`: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap());
    lines.map(|line| (line.place, line.document)).collect()
}

/// Reads `missing.txt`: under each `# reason` line, what is missing for it.
fn reasons() -> BTreeMap<&'static str, &'static str> {
    let mut reason = "";
    let mut reasons = BTreeMap::new();
    for line in include_str!("missing.txt").lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("# ") {
            Some(text) => reason = text,
            None => assert!(reasons.insert(line, reason).is_none(), "{line} is listed twice"),
        }
    }
    reasons
}

#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
#[expect(clippy::print_stdout, reason = "the coverage is what the test reports")]
async fn clients_documents_fit_the_schema() {
    let server = Running::start().await;
    let mut all = BTreeSet::new();
    for (client, packages) in CLIENTS {
        let mut check = Check::new(&server).await;
        let documents = documents(client, packages);
        assert!(documents.len() > 100, "{client} has only {} documents", documents.len());
        for (place, document) in &documents {
            check.document(place, document);
        }
        println!(
            "{client}: {} documents, {} uses checked, {} different things missing for a reason",
            documents.len(),
            check.checked,
            check.missing.len()
        );
        all.append(&mut check.missing);
    }
    let reasons = reasons();
    let unexplained: Vec<_> = all.iter().filter(|it| !reasons.contains_key(it.as_str())).collect();
    assert!(unexplained.is_empty(), "missing without a reason:\n{}", lines(&unexplained));
    let stale: Vec<_> = reasons.keys().filter(|it| !all.contains(**it)).collect();
    assert!(stale.is_empty(), "listed in missing.txt, but not missing:\n{}", lines(&stale));
}

fn lines(all: &[impl AsRef<str>]) -> String {
    all.iter().map(|it| format!("{}\n", it.as_ref())).collect()
}
