//! The configuration of a view, checked for size and form.
//!
//! Pages send it as a message of the protocol, or as the JSON in which they store it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::LiveError;
use crate::proto::{self, RollupMode, ScalarValue, SortOp, WhichColumns};

/// Maximum number of columns, of groups, of filters, … of a view.
const MAX_PARTS: usize = 2_000;

/// Maximum number of columns by which a view is grouped or split.
const MAX_LEVELS: usize = 12;

/// Maximum number of values of one filter.
const MAX_TERMS: usize = 1_000;

/// Maximum size of all names and values together, in bytes.
const MAX_BYTES: usize = 512 << 10;

/// The configuration of a view.
///
/// Invariant: within the limits above. Whether its columns exist is checked when the view is computed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ViewConfig {
    /// `None` for all.
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) group_by: Vec<String>,
    pub(crate) split_by: Vec<String>,
    pub(crate) sort: Vec<(String, SortOp)>,
    pub(crate) filter: Vec<Filter>,
    /// Whether a row must match only one filter instead of all.
    pub(crate) any_filter: bool,
    /// The expressions of computed columns, by name.
    pub(crate) expressions: BTreeMap<String, String>,
    /// The aggregate of each column: its name, and the columns that it needs in addition.
    pub(crate) aggregates: BTreeMap<String, Vec<String>>,
    pub(crate) rollup: Rollup,
    /// Number of levels of groups that are expanded at first.
    pub(crate) depth: Option<u32>,
}

/// The rows of a grouped view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rollup {
    /// A total, and the groups of all levels; each group precedes the groups in it.
    #[default]
    #[serde(rename = "rollup")]
    Levels,
    /// The innermost groups.
    Flat,
    /// The total.
    Total,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Filter {
    pub(crate) column: String,
    pub(crate) op: String,
    pub(crate) terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Term {
    Bool(bool),
    Number(f64),
    Text(String),
    Null(()),
}

impl ViewConfig {
    /// Returns whether rows are grouped.
    pub(crate) fn is_grouped(&self) -> bool {
        !self.group_by.is_empty() || self.rollup == Rollup::Total
    }

    /// Returns a text that differs between different configurations.
    pub(crate) fn key(&self) -> String {
        // `Debug` quotes and escapes strings, so different configurations have different texts.
        format!("{self:?}")
    }

    pub(crate) fn from_proto(config: proto::Config) -> Result<Self, LiveError> {
        if !config.windows.is_empty() {
            return Err(LiveError::refused("window columns are not supported"));
        }
        if config.split_rollup.unwrap_or(0) != 0 {
            return Err(LiveError::refused("totals of split columns are not supported"));
        }
        let columns = match config.columns.and_then(|columns| columns.which) {
            Some(WhichColumns::These(names)) => Some(names.names),
            Some(WhichColumns::Default(_)) | None => None,
        };
        let rollup = match config.rollup.map(RollupMode::try_from) {
            None | Some(Ok(RollupMode::Rollup)) => Rollup::Levels,
            Some(Ok(RollupMode::Flat)) => Rollup::Flat,
            Some(Ok(RollupMode::Total)) => Rollup::Total,
            Some(Err(_)) => return Err(LiveError::refused("this way to roll up is not known")),
        };
        let sort = config.sort.into_iter().map(|sort| {
            let op = SortOp::try_from(sort.op);
            let op = op.map_err(|_| LiveError::refused("this way to sort is not known"))?;
            Ok((sort.column, op))
        });
        let filter = config.filter.into_iter().map(|filter| Filter {
            column: filter.column,
            op: filter.op,
            terms: filter.value.into_iter().map(Term::from).collect(),
        });
        let aggregates = config.aggregates.into_iter();
        let config = Self {
            columns,
            group_by: config.group_by,
            split_by: config.split_by,
            sort: sort.collect::<Result<_, LiveError>>()?,
            filter: filter.collect(),
            any_filter: config.filter_op == 1,
            expressions: config.expressions,
            aggregates: aggregates.map(|(column, how)| (column, how.parts)).collect(),
            rollup,
            depth: config.group_by_depth,
        };
        config.checked()
    }

    /// Converts the configuration to the protocol's message.
    pub(crate) fn to_proto(&self, columns: Vec<String>) -> proto::Config {
        let which = WhichColumns::These(proto::Names { names: columns });
        let rollup = match self.rollup {
            Rollup::Levels => RollupMode::Rollup,
            Rollup::Flat => RollupMode::Flat,
            Rollup::Total => RollupMode::Total,
        };
        let filter = self.filter.iter().map(|filter| proto::Filter {
            column: filter.column.clone(),
            op: filter.op.clone(),
            value: filter.terms.iter().map(proto::Scalar::from).collect(),
        });
        let sort = self.sort.iter();
        let aggregates = self.aggregates.iter();
        proto::Config {
            group_by: self.group_by.clone(),
            split_by: self.split_by.clone(),
            columns: Some(proto::Columns { which: Some(which) }),
            filter: filter.collect(),
            sort: sort
                .map(|(column, op)| proto::Sort { column: column.clone(), op: *op as i32 })
                .collect(),
            expressions: self.expressions.clone(),
            aggregates: aggregates
                .map(|(column, parts)| (column.clone(), proto::Aggregate { parts: parts.clone() }))
                .collect(),
            filter_op: self.any_filter.into(),
            group_by_depth: self.depth,
            rollup: Some(rollup as i32),
            windows: BTreeMap::new(),
            split_rollup: None,
        }
    }

    fn checked(mut self) -> Result<Self, LiveError> {
        self.expressions = std::mem::take(&mut self.expressions)
            .into_iter()
            .map(|(name, text)| (name, without_heading(&text).to_owned()))
            .collect();
        let parts = [
            self.columns.as_ref().map_or(0, Vec::len),
            self.sort.len(),
            self.filter.len(),
            self.expressions.len(),
            self.aggregates.len(),
        ];
        let levels = [self.group_by.len(), self.split_by.len()];
        if parts.iter().any(|&n| n > MAX_PARTS) || levels.iter().any(|&n| n > MAX_LEVELS) {
            return Err(LiveError::refused("the view names too many columns"));
        }
        if self.filter.iter().any(|filter| filter.terms.len() > MAX_TERMS) {
            return Err(LiveError::refused(format!("a filter has at most {MAX_TERMS} values")));
        }
        if self.bytes() > MAX_BYTES {
            return Err(LiveError::refused("the view's configuration is too long"));
        }
        let lists = [self.columns.as_deref().unwrap_or_default(), &self.group_by, &self.split_by];
        for names in lists {
            let mut seen = std::collections::HashSet::new();
            if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
                return Err(LiveError::refused(format!("{twice:?} is named twice")));
            }
        }
        Ok(self)
    }

    fn bytes(&self) -> usize {
        let columns = self.columns.iter().flatten();
        let names = columns.chain(&self.group_by).chain(&self.split_by);
        let names = names.chain(self.sort.iter().map(|(column, _)| column));
        let names = names.chain(self.expressions.iter().flat_map(|(name, text)| [name, text]));
        let names = names
            .chain(self.aggregates.iter().flat_map(|(name, parts)| parts.iter().chain([name])));
        let filters = self.filter.iter().map(|filter| {
            let terms = filter.terms.iter().map(|term| match term {
                Term::Text(text) => text.len(),
                Term::Bool(_) | Term::Number(_) | Term::Null(()) => 8,
            });
            filter.column.len() + filter.op.len() + terms.sum::<usize>()
        });
        names.map(String::len).sum::<usize>() + filters.sum::<usize>()
    }
}

/// Removes the line `// name` that older pages put before an expression.
fn without_heading(text: &str) -> &str {
    match text.trim_start().strip_prefix("//") {
        Some(rest) => rest.split_once('\n').map_or("", |(_, text)| text),
        None => text,
    }
}

impl From<proto::Scalar> for Term {
    fn from(scalar: proto::Scalar) -> Self {
        match scalar.value {
            Some(ScalarValue::Bool(it)) => Self::Bool(it),
            Some(ScalarValue::Float(x)) => Self::Number(x),
            Some(ScalarValue::String(text)) => Self::Text(text),
            Some(ScalarValue::Null(_)) | None => Self::Null(()),
        }
    }
}

impl From<&Term> for proto::Scalar {
    fn from(term: &Term) -> Self {
        Self::from(match term {
            Term::Bool(it) => ScalarValue::Bool(*it),
            Term::Number(x) => ScalarValue::Float(*x),
            Term::Text(text) => ScalarValue::String(text.clone()),
            Term::Null(()) => ScalarValue::Null(0),
        })
    }
}

/// The configuration as pages store it, in JSON. Other fields, such as a plugin's settings, are
/// ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ViewJson {
    columns: Option<Vec<Option<String>>>,
    group_by: Vec<String>,
    split_by: Vec<String>,
    sort: Vec<(String, String)>,
    filter: Vec<JsonFilter>,
    filter_op: Reducer,
    expressions: BTreeMap<String, String>,
    aggregates: BTreeMap<String, JsonAggregate>,
    group_rollup_mode: Rollup,
    group_by_depth: Option<u32>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reducer {
    #[default]
    And,
    Or,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum JsonFilter {
    Alone((String, String)),
    With((String, String, Terms)),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Terms {
    Many(Vec<Term>),
    One(Term),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum JsonAggregate {
    Alone(String),
    With((String, Parts)),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Parts {
    Many(Vec<String>),
    One(String),
}

impl TryFrom<ViewJson> for ViewConfig {
    type Error = LiveError;

    fn try_from(json: ViewJson) -> Result<Self, LiveError> {
        let sort = json.sort.into_iter().map(|(column, op)| {
            let op = sort_op(&op);
            let op = op.ok_or_else(|| LiveError::refused("this way to sort is not known"))?;
            Ok((column, op))
        });
        let filter = json.filter.into_iter().map(|filter| match filter {
            JsonFilter::Alone((column, op)) => Filter { column, op, terms: Vec::new() },
            JsonFilter::With((column, op, Terms::Many(terms))) => Filter { column, op, terms },
            JsonFilter::With((column, op, Terms::One(term))) => {
                Filter { column, op, terms: vec![term] }
            }
        });
        let aggregates = json.aggregates.into_iter().map(|(column, how)| {
            let parts = match how {
                JsonAggregate::Alone(name) => vec![name],
                JsonAggregate::With((name, Parts::One(with))) => vec![name, with],
                JsonAggregate::With((name, Parts::Many(with))) => {
                    std::iter::once(name).chain(with).collect()
                }
            };
            (column, parts)
        });
        let config = Self {
            columns: json.columns.map(|columns| columns.into_iter().flatten().collect()),
            group_by: json.group_by,
            split_by: json.split_by,
            sort: sort.collect::<Result<_, LiveError>>()?,
            filter: filter.collect(),
            any_filter: json.filter_op == Reducer::Or,
            expressions: json.expressions,
            aggregates: aggregates.collect(),
            rollup: json.group_rollup_mode,
            depth: json.group_by_depth,
        };
        config.checked()
    }
}

fn sort_op(name: &str) -> Option<SortOp> {
    Some(match name {
        "none" => SortOp::None,
        "asc" => SortOp::Asc,
        "desc" => SortOp::Desc,
        "col asc" => SortOp::ColAsc,
        "col desc" => SortOp::ColDesc,
        "asc abs" => SortOp::AscAbs,
        "desc abs" => SortOp::DescAbs,
        "col asc abs" => SortOp::ColAscAbs,
        "col desc abs" => SortOp::ColDescAbs,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ViewConfig, LiveError> {
        serde_json::from_str::<ViewJson>(json).unwrap().try_into()
    }

    #[test]
    fn json_and_messages_say_the_same() {
        let config = read(
            r#"{"plugin":"Datagrid","columns":["a",null,"b"],"group_by":["g"],"split_by":["s"],
            "sort":[["a","desc abs"],["b","none"]],"filter":[["a",">",1.5],["b","in",["x","y"]],
            ["c","is null",null],["d","is not null"],["e","==",true]],"filter_op":"or",
            "expressions":{"e":"// e\n\"a\" + 1"},"group_rollup_mode":"flat",
            "aggregates":{"a":"sum","b":["weighted mean",["a"]],"c":["weighted mean","a"]}}"#,
        )
        .unwrap();
        assert_eq!(config.columns, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(config.expressions["e"], "\"a\" + 1");
        assert_eq!(config.filter[1].terms.len(), 2);
        assert_eq!(config.aggregates["b"], config.aggregates["c"]);
        assert!(config.any_filter && config.is_grouped());
        let message = config.to_proto(config.columns.clone().unwrap());
        assert_eq!(ViewConfig::from_proto(message), Ok(config));
    }

    #[test]
    fn too_much_is_refused() {
        let many = format!("{:?}", (0..3_000).map(|i| i.to_string()).collect::<Vec<_>>());
        for json in [
            format!(r#"{{"columns":{many}}}"#),
            format!(r#"{{"group_by":{:?}}}"#, vec!["a"; 13]),
            format!(r#"{{"filter":[["a","in",{many}]]}}"#),
            format!(r#"{{"columns":[{:?}]}}"#, "x".repeat(600 << 10)),
            r#"{"columns":["a","a"]}"#.to_owned(),
            r#"{"sort":[["a","up"]]}"#.to_owned(),
        ] {
            assert!(read(&json).is_err(), "{:.60}", json);
        }
    }
}
