"""OpenTelemetry logs over HTTP; each row is the attributes of a record."""
import os
import time

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from rows import measure

provider = LoggerProvider()
exporter = OTLPLogExporter(endpoint=os.environ["SINK_URL"] + "/v1/logs")
# Large enough for all rows; by default, records are dropped if the queue is full.
provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=1_000_000, max_export_batch_size=512))
logger = provider.get_logger("bench")


def log(row):
    logger.emit(LogRecord(timestamp=time.time_ns(), severity_number=SeverityNumber.INFO, body="row", attributes=row))


def finish():
    provider.force_flush(600_000)
    provider.shutdown()


measure(log, finish)
