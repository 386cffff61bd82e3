//! GraphQL types of artifacts.

use std::collections::HashSet;

use async_graphql::{Context, Enum, ID, Interface, Object, SimpleObject};

use super::connection::{PageInfo, connection, page};
use super::file::{ArtifactManifest, File, FileConnection};
use super::mutation_artifact::current_manifest;
use super::project::Project;
use super::run::{Run, RunConnection};
use super::scalar::{DateTime, JsonString};
use super::{RequestContext, request_context};
use crate::catalog::{self, Id, Kind};
use crate::storage::manifest_references;

/// Splits an artifact's name, `collection:alias`. The default alias is `latest`.
pub(super) fn split_name(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or((name, "latest"))
}

/// The upload state of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum ArtifactState {
    Pending,
    Committed,
    Deleted,
}

/// The algorithm that computed an artifact's digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum ArtifactDigestAlgorithm {
    #[graphql(name = "MANIFEST_MD5")]
    ManifestMd5,
}

/// One version of an artifact collection.
pub(super) struct Artifact(pub(super) catalog::Artifact);

/// One version of an artifact collection.
#[Object]
impl Artifact {
    async fn id(&self) -> ID {
        ID(Id::new(Kind::Artifact, self.0.id).to_string())
    }

    async fn digest(&self) -> &str {
        &self.0.digest
    }

    async fn digest_algorithm(&self) -> ArtifactDigestAlgorithm {
        ArtifactDigestAlgorithm::ManifestMd5
    }

    async fn state(&self) -> ArtifactState {
        match self.0.version {
            Some(_) => ArtifactState::Committed,
            None => ArtifactState::Pending,
        }
    }

    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    async fn metadata(&self) -> Option<JsonString> {
        self.0.metadata.clone().map(JsonString)
    }

    async fn labels(&self) -> Option<JsonString> {
        None
    }

    async fn size(&self) -> super::scalar::Int64 {
        super::scalar::Int64(self.0.size)
    }

    async fn file_count(&self) -> super::scalar::Int64 {
        super::scalar::Int64(self.0.file_count)
    }

    async fn version_index(&self) -> Option<i64> {
        self.0.version
    }

    async fn commit_hash(&self) -> Option<&str> {
        self.0.commit_hash.as_deref()
    }

    async fn history_step(&self) -> Option<i64> {
        self.0.history_step
    }

    async fn ttl_duration_seconds(&self) -> i64 {
        self.0.ttl_seconds.unwrap_or(-1)
    }

    async fn ttl_is_inherited(&self) -> bool {
        self.0.ttl_seconds.is_none()
    }

    async fn tags(&self) -> Vec<Tag> {
        let tags = self.0.tags.iter();
        tags.map(|name| Tag { id: ID(format!("Tag:{name}")), name: name.clone() }).collect()
    }

    async fn created_at(&self) -> DateTime {
        DateTime::of_millis(self.0.created_at)
    }

    async fn updated_at(&self) -> Option<DateTime> {
        Some(DateTime::of_millis(self.0.updated_at))
    }

    async fn artifact_sequence(&self) -> ArtifactSequence {
        ArtifactSequence(self.0.collection.clone())
    }

    async fn artifact_type(&self) -> ArtifactType {
        ArtifactType::of_collection(&self.0.collection)
    }

    async fn aliases(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<ArtifactAlias>> {
        let aliases = request_context(ctx).state.catalog.aliases(self.0.id).await?;
        Ok(to_aliases(&self.0.collection, aliases))
    }

    /// The full manifest, once the artifact is committed.
    async fn current_manifest(
        &self,
        ctx: &Context<'_>,
    ) -> async_graphql::Result<Option<ArtifactManifest>> {
        let found = request_context(ctx).state.catalog.current_manifest(self.0.id).await?;
        Ok(found.map(ArtifactManifest))
    }

    async fn files(
        &self,
        ctx: &Context<'_>,
        names: Option<Vec<String>>,
        after: Option<String>,
        first: Option<i32>,
    ) -> async_graphql::Result<FileConnection> {
        files(request_context(ctx), &self.0, names, after.as_deref(), first).await
    }

    /// The run that created the artifact.
    async fn created_by(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Run>> {
        let Some(run) = self.0.run_id else { return Ok(None) };
        Ok(request_context(ctx).by_number(run).await?.map(Run::new))
    }

    /// The runs that use the artifact.
    #[expect(unused_variables, reason = "accepted for compatibility with clients, and ignored")]
    async fn used_by(
        &self,
        ctx: &Context<'_>,
        before: Option<String>,
        after: Option<String>,
        first: Option<i32>,
        last: Option<i32>,
    ) -> async_graphql::Result<RunConnection> {
        let request = request_context(ctx);
        let runs = request.state.catalog.users_of_artifact(self.0.id).await?;
        let seen = runs.into_iter().filter(|run| request.sees(&run.project.entity));
        Ok(RunConnection::page(seen.map(Run::new).collect(), after.as_deref(), first))
    }

    async fn artifact_memberships(&self) -> ArtifactCollectionMembershipConnection {
        let own = self.0.version.is_some().then(|| Membership(self.0.clone()));
        ArtifactCollectionMembershipConnection::page(own.into_iter().collect(), None, None)
    }
}

async fn files(
    request: &RequestContext,
    artifact: &catalog::Artifact,
    names: Option<Vec<String>>,
    after: Option<&str>,
    first: Option<i32>,
) -> async_graphql::Result<FileConnection> {
    let files = request.state.catalog.artifact_files(artifact.id).await?;
    let is_complete = i64::try_from(files.len()).is_ok_and(|count| count >= artifact.file_count);
    let mut files: Vec<File> = files.into_iter().map(File::of_artifact).collect();
    if !is_complete && let Some(manifest) = current_manifest(&request.state, artifact.id).await? {
        let known: HashSet<String> = files.iter().map(|file| file.name.clone()).collect();
        let references = manifest_references(&manifest)?.into_iter();
        let references = references.filter(|reference| !known.contains(&reference.name));
        files.extend(references.map(File::of_reference));
        files.sort_by(|a, b| a.name.cmp(&b.name));
    }
    if let Some(names) = names.filter(|names| !names.is_empty()) {
        files.retain(|file| names.contains(&file.name));
    }
    Ok(FileConnection::page(files, after, first))
}

fn to_aliases(collection: &catalog::Collection, aliases: Vec<(i64, String)>) -> Vec<ArtifactAlias> {
    let aliases = aliases.into_iter();
    aliases.map(|(id, alias)| ArtifactAlias { id, alias, collection: collection.clone() }).collect()
}

/// A tag of an artifact.
#[derive(SimpleObject)]
pub(super) struct Tag {
    id: ID,
    name: String,
}

connection!(TagConnection, TagEdge, Tag);

/// An alias of one version in its collection.
pub(super) struct ArtifactAlias {
    id: i64,
    alias: String,
    collection: catalog::Collection,
}

/// An alias of one version in its collection.
#[Object]
impl ArtifactAlias {
    async fn id(&self) -> ID {
        ID(Id::new(Kind::Alias, self.id).to_string())
    }

    async fn alias(&self) -> &str {
        &self.alias
    }

    async fn artifact_collection(&self) -> Option<ArtifactCollection> {
        Some(self.collection.clone().into())
    }

    async fn artifact_collection_name(&self) -> &str {
        &self.collection.name
    }
}

connection!(ArtifactAliasConnection, ArtifactAliasEdge, ArtifactAlias);

/// A collection: all versions of an artifact.
#[expect(
    clippy::duplicated_attributes,
    reason = "two fields have arguments with the same name, which the lint reports as duplicates"
)]
#[derive(Interface)]
#[graphql(
    field(name = "id", ty = "ID"),
    field(name = "name", ty = "&String"),
    field(name = "description", ty = "&Option<String>"),
    field(name = "created_at", ty = "DateTime"),
    field(name = "updated_at", ty = "Option<DateTime>"),
    field(name = "project", ty = "Option<Project>"),
    field(name = "state", ty = "String"),
    field(name = "default_artifact_type", ty = "ArtifactType"),
    field(name = "tags", ty = "TagConnection"),
    field(
        name = "aliases",
        ty = "ArtifactAliasConnection",
        arg(name = "after", ty = "Option<String>"),
        arg(name = "first", ty = "Option<i32>")
    ),
    field(
        name = "artifacts",
        ty = "VersionedArtifactConnection",
        arg(name = "after", ty = "Option<String>"),
        arg(name = "first", ty = "Option<i32>"),
        arg(name = "order", ty = "Option<String>"),
        arg(name = "filters", ty = "Option<JsonString>")
    ),
    field(
        name = "artifact_membership",
        ty = "Option<Membership>",
        arg(name = "alias_name", ty = "String")
    ),
    field(name = "latest_artifact", ty = "Option<Artifact>")
)]
pub(super) enum ArtifactCollection {
    ArtifactSequence(ArtifactSequence),
}

impl From<catalog::Collection> for ArtifactCollection {
    fn from(collection: catalog::Collection) -> Self {
        Self::ArtifactSequence(ArtifactSequence(collection))
    }
}

connection!(ArtifactCollectionConnection, ArtifactCollectionEdge, ArtifactCollection);

/// The versions of a collection, ordered by version index.
pub(super) struct ArtifactSequence(pub(super) catalog::Collection);

/// The versions of a collection, ordered by version index.
#[Object]
impl ArtifactSequence {
    async fn id(&self) -> ID {
        ID(Id::new(Kind::Collection, self.0.id).to_string())
    }

    async fn name(&self) -> &String {
        &self.0.name
    }

    async fn description(&self) -> &Option<String> {
        &self.0.description
    }

    async fn created_at(&self) -> DateTime {
        DateTime::of_millis(self.0.created_at)
    }

    async fn updated_at(&self) -> Option<DateTime> {
        Some(DateTime::of_millis(self.0.updated_at))
    }

    async fn project(&self) -> Option<Project> {
        Some(Project(self.0.project.clone()))
    }

    async fn state(&self) -> String {
        "READY".to_owned()
    }

    async fn default_artifact_type(&self) -> ArtifactType {
        ArtifactType::of_collection(&self.0)
    }

    async fn tags(&self) -> TagConnection {
        TagConnection::page(Vec::new(), None, None)
    }

    async fn aliases(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        first: Option<i32>,
    ) -> async_graphql::Result<ArtifactAliasConnection> {
        let aliases = request_context(ctx).state.catalog.aliases_of_collection(self.0.id).await?;
        Ok(ArtifactAliasConnection::page(to_aliases(&self.0, aliases), after.as_deref(), first))
    }

    #[expect(unused_variables, reason = "accepted for compatibility with clients, and ignored")]
    async fn artifacts(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        first: Option<i32>,
        order: Option<String>,
        filters: Option<JsonString>,
    ) -> async_graphql::Result<VersionedArtifactConnection> {
        let all = request_context(ctx).state.catalog.versions(self.0.id).await?;
        Ok(VersionedArtifactConnection::page(all, after.as_deref(), first))
    }

    /// The membership of the version with the given alias, commit hash or digest.
    async fn artifact_membership(
        &self,
        ctx: &Context<'_>,
        alias_name: String,
    ) -> async_graphql::Result<Option<Membership>> {
        let found =
            request_context(ctx).state.catalog.artifact_named(self.0.id, &alias_name).await?;
        Ok(found.map(Membership))
    }

    /// The newest committed version.
    async fn latest_artifact(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Artifact>> {
        Ok(request_context(ctx).state.catalog.latest(self.0.id).await?.map(Artifact))
    }
}

connection!(ArtifactConnection, ArtifactEdge, Artifact);

connection!(InputArtifactConnection, InputArtifactEdge, Artifact);

/// A page of versions, newest first.
#[derive(SimpleObject)]
pub(super) struct VersionedArtifactConnection {
    edges: Vec<VersionedArtifactEdge>,
    page_info: PageInfo,
    total_count: i32,
}

/// An edge of a version connection.
#[derive(SimpleObject)]
pub(super) struct VersionedArtifactEdge {
    node: Artifact,
    version: String,
    cursor: String,
}

impl VersionedArtifactConnection {
    pub(super) fn page(
        all: Vec<catalog::Artifact>,
        after: Option<&str>,
        first: Option<i32>,
    ) -> Self {
        let page = page(all, after, first);
        let edges = page.nodes.into_iter().enumerate().map(|(i, artifact)| VersionedArtifactEdge {
            version: format!("v{}", artifact.version.unwrap_or_default()),
            node: Artifact(artifact),
            cursor: (page.start + i).to_string(),
        });
        Self { edges: edges.collect(), page_info: page.page_info, total_count: page.total_count }
    }
}

/// The membership of an artifact in its collection.
pub(super) struct Membership(pub(super) catalog::Artifact);

/// The membership of an artifact in its collection.
#[Object(name = "ArtifactCollectionMembership")]
impl Membership {
    async fn id(&self) -> ID {
        ID(Id::new(Kind::Artifact, self.0.id).to_string())
    }

    async fn artifact(&self) -> Option<Artifact> {
        Some(Artifact(self.0.clone()))
    }

    async fn artifact_collection(&self) -> Option<ArtifactCollection> {
        Some(self.0.collection.clone().into())
    }

    async fn commit_hash(&self) -> Option<&str> {
        self.0.commit_hash.as_deref()
    }

    async fn version_index(&self) -> Option<i64> {
        self.0.version
    }

    async fn created_at(&self) -> DateTime {
        DateTime::of_millis(self.0.created_at)
    }

    async fn aliases(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<ArtifactAlias>> {
        let aliases = request_context(ctx).state.catalog.aliases(self.0.id).await?;
        Ok(to_aliases(&self.0.collection, aliases))
    }

    async fn files(
        &self,
        ctx: &Context<'_>,
        names: Option<Vec<String>>,
        after: Option<String>,
        first: Option<i32>,
    ) -> async_graphql::Result<FileConnection> {
        files(request_context(ctx), &self.0, names, after.as_deref(), first).await
    }
}

connection!(ArtifactCollectionMembershipConnection, ArtifactCollectionMembershipEdge, Membership);

/// An artifact type of a project.
pub(super) struct ArtifactType {
    pub(super) id: i64,
    pub(super) name: String,
    description: Option<String>,
    created_at: i64,
    project: catalog::Project,
}

impl ArtifactType {
    fn of_collection(collection: &catalog::Collection) -> Self {
        Self {
            id: collection.type_id,
            name: collection.type_name.clone(),
            description: collection.type_description.clone(),
            created_at: collection.type_created_at,
            project: collection.project.clone(),
        }
    }

    pub(super) async fn of_project(
        request: &RequestContext,
        project: &catalog::Project,
    ) -> async_graphql::Result<Vec<Self>> {
        let types = request.state.catalog.artifact_types(project.id).await?.into_iter();
        Ok(types
            .map(|(id, name, description, created_at)| Self {
                id,
                name,
                description,
                created_at,
                project: project.clone(),
            })
            .collect())
    }

    async fn collection(
        &self,
        ctx: &Context<'_>,
        name: &str,
    ) -> async_graphql::Result<Option<catalog::Collection>> {
        let found = request_context(ctx).state.catalog.collection(self.project.id, name).await?;
        Ok(found.filter(|found| found.type_id == self.id))
    }

    async fn all(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        first: Option<i32>,
    ) -> async_graphql::Result<ArtifactCollectionConnection> {
        let all =
            request_context(ctx).state.catalog.collections(self.project.id, Some(self.id)).await?;
        let all = all.into_iter().map(ArtifactCollection::from).collect();
        Ok(ArtifactCollectionConnection::page(all, after.as_deref(), first))
    }
}

/// An artifact type of a project.
#[Object]
impl ArtifactType {
    async fn id(&self) -> ID {
        ID(Id::new(Kind::ArtifactType, self.id).to_string())
    }

    async fn name(&self) -> &str {
        &self.name
    }

    async fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    async fn created_at(&self) -> DateTime {
        DateTime::of_millis(self.created_at)
    }

    async fn project(&self) -> Project {
        Project(self.project.clone())
    }

    async fn artifact(
        &self,
        ctx: &Context<'_>,
        name: String,
    ) -> async_graphql::Result<Option<Artifact>> {
        let (collection, alias) = split_name(&name);
        let Some(collection) = self.collection(ctx, collection).await? else { return Ok(None) };
        let found = request_context(ctx).state.catalog.artifact_named(collection.id, alias).await?;
        Ok(found.map(Artifact))
    }

    async fn artifact_collection(
        &self,
        ctx: &Context<'_>,
        name: String,
    ) -> async_graphql::Result<Option<ArtifactCollection>> {
        Ok(self.collection(ctx, &name).await?.map(ArtifactCollection::from))
    }

    async fn artifact_sequence(
        &self,
        ctx: &Context<'_>,
        name: String,
    ) -> async_graphql::Result<Option<ArtifactCollection>> {
        Ok(self.collection(ctx, &name).await?.map(ArtifactCollection::from))
    }

    #[expect(unused_variables, reason = "accepted for compatibility with clients, and ignored")]
    async fn artifact_collections(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        first: Option<i32>,
        filters: Option<JsonString>,
        order: Option<String>,
    ) -> async_graphql::Result<ArtifactCollectionConnection> {
        self.all(ctx, after, first).await
    }

    async fn artifact_sequences(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        first: Option<i32>,
    ) -> async_graphql::Result<ArtifactCollectionConnection> {
        self.all(ctx, after, first).await
    }
}

connection!(ArtifactTypeConnection, ArtifactTypeEdge, ArtifactType);
