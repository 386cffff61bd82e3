//! Logs from a program without an async runtime, from several threads.
//!
//! Talks to the server that your settings name; give the table's name as the argument.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to people")]

use streamtable::blocking::StreamTable;
use streamtable::{WhenFull, row};
use streamtable_transport_hyper::HyperTransport;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("usage: blocking ENTITY/PROJECT/TABLE")?;
    let table = StreamTable::builder(&name)
        .transport(HyperTransport::new()?)
        // Rather wait than refuse rows when the server is slower than we are.
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
