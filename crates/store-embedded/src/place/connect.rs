//! Where the tables of a store are: the URL of a bucket, and the connection to it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::SpawnedReqwestConnector;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ClientOptions, Error, ObjectStore, RetryConfig};
use streamtable_store::StoreError;
use tokio::runtime::Handle;
use url::Url;

use super::{Bucket, Folder};

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(30);

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a failed request is repeated. What needs it is tried again later.
const RETRY: Duration = Duration::from_secs(15);

/// Where the tables of a store are, if not in its own folder.
#[derive(Clone, Debug)]
pub struct TablesPlace {
    pub(crate) root: Folder,
    pub(crate) url: Url,
}

/// Connects to a service.
type Connect = fn(&Url, &Handle) -> Result<Arc<dyn ObjectStore>, Error>;

impl TablesPlace {
    /// Opens the place that a URL names: `s3://bucket/prefix`, `gs://…`, `az://…` or `file:///…`.
    /// Credentials come from the environment variables of each store, such as `AWS_ACCESS_KEY_ID`.
    /// Makes no request.
    pub fn open(text: &str) -> Result<Self, StoreError> {
        let failed = |reason: String| StoreError::Io { reason: format!("{text}: {reason}") };
        let url = Url::parse(text).map_err(|error| StoreError::Io {
            reason: format!("the URL of the store cannot be read: {error}"),
        })?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            // The URL appears in messages.
            let reason = "the URL of the store must not contain credentials; set them as \
                          environment variables, such as AWS_ACCESS_KEY_ID";
            return Err(StoreError::Io { reason: reason.to_owned() });
        }
        if url.scheme() == "file" {
            let path = url.to_file_path().map_err(|()| failed("it is no absolute path".into()))?;
            return Ok(Self { root: Folder::Local(path), url });
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(failed("it names no bucket; expected s3://bucket/prefix".to_owned()));
        }
        let connect: Connect = match url.scheme() {
            "s3" => s3,
            "gs" => gcs,
            "az" => azure,
            _ => return Err(failed("expected a URL s3://, gs://, az:// or file:///".to_owned())),
        };
        let bucket = Bucket::new(url.clone(), |runtime| connect(&url, runtime));
        let bucket = bucket.map_err(|error| failed(error.to_string()))?;
        Self::of(bucket, url).map_err(|error| failed(error.to_string()))
    }

    /// Uses an object store. `url` names it in messages, and its path is the prefix of all keys.
    pub fn with_objects(url: Url, objects: Arc<dyn ObjectStore>) -> io::Result<Self> {
        Self::of(Bucket::new(url.clone(), |_| Ok(objects))?, url)
    }

    fn of(bucket: Bucket, url: Url) -> io::Result<Self> {
        let prefix = bucket.prefix()?;
        Ok(Self { root: Folder::Bucket(Arc::new(bucket), prefix), url })
    }
}

fn options() -> ClientOptions {
    ClientOptions::new().with_timeout(REQUEST).with_connect_timeout(CONNECT)
}

fn retries() -> RetryConfig {
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(3), ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: 5, retry_timeout: RETRY }
}

fn s3(url: &Url, runtime: &Handle) -> Result<Arc<dyn ObjectStore>, Error> {
    let builder = AmazonS3Builder::from_env().with_url(url.as_str());
    // Of the variables, only this one is an option of the client.
    let is_http = std::env::var("AWS_ALLOW_HTTP").is_ok_and(|it| it.eq_ignore_ascii_case("true"));
    let builder = builder.with_client_options(options().with_allow_http(is_http));
    let builder = builder.with_retry(retries());
    Ok(Arc::new(
        builder.with_http_connector(SpawnedReqwestConnector::new(runtime.clone())).build()?,
    ))
}

fn gcs(url: &Url, runtime: &Handle) -> Result<Arc<dyn ObjectStore>, Error> {
    let builder = GoogleCloudStorageBuilder::from_env().with_url(url.as_str());
    let builder = builder.with_client_options(options()).with_retry(retries());
    Ok(Arc::new(
        builder.with_http_connector(SpawnedReqwestConnector::new(runtime.clone())).build()?,
    ))
}

fn azure(url: &Url, runtime: &Handle) -> Result<Arc<dyn ObjectStore>, Error> {
    let builder = MicrosoftAzureBuilder::from_env().with_url(url.as_str());
    let builder = builder.with_client_options(options()).with_retry(retries());
    Ok(Arc::new(
        builder.with_http_connector(SpawnedReqwestConnector::new(runtime.clone())).build()?,
    ))
}
