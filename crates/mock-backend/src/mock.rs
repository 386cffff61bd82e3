use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use streamtable_schema::{Row, TablePath};
use streamtable_transport::{ApiKey, AttemptTimeout, Body, Origin, Transport, TransportError};
use streamtable_wire::StreamTableArtifact;

use crate::artifact::Artifact;
use crate::exchange::Outcome;
use crate::route::local_path;
use crate::state::{Late, State};
use crate::{Fault, FaultPlan, Loss, MockConfig, NoTimer, Select};

/// A W&B-compatible backend in memory. The handle is cheap to clone.
///
/// Used as a [`Transport`], it needs no socket and responds at once, unless a fault delays the
/// response.
///
/// The mock is strict: it refuses requests that the protocol does not allow, as a server would, and
/// records them in [`violations`](Self::violations), so that a test can check that there are none.
/// A refusal that a correct client may get (an unknown key, another user's entity, a body that is
/// too long) is not a violation.
#[derive(Clone, Debug)]
pub struct MockBackend {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: MockConfig,
    state: Mutex<State>,
}

impl MockBackend {
    /// Creates a backend without tables.
    ///
    /// Fails if one of its faults is a delay and it has no timer.
    pub fn new(config: MockConfig) -> Result<Self, NoTimer> {
        if config.faults.has_delay() && config.timer.is_none() {
            return Err(NoTimer);
        }
        let state = Mutex::new(State::new(&config));
        Ok(Self { shared: Arc::new(Shared { config, state }) })
    }

    /// Creates a backend without tables, with these faults and otherwise the defaults.
    ///
    /// Fails if one of the faults is a delay: these need [a timer](MockConfig::timer).
    pub fn with_faults(faults: FaultPlan) -> Result<Self, NoTimer> {
        Self::new(MockConfig { faults, ..MockConfig::default() })
    }

    /// Returns the base URL of the mock if it is used as a transport.
    pub fn base_url(&self) -> &str {
        &self.config().base_url
    }

    /// Adds a fault for the next selected request to which no fault of the plan applies. Faults
    /// apply in the order in which they were pushed.
    ///
    /// Fails if the fault is a delay and the mock has no timer.
    pub fn push_fault(&self, select: impl Into<Select>, fault: Fault) -> Result<(), NoTimer> {
        if matches!(fault, Fault::Delay(_)) && self.config().timer.is_none() {
            return Err(NoTimer);
        }
        self.state().schedule.push(select.into(), fault);
        Ok(())
    }

    /// Delivers the requests that [`Fault::Late`] holds back, and returns their number.
    pub fn settle(&self) -> usize {
        let config = self.config();
        let mut state = self.state();
        let late = std::mem::take(&mut state.late);
        for Late { base, request, .. } in &late {
            state.handle(config, base, request, Some(&Fault::Late));
        }
        late.len()
    }

    /// Replaces the keys, see [`MockConfig::keys`].
    pub fn set_keys(&self, keys: Option<Vec<(ApiKey, String)>>) {
        self.state().keys = keys;
    }

    /// Sets the result of an SQL query, which the mock cannot compute.
    pub fn add_query(&self, sql: &str, rows: Vec<Row>) {
        self.state().queries.insert(sql.to_owned(), rows);
    }

    /// Creates a table with its project, run and artifact, as if a client had opened it.
    pub fn add_table(&self, table: &TablePath) {
        let mut state = self.state();
        state.runs.entry(table.clone()).or_default();
        if state.latest_artifact(table).is_none() {
            let digest = StreamTableArtifact::new(table).digest;
            let mut artifact = Artifact::new(table.clone(), digest);
            artifact.version = Some(0);
            state.artifacts.push(artifact);
        }
    }

    pub(crate) fn config(&self) -> &MockConfig {
        &self.shared.config
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MockBackend {
    /// Creates a backend with [`MockConfig::default`].
    fn default() -> Self {
        Self::new(MockConfig::default()).expect("no fault, so no delay")
    }
}

impl MockBackend {
    /// Handles a request, and returns the response, with the error in the middle of its body if there
    /// is one.
    async fn answer(
        &self,
        request: Request<Bytes>,
    ) -> Result<(Response<Bytes>, Option<TransportError>), TransportError> {
        let host = Origin::try_from(request.uri())?.authority();
        let base = self.base_url();
        if local_path(base, request.uri()).is_none() {
            let message = format!("{} {}: nobody is there", request.method(), request.uri().path());
            self.state().violations.push(message);
            let reason = "no such host".to_owned();
            return Err(TransportError::Unreachable { host, reason });
        }
        let after = AttemptTimeout::lower(request.extensions(), self.config().timeout);
        let (outcome, delay) = self.receive(base, request);
        if let Some(delay) = delay {
            self.wait(delay).await;
        }
        match outcome {
            Outcome::Answer(answer) => Ok((answer, None)),
            Outcome::Cut(answer) => {
                let length = answer.body().len();
                let reason =
                    format!("the connection ended in the middle of a body of {length} bytes");
                Ok((answer, Some(TransportError::Interrupted { host, reason })))
            }
            Outcome::Lost(Loss::Interrupted) => {
                let reason = "the connection was closed".to_owned();
                Err(TransportError::Interrupted { host, reason })
            }
            Outcome::Lost(Loss::Timeout) => {
                self.wait(after).await;
                Err(TransportError::Timeout { after })
            }
            Outcome::Unreachable => {
                let reason = "connection refused".to_owned();
                Err(TransportError::Unreachable { host, reason })
            }
        }
    }
}

#[async_trait]
impl Transport for MockBackend {
    /// Responds from memory. A request to another URL than the mock's base URL finds no server and
    /// is a violation.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        match self.answer(request).await? {
            (_, Some(error)) => Err(error),
            (answer, None) => Ok(answer),
        }
    }

    /// Responds in short chunks. A body that is cut has its first half.
    async fn send_streaming(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Box<dyn Body>>, TransportError> {
        let (answer, error) = self.answer(request).await?;
        Ok(answer.map(|mut rest| {
            if error.is_some() {
                rest.truncate(rest.len() / 2);
            }
            Box::new(Chunks { rest, error }) as Box<dyn Body>
        }))
    }
}

/// A body in chunks that end anywhere.
#[derive(Debug)]
struct Chunks {
    rest: Bytes,
    /// The error after the last chunk.
    error: Option<TransportError>,
}

/// A prime number, so that chunks end at different places of rows.
const CHUNK_BYTES: usize = 101;

#[async_trait]
impl Body for Chunks {
    async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        match (self.rest.len(), self.error.take()) {
            (0, Some(error)) => Err(error),
            (0, None) => Ok(None),
            (length, error) => {
                self.error = error;
                Ok(Some(self.rest.split_to(length.min(CHUNK_BYTES))))
            }
        }
    }
}
