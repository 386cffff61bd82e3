//! Shared helpers: a table on a mock, without a socket.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamtable::{Builder, StreamTable};
use streamtable_mock_backend::{MockBackend, MockConfig};
use streamtable_transport::Timer;

/// The table of most tests.
pub(crate) const NAME: &str = "me/shop/requests";

/// Waits in the runtime's time, which a test may pause.
#[derive(Debug)]
pub(crate) struct RuntimeTimer;

#[async_trait]
impl Timer for RuntimeTimer {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Returns a mock backend with a timer.
pub(crate) fn mock() -> MockBackend {
    let config = MockConfig { timer: Some(Arc::new(RuntimeTimer)), ..MockConfig::default() };
    MockBackend::new(config).unwrap()
}

/// Returns a builder for the table on a mock.
pub(crate) fn builder(mock: &MockBackend) -> Builder {
    StreamTable::builder(NAME)
        .base_url("http://mock.invalid")
        .api_key("local-key")
        .transport(mock.clone())
        .quiet()
}

/// Opens the table on a mock.
pub(crate) async fn open(mock: &MockBackend) -> StreamTable {
    builder(mock).open().await.unwrap()
}
