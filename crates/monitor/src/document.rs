//! The document of a monitor.

use serde::{Deserialize, Serialize};
use streamtable_schema::{TablePath, Timestamp};

use crate::{Bounds, Rule, Span};

/// Maximum size of a document in bytes.
const MAX_BYTES: usize = 64 << 10;

/// Maximum length of a title or a message in characters.
const MAX_TEXT: usize = 500;

/// Maximum length of an SQL expression or query in bytes.
const MAX_SQL: usize = 16 << 10;

/// Maximum number of groups that a document may ask for.
const MAX_GROUPS: usize = 1_000;

/// Maximum number of rows of a window of rows.
const MAX_ROWS: u64 = 10_000_000;

/// Maximum number of targets of a monitor.
const MAX_TARGETS: usize = 10;

/// The longest window and the longest interval: 366 days.
const MAX_SPAN: Span = Span::from_secs(366 * 86_400);

/// A monitor: which rows to look at, what must not happen, and whom to tell.
///
/// Made by [`parse`](Self::parse), so each field is valid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitor {
    format: u32,
    /// What it watches, for people.
    pub title: String,
    /// The table that it watches.
    #[serde(with = "table")]
    pub table: TablePath,
    /// Which rows of the table count.
    #[serde(default)]
    pub window: Window,
    /// An SQL condition on rows; others do not count.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// An SQL expression; the monitor has one state for each of its values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// How many groups have a state. Further ones are ignored until there is room.
    #[serde(default = "default_groups")]
    pub max_groups: usize,
    /// How often it is evaluated.
    #[serde(default = "default_every")]
    pub every: Span,
    /// How long the condition must be met before the monitor fires.
    #[serde(default, rename = "for")]
    pub hold: Span,
    /// How urgent it is.
    #[serde(default)]
    pub severity: Severity,
    /// What must not happen.
    pub condition: Condition,
    /// What it means if there is no value.
    #[serde(default)]
    pub no_data: NoData,
    /// The names of the targets that receive messages; by default `default`, if it exists.
    #[serde(default = "default_targets")]
    pub notify: Vec<String>,
    /// A text for messages, in addition to the title and the value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Which rows of a table count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "WindowForm")]
pub enum Window {
    /// Those of the last time span.
    Last(Span),
    /// This many rows at the table's end.
    Rows(u64),
    /// All from an instant on.
    #[serde(with = "instant")]
    Since(Timestamp),
}

/// A window as documents write it. An enum's own parser does not name the field in its errors.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowForm {
    last: Option<Span>,
    rows: Option<u64>,
    #[serde(default, with = "instant::optional")]
    since: Option<Timestamp>,
}

impl TryFrom<WindowForm> for Window {
    type Error = &'static str;

    fn try_from(form: WindowForm) -> Result<Self, &'static str> {
        match (form.last, form.rows, form.since) {
            (Some(span), None, None) => Ok(Self::Last(span)),
            (None, Some(rows), None) => Ok(Self::Rows(rows)),
            (None, None, Some(since)) => Ok(Self::Since(since)),
            _ => Err("`window` needs one of `last`, `rows` and `since`"),
        }
    }
}

/// What must not happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// A value beyond a threshold.
    Threshold {
        /// An SQL expression with aggregate functions.
        value: String,
        /// The threshold.
        #[serde(flatten)]
        bounds: Bounds,
    },
    /// A value that has changed.
    Change {
        /// An SQL expression with aggregate functions.
        value: String,
        /// With what it is compared.
        #[serde(default)]
        against: Against,
        /// How the change is measured.
        #[serde(default)]
        measure: Measure,
        /// The threshold of the change.
        #[serde(flatten)]
        bounds: Bounds,
    },
    /// No rows in the window, which must be a time span.
    NoRows {},
    /// A column whose values are distributed differently than before.
    Drift {
        /// The column, or an SQL expression over the cells of a row.
        column: String,
        /// How the distance is measured.
        method: DriftMethod,
        /// With what it is compared.
        #[serde(default)]
        against: Against,
        /// With fewer values on either side, there is no value.
        #[serde(default = "default_min_rows")]
        min_rows: u64,
        /// The threshold of the distance.
        #[serde(flatten)]
        bounds: Bounds,
    },
    /// A share of texts that match a regular expression, from 0 to 1.
    Match {
        /// The column, or an SQL expression over the cells of a row.
        column: String,
        /// The regular expression.
        pattern: String,
        /// The threshold of the share.
        #[serde(flatten)]
        bounds: Bounds,
    },
    /// An SQL expression with aggregate functions that is a boolean, or a number with a threshold.
    Sql {
        /// The expression. True, or a number other than 0 if there is no threshold, meets the condition.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expression: Option<String>,
        /// Instead of an expression: a whole query, over any tables of the entity. Its column `value`
        /// is a boolean or a number; its column `group`, if it has one, names groups.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        query: Option<String>,
        /// The threshold, for numbers.
        #[serde(flatten)]
        bounds: Bounds,
    },
}

/// With what a window is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Against {
    /// The window of the same length before.
    #[default]
    Previous,
    /// The rows between two instants.
    Reference {
        /// The first instant.
        #[serde(with = "instant")]
        from: Timestamp,
        /// The end, which is not included.
        #[serde(with = "instant")]
        to: Timestamp,
    },
}

/// How a change is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The new value divided by the former one, less 1: 0.5 is a rise by half.
    #[default]
    Ratio,
    /// The new value less the former one.
    Difference,
}

/// How the distance of two distributions is measured; see [`drift`](crate::drift).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftMethod {
    /// Population stability index.
    Psi,
    /// Kolmogorov–Smirnov statistic, for numbers.
    Ks,
    /// Jensen–Shannon distance.
    Js,
}

/// What it means if there is no value: no rows in the window, or a null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoData {
    /// A state of its own, which is reported.
    #[default]
    NoData,
    /// The condition is not met. A group without rows is forgotten.
    Ok,
    /// The state does not change.
    Keep,
}

/// How urgent a monitor is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For the record.
    Info,
    /// Look at it soon.
    #[default]
    Warning,
    /// Something is broken.
    Error,
    /// Wake somebody.
    Critical,
}

/// Why a document is not a monitor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// It is larger than the limit.
    #[error("the document may have at most {MAX_BYTES} bytes")]
    TooLarge,
    /// It is not JSON, or not of the expected form. The message names the field.
    #[error("{message}")]
    Form {
        /// The parser's message.
        message: String,
    },
    /// A field has an invalid value.
    #[error("`{field}` {reason}")]
    Field {
        /// The path of the field, such as `condition.above`.
        field: String,
        /// The reason why it is invalid.
        reason: String,
    },
}

impl DocumentError {
    pub(crate) fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Field { field: field.into(), reason: reason.into() }
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::Last(Span::from_secs(300))
    }
}

impl Severity {
    /// Returns the name, as documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

impl Monitor {
    /// Parses and validates a document. The error names the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > MAX_BYTES {
            return Err(DocumentError::TooLarge);
        }
        let form = |error: serde_json::Error| DocumentError::Form { message: error.to_string() };
        let monitor: Self = serde_json::from_slice(bytes).map_err(form)?;
        monitor.check()?;
        Ok(monitor)
    }

    /// Returns what the state machine needs to know.
    pub fn rule(&self) -> Rule {
        let is_grouped = self.is_grouped();
        let max_groups = if is_grouped { self.max_groups } else { 1 };
        Rule { hold: self.hold, no_data: self.no_data, is_grouped, max_groups }
    }

    /// Returns whether it may have several states.
    pub fn is_grouped(&self) -> bool {
        self.group_by.is_some() || matches!(self.condition, Condition::Sql { query: Some(_), .. })
    }

    fn check(&self) -> Result<(), DocumentError> {
        let wrong = |field: &str, reason: String| Err(DocumentError::field(field, reason));
        if self.format != 1 {
            return wrong("format", format!("{} is not supported by this server", self.format));
        }
        check_text("title", &self.title)?;
        check_text("message", &self.message)?;
        if self.title.trim().is_empty() {
            return wrong("title", "is empty".to_owned());
        }
        check_sql("where", self.filter.as_deref())?;
        check_sql("group_by", self.group_by.as_deref())?;
        if self.max_groups == 0 || self.max_groups > MAX_GROUPS {
            return wrong("max_groups", format!("must be 1 to {MAX_GROUPS}"));
        }
        if self.every < Span::from_secs(1) || self.every > MAX_SPAN {
            return wrong("every", format!("must be 1s to {MAX_SPAN}"));
        }
        if self.hold > MAX_SPAN {
            return wrong("for", format!("must be at most {MAX_SPAN}"));
        }
        match self.window {
            Window::Last(span) if span < Span::from_secs(1) || span > MAX_SPAN => {
                return wrong("window.last", format!("must be 1s to {MAX_SPAN}"));
            }
            Window::Rows(rows) if rows == 0 || rows > MAX_ROWS => {
                return wrong("window.rows", format!("must be 1 to {MAX_ROWS}"));
            }
            _ => {}
        }
        if self.notify.len() > MAX_TARGETS {
            return wrong("notify", format!("has more than {MAX_TARGETS} targets"));
        }
        self.condition.check(self)
    }
}

impl Condition {
    /// Returns the name of the kind, as documents write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Threshold { .. } => "threshold",
            Self::Change { .. } => "change",
            Self::NoRows {} => "no_rows",
            Self::Drift { .. } => "drift",
            Self::Match { .. } => "match",
            Self::Sql { .. } => "sql",
        }
    }

    /// Returns the threshold, if the condition has one.
    pub fn bounds(&self) -> Option<&Bounds> {
        match self {
            Self::Threshold { bounds, .. }
            | Self::Change { bounds, .. }
            | Self::Drift { bounds, .. }
            | Self::Match { bounds, .. } => Some(bounds),
            Self::Sql { bounds, .. } if *bounds != NO_BOUNDS => Some(bounds),
            Self::NoRows {} | Self::Sql { .. } => None,
        }
    }

    fn check(&self, monitor: &Monitor) -> Result<(), DocumentError> {
        let wrong = |field: &str, reason: &str| {
            Err(DocumentError::field(format!("condition.{field}"), reason))
        };
        if let Some(bounds) = self.bounds() {
            bounds.check().map_err(|(field, reason)| {
                DocumentError::field(format!("condition.{field}"), reason)
            })?;
        }
        match self {
            Self::Threshold { value, .. } => check_sql("condition.value", Some(value)),
            Self::Change { value, against, .. } => {
                check_sql("condition.value", Some(value))?;
                against.check(monitor)
            }
            Self::NoRows {} if !matches!(monitor.window, Window::Last(_)) => {
                Err(DocumentError::field("window", "must be `last` for the condition `no_rows`"))
            }
            Self::NoRows {} => Ok(()),
            Self::Drift { column, against, min_rows, .. } => {
                check_sql("condition.column", Some(column))?;
                if *min_rows == 0 {
                    return wrong("min_rows", "must be at least 1");
                }
                against.check(monitor)
            }
            Self::Match { column, pattern, .. } => {
                check_sql("condition.column", Some(column))?;
                check_text("condition.pattern", pattern)?;
                match regex::Regex::new(pattern) {
                    Ok(_) => Ok(()),
                    Err(_) => wrong("pattern", "is not a regular expression"),
                }
            }
            Self::Sql { expression, query, .. } => {
                check_sql("condition.expression", expression.as_deref())?;
                check_sql("condition.query", query.as_deref())?;
                match (expression, query) {
                    (Some(_), None) => Ok(()),
                    (None, Some(_)) if monitor.filter.is_none() && monitor.group_by.is_none() => {
                        Ok(())
                    }
                    (None, Some(_)) => {
                        wrong("query", "cannot be combined with `where` or `group_by`")
                    }
                    _ => wrong("expression", "or `query` is needed, and not both"),
                }
            }
        }
    }
}

const NO_BOUNDS: Bounds = Bounds { above: None, below: None, recover: None };

impl Against {
    fn check(self, monitor: &Monitor) -> Result<(), DocumentError> {
        let wrong = |reason: &str| Err(DocumentError::field("condition.against", reason));
        match (self, monitor.window) {
            (Self::Previous, Window::Since(_)) => {
                wrong("needs `reference` if the window is `since`: there is no window before it")
            }
            (Self::Reference { from, to }, _) if from >= to => {
                wrong("has a `from` that is not before its `to`")
            }
            _ => Ok(()),
        }
    }
}

fn check_text(field: &str, text: &str) -> Result<(), DocumentError> {
    let is_odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.chars().count() > MAX_TEXT || text.chars().any(is_odd) {
        let reason = format!("has more than {MAX_TEXT} characters, or control characters");
        return Err(DocumentError::field(field, reason));
    }
    Ok(())
}

fn check_sql(field: &str, sql: Option<&str>) -> Result<(), DocumentError> {
    match sql {
        Some(sql) if sql.trim().is_empty() => Err(DocumentError::field(field, "is empty")),
        Some(sql) if sql.len() > MAX_SQL => {
            Err(DocumentError::field(field, format!("has more than {MAX_SQL} bytes")))
        }
        _ => Ok(()),
    }
}

fn default_groups() -> usize {
    100
}

fn default_every() -> Span {
    Span::from_secs(15)
}

fn default_min_rows() -> u64 {
    30
}

fn default_targets() -> Vec<String> {
    vec!["default".to_owned()]
}

mod table {
    use serde::{Deserialize, Deserializer, Serializer};
    use streamtable_schema::TablePath;

    pub(super) fn serialize<S: Serializer>(table: &TablePath, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(table)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TablePath, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|error| serde::de::Error::custom(format!("`table` {text:?}: {error}")))
    }
}

mod instant {
    use serde::{Deserialize, Deserializer, Serializer};
    use streamtable_schema::Timestamp;

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let time: Timestamp =
            String::deserialize(from)?.parse().map_err(serde::de::Error::custom)?;
        match time.is_storable() {
            true => Ok(time),
            false => Err(serde::de::Error::custom("instants are in the years 1 to 9999")),
        }
    }

    pub(super) mod optional {
        use serde::Deserializer;
        use streamtable_schema::Timestamp;

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            super::deserialize(from).map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn monitor() -> Value {
        json!({
            "format": 1, "title": "Errors", "table": "me/shop/requests",
            "window": {"last": "5m"}, "where": "path <> '/health'", "group_by": "path",
            "every": "10s", "for": "1m", "severity": "critical", "notify": ["ops"],
            "condition": {"kind": "threshold", "value": "avg(ms)", "above": 10, "recover": 8},
        })
    }

    #[track_caller]
    fn check(pointer: &str, value: Value, error: Option<&str>) {
        let mut document = monitor();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[field] = value;
        match (Monitor::parse(document.to_string().as_bytes()), error) {
            (Ok(monitor), None) => {
                let again = serde_json::to_vec(&monitor).unwrap();
                assert_eq!(Monitor::parse(&again).as_ref(), Ok(&monitor));
            }
            (Err(found), Some(error)) => assert!(found.to_string().contains(error), "{found}"),
            (found, error) => panic!("expected {error:?}, got {found:?}"),
        }
    }

    #[test]
    fn documents_are_validated() {
        check("/title", json!("Läden"), None);
        check("/title", json!(" "), Some("`title`"));
        check("/title", json!("a\u{7}"), Some("`title`"));
        check("/format", json!(2), Some("`format` 2"));
        check("/tabel", json!("x"), Some("tabel"));
        check("/table", json!("requests"), Some("`table`"));
        check("/where", json!(""), Some("`where`"));
        check("/max_groups", json!(0), Some("`max_groups`"));
        check("/max_groups", json!(100_000), Some("`max_groups`"));
        check("/every", json!("0s"), Some("`every`"));
        check("/every", json!("often"), Some("often"));
        check("/for", json!("999w"), Some("`for`"));
        check("/severity", json!("loud"), Some("loud"));
        check("/notify", json!([]), None);
        check("/window", json!({"rows": 1000}), None);
        check("/window", json!({"rows": 0}), Some("`window.rows`"));
        check("/window", json!({"since": "2026-01-01T00:00:00Z"}), None);
        check("/window", json!({"since": "soon"}), Some("soon"));
        check("/window", json!({"last": "5m", "rows": 3}), Some("window"));
    }

    #[test]
    fn conditions_are_validated() {
        let condition = |value: Value, error: Option<&str>| check("/condition", value, error);
        condition(json!({"kind": "threshold", "value": "x"}), Some("`condition.above`"));
        condition(json!({"kind": "threshold", "above": 1}), Some("value"));
        condition(
            json!({"kind": "threshold", "value": "x", "above": 1, "below": 0}),
            Some("below"),
        );
        condition(
            json!({"kind": "threshold", "value": "x", "above": 1, "recover": 2}),
            Some("`condition.recover`"),
        );
        condition(json!({"kind": "treshold", "value": "x"}), Some("treshold"));
        condition(json!({"kind": "threshold", "value": "x", "abov": 1}), Some("abov"));
        condition(json!({"kind": "change", "value": "avg(x)", "above": 0.5}), None);
        condition(
            json!({"kind": "change", "value": "avg(x)", "above": 1, "measure": "difference",
                "against": {"reference": {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}}}),
            None,
        );
        condition(
            json!({"kind": "change", "value": "avg(x)", "above": 1,
                "against": {"reference": {"from": "2026-01-02T00:00:00Z", "to": "2026-01-02T00:00:00Z"}}}),
            Some("`condition.against`"),
        );
        condition(json!({"kind": "no_rows"}), None);
        condition(json!({"kind": "drift", "column": "x", "method": "ks", "above": 0.2}), None);
        condition(json!({"kind": "drift", "column": "x", "method": "kl", "above": 1}), Some("kl"));
        condition(json!({"kind": "match", "column": "x", "pattern": "^a", "above": 0.2}), None);
        condition(
            json!({"kind": "match", "column": "x", "pattern": "(", "above": 0.2}),
            Some("`condition.pattern`"),
        );
        condition(json!({"kind": "sql", "expression": "count(*) > 3"}), None);
        condition(json!({"kind": "sql"}), Some("`condition.expression`"));
        condition(json!({"kind": "sql", "query": "select 1"}), Some("`condition.query`"));
    }
}
