use std::sync::Arc;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord};
use streamtable::blocking::StreamTable;
use streamtable::{Row, row};

use crate::Output;
use crate::values::{any_cell, attributes};

/// Logs each log record as a row.
///
/// The columns are `severity`, `body`, `target`, `event`, `trace_id`, `span_id`, `service`, `scope` and
/// `attributes`; the time of the record is the time of the row. A body or an attribute that is a list or a
/// map is JSON text.
#[derive(Debug)]
pub struct TableLogExporter {
    output: Output,
}

impl TableLogExporter {
    /// Makes an exporter to a table, whose columns should evolve.
    pub fn new(table: Arc<StreamTable>) -> Self {
        Self { output: Output::new(table) }
    }

    fn row(&self, record: &SdkLogRecord, scope: &InstrumentationScope) -> Row {
        let trace = record.trace_context();
        let cells = record.attributes_iter().map(|(key, value)| (key.to_string(), any_cell(value)));
        let severity = record.severity_number().map(|severity| severity.name());
        row! {
            "timestamp" => record.timestamp().or_else(|| record.observed_timestamp()),
            "severity" => record.severity_text().or(severity),
            "body" => record.body().map(any_cell),
            "target" => record.target().map(|target| target.to_string()),
            "event" => record.event_name(),
            "trace_id" => trace.map(|trace| trace.trace_id.to_string()),
            "span_id" => trace.map(|trace| trace.span_id.to_string()),
            "service" => self.output.service.clone(),
            "scope" => scope.name(),
            "attributes" => attributes(cells),
        }
    }
}

impl LogExporter for TableLogExporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.output.log(batch.iter().map(|(record, scope)| self.row(record, scope)).collect())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.output.shut_down(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.output.set_resource(resource);
    }
}
