//! A cache of views, so that pages can share them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

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
    pub(crate) fn view(&self, source: &Source, config: ViewConfig) -> Arc<View> {
        let key = (source.table.to_string(), config.key());
        let mut views = self.views.lock();
        if let Some(view) = views.get(&key).and_then(Weak::upgrade) {
            return view;
        }
        views.retain(|_, view| view.strong_count() > 0);
        let view = Arc::new(View::new(source.clone(), config));
        views.insert(key, Arc::downgrade(&view));
        view
    }
}
