//! Streams 1,797 hand-written digits and the predictions of a small classifier to a table.
//!
//! The backend is this project's strict mock, served on a loopback socket; rows and images use real
//! HTTP. `streamtable-digits` describes the origin of the digits.
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use streamtable::StreamTable;
use streamtable_digits::Digits;
use streamtable_mock_backend::MockBackend;
use streamtable_transport_hyper::HyperTransport;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let digits = Digits::read()?;

    let backend = MockBackend::default();
    let server = backend.serve("127.0.0.1:0")?;
    let table = StreamTable::builder("demo/mnist/digits")
        .base_url(&server.base_url())
        .api_key("local-key")
        .transport(HyperTransport::new()?)
        .open()
        .await?;

    let mut right = 0;
    for i in 0..digits.len() {
        let judged = digits.judge(i)?;
        right += usize::from(judged.is_right);
        table.log(judged.row).await?;
    }

    let stats = table.finish().await?;
    println!("{right} of {} digits recognised", digits.len());
    println!("{stats}");
    let stored = backend.rows(table.path()).len();
    println!("{stored} rows in the backend, {} violations", backend.violations().len());
    Ok(())
}
