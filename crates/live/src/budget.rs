//! The memory that open views keep.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::LiveError;

/// How much memory the open views of one key keep.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: AtomicU64,
}

/// Memory of a snapshot, returned to the budget when dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    /// Reserves memory for a snapshot that replaces `before`, whose memory is returned soon.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        bytes: u64,
        before: Option<&Reserved>,
    ) -> Result<Reserved, LiveError> {
        let used = self.used.fetch_add(bytes, Ordering::AcqRel);
        let reserved = Reserved { budget: Arc::clone(self), bytes };
        let others = used.saturating_sub(before.map_or(0, |before| before.bytes));
        if bytes > 0 && others.saturating_add(bytes) > self.limit {
            let limit = self.limit >> 20;
            return Err(LiveError::refused(format!(
                "the open views of this key keep more than {limit} MiB in memory; close some, or group \
                 or filter to fewer values"
            )));
        }
        Ok(reserved)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_limited_and_returned() {
        let budget = Arc::new(Budget::new(10));
        let first = budget.reserve(6, None).unwrap();
        assert!(budget.reserve(5, None).is_err());
        // A refused reservation keeps nothing.
        let second = budget.reserve(4, None).unwrap();
        assert!(budget.reserve(1, None).is_err() && budget.reserve(0, None).is_ok());
        let larger = budget.reserve(6, Some(&first)).unwrap();
        drop(first);
        drop(second);
        assert!(budget.reserve(5, None).is_err() && budget.reserve(4, None).is_ok());
        drop(larger);
        assert!(budget.reserve(10, None).is_ok());
    }
}
