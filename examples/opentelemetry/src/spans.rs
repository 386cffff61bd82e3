use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Event, SpanId, Status};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use streamtable::blocking::StreamTable;
use streamtable::{Row, Value, row};

use crate::values::{attributes, cell};
use crate::{FLUSH_TIMEOUT, Output};

/// Logs each span as a row.
///
/// The columns are `name`, `start`, `end`, `latency` in seconds, `id`, `trace_id`, `parent_id`, `kind`,
/// `service`, `scope`, `status`, `message` of an error, `attributes` and `events`. An attribute that is a list
/// is JSON text.
#[derive(Debug)]
pub struct TableSpanExporter {
    output: Output,
}

impl TableSpanExporter {
    /// Makes an exporter to a table, whose columns should evolve.
    pub fn new(table: Arc<StreamTable>) -> Self {
        Self { output: Output::new(table) }
    }

    fn row(&self, span: SpanData) -> Row {
        let latency = span.end_time.duration_since(span.start_time).unwrap_or_default();
        let is_root = span.parent_span_id == SpanId::INVALID;
        let (status, message) = match &span.status {
            Status::Unset => ("unset", None),
            Status::Ok => ("ok", None),
            Status::Error { description } => ("error", Some(&**description)),
        };
        let events: Vec<Value> = span.events.iter().map(|event| event_cell(event).into()).collect();
        row! {
            "name" => span.name.into_owned(),
            "start" => span.start_time,
            "end" => span.end_time,
            "latency" => latency.as_secs_f64(),
            "id" => span.span_context.span_id().to_string(),
            "trace_id" => span.span_context.trace_id().to_string(),
            "parent_id" => (!is_root).then(|| span.parent_span_id.to_string()),
            "kind" => format!("{:?}", span.span_kind).to_lowercase(),
            "service" => self.output.service.clone(),
            "scope" => span.instrumentation_scope.name(),
            "status" => status,
            "message" => message,
            "attributes" => attributes(cells(&span.attributes)),
            "events" => Some(events).filter(|events| !events.is_empty()),
        }
    }
}

fn event_cell(event: &Event) -> Row {
    let Value::Struct(attributes) = attributes(cells(&event.attributes)) else {
        return row! { "name" => &*event.name, "time" => event.timestamp, "attributes" => None::<&str> };
    };
    // The attributes of one name differ between events, so they are text.
    let text = serde_json::to_string(&attributes).ok();
    row! { "name" => &*event.name, "time" => event.timestamp, "attributes" => text }
}

fn cells(attributes: &[KeyValue]) -> impl Iterator<Item = (String, Value)> {
    attributes.iter().map(|attribute| (attribute.key.to_string(), cell(&attribute.value)))
}

impl SpanExporter for TableSpanExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.output.log(batch.into_iter().map(|span| self.row(span)).collect())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.output.shut_down(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.output.flush(FLUSH_TIMEOUT)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.output.set_resource(resource);
    }
}
