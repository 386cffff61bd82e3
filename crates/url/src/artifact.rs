//! The address of a table among W&B's artifacts.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use streamtable_name::{NameError, TablePath};

const SCHEME: &str = "wandb-artifact:///";
const FILE: &str = "obj";

/// A table's address: `wandb-artifact:///ENTITY/PROJECT/TABLE:VERSION/obj`.
///
/// The version is an alias or a commit hash. A suffix `#a/b` may name a part of the object. Names
/// are written without percent escapes, as Weave does; both forms are parsed, as in Weave.
///
/// ```
/// use streamtable_url::ArtifactUri;
///
/// let uri: ArtifactUri = "wandb-artifact:///stacey/my%20project/scores:v3/obj".parse()?;
/// assert_eq!(uri.table().project(), "my project");
/// assert_eq!(uri.version(), "v3");
/// assert_eq!(uri.to_string(), "wandb-artifact:///stacey/my project/scores:v3/obj");
/// # Ok::<(), streamtable_url::UriError>(())
/// ```
///
/// Invariant: the version is not empty and contains no control character and none of `/ \ # ? % :`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArtifactUri {
    table: TablePath,
    version: String,
    suffix: Option<String>,
}

impl ArtifactUri {
    /// Returns the table.
    pub fn table(&self) -> &TablePath {
        &self.table
    }

    /// Returns the version: an alias such as `latest` or `v3`, or a commit hash.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the text after `#`, if there is any.
    pub fn suffix(&self) -> Option<&str> {
        self.suffix.as_deref()
    }
}

/// Makes the address of the table's latest version.
impl From<TablePath> for ArtifactUri {
    fn from(table: TablePath) -> Self {
        Self { table, version: "latest".into(), suffix: None }
    }
}

impl From<ArtifactUri> for TablePath {
    fn from(uri: ArtifactUri) -> Self {
        uri.table
    }
}

impl FromStr for ArtifactUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let path = text.strip_prefix(SCHEME).ok_or(UriError::Form)?;
        let (path, suffix) = match path.split_once('#') {
            Some((path, suffix)) => (path, Some(suffix.to_owned())),
            None => (path, None),
        };
        let parts: Vec<_> = path.split('/').collect();
        let [entity, project, name, FILE] = parts[..] else { return Err(UriError::Form) };
        let (table, version) = name.split_once(':').ok_or(UriError::Form)?;
        let decode = |part| percent_decode_str(part).decode_utf8().map_err(|_| UriError::Utf8);
        let table = TablePath::new(&decode(entity)?, &decode(project)?, &decode(table)?)?;
        let version = decode(version)?.into_owned();
        if version.is_empty() || version.contains(|c: char| c.is_control() || r"/\#?%:".contains(c))
        {
            return Err(UriError::Version { version });
        }
        Ok(Self { table, version, suffix })
    }
}

impl fmt::Display for ArtifactUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}:{}/{FILE}", self.table, self.version)?;
        match &self.suffix {
            Some(suffix) => write!(f, "#{suffix}"),
            None => Ok(()),
        }
    }
}

/// The reason why a text is not a table's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// The text does not have the parts of a table's address.
    #[error("a table's address has the form {SCHEME}entity/project/table:version/{FILE}")]
    Form,
    /// A name is not a valid table name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The version is empty or contains a character that no alias can have.
    #[error(
        r"the version {version:?} is empty, or contains a control character or one of / \ # ? % :"
    )]
    Version {
        /// The version.
        version: String,
    },
    /// The percent escapes of a part are not valid UTF-8.
    #[error("the percent escapes in a table's address are not utf-8")]
    Utf8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, result: Result<&str, &str>) {
        let uri = text.parse::<ArtifactUri>();
        let printed = uri.map(|uri| uri.to_string()).map_err(|error| error.to_string());
        assert_eq!(printed.as_deref().map_err(String::as_str), result);
    }

    #[test]
    fn addresses() {
        let form =
            "a table's address has the form wandb-artifact:///entity/project/table:version/obj";
        for text in [
            "wandb-artifact:///stacey/mesa/my_stream_table:latest/obj",
            "wandb-artifact:///e/p/t:0123456789abcdef0123/obj",
            "wandb-artifact:///e/p/t:v0/obj#a/b",
            "wandb-artifact:///e/p/t:v0/obj#",
            "wandb-artifact:///e/\"été\" & more/t:latest/obj",
        ] {
            check(text, Ok(text));
        }
        check(
            "wandb-artifact:///e/a%20b/t%2Ex:lat%65st/obj",
            Ok("wandb-artifact:///e/a b/t.x:latest/obj"),
        );

        check("", Err(form));
        check("https:///e/p/t:latest/obj", Err(form));
        check("wandb-artifact://host/e/p/t:latest/obj", Err(form));
        check("wandb-artifact:///e/p/t/obj", Err(form));
        check("wandb-artifact:///e/p/t:latest", Err(form));
        check("wandb-artifact:///e/p/t:latest/obj/", Err(form));
        check("wandb-artifact:///e/p/t:latest/other", Err(form));
        check("wandb-artifact:////p/t:latest/obj", Err("the entity is empty"));
        check(
            "wandb-artifact:///e/a%2Fb/t:latest/obj",
            Err(
                r#"the project "a/b" contains '/'; it may contain no control characters and none of / \ # ? % :"#,
            ),
        );
        check(
            "wandb-artifact:///e/p/t:/obj",
            Err(
                r#"the version "" is empty, or contains a control character or one of / \ # ? % :"#,
            ),
        );
        check(
            "wandb-artifact:///e/p/t:a:b/obj",
            Err(
                r#"the version "a:b" is empty, or contains a control character or one of / \ # ? % :"#,
            ),
        );
        check(
            "wandb-artifact:///e/%FF/t:latest/obj",
            Err("the percent escapes in a table's address are not utf-8"),
        );
    }

    #[test]
    fn tables() {
        let table: TablePath = "e/p/t".parse().unwrap();
        let uri = ArtifactUri::from(table.clone());
        assert_eq!(uri.to_string(), "wandb-artifact:///e/p/t:latest/obj");
        assert_eq!(TablePath::from(uri), table);
    }
}
