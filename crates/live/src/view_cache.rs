//! A cache of views, so that pages can share them.

use std::collections::HashMap;
use std::hash::Hash;
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
        let budget = shared(&self.budgets, key.to_owned(), || Budget::new(self.max_bytes));
        let key = (reader.table.to_string(), config.key());
        Ok(shared(&self.views, key, || View::new(reader.clone(), config, end, budget)))
    }
}

/// Returns the value of a key, and makes it if none is in use.
fn shared<K: Eq + Hash, V>(
    all: &Mutex<HashMap<K, Weak<V>>>,
    key: K,
    make: impl FnOnce() -> V,
) -> Arc<V> {
    let mut all = all.lock();
    if let Some(value) = all.get(&key).and_then(Weak::upgrade) {
        return value;
    }
    all.retain(|_, value| value.strong_count() > 0);
    let value = Arc::new(make());
    all.insert(key, Arc::downgrade(&value));
    value
}
