//! Bugs that a test can enable, to show that the tests find them, and steps that a test can make
//! fail.
//!
//! Outside of this crate's own tests every function is constant, and the code is compiled out.

/// A guarantee that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A bug of the log.
    #[cfg(test)]
    Log(streamtable_log::seeded_bug::Bug),
    /// The lines of a table are forgotten at a restart.
    ForgottenLines,
    /// The contents of a run's lines are forgotten at a restart.
    ForgottenContents,
    /// Log files are deleted before their rows are flushed.
    EarlyTrim,
}

#[cfg(not(test))]
pub(crate) const fn is_seeded(_: Bug) -> bool {
    false
}

/// Marks a step of admission that a test may make fail.
#[cfg(not(test))]
pub(crate) const fn step() -> Result<(), arrow::error::ArrowError> {
    Ok(())
}

#[cfg(test)]
pub(crate) use seeding::{FailingStep, Failure, fail_steps, is_seeded, seed, step};

#[cfg(test)]
mod seeding {
    use std::cell::{Cell, RefCell};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::error::ArrowError;

    use super::Bug;

    thread_local! {
        static SEEDED: Cell<Option<Bug>> = const { Cell::new(None) };
        static FAILING: RefCell<Option<Arc<FailingStep>>> = const { RefCell::new(None) };
    }

    /// How a step fails.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Failure {
        Error,
        Panic,
    }

    /// The next step that fails, counted over all threads that share this.
    #[derive(Debug, Default)]
    pub(crate) struct FailingStep {
        /// The number of steps up to and including the one that fails; 0 if none does.
        left: AtomicUsize,
        panics: AtomicUsize,
    }

    impl FailingStep {
        /// Makes the `n`-th step from now on fail, counting from 1.
        pub(crate) fn arm(&self, n: usize, failure: Failure) {
            self.panics.store(usize::from(failure == Failure::Panic), Ordering::SeqCst);
            self.left.store(n, Ordering::SeqCst);
        }

        /// Lets all steps succeed, and returns whether the armed step has failed.
        pub(crate) fn disarm(&self) -> bool {
            self.left.swap(0, Ordering::SeqCst) == 0
        }
    }

    /// Sets the steps of this thread that may fail.
    pub(crate) fn fail_steps(failing: Arc<FailingStep>) {
        FAILING.set(Some(failing));
    }

    pub(crate) fn step() -> Result<(), ArrowError> {
        let failing = FAILING.with_borrow(Clone::clone);
        let Some(failing) = failing else { return Ok(()) };
        let count = |left: usize| left.checked_sub(1);
        if failing.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count) != Ok(1) {
            return Ok(());
        }
        assert_eq!(
            failing.panics.load(Ordering::SeqCst),
            0,
            "a step of admission panics: a secret"
        );
        Err(ArrowError::MemoryError("a step of admission fails".to_owned()))
    }

    pub(crate) fn is_seeded(bug: Bug) -> bool {
        SEEDED.get() == Some(bug)
    }

    /// Enables a bug for this thread, or disables all.
    pub(crate) fn seed(bug: Option<Bug>) {
        SEEDED.set(bug);
        streamtable_log::seeded_bug::seed(match bug {
            Some(Bug::Log(bug)) => Some(bug),
            _ => None,
        });
    }
}
