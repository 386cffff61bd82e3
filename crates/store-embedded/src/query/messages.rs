//! The engine's errors in the words of the tables and columns that a query names.

use streamtable_store::StoreError;

use super::mixed::KnownColumns;

/// The end of messages that ask to report a bug to the engine's authors.
const REPORT: &str = "\nThis issue was likely caused by a bug in DataFusion";

/// The text that replaces the type of a mixed column in messages.
const MIXED: &str = "a mixed column";

/// The names of planning steps before a message.
const STEPS: &str = "\ncaused by\n";

/// Returns a message without the engine's own parts.
pub(super) fn plain(message: &str) -> String {
    let message = message.split(REPORT).next().unwrap_or_default();
    let message = message.rsplit(STEPS).next().unwrap_or_default().trim_end();
    let message =
        message.replacen("Internal error: ", "The query engine cannot run this query: ", 1);
    without_structs(&message)
}

/// Replaces the types of structs, which can be long, by a word.
fn without_structs(message: &str) -> String {
    let mut plain = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, after)) = rest.split_once("Struct(") {
        plain.push_str(before);
        let mut depth = 1_usize;
        let end = after.find(|c| {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        let (inner, next) = end.map_or((after, ""), |end| (&after[..end], &after[end + 1..]));
        plain.push_str(word(inner));
        rest = next;
    }
    plain.push_str(rest);
    plain
}

fn word(fields: &str) -> &'static str {
    const PARTS: [&str; 6] = ["\"n\":", "\"s\":", "\"b\":", "\"t\":", "\"media\":", "\"json\":"];
    if fields.contains("\"kind\":")
        && fields.contains("\"hash\":")
        && !fields.contains("\"media\":")
    {
        "media"
    } else if PARTS.iter().any(|part| fields.starts_with(part)) {
        MIXED
    } else {
        "a struct"
    }
}

/// Adds to an error what is known about the query's tables: which columns are mixed, and how names
/// are quoted.
pub(super) fn explain(error: StoreError, sql: &str, known: &KnownColumns) -> StoreError {
    let StoreError::Query { message } = error else { return error };
    let mut message = message;
    if message.contains(MIXED) || message.contains("Unary operator") {
        let mut columns = known.named_in(&message);
        if columns.is_empty() {
            columns = known.named_in(sql);
        }
        for column in columns {
            message.push_str(&format!(". {}", capitalized(&column)));
        }
    }
    if let Some(name) = hyphenated(sql, &message) {
        message.push_str(&format!(
            ". A name with a hyphen must be quoted: write \"{name}\" instead of {name}"
        ));
    }
    StoreError::Query { message }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Returns the unquoted name with hyphens that an error may be about: one after a dot or `from`
/// that the parser did not accept, or one of which the error names the beginning or the whole.
fn hyphenated(sql: &str, message: &str) -> Option<String> {
    let is_parse_error = message.contains("ParserError") || message.contains("found: -");
    let is_name_error = message.contains("No field named") || message.contains("not found");
    if !is_parse_error && !is_name_error {
        return None;
    }
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut in_quotes = None;
    let outside: String = sql
        .chars()
        .map(|c| {
            match in_quotes {
                Some(quote) if quote == c => in_quotes = None,
                Some(_) => {}
                None if c == '\'' || c == '"' => in_quotes = Some(c),
                None => return c,
            }
            ' '
        })
        .collect();
    let mut names = outside.split(|c: char| !is_name(c)).filter(|name| {
        let mut parts = name.split('-');
        let is_word = |part: &str| part.starts_with(|c: char| c.is_alphabetic() || c == '_');
        name.contains('-') && parts.next().is_some_and(is_word) && parts.all(|it| !it.is_empty())
    });
    names
        .find(|name| {
            is_parse_error && outside.contains(&format!(".{name}"))
                || message.contains(&format!("\"{name}\""))
                || is_parse_error && is_after_from(&outside, name)
        })
        .map(str::to_owned)
}

fn is_after_from(sql: &str, name: &str) -> bool {
    let words: Vec<&str> = sql.split_whitespace().collect();
    words.windows(2).any(|pair| {
        let is_from = ["from", "join"].iter().any(|word| pair[0].eq_ignore_ascii_case(word));
        is_from && pair[1].split('.').any(|part| part == name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_no_types_of_the_engine() {
        #[track_caller]
        fn check(message: &str, expected: &str) {
            assert_eq!(plain(message), expected);
        }
        check(
            r#"type_coercion
caused by
Error during planning: no sum of Struct("n": Int64, "s": Utf8View), Int64"#,
            "Error during planning: no sum of a mixed column, Int64",
        );
        check(
            r#"no sum of Struct("kind": Utf8View, "path": Utf8View, "hash": Utf8View)."#,
            "no sum of media.",
        );
        check(r#"Struct("a": List(Struct("b": Timestamp(µs, "UTC")))) = 1"#, "a struct = 1");
        check(r#"cut off Struct("a": List("#, "cut off a struct");
        check(
            "Internal error: no column.\nThis issue was likely caused by a bug in DataFusion's code. \
             Please help us to resolve this by filing a bug report: https://…",
            "The query engine cannot run this query: no column.",
        );
    }

    #[test]
    fn unquoted_hyphens_are_found() {
        #[track_caller]
        fn check(sql: &str, message: &str, expected: Option<&str>) {
            assert_eq!(hyphenated(sql, message).as_deref(), expected, "{sql}");
        }
        let parser = "SQL error: ParserError(\"Expected: end of statement, found: - at Line: 1\")";
        check("select a-b from me.my-project.t", parser, Some("my-project"));
        check("select a from my-table where a > 1", parser, Some("my-table"));
        check("select a from \"my-table\" where -", parser, None);
        check("select 'x-y' from t -", parser, None);
        let unknown = "Schema error: No field named a. Valid fields are t.\"a-b\", t.c.";
        check("select a-b from t", unknown, Some("a-b"));
        check("select c-d from t", unknown, None);
        check("select a-b from t", "Divide by zero error", None);
    }
}
