//! Table names: as callers write them, and as full paths once entity and project are known.

#[cfg(feature = "serde")]
mod serde;

use std::fmt;
use std::str::FromStr;

/// Maximum length of a table or project name, in characters.
///
/// Source: the check that weave 0.24–0.50 applies to artifact names.
const MAX_NAME_CHARS: usize = 128;

/// A table name as a caller writes it: `table`, `project/table` or `entity/project/table`.
///
/// The parts follow the rules that the W&B clients check (protocol notes §13), so every name that
/// parses can be created on a server.
///
/// ```
/// use streamtable_name::TableName;
///
/// let name: TableName = "my-team/mnist/predictions".parse()?;
/// assert_eq!(name.entity(), Some("my-team"));
/// assert_eq!(name.table(), "predictions");
///
/// let error = "my-team/mnist/predictions/v2".parse::<TableName>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "a table name has at most three parts, entity/project/table; this one has 4"
/// );
/// # Ok::<(), streamtable_name::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableName {
    entity: Option<String>,
    project: Option<String>,
    table: String,
}

impl TableName {
    /// Returns the entity (a user or a team), if the name has one.
    pub fn entity(&self) -> Option<&str> {
        self.entity.as_deref()
    }

    /// Returns the project, if the name has one.
    pub fn project(&self) -> Option<&str> {
        self.project.as_deref()
    }

    /// Returns the table part.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Adds a project that was given separately.
    ///
    /// Fails if the name already has a project ([`NameError::Twice`]) or the project is invalid.
    pub fn with_project(mut self, project: &str) -> Result<Self, NameError> {
        if self.project.is_some() {
            return Err(NameError::Twice { part: NamePart::Project });
        }
        check(NamePart::Project, project)?;
        self.project = Some(project.to_owned());
        Ok(self)
    }

    /// Adds an entity that was given separately.
    ///
    /// Fails if the name already has an entity ([`NameError::Twice`]) or the entity is invalid.
    pub fn with_entity(mut self, entity: &str) -> Result<Self, NameError> {
        if self.entity.is_some() {
            return Err(NameError::Twice { part: NamePart::Entity });
        }
        check(NamePart::Entity, entity)?;
        self.entity = Some(entity.to_owned());
        Ok(self)
    }

    /// Returns the full path.
    ///
    /// Fails with [`NameError::Missing`] if the entity or the project is unknown.
    pub fn to_path(&self) -> Result<TablePath, NameError> {
        let part = |part, value: &Option<String>| value.clone().ok_or(NameError::Missing { part });
        Ok(TablePath {
            project: part(NamePart::Project, &self.project)?,
            entity: part(NamePart::Entity, &self.entity)?,
            table: self.table.clone(),
        })
    }
}

impl FromStr for TableName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parts: Vec<&str> = text.split('/').collect();
        let (entity, project, table) = match parts[..] {
            [table] => (None, None, table),
            [project, table] => (None, Some(project), table),
            [entity, project, table] => (Some(entity), Some(project), table),
            _ => return Err(NameError::TooManyParts { parts: parts.len() }),
        };
        if let Some(entity) = entity {
            check(NamePart::Entity, entity)?;
        }
        if let Some(project) = project {
            check(NamePart::Project, project)?;
        }
        check(NamePart::Table, table)?;
        Ok(Self {
            entity: entity.map(str::to_owned),
            project: project.map(str::to_owned),
            table: table.to_owned(),
        })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.entity, &self.project].into_iter().flatten() {
            write!(f, "{part}/")?;
        }
        f.write_str(&self.table)
    }
}

impl From<TablePath> for TableName {
    fn from(path: TablePath) -> Self {
        Self { entity: Some(path.entity), project: Some(path.project), table: path.table }
    }
}

/// A table's full path: entity, project and table.
///
/// ```
/// use streamtable_name::TablePath;
///
/// let path = TablePath::new("stacey", "mesa", "my_stream_table")?;
/// assert_eq!(path.to_string(), "stacey/mesa/my_stream_table");
/// # Ok::<(), streamtable_name::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TablePath {
    entity: String,
    project: String,
    table: String,
}

impl TablePath {
    /// Makes a path from its three parts, which it validates.
    pub fn new(entity: &str, project: &str, table: &str) -> Result<Self, NameError> {
        check(NamePart::Entity, entity)?;
        check(NamePart::Project, project)?;
        check(NamePart::Table, table)?;
        Ok(Self { entity: entity.into(), project: project.into(), table: table.into() })
    }

    /// Returns the entity: a user or a team.
    pub fn entity(&self) -> &str {
        &self.entity
    }

    /// Returns the project.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Returns the table part.
    pub fn table(&self) -> &str {
        &self.table
    }
}

impl FromStr for TablePath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.parse::<TableName>()?.to_path()
    }
}

impl fmt::Display for TablePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.entity, self.project, self.table)
    }
}

/// One of the three parts of a table's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamePart {
    /// The user or team.
    Entity,
    /// The project.
    Project,
    /// The table itself.
    Table,
}

impl fmt::Display for NamePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entity => "entity",
            Self::Project => "project",
            Self::Table => "table name",
        })
    }
}

/// The reason why a string is not a table name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There are more parts than entity, project and table.
    #[error("a table name has at most three parts, entity/project/table; this one has {parts}")]
    TooManyParts {
        /// The number of parts.
        parts: usize,
    },
    /// A part is empty.
    #[error("the {part} is empty")]
    Empty {
        /// The part.
        part: NamePart,
    },
    /// A part is longer than any backend accepts.
    #[error("the {part} has {chars} characters, at most {MAX_NAME_CHARS} are allowed")]
    TooLong {
        /// The part.
        part: NamePart,
        /// The number of characters in it.
        chars: usize,
    },
    /// A part contains a character that is not allowed there.
    #[error("the {part} {name:?} contains {character:?}; it may contain {}", allowed(*part))]
    Forbidden {
        /// The part.
        part: NamePart,
        /// The part as given.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// A part is `.` or `..`, which paths interpret as a folder.
    #[error("the {part} may not be {name:?}")]
    Dots {
        /// The part.
        part: NamePart,
        /// The part as given.
        name: String,
    },
    /// A part was given both in the name and separately.
    #[error("the {part} is given twice: in the table name and separately")]
    Twice {
        /// The part.
        part: NamePart,
    },
    /// A part was not given.
    #[error("the {part} is missing: write entity/project/table, or give the {part} separately")]
    Missing {
        /// The part.
        part: NamePart,
    },
}

fn allowed(part: NamePart) -> &'static str {
    match part {
        NamePart::Entity => "a-z, 0-9, _ and -",
        NamePart::Project => r"no control characters and none of / \ # ? % :",
        NamePart::Table => "A-Z, a-z, 0-9, _, . and -",
    }
}

fn check(part: NamePart, name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty { part });
    }
    let chars = name.chars().count();
    if chars > MAX_NAME_CHARS {
        return Err(NameError::TooLong { part, chars });
    }
    let is_allowed = |c: char| match part {
        NamePart::Entity => c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'),
        NamePart::Project => !c.is_control() && !r"/\#?%:".contains(c),
        NamePart::Table => c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'),
    };
    if let Some(character) = name.chars().find(|&c| !is_allowed(c)) {
        return Err(NameError::Forbidden { part, name: name.into(), character });
    }
    if matches!(name, "." | "..") {
        return Err(NameError::Dots { part, name: name.into() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn accepts(text: &str) {
        let name: TableName = text.parse().unwrap();
        assert_eq!(name.to_string(), text);
    }

    #[track_caller]
    fn refuses(text: &str, message: &str) {
        assert_eq!(text.parse::<TableName>().unwrap_err().to_string(), message);
    }

    #[test]
    fn names() {
        accepts("t");
        accepts("my project/t");
        accepts("my-team_1/été/Table.v1-2_x");
        accepts(&"x".repeat(128));

        refuses("", "the table name is empty");
        refuses("p/", "the table name is empty");
        refuses("/t", "the project is empty");
        refuses("e//t", "the project is empty");
        refuses("/p/t", "the entity is empty");
        refuses(
            "a/b/c/d",
            "a table name has at most three parts, entity/project/table; this one has 4",
        );
        refuses(&"x".repeat(129), "the table name has 129 characters, at most 128 are allowed");
        refuses("My/p/t", r#"the entity "My" contains 'M'; it may contain a-z, 0-9, _ and -"#);
        refuses(
            "p:q/t",
            r#"the project "p:q" contains ':'; it may contain no control characters and none of / \ # ? % :"#,
        );
        refuses(
            "a b",
            r#"the table name "a b" contains ' '; it may contain A-Z, a-z, 0-9, _, . and -"#,
        );
        refuses("e/p/..", r#"the table name may not be "..""#);
        refuses("./t", r#"the project may not be ".""#);
    }

    #[test]
    fn parts_given_separately() {
        let name: TableName = "t".parse().unwrap();
        assert_eq!(name.to_path(), Err(NameError::Missing { part: NamePart::Project }));
        let name = name.with_project("p").unwrap();
        assert_eq!(name.to_path(), Err(NameError::Missing { part: NamePart::Entity }));
        assert_eq!(
            name.clone().with_project("q"),
            Err(NameError::Twice { part: NamePart::Project })
        );
        let path = name.with_entity("e").unwrap().to_path().unwrap();
        assert_eq!(path, "e/p/t".parse().unwrap());
    }
}
