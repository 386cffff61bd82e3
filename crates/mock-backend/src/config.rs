use std::sync::Arc;
use std::time::Duration;

use streamtable_transport::{ApiKey, Timer};

use crate::FaultPlan;

/// How a [`MockBackend`](crate::MockBackend) behaves.
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
    /// Where the mock is, when it is used as a transport: `http://mock.invalid`. A request to
    /// anywhere else finds nobody.
    pub base_url: String,
    /// The keys, each with the only entity that it opens. Another key is answered 401, another
    /// entity 403. `None`: any key opens any entity.
    pub keys: Option<Vec<(ApiKey, String)>>,
    /// Whom a key belongs to where `keys` does not say. `None`: to nobody.
    pub default_entity: Option<String>,
    /// The longest request body, compressed or not. One that is longer is answered 413.
    pub max_body_bytes: usize,
    /// Whether the mock takes gzip bodies on file streams, and says so.
    pub gzip: bool,
    /// Whether a row that comes again (same table, writer and line) is stored once. Without, a
    /// repeated row is a new row, as a plain appender has it.
    pub dedupe: bool,
    /// Whether answers state what they cover, and say so, as a StreamTable server's do. Without, they
    /// are those of W&B's servers, and of an object store to uploads.
    pub acks: bool,
    /// What goes wrong. More can be [pushed](crate::MockBackend::push_fault) later.
    pub faults: FaultPlan,
    /// What waits for [`Fault::Delay`](crate::Fault::Delay) and for timeouts. Without, timeouts
    /// come at once and delays cannot be had.
    pub timer: Option<Arc<dyn Timer>>,
    /// After how long a client without [`AttemptTimeout`](streamtable_transport::AttemptTimeout)
    /// sees a timeout.
    pub timeout: Duration,
}

impl Default for MockConfig {
    /// Any key, the entity `me`, deduplication, answers that state what they cover, no gzip, 32 MiB a
    /// body, no faults.
    fn default() -> Self {
        Self {
            base_url: "http://mock.invalid".to_owned(),
            keys: None,
            default_entity: Some("me".to_owned()),
            max_body_bytes: 32 << 20,
            gzip: false,
            dedupe: true,
            acks: true,
            faults: FaultPlan::default(),
            timer: None,
            timeout: Duration::from_secs(30),
        }
    }
}

/// A delay was asked of a mock that has no timer to wait with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a delay needs `MockConfig::timer`")]
pub struct NoTimer;
