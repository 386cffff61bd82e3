//! Bounds on patterns: compiling one may take seconds and many megabytes, and so may a match.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use parking_lot::Mutex;
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use streamtable_store::StoreError;

/// The maximum number of different patterns that one call in a query may compile.
const MAX_PATTERNS: usize = 16;

/// The maximum length of a pattern.
const MAX_PATTERN_BYTES: usize = 64 << 10;

/// The maximum memory of a compiled pattern.
const MAX_COMPILED_BYTES: usize = 4 << 20;

/// A pattern with fewer states takes about as long as a function of a text's length.
pub(super) const FEW_STATES: u64 = 128;

/// The language of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// A regular expression. The argument with this index has flags that are compiled into it.
    Regex { flags: Option<usize> },
    /// A pattern of `LIKE`.
    Like,
}

/// The patterns that one call has compiled, and the number of states of each.
#[derive(Debug, Default)]
pub(super) struct Patterns(Mutex<HashMap<(String, String), u64>>);

impl Patterns {
    /// Returns the number of states of the largest of a batch's patterns, which are the second
    /// argument. Refuses too many patterns, and those that are too large.
    pub(super) fn states(&self, syntax: Syntax, args: &[ColumnarValue]) -> Result<u64> {
        let Some(patterns) = args.get(1).map(texts).transpose()? else { return Ok(0) };
        let flags = match syntax {
            Syntax::Regex { flags: Some(at) } => args.get(at).map(texts).transpose()?,
            _ => None,
        };
        let flags = flags.unwrap_or_else(|| StringViewArray::new_null(1));
        let mut largest = 0;
        let mut last = None;
        for row in 0..patterns.len().max(flags.len()) {
            let Some(pattern) = at(&patterns, row) else { continue };
            let next = (pattern, at(&flags, row).unwrap_or_default());
            if last != Some(next) {
                largest = largest.max(self.add(syntax, next)?);
                last = Some(next);
            }
        }
        Ok(largest)
    }

    fn add(&self, syntax: Syntax, (pattern, flags): (&str, &str)) -> Result<u64> {
        let key = (pattern.to_owned(), flags.to_owned());
        let mut known = self.0.lock();
        if let Some(&states) = known.get(&key) {
            return Ok(states);
        }
        if known.len() == MAX_PATTERNS {
            let message = format!(
                "a call compiles more than {MAX_PATTERNS} patterns, the limit: use one pattern for \
                 all rows"
            );
            return Err(refused(StoreError::Limit { message }));
        }
        let states = states(syntax, pattern).map_err(refused)?;
        known.insert(key, states);
        Ok(states)
    }
}

/// Returns whether matching a pattern takes few enough steps not to be bounded. Refuses a pattern
/// that is too large.
pub(super) fn is_small(syntax: Syntax, pattern: &str) -> Result<bool> {
    Ok(states(syntax, pattern).map_err(refused)? <= FEW_STATES)
}

fn states(syntax: Syntax, pattern: &str) -> Result<u64, StoreError> {
    let too_large = |bytes: usize, what: &str| {
        let message = format!("a pattern takes more than {bytes} bytes{what}, the limit");
        StoreError::Limit { message }
    };
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(too_large(MAX_PATTERN_BYTES, ""));
    }
    let Syntax::Regex { .. } = syntax else { return Ok(pattern.len() as u64) };
    let compiled = thompson::Compiler::new()
        .configure(thompson::Config::new().nfa_size_limit(Some(MAX_COMPILED_BYTES)))
        // Whatever the flags: this takes the most.
        .syntax(syntax::Config::new().case_insensitive(true))
        .build(pattern);
    match compiled {
        Ok(compiled) => Ok(compiled.states().len() as u64),
        Err(error) if error.size_limit().is_some() => {
            Err(too_large(MAX_COMPILED_BYTES, " in compiled form"))
        }
        // The function reports what is wrong with it.
        Err(_) => Ok(0),
    }
}

/// Returns the text of each row, or one if it is the same for all.
fn texts(value: &ColumnarValue) -> Result<StringViewArray> {
    let array = match value {
        ColumnarValue::Array(array) => Arc::clone(array),
        ColumnarValue::Scalar(value) => value.to_array()?,
    };
    Ok(cast(&array, &DataType::Utf8View)?.as_string_view().clone())
}

fn at(texts: &StringViewArray, row: usize) -> Option<&str> {
    let row = if texts.len() == 1 { 0 } else { row };
    (row < texts.len() && texts.is_valid(row)).then(|| texts.value(row))
}

fn refused(error: StoreError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;
    use datafusion::common::ScalarValue;

    use super::*;

    const REGEX: Syntax = Syntax::Regex { flags: Some(2) };

    fn texts(texts: impl Iterator<Item = String>) -> ColumnarValue {
        ColumnarValue::Array(Arc::new(StringArray::from(texts.collect::<Vec<_>>())))
    }

    fn text(text: &str) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::from(text))
    }

    #[track_caller]
    fn check_refused(args: &[ColumnarValue], limit: &str) {
        let error = Patterns::default().states(REGEX, args).unwrap_err().to_string();
        assert!(error.contains(limit), "{error}");
    }

    #[test]
    fn many_and_large_patterns_are_refused() {
        check_refused(&[text(""), texts((0..17).map(|i| i.to_string()))], "more than 16 patterns");
        let flags = "imsUx".chars().flat_map(|a| "imsU".chars().map(move |b| format!("{a}{b}")));
        check_refused(&[text(""), text("a"), texts(flags)], "more than 16 patterns");
        check_refused(&[text(""), text("(a{0,300}){0,600}")], "in compiled form");
        check_refused(&[text(""), text(&"a".repeat(MAX_PATTERN_BYTES + 1))], "65536 bytes");
    }

    #[test]
    fn a_pattern_counts_once_in_all_batches() {
        let patterns = Patterns::default();
        for _ in 0..100 {
            let batch = [text(""), texts((0..100).map(|i| format!("a{}", i % 16)))];
            assert!(patterns.states(REGEX, &batch).unwrap() > 0);
        }
    }

    #[test]
    fn usual_patterns_are_small() {
        for pattern in ["^error", "a.*b", "(?i)timeout|refused", "status=[0-9]+", "[a-z]+@[a-z]+"] {
            assert!(is_small(REGEX, pattern).unwrap(), "{pattern}");
        }
        assert!(!is_small(REGEX, "[ab]*a[ab]{300}").unwrap());
        assert!(is_small(Syntax::Like, "%timeout%").unwrap());
        assert!(!is_small(Syntax::Like, &"%a_".repeat(100)).unwrap());
        assert!(is_small(REGEX, "(").unwrap());
    }
}
