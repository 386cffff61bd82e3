//! Object stores that `cargo xtask clients` installs: SeaweedFS and moto.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use streamtable_log::{Appended, BucketLog, BucketLogConfig, FrameId, Log, conformance};
use tempfile::TempDir;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with a bucket. It is killed on drop.
struct Server {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended, or the next line waits for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(name: &str) -> PathBuf {
    let clients = std::env::var("STREAMTABLE_CLIENTS").expect("run `cargo xtask clients`");
    let program = Path::new(&clients).join("buckets/bin").join(name);
    assert!(program.exists(), "run `cargo xtask clients`");
    program
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Starts a server, and waits until it accepts connections.
    fn start(mut command: Command, folder: TempDir, port: u16) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let server = Self { child, url: format!("http://127.0.0.1:{port}"), _folder: folder };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "the server does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn seaweedfs() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("s3.json");
        let identities = r#"{"identities":[{"name":"t","credentials":[{"accessKey":"test",
            "secretKey":"testtest"}],"actions":["Admin","Read","Write","List"]}]}"#;
        std::fs::write(&config, identities).unwrap();
        let port = free_port();
        let mut command = Command::new(program("weed"));
        command.arg("server").args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]);
        command.arg(format!("-dir={}", folder.path().display()));
        command.arg(format!("-s3.port={port}")).arg(format!("-s3.config={}", config.display()));
        for service in ["master", "volume", "filer"] {
            // The port for gRPC is the port plus 10,000 unless it is set.
            command.arg(format!("-{service}.port={}", free_port()));
            command.arg(format!("-{service}.port.grpc={}", free_port()));
        }
        command.arg(format!("-s3.port.grpc={}", free_port()));
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=0"]);
        command.args(["-master.volumeSizeLimitMB=64", "-master.telemetry=false"]);
        Self::start(command, folder, port)
    }

    fn moto() -> Self {
        let port = free_port();
        let mut command = Command::new(program("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        Self::start(command, tempfile::tempdir().unwrap(), port)
    }

    fn bucket(&self) -> Arc<AmazonS3> {
        let store = AmazonS3Builder::new()
            .with_endpoint(&self.url)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_access_key_id("test")
            .with_secret_access_key("testtest")
            .with_bucket_name("bucket")
            .build();
        Arc::new(store.unwrap())
    }

    /// Creates the bucket, which needs a request that the `object_store` crate does not have.
    async fn create_bucket(&self) {
        let python = program("python");
        let script = "import sys, boto3, time
s3 = boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1',
                  aws_access_key_id='test', aws_secret_access_key='testtest')
for attempt in range(120):
    try:
        s3.create_bucket(Bucket='bucket')
        s3.put_object(Bucket='bucket', Key='ready', Body=b'')
        break
    except Exception as error:
        time.sleep(.5)
else:
    sys.exit(f'no bucket: {error}')
";
        let mut command = Command::new(python);
        command.args(["-c", script, &self.url]).env("NO_PROXY", "127.0.0.1");
        assert!(command.status().unwrap().success());
    }
}

async fn check_conformance(server: &Server) {
    server.create_bucket().await;
    let store = server.bucket();
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
    let open = |_| BucketLog::open(server.bucket(), "race".into(), BucketLogConfig::default());
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
