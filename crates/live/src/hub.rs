//! A cache of views, so that pages can share them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use streamtable_store::StoreError;

use crate::config::ViewConfig;
use crate::source::Source;
use crate::view::View;

/// The open views. Pages with the same view share its work.
#[derive(Debug, Default)]
pub struct Hub {
    views: Mutex<HashMap<(String, String), Weak<View>>>,
}

impl Hub {
    /// Returns the view with this configuration. It exists until its last user drops it.
    pub(crate) async fn view(
        &self,
        source: &Source,
        config: ViewConfig,
    ) -> Result<Arc<View>, StoreError> {
        // Before the lock, which is not held across an `await`.
        let end = source.access.store.watch(&source.table).await?;
        let key = (source.table.to_string(), config.key());
        let mut views = self.views.lock();
        if let Some(view) = views.get(&key).and_then(Weak::upgrade) {
            return Ok(view);
        }
        views.retain(|_, view| view.strong_count() > 0);
        let view = Arc::new(View::new(source.clone(), config, end));
        views.insert(key, Arc::downgrade(&view));
        Ok(view)
    }
}
