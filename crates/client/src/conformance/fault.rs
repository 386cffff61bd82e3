//! Faults of `append`: where a call fails, as plain data.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use streamtable_schema::TablePath;

use crate::{Append, AppendError, Appended, Backend, Lines, Open, OpenError, Opened, Upload};

/// A fault of one call of [`Backend::append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AppendFault {
    /// The call fails before the backend gets any row.
    Before,
    /// The backend gets the first half of the rows; then the call fails.
    Halfway,
    /// The backend gets all rows, and its answer is lost.
    After,
    /// The backend gets the call twice; the caller gets the second answer.
    Twice,
    /// The call fails, and the backend gets it after the next one.
    Late,
    /// The backend gets the first half of the rows; then the call panics.
    Panic,
}

impl AppendFault {
    /// All faults.
    pub const ALL: [Self; 6] =
        [Self::Before, Self::Halfway, Self::After, Self::Twice, Self::Late, Self::Panic];

    /// Returns the fault's name in the text form of a plan.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Halfway => "halfway",
            Self::After => "after",
            Self::Twice => "twice",
            Self::Late => "late",
            Self::Panic => "panic",
        }
    }

    /// Returns what happened, as the end of a sentence.
    pub(super) const fn story(self) -> &'static str {
        match self {
            Self::Before => "after a call that never arrived",
            Self::Halfway => "after a call that failed halfway",
            Self::After => "after a lost answer",
            Self::Twice => "after a call that arrived twice",
            Self::Late => "after a call that arrived late",
            Self::Panic => "after a call that panicked halfway",
        }
    }
}

/// The faults of the calls of [`Backend::append`], by the number of the call.
///
/// The text form, for printing and parsing, is `0 after; 2 halfway`. `Debug` prints it, too, so
/// that the plan of a failed property test can be copied.
///
/// ```
/// use streamtable::conformance::{AppendFault, AppendPlan};
///
/// let plan: AppendPlan = "0 after; 2 halfway".parse()?;
/// assert_eq!(plan, AppendPlan::new().with(0, AppendFault::After).with(2, AppendFault::Halfway));
/// assert_eq!(format!("{plan:?}"), r#""0 after; 2 halfway""#);
/// # Ok::<(), streamtable::conformance::NotAPlan>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct AppendPlan {
    /// If two entries are for the same call, the first applies.
    entries: Vec<(u64, AppendFault)>,
}

impl AppendPlan {
    /// Creates a plan without faults.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Adds a fault for the call with this number; 0 is the first.
    #[must_use]
    pub fn with(mut self, call: u64, fault: AppendFault) -> Self {
        self.entries.push((call, fault));
        self
    }

    fn of(&self, call: u64) -> Option<AppendFault> {
        self.entries.iter().find_map(|(number, fault)| (*number == call).then_some(*fault))
    }
}

impl FromIterator<(u64, AppendFault)> for AppendPlan {
    fn from_iter<I: IntoIterator<Item = (u64, AppendFault)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

impl fmt::Display for AppendPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (call, fault)) in self.entries.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{call} {}", fault.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for AppendPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl FromStr for AppendPlan {
    type Err = NotAPlan;

    fn from_str(text: &str) -> Result<Self, NotAPlan> {
        let entry = |entry: &str| {
            let (call, name) = entry.split_once(' ')?;
            let fault = AppendFault::ALL.into_iter().find(|fault| fault.as_str() == name.trim())?;
            Some((call.parse().ok()?, fault))
        };
        let entries = text.split(';').map(str::trim).filter(|text| !text.is_empty());
        let entries: Option<_> = entries.map(entry).collect();
        entries.map(|entries| Self { entries }).ok_or_else(|| NotAPlan { text: text.to_owned() })
    }
}

/// A text that is not a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a plan of faults, such as `0 after; 2 halfway`")]
pub struct NotAPlan {
    /// The text.
    pub text: String,
}

/// A backend whose calls of `append` fail as planned, for tests of a backend and of programs.
///
/// ```
/// use streamtable::conformance::FaultyBackend;
/// use streamtable::{Append, AppendError, Appended, Backend, StreamTable, async_trait, row};
///
/// #[derive(Debug)]
/// struct Discard;
///
/// #[async_trait]
/// impl Backend for Discard {
///     async fn append(&self, _: Append) -> Result<Appended, AppendError> {
///         Ok(Appended::default())
///     }
/// }
///
/// #[tokio::main(flavor = "current_thread", start_paused = true)]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let backend = FaultyBackend::new(Discard, "0 before; 1 after".parse()?);
///     let table = StreamTable::builder("me/shop/requests").backend(backend).open().await?;
///     table.log(row! { "path" => "/", "ms" => 7 }).await?;
///     assert_eq!(table.finish().await?.acked, 1);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct FaultyBackend<B> {
    inner: B,
    plan: AppendPlan,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    late: VecDeque<Append>,
}

impl<B: Backend> FaultyBackend<B> {
    /// Creates a backend that passes calls to `inner` except for these faults.
    pub fn new(inner: B, plan: AppendPlan) -> Self {
        Self { inner, plan, state: Mutex::default() }
    }

    fn next(&self) -> Option<AppendFault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.calls += 1;
        self.plan.of(state.calls - 1)
    }

    async fn append_half(&self, append: &Append) -> Result<(), AppendError> {
        let half = append.lines.len() / 2;
        if half > 0 {
            let lines: Lines = append.lines.iter().take(half).collect();
            self.inner.append(Append { lines, ..append.clone() }).await?;
        }
        Ok(())
    }

    /// Passes on the calls that are late.
    async fn settle(&self) {
        loop {
            let late = self.state.lock().unwrap_or_else(PoisonError::into_inner).late.pop_front();
            let Some(append) = late else { return };
            // Nobody waits for the answer any more.
            let _ = self.inner.append(append).await;
        }
    }
}

#[async_trait]
impl<B: Backend> Backend for FaultyBackend<B> {
    fn identity(&self) -> Option<String> {
        self.inner.identity()
    }

    async fn open(&self, open: Open) -> Result<Opened, OpenError> {
        self.inner.open(open).await
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let lost = |what: &str| Err(AppendError::transient(format!("{what} (injected)")));
        match self.next() {
            None => {
                let answer = self.inner.append(append).await;
                self.settle().await;
                answer
            }
            Some(AppendFault::Before) => lost("the call never arrived"),
            Some(AppendFault::Halfway) => {
                self.append_half(&append).await?;
                lost("the call failed halfway")
            }
            Some(AppendFault::After) => {
                self.inner.append(append).await?;
                lost("the answer was lost")
            }
            Some(AppendFault::Twice) => {
                self.inner.append(append.clone()).await?;
                self.inner.append(append).await
            }
            Some(AppendFault::Late) => {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.late.push_back(append);
                lost("no answer in time")
            }
            Some(AppendFault::Panic) => {
                self.append_half(&append).await?;
                // Without the panic hook: a planned panic prints no message.
                std::panic::resume_unwind(Box::new("the call panicked (injected)"))
            }
        }
    }

    async fn upload(&self, upload: Upload) -> Result<Appended, AppendError> {
        self.inner.upload(upload).await
    }

    async fn finish(&self, table: &TablePath) -> Result<(), AppendError> {
        self.settle().await;
        self.inner.finish(table).await
    }
}
