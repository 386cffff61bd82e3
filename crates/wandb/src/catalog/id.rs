//! Ids of catalog entries, as clients see them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The kind of entry that an [`Id`] identifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Alias,
    Artifact,
    ArtifactFile,
    ArtifactType,
    Collection,
    Manifest,
    Project,
    Run,
    RunFile,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Alias,
        Self::Artifact,
        Self::ArtifactFile,
        Self::ArtifactType,
        Self::Collection,
        Self::Manifest,
        Self::Project,
        Self::Run,
        Self::RunFile,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Alias => "ArtifactAlias",
            Self::Artifact => "Artifact",
            Self::ArtifactFile => "ArtifactFile",
            Self::ArtifactType => "ArtifactType",
            Self::Collection => "ArtifactCollection",
            Self::Manifest => "ArtifactManifest",
            Self::Project => "Project",
            Self::Run => "Run",
            Self::RunFile => "File",
        }
    }
}

/// An id: `Kind:number` in base64. Clients convert it to hexadecimal and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) kind: Kind,
    pub(crate) number: i64,
}

impl Id {
    pub(crate) fn new(kind: Kind, number: i64) -> Self {
        Self { kind, number }
    }

    /// Parses an id of the given kind.
    pub(crate) fn parse(kind: Kind, text: &str) -> Option<i64> {
        let bytes = BASE64_STANDARD.decode(text).ok()?;
        let (name, number) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == name)?;
        (found == kind).then(|| number.parse().ok()).flatten()
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(format!("{}:{}", self.kind.name(), self.number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip() {
        for kind in Kind::ALL {
            for number in [0, 7, i64::MAX] {
                let text = Id::new(kind, number).to_string();
                assert_eq!(Id::parse(kind, &text), Some(number));
                let other = if kind == Kind::Run { Kind::Project } else { Kind::Run };
                assert_eq!(Id::parse(other, &text), None);
            }
        }
        for text in ["", "QXJ0aWZhY3Q6", "QXJ0aWZhY3Q6eA==", "é", "QXJ0aWZhY3Q"] {
            assert_eq!(Id::parse(Kind::Artifact, text), None);
        }
    }
}
