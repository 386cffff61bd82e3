//! Failed deliveries that last long enough to be worth a message.

use std::time::{Duration, Instant};

/// How long attempts to deliver may fail before that is reported.
const REPORT_AFTER: Duration = Duration::from_secs(5);

/// Reports once why rows are not delivered, if that lasts.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    since: Option<Instant>,
    is_reported: bool,
}

impl Trouble {
    /// Returns an error to report now: why the last attempt failed, if all have failed for some time
    /// and this was not reported since the last success.
    pub(crate) fn watch(&mut self, last_error: Option<String>) -> Option<String> {
        self.watch_at(Instant::now(), last_error)
    }

    fn watch_at(&mut self, now: Instant, last_error: Option<String>) -> Option<String> {
        let Some(error) = last_error else {
            *self = Self::default();
            return None;
        };
        let since = *self.since.get_or_insert(now);
        if self.is_reported || now.duration_since(since) < REPORT_AFTER {
            return None;
        }
        self.is_reported = true;
        Some(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_that_lasts_is_reported_once() {
        let start = Instant::now();
        let mut trouble = Trouble::default();
        let mut watch = |seconds, error: Option<&str>| {
            trouble.watch_at(start + Duration::from_secs(seconds), error.map(str::to_owned))
        };
        assert_eq!(watch(0, Some("a")), None);
        assert_eq!(watch(4, Some("b")), None);
        assert_eq!(watch(4, None), None);
        assert_eq!(watch(6, Some("c")), None);
        assert_eq!(watch(11, Some("d")).as_deref(), Some("d"));
        assert_eq!(watch(20, Some("e")), None);
        assert_eq!(watch(21, None), None);
        assert_eq!(watch(22, Some("f")), None);
        assert_eq!(watch(27, Some("g")).as_deref(), Some("g"));
    }
}
