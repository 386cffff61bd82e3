//! Places for connections: how many there are, and who has to go when they run out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use crate::config::Limits;

/// The places of a server's connections.
///
/// If none is left, the connection that has been longest without a request under way is closed. So
/// connections that only occupy places keep nobody out.
#[derive(Debug)]
pub(super) struct Places {
    max: usize,
    max_per_peer: usize,
    trusted: Vec<IpAddr>,
    taken: Mutex<Taken>,
    /// Notified when a place becomes free, or may be taken from its owner.
    freed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Taken {
    next_id: u64,
    places: HashMap<u64, Entry>,
    /// Peers with at least one place.
    by_peer: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Entry {
    /// The peer whose share the place is in; `None` for those without a share.
    peer: Option<IpAddr>,
    activity: Arc<Activity>,
    evicted: CancellationToken,
}

/// A place, until it is dropped or taken away.
#[derive(Debug)]
pub(super) struct Place {
    id: u64,
    places: Arc<Places>,
    activity: Arc<Activity>,
    evicted: CancellationToken,
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            max: limits.max_connections.max(1),
            max_per_peer: limits.max_connections_per_peer.max(1),
            trusted: limits.trusted_proxies.iter().map(|ip| ip.to_canonical()).collect(),
            taken: Mutex::default(),
            freed: Arc::default(),
        }
    }

    /// Takes a place, another connection's if none is free. Waits while every connection has a
    /// request under way. Returns `None` if the peer has its whole share under way.
    pub(super) async fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = self.share_of(peer);
        loop {
            let freed = self.freed.notified();
            {
                let mut taken = self.taken.lock();
                let has_whole_share = peer
                    .and_then(|peer| taken.by_peer.get(&peer))
                    .is_some_and(|count| *count >= self.max_per_peer);
                if has_whole_share && !taken.evict(|entry| entry.peer == peer) {
                    return None;
                }
                if taken.places.len() < self.max || taken.evict(|_| true) {
                    return Some(self.occupy(&mut taken, peer));
                }
            }
            freed.await;
        }
    }

    /// Closes the connection that has been longest without a request, if there is one.
    pub(super) fn make_room(&self) {
        self.taken.lock().evict(|_| true);
    }

    fn occupy(self: &Arc<Self>, taken: &mut Taken, peer: Option<IpAddr>) -> Place {
        let id = taken.next_id;
        taken.next_id += 1;
        let activity = Arc::new(Activity::new(Arc::clone(&self.freed)));
        let evicted = CancellationToken::new();
        let entry = Entry { peer, activity: Arc::clone(&activity), evicted: evicted.clone() };
        taken.places.insert(id, entry);
        if let Some(peer) = peer {
            *taken.by_peer.entry(peer).or_default() += 1;
        }
        Place { id, places: Arc::clone(self), activity, evicted }
    }

    /// Returns whose share a peer's connections are in: an IPv6 network is one peer. This machine and
    /// trusted proxies, which bring the connections of many, have no share.
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

impl Taken {
    /// Takes a place from the connection that has been longest without a request, of those that
    /// `may_go`. Returns whether there was one.
    fn evict(&mut self, may_go: impl Fn(&Entry) -> bool) -> bool {
        let waiting = self.places.iter().filter(|(_, entry)| may_go(entry));
        let waiting =
            waiting.filter_map(|(id, entry)| Some((entry.activity.waiting_since()?, *id)));
        let Some((_, oldest)) = waiting.min() else { return false };
        if let Some(entry) = self.remove(oldest) {
            entry.evicted.cancel();
        }
        true
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.places.remove(&id)?;
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

impl Place {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Returns what is cancelled when the place is taken away.
    pub(super) fn eviction(&self) -> CancellationToken {
        self.evicted.clone()
    }

    /// Waits until the place is taken away.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.lock().remove(self.id);
        self.places.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn places(max: usize, max_per_peer: usize, trusted: &[&str]) -> Arc<Places> {
        Arc::new(Places::new(&Limits {
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
    async fn the_longest_without_a_request_goes_first() {
        let places = places(3, 3, &[]);
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(places.take(ip("127.0.0.1")).await.unwrap());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        // The oldest has a request under way, the second has just had one.
        let request = open[0].activity().begin_request();
        drop(open[1].activity().begin_request());
        let fourth = places.take(ip("127.0.0.1")).await.unwrap();
        let evicted: Vec<_> = open.iter().map(|place| place.eviction().is_cancelled()).collect();
        assert_eq!(evicted, [false, false, true]);
        drop((request, fourth));
    }

    #[tokio::test(start_paused = true)]
    async fn no_request_under_way_is_cut_off() {
        let places = places(2, 2, &[]);
        let (first, second) =
            (places.take(ip("127.0.0.1")).await.unwrap(), places.take(ip("::1")).await.unwrap());
        let requests = (first.activity().begin_request(), second.activity().begin_request());
        let third = places.take(ip("127.0.0.1"));
        tokio::pin!(third);
        let waited = tokio::time::timeout(Duration::from_secs(60), &mut third).await;
        assert!(waited.is_err(), "a place was taken from a request");
        drop(requests.1);
        assert!(third.await.is_some());
        assert!(!first.eviction().is_cancelled() && second.eviction().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_given_back_is_free() {
        let places = places(1, 1, &[]);
        for _ in 0..3 {
            let place = places.take(ip("10.0.0.1")).await.unwrap();
            let _request = place.activity().begin_request();
        }
        let taken = places.taken.lock();
        assert!(taken.places.is_empty() && taken.by_peer.is_empty(), "{taken:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_a_share() {
        let places = places(100, 2, &["10.0.0.9"]);
        let take = async |peer: &str| {
            let place = places.take(ip(peer)).await?;
            let request = place.activity().begin_request();
            Some((place, request))
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
            let taken = take(peer).await;
            assert_eq!(taken.is_some(), is_served, "{peer}");
            open.extend(taken);
        }
        // One of its own that waits goes for it.
        let (first, request) = open.remove(0);
        drop(request);
        assert!(take("10.0.0.1").await.is_some());
        assert!(first.eviction().is_cancelled());
    }
}
