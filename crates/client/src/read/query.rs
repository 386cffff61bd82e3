//! The result of an SQL query.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::stream;
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use streamtable_schema::Row;
use streamtable_transport::Body;
use streamtable_wire::api::{QUERY_PATH, ROWS_TYPE};

use super::lines::Lines;
use super::server::Server;
use super::{Items, ReadError, Rows};
use crate::Settings;

/// How much longer than a query may take its response is awaited.
const GRACE: Duration = Duration::from_secs(10);

/// A query in SQL; made by [`Reader::query`](super::Reader::query).
#[derive(Clone, Debug)]
#[must_use = "a query is sent by `rows`"]
pub struct Query {
    pub(super) server: Server,
    sql: String,
    home: Option<(String, String)>,
    timeout: Duration,
}

#[derive(Serialize)]
struct Sql<'a> {
    sql: &'a str,
    timeout: f64,
    #[serde(flatten)]
    home: Option<Home<'a>>,
}

#[derive(Serialize)]
struct Home<'a> {
    entity: &'a str,
    project: &'a str,
}

impl Query {
    pub(super) fn new(server: Server, sql: &str) -> Self {
        let Settings { entity, project, .. } = server.settings().clone();
        let home = entity.zip(project);
        Self { server, sql: sql.to_owned(), home, timeout: Duration::from_secs(60) }
    }

    /// Sets the entity and the project of table names without them. The default is that of the
    /// settings.
    pub fn home(mut self, entity: &str, project: &str) -> Self {
        self.home = Some((entity.to_owned(), project.to_owned()));
        self
    }

    /// Limits the time of the query. The default is 60 s; the server allows 10 minutes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends the query, waits, and returns an iterator over its rows, for programs without an async
    /// runtime.
    pub fn rows_blocking<T>(self) -> Result<Items<Rows<T>>, ReadError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        Items::open(self.server.clone(), self.rows())
    }

    /// Sends the query, and returns its rows as they are found.
    pub async fn rows<T: DeserializeOwned>(self) -> Result<Rows<T>, ReadError> {
        let (server, body) = self.send(ROWS_TYPE).await?;
        let result =
            Answer { server, body, lines: Lines::default(), found: VecDeque::new(), rows: 0 };
        let rows = stream::try_unfold(result, |mut result| async {
            Ok(result.next().await?.map(|row| (row, result)))
        });
        Ok(Rows::new(Box::pin(rows)))
    }

    /// Sends the query, and returns the body of a response of the content type `accept`.
    pub(super) async fn send(
        self,
        accept: &'static str,
    ) -> Result<(Server, Box<dyn Body>), ReadError> {
        let Self { server, sql, home, timeout } = self;
        let home = home.as_ref().map(|(entity, project)| Home { entity, project });
        let body = Sql { sql: &sql, timeout: timeout.as_secs_f64(), home };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let request = server.request(Method::POST, QUERY_PATH, accept, body)?;
        let body = server.send(request, timeout.saturating_add(GRACE)).await?.into_body();
        Ok((server, body))
    }
}

/// A response that is being read.
struct Answer {
    server: Server,
    body: Box<dyn Body>,
    lines: Lines,
    found: VecDeque<Row>,
    /// Number of rows returned.
    rows: u64,
}

impl Answer {
    async fn next(&mut self) -> Result<Option<(u64, Row)>, ReadError> {
        loop {
            if let Some(row) = self.found.pop_front() {
                self.rows += 1;
                return Ok(Some((self.rows - 1, row)));
            }
            let Self { server, body, lines, found, .. } = self;
            match body.chunk().await? {
                Some(chunk) => lines.push(server, &chunk, |line| {
                    found.push_back(server.parse(line)?);
                    Ok(())
                })?,
                None if lines.is_complete() => return Ok(None),
                None => return Err(server.not_an_answer("it ends in the middle of a row")),
            }
        }
    }
}
