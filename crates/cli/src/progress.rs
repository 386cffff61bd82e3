//! Bars on standard error, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often a bar that waits shows that it lives.
const TICK: Duration = Duration::from_millis(120);

/// A bar of bytes; one without an end where nobody knows how many there are.
pub(crate) fn bytes(total: Option<u64>) -> ProgressBar {
    match total.filter(|total| *total > 0) {
        Some(total) => {
            let bar = ProgressBar::new(total);
            styled(bar, "{bar:32.cyan} {percent:>3}%  {msg}  {bytes_per_sec}, {eta} left")
        }
        None => styled(ProgressBar::no_length(), "{spinner:.cyan} {msg}  {bytes}, {bytes_per_sec}"),
    }
}

/// A bar of rows; one without an end where nobody knows how many there are.
pub(crate) fn rows(total: Option<u64>) -> ProgressBar {
    match total.filter(|total| *total > 0) {
        Some(total) => styled(
            ProgressBar::new(total),
            "{bar:32.cyan} {percent:>3}%  {human_pos} of {human_len} {msg}  {eta} left",
        ),
        None => styled(ProgressBar::no_length(), "{spinner:.cyan} {human_pos} {msg}"),
    }
}

/// Words that change, and a sign of life.
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
