//! Principals and their rights.

use crate::ApiError;

/// A right on an entity's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Read them.
    Read,
    /// Read them; add rows, files and boards.
    Write,
    /// Everything, including keys.
    Admin,
}

/// The principal of a request: the owner of a key, or of a browser session that was started with
/// one.
///
/// The extractor rejects requests without a valid key with 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The name of the key, for the audit log.
    pub name: String,
    /// The entity of the key; `None` if it is valid for every entity.
    pub entity: Option<String>,
    /// The maximum right.
    pub right: Right,
}

impl Principal {
    /// Returns whether the principal has a right on an entity's tables.
    ///
    /// If it may not even read them, answer as if they did not exist: it must not learn that they
    /// do.
    pub fn may(&self, right: Right, entity: &str) -> bool {
        right <= self.right && self.entity.as_deref().is_none_or(|own| own == entity)
    }

    /// Fails and writes to the audit log if the principal lacks a right on an entity's tables.
    ///
    /// The error is 404 if the principal may not read, as if nothing existed, otherwise 403.
    pub fn check(&self, right: Right, entity: &str) -> Result<(), ApiError> {
        if self.may(right, entity) {
            return Ok(());
        }
        tracing::warn!(target: "audit", key = self.name, entity, ?right, "not allowed");
        if self.may(Right::Read, entity) {
            let message = format!("this key may not change anything in {entity}");
            return Err(ApiError::new(http::StatusCode::FORBIDDEN, message));
        }
        Err(ApiError::not_found(format!("there is no entity {entity:?}")))
    }

    /// Returns the name under which the principal's queries are counted.
    pub fn owner(&self) -> String {
        match &self.entity {
            Some(entity) => format!("key {:?} of {entity}", self.name),
            None => format!("key {:?}", self.name),
        }
    }

    /// Returns the entities that the principal may read; `None` for all. For
    /// [`SqlQuery`](streamtable_store::SqlQuery).
    pub fn entities(&self) -> Option<Vec<String>> {
        self.entity.clone().map(|entity| vec![entity])
    }
}

impl Right {
    /// Returns the name of the right: `read`, `write` or `admin`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is not the name of a [`Right`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a right; use read, write or admin")]
pub struct NotARight {
    /// The text.
    pub text: String,
}

impl std::str::FromStr for Right {
    type Err = NotARight;

    fn from_str(text: &str) -> Result<Self, NotARight> {
        let all = [Self::Read, Self::Write, Self::Admin];
        let found = all.into_iter().find(|right| right.as_str() == text);
        found.ok_or_else(|| NotARight { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(own: (Option<&str>, Right), asked: (Right, &str), status: Option<u16>) {
        let entity = own.0.map(str::to_owned);
        let principal = Principal { name: "k".into(), entity, right: own.1 };
        let answer = principal.check(asked.0, asked.1);
        assert_eq!(answer.err().map(|error| error.status().as_u16()), status);
        assert_eq!(principal.may(asked.0, asked.1), status.is_none());
    }

    #[test]
    fn rights() {
        use Right::*;
        check((Some("a"), Write), (Read, "a"), None);
        check((Some("a"), Write), (Write, "a"), None);
        check((Some("a"), Write), (Admin, "a"), Some(403));
        check((Some("a"), Read), (Write, "a"), Some(403));
        check((Some("a"), Admin), (Read, "b"), Some(404));
        check((Some("a"), Admin), (Read, "A"), Some(404));
        check((None, Read), (Read, "b"), None);
        check((None, Read), (Write, "b"), Some(403));
        for right in [Read, Write, Admin] {
            assert_eq!(right.to_string().parse(), Ok(right));
        }
        assert!("ADMIN".parse::<Right>().is_err());
    }
}
