//! Filters and sort orders for lists of runs.

use std::cmp::Ordering;
use std::collections::HashMap;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::run::Run;
use crate::catalog;
use crate::rows::parse_json;

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
        let Value::Object(mut filter) = filter else {
            return Err("a filter must be an object".to_owned());
        };
        check(&mut filter, MAX_DEPTH, &mut patterns)?;
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

/// Checks a filter, and replaces the times in it by milliseconds.
fn check(
    filter: &mut Map<String, Value>,
    room: usize,
    patterns: &mut Patterns,
) -> Result<(), String> {
    let room = room.checked_sub(1).ok_or("the filter is nested too deeply")?;
    for (key, value) in filter {
        if TIMES.contains(&field(key)) {
            replace_times(key, value)?;
        }
        match (key.as_str(), value) {
            ("$and" | "$or" | "$nor", Value::Array(parts)) => {
                for part in parts {
                    let part =
                        part.as_object_mut().ok_or(format!("{key} requires a list of filters"))?;
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

/// Replaces each time that a field is compared with by its milliseconds since 1970. A time without
/// an offset is in UTC.
fn replace_times(key: &str, value: &mut Value) -> Result<(), String> {
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        Value::Array(items) => items.iter_mut().try_for_each(|item| replace_times(key, item)),
        Value::Object(conditions) => {
            conditions.values_mut().try_for_each(|operand| replace_times(key, operand))
        }
        operand => {
            let millis = operand.as_str().and_then(parse_time).ok_or_else(|| {
                let example = "2024-01-31T12:00:00Z";
                format!(
                    "{key} can be compared with times such as \"{example}\", not with {operand}"
                )
            })?;
            *operand = millis.into();
            Ok(())
        }
    }
}

fn parse_time(text: &str) -> Option<i64> {
    let with_offset = text.parse::<jiff::Timestamp>();
    let time = with_offset.or_else(|_| {
        let time = text.parse::<jiff::civil::DateTime>()?;
        Ok::<_, jiff::Error>(time.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp())
    });
    Some(time.ok()?.as_millisecond())
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
            "$exists" => found.is_some() == (operand == &Value::Bool(true)),
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
        (Value::Number(a), Value::Number(b)) => match (integer(a), integer(b)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn integer(number: &serde_json::Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// The fields that hold times. Documents have them in milliseconds since 1970.
const TIMES: [&str; 3] = ["createdAt", "heartbeatAt", "updatedAt"];

/// Returns a run as the JSON document that filters are applied to. It has no null fields.
fn document(run: &catalog::Run) -> Value {
    let json = |text: &Option<String>| text.as_deref().and_then(parse_json).unwrap_or_default();
    let config = json(&run.config);
    let mut document = serde_json::json!({
        "name": run.name,
        "entity": run.project.entity,
        "project": run.project.name,
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
        "createdAt": as_shown(run.created_at),
        "heartbeatAt": as_shown(run.heartbeat_at),
        "updatedAt": as_shown(run.updated_at),
        "duration": (run.heartbeat_at - run.created_at) as f64 / 1000.0,
        "config": values(&config),
        "storedConfig": config,
        "summaryMetrics": json(&run.summary),
    });
    if let Value::Object(fields) = &mut document {
        fields.retain(|_, value| !value.is_null());
    }
    document
}

/// Truncates a time to seconds, as clients see it.
fn as_shown(millis: i64) -> i64 {
    millis.div_euclid(1000) * 1000
}

/// Returns the values of a stored configuration, in which each is the `value` of an object.
fn values(config: &Value) -> Value {
    let entries = config.as_object().into_iter().flatten();
    let values =
        entries.filter_map(|(name, entry)| Some((name.clone(), entry.get("value")?.clone())));
    Value::Object(values.collect())
}

/// Returns the name that a field has in documents.
fn field(key: &str) -> &str {
    match key {
        "display_name" => "displayName",
        "job_type" => "jobType",
        "created_at" => "createdAt",
        "heartbeat_at" => "heartbeatAt",
        "updated_at" => "updatedAt",
        "user" => "username",
        "summary" | "summary_metrics" => "summaryMetrics",
        other => other,
    }
}

/// Returns the value of a run's field, given its path in a filter or a sort order.
fn lookup<'a>(run: &'a Value, key: &str) -> Option<&'a Value> {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    let own = field(first);
    let found = || descend(run.get(own)?, rest);
    // Clients also use the stored form, `config.lr.value`.
    found().or_else(|| descend(run.get("storedConfig").filter(|_| own == "config")?, rest))
}

/// Returns what is at a path of names, which may have dots themselves.
fn descend<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(value);
    }
    value.get(path).or_else(|| {
        let mut dots = path.match_indices('.');
        dots.find_map(|(dot, _)| descend(value.get(&path[..dot])?, &path[dot + 1..]))
    })
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
        let config = r#"{"lr": {"value": 0.1}, "opt": {"value": {"name": "adam"}}, "a.b": {"value": 1},
            "none": {"value": null}, "nan": {"value": NaN}, "big": {"value": 1152921504606846977}}"#;
        document(&catalog::Run {
            name: "r1".to_owned(),
            display_name: Some("R".to_owned()),
            tags: vec!["a".to_owned(), "b".to_owned()],
            config: Some(config.to_owned()),
            summary: Some(r#"{"loss": 2, "a.b": 3, "x": {"y.z": 4}, "nan": NaN}"#.to_owned()),
            state: "finished".to_owned(),
            // 2024-01-31T12:00:00Z
            created_at: 1_706_702_400_000,
            heartbeat_at: 1_706_702_402_500,
            project: catalog::Project {
                entity: "me".to_owned(),
                name: "p".to_owned(),
                ..catalog::Project::default()
            },
            ..catalog::Run::default()
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
    fn names_may_have_dots() {
        check(r#"{"config.a.b":1}"#, true);
        check(r#"{"config.a.b.value":1}"#, true);
        check(r#"{"config.opt.value.name":"adam"}"#, true);
        check(r#"{"summary.x.y.z":4}"#, true);
        check(r#"{"summary.x.y":4}"#, false);
    }

    #[test]
    fn null_is_a_value_only_in_configurations() {
        check(r#"{"config.none":{"$exists":true}}"#, true);
        check(r#"{"config.none":null,"config.no":null,"group":null}"#, true);
        check(r#"{"group":{"$exists":true}}"#, false);
        check(r#"{"name":{"$exists":true}}"#, true);
    }

    #[test]
    fn integers_are_compared_exactly() {
        check(r#"{"config.big":1152921504606846977}"#, true);
        check(r#"{"config.big":1152921504606846976}"#, false);
        check(r#"{"config.big":{"$gt":1152921504606846976}}"#, true);
    }

    #[test]
    fn times_are_compared_as_instants() {
        for (time, is_before) in [
            ("2024-01-31", true),
            ("2024-01-31T11:59:59.999Z", true),
            ("2024-01-31 11:00:00", true),
            ("2024-01-31T13:00:00+02:00", true),
            ("2024-01-31T12:00:00", false),
            ("2024-01-31T13:00:00+01:00", false),
        ] {
            check(&format!(r#"{{"created_at":{{"$gt":"{time}"}}}}"#), is_before);
            check(&format!(r#"{{"createdAt":"{time}"}}"#), !is_before);
        }
        check(r#"{"heartbeat_at":{"$in":["2024-01-31T12:00:02Z"]}}"#, true);
        check(r#"{"duration":{"$gt":2,"$lt":3},"entity":"me","project":"p"}"#, true);
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
            r#"{"created_at":{"$gt":"yesterday"}}"#,
            r#"{"createdAt":{"$gt":1706702400}}"#,
            r#"{"$and":[{"heartbeatAt":{"$regex":"2024"}}]}"#,
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
