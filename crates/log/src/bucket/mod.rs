//! A log in a bucket of an object store.
//!
//! Each frame is an object, created with `If-None-Match: *`, so that of all nodes that append at a
//! number one succeeds. The object `base` names the lowest number that is not trimmed. The state
//! machines of this module send requests and handle responses; [`BucketLog`] runs them.

mod append;
mod base;
mod object;
mod operation;
mod read;
mod request;
mod trim;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{
    Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion,
};
use parking_lot::Mutex;

pub(crate) use self::append::Append;
pub(crate) use self::base::BaseView;
pub(crate) use self::object::encode_base;
pub(crate) use self::operation::{Operation, Verdict};
pub(crate) use self::read::Read;
pub(crate) use self::request::{Key, Request, Response};
pub(crate) use self::trim::Trim;
use crate::clock::Clock;
use crate::{Appended, FIRST, FrameId, Log, LogError};

/// The configuration of a log in a bucket.
#[derive(Clone, Debug)]
pub struct BucketLogConfig {
    /// A request without a response is repeated after this time.
    pub request_timeout: Duration,
    /// The first repetition of a request waits for this time; each further one waits twice as long, up
    /// to a second.
    pub pause: Duration,
    /// A call that has no verdict after this time fails as unavailable.
    pub timeout: Duration,
}

impl Default for BucketLogConfig {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(10),
            pause: Duration::from_millis(20),
            timeout: Duration::from_secs(30),
        }
    }
}

/// The longest pause before a request is repeated.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// How many objects are deleted in one call of [`Log::trim`].
const MAX_DELETED: usize = 1000;

/// A log in a bucket, which any number of nodes append to.
pub struct BucketLog {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    config: BucketLogConfig,
    clock: Clock,
    view: Mutex<BaseView>,
}

impl BucketLog {
    /// Opens the log whose objects have names that begin with `prefix`, and creates it if there is
    /// none.
    ///
    /// The store must implement conditional puts: `PutMode::Create` and `PutMode::Update`.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        config: BucketLogConfig,
    ) -> Result<Self, LogError> {
        let log = Self { store, prefix, config, clock: Clock::default(), view: Mutex::default() };
        log.create().await?;
        Ok(log)
    }

    /// Creates the object `base` if there is no log yet.
    async fn create(&self) -> Result<(), LogError> {
        /// How often the object is created if it is not there afterwards.
        const ATTEMPTS: usize = 5;
        let mut found = self.ask(Request::Get(Key::Base)).await?;
        for _ in 0..ATTEMPTS {
            if let Response::Found(..) = found {
                return found.base().map(drop);
            }
            let listed = self.ask(Request::List(u64::MAX)).await?;
            found = self.ask(Request::Get(Key::Base)).await?;
            if matches!(found, Response::Found(..)) {
                continue;
            }
            if !matches!(&listed, Response::Listed(frames) if frames.is_empty()) {
                // Frames without a base may be the rest of a log that was trimmed.
                return found.base().map(drop);
            }
            // Another node may be first, or the bucket may have refused it for another reason.
            self.ask(Request::Create(Key::Base, encode_base(FIRST))).await?;
            found = self.ask(Request::Get(Key::Base)).await?;
        }
        found.base().map(drop)
    }

    fn path(&self, key: Key) -> Path {
        match key {
            Key::Base => self.prefix.clone().join("base"),
            Key::Frame(number) => self.prefix.clone().join(format!("{number:020}")),
        }
    }

    /// Sends a request once.
    async fn send(
        &self,
        request: &Request<UpdateVersion>,
    ) -> Result<Response<UpdateVersion>, Error> {
        let put = async |key, object: &Bytes, mode| {
            let object = PutPayload::from_bytes(object.clone());
            let options = PutOptions { mode, ..PutOptions::default() };
            self.store.put_opts(&self.path(key), object, options).await.map(|_| Response::Done)
        };
        match request {
            Request::Create(key, object) => put(*key, object, PutMode::Create).await,
            Request::Replace(key, object, version) => {
                put(*key, object, PutMode::Update(version.clone())).await
            }
            Request::Get(key) => {
                let found = self.store.get(&self.path(*key)).await?;
                let (e_tag, version) = (found.meta.e_tag.clone(), found.meta.version.clone());
                Ok(Response::Found(found.bytes().await?, UpdateVersion { e_tag, version }))
            }
            Request::List(below) => {
                let frames = self.store.list(Some(&self.prefix)).try_filter_map(|meta| {
                    let number = meta.location.filename().and_then(|name| name.parse::<u64>().ok());
                    std::future::ready(Ok(number.filter(|number| number < below)))
                });
                Ok(Response::Listed(frames.take(MAX_DELETED).try_collect().await?))
            }
            Request::Delete(numbers) => {
                let paths = numbers.iter().map(|&number| Ok(self.path(Key::Frame(number))));
                let paths = stream::iter(paths.collect::<Vec<_>>()).boxed();
                self.store
                    .delete_stream(paths)
                    .try_for_each(|_| std::future::ready(Ok(())))
                    .await?;
                Ok(Response::Done)
            }
        }
    }

    /// Sends a request until there is a response, and returns it.
    async fn ask(
        &self,
        request: Request<UpdateVersion>,
    ) -> Result<Response<UpdateVersion>, LogError> {
        self.run(Once(request)).await
    }

    /// Runs an operation until it has a verdict.
    async fn run<O: Operation<UpdateVersion>>(
        &self,
        mut operation: O,
    ) -> Result<O::Output, LogError> {
        let deadline = self.clock.now() + self.config.timeout;
        let mut pause = self.config.pause;
        loop {
            let request = operation.request();
            let asked_at = self.clock.now();
            let sent = tokio::time::timeout(self.config.request_timeout, self.send(&request)).await;
            let (response, reason) = match sent {
                Ok(Ok(response)) => (response, None),
                Ok(Err(error)) => (response_of(&request, &error)?, Some(error.to_string())),
                Err(_) => (Response::Unknown, None),
            };
            // The response may show nothing; then the operation repeats its request.
            let is_in_doubt = matches!(response, Response::Unknown | Response::Refused);
            let now = self.clock.now();
            if let Some(verdict) = operation.handle(response, asked_at, now, &mut self.view.lock())
            {
                return verdict;
            }
            if now >= deadline {
                let reason = reason.unwrap_or_else(|| "the bucket does not respond".to_owned());
                return Err(LogError::Unavailable { reason });
            }
            if is_in_doubt {
                tokio::time::sleep(pause).await;
                pause = MAX_PAUSE.min(pause * 2);
            }
        }
    }
}

/// Returns what a failed request says about the object.
fn response_of(
    request: &Request<UpdateVersion>,
    error: &Error,
) -> Result<Response<UpdateVersion>, LogError> {
    match (request, error) {
        (_, Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Response::Refused),
        (Request::Get(_), Error::NotFound { .. }) => Ok(Response::Absent),
        // Some servers respond so if the object to replace is absent.
        (Request::Replace(..), Error::NotFound { .. }) => Ok(Response::Refused),
        // The next attempt deletes the others.
        (Request::Delete(_), Error::NotFound { .. }) => Ok(Response::Done),
        (
            _,
            Error::NotImplemented { .. }
            | Error::NotSupported { .. }
            | Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::UnknownConfigurationKey { .. },
        ) => Err(LogError::Unavailable { reason: error.to_string() }),
        _ => Ok(Response::Unknown),
    }
}

/// A single request.
struct Once(Request<UpdateVersion>);

impl Operation<UpdateVersion> for Once {
    type Output = Response<UpdateVersion>;

    fn request(&self) -> Request<UpdateVersion> {
        self.0.clone()
    }

    fn handle(
        &mut self,
        response: Response<UpdateVersion>,
        _: Duration,
        _: Duration,
        _: &mut BaseView,
    ) -> Verdict<Self::Output> {
        (response != Response::Unknown).then_some(Ok(response))
    }
}

#[async_trait]
impl Log for BucketLog {
    async fn append(&self, at: u64, id: FrameId, frame: Bytes) -> Result<Appended, LogError> {
        self.run(Append::new(at, id, &frame)).await
    }

    async fn read(&self, from: u64) -> Result<Vec<Option<Bytes>>, LogError> {
        self.run(Read::new(from)).await
    }

    async fn base(&self) -> Result<u64, LogError> {
        let asked_at = self.clock.now();
        let base = self.ask(Request::Get(Key::Base)).await?.base()?;
        self.view.lock().saw(base, asked_at);
        Ok(base)
    }

    async fn trim(&self, below: u64) -> Result<(), LogError> {
        self.run(Trim::new(below)).await
    }
}

impl fmt::Debug for BucketLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketLog").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Returns the frame in an object.
#[cfg(test)]
pub(crate) fn frame_of(number: u64, object: &Bytes) -> Option<Bytes> {
    object::decode(number, object).map(|(_, frame)| frame)
}

#[cfg(test)]
mod tests;
