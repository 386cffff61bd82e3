//! Delays between retries.

use std::time::Duration;

/// The delays between retries of a failed append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Upper bound of the first delay. It doubles with each further retry. The actual delay is
    /// random, between one millisecond and the bound, so that many clients do not retry at the same
    /// time. The default is 500 ms.
    pub first_delay: Duration,
    /// Maximum delay, unless the backend asks for a longer one with `Retry-After`. The default is
    /// 60 s.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { first_delay: Duration::from_millis(500), max_delay: Duration::from_secs(60) }
    }
}

/// Generates delays: exponential growth with full jitter.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    policy: RetryPolicy,
    state: u64,
}

impl Backoff {
    pub(crate) fn new(policy: RetryPolicy, seed: u64) -> Self {
        Self { policy, state: seed }
    }

    /// Minimum delay, whatever the policy: without one, a retry that fails at once would loop.
    const SHORTEST: Duration = Duration::from_millis(1);

    /// Returns the delay before retry number `attempt`, counted from 1.
    pub(crate) fn delay(&mut self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let longest = self.policy.first_delay.saturating_mul(1 << doublings);
        longest.min(self.policy.max_delay).mul_f64(self.draw()).max(Self::SHORTEST)
    }

    /// Returns a random number from 0 to 1 (splitmix64: short, and good enough here).
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
