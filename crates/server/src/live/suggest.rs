//! A table's first board, made of what its columns are and hold.

use arrow::array::cast::AsArray;
use arrow::array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::array::{Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use serde_json::{Value, json};

use super::config::ViewConfig;
use super::error::LiveError;
use super::shape::{Column, Shape};
use super::source::{Columns, Source};

/// How many of the newest rows are looked at.
const LOOKED_AT: u64 = 200_000;

/// How many columns are looked at.
const MAX_COLUMNS: usize = 100;

/// How many columns are drawn, of each kind.
const MAX_CHARTS: usize = 4;

/// Texts of so many different values are categories.
const MAX_CATEGORIES: i64 = 50;

/// How many bars a distribution has, about.
const BARS: f64 = 30.0;

/// What a board is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Template {
    /// To see what there is.
    Overview,
    /// To watch predictions, where the table has some.
    Monitoring,
}

/// What is known of a column's newest values.
struct Seen<'a> {
    column: &'a Column,
    distinct: i64,
    /// The least and the greatest number.
    range: Option<(f64, f64)>,
}

/// Panels, one row of them behind the other.
struct Layout<'a> {
    table: String,
    panels: Vec<Value>,
    columns: &'a Columns,
    seen: &'a [Seen<'a>],
    /// A name for how many rows there are, which axes show: no column has it.
    rows: String,
    /// How time is cut.
    bucket: &'static str,
    x: u32,
    y: u32,
    row: u32,
}

/// Makes a board.
pub(super) async fn suggest(source: &Source, template: Template) -> Result<Value, LiveError> {
    let columns = source.columns(&ViewConfig::default()).await?;
    let end = source.info()?.end;
    let own: Vec<&Column> = columns
        .all
        .iter()
        .filter(|column| !column.name.starts_with('_'))
        .take(MAX_COLUMNS)
        .collect();
    let mut select = vec!["min(\"timestamp\")".to_owned(), "max(\"timestamp\")".to_owned()];
    for column in &own {
        select.push(column.distinct());
        let is_number = column.is_number();
        for function in ["min", "max"] {
            select.push(match is_number {
                true => format!("CAST({function}({}) AS DOUBLE)", column.value()),
                false => "CAST(NULL AS DOUBLE)".to_owned(),
            });
        }
    }
    let (select, from, position) = (aliased(&select), &columns.from, &columns.position);
    let since = end.saturating_sub(LOOKED_AT);
    let batch =
        source.ask(format!("SELECT {select} FROM {from} WHERE {position} >= {since}")).await?;
    let seen = own.iter().enumerate().map(|(i, &column)| {
        let number = |place: usize| {
            let array = batch.column(place).as_primitive_opt::<Float64Type>()?;
            (array.is_valid(0) && array.value(0).is_finite()).then(|| array.value(0))
        };
        let distinct = integer(&batch, 2 + 3 * i)?;
        Ok(Seen { column, distinct, range: number(3 + 3 * i).zip(number(4 + 3 * i)) })
    });
    let seen = seen.collect::<Result<Vec<_>, LiveError>>()?;
    let mut layout = Layout {
        table: source.table.to_string(),
        panels: Vec::new(),
        columns: &columns,
        seen: &seen,
        rows: columns.unused_name("rows"),
        bucket: bucket(&batch)?,
        x: 0,
        y: 0,
        row: 0,
    };
    let judged = layout.prediction_and_truth();
    let title = match (template, judged) {
        (Template::Monitoring, Some((prediction, truth))) => {
            layout.monitoring(prediction, truth);
            format!("Monitoring {}", source.table.table())
        }
        _ => {
            layout.overview();
            source.table.table().to_owned()
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

fn aliased(select: &[String]) -> String {
    let aliased = select.iter().enumerate().map(|(i, it)| format!("{it} AS c{i}"));
    aliased.collect::<Vec<_>>().join(", ")
}

fn integer(batch: &RecordBatch, place: usize) -> Result<i64, LiveError> {
    let array = cast(batch.column(place), &DataType::Int64)?;
    let array = array.as_primitive::<Int64Type>();
    Ok(if array.is_valid(0) { array.value(0) } else { 0 })
}

/// Cuts the time that the rows span into a few dozens of pieces.
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
    /// Writes how many different values there are, where they may be categories.
    fn distinct(&self) -> String {
        match self.shape {
            Shape::Text | Shape::Mixed => format!("approx_distinct({})", self.text()),
            Shape::Bool => "2".to_owned(),
            _ => "0".to_owned(),
        }
    }

    /// Tells whether the column's name says that it holds how long something took.
    fn is_duration(&self) -> bool {
        let name = self.name.to_lowercase();
        let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
        let says = ["latency", "duration", "elapsed", "runtime", "took", "ms", "millis", "seconds"];
        self.is_number() && words.iter().any(|word| says.contains(word))
    }
}

impl<'a> Layout<'a> {
    /// Places a panel beside the others, or below them.
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

    /// Writes the expression that is counted where rows are.
    fn each_row(&self) -> Value {
        json!({ self.rows.as_str(): "1" })
    }

    fn row_count(&mut self, title: &str) {
        let (rows, expressions) = (self.rows.clone(), self.each_row());
        self.stat(title, &rows, "count", expressions);
    }

    /// Lets the panels of the first row, as many as there are, fill it.
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
        let time = self.bucket;
        expressions[time] = format!("date_trunc('{time}', \"timestamp\")").into();
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
        });
        self.panel("chart", title, (6, 8), config);
    }

    fn rate(&mut self) {
        let title = format!("Rows per {}", self.bucket);
        let (rows, expressions) = (self.rows.clone(), self.each_row());
        self.over_time(&title, "Y Bar", &[(&rows, "count")], expressions);
    }

    /// How long things took, and how long the slowest of them.
    fn durations(&mut self) {
        let found = self.seen.iter().map(|it| it.column).find(|column| column.is_duration());
        let Some(column) = found else { return };
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
        let bin = format!("{name} from");
        let mut expressions = self.each_row();
        expressions[bin.as_str()] =
            format!("floor(CAST({value} AS DOUBLE) / {width:?}) * {width:?}").into();
        let config = json!({
            "plugin": "Y Bar",
            "columns": [self.rows],
            "group_by": [bin],
            "group_rollup_mode": "flat",
            "aggregates": { self.rows.as_str(): "count" },
            "expressions": expressions,
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
        let numbers: Vec<(&'a Column, (f64, f64))> = self
            .seen
            .iter()
            .filter_map(|it| Some((it.column, it.range?)))
            .filter(|(_, (low, high))| low < high)
            .collect();
        for (column, _) in numbers.iter().take(3) {
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
            .filter(|it| matches!(it.column.shape, Shape::Text | Shape::Bool | Shape::Mixed))
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

    /// Finds a column of predictions and one of what was true.
    fn prediction_and_truth(&self) -> Option<(&'a Column, &'a Column)> {
        let find = |names: &[&str]| {
            let is_named = |column: &Column| {
                let name = column.name.to_lowercase();
                let is_plain = !matches!(column.shape, Shape::Media | Shape::Mixed | Shape::Other);
                is_plain && names.contains(&name.as_str())
            };
            self.seen.iter().map(|it| it.column).find(|column| is_named(column))
        };
        let prediction = find(&["prediction", "pred", "predicted", "y_pred", "y_hat", "guess"])?;
        let truth = find(&["truth", "label", "target", "actual", "y_true", "y", "expected"])?;
        Some((prediction, truth))
    }

    fn monitoring(&mut self, prediction: &'a Column, truth: &'a Column) {
        let (guess, right) = (prediction.text(), truth.text());
        let is_right = json!({
            "accuracy": format!("CASE WHEN {guess} = {right} THEN 1.0 ELSE 0.0 END"),
        });
        let is_wrong = json!({ "mistake": format!("{guess} <> {right}") });
        self.row_count("Predictions");
        self.stat("Accuracy", "accuracy", "avg", is_right.clone());
        let duration = self.seen.iter().map(|it| it.column).find(|column| column.is_duration());
        if let Some(column) = duration {
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

/// Rounds a width to 1, 2 or 5 of some power of ten.
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
