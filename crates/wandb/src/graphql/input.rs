//! Input types of mutations. A null field has the same meaning as an absent one: no change.

use async_graphql::{Enum, ID, InputObject};
use serde_json::Value;

use streamtable_server_core::ApiError;

use super::artifact::ArtifactDigestAlgorithm;
use super::scalar::{DurationMillis, Int64, JsonString};
use crate::catalog::{ManifestKind, RunChange};
use crate::rows::parse_json;

/// Input of a mutation that creates or updates a project.
#[derive(InputObject)]
pub(super) struct UpsertModelInput {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) entity_name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) repo: Option<String>,
    pub(super) framework: Option<String>,
    pub(super) access: Option<String>,
    pub(super) views: Option<JsonString>,
}

/// Input of a mutation that deletes files of runs.
#[derive(InputObject)]
pub(super) struct DeleteFilesInput {
    pub(super) files: Vec<ID>,
    pub(super) project_id: Option<i64>,
}

/// Input of a mutation that creates or updates a run.
#[derive(InputObject)]
pub(super) struct UpsertBucketInput {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) model_name: Option<String>,
    pub(super) entity_name: Option<String>,
    group_name: Option<String>,
    description: Option<String>,
    display_name: Option<String>,
    notes: Option<String>,
    commit: Option<String>,
    config: Option<JsonString>,
    host: Option<String>,
    pub(super) debug: Option<bool>,
    job_program: Option<String>,
    job_repo: Option<String>,
    job_type: Option<String>,
    state: Option<String>,
    sweep: Option<String>,
    tags: Option<Vec<String>>,
    summary_metrics: Option<JsonString>,
}

impl UpsertBucketInput {
    /// Fails if the run is a fork of another one, which its configuration says.
    pub(super) fn check_fork(&self) -> Result<(), ApiError> {
        let config = self.config.as_ref();
        let config = config.and_then(|text| parse_json(&text.0));
        let origin = config.as_ref().and_then(|it| it.pointer("/_wandb/value/branch_point"));
        match origin {
            Some(Value::Object(_)) => Err(ApiError::bad_request(
                "this server cannot fork runs, since rows belong to one run: start a new run, and \
                 log where it continues from in its config",
            )),
            _ => Ok(()),
        }
    }

    /// Returns the changes to the run.
    pub(super) fn change(self) -> RunChange {
        RunChange {
            display_name: self.display_name,
            description: self.description,
            notes: self.notes,
            group: self.group_name,
            job_type: self.job_type,
            commit: self.commit,
            host: self.host,
            program: self.job_program,
            repo: self.job_repo,
            sweep: self.sweep,
            config: self.config.map(|text| text.0),
            summary: self.summary_metrics.map(|text| text.0),
            tags: self.tags,
            state: self.state,
        }
    }
}

/// Input of a mutation that announces uploads of a run's files.
#[derive(InputObject)]
pub(super) struct CreateRunFilesInput {
    pub(super) entity_name: Option<String>,
    pub(super) project_name: Option<String>,
    pub(super) run_name: String,
    pub(super) files: Vec<String>,
}

/// The severity of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum AlertSeverity {
    Info,
    Warn,
    Error,
}

/// An alert from a run.
#[derive(InputObject)]
pub(super) struct NotifyScriptableRunAlertInput {
    pub(super) entity_name: Option<String>,
    pub(super) project_name: Option<String>,
    pub(super) run_name: String,
    pub(super) title: String,
    pub(super) text: Option<String>,
    pub(super) severity: Option<AlertSeverity>,
    pub(super) wait_duration: Option<DurationMillis>,
}

/// Input of a mutation that creates an artifact type.
#[derive(InputObject)]
pub(super) struct CreateArtifactTypeInput {
    pub(super) entity_name: Option<String>,
    pub(super) project_name: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
}

/// An alias for an artifact.
#[derive(InputObject)]
pub(super) struct ArtifactAliasInput {
    pub(super) artifact_collection_name: Option<String>,
    pub(super) alias: String,
}

/// A tag for an artifact.
#[derive(InputObject)]
pub(super) struct TagInput {
    pub(super) tag_name: String,
}

/// Input of a mutation that creates an artifact.
#[derive(InputObject)]
pub(super) struct CreateArtifactInput {
    pub(super) entity_name: Option<String>,
    pub(super) project_name: Option<String>,
    pub(super) run_name: Option<String>,
    pub(super) artifact_type_name: String,
    pub(super) artifact_collection_name: Option<String>,
    pub(super) artifact_collection_names: Option<Vec<String>>,
    pub(super) digest: String,
    pub(super) digest_algorithm: Option<ArtifactDigestAlgorithm>,
    pub(super) description: Option<String>,
    pub(super) aliases: Option<Vec<ArtifactAliasInput>>,
    pub(super) tags: Option<Vec<TagInput>>,
    pub(super) metadata: Option<JsonString>,
    pub(super) labels: Option<JsonString>,
    pub(super) ttl_duration_seconds: Option<Int64>,
    pub(super) history_step: Option<Int64>,
    pub(super) enable_digest_deduplication: Option<bool>,
    #[graphql(name = "distributedID")]
    pub(super) distributed_id: Option<String>,
    #[graphql(name = "clientID")]
    pub(super) client_id: Option<ID>,
    #[graphql(name = "sequenceClientID")]
    pub(super) sequence_client_id: Option<ID>,
    pub(super) storage_region: Option<String>,
}

/// The kind of a manifest: complete, or relative to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum ArtifactManifestType {
    Full,
    Incremental,
    Patch,
}

impl From<ArtifactManifestType> for ManifestKind {
    fn from(ty: ArtifactManifestType) -> Self {
        match ty {
            ArtifactManifestType::Full => Self::Full,
            ArtifactManifestType::Incremental => Self::Incremental,
            ArtifactManifestType::Patch => Self::Patch,
        }
    }
}

/// Input of a mutation that announces a manifest.
#[derive(InputObject)]
pub(super) struct CreateArtifactManifestInput {
    #[graphql(name = "artifactID")]
    pub(super) artifact_id: ID,
    #[graphql(name = "baseArtifactID")]
    pub(super) base_artifact_id: Option<ID>,
    pub(super) name: String,
    pub(super) digest: String,
    pub(super) entity_name: Option<String>,
    pub(super) project_name: Option<String>,
    pub(super) run_name: Option<String>,
    #[graphql(name = "type")]
    pub(super) kind: Option<ArtifactManifestType>,
}

/// Input of a mutation that completes an announced manifest.
#[derive(InputObject)]
pub(super) struct UpdateArtifactManifestInput {
    #[graphql(name = "artifactManifestID")]
    pub(super) artifact_manifest_id: ID,
    pub(super) digest: Option<String>,
    #[graphql(name = "baseArtifactID")]
    pub(super) base_artifact_id: Option<ID>,
}

/// The storage layout of an artifact's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum ArtifactStorageLayout {
    V1,
    V2,
}

/// An announced upload of an artifact's file.
#[derive(InputObject)]
pub(super) struct CreateArtifactFileSpecInput {
    #[graphql(name = "artifactID")]
    pub(super) artifact_id: ID,
    #[graphql(name = "artifactManifestID")]
    pub(super) artifact_manifest_id: Option<ID>,
    pub(super) name: String,
    pub(super) md5: String,
    pub(super) mimetype: Option<String>,
}

/// Input of a mutation that announces uploads of an artifact's files.
#[derive(InputObject)]
pub(super) struct CreateArtifactFilesInput {
    pub(super) artifact_files: Vec<CreateArtifactFileSpecInput>,
    pub(super) storage_layout: Option<ArtifactStorageLayout>,
}

/// Input of a mutation that commits an artifact.
#[derive(InputObject)]
pub(super) struct CommitArtifactInput {
    #[graphql(name = "artifactID")]
    pub(super) artifact_id: ID,
}

/// Input of a mutation that records that a run uses an artifact.
#[derive(InputObject)]
pub(super) struct UseArtifactInput {
    pub(super) entity_name: Option<String>,
    pub(super) project_name: Option<String>,
    pub(super) run_name: String,
    #[graphql(name = "artifactID")]
    pub(super) artifact_id: ID,
    pub(super) used_as: Option<String>,
}

/// Input of a mutation that updates an artifact's metadata.
#[derive(InputObject)]
pub(super) struct UpdateArtifactInput {
    #[graphql(name = "artifactID")]
    pub(super) artifact_id: ID,
    pub(super) description: Option<String>,
    pub(super) metadata: Option<JsonString>,
    pub(super) ttl_duration_seconds: Option<Int64>,
    pub(super) aliases: Option<Vec<ArtifactAliasInput>>,
    pub(super) tags_to_add: Option<Vec<TagInput>>,
    pub(super) tags_to_delete: Option<Vec<TagInput>>,
}

/// Input of a mutation that deletes an artifact.
#[derive(InputObject)]
pub(super) struct DeleteArtifactInput {
    #[graphql(name = "artifactID")]
    pub(super) artifact_id: ID,
    /// Whether to delete the artifact even if it has aliases.
    pub(super) delete_aliases: Option<bool>,
}

/// An alias in a collection.
#[derive(InputObject)]
pub(super) struct ArtifactCollectionAliasInput {
    pub(super) entity_name: Option<String>,
    pub(super) project_name: Option<String>,
    pub(super) artifact_collection_name: Option<String>,
    pub(super) alias: String,
}

/// Input of a mutation that adds aliases to an artifact.
#[derive(InputObject)]
pub(super) struct AddAliasesInput {
    #[graphql(name = "artifactID")]
    pub(super) artifact_id: ID,
    pub(super) aliases: Vec<ArtifactCollectionAliasInput>,
}

/// Input of a mutation that removes aliases from an artifact.
#[derive(InputObject)]
pub(super) struct DeleteAliasesInput {
    #[graphql(name = "artifactID")]
    pub(super) artifact_id: ID,
    pub(super) aliases: Vec<ArtifactCollectionAliasInput>,
}
