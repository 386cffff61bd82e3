//! A server for tests with real clients. Prints its URL and an API key as JSON, and serves until
//! standard input is closed.

#![expect(clippy::print_stdout, reason = "the test reads the URL from standard output")]

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};

use streamtable_server::{Server, ServerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter("debug").init();
    let folder = std::env::args().nth(1).ok_or("missing argument: the data folder")?;
    let port = std::env::args().nth(2).map_or(Ok(0), |port| port.parse())?;
    let config = ServerConfig {
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        data_dir: folder.into(),
        ..ServerConfig::default()
    };
    let server = Server::bind(config).await?;
    let key = server.first_key().map(|key| key.secret.as_str());
    println!("{}", serde_json::json!({ "url": server.local_url(), "key": key }));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = stop.send(());
    });
    server.run(async { drop(stopped.await) }).await?;
    Ok(())
}
