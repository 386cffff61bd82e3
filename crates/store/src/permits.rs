//! Limits on what one caller may do at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

/// A semaphore for each owner, such as a key, all with the same number of permits.
///
/// ```
/// use streamtable_store::OwnerPermits;
///
/// let permits = OwnerPermits::new(1);
/// let first = permits.of("a").try_acquire_owned().unwrap();
/// assert!(permits.of("a").try_acquire_owned().is_err());
/// assert!(permits.of("b").try_acquire_owned().is_ok());
/// drop(first);
/// assert!(permits.of("a").try_acquire_owned().is_ok());
/// ```
#[derive(Debug)]
pub struct OwnerPermits {
    each: usize,
    /// The semaphores of owners that have or wait for a permit.
    owners: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl OwnerPermits {
    /// Gives each owner this number of permits, at least one.
    pub fn new(each: usize) -> Self {
        Self { each: each.max(1), owners: Mutex::default() }
    }

    /// Returns the number of permits of each owner.
    pub fn each(&self) -> usize {
        self.each
    }

    /// Returns the number of owners whose semaphores are kept: those that had or waited for a permit when
    /// [`of`](Self::of) was last called, and the owner it was called for.
    pub fn owners(&self) -> usize {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Returns the semaphore of an owner.
    pub fn of(&self, owner: &str) -> Arc<Semaphore> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        // Permits and those who wait for them hold a reference.
        owners.retain(|_, permits| Arc::strong_count(permits) > 1);
        let permits = owners.entry(owner.to_owned());
        Arc::clone(permits.or_insert_with(|| Arc::new(Semaphore::new(self.each))))
    }
}
