//! Opening tables: one request for an existing table, nine for a new one.

use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use streamtable_schema::TablePath;
use streamtable_url::{panel_url, run_url};
use streamtable_wire::graphql::{
    CommitArtifact, CreateArtifactFiles, CreateManifest, CreateTable, FindTable, Operation, WhoAmI,
};
use streamtable_wire::{HistoryKeys, StreamTableArtifact};
use tokio::time::Instant;

use super::upload::header_pairs;
use super::{WandbBackend, answer};
use crate::open::pause;
use crate::session::{Backoff, RetryPolicy, reachable};
use crate::{AppendError, Open, OpenError, Opened};

/// The shortest and the longest timeout of the first attempt of a request. Between them, it is an
/// eighth of the total time, so that one lost response does not use up the time. The timeout doubles
/// with each further attempt of the same request.
const FIRST_ATTEMPT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(20));

/// Maximum number of attempts to upload bytes to one URL.
const MAX_PUT_ATTEMPTS: u32 = 4;

impl WandbBackend {
    pub(super) async fn open_table(&self, open: Open) -> Result<Opened, OpenError> {
        let budget = &mut Budget::new(open.timeout, self.seed());
        let name = match open.name.entity() {
            Some(_) => open.name,
            None => open.name.with_entity(&self.default_entity(budget).await?)?,
        };
        let table = name.to_path()?;
        let artifact = StreamTableArtifact::new(&table);
        let found = self.request(&FindTable::new(&table, &artifact), budget).await?;
        if found.run().is_none() || !found.has_artifact() {
            self.create(&table, &artifact, budget).await?;
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

    async fn default_entity(&self, budget: &mut Budget) -> Result<String, OpenError> {
        let answer = self.request(&WhoAmI {}, budget).await?;
        let entity = answer.viewer.and_then(|viewer| viewer.default_entity);
        entity.map(|entity| entity.name).ok_or(OpenError::NoEntity)
    }

    /// Creates project, run and artifact. Every step finds what an earlier attempt created.
    async fn create(
        &self,
        table: &TablePath,
        content: &StreamTableArtifact,
        budget: &mut Budget,
    ) -> Result<(), OpenError> {
        let created = self.request(&CreateTable::new(table, content), budget).await?;
        let artifact = created.artifact().ok_or_else(|| incomplete("no artifact"))?;
        if artifact.is_committed() {
            return Ok(());
        }
        let manifest = self.request(&CreateManifest::new(table, artifact, None), budget).await?;
        let manifest = manifest.manifest().ok_or_else(|| incomplete("no manifest"))?;

        let announce = CreateArtifactFiles::new(&artifact.id, &manifest.id, content);
        let files = self.request(&announce, budget).await?.create_artifact_files;
        let files = files.ok_or_else(|| incomplete("no artifact files"))?.files.edges;
        let mut birth = artifact.id.clone();
        for file in &content.files {
            let node = files
                .iter()
                .map(|edge| &edge.node)
                .find(|node| node.display_name.as_deref() == Some(file.path));
            let node = node.ok_or_else(|| incomplete("an artifact file is missing"))?;
            if let Some(born) = &node.artifact {
                birth.clone_from(&born.id);
            }
            if let Some(url) = &node.upload_url {
                let headers = node.upload_headers.as_deref().unwrap_or_default();
                self.put_until(url, headers, &file.bytes, budget).await?;
            }
        }

        let (bytes, digest) = content.manifest(&birth);
        let stored = CreateManifest::new(table, artifact, Some(&digest));
        let stored = self.request(&stored, budget).await?;
        let file = stored.manifest().and_then(|manifest| manifest.file.as_ref());
        let file = file.ok_or_else(|| incomplete("no URL for the manifest"))?;
        if let Some(url) = &file.upload_url {
            let headers = file.upload_headers.as_deref().unwrap_or_default();
            self.put_until(url, headers, &bytes, budget).await?;
        }
        let commit = CommitArtifact { artifact: artifact.id.clone() };
        let committed = self.request(&commit, budget).await?.commit_artifact;
        let committed = committed.and_then(|committed| committed.artifact);
        committed.map(drop).ok_or_else(|| incomplete("the artifact's commit is not confirmed"))
    }

    /// Uploads bytes to a URL from the server, with retries until the upload is acknowledged.
    async fn put_until(
        &self,
        url: &str,
        headers: &[String],
        bytes: &[u8],
        budget: &mut Budget,
    ) -> Result<(), OpenError> {
        let uri: Uri = url.parse().map_err(|_| incomplete("an upload URL is invalid"))?;
        let (headers, bytes) = (header_pairs(headers), Bytes::copy_from_slice(bytes));
        let mut attempts = 0;
        loop {
            let timeout = budget.timeout(attempts);
            match self.put(uri.clone(), &headers, bytes.clone(), timeout).await {
                Ok(()) => return Ok(()),
                // The URL may have expired: the next call of `open` gets a new one.
                Err(error) if attempts + 1 >= MAX_PUT_ATTEMPTS => {
                    return Err(answer::open_error(error));
                }
                Err(error) => budget.wait(&mut attempts, error).await?,
            }
        }
    }

    /// Sends one operation, with retries until there is a response. Every operation is idempotent.
    async fn request<O: Operation + Sync>(
        &self,
        operation: &O,
        budget: &mut Budget,
    ) -> Result<O::Answer, OpenError> {
        let mut attempts = 0;
        loop {
            match self.post_graphql(operation, budget.timeout(attempts)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => budget.wait(&mut attempts, error).await?,
            }
        }
    }
}

/// The time limit of one `open`, shared by all its requests.
struct Budget {
    start: Instant,
    deadline: Instant,
    first_attempt: Duration,
    backoff: Backoff,
}

impl Budget {
    fn new(timeout: Duration, seed: u64) -> Self {
        let (shortest, longest) = FIRST_ATTEMPT;
        let start = Instant::now();
        Self {
            start,
            deadline: start + reachable(timeout),
            first_attempt: (timeout / 8).clamp(shortest, longest),
            backoff: Backoff::new(RetryPolicy::default(), seed),
        }
    }

    /// Returns the timeout of an attempt after this number of failed attempts.
    fn timeout(&self, attempts: u32) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        left.min(self.first_attempt.saturating_mul(1 << attempts.min(16)))
    }

    /// Waits before the next attempt of a request, or returns why there is none.
    async fn wait(&mut self, attempts: &mut u32, error: AppendError) -> Result<(), OpenError> {
        let AppendError::Transient { message, retry_after } = error else {
            return Err(answer::open_error(error));
        };
        *attempts += 1;
        let asked = retry_after.unwrap_or_default();
        if !pause(self.backoff.delay(*attempts), asked, self.deadline).await {
            return Err(OpenError::Unavailable { waited: self.start.elapsed(), reason: message });
        }
        Ok(())
    }
}

fn incomplete(what: &str) -> OpenError {
    OpenError::Backend { reason: format!("the server's response is incomplete: {what}") }
}
