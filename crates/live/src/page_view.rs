//! A view that a page has open.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::UInt32Array;
use parking_lot::Mutex;
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::connection::LiveConnection;
use crate::error::LiveError;
use crate::grouped::Grouped;
use crate::proto::{OnUpdateResp, ServerMessage};
use crate::view::{View, ViewSnapshot};
use crate::window::Window;

/// Minimum pause between two updates of a page.
const MIN_PAUSE: Duration = Duration::from_millis(50);

/// Maximum number of subscriptions of a page to one view, for each kind of event.
const MAX_SUBSCRIPTIONS: usize = 16;

/// Pause after a refresh that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Fails if a page has too many subscriptions to a view.
pub(crate) fn check_subscriptions(count: usize) -> Result<(), LiveError> {
    if count < MAX_SUBSCRIPTIONS {
        return Ok(());
    }
    Err(LiveError::refused(format!("a view has at most {MAX_SUBSCRIPTIONS} subscriptions")))
}

/// A view that a page has open.
#[derive(Debug)]
pub(crate) struct PageView {
    id: String,
    pub(crate) view: Arc<View>,
    /// The state of the view when the page created it.
    made: Arc<ViewSnapshot>,
    /// Cancelled when the view is deleted or the page disconnects.
    pub(crate) deleted: CancellationToken,
    _delete: DropGuard,
    groups: Mutex<OpenGroups>,
    /// The subscribed requests, each with a guard that ends the subscription.
    subscriptions: Mutex<HashMap<u32, DropGuard>>,
}

/// Which groups are expanded: those above `depth`, except the ones in `changed`.
#[derive(Debug, Default)]
struct OpenGroups {
    depth: Option<u32>,
    changed: HashMap<Vec<u8>, bool>,
    /// The visible rows, and the state of the view for which they were computed.
    seen: Option<(Arc<ViewSnapshot>, Arc<Vec<u32>>)>,
}

impl PageView {
    pub(crate) fn new(
        id: String,
        view: Arc<View>,
        made: Arc<ViewSnapshot>,
        closed: &CancellationToken,
    ) -> Self {
        let deleted = closed.child_token();
        let depth = view.config.depth;
        Self {
            id,
            view,
            made,
            _delete: deleted.clone().drop_guard(),
            deleted,
            groups: Mutex::new(OpenGroups { depth, ..OpenGroups::default() }),
            subscriptions: Mutex::default(),
        }
    }

    /// Returns the number of rows that are visible to the page.
    pub(crate) fn rows(&self, now: &Arc<ViewSnapshot>) -> u64 {
        match self.seen(now) {
            Some(seen) => seen.len() as u64,
            None => now.count(),
        }
    }

    /// Reads a part of the visible rows.
    pub(crate) async fn window(
        &self,
        now: &Arc<ViewSnapshot>,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> Result<Window, LiveError> {
        let Some((seen, grouped)) = self.seen(now).zip(now.grouped()) else {
            return self.view.window(now, rows, columns).await;
        };
        let rows = rows.start.min(seen.len())..rows.end.min(seen.len());
        let rows = UInt32Array::from(seen[rows].to_vec());
        let all = grouped.whole.part(0..grouped.whole.rows, columns);
        all.take(&rows)
    }

    /// Returns the visible groups; `None` if all are visible, or if the view has no groups.
    fn seen(&self, now: &Arc<ViewSnapshot>) -> Option<Arc<Vec<u32>>> {
        let grouped = now.grouped()?;
        let mut groups = self.groups.lock();
        if groups.depth.is_none() && groups.changed.is_empty() {
            return None;
        }
        if let Some((then, seen)) = &groups.seen
            && Arc::ptr_eq(then, now)
        {
            return Some(Arc::clone(seen));
        }
        let seen = Arc::new(groups.find_seen(grouped));
        groups.seen = Some((Arc::clone(now), Arc::clone(&seen)));
        Some(seen)
    }

    /// Expands or collapses a group. Returns by how many the number of visible rows changed.
    pub(crate) async fn set_open(&self, row: u32, is_open: bool) -> Result<u32, LiveError> {
        let now = self.view.snapshot().await?;
        let before = self.rows(&now);
        let Some(grouped) = now.grouped() else { return Ok(0) };
        let row = match self.seen(&now) {
            Some(seen) => seen.get(row as usize).copied(),
            None => Some(row),
        };
        let key = row.and_then(|row| grouped.keys.get(row as usize));
        if let Some(key) = key {
            let mut groups = self.groups.lock();
            groups.changed.insert(key.clone(), is_open);
            groups.seen = None;
        }
        Ok(u32::try_from(before.abs_diff(self.rows(&now))).unwrap_or(u32::MAX))
    }

    /// Expands the groups down to a depth, and collapses the others.
    pub(crate) fn set_depth(&self, depth: u32) {
        *self.groups.lock() = OpenGroups { depth: Some(depth), ..OpenGroups::default() };
    }

    /// Notifies the page whenever the view has changed since the page created it. With `with_rows`,
    /// the notification contains the new rows if they are the only change.
    pub(crate) fn subscribe(
        &self,
        connection: &Arc<LiveConnection>,
        msg_id: u32,
        with_rows: bool,
    ) -> Result<(), LiveError> {
        let ended = self.deleted.child_token();
        {
            let mut subscriptions = self.subscriptions.lock();
            check_subscriptions(subscriptions.len())?;
            subscriptions.insert(msg_id, ended.clone().drop_guard());
        }
        let follow = UpdateWatcher {
            id: self.id.clone(),
            view: Arc::clone(&self.view),
            connection: Arc::clone(connection),
            msg_id,
            with_rows,
        };
        let sent = Arc::clone(&self.made);
        tokio::spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = follow.run(sent) => {}
            }
        });
        Ok(())
    }

    pub(crate) fn unsubscribe(&self, msg_id: u32) {
        self.subscriptions.lock().remove(&msg_id);
    }
}

impl OpenGroups {
    fn find_seen(&self, grouped: &Grouped) -> Vec<u32> {
        let Some(paths) = &grouped.whole.paths else {
            return (0..grouped.whole.rows as u32).collect();
        };
        let mut seen = Vec::new();
        // For each enclosing group, outermost first, whether its rows are visible.
        let mut around: Vec<bool> = Vec::new();
        for (row, (key, &depth)) in grouped.keys.iter().zip(&paths.depths).enumerate() {
            around.truncate(depth);
            let is_seen = around.last().copied().unwrap_or(true);
            if is_seen {
                seen.push(row as u32);
            }
            let is_open = self
                .changed
                .get(key)
                .copied()
                .unwrap_or_else(|| self.depth.is_none_or(|most| depth as u32 <= most));
            around.push(is_seen && is_open);
        }
        seen
    }
}

/// Keeps a view up to date for a page, and notifies the page.
struct UpdateWatcher {
    id: String,
    view: Arc<View>,
    connection: Arc<LiveConnection>,
    msg_id: u32,
    with_rows: bool,
}

impl UpdateWatcher {
    /// A slow or hidden page is not notified of each change. When it is ready, it gets the current
    /// state.
    async fn run(self, mut sent: Arc<ViewSnapshot>) {
        let mut end = self.view.watch();
        let mut visible = self.connection.visible.subscribe();
        loop {
            if visible.wait_for(|it| *it).await.is_err() {
                return;
            }
            let _watcher = self.view.keep_fresh();
            loop {
                let known = sent.end;
                tokio::select! {
                    changed = end.wait_for(|end| *end > known) => if changed.is_err() { return },
                    hidden = visible.wait_for(|it| !*it) => match hidden {
                        Ok(_) => break,
                        Err(_) => return,
                    },
                }
                sleep_until(self.view.next_refresh()).await;
                sent = match self.news(&sent).await {
                    Ok(Some(now)) => now,
                    Ok(None) => return,
                    Err(error) => {
                        tracing::debug!(%error, "a view could not be refreshed");
                        sleep(AFTER_FAILURE).await;
                        continue;
                    }
                };
                sleep(MIN_PAUSE).await;
            }
        }
    }

    /// Refreshes the view and notifies the page. Returns the state that was sent; `None` if the
    /// page has disconnected.
    async fn news(&self, sent: &Arc<ViewSnapshot>) -> Result<Option<Arc<ViewSnapshot>>, LiveError> {
        let now = self.view.refresh().await?;
        let delta = match self.with_rows {
            true => self.view.new_rows(sent, &now).await?,
            false => None,
        };
        let delta = delta.map(|window| window.to_arrow()).transpose()?.map(Into::into);
        self.connection.notify_schema_change(&self.view.reader.table, now.table_shape()).await;
        let message = ServerMessage::OnUpdate(OnUpdateResp { delta, port: 0 });
        let is_sent = self.connection.send(self.msg_id, self.id.clone(), message).await;
        Ok(is_sent.then_some(now))
    }
}
