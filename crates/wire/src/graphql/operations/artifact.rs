//! Operations that create and commit a table's artifact.

use serde::{Deserialize, Serialize};
use streamtable_schema::TablePath;

use super::{Artifact, Identified, Operation, answer, present, variables};
use crate::{MANIFEST_NAME, StreamTableArtifact};

variables! {
    /// Creates an artifact's manifest, first without content, then with its digest.
    CreateManifest {
        /// The entity.
        entity: String,
        /// The project.
        project: String,
        /// The table's run.
        table: String,
        /// The artifact.
        artifact: String,
        /// The version before it.
        base_artifact: Option<String>,
        /// The manifest's name.
        name: String,
        /// The base64 of the MD5 of its bytes; empty until it has content.
        digest: String,
        /// Whether to return an upload URL for the bytes.
        with_upload: bool,
    }
}

impl CreateManifest {
    /// Requests the manifest of an artifact, with its digest if known.
    pub fn new(table: &TablePath, artifact: &Artifact, digest: Option<&str>) -> Self {
        Self {
            entity: table.entity().to_owned(),
            project: table.project().to_owned(),
            table: table.table().to_owned(),
            artifact: artifact.id.clone(),
            base_artifact: artifact.base_id(),
            name: MANIFEST_NAME.to_owned(),
            digest: digest.unwrap_or_default().to_owned(),
            with_upload: digest.is_some(),
        }
    }
}

impl Operation for CreateManifest {
    const NAME: &'static str = "StreamTableManifest";
    const DOCUMENT: &'static str = include_str!("../documents/create_manifest.graphql");
    type Answer = CreateManifestAnswer;
}

answer! {
    /// The response to [`CreateManifest`].
    CreateManifestAnswer {
        /// The created manifest.
        #[serde(deserialize_with = "present")]
        create_artifact_manifest: Option<CreatedManifest>,
    }
}

answer! {
    /// The result of [`CreateManifest`].
    CreatedManifest {
        /// The manifest.
        artifact_manifest: Option<ArtifactManifest>,
    }
}

answer! {
    /// A manifest.
    ArtifactManifest {
        /// Its id.
        id: String,
        /// The upload URL, if it was requested.
        #[serde(default)]
        file: Option<Upload>,
    }
}

answer! {
    /// An upload URL.
    Upload {
        /// The URL to PUT the bytes to; `None` if the server already has them.
        #[serde(default)]
        upload_url: Option<String>,
        /// Headers of the upload request, each as `Name:Value`.
        #[serde(default)]
        upload_headers: Option<Vec<String>>,
    }
}

impl CreateManifestAnswer {
    /// Returns the manifest, if the response is complete.
    pub fn manifest(&self) -> Option<&ArtifactManifest> {
        self.create_artifact_manifest.as_ref()?.artifact_manifest.as_ref()
    }
}

variables! {
    /// Announces an artifact's two files.
    CreateArtifactFiles {
        /// The artifact.
        artifact: String,
        /// Its manifest.
        manifest: String,
        /// The first file's path.
        first_name: String,
        /// The base64 of the MD5 of the first file's bytes.
        first_md5: String,
        /// The second file's path.
        second_name: String,
        /// The base64 of the MD5 of the second file's bytes.
        second_md5: String,
    }
}

impl CreateArtifactFiles {
    /// Announces the files of a table's artifact.
    pub fn new(artifact: &str, manifest: &str, content: &StreamTableArtifact) -> Self {
        let [first, second] = &content.files;
        Self {
            artifact: artifact.to_owned(),
            manifest: manifest.to_owned(),
            first_name: first.path.to_owned(),
            first_md5: first.digest.clone(),
            second_name: second.path.to_owned(),
            second_md5: second.digest.clone(),
        }
    }
}

impl Operation for CreateArtifactFiles {
    const NAME: &'static str = "StreamTableArtifactFiles";
    const DOCUMENT: &'static str = include_str!("../documents/create_artifact_files.graphql");
    type Answer = CreateArtifactFilesAnswer;
}

answer! {
    /// The response to [`CreateArtifactFiles`].
    CreateArtifactFilesAnswer {
        /// The files.
        #[serde(deserialize_with = "present")]
        create_artifact_files: Option<CreatedFiles>,
    }
}

answer! {
    /// The result of [`CreateArtifactFiles`].
    CreatedFiles {
        /// The files.
        files: Edges<ArtifactFileNode>,
    }
}

answer! {
    /// A file of an artifact.
    ArtifactFileNode {
        /// Its path, as announced.
        display_name: Option<String>,
        /// The artifact that first had it.
        artifact: Option<Identified>,
        /// The URL to PUT its bytes to; `None` if the server already has them.
        upload_url: Option<String>,
        /// Headers of the upload request, each as `Name:Value`.
        #[serde(default)]
        upload_headers: Option<Vec<String>>,
    }
}

/// A GraphQL connection: edges with nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edges<T> {
    /// The edges.
    pub edges: Vec<Edge<T>>,
}

/// An edge of a connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edge<T> {
    /// The node.
    pub node: T,
}

impl<T> FromIterator<T> for Edges<T> {
    fn from_iter<I: IntoIterator<Item = T>>(nodes: I) -> Self {
        Self { edges: nodes.into_iter().map(|node| Edge { node }).collect() }
    }
}

variables! {
    /// Commits an artifact.
    CommitArtifact {
        /// The artifact.
        artifact: String,
    }
}

impl Operation for CommitArtifact {
    const NAME: &'static str = "StreamTableCommit";
    const DOCUMENT: &'static str = include_str!("../documents/commit_artifact.graphql");
    type Answer = CommitArtifactAnswer;
}

answer! {
    /// The response to [`CommitArtifact`].
    CommitArtifactAnswer {
        /// The committed artifact.
        #[serde(deserialize_with = "present")]
        commit_artifact: Option<CommittedArtifact>,
    }
}

answer! {
    /// The result of [`CommitArtifact`].
    CommittedArtifact {
        /// The artifact.
        artifact: Option<Identified>,
    }
}
