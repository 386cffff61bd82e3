//! Permits of connections: their number, and the connection that is closed when they run out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use crate::config::Limits;

/// The permits for a server's connections.
///
/// If no permit is free, the connection that has been longest without a running request is closed.
/// So idle connections cannot keep new ones out.
#[derive(Debug)]
pub(super) struct ConnectionPermits {
    max: usize,
    max_per_peer: usize,
    trusted: Vec<IpAddr>,
    granted: Mutex<Granted>,
    /// Notified when a permit becomes free or can be taken from another connection.
    freed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Granted {
    next_id: u64,
    permits: HashMap<u64, Entry>,
    /// Peers with at least one permit.
    by_peer: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Entry {
    /// The peer to whose share the permit counts; `None` for peers without a limit.
    peer: Option<IpAddr>,
    activity: Arc<Activity>,
    evicted: CancellationToken,
}

/// The permit of a connection, until it is dropped or evicted.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    id: u64,
    permits: Arc<ConnectionPermits>,
    activity: Arc<Activity>,
    evicted: CancellationToken,
}

impl ConnectionPermits {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            max: limits.max_connections.max(1),
            max_per_peer: limits.max_connections_per_peer.max(1),
            trusted: limits.trusted_proxies.iter().map(|ip| ip.to_canonical()).collect(),
            granted: Mutex::default(),
            freed: Arc::default(),
        }
    }

    /// Acquires a permit, if necessary that of another connection. Waits while every connection has a
    /// running request. Returns `None` if running requests grant the peer's whole share.
    pub(super) async fn acquire(self: &Arc<Self>, peer: IpAddr) -> Option<ConnectionPermit> {
        let peer = self.share_of(peer);
        loop {
            let freed = self.freed.notified();
            {
                let mut granted = self.granted.lock();
                let has_whole_share = peer
                    .and_then(|peer| granted.by_peer.get(&peer))
                    .is_some_and(|count| *count >= self.max_per_peer);
                if has_whole_share && !granted.evict(|entry| entry.peer == peer) {
                    return None;
                }
                if granted.permits.len() < self.max || granted.evict(|_| true) {
                    return Some(self.grant(&mut granted, peer));
                }
            }
            freed.await;
        }
    }

    /// Closes the connection that has been longest without a running request, if there is one.
    pub(super) fn make_room(&self) {
        self.granted.lock().evict(|_| true);
    }

    fn grant(self: &Arc<Self>, granted: &mut Granted, peer: Option<IpAddr>) -> ConnectionPermit {
        let id = granted.next_id;
        granted.next_id += 1;
        let activity = Arc::new(Activity::new(Arc::clone(&self.freed)));
        let evicted = CancellationToken::new();
        let entry = Entry { peer, activity: Arc::clone(&activity), evicted: evicted.clone() };
        granted.permits.insert(id, entry);
        if let Some(peer) = peer {
            *granted.by_peer.entry(peer).or_default() += 1;
        }
        ConnectionPermit { id, permits: Arc::clone(self), activity, evicted }
    }

    /// Returns the peer to whose share a connection counts: an IPv6 network is one peer. Loopback
    /// and trusted proxies, which forward the connections of many clients, have no limit.
    fn share_of(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        if peer.is_loopback() || self.trusted.contains(&peer) {
            return None;
        }
        Some(match peer {
            IpAddr::V4(_) => peer,
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        })
    }
}

impl Granted {
    /// Evicts the connection that has been longest without a running request, among those that
    /// `may_go` selects. Returns whether there was one.
    fn evict(&mut self, may_go: impl Fn(&Entry) -> bool) -> bool {
        let waiting = self.permits.iter().filter(|(_, entry)| may_go(entry));
        let waiting =
            waiting.filter_map(|(id, entry)| Some((entry.activity.waiting_since()?, *id)));
        let Some((_, oldest)) = waiting.min() else { return false };
        if let Some(entry) = self.remove(oldest) {
            entry.evicted.cancel();
        }
        true
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.permits.remove(&id)?;
        if let Some(peer) = entry.peer
            && let Some(count) = self.by_peer.get_mut(&peer)
        {
            *count -= 1;
            if *count == 0 {
                self.by_peer.remove(&peer);
            }
        }
        Some(entry)
    }
}

impl ConnectionPermit {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Returns a token that is cancelled when the permit is evicted.
    pub(super) fn eviction(&self) -> CancellationToken {
        self.evicted.clone()
    }

    /// Waits until the permit is evicted.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.permits.granted.lock().remove(self.id);
        self.permits.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn permits(max: usize, max_per_peer: usize, trusted: &[&str]) -> Arc<ConnectionPermits> {
        Arc::new(ConnectionPermits::new(&Limits {
            max_connections: max,
            max_connections_per_peer: max_per_peer,
            trusted_proxies: trusted.iter().map(|ip| ip.parse().unwrap()).collect(),
            ..Limits::default()
        }))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_connection_is_closed_first() {
        let permits = permits(3, 3, &[]);
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(permits.acquire(ip("127.0.0.1")).await.unwrap());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        // The oldest connection has a running request; the second has just finished one.
        let request = open[0].activity().begin_request();
        drop(open[1].activity().begin_request());
        let fourth = permits.acquire(ip("127.0.0.1")).await.unwrap();
        let evicted: Vec<_> = open.iter().map(|permit| permit.eviction().is_cancelled()).collect();
        assert_eq!(evicted, [false, false, true]);
        drop((request, fourth));
    }

    #[tokio::test(start_paused = true)]
    async fn running_requests_are_not_evicted() {
        let permits = permits(2, 2, &[]);
        let (first, second) = (
            permits.acquire(ip("127.0.0.1")).await.unwrap(),
            permits.acquire(ip("::1")).await.unwrap(),
        );
        let requests = (first.activity().begin_request(), second.activity().begin_request());
        let third = permits.acquire(ip("127.0.0.1"));
        tokio::pin!(third);
        let waited = tokio::time::timeout(Duration::from_secs(60), &mut third).await;
        assert!(waited.is_err(), "the permit of a running request was taken");
        drop(requests.1);
        assert!(third.await.is_some());
        assert!(!first.eviction().is_cancelled() && second.eviction().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_returned_place_is_free() {
        let permits = permits(1, 1, &[]);
        for _ in 0..3 {
            let permit = permits.acquire(ip("10.0.0.1")).await.unwrap();
            let _request = permit.activity().begin_request();
        }
        let granted = permits.granted.lock();
        assert!(granted.permits.is_empty() && granted.by_peer.is_empty(), "{granted:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_a_limited_share() {
        let permits = permits(100, 2, &["10.0.0.9"]);
        let take = async |peer: &str| {
            let permit = permits.acquire(ip(peer)).await?;
            let request = permit.activity().begin_request();
            Some((permit, request))
        };
        let mut open = Vec::new();
        for (peer, is_served) in [
            ("10.0.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("10.0.0.1", false),
            ("10.0.0.2", true),
            ("2001:db8::1", true),
            ("2001:db8::2", true),
            ("2001:db8::3", false),
            ("2001:db8:0:1::3", true),
            ("127.0.0.1", true),
            ("127.0.0.1", true),
            ("127.0.0.1", true),
            ("10.0.0.9", true),
            ("10.0.0.9", true),
            ("10.0.0.9", true),
        ] {
            let granted = take(peer).await;
            assert_eq!(granted.is_some(), is_served, "{peer}");
            open.extend(granted);
        }
        // An idle connection of the same address is closed for it.
        let (first, request) = open.remove(0);
        drop(request);
        assert!(take("10.0.0.1").await.is_some());
        assert!(first.eviction().is_cancelled());
    }
}
