//! Silences.

use serde::{Deserialize, Serialize};

/// A time during which a monitor's transitions are recorded, but not reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// When it ends, in milliseconds since 1970.
    pub until: i64,
    /// The group that it concerns; all groups if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The key that made it.
    pub by: String,
}

impl Silence {
    /// Returns whether the silence holds for a group at a time.
    pub fn holds(&self, group: &str, now: i64) -> bool {
        now < self.until && self.group.as_deref().is_none_or(|own| own == group)
    }
}
