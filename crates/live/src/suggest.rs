//! A table's first boards, made from the types, names and newest values of its columns.

use arrow::array::cast::AsArray;
use arrow::array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::array::{Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use serde_json::{Value, json};

use crate::config::ViewConfig;
use crate::error::LiveError;
use crate::role::Role;
use crate::shape::{Column, Shape};
use crate::sql;
use crate::table_reader::{Columns, TableReader};

/// Number of newest rows that are read.
const SAMPLE_ROWS: u64 = 200_000;

/// Maximum number of columns that are read.
const MAX_COLUMNS: usize = 100;

/// Maximum number of charts of each kind.
const MAX_CHARTS: usize = 4;

/// Columns with at most this many different values are categories.
const MAX_CATEGORIES: i64 = 50;

/// Approximate number of bars of a distribution.
const BARS: f64 = 30.0;

/// The purpose of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// The table: newest rows, rates, distributions.
    Overview,
    /// Predictions compared with the truth; needs a column of each.
    Monitoring,
}

impl Template {
    pub(crate) const ALL: [Self; 2] = [Self::Overview, Self::Monitoring];

    /// Returns the template with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|template| template.name() == name)
    }

    /// Returns the name by which requests ask for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Monitoring => "monitoring",
        }
    }

    /// Returns the title for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Monitoring => "Monitoring",
        }
    }

    /// Returns what the board shows.
    pub fn about(self) -> &'static str {
        match self {
            Self::Overview => "newest rows, rates, distributions",
            Self::Monitoring => "predictions against truth, latency",
        }
    }

    /// Returns why a board of this template cannot be made of a table's columns.
    fn unfit<'a>(self, columns: impl Iterator<Item = &'a Column> + Clone) -> Option<String> {
        match self {
            Self::Overview => None,
            Self::Monitoring => prediction_and_truth(columns).is_none().then(|| {
                format!(
                    "needs a column of predictions (such as `{}`) and one of the truth (such as \
                     `{}`)",
                    PREDICTIONS[0], TRUTHS[0]
                )
            }),
        }
    }
}

/// Names of columns of predictions, in lower case; the page knows the same (`roles.ts`).
const PREDICTIONS: [&str; 7] =
    ["prediction", "pred", "predicted", "y_pred", "y_hat", "guess", "output_label"];

/// Names of columns of the truth, in lower case; the page knows the same.
const TRUTHS: [&str; 8] =
    ["truth", "label", "target", "actual", "y_true", "y", "expected", "ground_truth"];

/// Finds a column of predictions and one of the truth.
fn prediction_and_truth<'a>(
    columns: impl Iterator<Item = &'a Column> + Clone,
) -> Option<(&'a Column, &'a Column)> {
    let find = |names: &[&str]| {
        let is_named = |column: &&Column| {
            let name = column.name.to_lowercase();
            let is_plain = match column.shape {
                Shape::Media | Shape::Other => false,
                Shape::Mixed => column.first_part().is_some(),
                _ => true,
            };
            is_plain && names.contains(&name.as_str())
        };
        columns.clone().find(is_named)
    };
    Some((find(&PREDICTIONS)?, find(&TRUTHS)?))
}

/// A column with a summary of its newest values.
struct Seen<'a> {
    column: &'a Column,
    role: Role,
    distinct: i64,
    /// The least and the greatest finite number.
    range: Option<(f64, f64)>,
}

/// A board in the making: panels are placed in rows.
struct Layout<'a> {
    table: String,
    panels: Vec<Value>,
    columns: &'a Columns,
    seen: &'a [Seen<'a>],
    /// The name of the number of rows on axes; no column has it.
    rows: String,
    /// The name of the buckets of time; no column has it.
    time: String,
    /// The size of these buckets for readers that do not choose it by what they show.
    bucket: &'static str,
    x: u32,
    y: u32,
    row: u32,
}

/// Returns for each template whether a board of it can be made of a table, and why not; and for each
/// column the aggregate that fits it.
pub async fn templates(reader: &TableReader) -> Result<Value, LiveError> {
    let columns = reader.columns(&ViewConfig::default()).await?;
    let templates = Template::ALL.map(|template| {
        let unfit = template.unfit(own(&columns));
        json!({
            "name": template.name(),
            "title": template.title(),
            "about": template.about(),
            "fits": unfit.is_none(),
            "reason": unfit,
        })
    });
    let columns = columns.all.iter().map(|column| {
        json!({ "name": column.name, "aggregate": Role::of(column, None).aggregate(column) })
    });
    Ok(json!({ "templates": templates, "columns": columns.collect::<Vec<_>>() }))
}

/// Returns the columns that boards are made of.
fn own(columns: &Columns) -> impl Iterator<Item = &Column> + Clone {
    columns.all.iter().filter(|column| !column.name.starts_with('_')).take(MAX_COLUMNS)
}

/// Makes a board.
pub async fn suggest(reader: &TableReader, template: Template) -> Result<Value, LiveError> {
    let columns = reader.columns(&ViewConfig::default()).await?;
    if let Some(reason) = template.unfit(own(&columns)) {
        return Err(LiveError::refused(format!("the template `{}` {reason}", template.name())));
    }
    let end = reader.info().await?.end;
    let own: Vec<&Column> = own(&columns).collect();
    let time = sql::name(columns.time());
    let mut select = vec![format!("min({time})"), format!("max({time})")];
    for column in &own {
        select.push(column.distinct());
        let is_number = column.is_measured();
        for function in ["min", "max"] {
            select.push(match is_number {
                true => format!("{function}({})", finite(&column.value())),
                false => "CAST(NULL AS DOUBLE)".to_owned(),
            });
        }
    }
    let (select, from, position) = (aliased(&select), &columns.from, &columns.position);
    let since = end.saturating_sub(SAMPLE_ROWS);
    let batch =
        reader.run(format!("SELECT {select} FROM {from} WHERE {position} >= {since}")).await?;
    let seen = own.iter().enumerate().map(|(i, &column)| {
        let number = |place: usize| {
            let array = batch.column(place).as_primitive_opt::<Float64Type>()?;
            array.is_valid(0).then(|| array.value(0))
        };
        let distinct = integer(&batch, 2 + 3 * i)?;
        let range = number(3 + 3 * i).zip(number(4 + 3 * i));
        Ok(Seen { column, role: Role::of(column, range), distinct, range })
    });
    let seen = seen.collect::<Result<Vec<_>, LiveError>>()?;
    let mut layout = Layout {
        table: reader.table.to_string(),
        panels: Vec::new(),
        columns: &columns,
        seen: &seen,
        rows: columns.unused_name("rows"),
        time: columns.unused_name("time"),
        bucket: bucket(&batch)?,
        x: 0,
        y: 0,
        row: 0,
    };
    let judged = prediction_and_truth(own.iter().copied());
    let title = match (template, judged) {
        (Template::Monitoring, Some((prediction, truth))) => {
            layout.monitoring(prediction, truth);
            format!("Monitoring {}", reader.table.table())
        }
        _ => {
            layout.overview();
            reader.table.table().to_owned()
        }
    };
    Ok(json!({
        "format": 1,
        "title": title,
        "range": null,
        "refresh": "live",
        "theme": "auto",
        "workspace": null,
        "panels": layout.panels,
    }))
}

/// Writes a value as a double; null for NaN and infinities.
fn finite(value: &str) -> String {
    let value = format!("CAST({value} AS DOUBLE)");
    format!("CASE WHEN abs({value}) <= {} THEN {value} END", sql::number(f64::MAX))
}

fn aliased(select: &[String]) -> String {
    let aliased = select.iter().enumerate().map(|(i, it)| format!("{it} AS c{i}"));
    aliased.collect::<Vec<_>>().join(", ")
}

fn integer(batch: &RecordBatch, place: usize) -> Result<i64, LiveError> {
    let array = cast(batch.column(place), &DataType::Int64)?;
    let array = array.as_primitive::<Int64Type>();
    Ok(if array.is_valid(0) { array.value(0) } else { 0 })
}

/// Returns a unit that cuts the time span of the rows into some dozens of buckets.
fn bucket(batch: &RecordBatch) -> Result<&'static str, LiveError> {
    let micros = |place: usize| {
        let array = batch.column(place).as_primitive_opt::<TimestampMicrosecondType>()?;
        array.is_valid(0).then(|| array.value(0))
    };
    let span = micros(0).zip(micros(1)).map_or(0, |(first, last)| last.saturating_sub(first));
    Ok(match span / 1_000_000 {
        ..=600 => "second",
        601..=36_000 => "minute",
        36_001..=2_592_000 => "hour",
        _ => "day",
    })
}

impl Column {
    /// Writes the number of different values of a column that may hold categories; 0 for others.
    fn distinct(&self) -> String {
        match self.shape {
            Shape::Text | Shape::Mixed | Shape::Int { .. } => {
                format!("approx_distinct({})", self.text())
            }
            Shape::Bool => "2".to_owned(),
            _ => "0".to_owned(),
        }
    }
}

impl Seen<'_> {
    /// Returns whether values may differ where doubles do not.
    fn is_beyond_doubles(&self) -> bool {
        self.column.shape == Shape::Int { is_exact: false } && self.distinct > 1
    }
}

impl<'a> Layout<'a> {
    /// Adds a panel beside the last one, or in a new row.
    fn panel(&mut self, kind: &str, title: &str, (w, h): (u32, u32), config: Value) {
        if self.x + w > 12 {
            (self.x, self.y, self.row) = (0, self.y + self.row, 0);
        }
        let title: String = title.chars().filter(|c| !c.is_control()).take(100).collect();
        self.panels.push(json!({
            "id": format!("p{}", self.panels.len() + 1),
            "title": title,
            "table": self.table,
            "kind": kind,
            "config": config,
            "layout": { "x": self.x, "y": self.y, "w": w, "h": h },
        }));
        self.x += w;
        self.row = self.row.max(h);
    }

    /// Returns the expression that counts rows.
    fn each_row(&self) -> Value {
        json!({ self.rows.as_str(): "1" })
    }

    fn row_count(&mut self, title: &str) {
        let (rows, expressions) = (self.rows.clone(), self.each_row());
        self.stat(title, &rows, "count", expressions);
    }

    /// Widens the panels of the first row so that they fill it.
    fn fill_row(&mut self) {
        let width = 12 / u32::try_from(self.panels.len()).unwrap_or(1).clamp(1, 12);
        for (panel, x) in self.panels.iter_mut().zip((0..).step_by(width as usize)) {
            panel["layout"]["x"] = x.into();
            panel["layout"]["w"] = width.into();
        }
        self.x = 12;
    }

    fn stat(&mut self, title: &str, column: &str, aggregate: &str, expressions: Value) {
        let config = json!({
            "columns": [column],
            "group_by": [],
            "group_rollup_mode": "total",
            "aggregates": { column: aggregate },
            "expressions": expressions,
        });
        self.panel("stat", title, (3, 3), config);
    }

    /// Draws columns over time.
    fn over_time(&mut self, title: &str, plugin: &str, columns: &[(&str, &str)], more: Value) {
        let mut expressions = more;
        let time = self.time.as_str();
        let column = self.columns.time();
        let bucket = format!("date_trunc('{}', {})", self.bucket, sql::name(column));
        expressions[time] = bucket.into();
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let aggregates: serde_json::Map<String, Value> =
            columns.iter().map(|(name, how)| ((*name).to_owned(), (*how).into())).collect();
        let config = json!({
            "plugin": plugin,
            "columns": names,
            "group_by": [time],
            "group_rollup_mode": "flat",
            "aggregates": aggregates,
            "expressions": expressions,
            // The page chooses the size of buckets by what it shows.
            "buckets": { time: { "column": column, "kind": "time" } },
        });
        self.panel("chart", title, (6, 8), config);
    }

    fn rate(&mut self) {
        let (rows, expressions) = (self.rows.clone(), self.each_row());
        self.over_time("Rows over time", "Y Bar", &[(&rows, "count")], expressions);
    }

    fn duration(&self) -> Option<&'a Column> {
        self.seen.iter().find(|it| it.role == Role::Duration).map(|it| it.column)
    }

    /// Draws the percentiles of a duration.
    fn durations(&mut self) {
        let Some(column) = self.duration() else { return };
        let lines = ["p50", "p95", "p99"].map(|p| self.columns.unused_name(p));
        let expressions: serde_json::Map<String, Value> =
            lines.iter().map(|line| (line.clone(), column.value().into())).collect();
        let columns: Vec<(&str, &str)> =
            lines.iter().map(String::as_str).zip(["median", "p95", "p99"]).collect();
        let title = format!("{} over time", column.name);
        self.over_time(&title, "Y Line", &columns, expressions.into());
    }

    fn distribution(&mut self, column: &Column, (low, high): (f64, f64)) {
        let width = nice((high - low) / BARS);
        let (name, value) = (&column.name, column.value());
        let bin = self.columns.unused_name(&format!("{name} from"));
        let mut expressions = self.each_row();
        let value = finite(&value);
        expressions[bin.as_str()] = format!("floor({value} / {width:?}) * {width:?}").into();
        let config = json!({
            "plugin": "Y Bar",
            "columns": [self.rows],
            "group_by": [bin],
            "group_rollup_mode": "flat",
            "aggregates": { self.rows.as_str(): "count" },
            "expressions": expressions,
            "buckets": { bin.as_str(): { "column": name, "kind": "number" } },
        });
        self.panel("chart", &format!("Distribution of {name}"), (6, 8), config);
    }

    fn categories(&mut self, column: &Column) {
        let config = json!({
            "plugin": "X Bar",
            "columns": [self.rows],
            "group_by": [column.name],
            "group_rollup_mode": "flat",
            "aggregates": { self.rows.as_str(): "count" },
            "expressions": self.each_row(),
            "sort": [[self.rows, "desc"]],
        });
        self.panel("chart", &column.name, (6, 8), config);
    }

    fn media(&self) -> Option<&'a Column> {
        self.seen.iter().map(|it| it.column).find(|column| column.shape == Shape::Media)
    }

    fn images(&mut self, title: &str, captions: &[&str], filter: Value, expressions: Value) {
        let Some(media) = self.media() else { return };
        let mut columns = vec![media.name.as_str()];
        columns.extend(captions.iter().filter(|caption| **caption != media.name));
        let config = json!({ "columns": columns, "filter": filter, "expressions": expressions });
        self.panel("images", title, (12, 8), config);
    }

    fn newest(&mut self) {
        let columns: Vec<&str> = self.seen.iter().map(|it| it.column.name.as_str()).collect();
        let config =
            json!({ "plugin": "Datagrid", "columns": columns, "sort": [["_pos", "desc"]] });
        self.panel("grid", "Newest rows", (12, 10), config);
    }

    fn overview(&mut self) {
        self.row_count("Rows");
        let spread = |it: &&Seen<'_>| {
            it.range.is_some_and(|(low, high)| low < high) || it.is_beyond_doubles()
        };
        let measures: Vec<(&'a Column, (f64, f64))> = self
            .seen
            .iter()
            .filter(|it| matches!(it.role, Role::Measure | Role::Duration))
            .filter(spread)
            .filter_map(|it| Some((it.column, it.range?)))
            .collect();
        let numbers = &measures;
        for (column, _) in measures.iter().take(3) {
            self.stat(&format!("Mean {}", column.name), &column.name, "avg", json!({}));
        }
        self.fill_row();
        self.rate();
        self.durations();
        for &(column, range) in numbers.iter().take(MAX_CHARTS) {
            self.distribution(column, range);
        }
        let categories: Vec<&'a Column> = self
            .seen
            .iter()
            .filter(|it| it.role == Role::Category)
            .filter(|it| (2..=MAX_CATEGORIES).contains(&it.distinct))
            .map(|it| it.column)
            .collect();
        for column in categories.iter().take(MAX_CHARTS) {
            self.categories(column);
        }
        let captions: Vec<&str> = categories.iter().take(2).map(|it| it.name.as_str()).collect();
        self.images("Newest pictures", &captions, json!([]), json!({}));
        self.newest();
    }

    /// Adds the comparison of a column's distribution with that of earlier rows.
    fn drift(&mut self, column: &Column) {
        let title = format!("Drift of {}", column.name);
        self.panel("drift", &title, (6, 8), json!({ "columns": [column.name] }));
    }

    fn monitoring(&mut self, prediction: &'a Column, truth: &'a Column) {
        let (guess, right) = (prediction.text(), truth.text());
        let is_right = json!({
            "accuracy": format!("CASE WHEN {guess} = {right} THEN 1.0 ELSE 0.0 END"),
        });
        let is_wrong = json!({ "mistake": format!("{guess} <> {right}") });
        self.row_count("Predictions");
        self.stat("Accuracy", "accuracy", "avg", is_right.clone());
        if let Some(column) = self.duration() {
            let name = column.name.clone();
            self.stat(&format!("{name}, p95"), &name, "p95", json!({}));
        }
        self.fill_row();
        self.over_time("Accuracy over time", "Y Line", &[("accuracy", "avg")], is_right);
        self.rate();
        let confusion = json!({
            "plugin": "Heatmap",
            "columns": [self.rows],
            "group_by": [truth.name],
            "split_by": [prediction.name],
            "group_rollup_mode": "flat",
            "aggregates": { self.rows.as_str(): "count" },
            "expressions": self.each_row(),
        });
        self.panel("chart", "Truth and prediction", (6, 8), confusion);
        self.durations();
        self.drift(prediction);
        if let Some(column) = self.duration() {
            self.drift(column);
        }
        let mistakes = json!([["mistake", "==", true]]);
        let captions = [prediction.name.as_str(), truth.name.as_str()];
        self.images("Newest mistakes", &captions, mistakes.clone(), is_wrong.clone());
        let columns: Vec<&str> = self.seen.iter().map(|it| it.column.name.as_str()).collect();
        let config = json!({
            "plugin": "Datagrid",
            "columns": columns,
            "filter": mistakes,
            "expressions": is_wrong,
            "sort": [["_pos", "desc"]],
        });
        self.panel("grid", "Mistakes, newest first", (12, 10), config);
    }
}

/// Rounds a width up to 1, 2 or 5 times a power of ten.
fn nice(width: f64) -> f64 {
    let power = 10f64.powi(width.log10().floor() as i32);
    let step = [1.0, 2.0, 5.0].into_iter().find(|step| step * power >= width * 0.999);
    let nice = step.unwrap_or(10.0) * power;
    if nice.is_finite() && nice > 0.0 { nice } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths() {
        for (width, expected) in [
            (0.9, 1.0),
            (1.0, 1.0),
            (1.1, 2.0),
            (3.0, 5.0),
            (70.0, 100.0),
            (0.03, 0.05),
            (0.0, 1.0),
        ] {
            assert!((nice(width) - expected).abs() < 1e-12, "{width} {}", nice(width));
        }
    }
}
