//! Progress bars on standard error. They are only shown on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Refresh interval of the spinner.
const TICK: Duration = Duration::from_millis(120);

/// Returns a bar for bytes, or a spinner if the total is unknown.
pub(crate) fn bytes(total: Option<u64>) -> ProgressBar {
    match total.filter(|total| *total > 0) {
        Some(total) => {
            let bar = ProgressBar::new(total);
            styled(bar, "{bar:32.cyan} {percent:>3}%  {msg}  {bytes_per_sec}, {eta} left")
        }
        None => styled(ProgressBar::no_length(), "{spinner:.cyan} {msg}  {bytes}, {bytes_per_sec}"),
    }
}

/// Returns a bar for rows, or a spinner if the total is unknown.
pub(crate) fn rows(total: Option<u64>) -> ProgressBar {
    match total.filter(|total| *total > 0) {
        Some(total) => styled(
            ProgressBar::new(total),
            "{bar:32.cyan} {percent:>3}%  {human_pos} of {human_len} {msg}  {eta} left",
        ),
        None => styled(ProgressBar::no_length(), "{spinner:.cyan} {human_pos} {msg}"),
    }
}

/// Returns a spinner with a changing message.
pub(crate) fn words() -> ProgressBar {
    styled(ProgressBar::no_length(), "{spinner:.cyan} {msg}")
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─");
    bar.set_style(style);
    bar.enable_steady_tick(TICK);
    bar
}
