//! Opening tables: one request for an existing table, nine for a new one.

use http::Uri;
use std::time::Duration;
use streamtable_schema::TablePath;
use streamtable_url::{panel_url, run_url};
use streamtable_wire::graphql::{
    CommitArtifact, CreateArtifactFiles, CreateManifest, CreateTable, FindTable, GraphqlError,
    Operation, ServerFeatures, WhoAmI, parse_answer, request_body,
};
use streamtable_wire::{GRAPHQL_PATH, GZIP_FEATURE, HistoryKeys, StreamTableArtifact};
use tokio::time::Instant;

use super::upload::header_pairs;
use super::{WandbBackend, answer};
use crate::session::reachable;
use crate::{Open, OpenError, Opened, StopReason};

impl WandbBackend {
    pub(super) async fn open_table(&self, open: Open) -> Result<Opened, OpenError> {
        let deadline = Instant::now() + reachable(open.timeout);
        let name = match open.name.entity() {
            Some(_) => open.name,
            None => open.name.with_entity(&self.default_entity(deadline).await?)?,
        };
        let table = name.to_path()?;
        if self.gzip {
            let features = self.ask(&ServerFeatures {}, deadline).await?;
            if !features.has(GZIP_FEATURE) {
                let reason = "the server does not take compressed rows".to_owned();
                return Err(OpenError::Backend { reason });
            }
        }
        let artifact = StreamTableArtifact::new(&table);
        let found = self.ask(&FindTable::new(&table, &artifact), deadline).await?;
        if found.run().is_none() || !found.has_artifact() {
            self.create(&table, &artifact, deadline).await?;
        }
        let keys: Option<&HistoryKeys> = found.run().and_then(|run| run.history_keys.as_ref());
        Ok(Opened {
            first_line: keys.map_or(0, HistoryKeys::next_step),
            columns: keys.map_or(Vec::new(), HistoryKeys::columns),
            panel_url: Some(panel_url(&self.board, &table)),
            rows_url: Some(run_url(&self.app, table.entity(), table.project(), table.table())),
            pace: self.pace,
            table,
        })
    }

    async fn default_entity(&self, deadline: Instant) -> Result<String, OpenError> {
        let answer = self.ask(&WhoAmI {}, deadline).await?;
        let entity = answer.viewer.and_then(|viewer| viewer.default_entity);
        entity.map(|entity| entity.name).ok_or(OpenError::NoEntity)
    }

    /// Creates project, run and artifact. Every step finds what an earlier attempt created.
    async fn create(
        &self,
        table: &TablePath,
        content: &StreamTableArtifact,
        deadline: Instant,
    ) -> Result<(), OpenError> {
        let created = self.ask(&CreateTable::new(table, content), deadline).await?;
        let artifact = created.artifact().ok_or_else(|| incomplete("no artifact"))?;
        if artifact.is_committed() {
            return Ok(());
        }
        let manifest = self.ask(&CreateManifest::new(table, artifact, None), deadline).await?;
        let manifest = manifest.manifest().ok_or_else(|| incomplete("no manifest"))?;

        let announce = CreateArtifactFiles::new(&artifact.id, &manifest.id, content);
        let files = self.ask(&announce, deadline).await?.create_artifact_files;
        let files = files.ok_or_else(|| incomplete("no artifact files"))?.files.edges;
        let mut birth = artifact.id.clone();
        for file in &content.files {
            let node = files
                .iter()
                .map(|edge| &edge.node)
                .find(|node| node.display_name.as_deref() == Some(file.path));
            let node = node.ok_or_else(|| incomplete("an artifact file is not answered"))?;
            if let Some(born) = &node.artifact {
                birth.clone_from(&born.id);
            }
            if let Some(url) = &node.upload_url {
                let headers = node.upload_headers.as_deref().unwrap_or_default();
                self.put_until(url, headers, &file.bytes, deadline).await?;
            }
        }

        let (bytes, digest) = content.manifest(&birth);
        let stored = CreateManifest::new(table, artifact, Some(&digest));
        let stored = self.ask(&stored, deadline).await?;
        let file = stored.manifest().and_then(|manifest| manifest.file.as_ref());
        let file = file.ok_or_else(|| incomplete("no address for the manifest"))?;
        if let Some(url) = &file.upload_url {
            let headers = file.upload_headers.as_deref().unwrap_or_default();
            self.put_until(url, headers, &bytes, deadline).await?;
        }
        self.ask(&CommitArtifact { artifact: artifact.id.clone() }, deadline).await?;
        Ok(())
    }

    async fn put_until(
        &self,
        url: &str,
        headers: &[String],
        bytes: &[u8],
        deadline: Instant,
    ) -> Result<(), OpenError> {
        let uri: Uri = url.parse().map_err(|_| incomplete("an upload address is none"))?;
        let bytes = bytes.to_vec().into();
        let put = self.put(uri, &header_pairs(headers), bytes, left(deadline)).await;
        put.map_err(answer::open_error)
    }

    /// Sends one operation and reads its answer.
    async fn ask<O: Operation + Sync>(
        &self,
        operation: &O,
        deadline: Instant,
    ) -> Result<O::Answer, OpenError> {
        let body = request_body(operation);
        let response = self.post_json(GRAPHQL_PATH, body, left(deadline), |_| ()).await;
        let response = answer::check(response).map_err(answer::open_error)?;
        parse_answer::<O>(response.body()).map_err(|error| match error {
            GraphqlError::Refused { messages } => {
                StopReason::Refused { message: messages.join("; ") }.into()
            }
            error => OpenError::Backend { reason: format!("{}: {error}", O::NAME) },
        })
    }
}

/// The time that is left for one step: the deadline is one for all.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn incomplete(what: &str) -> OpenError {
    OpenError::Backend { reason: format!("the server's answer is incomplete: {what}") }
}
