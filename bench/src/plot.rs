//! A picture of the figures that most people ask for.

use std::path::Path;

use plotters::prelude::*;

use crate::Error;
use crate::figures::{Cell, Line};
use crate::report::Report;

const WIDTH: u32 = 900;
const BAR: u32 = 30;
const HEAD: u32 = 70;

/// The bars of a picture: a name, and microseconds.
type Bars = Vec<(String, f64)>;

/// Draws what a call costs, ours and the peers', on a logarithmic scale.
pub(crate) fn draw(report: &Report, path: &Path) -> Result<(), Error> {
    let mut bars = Bars::new();
    for (name, take) in [("call", 2), ("peers", usize::MAX)] {
        let found = report.sections.iter().find(|section| section.name == name);
        let lines = found.map_or(&[][..], |found| &found.lines);
        let lines =
            lines.iter().filter(|line| name != "peers" || line.what != "StreamTable from Rust");
        bars.extend(lines.filter_map(bar).take(take));
    }
    if bars.is_empty() {
        return Err("there is nothing to draw without the sections call and peers".into());
    }
    bars.sort_by(|a, b| a.1.total_cmp(&b.1));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    paint(&bars, path).map_err(|error| error.to_string().into())
}

fn bar(line: &Line) -> Option<(String, f64)> {
    let Some(Cell::Seconds(p50)) = line.cells.first() else { return None };
    Some((line.what.replace('`', ""), p50 * 1e6))
}

fn paint(bars: &Bars, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let size = (WIDTH, HEAD + BAR * bars.len() as u32 + 40);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    let grey = RGBColor(90, 90, 90);
    let title = ("sans-serif", 18).into_font().color(&BLACK);
    root.draw(&Text::new(
        "What a program waits at the call, p50 (shorter is better)",
        (20, 18),
        title,
    ))?;
    let (left, right) = (300.0, f64::from(WIDTH) - 110.0);
    let least = bars.iter().map(|bar| bar.1).fold(f64::INFINITY, f64::min).log10().floor();
    let most = bars.iter().map(|bar| bar.1).fold(0.0, f64::max).log10().ceil();
    let x = |micros: f64| {
        (left + (micros.log10() - least) / (most - least).max(1.0) * (right - left)) as i32
    };
    let bottom = (HEAD + BAR * bars.len() as u32) as i32;
    for power in least as i32..=most as i32 {
        let at = x(10f64.powi(power));
        root.draw(&PathElement::new(
            [(at, HEAD as i32 - 8), (at, bottom)],
            RGBColor(225, 225, 225),
        ))?;
        let label = ("sans-serif", 12).into_font().color(&grey);
        root.draw(&Text::new(show(10f64.powi(power)), (at - 12, bottom + 8), label))?;
    }
    for (i, (what, micros)) in bars.iter().enumerate() {
        let top = (HEAD + BAR * i as u32) as i32;
        let is_ours = what.starts_with("StreamTable") || what.starts_with("a ");
        let colour = if is_ours { RGBColor(37, 99, 235) } else { RGBColor(160, 165, 175) };
        let shape = [(x(10f64.powf(least)), top + 4), (x(*micros).max(left as i32 + 2), top + 24)];
        root.draw(&Rectangle::new(shape, colour.filled()))?;
        let label = ("sans-serif", 13).into_font().color(&BLACK);
        root.draw(&Text::new(name(what), (20, top + 7), label.clone()))?;
        root.draw(&Text::new(show(*micros), (x(*micros) + 8, top + 7), label))?;
    }
    root.present()?;
    Ok(())
}

/// Rows of the section `call` do not say whose they are.
fn name(what: &str) -> String {
    match what.strip_prefix("a ") {
        Some(rest) => format!("StreamTable, {rest}"),
        None => what.to_owned(),
    }
}

fn show(micros: f64) -> String {
    Cell::Seconds(micros / 1e6).show()
}
