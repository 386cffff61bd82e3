//! The operation that a request executes: its variables and its root fields, checked and completed
//! before the schema executes it.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType, Selection,
    SelectionSet, TypeKind, TypeSystemDefinition,
};
use async_graphql::{Name, Positioned, Variables};

use streamtable_server_core::ApiError;

use super::refusals;

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// The mutations of the schema.
#[derive(Clone, Debug, Default)]
pub(super) struct Mutations(HashSet<String>);

impl Mutations {
    /// Reads the mutations from a schema definition. The definition is the server's own.
    pub(super) fn of(sdl: &str) -> Self {
        let definitions = parse_schema(sdl).map(|it| it.definitions).unwrap_or_default();
        let fields = definitions.into_iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(ty) if ty.node.name.node == "Mutation" => {
                match ty.node.kind {
                    TypeKind::Object(object) => Some(object.fields),
                    _ => None,
                }
            }
            _ => None,
        });
        Self(fields.flatten().map(|field| field.node.name.node.to_string()).collect())
    }

    /// Fails if the operation contains a mutation that the schema lacks. A missing field of a query
    /// is answered with null, which a client understands; a mutation that is answered with null
    /// looks as if it were done.
    pub(super) fn check(
        &self,
        document: &ExecutableDocument,
        operation: Option<&str>,
    ) -> Result<(), ApiError> {
        match chosen(document, operation) {
            Some(found) if found.ty == OperationType::Mutation => {
                self.check_fields(&found.selection_set.node, &document.fragments)
            }
            _ => Ok(()),
        }
    }

    fn check_fields(&self, set: &SelectionSet, fragments: &Fragments) -> Result<(), ApiError> {
        set.items.iter().try_for_each(|item| match &item.node {
            Selection::Field(field) => {
                let name = field.node.name.node.as_str();
                if self.0.contains(name) || name.starts_with("__") {
                    return Ok(());
                }
                Err(ApiError::bad_request(refusals::of(name)))
            }
            Selection::InlineFragment(inline) => {
                self.check_fields(&inline.node.selection_set.node, fragments)
            }
            // A document whose fragments contain themselves was refused before.
            Selection::FragmentSpread(spread) => {
                match fragments.get(&spread.node.fragment_name.node) {
                    Some(found) => self.check_fields(&found.node.selection_set.node, fragments),
                    None => Ok(()),
                }
            }
        })
    }
}

/// Sets each variable that the request leaves out to its default value, if it has one. The schema
/// does so for arguments only, not for the conditions of `@include` and `@skip`.
pub(super) fn add_defaults(
    document: &ExecutableDocument,
    operation: Option<&str>,
    variables: &mut Variables,
) {
    let Some(operation) = chosen(document, operation) else { return };
    for definition in &operation.variable_definitions {
        let definition = &definition.node;
        if let Some(value) = &definition.default_value {
            variables.entry(definition.name.node.clone()).or_insert_with(|| value.node.clone());
        }
    }
}

/// Returns the operation with the given name, or the only one.
fn chosen<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Option<&'a OperationDefinition> {
    let found =
        document.operations.iter().find(|(own, _)| name.is_none() || own.map(Name::as_str) == name);
    found.map(|(_, operation)| &operation.node)
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    #[test]
    fn missing_mutations_are_refused() {
        #[track_caller]
        fn check(document: &str, refused: Option<&str>) {
            let known = Mutations::of("type Query { a: Int } type Mutation { known: Int }");
            let document = parse_query(document).unwrap();
            let found = known.check(&document, None).err().map(|error| error.message().to_owned());
            let is_expected = match (&found, refused) {
                (Some(found), Some(part)) => found.contains(part),
                (found, part) => found.is_none() && part.is_none(),
            };
            assert!(is_expected, "{found:?} {refused:?}");
        }
        check("mutation { known }", None);
        check("mutation { a: known __typename }", None);
        check("query { unknown }", None);
        check("mutation { known unknown }", Some("unknown"));
        check("mutation { ...f } fragment f on Mutation { unknown }", Some("unknown"));
        check("mutation { ... on Mutation { known: linkArtifact } }", Some("linkArtifact"));
    }

    #[test]
    fn defaults_fill_only_missing_variables() {
        let document =
            "query A($a: Int = 1, $b: Int = 2, $c: Int) { f } query B($a: Int = 3) { f }";
        let document = parse_query(document).unwrap();
        let filled = |operation, given| {
            let mut variables = Variables::from_json(given);
            add_defaults(&document, Some(operation), &mut variables);
            serde_json::to_value(&variables).unwrap()
        };
        let given = serde_json::json!({ "b": null });
        assert_eq!(filled("A", given.clone()), serde_json::json!({ "a": 1, "b": null }));
        assert_eq!(filled("B", given), serde_json::json!({ "a": 3, "b": null }));
    }
}
