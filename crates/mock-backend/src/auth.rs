//! Authentication.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use streamtable_transport::ApiKey;

use crate::refusal::Refusal;
use crate::route::header;

/// The owner of a key.
#[derive(Debug)]
pub(crate) struct Who {
    /// The default entity of the key's owner.
    pub(crate) default_entity: Option<String>,
    /// Whether the key may access other entities, too.
    opens_all: bool,
}

impl Who {
    pub(crate) fn may_use(&self, entity: &str) -> Result<(), Refusal> {
        if self.opens_all || self.default_entity.as_deref() == Some(entity) {
            return Ok(());
        }
        let message = format!("this key may not access the entity {entity:?}");
        Err(Refusal::plain(StatusCode::FORBIDDEN, message))
    }
}

/// Parses `Authorization`. Only the password is used; the user name is ignored (notes §2).
pub(crate) fn who(
    headers: &HeaderMap,
    keys: Option<&[(ApiKey, String)]>,
    default_entity: Option<&str>,
) -> Result<Who, Refusal> {
    let unauthorized = |message| Refusal::violation(StatusCode::UNAUTHORIZED, message);
    let Some(value) = header(headers, AUTHORIZATION.as_str())? else {
        return Err(unauthorized("the request has no Authorization header"));
    };
    let key = password(value)
        .ok_or_else(|| unauthorized("Authorization is not Basic base64(user:KEY)"))?;
    let Some(keys) = keys else {
        return Ok(Who { default_entity: default_entity.map(str::to_owned), opens_all: true });
    };
    let found = keys.iter().find(|(known, _)| known.expose() == key);
    let (_, entity) =
        found.ok_or_else(|| Refusal::plain(StatusCode::UNAUTHORIZED, "the API key is unknown"))?;
    Ok(Who { default_entity: Some(entity.clone()), opens_all: false })
}

fn password(value: &str) -> Option<String> {
    let credentials = BASE64_STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let credentials = String::from_utf8(credentials).ok()?;
    let (_, key) = credentials.split_once(':')?;
    (!key.is_empty()).then(|| key.to_owned())
}
