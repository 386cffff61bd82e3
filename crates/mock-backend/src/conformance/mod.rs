//! What any W&B-compatible backend must do, as a suite of cases.
//!
//! A case talks to the backend through a [`Transport`], creates its own project with a given
//! prefix, and ignores everything else, so that the suite can run against a server in use. Cases
//! only wait for the transport; the caller may run them on any async runtime.
//!
//! ```
//! use futures_util::FutureExt;
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
//! let failures = conformance::run_all(&target).now_or_never().expect("the mock is ready");
//! assert_eq!(failures, []);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Transport`]: streamtable_transport::Transport

mod acks;
mod binary;
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

/// The backend under test, and how to reach it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The transport of all requests; it adds no key.
    pub transport: AnyTransport,
    /// The base URL of the backend, without a slash at the end.
    pub base_url: String,
    /// A valid key. Its owner has a default entity, which the cases use.
    pub key: ApiKey,
    /// Prefix of all project names. No project on the backend may have it yet.
    pub prefix: String,
}

/// One requirement of a backend.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, which is part of the names of its projects.
    pub name: &'static str,
    run: for<'a> fn(&'a Target) -> Pin<Box<dyn Future<Output = Check> + Send + 'a>>,
}

/// The outcome of a case: nothing, or a sentence that describes the failure.
type Check<T = ()> = Result<T, String>;

/// A failed case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{case}: {what}")]
pub struct Failure {
    /// The case's name.
    pub case: &'static str,
    /// The failure, in words.
    pub what: String,
}

impl Case {
    /// Runs the case.
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
    [
        opening::CASES,
        rows::CASES,
        once::CASES,
        acks::CASES,
        binary::CASES,
        files::CASES,
        refusals::CASES,
    ]
    .concat()
}

/// Runs all cases, one after another, and returns those that failed.
pub async fn run_all(target: &Target) -> Vec<Failure> {
    let mut failures = Vec::new();
    for case in cases() {
        failures.extend(case.run(target).await.err());
    }
    failures
}

/// Creates a case from an async function that takes a [`Client`].
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

/// Fails a case unless a condition is true.
macro_rules! ensure {
    ($condition:expr, $($what:tt)*) => {
        if !$condition {
            return Err(format!($($what)*));
        }
    };
}

use {case, ensure};
