//! Logs rows from several threads of a program without an async runtime.
//!
//! Uses the server from your settings. Pass the table name as the argument.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example prints its results")]

use streamtable::blocking::StreamTable;
use streamtable::{WhenFull, row};
use streamtable_transport_hyper::HyperTransport;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("usage: blocking ENTITY/PROJECT/TABLE")?;
    let table = StreamTable::builder(&name)
        .transport(HyperTransport::new()?)
        // Wait instead of rejecting rows if the server is slower than this program.
        .when_full(WhenFull::Wait)
        .open_blocking()?;

    std::thread::scope(|scope| {
        for worker in 0..4 {
            let table = &table;
            scope.spawn(move || {
                for step in 0..1000 {
                    let row = row! { "worker" => worker, "step" => step };
                    if let Err(error) = table.log(row) {
                        eprintln!("worker {worker}: {error}");
                    }
                }
            });
        }
    });

    println!("{}", table.finish()?);
    Ok(())
}
