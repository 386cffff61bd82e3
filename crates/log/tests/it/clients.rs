//! Logs in the buckets of object stores that `cargo xtask clients` installs.

use std::sync::Arc;

use futures_util::future::join_all;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use streamtable_log::{Appended, BucketLog, BucketLogConfig, FrameId, Log, conformance};

use crate::object_stores::{KEY_ID, SECRET, Server};

fn bucket(server: &Server) -> Arc<AmazonS3> {
    let store = AmazonS3Builder::new()
        .with_endpoint(server.url())
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_access_key_id(KEY_ID)
        .with_secret_access_key(SECRET)
        .with_bucket_name("bucket")
        .build();
    Arc::new(store.unwrap())
}

async fn check_conformance(server: &Server) {
    let store = bucket(server);
    let open = |name: String| {
        let store = Arc::clone(&store);
        async move {
            let log = BucketLog::open(store, name.into(), BucketLogConfig::default()).await;
            log.map_err(|error| error.to_string())
        }
    };
    assert_eq!(conformance::run_all(open).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs SeaweedFS; run `cargo xtask clients`"]
async fn seaweedfs_has_a_log() {
    let server = Server::seaweedfs();
    check_conformance(&server).await;
    check_race(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs moto; run `cargo xtask clients`"]
async fn moto_has_a_log() {
    check_conformance(&Server::moto()).await;
}

/// Nodes that append at the same numbers at the same time: one of them succeeds each time, and all
/// read its frame.
async fn check_race(server: &Server) {
    const NODES: usize = 4;
    const FRAMES: u64 = 40;
    let open = |_| BucketLog::open(bucket(server), "race".into(), BucketLogConfig::default());
    let logs = join_all((0..NODES).map(open)).await;
    let logs: Vec<BucketLog> = logs.into_iter().map(Result::unwrap).collect();
    for at in 1..=FRAMES {
        let racing = logs
            .iter()
            .enumerate()
            .map(|(node, log)| log.append(at, FrameId::random(), format!("{at} by {node}").into()));
        let verdicts = join_all(racing).await;
        let won: Vec<usize> =
            (0..NODES).filter(|&node| verdicts[node] == Ok(Appended::Durable)).collect();
        assert_eq!(won.len(), 1, "{verdicts:?}");
        for log in &logs {
            let frames = log.read(at).await.unwrap();
            assert_eq!(frames, [Some(format!("{at} by {}", won[0]).into())]);
        }
    }
}
