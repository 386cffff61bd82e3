//! A cache of views, so that pages can share them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use streamtable_store::StoreError;

use crate::config::ViewConfig;
use crate::table_reader::TableReader;
use crate::view::View;

/// The open views. Pages with the same view share its work.
#[derive(Debug, Default)]
pub struct ViewCache {
    views: Mutex<HashMap<(String, String), Weak<View>>>,
}

impl ViewCache {
    /// Returns the view with this configuration. It exists until its last user drops it.
    pub(crate) async fn view(
        &self,
        reader: &TableReader,
        config: ViewConfig,
    ) -> Result<Arc<View>, StoreError> {
        // Before the lock, which is not held across an `await`.
        let end = reader.access.store.watch(&reader.table).await?;
        let key = (reader.table.to_string(), config.key());
        let mut views = self.views.lock();
        if let Some(view) = views.get(&key).and_then(Weak::upgrade) {
            return Ok(view);
        }
        views.retain(|_, view| view.strong_count() > 0);
        let view = Arc::new(View::new(reader.clone(), config, end));
        views.insert(key, Arc::downgrade(&view));
        Ok(view)
    }
}
