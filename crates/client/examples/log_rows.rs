//! Logs one row, then many, and prints a summary.
//!
//! Uses the server from your settings: set `WANDB_BASE_URL` and `WANDB_API_KEY`, or log in with any
//! W&B client. Pass the table name as the argument.
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use streamtable::{StreamTable, row};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("usage: log_rows ENTITY/PROJECT/TABLE")?;
    let table = StreamTable::open(&name).await?;

    // The first row defines the table's columns. Logging it prints the URL of the table's page.
    table.log(row! { "one_column_name" => "value_a", "another_column_name" => 7 }).await?;

    table
        .log(vec![
            row! { "one_column_name" => "value_b", "another_column_name" => 19 },
            row! { "one_column_name" => "value_c", "another_column_name" => 28 },
            row! { "one_column_name" => "value_d", "another_column_name" => 36 },
        ])
        .await?;

    // Iterators work, too.
    let squares = (1..=100).map(|n| {
        row! { "one_column_name" => format!("square of {n}"), "another_column_name" => n * n }
    });
    table.log(squares).await?;

    // A row that does not fit is rejected alone; the error names the column and the reason.
    if let Err(error) = table.log(row! { "one_column_name" => "value_e" }).await {
        println!("{error}");
    }

    println!("{}", table.finish().await?);
    Ok(())
}
