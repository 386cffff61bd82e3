//! The operations that opening a table and uploading its media take.

use serde::{Deserialize, Serialize};
use streamtable_schema::TablePath;

use super::Operation;
use crate::{HistoryKeys, MANIFEST_NAME, STREAM_TABLE_METADATA, StreamTableArtifact};

/// Declares the variables of an operation: a struct whose fields are named as in the document and
/// which takes no others.
macro_rules! variables {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    };
}

/// Declares a part of an answer. Servers may send more than is asked for here.
macro_rules! answer {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    };
}

variables! {
    /// Asks to whom the key belongs.
    WhoAmI {}
}

impl Operation for WhoAmI {
    const NAME: &'static str = "StreamTableWhoAmI";
    const DOCUMENT: &'static str = include_str!("documents/who_am_i.graphql");
    type Answer = WhoAmIAnswer;
}

answer! {
    /// The answer to [`WhoAmI`].
    WhoAmIAnswer {
        /// The key's owner; absent when the server does not know the key.
        viewer: Option<Viewer>,
    }
}

answer! {
    /// The owner of a key.
    Viewer {
        /// The entity that the owner logs to when none is named.
        default_entity: Option<Named>,
    }
}

answer! {
    /// Something of which only the name matters.
    Named {
        /// The name.
        name: String,
    }
}

variables! {
    /// Asks what the server can do.
    ServerFeatures {}
}

impl Operation for ServerFeatures {
    const NAME: &'static str = "StreamTableServerFeatures";
    const DOCUMENT: &'static str = include_str!("documents/server_features.graphql");
    type Answer = ServerFeaturesAnswer;
}

answer! {
    /// The answer to [`ServerFeatures`].
    ServerFeaturesAnswer {
        /// What the server says of itself.
        server_info: Option<ServerInfo>,
    }
}

answer! {
    /// What a server says of itself.
    ServerInfo {
        /// The features that it names.
        features: Vec<Feature>,
    }
}

answer! {
    /// A feature of a server.
    Feature {
        /// Its name.
        name: String,
        /// Whether it is on.
        is_enabled: bool,
    }
}

impl ServerFeaturesAnswer {
    /// Tells whether a feature is on.
    pub fn has(&self, feature: &str) -> bool {
        let features = self.server_info.iter().flat_map(|info| &info.features);
        features.into_iter().any(|f| f.name == feature && f.is_enabled)
    }
}

variables! {
    /// Asks what the server knows of a table: its rows, its columns, and whether its artifact is
    /// there.
    FindTable {
        /// The entity.
        entity: String,
        /// The project.
        project: String,
        /// The table.
        table: String,
        /// The digest of the table's artifact.
        digest: String,
    }
}

impl FindTable {
    /// Asks for a table with this artifact.
    pub fn new(table: &TablePath, artifact: &StreamTableArtifact) -> Self {
        Self {
            entity: table.entity().to_owned(),
            project: table.project().to_owned(),
            table: table.table().to_owned(),
            digest: artifact.digest.clone(),
        }
    }
}

impl Operation for FindTable {
    const NAME: &'static str = "StreamTableFind";
    const DOCUMENT: &'static str = include_str!("documents/find_table.graphql");
    type Answer = FindTableAnswer;
}

answer! {
    /// The answer to [`FindTable`].
    FindTableAnswer {
        /// The project, if it is there.
        project: Option<FoundProject>,
    }
}

answer! {
    /// A project, in the answer to [`FindTable`].
    FoundProject {
        /// The table's run.
        run: Option<FoundRun>,
        /// The collection of the table's artifacts.
        artifact_collection: Option<FoundCollection>,
    }
}

answer! {
    /// A table's run, in the answer to [`FindTable`].
    FoundRun {
        /// Its rows and columns.
        history_keys: Option<HistoryKeys>,
    }
}

answer! {
    /// A table's collection of artifacts, in the answer to [`FindTable`].
    FoundCollection {
        /// The artifact with the digest that was asked for.
        artifact_membership: Option<FoundMembership>,
    }
}

answer! {
    /// An artifact in its collection, in the answer to [`FindTable`].
    FoundMembership {
        /// The hash by which it was committed; absent while it is not.
        commit_hash: Option<String>,
    }
}

impl FindTableAnswer {
    /// Returns the table's run, if it is there.
    pub fn run(&self) -> Option<&FoundRun> {
        self.project.as_ref()?.run.as_ref()
    }

    /// Tells whether the artifact is there and whole.
    pub fn has_artifact(&self) -> bool {
        let project = self.project.as_ref();
        let collection = project.and_then(|project| project.artifact_collection.as_ref());
        let membership = collection.and_then(|found| found.artifact_membership.as_ref());
        membership.is_some_and(|membership| membership.commit_hash.is_some())
    }
}

variables! {
    /// Makes sure of a table's project and run, and begins its artifact.
    CreateTable {
        /// The entity.
        entity: String,
        /// The project.
        project: String,
        /// The table.
        table: String,
        /// The digest of the table's artifact.
        digest: String,
        /// The artifact's metadata, JSON as text.
        metadata: String,
    }
}

impl CreateTable {
    /// Asks for a table with this artifact.
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
    const DOCUMENT: &'static str = include_str!("documents/create_table.graphql");
    type Answer = CreateTableAnswer;
}

answer! {
    /// The answer to [`CreateTable`].
    CreateTableAnswer {
        /// The run.
        upsert_bucket: Option<UpsertedRun>,
        /// The artifact.
        create_artifact: Option<CreatedArtifact>,
    }
}

answer! {
    /// A run that was made or was there.
    UpsertedRun {
        /// The run.
        bucket: Option<Named>,
    }
}

answer! {
    /// An artifact that was made or was there.
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
        /// `PENDING`, or `COMMITTED` when one of the same content was there.
        state: String,
        /// The sequence of its versions.
        artifact_sequence: Option<ArtifactSequence>,
    }
}

answer! {
    /// The versions of an artifact.
    ArtifactSequence {
        /// The newest that is whole.
        latest_artifact: Option<Identified>,
    }
}

answer! {
    /// Something of which only the id matters.
    Identified {
        /// The id.
        id: String,
    }
}

impl CreateTableAnswer {
    /// Returns the artifact, if the server answered as it must.
    pub fn artifact(&self) -> Option<&Artifact> {
        self.create_artifact.as_ref()?.artifact.as_ref()
    }
}

impl Artifact {
    /// Tells whether the artifact is whole, so that nothing is left to upload.
    pub fn is_committed(&self) -> bool {
        self.state == "COMMITTED"
    }

    /// Returns the id of the version before this one.
    pub fn base_id(&self) -> Option<String> {
        let latest = self.artifact_sequence.as_ref()?.latest_artifact.as_ref();
        latest.map(|latest| latest.id.clone())
    }
}

variables! {
    /// Makes an artifact's manifest, first without its content, then with its digest.
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
        /// The base64 of the MD5 of its bytes; empty while it has none.
        digest: String,
        /// Whether to answer with an address for the bytes.
        with_upload: bool,
    }
}

impl CreateManifest {
    /// Asks for the manifest of an artifact, with its digest if it has one.
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
    const DOCUMENT: &'static str = include_str!("documents/create_manifest.graphql");
    type Answer = CreateManifestAnswer;
}

answer! {
    /// The answer to [`CreateManifest`].
    CreateManifestAnswer {
        /// What was made.
        create_artifact_manifest: Option<CreatedManifest>,
    }
}

answer! {
    /// What [`CreateManifest`] made.
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
        /// Where its bytes go, when that was asked.
        #[serde(default)]
        file: Option<Upload>,
    }
}

answer! {
    /// Where bytes go.
    Upload {
        /// The address to put them to; none when the server has them.
        #[serde(default)]
        upload_url: Option<String>,
        /// Headers of that request, each as `Name:Value`.
        #[serde(default)]
        upload_headers: Option<Vec<String>>,
    }
}

impl CreateManifestAnswer {
    /// Returns the manifest, if the server answered as it must.
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
    const DOCUMENT: &'static str = include_str!("documents/create_artifact_files.graphql");
    type Answer = CreateArtifactFilesAnswer;
}

answer! {
    /// The answer to [`CreateArtifactFiles`].
    CreateArtifactFilesAnswer {
        /// The files.
        create_artifact_files: Option<CreatedFiles>,
    }
}

answer! {
    /// What [`CreateArtifactFiles`] made.
    CreatedFiles {
        /// The files.
        files: Edges<ArtifactFileNode>,
    }
}

answer! {
    /// A file of an artifact.
    ArtifactFileNode {
        /// Its path, as it was announced.
        display_name: Option<String>,
        /// The artifact that first had it.
        artifact: Option<Identified>,
        /// The address to put its bytes to; none when the server has them.
        upload_url: Option<String>,
        /// Headers of that request, each as `Name:Value`.
        #[serde(default)]
        upload_headers: Option<Vec<String>>,
    }
}

/// A list in the manner of GraphQL: edges with nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edges<T> {
    /// The edges.
    pub edges: Vec<Edge<T>>,
}

/// An edge of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edge<T> {
    /// What it leads to.
    pub node: T,
}

impl<T> FromIterator<T> for Edges<T> {
    fn from_iter<I: IntoIterator<Item = T>>(nodes: I) -> Self {
        Self { edges: nodes.into_iter().map(|node| Edge { node }).collect() }
    }
}

variables! {
    /// Declares an artifact whole.
    CommitArtifact {
        /// The artifact.
        artifact: String,
    }
}

impl Operation for CommitArtifact {
    const NAME: &'static str = "StreamTableCommit";
    const DOCUMENT: &'static str = include_str!("documents/commit_artifact.graphql");
    type Answer = CommitArtifactAnswer;
}

answer! {
    /// The answer to [`CommitArtifact`].
    CommitArtifactAnswer {
        /// What was committed.
        commit_artifact: Option<CommittedArtifact>,
    }
}

answer! {
    /// What [`CommitArtifact`] committed.
    CommittedArtifact {
        /// The artifact.
        artifact: Option<Identified>,
    }
}

variables! {
    /// Announces files of a table, and asks where their bytes go.
    CreateRunFiles {
        /// The entity.
        entity: String,
        /// The project.
        project: String,
        /// The table's run.
        table: String,
        /// The files' paths.
        files: Vec<String>,
    }
}

impl CreateRunFiles {
    /// Announces files of a table.
    pub fn new(table: &TablePath, files: Vec<String>) -> Self {
        Self {
            entity: table.entity().to_owned(),
            project: table.project().to_owned(),
            table: table.table().to_owned(),
            files,
        }
    }
}

impl Operation for CreateRunFiles {
    const NAME: &'static str = "StreamTableRunFiles";
    const DOCUMENT: &'static str = include_str!("documents/create_run_files.graphql");
    type Answer = CreateRunFilesAnswer;
}

answer! {
    /// The answer to [`CreateRunFiles`].
    CreateRunFilesAnswer {
        /// Where the bytes go.
        create_run_files: Option<CreatedRunFiles>,
    }
}

answer! {
    /// Where the bytes of a table's files go.
    CreatedRunFiles {
        /// Headers of every upload, each as `Name:Value`.
        #[serde(default)]
        upload_headers: Option<Vec<String>>,
        /// The files, in any order.
        files: Vec<RunFile>,
    }
}

answer! {
    /// A file of a table.
    RunFile {
        /// Its path, as it was announced.
        name: String,
        /// The address to put its bytes to; none when the server has them.
        upload_url: Option<String>,
    }
}

variables! {
    /// Reads rows back.
    ReadRows {
        /// The entity.
        entity: String,
        /// The project.
        project: String,
        /// The table's run.
        table: String,
        /// The number of the first row.
        min: u64,
        /// The number behind the last row.
        max: u64,
        /// How many rows to answer with at the most.
        limit: u64,
    }
}

impl ReadRows {
    /// Reads the rows of a table from number `min` on, before `max`, as many as `limit`.
    pub fn new(table: &TablePath, min: u64, max: u64, limit: u64) -> Self {
        Self {
            entity: table.entity().to_owned(),
            project: table.project().to_owned(),
            table: table.table().to_owned(),
            min,
            max,
            limit,
        }
    }
}

impl Operation for ReadRows {
    const NAME: &'static str = "StreamTableRows";
    const DOCUMENT: &'static str = include_str!("documents/read_rows.graphql");
    type Answer = ReadRowsAnswer;
}

answer! {
    /// The answer to [`ReadRows`].
    ReadRowsAnswer {
        /// The project, if it is there.
        project: Option<ReadProject>,
    }
}

answer! {
    /// A project, in the answer to [`ReadRows`].
    ReadProject {
        /// The table's run, if it is there.
        run: Option<ReadRun>,
    }
}

answer! {
    /// A table's run, in the answer to [`ReadRows`].
    ReadRun {
        /// Its rows, oldest first: each a history line, for [`HistoryLine`](crate::HistoryLine).
        history: Vec<String>,
    }
}
