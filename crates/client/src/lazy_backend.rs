//! A backend that opens the table as soon as it is reachable.

use async_trait::async_trait;
use streamtable_schema::{TableName, TablePath};
use tokio::sync::OnceCell;

use crate::{Append, AppendError, Appended, Backend, Open, OpenError, Opened, StopReason, Upload};
use std::sync::Arc;
use std::time::Duration;

/// Maximum timeout of one attempt to open the table. It is shorter than that of an append, so that
/// callers soon see why the table cannot be opened.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the table before the first request is passed on.
#[derive(Debug)]
pub(crate) struct LazyBackend {
    inner: Arc<dyn Backend>,
    name: TableName,
    is_open: OnceCell<()>,
}

impl LazyBackend {
    pub(crate) fn new(inner: Arc<dyn Backend>, name: TableName) -> Self {
        Self { inner, name, is_open: OnceCell::new() }
    }

    async fn ensure_open(&self, timeout: Duration) -> Result<(), AppendError> {
        let open = || async {
            let timeout = timeout.min(ATTEMPT_TIMEOUT);
            let open = Open { name: self.name.clone(), timeout };
            self.inner.open(open).await.map(|_| ()).map_err(append_error)
        };
        self.is_open.get_or_try_init(open).await.copied()
    }
}

/// Converts an open error to an append error.
fn append_error(error: OpenError) -> AppendError {
    match error {
        OpenError::Unavailable { reason, .. } | OpenError::Backend { reason } => {
            AppendError::Transient { message: reason, retry_after: None }
        }
        OpenError::Stopped(reason) => AppendError::Stopped(reason),
        other => AppendError::Stopped(StopReason::Refused { message: other.to_string() }),
    }
}

#[async_trait]
impl Backend for LazyBackend {
    fn identity(&self) -> Option<String> {
        self.inner.identity()
    }

    async fn open(&self, open: Open) -> Result<Opened, OpenError> {
        self.inner.open(open).await
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.ensure_open(append.timeout).await?;
        self.inner.append(append).await
    }

    async fn upload(&self, upload: Upload) -> Result<Appended, AppendError> {
        self.ensure_open(upload.timeout).await?;
        self.inner.upload(upload).await
    }

    async fn finish(&self, table: &TablePath) -> Result<(), AppendError> {
        // A table that never got a row is not created.
        if !self.is_open.initialized() {
            return Ok(());
        }
        self.inner.finish(table).await
    }
}
