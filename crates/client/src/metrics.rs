//! Metrics of a table for the `metrics` crate.

use std::future::Future;

use metrics::{Label, counter, gauge};

use crate::{Appends, Status, StreamTable, Watch, blocking};

impl StreamTable {
    /// Returns a future that publishes the table's accounting through the `metrics` crate until
    /// delivery ends. Spawn it on any runtime.
    ///
    /// All metrics have the label `table`. Several writers of one table add up.
    ///
    /// | counter | counts |
    /// | --- | --- |
    /// | `streamtable_rows_logged_total` | accepted rows |
    /// | `streamtable_rows_acked_total` | stored rows |
    /// | `streamtable_rows_rejected_total` | rows that the backend rejected |
    /// | `streamtable_rows_refused_total` | rows that `log` refused |
    /// | `streamtable_media_uploaded_total` | stored media files |
    /// | `streamtable_media_failed_total` | media files that the backend rejected |
    /// | `streamtable_appends_total` | appends, including retries |
    /// | `streamtable_appends_failed_total` | failed appends |
    /// | `streamtable_append_bytes_total` | size of the rows in appends |
    ///
    /// | gauge | is |
    /// | --- | --- |
    /// | `streamtable_rows_pending` | rows that wait |
    /// | `streamtable_media_pending` | media files that wait |
    /// | `streamtable_stopped` | number of writers whose delivery has stopped |
    ///
    /// ```
    /// use streamtable::{StreamTable, row};
    /// use streamtable_mock_backend::MockBackend;
    ///
    /// #[tokio::main(flavor = "current_thread")]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let server = MockBackend::default(); // without it, a server at `WANDB_BASE_URL`
    ///     let table = StreamTable::builder("me/shop/requests")
    ///         .base_url("http://mock.invalid")
    ///         .transport(server)
    ///         .api_key("local-key")
    ///         .open()
    ///         .await?;
    ///     tokio::spawn(table.publish_metrics());
    ///     table.log(row! { "path" => "/", "ms" => 7 }).await?;
    ///     table.finish().await?;
    ///     Ok(())
    /// }
    /// ```
    pub fn publish_metrics(&self) -> impl Future<Output = ()> + Send + 'static {
        publish(self.watch())
    }
}

impl blocking::StreamTable {
    /// Publishes the table's accounting through the `metrics` crate until delivery ends; see
    /// [`crate::StreamTable::publish_metrics`].
    pub fn publish_metrics(&self) {
        self.runtime().spawn(self.handle().publish_metrics());
    }
}

async fn publish(mut watch: Watch) {
    let labels = vec![Label::new("table", watch.table())];
    let mut before = Counted::default();
    while let Some(status) = watch.next().await {
        let now = Counted::of(&status);
        for ((name, new), (_, old)) in now.totals.iter().zip(before.totals) {
            counter!(*name, labels.clone()).increment(new - old);
        }
        for ((name, new), (_, old)) in now.levels.iter().zip(before.levels) {
            gauge!(*name, labels.clone()).increment(*new as f64 - old as f64);
        }
        before = now;
    }
    for (name, old) in before.levels {
        gauge!(name, labels.clone()).decrement(old as f64);
    }
}

/// The published numbers of one writer.
#[derive(Default)]
struct Counted {
    totals: [(&'static str, u64); 9],
    levels: [(&'static str, u64); 3],
}

impl Counted {
    fn of(status: &Status) -> Self {
        let Status { stats, appends: Appends { count, failed, bytes }, .. } = status;
        Self {
            totals: [
                ("streamtable_rows_logged_total", stats.logged),
                ("streamtable_rows_acked_total", stats.acked),
                ("streamtable_rows_rejected_total", stats.rejected),
                ("streamtable_rows_refused_total", stats.refused),
                ("streamtable_media_uploaded_total", stats.media.uploaded),
                ("streamtable_media_failed_total", stats.media.failed),
                ("streamtable_appends_total", *count),
                ("streamtable_appends_failed_total", *failed),
                ("streamtable_append_bytes_total", *bytes),
            ],
            levels: [
                ("streamtable_rows_pending", stats.pending),
                ("streamtable_media_pending", stats.media.pending),
                ("streamtable_stopped", u64::from(status.stop_reason.is_some())),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    use streamtable_schema::row;

    use crate::AppendError;
    use crate::test_backend::Scripted;

    #[tokio::test(start_paused = true)]
    async fn writers_of_one_table_add_up() {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let _guard = metrics::set_default_local_recorder(&recorder);
        for _ in 0..2 {
            let backend = Scripted::new([Err(AppendError::transient("busy"))]);
            let table = backend.builder().open().await.unwrap();
            let publishing = tokio::spawn(table.publish_metrics());
            table.log(vec![row! { "n" => 1 }, row! { "n" => 2 }]).await.unwrap();
            table.try_log(row! { "m" => 1 }).unwrap_err();
            table.finish().await.unwrap();
            publishing.await.unwrap();
        }
        let metrics: BTreeMap<_, _> = snapshotter
            .snapshot()
            .into_vec()
            .into_iter()
            .map(|(key, _, _, value)| {
                let labels: Vec<_> = key.key().labels().map(|l| l.value().to_owned()).collect();
                assert_eq!(labels, ["me/shop/rows"]);
                let value = match value {
                    DebugValue::Counter(n) => n as f64,
                    DebugValue::Gauge(x) => x.into_inner(),
                    DebugValue::Histogram(_) => panic!("no histograms"),
                };
                (key.key().name().to_owned(), value)
            })
            .collect();
        assert_eq!(metrics["streamtable_rows_logged_total"], 4.0);
        assert_eq!(metrics["streamtable_rows_acked_total"], 4.0);
        assert_eq!(metrics["streamtable_rows_refused_total"], 2.0);
        assert_eq!(metrics["streamtable_appends_total"], 4.0);
        assert_eq!(metrics["streamtable_appends_failed_total"], 2.0);
        assert!(metrics["streamtable_append_bytes_total"] > 0.0);
        assert_eq!(metrics["streamtable_rows_pending"], 0.0);
        assert_eq!(metrics["streamtable_stopped"], 0.0);
        assert_eq!(metrics.len(), 12);
    }
}
