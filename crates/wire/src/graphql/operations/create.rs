//! Operation that creates a table and its artifact.

use serde::{Deserialize, Serialize};
use streamtable_schema::TablePath;

use super::{Identified, Named, Operation, answer, present, variables};
use crate::{STREAM_TABLE_METADATA, StreamTableArtifact};

variables! {
    /// Creates a table's project and run if they do not exist, and starts its artifact.
    CreateTable {
        /// The entity.
        entity: String,
        /// The project.
        project: String,
        /// The table.
        table: String,
        /// The digest of the table's artifact.
        digest: String,
        /// The artifact's metadata as JSON text.
        metadata: String,
    }
}

impl CreateTable {
    /// Requests a table with this artifact.
    pub fn new(table: &TablePath, artifact: &StreamTableArtifact) -> Self {
        Self {
            entity: table.entity().to_owned(),
            project: table.project().to_owned(),
            table: table.table().to_owned(),
            digest: artifact.digest.clone(),
            metadata: STREAM_TABLE_METADATA.to_owned(),
        }
    }
}

impl Operation for CreateTable {
    const NAME: &'static str = "StreamTableCreate";
    const DOCUMENT: &'static str = include_str!("../documents/create_table.graphql");
    type Answer = CreateTableAnswer;
}

answer! {
    /// The response to [`CreateTable`].
    CreateTableAnswer {
        /// The run.
        #[serde(deserialize_with = "present")]
        upsert_bucket: Option<UpsertedRun>,
        /// The artifact.
        #[serde(deserialize_with = "present")]
        create_artifact: Option<CreatedArtifact>,
    }
}

answer! {
    /// A created or existing run.
    UpsertedRun {
        /// The run.
        bucket: Option<Named>,
    }
}

answer! {
    /// A created or existing artifact.
    CreatedArtifact {
        /// The artifact.
        artifact: Option<Artifact>,
    }
}

answer! {
    /// An artifact.
    Artifact {
        /// Its id.
        id: String,
        /// `PENDING`, or `COMMITTED` if an artifact with the same content existed.
        state: String,
        /// The sequence that contains the artifact's versions.
        artifact_sequence: Option<ArtifactSequence>,
    }
}

answer! {
    /// The versions of an artifact.
    ArtifactSequence {
        /// The newest committed version.
        latest_artifact: Option<Identified>,
    }
}

impl CreateTableAnswer {
    /// Returns the artifact, if the response is complete.
    pub fn artifact(&self) -> Option<&Artifact> {
        self.create_artifact.as_ref()?.artifact.as_ref()
    }
}

impl Artifact {
    /// Returns whether the artifact is committed, so that nothing is left to upload.
    pub fn is_committed(&self) -> bool {
        self.state == "COMMITTED"
    }

    /// Returns the id of the previous version.
    pub fn base_id(&self) -> Option<String> {
        let latest = self.artifact_sequence.as_ref()?.latest_artifact.as_ref();
        latest.map(|latest| latest.id.clone())
    }
}
