//! Filters and sort orders for lists of runs.

use std::cmp::Ordering;
use std::collections::HashMap;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::run::Run;
use crate::catalog;

/// Maximum nesting depth of conditions.
const MAX_DEPTH: usize = 16;

/// Maximum size of a compiled pattern, in bytes.
const MAX_PATTERN: usize = 256 << 10;

/// A condition on runs, in the MongoDB-like syntax of the public API.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    conditions: Map<String, Value>,
    patterns: Patterns,
}

/// The compiled patterns of a filter, by their text.
type Patterns = HashMap<String, Regex>;

impl Filter {
    /// Parses a filter. An absent or empty one accepts every run.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, String> {
        let text = text.map(str::trim).filter(|text| !text.is_empty() && *text != "null");
        let mut patterns = Patterns::new();
        let Some(text) = text else { return Ok(Self { conditions: Map::new(), patterns }) };
        let filter: Value =
            serde_json::from_str(text).map_err(|error| format!("invalid filter: {error}"))?;
        let Value::Object(filter) = filter else {
            return Err("a filter must be an object".to_owned());
        };
        check(&filter, MAX_DEPTH, &mut patterns)?;
        Ok(Self { conditions: filter, patterns })
    }

    pub(super) fn holds(&self, run: &catalog::Run) -> bool {
        self.conditions.is_empty() || self.accepts(&document(run))
    }
}

impl Filter {
    fn accepts(&self, run: &Value) -> bool {
        all(&self.conditions, run, &self.patterns)
    }
}

const COMPARISONS: [&str; 8] = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin"];

fn check(filter: &Map<String, Value>, room: usize, patterns: &mut Patterns) -> Result<(), String> {
    let room = room.checked_sub(1).ok_or("the filter is nested too deeply")?;
    for (key, value) in filter {
        match (key.as_str(), value) {
            ("$and" | "$or" | "$nor", Value::Array(parts)) => {
                for part in parts {
                    let part =
                        part.as_object().ok_or(format!("{key} requires a list of filters"))?;
                    check(part, room, patterns)?;
                }
            }
            (key, Value::Object(conditions)) if !key.starts_with('$') => {
                check_conditions(conditions, room, patterns)?;
            }
            (key, _) if !key.starts_with('$') => {}
            _ => return Err(format!("unknown filter operator {key}")),
        }
    }
    Ok(())
}

fn check_conditions(
    conditions: &Map<String, Value>,
    room: usize,
    patterns: &mut Patterns,
) -> Result<(), String> {
    let room = room.checked_sub(1).ok_or("the filter is nested too deeply")?;
    for (operator, operand) in conditions {
        match (operator.as_str(), operand) {
            ("$not", Value::Object(inner)) => check_conditions(inner, room, patterns)?,
            ("$in" | "$nin" | "$all", Value::Array(_)) | ("$exists", Value::Bool(_)) => {}
            ("$in" | "$nin" | "$all", _) => return Err(format!("{operator} requires a list")),
            ("$regex", _) => {
                let pattern = pattern(conditions)?;
                let regex = RegexBuilder::new(&pattern).size_limit(MAX_PATTERN).build();
                let regex = regex.map_err(|error| format!("$regex cannot be used: {error}"))?;
                patterns.insert(pattern, regex);
            }
            ("$options", Value::String(_)) if conditions.contains_key("$regex") => {}
            (operator, _) if COMPARISONS.contains(&operator) => {}
            (operator, _) if operator.starts_with('$') => {
                return Err(format!("unknown filter operator {operator}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns the pattern of a `$regex`, with its `$options`.
fn pattern(conditions: &Map<String, Value>) -> Result<String, String> {
    let text = |key: &str| conditions.get(key).and_then(Value::as_str);
    let pattern = text("$regex").ok_or("$regex requires a text")?;
    match text("$options").unwrap_or_default() {
        "" => Ok(pattern.to_owned()),
        options if options.chars().all(|option| "imsx".contains(option)) => {
            Ok(format!("(?{options}){pattern}"))
        }
        options => Err(format!("unknown $options {options:?}")),
    }
}

fn all(filter: &Map<String, Value>, run: &Value, patterns: &Patterns) -> bool {
    filter.iter().all(|(key, value)| {
        let mut parts = value.as_array().into_iter().flatten().filter_map(Value::as_object);
        match key.as_str() {
            "$and" => parts.all(|part| all(part, run, patterns)),
            "$or" => parts.any(|part| all(part, run, patterns)),
            "$nor" => !parts.any(|part| all(part, run, patterns)),
            key => meets(lookup(run, key), value, patterns),
        }
    })
}

fn meets(found: Option<&Value>, wanted: &Value, patterns: &Patterns) -> bool {
    let Some(conditions) = wanted.as_object().filter(|c| c.keys().any(|key| key.starts_with('$')))
    else {
        return equals(found, wanted);
    };
    conditions.iter().all(|(operator, operand)| {
        let any = || operand.as_array().into_iter().flatten().any(|one| equals(found, one));
        let compares = |wanted: &[Ordering]| {
            found.and_then(|found| compare(found, operand)).is_some_and(|o| wanted.contains(&o))
        };
        match operator.as_str() {
            "$eq" => equals(found, operand),
            "$ne" => !equals(found, operand),
            "$gt" => compares(&[Ordering::Greater]),
            "$gte" => compares(&[Ordering::Greater, Ordering::Equal]),
            "$lt" => compares(&[Ordering::Less]),
            "$lte" => compares(&[Ordering::Less, Ordering::Equal]),
            "$in" => any(),
            "$nin" => !any(),
            "$exists" => {
                found.is_some_and(|found| !found.is_null()) == (operand == &Value::Bool(true))
            }
            "$not" => !meets(found, operand, patterns),
            "$all" => operand.as_array().into_iter().flatten().all(|one| equals(found, one)),
            "$regex" => {
                let pattern = pattern(conditions).ok();
                let regex = pattern.and_then(|pattern| patterns.get(&pattern));
                regex.is_some_and(|regex| matches(found, regex))
            }
            "$options" => true,
            _ => false,
        }
    })
}

/// Returns whether a text, or one of a list's texts, matches a pattern.
fn matches(found: Option<&Value>, regex: &Regex) -> bool {
    match found {
        Some(Value::String(text)) => regex.is_match(text),
        Some(Value::Array(items)) => items.iter().any(|item| matches(Some(item), regex)),
        _ => false,
    }
}

fn equals(found: Option<&Value>, wanted: &Value) -> bool {
    match found {
        None => wanted.is_null(),
        Some(Value::Array(items)) if !wanted.is_array() => items.contains(wanted),
        Some(found) => found == wanted || compare(found, wanted) == Some(Ordering::Equal),
    }
}

fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Returns a run as the JSON document that filters are applied to.
fn document(run: &catalog::Run) -> Value {
    let json = |text: &Option<String>| -> Value {
        text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    };
    let time = |millis| super::scalar::DateTime::of_millis(millis).0;
    serde_json::json!({
        "name": run.name,
        "displayName": run.display_name.as_ref().unwrap_or(&run.name),
        "description": run.description,
        "notes": run.notes,
        "group": run.group,
        "jobType": run.job_type,
        "state": Run::state_of(run),
        "sweep": run.sweep,
        "tags": run.tags,
        "host": run.host,
        "username": run.owner,
        "createdAt": time(run.created_at),
        "heartbeatAt": time(run.heartbeat_at),
        "config": json(&run.config),
        "summaryMetrics": json(&run.summary),
    })
}

/// Returns the value of a run's field, given its path in a filter or a sort order.
fn lookup<'a>(run: &'a Value, key: &str) -> Option<&'a Value> {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    let own = match first {
        "display_name" => "displayName",
        "job_type" => "jobType",
        "created_at" => "createdAt",
        "heartbeat_at" | "updated_at" | "updatedAt" => "heartbeatAt",
        "user" => "username",
        "summary" | "summary_metrics" => "summaryMetrics",
        other => other,
    };
    let found = run.get(own)?;
    match (own, rest) {
        (_, "") => Some(found),
        ("config", rest) => {
            // Accepts `config.lr` and the stored form `config.lr.value`.
            let (path, _) =
                rest.rsplit_once(".value").filter(|(_, end)| end.is_empty()).unwrap_or((rest, ""));
            let (name, inner) = path.split_once('.').unwrap_or((path, ""));
            descend(found.get(name)?.get("value")?, inner)
        }
        (_, rest) => found.get(rest).or_else(|| descend(found, rest)),
    }
}

fn descend<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').filter(|part| !part.is_empty()).try_fold(value, |value, part| value.get(part))
}

/// Sorts runs by a key such as `+created_at`; `-` sorts in descending order. Without an order, the
/// runs are left as they are: newest last.
pub(super) fn sort_runs(runs: &mut [catalog::Run], order: Option<&str>) {
    let Some(order) = order.filter(|order| !order.is_empty()) else { return };
    let (key, is_descending) = match order.strip_prefix('-') {
        Some(key) => (key, true),
        None => (order.strip_prefix('+').unwrap_or(order), false),
    };
    runs.sort_by_cached_key(|run| SortKey(lookup(&document(run), key).cloned()));
    if is_descending {
        runs.reverse();
    }
}

/// Sort key of a run. Null and missing values come first, then booleans, numbers and strings.
#[derive(PartialEq)]
struct SortKey(Option<Value>);

impl Eq for SortKey {}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |value: &Option<Value>| match value {
            None | Some(Value::Null) => 0,
            Some(Value::Bool(_)) => 1,
            Some(Value::Number(_)) => 2,
            Some(Value::String(_)) => 3,
            Some(_) => 4,
        };
        let by_kind = rank(&self.0).cmp(&rank(&other.0));
        let by_value = self.0.as_ref().zip(other.0.as_ref());
        by_kind.then_with(|| by_value.and_then(|(a, b)| compare(a, b)).unwrap_or(Ordering::Equal))
    }
}

/// Returns whether `text` matches an SQL `LIKE` pattern, in which `%` matches any text.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('%');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Value {
        serde_json::json!({
            "name": "r1", "displayName": "R", "state": "finished", "tags": ["a", "b"],
            "config": {"lr": {"value": 0.1}, "opt": {"value": {"name": "adam"}}},
            "summaryMetrics": {"loss": 2, "a.b": 3},
        })
    }

    #[track_caller]
    fn check(filter: &str, expected: bool) {
        let filter = Filter::parse(Some(filter)).unwrap();
        assert_eq!(filter.accepts(&run()), expected, "{filter:?}");
    }

    #[test]
    fn filters_are_applied() {
        check("{}", true);
        check(r#"{"name":"r1"}"#, true);
        check(r#"{"display_name":"r1"}"#, false);
        check(r#"{"$and":[{"state":"finished"},{"tags":"b"}]}"#, true);
        check(r#"{"$or":[{"state":"running"},{"state":{"$in":["failed"]}}]}"#, false);
        check(r#"{"$nor":[{"state":"running"}]}"#, true);
        check(r#"{"config.lr":{"$lt":0.2,"$gte":0.1}}"#, true);
        check(r#"{"config.lr.value":0.1}"#, true);
        check(r#"{"config.opt.name":"adam"}"#, true);
        check(r#"{"config.no":{"$exists":false}}"#, true);
        check(r#"{"summary_metrics.loss":{"$ne":2}}"#, false);
        check(r#"{"summary_metrics.a.b":3}"#, true);
        check(r#"{"summary_metrics.loss":{"$not":{"$gt":2}}}"#, true);
        check(r#"{"tags":{"$nin":["c"]}}"#, true);
        check(r#"{"tags":{"$all":["a","b"]}}"#, true);
        check(r#"{"tags":{"$all":["a","c"]}}"#, false);
        check(r#"{"display_name":{"$regex":"^R"}}"#, true);
        check(r#"{"display_name":{"$regex":"^r"}}"#, false);
        check(r#"{"display_name":{"$regex":"^r$","$options":"i"}}"#, true);
        check(r#"{"display_name":{"$not":{"$regex":"x"}}}"#, true);
        check(r#"{"tags":{"$regex":"b"}}"#, true);
        check(r#"{"config.lr":{"$regex":"0"}}"#, false);
    }

    #[test]
    fn invalid_filters_are_rejected() {
        let deep = format!("{}{{}}{}", r#"{"$and":["#.repeat(20), "]}".repeat(20));
        for text in [
            "[]",
            "x",
            r#"{"$where":"1"}"#,
            r#"{"a":{"$size":1}}"#,
            r#"{"a":{"$regex":"("}}"#,
            r#"{"a":{"$regex":1}}"#,
            r#"{"a":{"$regex":"a","$options":"u"}}"#,
            r#"{"a":{"$options":"i"}}"#,
            &deep,
        ] {
            assert!(Filter::parse(Some(text)).is_err(), "{text}");
        }
        assert!(Filter::parse(None).is_ok());
        assert!(Filter::parse(Some("")).is_ok());
    }

    #[test]
    fn like_patterns() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a%", "ab", true),
            ("%.png", "media/a.png", true),
            ("%a%c", "xaxbxc", true),
            ("%a%c", "xcxa", false),
            ("%", "", true),
        ] {
            assert_eq!(like(pattern, text), expected, "{pattern} {text}");
        }
    }
}
