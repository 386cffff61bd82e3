//! Logging of `tracing` spans and events as rows.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use streamtable_schema::{Row, Timestamp, Value};
use tokio::runtime::Handle;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::StreamTable;
use crate::blocking::{self, Wait, wait_for};
use crate::monitor::AsTable;
use crate::shared::{eprint_line, now};

/// Targets of the delivery's own spans and events. Logging them would create endless rows.
const DELIVERY: [&str; 7] = ["h2", "hyper", "mio", "rustls", "streamtable", "tokio", "want"];

/// A layer that logs each event, and each span when it closes, as a row.
///
/// The columns are `kind` (`event` or `span`), `level`, `target`, `name`, `message`, `start`,
/// `latency` in seconds for a span, `parent` (the name of the enclosing span), and `fields`. A
/// row that does not fit into the buffer is refused and counted in
/// [`Stats::refused`](crate::Stats::refused); the first refusal is reported on standard error,
/// because a message in the log would be an event again. [`waiting`](Self::waiting) creates a layer
/// that waits for space instead. Spans and events of the delivery itself are never logged.
///
/// ```no_run
/// use streamtable::{TableLayer, blocking::StreamTable};
/// use tracing_subscriber::layer::SubscriberExt;
/// use tracing_subscriber::util::SubscriberInitExt;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let table = StreamTable::open("my-team/shop/log")?;
///     tracing_subscriber::registry().with(TableLayer::new(&table)).init();
///
///     let span = tracing::info_span!("request", path = "/");
///     span.in_scope(|| tracing::warn!(ms = 700, "slow"));
///     drop(span);
///     println!("{}", table.finish()?); // 2 logged, 2 acked, 0 pending, …
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct TableLayer {
    table: StreamTable,
    /// The runtime of the table's delivery thread, if events wait for space.
    waits_on: Option<Handle>,
    has_reported: Arc<AtomicBool>,
}

impl TableLayer {
    /// Creates a layer that logs to a [`StreamTable`] or a [blocking](crate::blocking) one. The
    /// layer keeps the table open.
    pub fn new(table: &impl AsTable) -> Self {
        Self { table: table.handle(), waits_on: None, has_reported: Arc::default() }
    }

    /// Creates a layer whose events wait if the buffer is full, until there is space. An event on
    /// the delivery thread itself, such as in an [`on_reject`](crate::Builder::on_reject) callback,
    /// never waits.
    pub fn waiting(table: &blocking::StreamTable) -> Self {
        Self { waits_on: Some(table.runtime().clone()), ..Self::new(table) }
    }

    fn log(&self, row: impl FnOnce() -> Row) {
        thread_local!(static IS_LOGGING: Cell<bool> = const { Cell::new(false) });
        // Ignores events emitted by logging itself.
        if IS_LOGGING.try_with(|is| is.replace(true)).unwrap_or(true) {
            return;
        }
        let is_delivery = |runtime: &Handle| {
            Handle::try_current().is_ok_and(|current| current.id() == runtime.id())
        };
        let result = match self.waits_on.as_ref().filter(|runtime| !is_delivery(runtime)) {
            Some(runtime) => self.table.log_with(row(), Some(true), |room| {
                !matches!(wait_for(runtime, room, &mut || true), Wait::BrokenOff)
            }),
            None => self.table.try_log(row()),
        };
        if let Err(error) = result
            && !self.has_reported.swap(true, Ordering::Relaxed)
        {
            eprint_line(format_args!(
                "streamtable: events are not logged to {}: {error}; `Stats::refused` counts them",
                self.table.path()
            ));
        }
        let _ = IS_LOGGING.try_with(|is| is.set(false));
    }
}

/// The data of an open span.
struct Open {
    start: Timestamp,
    began: Instant,
    fields: Fields,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TableLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id).filter(|span| is_logged(span.metadata())) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(Open { start: self.table.time(), began: now(), fields });
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            record.record(&mut open.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !is_logged(event.metadata()) {
            return;
        }
        self.log(|| {
            let mut fields = Fields::default();
            event.record(&mut fields);
            let parent = context.event_span(event).map(|span| span.name());
            let start = self.table.time();
            row("event", event.metadata(), start, Value::Null, parent, fields)
        });
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(Open { start, began, fields }) = span.extensions_mut().remove() else { return };
        self.log(|| {
            let latency = now().duration_since(began).as_secs_f64();
            let parent = span.parent().map(|parent| parent.name());
            row("span", span.metadata(), start, latency.into(), parent, fields)
        });
    }
}

fn is_logged(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    !DELIVERY.iter().any(|name| {
        root.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })
}

fn row(
    kind: &'static str,
    metadata: &Metadata<'_>,
    start: Timestamp,
    latency: Value,
    parent: Option<&'static str>,
    fields: Fields,
) -> Row {
    Row::new()
        .with("kind", kind)
        .with("level", metadata.level().as_str())
        .with("target", metadata.target())
        .with("name", metadata.name())
        .with("message", fields.message)
        .with("start", start)
        .with("latency", latency)
        .with("parent", parent)
        .with("fields", fields.others)
}

#[derive(Default)]
struct Fields {
    message: Option<String>,
    others: Row,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        // If a field is recorded again, the newer value replaces the older one.
        let others = std::mem::take(&mut self.others).into_iter();
        self.others = others.filter(|(name, _)| name != field.name()).collect();
        self.others.push(field.name(), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.put(field, value),
            Err(_) => self.put(field, value.to_string()),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = Some(value.to_owned()),
            _ => self.put(field, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("start", &self.start).finish_non_exhaustive()
    }
}
