use std::sync::Arc;
use std::time::Duration;

use streamtable_transport::{ApiKey, Timer};

use crate::FaultPlan;

/// The behaviour of a [`MockBackend`](crate::MockBackend).
///
/// ```
/// use streamtable_mock_backend::{MockBackend, MockConfig};
///
/// let config = MockConfig { dedupe: false, gzip: true, ..MockConfig::default() };
/// let mock = MockBackend::new(config)?;
/// # Ok::<(), streamtable_mock_backend::NoTimer>(())
/// ```
#[derive(Clone, Debug)]
pub struct MockConfig {
    /// The base URL of the mock if it is used as a transport: `http://mock.invalid`. A request to
    /// any other URL finds no server.
    pub base_url: String,
    /// The keys, each with the only entity that it may access. An unknown key gets status 401,
    /// another entity 403. `None`: every key may access every entity.
    pub keys: Option<Vec<(ApiKey, String)>>,
    /// The default entity of keys that are not in `keys`. `None`: they have none.
    pub default_entity: Option<String>,
    /// Maximum size of a request body, before and after decompression. A larger one gets status
    /// 413.
    pub max_body_bytes: usize,
    /// Whether the mock accepts gzip bodies on file streams, and announces that.
    pub gzip: bool,
    /// Whether a repeated row (same table, writer and line) is stored once. If not, it is stored
    /// again.
    pub dedupe: bool,
    /// Whether responses state what they cover, and announce that, as those of a StreamTable server
    /// do. If not, they are like those of W&B's servers, and like an object store's for uploads.
    pub acks: bool,
    /// Whether tables take binary rows, and responses announce that, as those of a StreamTable server do.
    /// Only with [`acks`](Self::acks).
    pub binary_rows: bool,
    /// The faults to inject. More can be [pushed](crate::MockBackend::push_fault) later.
    pub faults: FaultPlan,
    /// The timer for [`Fault::Delay`](crate::Fault::Delay) and for timeouts. Without one, timeouts
    /// happen at once and delays are refused.
    pub timer: Option<Arc<dyn Timer>>,
    /// The timeout of requests without an
    /// [`AttemptTimeout`](streamtable_transport::AttemptTimeout).
    pub timeout: Duration,
}

impl Default for MockConfig {
    /// Any key, the entity `me`, deduplication, responses that state what they cover, binary rows, no
    /// gzip, bodies of up to 32 MiB, no faults.
    fn default() -> Self {
        Self {
            base_url: "http://mock.invalid".to_owned(),
            keys: None,
            default_entity: Some("me".to_owned()),
            max_body_bytes: 32 << 20,
            gzip: false,
            dedupe: true,
            acks: true,
            binary_rows: true,
            faults: FaultPlan::default(),
            timer: None,
            timeout: Duration::from_secs(30),
        }
    }
}

impl MockConfig {
    pub(crate) fn takes_binary_rows(&self) -> bool {
        self.acks && self.binary_rows
    }
}

/// A delay was requested from a mock without a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a delay needs `MockConfig::timer`")]
pub struct NoTimer;
