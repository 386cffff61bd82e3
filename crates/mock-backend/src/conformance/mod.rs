//! What any W&B-compatible backend must do, as a suite of cases.
//!
//! A case speaks to the backend through a [`Transport`], makes its own project below a prefix and
//! looks at nothing else, so that the suite runs against a server that lives on. Cases wait for
//! nothing but the transport; the caller drives them with whatever runtime it has.
//!
//! ```
//! use streamtable_mock_backend::conformance::{self, Target};
//! use streamtable_mock_backend::{MockBackend, MockConfig};
//! use streamtable_transport::{ApiKey, TransportExt};
//!
//! let key = ApiKey::new("local-key")?;
//! let keys = Some(vec![(key.clone(), "me".to_owned())]);
//! let mock = MockBackend::new(MockConfig { keys, ..MockConfig::default() })?;
//!
//! let base_url = mock.base_url().to_owned();
//! let target = Target { transport: mock.erased(), base_url, key, prefix: "suite".into() };
//! # let block_on = |run| futures_util::FutureExt::now_or_never(run).expect("the mock is ready");
//! let failures = block_on(conformance::run_all(&target));
//! assert_eq!(failures, []);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Transport`]: streamtable_transport::Transport

mod acks;
mod client;
mod compare;
mod files;
mod once;
mod opening;
mod refusals;
mod rows;

use std::fmt;
use std::pin::Pin;

use streamtable_transport::{AnyTransport, ApiKey};

use client::Client;

/// The backend that is tried, and how to reach it.
#[derive(Clone, Debug)]
pub struct Target {
    /// What requests go through; it adds no key.
    pub transport: AnyTransport,
    /// Where the backend is, without a slash at the end.
    pub base_url: String,
    /// A key that the backend knows. Its owner has a default entity, where the cases work.
    pub key: ApiKey,
    /// How the names of all projects begin. The backend must not have seen it before.
    pub prefix: String,
}

/// One thing that a backend must do.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, a word of the cases' projects.
    pub name: &'static str,
    run: for<'a> fn(&'a Target) -> Pin<Box<dyn Future<Output = Check> + Send + 'a>>,
}

/// What a case comes to: nothing, or a sentence on what is wrong.
type Check<T = ()> = Result<T, String>;

/// A case that a backend did not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{case}: {what}")]
pub struct Failure {
    /// The case's name.
    pub case: &'static str,
    /// What was wrong.
    pub what: String,
}

impl Case {
    /// Tries the backend.
    pub async fn run(&self, target: &Target) -> Result<(), Failure> {
        (self.run)(target).await.map_err(|what| Failure { case: self.name, what })
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

/// Returns all cases.
pub fn cases() -> Vec<Case> {
    [opening::CASES, rows::CASES, once::CASES, acks::CASES, files::CASES, refusals::CASES].concat()
}

/// Runs all cases, one after another, and returns those that failed.
pub async fn run_all(target: &Target) -> Vec<Failure> {
    let mut failures = Vec::new();
    for case in cases() {
        failures.extend(case.run(target).await.err());
    }
    failures
}

/// Makes a case of an async function that takes a [`Client`].
macro_rules! case {
    ($function:ident) => {
        super::Case {
            name: stringify!($function),
            run: |target| {
                Box::pin(async move {
                    $function(&super::Client::new(target, stringify!($function)).await?).await
                })
            },
        }
    };
}

/// Ends a case unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($what:tt)*) => {
        if !$condition {
            return Err(format!($($what)*));
        }
    };
}

use {case, ensure};
