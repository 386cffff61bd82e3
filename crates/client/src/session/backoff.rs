//! How long to wait before a repetition.

use std::time::Duration;

/// How an append that failed is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The longest wait before the first repetition. Each further one may take twice as long. What
    /// is really waited is drawn between a millisecond and that, so that many clients do not come
    /// back together. 500 ms by default.
    pub first_delay: Duration,
    /// The longest wait at all, unless the backend asks for more by `Retry-After`. 60 s by
    /// default.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { first_delay: Duration::from_millis(500), max_delay: Duration::from_secs(60) }
    }
}

/// Draws waits: exponential growth with full jitter.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    policy: RetryPolicy,
    state: u64,
}

impl Backoff {
    pub(crate) fn new(policy: RetryPolicy, seed: u64) -> Self {
        Self { policy, state: seed }
    }

    /// No repetition follows at once, whatever the policy: it might fail at once, for ever.
    const SHORTEST: Duration = Duration::from_millis(1);

    /// Returns how long to wait before repetition number `attempt`, counted from 1.
    pub(crate) fn delay(&mut self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let longest = self.policy.first_delay.saturating_mul(1 << doublings);
        longest.min(self.policy.max_delay).mul_f64(self.draw()).max(Self::SHORTEST)
    }

    /// Draws from 0 to 1 (splitmix64: a few lines, and the quality hardly matters here).
    fn draw(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_limit_and_vary() {
        let policy = RetryPolicy::default();
        let mut backoff = Backoff::new(policy, 7);
        for attempt in 1..100 {
            let longest = Duration::from_millis(500 << (attempt - 1).min(20));
            let drawn: Vec<_> = (0..50).map(|_| backoff.delay(attempt)).collect();
            let limit = longest.min(policy.max_delay);
            assert!(drawn.iter().all(|d| *d <= limit));
            assert!(drawn.iter().any(|d| *d > limit / 2), "attempt {attempt}");
            assert!(drawn.iter().any(|d| *d < limit / 2), "attempt {attempt}");
        }
    }
}
