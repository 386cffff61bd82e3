"""Adapters that log to a table what other packages report. Each module needs its package.

| module | adapter |
| --- | --- |
| ``streamtable.integrations.logging`` | a handler for the standard library's ``logging`` |
| ``streamtable.integrations.loguru`` | a sink for loguru |
| ``streamtable.integrations.structlog`` | a processor for structlog |
| ``streamtable.integrations.keras`` | a callback for Keras |
| ``streamtable.integrations.lightgbm`` | a callback for LightGBM |
| ``streamtable.integrations.xgboost`` | a callback for XGBoost |
| ``streamtable.integrations.lightning`` | a logger for PyTorch Lightning |
| ``streamtable.integrations.transformers`` | a callback for Hugging Face Transformers |
| ``streamtable.integrations.opentelemetry`` | an exporter of OpenTelemetry's spans |

None of them waits for the table or raises its errors: they are warnings of the logger ``streamtable``.
"""
