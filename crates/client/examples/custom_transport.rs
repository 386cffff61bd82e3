//! Decorates a transport and implements one, as a test or an unusual network may need.
//!
//! Needs no server: the mock backend is called directly, without a socket.
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use streamtable::{StreamTable, row};
use streamtable_mock_backend::MockBackend;
use streamtable_transport::{Transport, TransportError, TransportExt};

/// A transport that counts requests and loses the first one with rows.
#[derive(Debug)]
struct Shaky<T> {
    inner: T,
    posts: AtomicU64,
}

#[async_trait]
impl<T: Transport> Transport for Shaky<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let is_post = request.uri().path().ends_with("/file_stream");
        if is_post && self.posts.fetch_add(1, Ordering::Relaxed) == 0 {
            let host = request.uri().host().unwrap_or_default().to_owned();
            return Err(TransportError::Interrupted {
                host,
                reason: "the cable was unplugged".into(),
            });
        }
        self.inner.send(request).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let backend = MockBackend::default();
    let transport = Shaky { inner: backend.clone(), posts: AtomicU64::new(0) }.traced();
    let table = StreamTable::builder("me/shop/requests")
        .base_url("http://mock.invalid")
        .api_key("local-key")
        .transport(transport)
        .open()
        .await?;
    for n in 0..10 {
        table.log(row! { "n" => n }).await?;
    }
    println!("{}", table.finish().await?);
    println!("{} rows in the backend, none twice", backend.rows(table.path()).len());
    Ok(())
}
