//! Streams 1,797 hand-written digits, with what a small classifier makes of them, to a table.
//!
//! The backend is the strict mock of this project, served on a loopback socket; rows and pictures
//! travel over real HTTP. See `README.md` beside this file for where the digits come from.
#![expect(clippy::print_stdout, reason = "an example talks to people")]

mod classifier;
mod data;

use std::time::Instant;

use streamtable::{Media, StreamTable, row};
use streamtable_mock_backend::MockBackend;
use streamtable_transport_hyper::HyperTransport;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let digits = data::read()?;

    let backend = MockBackend::default();
    let server = backend.serve("127.0.0.1:0")?;
    let table = StreamTable::builder("demo/mnist/digits")
        .base_url(&server.base_url())
        .api_key("local-key")?
        .transport(HyperTransport::new()?)
        .open()
        .await?;

    // Each half is judged by what the other half taught, so no digit is judged by itself.
    let (even, odd) = (digits.iter().step_by(2), digits.iter().skip(1).step_by(2));
    let teachers = [classifier::Centroids::learn(odd), classifier::Centroids::learn(even)];
    let mut right = 0;
    for (i, digit) in digits.iter().enumerate() {
        let start = Instant::now();
        let judgement = teachers[i % 2].judge(&digit.pixels);
        let latency_ms = start.elapsed().as_secs_f64() * 1e3;

        right += usize::from(judgement.prediction == digit.label);
        let row = row! {
            "image" => Media::image(data::to_png(&digit.pixels)?)?,
            "truth" => digit.label,
            "prediction" => judgement.prediction,
            "scores" => judgement.scores,
            "latency_ms" => latency_ms,
        };
        table.log(row).await?;
    }

    let stats = table.finish().await?;
    println!("{right} of {} digits recognised", digits.len());
    println!("{stats}");
    let stored = backend.rows(table.path()).len();
    println!("{stored} rows in the backend, {} violations", backend.violations().len());
    Ok(())
}
