//! `GET /metrics`: figures for those who operate the server, for Prometheus.
//!
//! No figure has the name of a table, a user or a key in it, except for `ALERTS`, which has the
//! monitors that the caller may read. Labels have few values: the pattern of a
//! route instead of its path.

mod requests;
mod store;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use streamtable_server_core::Core;
use streamtable_store::{FileStore, MemoryCeiling, ProblemKind, Store, Work};

use crate::monitors::Monitors;
use crate::{ApiError, Principal};

pub(crate) use requests::observe;
pub(crate) use store::MeteredStore;

/// A gauge of bytes or of a number of things.
type Level = Gauge<u64, AtomicU64>;

/// A gauge of a number that may have a fraction.
type Fraction = Gauge<f64, AtomicU64>;

/// A sum of seconds.
type Seconds = Counter<f64, AtomicU64>;

/// The bounds of histograms of durations, in seconds.
const DURATIONS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The media type of the OpenMetrics format, which is sent to those that ask for it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The figures of a server. Cheap to clone; all clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    requests: Requests,
    rows: Rows,
    queries: Queries,
}

#[derive(Clone, Debug)]
struct Requests {
    answered: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    running: Gauge,
}

#[derive(Clone, Debug)]
struct Rows {
    rows: Family<OutcomeLabels, Counter>,
    bytes: Counter,
    seconds: Histogram,
    failures: Counter,
}

#[derive(Clone, Debug)]
struct Queries {
    ended: Family<OutcomeLabels, Counter>,
    seconds: Histogram,
    running: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AlertLabels {
    alertname: String,
    alertstate: &'static str,
    project: String,
    severity: &'static str,
}

fn durations() -> Histogram {
    Histogram::new(DURATIONS)
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            answered: Family::default(),
            seconds: Family::new_with_constructor(durations),
            running: Gauge::default(),
        }
    }
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            rows: Family::default(),
            bytes: Counter::default(),
            seconds: durations(),
            failures: Counter::default(),
        }
    }
}

impl Default for Queries {
    fn default() -> Self {
        Self { ended: Family::default(), seconds: durations(), running: Gauge::default() }
    }
}

impl Metrics {
    fn register(&self, registry: &mut Registry) {
        let Requests { answered, seconds, running } = self.requests.clone();
        registry.register("http_requests", "Requests that were answered", answered);
        let help = "Time until the head of a response";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, seconds);
        registry.register("http_requests_running", "Requests without a response yet", running);
        let Rows { rows, bytes, seconds, failures } = self.rows.clone();
        let help = "Rows that were stored, repeated (stored before) or rejected";
        registry.register("rows", help, rows);
        let help = "Size of the rows that arrived, as JSON";
        registry.register_with_unit("rows_received", help, Unit::Bytes, bytes);
        let help = "Time until rows are durable and acknowledged";
        registry.register_with_unit("append_duration", help, Unit::Seconds, seconds);
        registry.register("append_failures", "Batches that could not be stored", failures);
        let Queries { ended, seconds, running } = self.queries.clone();
        let help = "Queries that ended: complete, refused, failed or cancelled by the caller";
        registry.register("queries", help, ended);
        let help = "Time until the last row of a query";
        registry.register_with_unit("query_duration", help, Unit::Seconds, seconds);
        registry.register("queries_running", "Queries that have not ended", running);
    }
}

/// State of the handler.
#[derive(Clone)]
pub(crate) struct MetricsState {
    pub(crate) core: Core,
    pub(crate) metrics: Metrics,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) files: Arc<dyn FileStore>,
    pub(crate) memory: Arc<MemoryCeiling>,
    pub(crate) monitors: Monitors,
    pub(crate) started: SystemTime,
}

impl axum::extract::FromRef<MetricsState> for Core {
    fn from_ref(state: &MetricsState) -> Self {
        state.core.clone()
    }
}

/// Requires a key of any right and entity: figures show how busy a server is.
pub(crate) fn router(state: MetricsState) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(state)
}

/// Returns all figures, as OpenMetrics if the request accepts that, otherwise in Prometheus's text
/// format.
async fn metrics(
    State(state): State<MetricsState>,
    principal: Principal,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let mut registry = Registry::default();
    register_alerts(&mut registry, &state.monitors.alerts(&principal));
    let own = registry.sub_registry_with_prefix("streamtable");
    state.metrics.register(own);
    register_levels(own, &state).await?;
    let mut body = String::new();
    let accepts = |value: &http::HeaderValue| {
        value.to_str().is_ok_and(|value| value.contains("application/openmetrics-text"))
    };
    let (content_type, encoded) = if headers.get_all(ACCEPT).iter().any(accepts) {
        (OPEN_METRICS, text::encode(&mut body, &registry))
    } else {
        (prometheus_text::CONTENT_TYPE, prometheus_text::encode(&mut body, &registry))
    };
    encoded.map_err(|error| {
        ApiError::new(http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    })?;
    Ok(([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store")], body))
}

/// Adds the monitors that are pending or firing, under the name that Prometheus gives its own alerts.
fn register_alerts(registry: &mut Registry, levels: &[crate::monitors::Level]) {
    let alerts = Family::<AlertLabels, Level>::default();
    for level in levels {
        let labels = AlertLabels {
            alertname: level.name.clone(),
            alertstate: level.state,
            project: format!("{}/{}", level.entity, level.project),
            severity: level.severity,
        };
        alerts.get_or_create(&labels).set(level.groups);
    }
    let help = "Groups of monitors that are pending or firing";
    registry.register("ALERTS", help, alerts);
}

/// Adds the figures that are read when they are asked for.
async fn register_levels(registry: &mut Registry, state: &MetricsState) -> Result<(), ApiError> {
    let tables = state.store.tables().await?;
    let sum = |of: fn(&streamtable_store::TableSummary) -> u64| {
        tables.iter().fold(0_u64, |sum, table| sum.saturating_add(of(table)))
    };
    level(registry, "tables", "Tables", tables.len() as u64);
    level(registry, "stored_rows", "Rows of all tables", sum(|table| table.rows));
    bytes(registry, "stored", "Size of all tables", Some(sum(|table| table.bytes)));
    bytes(registry, "memory_used", "Memory of the process", Some(state.memory.used()));
    let help = "Memory above which rows and queries are refused";
    bytes(registry, "memory_limit", help, Some(state.memory.limit()));

    let stats = state.store.stats().await;
    let help = "Rows in memory that are durable but not in files";
    bytes(registry, "memtable", help, stats.memtable_bytes);
    let help = "Rows that wait to be written to the log";
    bytes(registry, "log_waiting", help, stats.log_waiting_bytes);
    bytes(registry, "disk_free", "Free space of the data folder", stats.disk_free_bytes);
    work(registry, "log_syncs", "Syncs of the log", stats.log_syncs);
    work(registry, "flushes", "Flushes of a table's rows to files", stats.flushes);
    if let Some(failures) = stats.flush_failures {
        count(registry, "flush_failures", "Flushes that failed and are tried again", failures);
    }

    let problems = Family::<KindLabels, Level>::default();
    for kind in ProblemKind::ALL {
        problems.get_or_create(&KindLabels { kind: kind.as_str() }).set(0);
    }
    let health = state.store.health().await;
    let of_files = state.files.problems();
    for problem in health.problems().map(|(_, problem)| problem).chain(&of_files) {
        problems.get_or_create(&KindLabels { kind: problem.kind.as_str() }).inc();
    }
    registry.register(
        "problems",
        "Problems with stored data that somebody should look at",
        problems,
    );

    let build = Family::<BuildLabels, Level>::default();
    build.get_or_create(&BuildLabels { version: env!("CARGO_PKG_VERSION") }).set(1);
    registry.register("build_info", "The version of the server", build);
    let started = Fraction::default();
    started.set(state.started.duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64()));
    let help = "When the server was started, since 1970";
    registry.register_with_unit("start_time", help, Unit::Seconds, started);
    Ok(())
}

fn level(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge = Level::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn bytes(registry: &mut Registry, name: &str, help: &str, value: Option<u64>) {
    let Some(value) = value else { return };
    let gauge = Level::default();
    gauge.set(value);
    registry.register_with_unit(name, help, Unit::Bytes, gauge);
}

fn count(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let counter = Counter::<u64>::default();
    counter.inc_by(value);
    registry.register(name, help, counter);
}

/// Adds two figures: how often some work was done, and how many seconds that took.
fn work(registry: &mut Registry, name: &str, help: &str, work: Option<Work>) {
    let Some(work) = work else { return };
    count(registry, name, help, work.count);
    let seconds = Seconds::default();
    seconds.inc_by(work.time.as_secs_f64());
    let help = format!("Time of all {}", name.replace('_', " "));
    registry.register_with_unit(format!("{name}_duration"), help, Unit::Seconds, seconds);
}
