//! Routing of requests.

use http::{HeaderMap, Method, Request, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use streamtable_schema::TablePath;
use streamtable_wire::GRAPHQL_PATH;
use streamtable_wire::api::QUERY_PATH;

use crate::RequestKind;
use crate::refusal::Refusal;

/// The resource of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Graphql,
    /// Rows for a run: entity, project and run as in the path.
    FileStream([String; 3]),
    /// A file of a run.
    File([String; 3], String),
    /// A signed URL.
    Storage {
        slot: usize,
        signature: String,
    },
    /// Rows of a table, to be read or appended, and the query string.
    Rows([String; 3], String),
    /// The tail of a table, and the query string.
    Tail([String; 3], String),
    /// A query in SQL.
    Query,
    Unknown,
}

impl Route {
    /// Parses the path relative to the base URL.
    pub(crate) fn of(path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if let Some(slot) = path.strip_prefix("/storage/") {
            return match (slot.parse(), query.strip_prefix("signature=")) {
                (Ok(slot), Some(signature)) => {
                    Self::Storage { slot, signature: signature.to_owned() }
                }
                _ => Self::Unknown,
            };
        }
        if let Some(rest) = path.strip_prefix("/api/tables/") {
            let decoded: Option<Vec<String>> = rest.split('/').map(decode).collect();
            let Some([entity, project, table, what]) = decoded.as_deref() else {
                return Self::Unknown;
            };
            let names = [entity.clone(), project.clone(), table.clone()];
            return match what.as_str() {
                "rows" => Self::Rows(names, query.to_owned()),
                "tail" => Self::Tail(names, query.to_owned()),
                _ => Self::Unknown,
            };
        }
        if !query.is_empty() {
            return Self::Unknown;
        }
        if path == QUERY_PATH {
            return Self::Query;
        }
        if path == GRAPHQL_PATH {
            return Self::Graphql;
        }
        let Some(rest) = path.strip_prefix("/files/") else { return Self::Unknown };
        let decoded: Option<Vec<String>> = rest.split('/').map(decode).collect();
        match decoded.as_deref() {
            Some([entity, project, run, file]) if file == "file_stream" => {
                Self::FileStream([entity.clone(), project.clone(), run.clone()])
            }
            Some([entity, project, run, file @ ..]) if !file.is_empty() => {
                Self::File([entity.clone(), project.clone(), run.clone()], file.join("/"))
            }
            _ => Self::Unknown,
        }
    }

    pub(crate) fn kind(&self, method: &Method) -> RequestKind {
        match self {
            Self::Graphql => RequestKind::Graphql,
            Self::FileStream(_) => RequestKind::FileStream,
            Self::File(..) => RequestKind::Download,
            Self::Storage { .. } if method == Method::GET => RequestKind::Download,
            Self::Storage { .. } => RequestKind::Upload,
            Self::Rows(..) if method == Method::POST => RequestKind::FileStream,
            Self::Rows(..) | Self::Tail(..) | Self::Query => RequestKind::Read,
            Self::Unknown => RequestKind::Other,
        }
    }

    /// Refuses a method that the resource does not support.
    pub(crate) fn check_method(&self, method: &Method) -> Result<(), Refusal> {
        let takes: &[Method] = match self {
            Self::Graphql | Self::FileStream(_) | Self::Query => &[Method::POST],
            Self::Rows(..) => &[Method::POST, Method::GET],
            Self::File(..) | Self::Tail(..) => &[Method::GET],
            Self::Storage { .. } => &[Method::PUT, Method::GET],
            Self::Unknown => {
                return Err(Refusal::violation(StatusCode::NOT_FOUND, "there is no such path"));
            }
        };
        if takes.contains(method) {
            return Ok(());
        }
        let message = format!("this path does not support {method}");
        Err(Refusal::violation(StatusCode::METHOD_NOT_ALLOWED, message))
    }
}

fn decode(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    Some(text.into_owned())
}

/// Returns the path relative to the base URL, if the request is sent there.
pub(crate) fn local_path<'a>(base: &str, uri: &'a Uri) -> Option<&'a str> {
    let base: Uri = base.parse().ok()?;
    let same_origin = uri.scheme() == base.scheme() && uri.authority() == base.authority();
    let path = uri.path_and_query()?.as_str();
    let path = path.strip_prefix(base.path().trim_end_matches('/'))?;
    (same_origin && path.starts_with('/')).then_some(path)
}

/// Creates a table path from the names in a request.
pub(crate) fn table(entity: &str, project: &str, table: &str) -> Result<TablePath, Refusal> {
    TablePath::new(entity, project, table).map_err(|error| Refusal::bad(error.to_string()))
}

pub(crate) fn check_json<B>(request: &Request<B>) -> Result<(), Refusal> {
    let content_type = header(request.headers(), "content-type")?.unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = format!("the content type is application/json, not {content_type:?}");
    Err(Refusal::violation(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}

/// Returns a header that may occur once.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return match headers.contains_key(name) {
            true => Err(Refusal::bad(format!("the header {name} occurs twice"))),
            false => Ok(None),
        };
    };
    let value = value.to_str().map_err(|_| Refusal::bad(format!("the header {name} is no text")));
    value.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Route) {
        assert_eq!(Route::of(path), expected);
    }

    fn names(names: [&str; 3]) -> [String; 3] {
        names.map(str::to_owned)
    }

    #[test]
    fn paths() {
        check("/graphql", Route::Graphql);
        check(
            "/files/me/my%20project/t/file_stream",
            Route::FileStream(names(["me", "my project", "t"])),
        );
        check(
            "/files/e/p/t/media/a.png",
            Route::File(names(["e", "p", "t"]), "media/a.png".into()),
        );
        check("/storage/7?signature=x", Route::Storage { slot: 7, signature: "x".into() });
        check(
            "/api/tables/me/my%20project/t/rows?from=7",
            Route::Rows(names(["me", "my project", "t"]), "from=7".into()),
        );
        check("/api/tables/e/p/t/tail", Route::Tail(names(["e", "p", "t"]), String::new()));
        check("/api/tables/e/p/t/other", Route::Unknown);
        check("/api/tables/e/p/rows", Route::Unknown);
        check("/api/query", Route::Query);
        check("/graphql/", Route::Unknown);
        check("/graphql?x=1", Route::Unknown);
        check("/files/e/p/file_stream", Route::Unknown);
        check("/files/e/p/t", Route::Unknown);
        check("/files/e/%ff/t/file_stream", Route::Unknown);
        check("/storage/7", Route::Unknown);
        check("/", Route::Unknown);
    }

    #[track_caller]
    fn check_local(base: &str, uri: &str, expected: Option<&str>) {
        assert_eq!(local_path(base, &uri.parse().unwrap()), expected);
    }

    #[test]
    fn behind_the_base() {
        check_local("http://mock.invalid", "http://mock.invalid/graphql", Some("/graphql"));
        check_local("http://mock.invalid/", "http://mock.invalid/a?b", Some("/a?b"));
        check_local("http://h:1/base", "http://h:1/base/graphql", Some("/graphql"));
        check_local("http://h:1/base", "http://h:1/basegraphql", None);
        check_local("http://h:1/base", "http://h:1/graphql", None);
        check_local("http://h:1", "https://h:1/graphql", None);
        check_local("http://h:1", "http://other:1/graphql", None);
    }
}
