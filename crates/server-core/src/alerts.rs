//! Alerts that programs raise.

use std::fmt;

use async_trait::async_trait;

use crate::ApiError;

/// An alert that a program raises, such as a run's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The entity.
    pub entity: String,
    /// The project.
    pub project: String,
    /// The run.
    pub run: String,
    /// What happened, in a few words.
    pub title: String,
    /// Details. May be empty.
    pub text: String,
    /// How urgent it is.
    pub level: AlertLevel,
}

/// How urgent an alert is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlertLevel {
    /// For the record.
    #[default]
    Info,
    /// Look at it soon.
    Warn,
    /// Something is broken.
    Error,
}

/// Receives alerts of programs. Called by protocols, after they have checked the caller's rights.
#[async_trait]
pub trait Alerts: fmt::Debug + Send + Sync {
    /// Records an alert durably; it is delivered later.
    async fn raise(&self, alert: Alert) -> Result<(), ApiError>;
}
