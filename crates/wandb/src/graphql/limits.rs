//! Limits on a document, checked before the schema's own validation.
//!
//! That validation follows each use of a fragment, and fragments that use each other twice double
//! the work at each step: thirty of them have a billion fields. Here each fragment is measured
//! once, and its size is added where it is used.

use std::collections::HashMap;

use async_graphql::parser::parse_query;
use async_graphql::parser::types::{
    ExecutableDocument, FragmentDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};
use streamtable_server_core::ApiError;

use crate::WandbConfig;

/// Maximum length of a document, without its variables.
pub(super) const MAX_DOCUMENT_BYTES: usize = 256 << 10;

/// Maximum nesting depth of brackets of all kinds.
const MAX_NESTING: usize = 128;

/// Maximum number of fragments in a document.
const MAX_FRAGMENTS: usize = 256;

/// Maximum number of variables in a request.
const MAX_VARIABLES: usize = 256;

/// Maximum length of an error message that quotes the request, in characters.
const MAX_MESSAGE_CHARS: usize = 300;

/// Parses a document. Rejects documents that exceed a limit.
pub(super) fn parse(document: &str, config: &WandbConfig) -> Result<ExecutableDocument, ApiError> {
    check("the document", document.len(), MAX_DOCUMENT_BYTES, "bytes")?;
    check("the document", nesting(document), MAX_NESTING, "nested brackets")?;
    let document = parse_query(document)
        .map_err(|error| ApiError::bad_request(shortened(&format!("not GraphQL: {error}"))))?;
    check_size(&document, config)?;
    Ok(document)
}

/// Rejects requests with too many variables.
pub(super) fn check_variables(variables: &async_graphql::Variables) -> Result<(), ApiError> {
    check("the request", variables.len(), MAX_VARIABLES, "variables")
}

/// Truncates a message that may quote the request.
pub(super) fn shortened(message: &str) -> String {
    match message.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{} …", &message[..end]),
        None => message.to_owned(),
    }
}

fn check(whole: &str, found: usize, limit: usize, what: &str) -> Result<(), ApiError> {
    if found <= limit {
        return Ok(());
    }
    let message = format!("{whole} has more than {limit} {what}, which is the limit");
    Err(ApiError::bad_request(message))
}

/// Returns the nesting depth of brackets, without those in strings and comments. The parser
/// recurses into each level.
fn nesting(document: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let mut rest = document.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'(' | b'[' | b'{' => {
                open += 1;
                most = most.max(open);
            }
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            b'#' => {
                let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                rest = &rest[end.unwrap_or(rest.len())..];
            }
            b'"' => rest = after_text(rest),
            _ => {}
        }
    }
    most
}

/// Returns the rest of a document after a string whose first quotation mark was consumed.
fn after_text(text: &[u8]) -> &[u8] {
    let (is_block, mut rest) = match text.strip_prefix(b"\"\"") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'\\' if is_block && after.starts_with(b"\"\"\"") => rest = &after[3..],
            b'\\' if !is_block => rest = after.get(1..).unwrap_or_default(),
            b'"' if is_block && after.starts_with(b"\"\"") => return &after[2..],
            b'"' | b'\n' | b'\r' if !is_block => return after,
            _ => rest = after,
        }
    }
    rest
}

/// The size of a selection with all fragments expanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    fields: usize,
    depth: usize,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.fields = self.fields.saturating_add(other.fields);
        self.depth = self.depth.max(other.depth);
    }
}

/// Returns how many fields a field counts for: more than one if it may read 100,000 rows or lines.
fn cost(field: &str) -> usize {
    match field {
        "history" | "sampledHistory" | "parquetHistory" | "events" => 50,
        _ => 1,
    }
}

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// The sizes of the fragments; `None` while a fragment is being measured.
type Known<'a> = HashMap<&'a str, Option<Size>>;

fn check_size(document: &ExecutableDocument, config: &WandbConfig) -> Result<(), ApiError> {
    check("the document", document.fragments.len(), MAX_FRAGMENTS, "fragments")?;
    let mut known = Known::new();
    let mut size = Size::default();
    for (_, operation) in document.operations.iter() {
        let selected = &operation.node.selection_set.node;
        size.add(measure(selected, &document.fragments, &mut known)?);
    }
    // The schema's validation also walks fragments that no operation uses.
    let names: Vec<&Name> = document.fragments.keys().collect();
    for name in names {
        if !known.contains_key(name.as_str()) {
            size.add(measure_fragment(name, &document.fragments, &mut known)?);
        }
    }
    let what = "fields after its fragments are expanded";
    check("the document", size.fields, config.max_query_complexity, what)?;
    check("the document", size.depth, config.max_query_depth, "levels of fields")
}

fn measure<'a>(
    selected: &'a SelectionSet,
    fragments: &'a Fragments,
    known: &mut Known<'a>,
) -> Result<Size, ApiError> {
    let mut size = Size::default();
    for item in &selected.items {
        size.add(match &item.node {
            Selection::Field(field) => {
                let inner = measure(&field.node.selection_set.node, fragments, known)?;
                let fields = inner.fields.saturating_add(cost(&field.node.name.node));
                Size { fields, depth: inner.depth + 1 }
            }
            // Counts as a field, so that many empty ones are not free.
            Selection::InlineFragment(inline) => {
                let inner = measure(&inline.node.selection_set.node, fragments, known)?;
                Size { fields: inner.fields.saturating_add(1), ..inner }
            }
            Selection::FragmentSpread(spread) => {
                let inner = measure_fragment(&spread.node.fragment_name.node, fragments, known)?;
                Size { fields: inner.fields.saturating_add(1), ..inner }
            }
        });
    }
    Ok(size)
}

fn measure_fragment<'a>(
    name: &'a Name,
    fragments: &'a Fragments,
    known: &mut Known<'a>,
) -> Result<Size, ApiError> {
    let refuse = |what: &str| Err(ApiError::bad_request(shortened(&format!("{what}: {name}"))));
    match known.get(name.as_str()) {
        Some(Some(size)) => return Ok(*size),
        Some(None) => return refuse("a fragment contains itself"),
        None => {}
    }
    let Some(fragment) = fragments.get(name) else { return refuse("there is no such fragment") };
    known.insert(name, None);
    let size = measure(&fragment.node.selection_set.node, fragments, known)?;
    known.insert(name, Some(size));
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a document whose fragments each use the next one twice.
    fn doubling(depth: usize) -> String {
        let mut document = "query{...f0}".to_owned();
        for i in 0..depth {
            let next = i + 1;
            document.push_str(&format!(" fragment f{i} on Query{{...f{next} ...f{next}}}"));
        }
        document + &format!(" fragment f{depth} on Query{{viewer{{id}}}}")
    }

    #[track_caller]
    fn check_refused(document: &str, part: &str) {
        let error = parse(document, &WandbConfig::default()).unwrap_err();
        assert_eq!(error.status(), http::StatusCode::BAD_REQUEST);
        assert!(error.message().contains(part), "{error}");
        assert!(error.message().chars().count() <= MAX_MESSAGE_CHARS + 2, "{error}");
    }

    #[test]
    fn each_limit_is_checked_and_named() {
        let fields = "fields after its fragments are expanded";
        check_refused(&doubling(30), fields);
        check_refused(&doubling(200), fields);
        check_refused(&format!("{{{}}}", "...on Query{viewer{id}} ".repeat(2_000)), fields);
        let aliases: String = (0..2_001).map(|i| format!("a{i}:viewer ")).collect();
        check_refused(&format!("{{{aliases}}}"), fields);
        let read: String = (0..41).map(|i| format!("a{i}:history ")).collect();
        check_refused(&format!("{{project{{run{{{read}}}}}}}"), fields);
        check_refused("query{...a} fragment a on Query{...b} fragment b on Query{...a}", "itself");
        check_refused("query{viewer{id}} fragment a on Query{...a}", "itself");
        check_refused("query{...a}", "no such fragment");
        let deep = format!("{}id{}", "{a".repeat(40), "}".repeat(40));
        check_refused(&deep, "32 levels");
        check_refused(&"{".repeat(100_000), "128 nested brackets");
        check_refused(&format!("{{viewer(a:{})}}", "[".repeat(100_000)), "128 nested brackets");
        check_refused(&"{ ".repeat(100), "not GraphQL");
        check_refused(&" ".repeat(MAX_DOCUMENT_BYTES + 1), "262144 bytes");
        let many: String =
            (0..300).map(|i| format!("fragment f{i} on Query{{viewer{{id}}}} ")).collect();
        check_refused(&format!("{{viewer{{id}}}} {many}"), "256 fragments");
    }

    #[test]
    fn usual_documents_pass() {
        for document in [
            "{viewer{id}}".to_owned(),
            "{project{run{history sampledHistory parquetHistory events}}}".to_owned(),
            doubling(7),
            "query A{viewer{...u}} query B{viewer{...u}} fragment u on User{id}".to_owned(),
        ] {
            assert!(parse(&document, &WandbConfig::default()).is_ok(), "{document}");
        }
    }

    #[track_caller]
    fn check_nesting(document: &str, expected: usize) {
        assert_eq!(nesting(document), expected, "{document}");
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        check_nesting("{a(b:[1,[2]]){c}}", 4);
        check_nesting("{a(b:\"[[[[\")} # {{{{", 2);
        check_nesting("{a(b:\"\\\"[[[[\")}", 2);
        check_nesting("{a(b:\"\"\"[[ \" [[ \\\"\"\" [[\"\"\")}", 2);
        check_nesting("{a(b:\"]]]]\",c:[[[1]]])}", 5);
        check_nesting("# ]]]\n[[[", 3);
        check_nesting("\"open\n[[[", 3);
        check_nesting("\"\" [[[", 3);
    }

    #[test]
    fn messages_are_cut_at_characters() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"é".repeat(1_000)), format!("{} …", "é".repeat(MAX_MESSAGE_CHARS)));
    }
}
