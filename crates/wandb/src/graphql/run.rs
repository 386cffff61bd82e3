//! GraphQL type of runs.

use async_graphql::{Context, ID, Object, SimpleObject, Value as Json_};
use streamtable_server_core::{ApiError, Right};

use super::artifact::{Artifact, ArtifactConnection, InputArtifactConnection};
use super::connection::{PageInfo, connection};
use super::file::{File, FileConnection};
use super::history::{self, History};
use super::project::Project;
use super::request_context;
use super::scalar::{DateTime, Int64, Json, JsonString};
use super::user::User;
use crate::catalog::{self, Id, Kind, LineFile};
use crate::rows::parse_json;
use crate::storage::is_file_path;

/// Time without a heartbeat after which a running run counts as crashed.
const CRASHED_AFTER_MILLIS: i64 = 5 * 60 * 1000;

/// Default number of rows in a history response.
const SAMPLES: i32 = 500;

pub(super) struct Run {
    run: catalog::Run,
    /// Whether the client asked for the run as `bucket`, which offers upload URLs.
    is_bucket: bool,
    /// Whether the client just opened the run for writing.
    is_started: bool,
}

impl Run {
    pub(super) fn new(run: catalog::Run) -> Self {
        Self { run, is_bucket: false, is_started: false }
    }

    /// Returns a run that a client just opened for writing.
    pub(super) fn started(run: catalog::Run) -> Self {
        Self { run, is_bucket: false, is_started: true }
    }

    pub(super) fn bucket(run: catalog::Run) -> Self {
        Self { run, is_bucket: true, is_started: false }
    }

    async fn rows<'a>(&self, ctx: &Context<'a>) -> Result<History<'a>, ApiError> {
        History::of(request_context(ctx), &self.run).await
    }

    /// Returns the state of a run. A running run without a recent heartbeat counts as crashed.
    pub(super) fn state_of(run: &catalog::Run) -> &str {
        let now = streamtable_server_core::clock::timestamp().as_millis();
        if run.state == "running" && now - run.heartbeat_at > CRASHED_AFTER_MILLIS {
            return "crashed";
        }
        &run.state
    }
}

/// A run: a table, or a run of the current SDK.
#[Object]
impl Run {
    async fn id(&self) -> ID {
        ID(Id::new(Kind::Run, self.run.id).to_string())
    }

    async fn name(&self) -> &str {
        &self.run.name
    }

    /// The name of the table that has the run's rows. W&B has no such field.
    async fn table_name(&self) -> &str {
        &self.run.table_name
    }

    async fn display_name(&self) -> Option<&str> {
        self.run.display_name.as_deref().or(Some(&self.run.name))
    }

    async fn description(&self) -> Option<&str> {
        self.run.description.as_deref()
    }

    async fn notes(&self) -> Option<&str> {
        self.run.notes.as_deref()
    }

    async fn group(&self) -> Option<&str> {
        self.run.group.as_deref()
    }

    async fn job_type(&self) -> Option<&str> {
        self.run.job_type.as_deref()
    }

    async fn commit(&self) -> Option<&str> {
        self.run.commit.as_deref()
    }

    async fn host(&self) -> Option<&str> {
        self.run.host.as_deref()
    }

    async fn program(&self) -> Option<&str> {
        self.run.program.as_deref()
    }

    async fn repo(&self) -> Option<&str> {
        self.run.repo.as_deref()
    }

    async fn sweep_name(&self) -> Option<&str> {
        self.run.sweep.as_deref()
    }

    async fn tags(&self) -> &[String] {
        &self.run.tags
    }

    async fn state(&self) -> &str {
        Self::state_of(&self.run)
    }

    /// Whether a stop was requested. Always false: the server has no stop request.
    async fn stopped(&self) -> bool {
        false
    }

    async fn read_only(&self, ctx: &Context<'_>) -> bool {
        !request_context(ctx).principal.may(Right::Write, &self.run.project.entity)
    }

    async fn created_at(&self) -> DateTime {
        DateTime::of_millis(self.run.created_at)
    }

    async fn updated_at(&self) -> DateTime {
        DateTime::of_millis(self.run.updated_at)
    }

    async fn heartbeat_at(&self) -> DateTime {
        DateTime::of_millis(self.run.heartbeat_at)
    }

    async fn user(&self) -> Option<User> {
        let name = self.run.owner.clone()?;
        Some(User { name, entity: Some(self.run.project.entity.clone()), is_admin: false })
    }

    async fn project(&self) -> Option<Project> {
        Some(Project(self.run.project.clone()))
    }

    async fn project_id(&self) -> Int64 {
        Int64(self.run.project.id)
    }

    async fn config(&self) -> JsonString {
        json_or_empty(&self.run.config)
    }

    async fn summary_metrics(&self) -> JsonString {
        json_or_empty(&self.run.summary)
    }

    /// The newest system metrics.
    async fn system_metrics(&self, ctx: &Context<'_>) -> async_graphql::Result<JsonString> {
        let catalog = &request_context(ctx).state.catalog;
        let last = catalog.last_line(self.run.id, LineFile::Events).await?;
        Ok(json_or_empty(&last))
    }

    /// The given keys of the configuration's `_wandb` part. Clients check them for a used run.
    async fn wandb_config(&self, keys: Option<Vec<String>>) -> JsonString {
        JsonString(wandb_config(self.run.config.as_deref(), keys.as_deref()))
    }

    /// The run's own next line. For a table with other writers, its number of rows.
    ///
    /// A run that was just opened has none, unless its client resumes it: the client starts over,
    /// and its rows replace those with the same number.
    async fn history_line_count(&self, ctx: &Context<'_>) -> async_graphql::Result<Int64> {
        let resumes = &request_context(ctx).state.shared.resumes;
        let now = std::time::Instant::now();
        if self.is_bucket {
            resumes.announce(self.run.id, now);
        }
        if self.is_started && !resumes.is_announced(self.run.id, now) {
            return Ok(Int64(0));
        }
        Ok(Int64(self.rows(ctx).await?.line_count()))
    }

    async fn events_line_count(&self, ctx: &Context<'_>) -> async_graphql::Result<Int64> {
        let catalog = &request_context(ctx).state.catalog;
        Ok(Int64(catalog.line_count(self.run.id, LineFile::Events).await?))
    }

    async fn log_line_count(&self, ctx: &Context<'_>) -> async_graphql::Result<Int64> {
        let catalog = &request_context(ctx).state.catalog;
        Ok(Int64(catalog.line_count(self.run.id, LineFile::Output).await?))
    }

    /// The last row, as a list of JSON texts.
    async fn history_tail(&self, ctx: &Context<'_>) -> async_graphql::Result<JsonString> {
        let last = self.rows(ctx).await?.last().await?;
        Ok(list_of_texts(last))
    }

    /// The last system metrics, as a list of JSON texts.
    async fn events_tail(&self, ctx: &Context<'_>) -> async_graphql::Result<JsonString> {
        let catalog = &request_context(ctx).state.catalog;
        let last = catalog.last_line(self.run.id, LineFile::Events).await?;
        Ok(list_of_texts(last))
    }

    async fn history_keys(&self, ctx: &Context<'_>) -> async_graphql::Result<Json> {
        // Not through `serde_json::Value`, which does not keep the column order.
        let keys = self.rows(ctx).await?.keys().await?;
        Ok(Json(async_graphql::to_value(keys)?))
    }

    /// Rows as JSON texts: those with a step in `minStep..maxStep`, or an evenly spaced sample of
    /// all rows if neither bound is given.
    async fn history(
        &self,
        ctx: &Context<'_>,
        min_step: Option<Int64>,
        max_step: Option<Int64>,
        samples: Option<i32>,
    ) -> async_graphql::Result<Vec<String>> {
        let history = self.rows(ctx).await?;
        let limit = usize::try_from(samples.unwrap_or(SAMPLES)).unwrap_or(0);
        if min_step.is_none() && max_step.is_none() {
            return Ok(history.sample_lines(limit).await?);
        }
        let min = min_step.map_or(i64::MIN, |step| step.0);
        let max = max_step.map_or(i64::MAX, |step| step.0);
        Ok(history.lines(min, max, limit).await?)
    }

    /// Sampled rows as objects with the requested keys, one list per specification.
    async fn sampled_history(
        &self,
        ctx: &Context<'_>,
        specs: Vec<JsonString>,
    ) -> async_graphql::Result<Vec<Json>> {
        let history = self.rows(ctx).await?;
        let mut lists = Vec::new();
        for spec in specs.iter().take(history::MAX_SPECS) {
            let rows = history.sample(&spec.0).await?;
            lists.push(Json(Json_::List(rows)));
        }
        Ok(lists)
    }

    /// Rows outside of Parquet files: all rows that have one of the keys, since no files are
    /// offered. If the only key is `_step`, the first row is enough: the current SDK asks where such
    /// rows begin, and reads them page by page. Legacy clients, which want all, use an alias.
    async fn parquet_history(
        &self,
        ctx: &Context<'_>,
        live_keys: Option<Vec<String>>,
    ) -> async_graphql::Result<ParquetHistory> {
        let keys = live_keys.unwrap_or_default();
        let is_probe = keys == ["_step"] && ctx.field().alias().is_none();
        let limit = if is_probe { 1 } else { u64::MAX };
        let rows = self.rows(ctx).await?.live(&keys, limit).await?;
        Ok(ParquetHistory { parquet_urls: Vec::new(), live_data: Json(Json_::List(rows)) })
    }

    /// System metrics as JSON texts.
    async fn events(
        &self,
        ctx: &Context<'_>,
        samples: Option<i32>,
    ) -> async_graphql::Result<Vec<String>> {
        let catalog = &request_context(ctx).state.catalog;
        let lines = catalog.lines(self.run.id, LineFile::Events, 0, history::MAX_ROWS as i64);
        let lines = lines.await?.into_iter().map(|(_, text)| text).collect();
        let limit = usize::try_from(samples.unwrap_or(SAMPLES)).unwrap_or(0);
        Ok(history::thin(lines, limit))
    }

    /// Lines of the console: the `last` ones, or those after a cursor.
    #[expect(unused_variables, reason = "accepted for compatibility with clients, and ignored")]
    async fn log_lines(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        first: Option<i32>,
        last: Option<i32>,
        use_improved_pagination: Option<bool>,
    ) -> async_graphql::Result<LogLineConnection> {
        let catalog = &request_context(ctx).state.catalog;
        let count = catalog.line_count(self.run.id, LineFile::Output).await?;
        let from = match last {
            Some(last) => count.saturating_sub(i64::from(last)).max(0),
            None => after.and_then(|cursor| cursor.parse::<i64>().ok()).map_or(0, |line| line + 1),
        };
        let limit = i64::from(last.or(first).unwrap_or(SAMPLES)).clamp(0, history::MAX_ROWS as i64);
        let lines = catalog.lines(self.run.id, LineFile::Output, from, limit).await?;
        Ok(LogLineConnection::new(lines, count))
    }

    async fn file_count(&self, ctx: &Context<'_>) -> async_graphql::Result<i32> {
        let files = request_context(ctx).state.catalog.run_files(self.run.id).await?;
        Ok(i32::try_from(files.len()).unwrap_or(i32::MAX))
    }

    async fn files(
        &self,
        ctx: &Context<'_>,
        names: Option<Vec<Option<String>>>,
        after: Option<String>,
        first: Option<i32>,
        pattern: Option<String>,
    ) -> async_graphql::Result<FileConnection> {
        let request = request_context(ctx);
        // `wandb verify` asks for `./a`, which it saved as `a`.
        let plain = |name: String| name.strip_prefix("./").map(str::to_owned).unwrap_or(name);
        let names: Vec<String> = names.into_iter().flatten().flatten().map(plain).collect();
        let mut files = request.state.catalog.run_files(self.run.id).await?;
        if let Some(pattern) = pattern.as_deref().filter(|pattern| !pattern.is_empty()) {
            files.retain(|file| super::filter::like(pattern, &file.path));
        }
        if names.is_empty() {
            let files = files.into_iter().map(File::of_run).collect();
            return Ok(FileConnection::page(files, after.as_deref(), first));
        }
        files.retain(|file| names.contains(&file.path));
        let missing = names.into_iter().filter(|name| {
            self.is_bucket && is_file_path(name) && !files.iter().any(|file| file.path == *name)
        });
        let missing: Vec<File> = missing.map(|name| File::to_come(self.run.id, name)).collect();
        if !missing.is_empty() {
            request.check_write(&self.run.project.entity)?;
        }
        let files = files.into_iter().map(File::of_run).chain(missing).collect();
        Ok(FileConnection::page(files, after.as_deref(), first))
    }

    async fn output_artifacts(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        first: Option<i32>,
    ) -> async_graphql::Result<ArtifactConnection> {
        let all = request_context(ctx).state.catalog.artifacts_of_run(self.run.id).await?;
        Ok(ArtifactConnection::page(
            all.into_iter().map(Artifact).collect(),
            after.as_deref(),
            first,
        ))
    }

    async fn input_artifacts(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        first: Option<i32>,
    ) -> async_graphql::Result<InputArtifactConnection> {
        let request = request_context(ctx);
        let all = request.state.catalog.inputs_of_run(self.run.id).await?.into_iter();
        let seen = all.filter(|found| request.sees(&found.collection.project.entity));
        let seen = seen.map(Artifact).collect();
        Ok(InputArtifactConnection::page(seen, after.as_deref(), first))
    }
}

connection!(RunConnection, RunEdge, Run);

/// A page of console lines.
#[derive(SimpleObject)]
pub(super) struct LogLineConnection {
    edges: Vec<LogLineEdge>,
    page_info: PageInfo,
}

/// An edge of a connection of console lines.
#[derive(SimpleObject)]
pub(super) struct LogLineEdge {
    node: LogLine,
    cursor: String,
}

/// A line of the console. Its time and its level are not stored.
#[derive(SimpleObject)]
pub(super) struct LogLine {
    number: i64,
    timestamp: Option<DateTime>,
    level: Option<String>,
    label: Option<String>,
    line: String,
}

impl LogLineConnection {
    /// Creates a page of numbered lines, out of `count`.
    fn new(lines: Vec<(i64, String)>, count: i64) -> Self {
        let last = lines.last().map(|(number, _)| *number);
        let page_info = PageInfo {
            end_cursor: last.map(|number| number.to_string()),
            has_next_page: last.is_some_and(|number| number + 1 < count),
        };
        let edges = lines.into_iter().map(|(number, line)| LogLineEdge {
            node: LogLine { number, timestamp: None, level: None, label: None, line },
            cursor: number.to_string(),
        });
        Self { edges: edges.collect(), page_info }
    }
}

/// Parquet files of a run.
#[derive(SimpleObject)]
pub(super) struct ParquetHistory {
    parquet_urls: Vec<String>,
    live_data: Json,
}

fn json_or_empty(text: &Option<String>) -> JsonString {
    JsonString(text.clone().unwrap_or_else(|| "{}".to_owned()))
}

fn list_of_texts(text: Option<String>) -> JsonString {
    let texts: Vec<String> = text.into_iter().collect();
    JsonString(serde_json::to_string(&texts).expect("texts serialize into a string"))
}

fn wandb_config(config: Option<&str>, keys: Option<&[String]>) -> String {
    let config = config.and_then(parse_json);
    let inner = config.as_ref().and_then(|config| config.get("_wandb")?.get("value")?.as_object());
    let Some(inner) = inner else { return "{}".to_owned() };
    let wanted = inner.iter().filter(|(key, _)| keys.is_none_or(|keys| keys.contains(key)));
    let wanted: serde_json::Map<_, _> = wanted.map(|(k, v)| (k.clone(), v.clone())).collect();
    serde_json::Value::Object(wanted).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wandb_config_returns_the_requested_keys() {
        #[track_caller]
        fn check(config: Option<&str>, expected: &str) {
            assert_eq!(wandb_config(config, Some(&["t".to_owned()])), expected);
        }
        check(
            Some(r#"{"lr":{"value":1},"_wandb":{"value":{"t":{"1":[2]},"m":[]}}}"#),
            r#"{"t":{"1":[2]}}"#,
        );
        check(Some(r#"{"lr":{"value":NaN},"_wandb":{"value":{"t":1}}}"#), r#"{"t":1}"#);
        check(Some(r#"{"_wandb":{"value":{"m":[]}}}"#), "{}");
        check(Some("{}"), "{}");
        check(Some("NaN"), "{}");
        check(None, "{}");
    }
}
