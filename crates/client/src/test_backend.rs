//! A backend for unit tests whose answers are given.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::{Append, AppendError, Appended, Backend, Builder, Settings, StreamTable};

/// Answers appends in turn as given, then accepts everything.
#[derive(Debug)]
pub(crate) struct Scripted {
    answers: Mutex<VecDeque<Result<Appended, AppendError>>>,
    /// Each append takes a permit.
    permits: Semaphore,
}

impl Scripted {
    /// Makes a backend that answers at once.
    pub(crate) fn new(answers: impl Into<VecDeque<Result<Appended, AppendError>>>) -> Arc<Self> {
        let permits = Semaphore::new(Semaphore::MAX_PERMITS);
        Arc::new(Self { answers: Mutex::new(answers.into()), permits })
    }

    /// Makes a backend that accepts everything, but answers only as many appends as are
    /// [permitted](Self::permit).
    pub(crate) fn blocked() -> Arc<Self> {
        Arc::new(Self { answers: Mutex::default(), permits: Semaphore::new(0) })
    }

    pub(crate) fn permit(&self, appends: usize) {
        self.permits.add_permits(appends);
    }

    /// Returns the builder of a table on this backend, without a spool.
    pub(crate) fn builder(self: &Arc<Self>) -> Builder {
        let builder = StreamTable::builder("me/shop/rows").settings(Settings::default());
        builder.backend(Arc::clone(self))
    }
}

#[async_trait]
impl Backend for Scripted {
    async fn append(&self, _: Append) -> Result<Appended, AppendError> {
        self.permits.acquire().await.expect("never closed").forget();
        self.answers.lock().unwrap().pop_front().unwrap_or_else(|| Ok(Appended::default()))
    }
}
