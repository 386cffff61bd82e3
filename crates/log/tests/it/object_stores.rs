//! Object stores that `cargo xtask clients` installs: SeaweedFS and moto. Tests of several packages
//! include this file.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The key of all servers.
pub(crate) const KEY_ID: &str = "test";

/// The secret of the key.
pub(crate) const SECRET: &str = "testtest";

/// A server with a bucket, `bucket`. It is killed on drop.
#[derive(Debug)]
pub(crate) struct Server {
    program: PathBuf,
    args: Vec<String>,
    port: u16,
    child: Option<Child>,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns a program of an environment that `cargo xtask clients` makes.
pub(crate) fn program(environment: &str, name: &str) -> PathBuf {
    let clients = std::env::var("STREAMTABLE_CLIENTS").expect("run `cargo xtask clients`");
    let program = Path::new(&clients).join(environment).join("bin").join(name);
    assert!(program.exists(), "run `cargo xtask clients`");
    program
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    pub(crate) fn seaweedfs() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("s3.json");
        let identities = format!(
            r#"{{"identities":[{{"name":"t","credentials":[{{"accessKey":"{KEY_ID}",
            "secretKey":"{SECRET}"}}],"actions":["Admin","Read","Write","List"]}}]}}"#
        );
        std::fs::write(&config, identities).unwrap();
        let port = free_port();
        let mut args = vec![
            "server".to_owned(),
            format!("-dir={}", folder.path().display()),
            format!("-s3.port={port}"),
            format!("-s3.config={}", config.display()),
            format!("-s3.port.grpc={}", free_port()),
        ];
        for service in ["master", "volume", "filer"] {
            // The port for gRPC is the port plus 10,000 unless it is set.
            args.push(format!("-{service}.port={}", free_port()));
            args.push(format!("-{service}.port.grpc={}", free_port()));
        }
        let fixed = "-ip=127.0.0.1 -ip.bind=127.0.0.1 -s3 -s3.port.iceberg=0 -s3.port.lance=0 \
                     -volume.max=0 -master.volumeSizeLimitMB=64 -master.telemetry=false";
        args.extend(fixed.split_whitespace().map(str::to_owned));
        Self::with_bucket(program("buckets", "weed"), args, port, folder)
    }

    pub(crate) fn moto() -> Self {
        let port = free_port();
        let args = ["-H", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned).to_vec();
        let folder = tempfile::tempdir().unwrap();
        Self::with_bucket(program("buckets", "moto_server"), args, port, folder)
    }

    fn with_bucket(program: PathBuf, args: Vec<String>, port: u16, folder: TempDir) -> Self {
        let mut server = Self { program, args, port, child: None, folder };
        server.start();
        server.create_bucket();
        server
    }

    /// Starts the server, and waits until it accepts connections.
    pub(crate) fn start(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(&self.args).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "the server does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills the server. What it stores stays.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It has ended, or the next line waits for it.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Creates the bucket, which needs a request that the `object_store` crate does not have.
    fn create_bucket(&self) {
        let script = "import sys, boto3, time
url, key, secret = sys.argv[1:]
s3 = boto3.client('s3', endpoint_url=url, region_name='us-east-1',
                  aws_access_key_id=key, aws_secret_access_key=secret)
for attempt in range(120):
    try:
        s3.create_bucket(Bucket='bucket')
        s3.put_object(Bucket='bucket', Key='ready', Body=b'')
        break
    except Exception as exception:
        error = exception
        time.sleep(.5)
else:
    sys.exit(f'no bucket: {error}')
";
        let mut command = Command::new(program("buckets", "python"));
        command.args(["-c", script, &self.url(), KEY_ID, SECRET]).env("NO_PROXY", "127.0.0.1");
        assert!(command.status().unwrap().success());
    }
}
