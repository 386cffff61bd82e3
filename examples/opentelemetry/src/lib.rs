//! An example of exporters: OpenTelemetry's spans and logs as rows.
//!
//! [`TableSpanExporter`] and [`TableLogExporter`] log to a blocking table with evolving columns. They never
//! wait for the table, so OpenTelemetry's simple processors are enough.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use opentelemetry::trace::{Tracer, TracerProvider};
//! use opentelemetry_sdk::trace::SdkTracerProvider;
//! use streamtable::blocking::StreamTable;
//! use streamtable::ColumnPolicy;
//! use streamtable_opentelemetry::TableSpanExporter;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let builder = StreamTable::builder("my-team/shop/traces").columns(ColumnPolicy::Evolve);
//!     let table = Arc::new(builder.open_blocking()?);
//!     let exporter = TableSpanExporter::new(Arc::clone(&table));
//!     let provider = SdkTracerProvider::builder().with_simple_exporter(exporter).build();
//!     provider.tracer("shop").in_span("checkout", |_| {});
//!     provider.shutdown()?;
//!     println!("{}", table.finish()?);
//!     Ok(())
//! }
//! ```

mod logs;
mod spans;
mod values;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::{Key, Value as OtelValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use streamtable::blocking::StreamTable;
use streamtable::{Row, Value};

pub use logs::TableLogExporter;
pub use spans::TableSpanExporter;

/// Limit for storing the rows of a flush.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);

/// What both exporters have.
#[derive(Debug)]
struct Output {
    table: Arc<StreamTable>,
    /// The resource's `service.name`.
    service: Value,
    is_shut_down: AtomicBool,
}

impl Output {
    fn new(table: Arc<StreamTable>) -> Self {
        Self { table, service: Value::Null, is_shut_down: AtomicBool::new(false) }
    }

    fn set_resource(&mut self, resource: &Resource) {
        let name: Option<OtelValue> = resource.get(&Key::from_static_str("service.name"));
        self.service = name.as_ref().map_or(Value::Null, values::cell);
    }

    fn log(&self, rows: Vec<Row>) -> OTelSdkResult {
        if self.is_shut_down.load(Ordering::Relaxed) {
            return Err(OTelSdkError::AlreadyShutdown);
        }
        let logged = self.table.try_log(rows);
        logged.map(drop).map_err(|error| OTelSdkError::InternalFailure(error.to_string()))
    }

    fn flush(&self, timeout: Duration) -> OTelSdkResult {
        let stored = self.table.flush(timeout);
        stored.map(drop).map_err(|error| OTelSdkError::InternalFailure(error.to_string()))
    }

    fn shut_down(&self, timeout: Duration) -> OTelSdkResult {
        if self.is_shut_down.swap(true, Ordering::Relaxed) {
            return Err(OTelSdkError::AlreadyShutdown);
        }
        self.flush(timeout)
    }
}
