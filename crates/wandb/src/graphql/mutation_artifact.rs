//! Mutations of artifacts.

use async_graphql::{Context, ID, Object, SimpleObject};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use streamtable_server_core::ApiError;

use super::artifact::{Artifact, ArtifactType};
use super::file::{ArtifactManifest, File, FileConnection};
use super::input::{
    AddAliasesInput, ArtifactManifestType, CommitArtifactInput, CreateArtifactFilesInput,
    CreateArtifactInput, CreateArtifactManifestInput, CreateArtifactTypeInput, DeleteAliasesInput,
    DeleteArtifactInput, TagInput, UpdateArtifactInput, UpdateArtifactManifestInput,
    UseArtifactInput,
};
use super::mutation::MAX_FILES;
use super::{RequestContext, request_context};
use crate::Wandb;
use crate::catalog::{
    self, ArtifactChange, ManifestKind, NO_PROJECT, NewArtifact, NewManifest, RunLocation,
    WholeArtifact,
};
use crate::storage::{MAX_MANIFEST_BYTES, is_file_path, is_same_manifest, merge_manifests};

/// MD5 of the empty string, in base64. Clients do not upload empty files.
const MD5_OF_NOTHING: &str = "1B2M2Y8AsgTpgAmY7PhCfg==";

#[derive(Default)]
pub(super) struct ArtifactMutation;

/// Mutations of artifacts.
#[Object]
impl ArtifactMutation {
    async fn create_artifact_type(
        &self,
        ctx: &Context<'_>,
        input: CreateArtifactTypeInput,
    ) -> async_graphql::Result<Option<CreateArtifactTypePayload>> {
        let request = request_context(ctx);
        let entity = request.entity(input.entity_name);
        request.check_write(&entity)?;
        let catalog = &request.state.catalog;
        let (project, _) = catalog.upsert_project(&entity, &input.project_name, None).await?;
        let id = catalog.upsert_artifact_type(&project, &input.name, input.description).await?;
        let types = ArtifactType::of_project(request, &project).await?;
        let artifact_type = types.into_iter().find(|ty| ty.id == id);
        Ok(Some(CreateArtifactTypePayload { artifact_type }))
    }

    /// Returns the artifact with the given content, creating it if it does not exist.
    async fn create_artifact(
        &self,
        ctx: &Context<'_>,
        input: CreateArtifactInput,
    ) -> async_graphql::Result<Option<CreateArtifactPayload>> {
        let request = request_context(ctx);
        let entity = request.entity(input.entity_name);
        request.check_write(&entity)?;
        let names = input.artifact_collection_names.into_iter().flatten();
        let collection = input.artifact_collection_name.into_iter().chain(names).next();
        let collection =
            collection.ok_or_else(|| ApiError::bad_request("missing artifact name"))?;
        let aliases = input.aliases.into_iter().flatten();
        let own = aliases.filter(|alias| {
            alias.artifact_collection_name.as_ref().is_none_or(|name| *name == collection)
        });
        let new = NewArtifact {
            entity,
            project: input.project_name.unwrap_or_else(|| NO_PROJECT.to_owned()),
            run: input.run_name.filter(|name| !name.is_empty()),
            type_name: input.artifact_type_name,
            digest: input.digest,
            description: input.description,
            metadata: input.metadata.map(|text| text.0),
            history_step: input.history_step.map(|step| step.0),
            ttl_seconds: input.ttl_duration_seconds.map(|seconds| seconds.0),
            aliases: own.map(|alias| alias.alias).collect(),
            tags: input.tags.into_iter().flatten().map(|tag| tag.tag_name).collect(),
            dedupe: input.enable_digest_deduplication == Some(true),
            client_id: input.client_id.map(|id| id.0),
            sequence_client_id: input.sequence_client_id.map(|id| id.0),
            collection,
        };
        let mut artifact = request.state.catalog.create_artifact(new).await?;
        if artifact.version.is_some() && lost_file(request, &artifact).await?.is_some() {
            // To this client the artifact is pending: it uploads the files again.
            artifact.version = None;
        }
        Ok(Some(CreateArtifactPayload { artifact: Some(Artifact(artifact)) }))
    }

    /// Announces a manifest and returns its upload URL.
    async fn create_artifact_manifest(
        &self,
        ctx: &Context<'_>,
        input: CreateArtifactManifestInput,
    ) -> async_graphql::Result<Option<CreateArtifactManifestPayload>> {
        let request = request_context(ctx);
        let artifact: catalog::Artifact = request.writable(&input.artifact_id).await?;
        let base_id = base(request, input.base_artifact_id.as_ref()).await?;
        check_digest(&input.digest)?;
        if !is_file_path(&input.name) {
            return Err(ApiError::bad_request("invalid manifest name").into());
        }
        let new = NewManifest {
            artifact_id: artifact.id,
            name: input.name,
            kind: input.kind.unwrap_or(ArtifactManifestType::Full).into(),
            digest: input.digest,
            base_id,
        };
        let manifest = request.state.catalog.announce_manifest(new).await?;
        let artifact_manifest = Some(ArtifactManifest(manifest));
        Ok(Some(CreateArtifactManifestPayload { artifact_manifest }))
    }

    /// Sets the digest of a manifest that was announced without one, and returns its upload URL.
    async fn update_artifact_manifest(
        &self,
        ctx: &Context<'_>,
        input: UpdateArtifactManifestInput,
    ) -> async_graphql::Result<Option<UpdateArtifactManifestPayload>> {
        let request = request_context(ctx);
        let manifest: catalog::Manifest = request.writable(&input.artifact_manifest_id).await?;
        let base_id = base(request, input.base_artifact_id.as_ref()).await?;
        if let Some(digest) = &input.digest {
            check_digest(digest)?;
        }
        let catalog = &request.state.catalog;
        let manifest = catalog.update_manifest(manifest.id, input.digest, base_id).await?;
        let artifact_manifest = manifest.map(ArtifactManifest);
        Ok(Some(UpdateArtifactManifestPayload { artifact_manifest }))
    }

    /// Announces files and returns their upload URLs, in the order of the request.
    async fn create_artifact_files(
        &self,
        ctx: &Context<'_>,
        input: CreateArtifactFilesInput,
    ) -> async_graphql::Result<Option<CreateArtifactFilesPayload>> {
        let request = request_context(ctx);
        if input.artifact_files.len() > MAX_FILES {
            let message = format!("a request may announce at most {MAX_FILES} files");
            return Err(ApiError::bad_request(message).into());
        }
        let mut files = Vec::new();
        for spec in input.artifact_files {
            let artifact: catalog::Artifact = request.writable(&spec.artifact_id).await?;
            if !is_file_path(&spec.name) {
                let message = format!("{:?} is not a valid file path", spec.name);
                return Err(ApiError::bad_request(message).into());
            }
            check_digest(&spec.md5)?;
            let catalog = &request.state.catalog;
            let announced = catalog.announce_file(artifact.id, &spec.name, &spec.md5).await?;
            let Some(mut file) = catalog.artifact_file(announced.id).await? else { continue };
            if let Some(sha256) = &file.sha256
                && !request.state.has_file(sha256).await
            {
                // The client can upload a lost file again.
                file.sha256 = None;
            }
            files.push(File::of_artifact(file));
        }
        let files = FileConnection::page(files, None, None);
        Ok(Some(CreateArtifactFilesPayload { files }))
    }

    /// Commits an artifact, once its manifest and all its files are uploaded.
    async fn commit_artifact(
        &self,
        ctx: &Context<'_>,
        input: CommitArtifactInput,
    ) -> async_graphql::Result<Option<CommitArtifactPayload>> {
        let request = request_context(ctx);
        let artifact: catalog::Artifact = request.writable(&input.artifact_id).await?;
        let artifact = match artifact.version {
            None => commit(&request.state, artifact).await?,
            Some(_) => {
                check_committed(request, &artifact).await?;
                artifact
            }
        };
        Ok(Some(CommitArtifactPayload { artifact: Some(Artifact(artifact)) }))
    }

    /// Records that a run uses an artifact.
    async fn use_artifact(
        &self,
        ctx: &Context<'_>,
        input: UseArtifactInput,
    ) -> async_graphql::Result<Option<UseArtifactPayload>> {
        let request = request_context(ctx);
        let artifact: catalog::Artifact = request.readable(&input.artifact_id).await?;
        let entity = request.entity(input.entity_name);
        request.check_write(&entity)?;
        let project = input.project_name.unwrap_or_else(|| NO_PROJECT.to_owned());
        let run = request.run_at(&RunLocation::new(&entity, &project, &input.run_name)).await?;
        request.state.catalog.use_artifact(run.id, artifact.id).await?;
        Ok(Some(UseArtifactPayload { artifact: Some(Artifact(artifact)) }))
    }

    /// Updates an artifact's metadata. Null fields stay unchanged.
    async fn update_artifact(
        &self,
        ctx: &Context<'_>,
        input: UpdateArtifactInput,
    ) -> async_graphql::Result<Option<UpdateArtifactPayload>> {
        let request = request_context(ctx);
        let artifact: catalog::Artifact = request.writable(&input.artifact_id).await?;
        let catalog = &request.state.catalog;
        if let Some(aliases) = input.aliases.filter(|_| artifact.version.is_some()) {
            let wanted: Vec<String> = aliases.into_iter().map(|alias| alias.alias).collect();
            let known = catalog.aliases(artifact.id).await?;
            let gone = known.into_iter().map(|(_, alias)| alias);
            let gone = gone.filter(|alias| !wanted.contains(alias)).collect();
            catalog.change_aliases(artifact.clone(), wanted, gone).await?;
        }
        let change = ArtifactChange {
            description: input.description,
            metadata: input.metadata.map(|text| text.0),
            ttl_seconds: input.ttl_duration_seconds.map(|seconds| seconds.0),
            tags: changed_tags(&artifact.tags, input.tags_to_add, input.tags_to_delete),
        };
        let artifact = catalog.change_artifact(artifact.id, change).await?;
        Ok(Some(UpdateArtifactPayload { artifact: artifact.map(Artifact) }))
    }

    /// Deletes an artifact.
    async fn delete_artifact(
        &self,
        ctx: &Context<'_>,
        input: DeleteArtifactInput,
    ) -> async_graphql::Result<Option<DeleteArtifactPayload>> {
        let request = request_context(ctx);
        let artifact: catalog::Artifact = request.writable(&input.artifact_id).await?;
        let with_aliases = input.delete_aliases == Some(true);
        request.state.catalog.delete_artifact(artifact.clone(), with_aliases).await?;
        Ok(Some(DeleteArtifactPayload { artifact: Some(Artifact(artifact)) }))
    }

    async fn add_aliases(
        &self,
        ctx: &Context<'_>,
        input: AddAliasesInput,
    ) -> async_graphql::Result<Option<AddAliasesPayload>> {
        let request = request_context(ctx);
        let artifact: catalog::Artifact = request.writable(&input.artifact_id).await?;
        let aliases = input.aliases.into_iter().map(|alias| alias.alias).collect();
        request.state.catalog.change_aliases(artifact, aliases, Vec::new()).await?;
        Ok(Some(AddAliasesPayload { success: true }))
    }

    async fn delete_aliases(
        &self,
        ctx: &Context<'_>,
        input: DeleteAliasesInput,
    ) -> async_graphql::Result<Option<DeleteAliasesPayload>> {
        let request = request_context(ctx);
        let artifact: catalog::Artifact = request.writable(&input.artifact_id).await?;
        let aliases = input.aliases.into_iter().map(|alias| alias.alias).collect();
        request.state.catalog.change_aliases(artifact, Vec::new(), aliases).await?;
        Ok(Some(DeleteAliasesPayload { success: true }))
    }
}

/// Returns an artifact's tags after a change, or `None` if they stay as they are.
fn changed_tags(
    tags: &[String],
    add: Option<Vec<TagInput>>,
    delete: Option<Vec<TagInput>>,
) -> Option<Vec<String>> {
    let names = |tags: Option<Vec<TagInput>>| {
        tags.into_iter().flatten().map(|tag| tag.tag_name).collect::<Vec<_>>()
    };
    let (add, delete) = (names(add), names(delete));
    if add.is_empty() && delete.is_empty() {
        return None;
    }
    let new = add.into_iter().filter(|tag| !tags.contains(tag));
    let mut changed: Vec<String> = tags.iter().cloned().chain(new).collect();
    changed.retain(|tag| !delete.contains(tag));
    Some(changed)
}

/// Returns the id of the artifact that another one is based on.
async fn base(request: &RequestContext, id: Option<&ID>) -> Result<Option<i64>, ApiError> {
    match id.filter(|id| !id.is_empty()) {
        Some(id) => request.readable(id).await.map(|base: catalog::Artifact| Some(base.id)),
        None => Ok(None),
    }
}

/// Checks that a digest is an MD5 in base64, or empty.
fn check_digest(digest: &str) -> Result<(), ApiError> {
    if digest.is_empty() || BASE64_STANDARD.decode(digest).is_ok_and(|bytes| bytes.len() == 16) {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("{digest:?} is not an MD5 in base64")))
}

/// Returns the name of a file of an artifact, or of its manifest, whose content was lost.
async fn lost_file(
    request: &RequestContext,
    artifact: &catalog::Artifact,
) -> Result<Option<String>, ApiError> {
    let catalog = &request.state.catalog;
    let files = catalog.artifact_files(artifact.id).await?;
    let files = files.into_iter().map(|file| (file.name, file.sha256));
    let manifest = catalog.current_manifest(artifact.id).await?;
    let manifest = manifest.map(|manifest| (manifest.name, manifest.sha256));
    for (name, sha256) in files.chain(manifest) {
        request.execution.check()?;
        if let Some(sha256) = sha256
            && !request.state.has_file(&sha256).await
        {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Fails if a committed artifact has lost a file, or if a manifest that was announced after the
/// commit describes other files.
async fn check_committed(
    request: &RequestContext,
    artifact: &catalog::Artifact,
) -> Result<(), ApiError> {
    if let Some(name) = lost_file(request, artifact).await? {
        let message = format!("the file {name:?} of the artifact is not uploaded");
        return Err(ApiError::bad_request(message));
    }
    let state = &request.state;
    let Some(whole) = current_manifest(state, artifact.id).await? else { return Ok(()) };
    for manifest in state.catalog.manifests(artifact.id).await? {
        let Some(sha256) = manifest.sha256.as_ref().filter(|_| manifest.is_repetition()) else {
            continue;
        };
        if state.has_file(sha256).await {
            let repeated = read_manifest(state, sha256).await?;
            if !is_same_manifest(&whole, manifest.kind, &repeated)? {
                let message = "the artifact is committed and cannot be changed";
                return Err(ApiError::bad_request(message));
            }
        }
    }
    Ok(())
}

async fn commit(state: &Wandb, artifact: catalog::Artifact) -> Result<catalog::Artifact, ApiError> {
    let mut own = Vec::new();
    let mut base_id = None;
    for manifest in state.catalog.manifests(artifact.id).await? {
        base_id = base_id.or(manifest.base_id);
        if let Some(sha256) = &manifest.sha256 {
            own.push((manifest.kind, read_manifest(state, sha256).await?));
        }
    }
    let is_whole = own.last().is_some_and(|(kind, _)| *kind == ManifestKind::Full);
    let base = if is_whole { None } else { base_manifest(state, &artifact, base_id).await? };
    let merged = merge_manifests(base.as_deref(), &own)?;
    let content = stream::iter([Ok(Bytes::from(merged.bytes))]).boxed();
    let manifest = state.files.put(content, 2 * MAX_MANIFEST_BYTES).await?;

    for file in state.catalog.artifact_files(artifact.id).await? {
        if file.sha256.is_none() && file.md5 == MD5_OF_NOTHING {
            let nothing = state.files.put(stream::empty().boxed(), 0).await?;
            state.catalog.put_artifact_file(file.id, nothing).await?;
        }
    }
    let whole = WholeArtifact {
        manifest,
        files: merged.files,
        file_count: merged.file_count,
        size: merged.size,
    };
    Ok(state.catalog.commit_artifact(artifact.id, whole).await?)
}

/// Reads the manifest of the base version: the one that the artifact names, otherwise the newest.
async fn base_manifest(
    state: &Wandb,
    artifact: &catalog::Artifact,
    base_id: Option<i64>,
) -> Result<Option<Bytes>, ApiError> {
    let base_id = match base_id {
        Some(id) => Some(id),
        None => state.catalog.latest(artifact.collection.id).await?.map(|latest| latest.id),
    };
    match base_id {
        Some(base_id) => current_manifest(state, base_id).await,
        None => Ok(None),
    }
}

/// Reads the complete manifest of a committed artifact.
pub(super) async fn current_manifest(
    state: &Wandb,
    artifact: i64,
) -> Result<Option<Bytes>, ApiError> {
    let manifest = state.catalog.current_manifest(artifact).await?;
    match manifest.and_then(|manifest| manifest.sha256) {
        Some(sha256) => read_manifest(state, &sha256).await.map(Some),
        None => Ok(None),
    }
}

async fn read_manifest(state: &Wandb, sha256: &str) -> Result<Bytes, ApiError> {
    let length = state.files.len(sha256).await?.unwrap_or(0);
    let mut chunks = state.files.read(sha256, 0..length).await?;
    let mut bytes = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk.map_err(streamtable_store::StoreError::from)?);
    }
    Ok(bytes.freeze())
}

macro_rules! payload {
    ($name:ident, $field:ident: $ty:ty, $about:literal) => {
        #[doc = $about]
        #[derive(SimpleObject)]
        struct $name {
            $field: $ty,
        }
    };
}

payload!(CreateArtifactTypePayload, artifact_type: Option<ArtifactType>, "The created artifact type.");
payload!(CreateArtifactPayload, artifact: Option<Artifact>, "The created or existing artifact.");
payload!(
    CreateArtifactManifestPayload,
    artifact_manifest: Option<ArtifactManifest>,
    "The announced manifest."
);
payload!(
    UpdateArtifactManifestPayload,
    artifact_manifest: Option<ArtifactManifest>,
    "The updated manifest."
);
payload!(CreateArtifactFilesPayload, files: FileConnection, "The announced files, in the order of the request.");
payload!(CommitArtifactPayload, artifact: Option<Artifact>, "The committed artifact.");
payload!(UseArtifactPayload, artifact: Option<Artifact>, "The artifact that the run uses.");
payload!(UpdateArtifactPayload, artifact: Option<Artifact>, "The updated artifact.");
payload!(DeleteArtifactPayload, artifact: Option<Artifact>, "The deleted artifact.");
payload!(AddAliasesPayload, success: bool, "Whether the aliases were added.");
payload!(DeleteAliasesPayload, success: bool, "Whether the aliases were removed.");
