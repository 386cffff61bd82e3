//! Who asks, and what they may.

mod credentials;
mod guard;
mod keys;
mod login;

use crate::ApiError;

pub(crate) use credentials::session_token;
pub(crate) use guard::{Peer, guard};
pub(crate) use keys::router as keys_router;
pub(crate) use login::{form_value, router as login_router};

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

    /// Refuses who may not do something with an entity's tables, and writes it into the audit log.
    ///
    /// Who may not read is told 404, as if nothing were there; who may, 403.
    pub fn check(&self, right: Right, entity: &str) -> Result<(), ApiError> {
        if self.may(right, entity) {
            return Ok(());
        }
        tracing::warn!(target: "audit", key = self.name, entity, ?right, "not allowed");
        if self.may(Right::Read, entity) {
            let message = format!("this key may not change what {entity} has");
            return Err(ApiError::new(http::StatusCode::FORBIDDEN, message));
        }
        Err(ApiError::not_found(format!("there is no entity {entity:?}")))
    }

    /// Returns the name under which its queries are counted.
    pub(crate) fn owner(&self) -> String {
        format!("key {:?} of {:?}", self.name, self.entity)
    }

    /// Returns the entities it may read; `None` for all. For [`Query`](streamtable_store::Query).
    pub fn entities(&self) -> Option<Vec<String>> {
        self.entity.clone().map(|entity| vec![entity])
    }
}

impl Right {
    /// Returns its name: `read`, `write` or `admin`.
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

/// A text that names no [`Right`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is none of read, write and admin")]
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
