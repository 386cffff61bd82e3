//! A cache of views, so that pages can share them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use streamtable_store::StoreError;

use crate::budget::Budget;
use crate::config::ViewConfig;
use crate::table_reader::TableReader;
use crate::view::View;

/// The open views. Pages with the same view share its work.
#[derive(Debug)]
pub struct ViewCache {
    views: Mutex<HashMap<(String, String), Weak<View>>>,
    /// The memory that the views of each key keep.
    budgets: Mutex<HashMap<String, Weak<Budget>>>,
    max_bytes: u64,
}

impl ViewCache {
    /// Creates an empty cache. The open views of one key keep at most `max_bytes` in memory; a view
    /// that several keys have open counts for the first of them.
    pub fn new(max_bytes: u64) -> Self {
        Self { views: Mutex::default(), budgets: Mutex::default(), max_bytes }
    }

    /// Returns the view with this configuration. It exists until its last user drops it. `key` is the
    /// name of the reader's key.
    pub(crate) async fn view(
        &self,
        key: &str,
        reader: &TableReader,
        config: ViewConfig,
    ) -> Result<Arc<View>, StoreError> {
        // Before the lock, which is not held across an `await`.
        let end = reader.access.store.watch(&reader.table).await?;
        let budget = self.budget(key);
        let key = (reader.table.to_string(), config.key());
        let mut views = self.views.lock();
        if let Some(view) = views.get(&key).and_then(Weak::upgrade) {
            return Ok(view);
        }
        views.retain(|_, view| view.strong_count() > 0);
        let view = Arc::new(View::new(reader.clone(), config, end, budget));
        views.insert(key, Arc::downgrade(&view));
        Ok(view)
    }

    fn budget(&self, key: &str) -> Arc<Budget> {
        let mut budgets = self.budgets.lock();
        if let Some(budget) = budgets.get(key).and_then(Weak::upgrade) {
            return budget;
        }
        budgets.retain(|_, budget| budget.strong_count() > 0);
        let budget = Arc::new(Budget::new(self.max_bytes));
        budgets.insert(key.to_owned(), Arc::downgrade(&budget));
        budget
    }
}
