//! The control API: GraphQL as spoken by W&B clients.
//!
//! It is a real schema, so that the introspection queries of clients (`__type`, `__typename`) work.
//! Only one rule is relaxed: clients send variables that their documents do not declare.

mod absent;
mod artifact;
mod by_id;
mod connection;
mod execution;
mod file;
mod filter;
mod history;
mod input;
mod limits;
mod mutation;
mod mutation_artifact;
mod operation;
mod places;
mod project;
mod query;
mod refusals;
mod run;
mod scalar;
mod user;

use std::sync::Arc;

use async_graphql::{EmptySubscription, Schema, ServerError, ValidationMode, Variables};
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use serde::Serialize;
use streamtable_server_core::{ApiError, BaseUrl, CatalogError, Key, Principal, Right};
use streamtable_store::StoreError;
use streamtable_wire::graphql::GraphqlRequest;
use streamtable_wire::{ACKS_HEADER, GRAPHQL_PATH, ROWS_HEADER, ROWS_VERSION};
use tokio_util::sync::CancellationToken;

use crate::Wandb;
use crate::WandbConfig;
use crate::catalog::RunLocation;

use execution::{Execution, Guard};
use mutation::Mutation;
use operation::Mutations;
use query::Query;

type ControlSchema = Schema<Query, Mutation, EmptySubscription>;

pub(crate) fn router(config: &WandbConfig) -> Router<Wandb> {
    let schema = schema(config);
    let mutations = Arc::new(Mutations::of(&schema.sdl()));
    let api = ControlApi { schema, mutations };
    Router::new().route(GRAPHQL_PATH, post(graphql)).layer(Extension(api))
}

/// The schema, and the names of its mutations.
#[derive(Clone)]
struct ControlApi {
    schema: ControlSchema,
    mutations: Arc<Mutations>,
}

fn schema(config: &WandbConfig) -> ControlSchema {
    Schema::build(Query, Mutation::default(), EmptySubscription)
        .limit_depth(config.max_query_depth)
        .limit_complexity(config.max_query_complexity)
        .limit_directives(64)
        // Fast mode does not check variables: clients send variables of other types than the
        // schema's, undeclared ones and unused ones.
        .validation_mode(ValidationMode::Fast)
        .disable_suggestions()
        .extension(Guard)
        .finish()
}

/// The context of a request.
#[derive(Debug)]
pub(crate) struct RequestContext {
    pub(crate) state: Wandb,
    pub(crate) key: Key,
    pub(crate) principal: Principal,
    pub(crate) base: BaseUrl,
    pub(crate) execution: Arc<Execution>,
}

impl RequestContext {
    /// Returns the default entity of the request.
    fn default_entity(&self) -> &str {
        self.principal.entity.as_deref().unwrap_or(&self.state.config.default_entity)
    }

    /// Returns the named entity, or the default one if the name is missing or empty.
    fn entity(&self, named: Option<String>) -> String {
        named.filter(|name| !name.is_empty()).unwrap_or_else(|| self.default_entity().to_owned())
    }

    /// Returns whether the request may see objects of an entity. Others are treated as nonexistent.
    fn sees(&self, entity: &str) -> bool {
        self.principal.check(Right::Read, entity).is_ok()
    }

    fn check_write(&self, entity: &str) -> Result<(), ApiError> {
        self.principal.check(Right::Write, entity)
    }

    async fn run_at(&self, at: &RunLocation) -> Result<crate::catalog::Run, ApiError> {
        let run = self.state.catalog.run(at).await?;
        run.ok_or_else(|| ApiError::not_found(format!("there is no run {:?}", at.run)))
    }
}

fn request_context<'a>(ctx: &async_graphql::Context<'a>) -> &'a RequestContext {
    ctx.data_unchecked()
}

async fn graphql(
    State(state): State<Wandb>,
    Extension(api): Extension<ControlApi>,
    request: Request,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let key = Key::from_request_parts(&mut parts, &state).await?;
    let base = BaseUrl::from_request_parts(&mut parts, &state).await?;
    let limit = state.config.max_graphql_bytes;
    let (body, _memory) = state.core.bodies.read(&parts.headers, body, limit).await?;
    let caller = CancellationToken::new();
    let bodies = state.core.bodies.clone();
    let execution = Execution::new(state.config.max_document_time, caller.clone(), bodies);
    let execution = Arc::new(execution);
    // Dropped with this handler, if the caller disconnects.
    let _caller = caller.drop_guard();
    let (principal, owner) = (key.principal(), key.id.clone());
    let context = RequestContext { principal, state: state.clone(), key, base, execution };
    let runtime = tokio::runtime::Handle::current();
    // Runs on the blocking pool: the cost of a document is bounded, but can be high.
    let work = move || {
        let mut request = read(&body)?;
        let operation = request.operation_name.clone();
        let document = limits::parse(&request.query, &context.state.config);
        let document = document.and_then(|document| {
            api.mutations.check(&document, operation.as_deref())?;
            Ok(document)
        });
        match document {
            Ok(document) => {
                operation::add_defaults(&document, operation.as_deref(), &mut request.variables);
                request.set_parsed_query(document);
            }
            Err(error) => {
                let error = ServerError::new(error.message(), None);
                return Ok(async_graphql::Response::from_errors(vec![error]));
            }
        }
        let execution = Arc::clone(&context.execution);
        runtime.block_on(execution.run(api.schema.execute(request.data(context))))
    };
    let max_wait = state.core.bodies.max_wait();
    let answer = state.shared.documents.run_within(&owner, max_wait, work).await??;
    let errors = answer.errors.into_iter().map(to_entry).collect::<Result<Vec<_>, _>>()?;
    if !errors.is_empty() {
        tracing::debug!(?errors, "a GraphQL request was refused");
    }
    let body = Answer { data: answer.data, errors };
    let body = serde_json::to_vec(&body).map_err(|error| {
        tracing::error!(%error, "a response cannot be serialized");
        ApiError::new(http::StatusCode::INTERNAL_SERVER_ERROR, "the server failed")
    })?;
    let acks = (HeaderName::from_static(ACKS_HEADER), "1");
    // Every server has the native API.
    let rows = (HeaderName::from_static(ROWS_HEADER), ROWS_VERSION);
    Ok(([(CONTENT_TYPE, "application/json"), acks, rows], Bytes::from(body)).into_response())
}

fn read(body: &[u8]) -> Result<async_graphql::Request, ApiError> {
    let unreadable = |error: serde_json::Error| {
        ApiError::bad_request(limits::shortened(&format!("not a GraphQL request: {error}")))
    };
    let request = GraphqlRequest::parse(body).map_err(unreadable)?;
    let mut read = async_graphql::Request::new(request.query);
    if let Some(name) = request.operation_name.filter(|name| !name.is_empty()) {
        read = read.operation_name(name);
    }
    if let Some(variables) = request.variables {
        let variables = serde_json::from_str(variables.get()).map_err(unreadable)?;
        let variables = Variables::from_json(variables);
        limits::check_variables(&variables)?;
        read = read.variables(variables);
    }
    Ok(read)
}

#[derive(Serialize)]
struct Answer {
    data: async_graphql::Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ErrorEntry>,
}

#[derive(Debug, Serialize)]
struct ErrorEntry {
    message: String,
    path: Vec<async_graphql::PathSegment>,
}

/// Converts an error to an entry of the response's error list. Returns it as `Err` if the whole
/// request must fail with its status: clients only retry a request because of its status.
fn to_entry(error: ServerError) -> Result<ErrorEntry, ApiError> {
    let known = error
        .source::<ApiError>()
        .cloned()
        .or_else(|| error.source::<CatalogError>().cloned().map(ApiError::from))
        .or_else(|| error.source::<StoreError>().cloned().map(ApiError::from));
    match known {
        Some(error) if error.status().is_server_error() => Err(error),
        Some(known) => {
            Ok(ErrorEntry { message: limits::shortened(known.message()), path: error.path })
        }
        None => Ok(ErrorEntry { message: limits::shortened(&error.message), path: error.path }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_what_clients_probe() {
        let sdl = schema(&WandbConfig::default()).sdl();
        for part in [
            "input CreateArtifactInput {",
            "input CreateArtifactFileSpecInput {",
            "type Artifact {",
            "type ServerInfo {",
            "type ServerSettings",
            "createRunFiles(",
        ] {
            assert!(sdl.contains(part), "{part}\n{sdl}");
        }
    }
}
