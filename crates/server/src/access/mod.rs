//! Who asks, and what they may.

/// What somebody may do with an entity's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Look at them.
    Read,
    /// Add rows, files and boards, and look at them.
    Write,
    /// Everything, keys included.
    Admin,
}

/// Who asks: the owner of a key, or of a browser session that began with one.
///
/// Extracting one from a request refuses it with 401 where there is no key or it is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// What the key is called, for the audit log.
    pub name: String,
    /// The entity that the key belongs to; `None` for one that sees every entity.
    pub entity: Option<String>,
    /// The most it may do there.
    pub right: Right,
}

impl Principal {
    /// Tells whether it may do something with an entity's tables.
    ///
    /// Whoever may not even read must not learn what is there: answer as if it were not.
    pub fn may(&self, right: Right, entity: &str) -> bool {
        right <= self.right && self.entity.as_deref().is_none_or(|own| own == entity)
    }

    /// Returns the entities it may read; `None` for all. For [`Query`](streamtable_store::Query).
    pub fn entities(&self) -> Option<Vec<String>> {
        self.entity.clone().map(|entity| vec![entity])
    }
}
