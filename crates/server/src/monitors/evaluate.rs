//! The values of monitors, by queries.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use futures_util::TryStreamExt;
use parking_lot::Mutex;
use streamtable_monitor::{
    Against, Condition, DriftMethod, Measure, Monitor, Outcome, Reading, Window, drift,
};
use streamtable_schema::TablePath;
use streamtable_store::{ResultTypes, SqlQuery, Store, StoreError};
use tokio::sync::Semaphore;

use super::sql::{MAX_FOUND, MAX_SAMPLES, RowRange, Scope, share_of_matches};

/// Maximum time of a query.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a query may have taken if its expressions are tried one by one after its failure.
const QUICK: Duration = Duration::from_secs(1);

/// How many queries run at a time.
const MAX_QUERIES: usize = 4;

/// After a query that took some time, this many times as long passes before the next one of the
/// evaluation: the monitors of an entity use at most a quarter of the time.
const PAUSE_FACTOR: u32 = 3;

/// How far ahead of this server's clock, in milliseconds, the time of a row may be in a window that ends now.
const AHEAD: i64 = 60_000;

/// Maximum number of distributions of past reference windows that are kept.
const MAX_REFERENCES: usize = 64;

/// Expression for the number of rows, which every query has anyway.
const COUNT: &str = "count(*)";

/// The result of evaluating a monitor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) outcome: Outcome,
    /// The number of rows in the window.
    pub(super) rows: u64,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq)]
enum Failure {
    /// The store is overloaded or closed: the next attempt may succeed.
    Later,
    /// The monitor cannot be evaluated.
    Failed(String),
}

/// The result of an expression: group, number of rows, value.
type Values = Vec<(String, u64, Option<f64>)>;

type Results = BTreeMap<Scope, BTreeMap<String, Result<Values, Failure>>>;

/// The values of a column in a window, for each group.
type Samples = BTreeMap<String, Sample>;

#[derive(Clone, Debug, PartialEq)]
enum Sample {
    /// Sorted.
    Numbers(Vec<f64>),
    /// Texts and how often they occur, sorted.
    Categories(Vec<(String, f64)>),
}

/// Evaluates monitors. Each evaluation runs one query at a time.
#[derive(Debug)]
pub(super) struct Evaluator {
    store: Arc<dyn Store>,
    /// Whether it pauses between queries.
    pauses: bool,
    queries: Semaphore,
    references: Mutex<HashMap<String, Arc<Samples>>>,
}

/// The values that a monitor needs.
struct Plan {
    /// The window, and the one that it is compared with.
    scopes: Vec<Scope>,
    /// The expression whose value is needed in each scope.
    expression: String,
}

impl Evaluator {
    pub(super) fn new(store: Arc<dyn Store>, pauses: bool) -> Self {
        let queries = Semaphore::new(MAX_QUERIES);
        Self { store, pauses, queries, references: Mutex::default() }
    }

    /// Evaluates monitors at a time. The result is `None` for a monitor that cannot be evaluated now.
    pub(super) async fn evaluate(&self, monitors: &[Arc<Monitor>], now: i64) -> Vec<Option<Found>> {
        let mut plans = Vec::new();
        let mut needs: BTreeMap<Scope, Vec<String>> = BTreeMap::new();
        for monitor in monitors {
            let plan = self.plan(monitor, now).await;
            if let Ok(Some(plan)) = &plan {
                for scope in &plan.scopes {
                    let expressions = needs.entry(scope.clone()).or_default();
                    if !expressions.contains(&plan.expression) {
                        expressions.push(plan.expression.clone());
                    }
                }
            }
            plans.push(plan);
        }
        let mut results = Results::new();
        for (scope, expressions) in needs {
            let of_scope = self.values(&scope, &expressions).await;
            results.insert(scope, of_scope);
        }
        let mut found = Vec::new();
        for (monitor, plan) in monitors.iter().zip(plans) {
            let outcome = match plan {
                Ok(Some(plan)) => self.outcome(monitor, &plan, &results).await,
                Ok(None) => self.whole_query(monitor).await,
                Err(failure) => Err(failure),
            };
            found.push(match outcome {
                Ok(found) => Some(found),
                Err(Failure::Later) => None,
                Err(Failure::Failed(reason)) => {
                    Some(Found { outcome: Outcome::Failed(reason), rows: u64::MAX })
                }
            });
        }
        found
    }

    /// Returns what a monitor needs; `None` if it has a query of its own.
    async fn plan(&self, monitor: &Monitor, now: i64) -> Result<Option<Plan>, Failure> {
        let (expression, against) = match &monitor.condition {
            Condition::Threshold { value, .. } => (value.clone(), None),
            Condition::Change { value, against, .. } => (value.clone(), Some(*against)),
            Condition::NoRows {} => (COUNT.to_owned(), None),
            Condition::Drift { column, against, .. } => {
                (format!("count{}", self.row_expression(column).await?), Some(*against))
            }
            Condition::Match { column, pattern, .. } => {
                (share_of_matches(&self.row_expression(column).await?, pattern), None)
            }
            Condition::Sql { expression: Some(expression), .. } => (expression.clone(), None),
            Condition::Sql { .. } => return Ok(None),
        };
        let mut filter = None;
        if let Some(text) = &monitor.filter {
            filter = Some(self.row_expression(text).await?);
        }
        let mut group = None;
        if let Some(text) = &monitor.group_by {
            group = Some(self.row_expression(text).await?);
        }
        let ranges = self.ranges(monitor, against, now).await?;
        let scope = |rows| Scope {
            table: monitor.table.clone(),
            rows,
            filter: filter.clone(),
            group: group.clone(),
        };
        Ok(Some(Plan { scopes: ranges.into_iter().map(scope).collect(), expression }))
    }

    /// Returns the window of a monitor, and the one that it is compared with.
    async fn ranges(
        &self,
        monitor: &Monitor,
        against: Option<Against>,
        now: i64,
    ) -> Result<Vec<RowRange>, Failure> {
        let (window, previous) = match monitor.window {
            Window::Last(span) => {
                let from = now - span.as_millis();
                let previous = RowRange::Time { from: from - span.as_millis(), to: Some(from) };
                (RowRange::Time { from, to: Some(now + AHEAD) }, Some(previous))
            }
            Window::Rows(rows) => {
                let table = self.store.table(&monitor.table).await.map_err(failure)?;
                let (end, column) = match table {
                    Some(table) => (table.end, table.position_column()),
                    None => (0, "_pos".to_owned()),
                };
                let range = |to: u64| RowRange::Positions {
                    from: to.saturating_sub(rows),
                    to,
                    column: column.clone(),
                };
                (range(end), Some(range(end.saturating_sub(rows))))
            }
            Window::Since(since) => (RowRange::Time { from: since.as_millis(), to: None }, None),
        };
        let reference = match against {
            None => None,
            Some(Against::Previous) => previous,
            Some(Against::Reference { from, to }) => {
                Some(RowRange::Time { from: from.as_millis(), to: Some(to.as_millis()) })
            }
        };
        Ok(std::iter::once(window).chain(reference).collect())
    }

    /// Returns the values of expressions in a scope. If they cannot be queried together, one by one,
    /// so that a wrong one does not affect the others.
    async fn values(
        &self,
        scope: &Scope,
        expressions: &[String],
    ) -> BTreeMap<String, Result<Values, Failure>> {
        let started = Instant::now();
        let all = self.query_values(scope, expressions).await;
        if let Err(Failure::Failed(_)) = &all
            && expressions.len() > 1
            // A wrong expression is found when the query is planned.
            && started.elapsed() < QUICK
        {
            let mut results = BTreeMap::new();
            for expression in expressions {
                let one = self.query_values(scope, std::slice::from_ref(expression)).await;
                let one = one.map(|mut columns| columns.pop().unwrap_or_default());
                results.insert(expression.clone(), one);
            }
            return results;
        }
        match all {
            Ok(columns) => {
                let results = columns.into_iter().map(Ok);
                expressions.iter().cloned().zip(results).collect()
            }
            Err(failure) => {
                let failed = |expression: &String| (expression.clone(), Err(failure.clone()));
                expressions.iter().map(failed).collect()
            }
        }
    }

    /// Returns the values of each expression.
    async fn query_values(
        &self,
        scope: &Scope,
        expressions: &[String],
    ) -> Result<Vec<Values>, Failure> {
        let batches =
            self.query(&scope.table, scope.values(expressions), scope.rows.has_positions()).await?;
        let mut columns = vec![Values::new(); expressions.len()];
        for batch in batches.unwrap_or_default() {
            let (groups, counts) =
                (texts(batch.column(0))?, cast_to(batch.column(1), &DataType::Int64)?);
            let counts = counts.as_primitive::<Int64Type>();
            for (i, column) in columns.iter_mut().enumerate() {
                let values = numbers(batch.column(2 + i))?;
                for (row, (group, value)) in groups.iter().zip(values).enumerate() {
                    column.push((group.clone(), counts.value(row) as u64, value));
                }
            }
        }
        if columns.first().is_some_and(|column| column.len() > MAX_FOUND) {
            let message = format!(
                "there are more than {MAX_FOUND} groups; use `where`, or a coarser `group_by`"
            );
            return Err(Failure::Failed(message));
        }
        Ok(columns)
    }

    /// Runs a query. The result is `None` if the table has no rows yet.
    async fn query(
        &self,
        table: &TablePath,
        sql: String,
        positions: bool,
    ) -> Result<Option<Vec<RecordBatch>>, Failure> {
        let query = SqlQuery {
            sql,
            home: Some((table.entity().to_owned(), table.project().to_owned())),
            entities: Some(vec![table.entity().to_owned()]),
            timeout: QUERY_TIMEOUT,
            positions,
            types: ResultTypes::Flat,
            owner: Some(format!("monitors of {}", table.entity())),
        };
        let turn = self.queries.acquire().await;
        let started = Instant::now();
        let batches = match self.store.query(query).await {
            Ok(rows) => rows.batches.try_collect().await,
            Err(error) => Err(error),
        };
        drop(turn);
        if self.pauses {
            tokio::time::sleep(started.elapsed() * PAUSE_FACTOR).await;
        }
        match batches {
            Ok(batches) => Ok(Some(batches)),
            Err(StoreError::NoTable { .. }) => Ok(None),
            // A table without rows is not known to the query engine.
            Err(_) if matches!(self.store.table(table).await, Ok(None)) => Ok(None),
            Err(error) => Err(failure(error)),
        }
    }

    /// Puts the expression of a document in parentheses.
    async fn row_expression(&self, text: &str) -> Result<String, Failure> {
        self.store.row_expression(text).await.map_err(failure)
    }

    async fn outcome(
        &self,
        monitor: &Monitor,
        plan: &Plan,
        results: &Results,
    ) -> Result<Found, Failure> {
        let mut values = Vec::new();
        for scope in &plan.scopes {
            let result = results.get(scope).and_then(|of| of.get(&plan.expression));
            values.push(result.cloned().unwrap_or(Err(Failure::Later))?);
        }
        let window = values.first().cloned().unwrap_or_default();
        // Rows leave a reference as little as it gets new ones.
        let is_fixed = matches!(
            &monitor.condition,
            Condition::Change { against: Against::Reference { .. }, .. }
                | Condition::Drift { against: Against::Reference { .. }, .. }
        );
        let moving = if is_fixed { 1 } else { values.len() };
        let rows = values.iter().take(moving).flatten().map(|(_, rows, _)| rows).sum();
        let readings = match &monitor.condition {
            Condition::Threshold { bounds, .. } | Condition::Match { bounds, .. } => {
                let reading = |value: Option<f64>| {
                    value.map_or(Reading::NoData, |value| Reading::of(value, bounds))
                };
                window.into_iter().map(|(group, _, value)| (group, reading(value))).collect()
            }
            Condition::Sql { .. } => window
                .into_iter()
                .map(|(group, _, value)| (group, of_sql(monitor, value)))
                .collect(),
            Condition::NoRows {} => no_rows(monitor, window),
            Condition::Change { bounds, measure, .. } => {
                let former: BTreeMap<String, Option<f64>> = values
                    .pop()
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(group, _, value)| (group, value))
                    .collect();
                let reading = |group: &str, value: Option<f64>| match (
                    value,
                    former.get(group).copied().flatten(),
                ) {
                    (Some(now), Some(former)) => Reading::of(change(*measure, now, former), bounds),
                    _ => Reading::NoData,
                };
                window.into_iter().map(|(g, _, value)| (g.clone(), reading(&g, value))).collect()
            }
            Condition::Drift { .. } => self.drift(monitor, plan, &values).await?,
        };
        Ok(Found { outcome: Outcome::Groups(readings), rows })
    }

    /// Evaluates a monitor that has a query of its own.
    async fn whole_query(&self, monitor: &Monitor) -> Result<Found, Failure> {
        let Condition::Sql { query: Some(query), .. } = &monitor.condition else {
            return Err(Failure::Later);
        };
        let batches = self.query(&monitor.table, query.clone(), false).await?.unwrap_or_default();
        let mut readings = Vec::new();
        for batch in batches {
            let schema = batch.schema();
            let column = |name: &str| schema.index_of(name).ok().map(|at| batch.column(at));
            let values = column("value").ok_or_else(|| {
                Failure::Failed("the query must have a column `value`".to_owned())
            })?;
            let values = numbers(values)?;
            let groups = match column("group") {
                Some(groups) => texts(groups)?,
                None => vec![String::new(); values.len()],
            };
            readings.extend(
                groups
                    .into_iter()
                    .zip(values)
                    .map(|(group, value)| (group, of_sql(monitor, value))),
            );
            if readings.len() > MAX_FOUND {
                let message = format!("the query has more than {MAX_FOUND} rows");
                return Err(Failure::Failed(message));
            }
        }
        Ok(Found { outcome: Outcome::Groups(readings), rows: u64::MAX })
    }

    async fn drift(
        &self,
        monitor: &Monitor,
        plan: &Plan,
        counts: &[Values],
    ) -> Result<Vec<(String, Reading)>, Failure> {
        let Condition::Drift { column, method, min_rows, bounds, against } = &monitor.condition
        else {
            return Ok(Vec::new());
        };
        let column = self.row_expression(column).await?;
        // The number of values that are not null.
        let total = |values: &Values| values.iter().filter_map(|(_, _, n)| *n).sum::<f64>() as u64;
        let mut sides = Vec::new();
        for (side, (scope, counts)) in plan.scopes.iter().zip(counts).enumerate() {
            let is_kept = side == 1 && *against != Against::Previous;
            sides.push(match total(counts) {
                0 => Arc::default(),
                total => self.samples(scope, &column, total, is_kept).await?,
            });
        }
        let [current, reference] = &sides[..] else { return Ok(Vec::new()) };
        let none = Sample::Numbers(Vec::new());
        let mut readings = Vec::new();
        for (group, _, _) in counts.first().into_iter().flatten() {
            let (now, former) =
                (current.get(group).unwrap_or(&none), reference.get(group).unwrap_or(&none));
            let count = |side: usize| {
                let found = counts[side].iter().find(|(name, ..)| name == group);
                found.and_then(|(_, _, n)| *n).unwrap_or(0.0)
            };
            let is_enough = count(0).min(count(1)) >= *min_rows as f64;
            let reading = match is_enough {
                true => Reading::of(distance(*method, former, now)?, bounds),
                false => Reading::NoData,
            };
            readings.push((group.clone(), reading));
        }
        Ok(readings)
    }

    /// Returns samples of a column. Those of a reference window are kept as long as it gets no rows.
    async fn samples(
        &self,
        scope: &Scope,
        column: &str,
        total: u64,
        is_kept: bool,
    ) -> Result<Arc<Samples>, Failure> {
        let key = format!("{scope:?} {column} {total}");
        if let Some(kept) = self.references.lock().get(&key).filter(|_| is_kept) {
            return Ok(Arc::clone(kept));
        }
        let step = total.div_ceil(MAX_SAMPLES).max(1);
        let positions = match &scope.rows {
            RowRange::Positions { column, .. } => column.clone(),
            RowRange::Time { .. } => {
                let table = self.store.table(&scope.table).await.map_err(failure)?;
                table.map_or("_pos".to_owned(), |table| table.position_column())
            }
        };
        let sql = scope.samples(column, step, &positions);
        let batches = self.query(&scope.table, sql, true).await?.unwrap_or_default();
        let mut samples = Samples::new();
        for batch in batches {
            add_samples(&mut samples, &texts(batch.column(0))?, batch.column(1))?;
        }
        for sample in samples.values_mut() {
            match sample {
                Sample::Numbers(numbers) => numbers.sort_by(f64::total_cmp),
                Sample::Categories(_) => {}
            }
        }
        let samples = Arc::new(samples);
        if is_kept {
            let mut references = self.references.lock();
            if references.len() >= MAX_REFERENCES {
                references.clear();
            }
            references.insert(key, Arc::clone(&samples));
        }
        Ok(samples)
    }
}

/// Adds the values of a column to the samples of their groups.
fn add_samples(samples: &mut Samples, groups: &[String], values: &ArrayRef) -> Result<(), Failure> {
    if values.data_type().is_numeric() {
        let numbers = numbers(values)?;
        for (group, number) in groups.iter().zip(numbers) {
            let Some(number) = number.filter(|number| !number.is_nan()) else { continue };
            let empty = || Sample::Numbers(Vec::new());
            if let Sample::Numbers(all) = samples.entry(group.clone()).or_insert_with(empty) {
                all.push(number);
            }
        }
        return Ok(());
    }
    for (group, text) in groups.iter().zip(texts(values)?) {
        let empty = || Sample::Categories(Vec::new());
        if let Sample::Categories(all) = samples.entry(group.clone()).or_insert_with(empty) {
            match all.binary_search_by(|(own, _)| own.cmp(&text)) {
                Ok(at) => all[at].1 += 1.0,
                Err(at) => all.insert(at, (text, 1.0)),
            }
        }
    }
    Ok(())
}

fn distance(method: DriftMethod, reference: &Sample, current: &Sample) -> Result<f64, Failure> {
    let (p, q) = match (reference, current) {
        (Sample::Numbers(reference), Sample::Numbers(current)) if method == DriftMethod::Ks => {
            return Ok(drift::kolmogorov_smirnov(reference, current));
        }
        (Sample::Numbers(reference), Sample::Numbers(current)) => {
            drift::histograms(reference, current)
        }
        (Sample::Categories(reference), Sample::Categories(current))
            if method != DriftMethod::Ks =>
        {
            drift::align(reference, current)
        }
        (Sample::Categories(_), _) | (_, Sample::Categories(_)) => {
            let message = "`ks` needs numbers; use `psi` or `js` for texts".to_owned();
            return Err(Failure::Failed(message));
        }
    };
    Ok(match method {
        DriftMethod::Psi => drift::psi(&p, &q),
        DriftMethod::Js | DriftMethod::Ks => drift::jensen_shannon(&p, &q),
    })
}

fn change(measure: Measure, now: f64, former: f64) -> f64 {
    match measure {
        Measure::Difference => now - former,
        Measure::Ratio if now == former => 0.0,
        Measure::Ratio if former == 0.0 => f64::INFINITY.copysign(now),
        // A negative value that grows has risen.
        Measure::Ratio => (now - former) / former.abs(),
    }
}

/// Groups with rows are clear. Known groups without rows are not in the result of a query; see
/// [`add_silent_groups`].
fn no_rows(monitor: &Monitor, window: Values) -> Vec<(String, Reading)> {
    let mut readings: Vec<(String, Reading)> = window
        .into_iter()
        .map(|(group, rows, _)| match rows {
            0 => (group, Reading::Breach(0.0)),
            _ => (group, Reading::Clear(rows as f64)),
        })
        .collect();
    if readings.is_empty() && !monitor.is_grouped() {
        readings.push((String::new(), Reading::Breach(0.0)));
    }
    readings
}

/// Adds the known groups that have no rows: for the condition `no_rows` they are a breach.
pub(super) fn add_silent_groups<'a>(
    monitor: &Monitor,
    outcome: &mut Outcome,
    known: impl Iterator<Item = &'a str>,
) {
    if !monitor.is_grouped() || !matches!(monitor.condition, Condition::NoRows {}) {
        return;
    }
    if let Outcome::Groups(readings) = outcome {
        let found: std::collections::HashSet<String> =
            readings.iter().map(|(group, _)| group.clone()).collect();
        let silent = known.filter(|group| !group.is_empty() && !found.contains(*group));
        readings.extend(silent.map(|group| (group.to_owned(), Reading::Breach(0.0))));
    }
}

fn of_sql(monitor: &Monitor, value: Option<f64>) -> Reading {
    match (value, monitor.condition.bounds()) {
        (None, _) => Reading::NoData,
        (Some(value), Some(bounds)) => Reading::of(value, bounds),
        (Some(value), None) => Reading::of_bool(value != 0.0),
    }
}

fn failure(error: StoreError) -> Failure {
    match error {
        StoreError::Unavailable { .. } | StoreError::Unreachable { .. } => Failure::Later,
        StoreError::Query { .. }
        | StoreError::Limit { .. }
        | StoreError::NoTable { .. }
        | StoreError::Engine { .. } => Failure::Failed(error.to_string()),
        error => {
            tracing::error!(%error, "a monitor cannot be evaluated");
            Failure::Failed(
                "the server cannot read its stored data; see the server's log".to_owned(),
            )
        }
    }
}

fn cast_to(array: &ArrayRef, ty: &DataType) -> Result<ArrayRef, Failure> {
    cast(array, ty).map_err(|_| {
        let found = array.data_type();
        Failure::Failed(format!("the value is a {found}; a number or a boolean is needed"))
    })
}

/// Returns the values of a column of numbers or booleans.
fn numbers(array: &ArrayRef) -> Result<Vec<Option<f64>>, Failure> {
    if !(array.data_type().is_numeric()
        || matches!(array.data_type(), DataType::Boolean | DataType::Null))
    {
        let found = array.data_type();
        return Err(Failure::Failed(format!(
            "the value is a {found}; a number or a boolean is needed"
        )));
    }
    let numbers = cast_to(array, &DataType::Float64)?;
    Ok(numbers.as_primitive::<Float64Type>().iter().collect())
}

/// Returns the values of a column as texts; nulls are `null`.
fn texts(array: &ArrayRef) -> Result<Vec<String>, Failure> {
    let texts = cast_to(array, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    Ok((0..texts.len())
        .map(|i| if texts.is_null(i) { "null".to_owned() } else { texts.value(i).to_owned() })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_relative_to_the_former_value() {
        for (now, former, ratio, difference) in [
            (15.0, 10.0, 0.5, 5.0),
            (5.0, 10.0, -0.5, -5.0),
            (0.0, 0.0, 0.0, 0.0),
            (3.0, 0.0, f64::INFINITY, 3.0),
            (-3.0, 0.0, f64::NEG_INFINITY, -3.0),
            (-5.0, -10.0, 0.5, 5.0),
        ] {
            assert_eq!(change(Measure::Ratio, now, former), ratio);
            assert_eq!(change(Measure::Difference, now, former), difference);
        }
    }
}
