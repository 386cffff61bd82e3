//! The state of the mock.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde::Deserialize;
use streamtable_schema::{Row, TablePath};
use streamtable_transport::ApiKey;
use streamtable_wire::{ACKS_HEADER, ROWS_HEADER, ROWS_VERSION};

use crate::api::{self, Params, SqlRequest};
use crate::artifact::Artifact;
use crate::auth::{self, Who};
use crate::body::plain_body;
use crate::config::MockConfig;
use crate::graphql::{self, Context};
use crate::plan::Schedule;
use crate::refusal::{Refusal, json_response, response};
use crate::route::{self, Route, check_json, local_path};
use crate::run::Run;
use crate::upload::{self, Slot};
use crate::{Arrival, Fault, RequestKind, binary_rows, file_stream};

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) keys: Option<Vec<(ApiKey, String)>>,
    pub(crate) runs: BTreeMap<TablePath, Run>,
    pub(crate) artifacts: Vec<Artifact>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) schedule: Schedule,
    pub(crate) journal: Vec<Arrival>,
    pub(crate) violations: Vec<String>,
    /// The results of queries, by their SQL.
    pub(crate) queries: BTreeMap<String, Vec<Row>>,
    /// Requests that have not arrived yet although their client has given up.
    pub(crate) late: Vec<Late>,
}

/// A request that arrives later.
#[derive(Debug)]
pub(crate) struct Late {
    pub(crate) kind: RequestKind,
    pub(crate) base: String,
    pub(crate) request: Request<Bytes>,
}

impl State {
    pub(crate) fn new(config: &MockConfig) -> Self {
        Self {
            keys: config.keys.clone(),
            runs: BTreeMap::new(),
            artifacts: Vec::new(),
            slots: Vec::new(),
            schedule: Schedule::new(config.faults.clone()),
            journal: Vec::new(),
            violations: Vec::new(),
            queries: BTreeMap::new(),
            late: Vec::new(),
        }
    }

    pub(crate) fn has_project(&self, table: &TablePath) -> bool {
        let same = |known: &TablePath| {
            known.entity() == table.entity() && known.project() == table.project()
        };
        self.runs.keys().any(same)
    }

    pub(crate) fn run_mut(&mut self, table: &TablePath) -> Result<&mut Run, Refusal> {
        let missing = || {
            Refusal::violation(StatusCode::NOT_FOUND, format!("the run {table} was never created"))
        };
        self.runs.get_mut(table).ok_or_else(missing)
    }

    pub(crate) fn artifacts_of(
        &self,
        table: &TablePath,
    ) -> impl Iterator<Item = (usize, &Artifact)> {
        self.artifacts.iter().enumerate().filter(move |(_, artifact)| artifact.table == *table)
    }

    /// Returns the newest committed artifact of a table.
    pub(crate) fn latest_artifact(&self, table: &TablePath) -> Option<usize> {
        let whole = self.artifacts_of(table).filter(|(_, artifact)| artifact.is_committed());
        whole.max_by_key(|(_, artifact)| artifact.version).map(|(number, _)| number)
    }

    /// Creates a signed URL, or returns the existing one for the same target.
    pub(crate) fn slot(&mut self, slot: Slot) -> usize {
        if let Some(known) = self.slots.iter().position(|known| *known == slot) {
            return known;
        }
        self.slots.push(slot);
        self.slots.len() - 1
    }

    /// Handles a request and records it.
    pub(crate) fn handle(
        &mut self,
        config: &MockConfig,
        base: &str,
        request: &Request<Bytes>,
        fault: Option<&Fault>,
    ) -> Response<Bytes> {
        let mut answer = match self.act(config, base, request) {
            Ok(answer) => answer,
            Err(refusal) => {
                if refusal.is_violation {
                    let (method, path) = (request.method(), request.uri().path());
                    let message = format!("{method} {path}: {}", refusal.message);
                    self.violations.push(message);
                }
                refusal.to_response()
            }
        };
        if config.acks {
            answer.headers_mut().insert(ACKS_HEADER, HeaderValue::from_static("1"));
        }
        announce(config, &mut answer);
        self.note(config, base, request, fault, Some(answer.status()));
        answer
    }

    fn act(
        &mut self,
        config: &MockConfig,
        base: &str,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, Refusal> {
        let path = local_path(base, request.uri());
        let route = path.map_or(Route::Unknown, Route::of);
        route.check_method(request.method())?;
        match route {
            Route::Graphql => {
                let who = self.who(config, request)?;
                check_json(request)?;
                let body = plain_body(request, false, config.max_body_bytes)?;
                let mut context = Context { state: self, base, who: &who, gzip: config.gzip };
                graphql::execute(&mut context, &body)
            }
            Route::FileStream([entity, project, run]) => {
                let who = self.who(config, request)?;
                who.may_use(&entity)?;
                check_json(request)?;
                let body = plain_body(request, config.gzip, config.max_body_bytes)?;
                let table = route::table(&entity, &project, &run)?;
                let artifacts = &self.artifacts;
                let is_uploaded = |run: &Run, path: &str| {
                    run.files.contains_key(path)
                        || artifacts.iter().any(|a| a.table == table && a.file(path).is_some())
                };
                let run = self.runs.get_mut(&table).ok_or_else(|| {
                    let message = format!("the run {table} was never created");
                    Refusal::violation(StatusCode::NOT_FOUND, message)
                })?;
                let headers = request.headers();
                let answer = file_stream::post(run, is_uploaded, headers, &body, config.dedupe)?;
                let body = match config.acks {
                    true => answer.to_bytes(),
                    false => file_stream::answer_of_wandb(answer),
                };
                Ok(json_response(StatusCode::OK, body))
            }
            Route::File([entity, project, run], path) => {
                let who = self.who(config, request)?;
                who.may_use(&entity)?;
                let table = route::table(&entity, &project, &run)?;
                let bytes = self.runs.get(&table).and_then(|run| run.files.get(&path));
                let missing = || Refusal::plain(StatusCode::NOT_FOUND, "there is no such file");
                Ok(bytes_response(bytes.cloned().ok_or_else(missing)?))
            }
            Route::Storage { slot, signature } if request.method() == Method::PUT => {
                let bytes = request.body().clone();
                let limit = config.max_body_bytes;
                if bytes.len() > limit {
                    let message = format!("the body is longer than {limit} bytes");
                    return Err(Refusal::plain(StatusCode::PAYLOAD_TOO_LARGE, message));
                }
                upload::put(self, slot, &signature, request.headers(), bytes.clone())?;
                Ok(upload::answer(&bytes, config.acks))
            }
            Route::Storage { slot, signature } => {
                Ok(bytes_response(upload::get(self, slot, &signature)?))
            }
            Route::Rows([entity, project, table], query) if request.method() == Method::POST => {
                if !config.takes_binary_rows() || !query.is_empty() {
                    return Err(Refusal::bad("rows are posted to the file stream"));
                }
                self.who(config, request)?.may_use(&entity)?;
                let body = plain_body(request, false, config.max_body_bytes)?;
                let run = self.run_mut(&route::table(&entity, &project, &table)?)?;
                let answer = binary_rows::post(run, request.headers(), &body, config.dedupe)?;
                Ok(json_response(StatusCode::OK, answer.to_bytes()))
            }
            Route::Rows([entity, project, table], query) => {
                let run = self.readable(config, request, [&entity, &project, &table])?;
                Ok(api::rows(run, &Params::parse(&query)?))
            }
            Route::Tail([entity, project, table], query) => {
                let run = self.readable(config, request, [&entity, &project, &table])?;
                api::tail(run, &Params::parse(&query)?)
            }
            Route::Query => {
                self.who(config, request)?;
                let body = plain_body(request, false, config.max_body_bytes)?;
                let SqlRequest { sql, .. } = SqlRequest::parse(&body)?;
                let rows = self.queries.get(&sql).ok_or_else(|| {
                    let message = format!("the mock has no result for {sql:?}: call `add_query`");
                    Refusal::plain(StatusCode::BAD_REQUEST, message)
                })?;
                Ok(api::result(rows))
            }
            // `check_method` refused it.
            Route::Unknown => Err(Refusal::bad("there is no such path")),
        }
    }

    /// Returns a table that the caller may read.
    fn readable(
        &self,
        config: &MockConfig,
        request: &Request<Bytes>,
        [entity, project, table]: [&str; 3],
    ) -> Result<&Run, Refusal> {
        self.who(config, request)?.may_use(entity)?;
        let table = route::table(entity, project, table)?;
        self.runs.get(&table).ok_or_else(|| api::no_table(&table))
    }

    fn who(&self, config: &MockConfig, request: &Request<Bytes>) -> Result<Who, Refusal> {
        auth::who(request.headers(), self.keys.as_deref(), config.default_entity.as_deref())
    }

    /// Records a request in the journal.
    pub(crate) fn note(
        &mut self,
        config: &MockConfig,
        base: &str,
        request: &Request<Bytes>,
        fault: Option<&Fault>,
        status: Option<StatusCode>,
    ) {
        let class = Class::of(base, request);
        let extent = match class.kind {
            RequestKind::FileStream if binary_rows::has_rows(request) => {
                binary_rows::extent(request)
            }
            RequestKind::FileStream => plain_body(request, true, config.max_body_bytes)
                .ok()
                .and_then(|body| file_stream::extent(&body)),
            _ => None,
        };
        self.journal.push(Arrival {
            seq: self.journal.len() as u64,
            method: request.method().clone(),
            path: class.path,
            kind: class.kind,
            operation: class.operation,
            status,
            fault: fault.cloned(),
            body_bytes: request.body().len(),
            offset: extent.map(|(offset, _)| offset),
            lines: extent.map_or(0, |(_, lines)| lines),
        });
    }
}

/// Announces that tables take binary rows, if they do.
pub(crate) fn announce(config: &MockConfig, answer: &mut Response<Bytes>) {
    if config.takes_binary_rows() {
        answer.headers_mut().insert(ROWS_HEADER, HeaderValue::from_static(ROWS_VERSION));
    }
}

/// The properties of a request that faults and the journal need.
pub(crate) struct Class {
    path: String,
    pub(crate) kind: RequestKind,
    pub(crate) operation: Option<String>,
}

impl Class {
    pub(crate) fn of(base: &str, request: &Request<Bytes>) -> Self {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Name {
            operation_name: Option<String>,
        }

        let path = local_path(base, request.uri()).unwrap_or_else(|| request.uri().path());
        let kind = Route::of(path).kind(request.method());
        let operation = match kind {
            RequestKind::Graphql => serde_json::from_slice::<Name>(request.body())
                .ok()
                .and_then(|name| name.operation_name),
            _ => None,
        };
        Self { path: path.to_owned(), kind, operation }
    }
}

fn bytes_response(bytes: Bytes) -> Response<Bytes> {
    response(StatusCode::OK, "application/octet-stream", bytes)
}
