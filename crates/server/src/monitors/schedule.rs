//! When monitors are evaluated, and what follows from the results.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamtable_monitor::{
    Condition, Event, Machine, Monitor, Notice, Outcome, Silence, State, Transition, Window,
};
use streamtable_schema::{TablePath, Timestamp, Value};
use streamtable_server_core::{CatalogError, clock};
use streamtable_store::StoreError;
use streamtable_wire::write_cell;
use tokio::sync::watch;
use uuid::Uuid;

use super::catalog::{Change, Record, Stored};
use super::evaluate::{Found, add_silent_groups};
use super::{Monitors, publish};
use crate::documents::DocumentPath;

/// The longest pause between two looks at what is due.
const MAX_PAUSE: i64 = 5_000;

/// How long the next attempt waits after a failure of the catalog.
const RETRY: Duration = Duration::from_secs(5);

/// How many times as long as its query a monitor rests at least.
const SLOWNESS: i64 = 3;

/// The maximum number of monitors that share a query.
const MAX_SHARED: usize = 100;

/// A monitor and its state.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: i64,
    pub(super) path: DocumentPath,
    pub(super) version: i64,
    pub(super) monitor: Arc<Monitor>,
    pub(super) machine: Machine,
    pub(super) silences: Vec<Silence>,
    /// When it was evaluated last, in milliseconds since 1970.
    pub(super) evaluated_at: Option<i64>,
    /// By what the groups of the machine were grouped.
    grouping: String,
    /// The same for monitors that share a query.
    query: Arc<str>,
    /// Whether its SQL may contain the time, so that a result does not hold.
    uses_clock: bool,
    due: i64,
    seen: Option<Seen>,
}

/// The last result, and the end of the table for which it is valid.
#[derive(Clone, Debug)]
struct Seen {
    /// The table's end.
    end: u64,
    found: Found,
}

impl Entry {
    /// Reads a stored monitor. `None` if its document is not valid for this version of the server.
    pub(super) fn read(stored: Stored, now: i64) -> Option<Self> {
        let monitor = match Monitor::parse(stored.document.as_bytes()) {
            Ok(monitor) => Arc::new(monitor),
            Err(error) => {
                let DocumentPath { entity, project, name } = &stored.path;
                tracing::warn!(entity, project, name, %error, "a monitor is not valid");
                return None;
            }
        };
        let parse = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        let silences = stored.silences.and_then(|text| serde_json::from_str(&text).ok());
        Some(Self {
            id: stored.id,
            path: stored.path,
            version: stored.version,
            grouping: stored.grouping.unwrap_or_else(|| grouping(&monitor)),
            machine: parse(stored.machine).unwrap_or_default(),
            silences: silences.unwrap_or_default(),
            evaluated_at: None,
            query: shared_query(&monitor).into(),
            uses_clock: uses_clock(&monitor),
            due: now,
            seen: None,
            monitor,
        })
    }

    /// Returns the last result if it still holds at the table's end: no rows have arrived, and none
    /// leave the window.
    fn still_holds(&self, end: u64) -> Option<Found> {
        let seen = self.seen.as_ref().filter(|seen| seen.end == end)?;
        let is_of_other_tables =
            matches!(self.monitor.condition, Condition::Sql { query: Some(_), .. });
        if self.uses_clock {
            return None;
        }
        let rows_leave = matches!(self.monitor.window, Window::Last(_)) && seen.found.rows > 0;
        (!is_of_other_tables && !rows_leave).then(|| seen.found.clone())
    }
}

/// Returns whether a monitor's SQL may contain the time: by the names of functions such as `now` and
/// `current_timestamp`.
fn uses_clock(monitor: &Monitor) -> bool {
    let expression = match &monitor.condition {
        Condition::Threshold { value, .. } | Condition::Change { value, .. } => Some(value),
        Condition::Drift { column, .. } | Condition::Match { column, .. } => Some(column),
        Condition::Sql { expression, .. } => expression.as_ref(),
        Condition::NoRows {} => None,
    };
    let texts = [expression, monitor.filter.as_ref(), monitor.group_by.as_ref()];
    texts.into_iter().flatten().any(|text| {
        let text = text.to_ascii_lowercase();
        ["now", "current", "today", "local"].iter().any(|name| text.contains(name))
    })
}

/// Returns a text that is the same for monitors that share a query.
fn shared_query(monitor: &Monitor) -> String {
    let Monitor { table, window, filter, .. } = monitor;
    format!("{table} {window:?} {filter:?} {}", grouping(monitor))
}

/// Returns by what a monitor's rows are grouped.
fn grouping(monitor: &Monitor) -> String {
    match &monitor.condition {
        Condition::Sql { query: Some(query), .. } => format!("query {query}"),
        _ => monitor.group_by.clone().unwrap_or_default(),
    }
}

/// Returns the time in milliseconds since 1970.
pub(super) fn now() -> i64 {
    clock::timestamp().as_millis()
}

/// Evaluates monitors when they are due, until the server stops.
pub(super) async fn run(monitors: Monitors) {
    let mut ends = Ends::default();
    while let Err(error) = begin(&monitors).await {
        tracing::error!(%error, "monitors cannot be read");
        tokio::time::sleep(RETRY).await;
    }
    loop {
        if let Err(error) = monitors.evaluate_due(&mut ends).await {
            tracing::error!(%error, "the states of monitors cannot be stored");
            // The same monitors are still due.
            tokio::time::sleep(RETRY).await;
        }
        let pause = monitors.next_due().map_or(MAX_PAUSE, |due| due - now()).clamp(0, MAX_PAUSE);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(pause as u64)) => {}
            () = monitors.0.changed.notified() => {
                if let Err(error) = monitors.load().await {
                    tracing::error!(%error, "monitors cannot be read");
                }
            }
        }
    }
}

async fn begin(monitors: &Monitors) -> Result<(), CatalogError> {
    publish::align(monitors).await?;
    monitors.load().await
}

/// The ends of tables, watched instead of asked for.
#[derive(Default)]
struct Ends(HashMap<TablePath, watch::Receiver<u64>>);

impl Ends {
    async fn of(&mut self, monitors: &Monitors, table: &TablePath) -> Result<u64, StoreError> {
        if let Some(end) = self.0.get(table) {
            return Ok(*end.borrow());
        }
        let watch = monitors.0.store.watch(table).await?;
        let end = *watch.borrow();
        self.0.insert(table.clone(), watch);
        Ok(end)
    }
}

impl Monitors {
    /// Reads all monitors. Those that have not changed keep what is known about them.
    pub(super) async fn load(&self) -> Result<(), CatalogError> {
        let stored = self.0.catalog.monitors().await?;
        let now = now();
        let mut entries = self.0.entries.lock();
        let mut former = std::mem::take(&mut *entries);
        for stored in stored {
            let kept = former
                .remove(&stored.id)
                .filter(|entry| entry.version == stored.version && entry.path == stored.path);
            let silences = stored.silences.as_deref();
            let entry = match kept {
                Some(mut entry) => {
                    let silences = silences.and_then(|text| serde_json::from_str(text).ok());
                    entry.silences = silences.unwrap_or_default();
                    Some(entry)
                }
                None => Entry::read(stored, now),
            };
            entries.extend(entry.map(|entry| (entry.id, entry)));
        }
        Ok(())
    }

    fn next_due(&self) -> Option<i64> {
        self.0.entries.lock().values().map(|entry| entry.due).min()
    }

    /// Evaluates monitors that are due: all whose last result still holds, and of the others those
    /// of one query for each entity, so that the queries of one entity delay another one only by
    /// one query.
    async fn evaluate_due(&self, ends: &mut Ends) -> Result<(), CatalogError> {
        let now = now();
        let tables: BTreeSet<TablePath> = {
            let entries = self.0.entries.lock();
            let due = entries.values().filter(|entry| entry.due <= now);
            due.map(|entry| entry.monitor.table.clone()).collect()
        };
        let mut end_of = HashMap::new();
        for table in tables {
            // A failure will show in the query, too.
            let end = ends.of(self, &table).await.unwrap_or(u64::MAX);
            end_of.insert(table, end);
        }
        let (held, queries) = {
            let entries = self.0.entries.lock();
            let (mut held, mut waiting) = (Vec::new(), Vec::new());
            for entry in entries.values().filter(|entry| entry.due <= now) {
                // Without an end, it became due a moment ago.
                let Some(&end) = end_of.get(&entry.monitor.table) else { continue };
                match entry.still_holds(end) {
                    Some(found) => held.push((entry.clone(), end, Some(found))),
                    None => waiting.push((entry, end)),
                }
            }
            (held, next_queries(&waiting))
        };
        // Monitors that are due at the same time share queries, so they see the same second.
        let at = now / 1000 * 1000;
        self.settle(held, now, now).await?;
        for shared in queries {
            let started = Instant::now();
            let documents: Vec<_> =
                shared.iter().map(|(entry, _)| Arc::clone(&entry.monitor)).collect();
            let found = self.0.evaluator.evaluate(&documents, at).await;
            let results = shared.into_iter().zip(found);
            let results = results.map(|((entry, end), found)| (entry, end, found)).collect();
            // Slow monitors are evaluated less often.
            let rest = SLOWNESS * started.elapsed().as_millis() as i64;
            self.settle(results, now, self::now() + rest).await?;
        }
        Ok(())
    }

    /// Stores the results of monitors in one transaction. They are due again after their intervals,
    /// but not before a time.
    async fn settle(
        &self,
        results: Vec<(Entry, u64, Option<Found>)>,
        now: i64,
        not_before: i64,
    ) -> Result<(), CatalogError> {
        let mut stepped = Vec::new();
        let mut changes = Vec::new();
        for (mut entry, end, found) in results {
            let every = entry.monitor.every.as_millis();
            // Monitors with the same interval are due at the same time.
            entry.due = (not_before.div_euclid(every) + 1) * every;
            if let Some(found) = found {
                changes.extend(entry.step(&found, now));
                entry.seen = Some(Seen { end, found });
                entry.evaluated_at = Some(now);
            }
            stepped.push(entry);
        }
        if !changes.is_empty() {
            self.0.catalog.commit(changes).await?;
            self.0.recorded.notify_one();
            self.0.reported.notify_one();
        }
        let mut entries = self.0.entries.lock();
        for entry in stepped {
            let Some(current) = entries.get_mut(&entry.id) else { continue };
            if current.version == entry.version {
                let silences = std::mem::take(&mut current.silences);
                *current = Entry { silences, ..entry };
            }
        }
        Ok(())
    }
}

/// Returns, for each entity, the monitors that share a query with the one that has been due for the
/// longest time, each with the end of its table.
fn next_queries(due: &[(&Entry, u64)]) -> Vec<Vec<(Entry, u64)>> {
    let mut first: BTreeMap<&str, &Entry> = BTreeMap::new();
    for (entry, _) in due {
        let held = first.entry(&entry.path.entity).or_insert(entry);
        if (entry.due, entry.id) < (held.due, held.id) {
            *held = entry;
        }
    }
    let shared_with = |first: &Entry| {
        let is_shared = |(entry, _): &&(&Entry, u64)| {
            entry.path.entity == first.path.entity && entry.query == first.query
        };
        let shared = due.iter().filter(is_shared).take(MAX_SHARED);
        shared.map(|&(entry, end)| (entry.clone(), end)).collect()
    };
    first.into_values().map(shared_with).collect()
}

impl Entry {
    /// Applies a result to the states. Returns what is to be stored, if anything has changed.
    fn step(&mut self, found: &Found, now: i64) -> Option<Change> {
        let grouping = grouping(&self.monitor);
        let mut transitions = Vec::new();
        if grouping != self.grouping {
            transitions = self.machine.clear(now);
        }
        let mut outcome = found.outcome.clone();
        let known: Vec<String> = self.machine.groups().map(|(name, _)| name.to_owned()).collect();
        add_silent_groups(&self.monitor, &mut outcome, known.iter().map(String::as_str));
        transitions.extend(self.machine.step(&self.monitor.rule(), &outcome, now));
        let notices = self.machine.take_notices(&self.silences, now);
        self.machine.tidy();
        let is_changed = grouping != self.grouping;
        self.grouping = grouping;
        if transitions.is_empty() && notices.is_empty() && !is_changed {
            return None;
        }
        let events =
            notices.iter().map(|notice| (self.event(notice, now), self.monitor.notify.clone()));
        let record = Record {
            entity: self.path.entity.clone(),
            project: self.path.project.clone(),
            rows: transitions.iter().map(|transition| self.row(transition)).collect(),
            events: events.collect(),
        };
        Some(Change {
            id: self.id,
            version: self.version,
            // Numbers that JSON does not have are written as texts, so this does not fail.
            machine: serde_json::to_string(&self.machine).unwrap_or_default(),
            grouping: self.grouping.clone(),
            record,
        })
    }

    fn event(&self, notice: &Notice, now: i64) -> Event {
        let DocumentPath { entity, project, name } = &self.path;
        let is_error = notice.to == State::Error;
        Event {
            id: Uuid::new_v4().to_string(),
            monitor: format!("{entity}/{project}/{name}"),
            title: self.monitor.title.clone(),
            group: notice.group.clone(),
            from: Some(notice.from),
            to: notice.to,
            value: notice.value.filter(|value| value.is_finite()),
            severity: self.monitor.severity,
            message: if is_error { notice.reason.clone() } else { self.monitor.message.clone() },
            at: notice.since.min(now),
        }
    }

    fn row(&self, transition: &Transition) -> String {
        let is_error = transition.to == State::Error;
        let message = if is_error { &transition.reason } else { &self.monitor.message };
        row(&RowCells {
            monitor: &self.path.name,
            group: &transition.group,
            from: Some(transition.from),
            to: transition.to,
            value: transition.value,
            severity: self.monitor.severity.as_str(),
            message,
            at: transition.at,
        })
    }
}

/// The cells of a row of `_monitors`.
pub(super) struct RowCells<'a> {
    pub(super) monitor: &'a str,
    pub(super) group: &'a str,
    pub(super) from: Option<State>,
    pub(super) to: State,
    pub(super) value: Option<f64>,
    pub(super) severity: &'a str,
    pub(super) message: &'a str,
    /// In milliseconds since 1970.
    pub(super) at: i64,
}

/// Returns a row of `_monitors` as a history line.
pub(super) fn row(cells: &RowCells<'_>) -> String {
    let mut out = b"{".to_vec();
    for (name, value) in [
        ("monitor", Value::from(cells.monitor)),
        ("group", Value::from(cells.group)),
        ("from", cells.from.map_or(Value::Null, |state| Value::from(state.as_str()))),
        ("to", Value::from(cells.to.as_str())),
        ("value", cells.value.map_or(Value::Null, Value::Float)),
        ("severity", Value::from(cells.severity)),
        ("message", Value::from(cells.message)),
        ("time", Value::Timestamp(Timestamp::from_millis(cells.at))),
    ] {
        write_cell(&mut out, &Value::from(name));
        out.push(b':');
        write_cell(&mut out, &value);
        out.push(b',');
    }
    out.extend_from_slice(format!("\"_timestamp\":{}}}", cells.at as f64 / 1e3).as_bytes());
    String::from_utf8(out).unwrap_or_default()
}

/// Returns whether a result is worth showing: for tests of monitors.
pub(super) fn preview(monitor: &Monitor, found: Option<Found>) -> serde_json::Value {
    use serde_json::json;
    match found.map(|found| found.outcome) {
        None => json!({ "error": "the server is overloaded; try again" }),
        Some(Outcome::Failed(reason)) => json!({ "error": reason }),
        Some(Outcome::Groups(readings)) => {
            let mut machine = Machine::default();
            let rule = streamtable_monitor::Rule { hold: Default::default(), ..monitor.rule() };
            machine.step(&rule, &Outcome::Groups(readings), 0);
            json!({ "groups": groups_json(&machine), "ignored": machine.ignored() })
        }
    }
}

/// Returns a value as JSON. One that is not finite is a text, as in rows.
pub(super) fn value_json(value: f64) -> serde_json::Value {
    match value {
        value if value.is_finite() => value.into(),
        value if value.is_nan() => "NaN".into(),
        value if value > 0.0 => "Infinity".into(),
        _ => "-Infinity".into(),
    }
}

/// Returns the states of all groups as JSON.
pub(super) fn groups_json(machine: &Machine) -> serde_json::Value {
    let group = |(name, group): (&str, &streamtable_monitor::GroupState)| {
        serde_json::json!({
            "group": name,
            "state": group.state().as_str(),
            "since": (group.since > 0).then(|| Timestamp::from_millis(group.since).to_string()),
            "value": group.value.map(value_json),
            "error": Some(group.reason()).filter(|reason| !reason.is_empty()),
        })
    };
    machine.groups().map(group).collect()
}
