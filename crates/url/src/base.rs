//! Base addresses of links.

use std::fmt;
use std::str::FromStr;

/// The API address of W&B's own service.
const WANDB_API: &str = "https://api.wandb.ai";

/// The board address of W&B's own service.
const WANDB_BOARD: &str = "https://weave.wandb.ai";

/// The base address of links, such as `https://weave.wandb.ai`.
///
/// ```
/// use streamtable_url::{BaseUrl, BaseUrlError};
///
/// assert_eq!("https://tables.example/team/".parse::<BaseUrl>()?.as_str(), "https://tables.example/team");
/// assert_eq!("https://me:key@tables.example".parse::<BaseUrl>(), Err(BaseUrlError::UserInfo));
/// # Ok::<(), BaseUrlError>(())
/// ```
///
/// Invariant: http or https, a host, an optional path, no slash at the end; no user, password,
/// query or fragment, because links are printed and shared and must not contain secrets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Returns the address of the board, where [panels](crate::panel_url) open.
    ///
    /// That is `WEAVE_SERVER_URL` if it is set, else the API's address if it is not W&B's own, else
    /// `https://weave.wandb.ai`. An empty value counts as unset.
    pub fn board(weave_server_url: Option<&str>, api: &str) -> Result<Self, BaseUrlError> {
        if let Some(board) = weave_server_url.filter(|url| !url.is_empty()) {
            return board.parse();
        }
        let api: Self = api.parse()?;
        Ok(if api.0 == WANDB_API { Self(WANDB_BOARD.into()) } else { api })
    }

    /// Returns the address of the app, where [runs](crate::run_url) are shown.
    ///
    /// That is `WANDB_APP_URL` if it is set, else the API's address with its host changed as W&B's
    /// own clients do: `api.wandb.x` becomes `wandb.x`, and another `api.x` becomes `app.x`. An
    /// empty value counts as unset.
    pub fn app(wandb_app_url: Option<&str>, api: &str) -> Result<Self, BaseUrlError> {
        if let Some(app) = wandb_app_url.filter(|url| !url.is_empty()) {
            return app.parse();
        }
        let api: Self = api.parse()?;
        Ok(match api.0.split_once("://api.") {
            Some((scheme, host)) if host.starts_with("wandb.") => {
                Self(format!("{scheme}://{host}"))
            }
            Some((scheme, host)) => Self(format!("{scheme}://app.{host}")),
            None => api,
        })
    }

    /// Returns the address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let rest = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let rest = rest.ok_or(BaseUrlError::Scheme)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(BaseUrlError::UserInfo);
        }
        if authority.is_empty() || authority.starts_with(':') {
            return Err(BaseUrlError::Host);
        }
        let is_allowed = |c: char| c.is_ascii_graphic() && !r#""<>\^`{|}"#.contains(c);
        match text.char_indices().find(|&(_, c)| !is_allowed(c) || matches!(c, '?' | '#')) {
            None => Ok(Self(text.trim_end_matches('/').to_owned())),
            Some((_, '?')) => Err(BaseUrlError::Query),
            Some((_, '#')) => Err(BaseUrlError::Fragment),
            Some((position, character)) => Err(BaseUrlError::Character { position, character }),
        }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The reason why a text is not a base address.
///
/// It never contains the text, which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseUrlError {
    /// It does not start with `https://` or `http://`.
    #[error("a server's address starts with https:// or http://")]
    Scheme,
    /// It has no host.
    #[error("the server's address has no host")]
    Host,
    /// It has a user or a password.
    #[error(
        "the server's address contains a user or a password, which would appear in links: give the key \
         in another way"
    )]
    UserInfo,
    /// It has a query.
    #[error("the server's address contains a query; leave out `?` and what follows")]
    Query,
    /// It has a fragment.
    #[error("the server's address contains a fragment; leave out `#` and what follows")]
    Fragment,
    /// It contains a character that is not allowed in a URL.
    #[error(
        "byte {position}: the server's address contains {character:?}, which is not allowed in a url"
    )]
    Character {
        /// The byte offset of the character.
        position: usize,
        /// The character.
        character: char,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use BaseUrlError::*;

    #[track_caller]
    fn check(found: Result<BaseUrl, BaseUrlError>, expected: Result<&str, BaseUrlError>) {
        assert_eq!(found.as_ref().map(BaseUrl::as_str), expected.as_ref().copied());
    }

    #[test]
    fn boards() {
        let board = BaseUrl::board;
        check(board(None, "https://api.wandb.ai"), Ok("https://weave.wandb.ai"));
        check(board(None, "https://api.wandb.ai/"), Ok("https://weave.wandb.ai"));
        check(board(None, "http://127.0.0.1:8080/"), Ok("http://127.0.0.1:8080"));
        check(board(None, "https://api.wandb.air"), Ok("https://api.wandb.air"));
        check(board(None, "https://x.example/tables//"), Ok("https://x.example/tables"));
        check(board(Some(""), "https://api.wandb.ai"), Ok("https://weave.wandb.ai"));
        check(board(Some("https://b.example/"), "not looked at"), Ok("https://b.example"));
    }

    #[test]
    fn apps() {
        let app = BaseUrl::app;
        check(app(None, "https://api.wandb.ai"), Ok("https://wandb.ai"));
        check(app(None, "https://api.corp.example/"), Ok("https://app.corp.example"));
        check(app(None, "http://localhost:8080"), Ok("http://localhost:8080"));
        check(app(None, "https://x.example/api."), Ok("https://x.example/api."));
        check(app(Some(""), "http://localhost"), Ok("http://localhost"));
        check(app(Some("https://ui.example/"), "not looked at"), Ok("https://ui.example"));
    }

    #[test]
    fn refused() {
        let parse = |text: &str| text.parse();
        check(parse(""), Err(Scheme));
        check(parse("weave.wandb.ai"), Err(Scheme));
        check(parse("ftp://x.example"), Err(Scheme));
        check(parse("https://"), Err(Host));
        check(parse("https:///path"), Err(Host));
        check(parse("https://:8080"), Err(Host));
        check(parse("https://key@x.example"), Err(UserInfo));
        check(parse("https://user:key@x.example/path?q"), Err(UserInfo));
        check(parse("https://x.example/?key=secret"), Err(Query));
        check(parse("https://x.example?"), Err(Query));
        check(parse("https://x.example/#a?b"), Err(Fragment));
        check(parse("https://x.example/a b"), Err(Character { position: 19, character: ' ' }));
        check(parse("https://x.example\\@y"), Err(UserInfo));
        check(parse("https://x.example\\y"), Err(Character { position: 17, character: '\\' }));
        check(parse("https://x.example/\n"), Err(Character { position: 18, character: '\n' }));
        check(parse("https://x.example/@team"), Ok("https://x.example/@team"));
    }

    #[test]
    fn errors_contain_no_secrets() {
        for text in ["https://user:hunter2@x", "https://x?hunter2", "https://x#hunter2"] {
            let error = text.parse::<BaseUrl>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }
}
