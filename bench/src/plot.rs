//! A chart of the most important figures.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::Error;
use crate::figures::{Cell, Line};
use crate::report::Report;

const WIDTH: u32 = 900;
const BAR: u32 = 30;
const HEAD: u32 = 70;
const FOOT: u32 = 40;

/// A bar chart: a title, and name and seconds of each bar, the shortest first.
struct Panel {
    title: &'static str,
    bars: Vec<(String, f64)>,
}

/// Draws the duration of a call and the cost of delivery for all clients, on logarithmic scales.
pub(crate) fn draw(report: &Report, path: &Path) -> Result<(), Error> {
    let lines = |name| {
        let found = report.sections.iter().find(|section| section.name == name);
        found.map_or(&[][..], |found| &found.lines)
    };
    let (call, peers) = (lines("call"), lines("peers"));
    let one_row = call.iter().filter(|line| !line.what.contains("in a call"));
    let others = peers.iter().filter(|line| line.what != "StreamTable from Rust");
    let panels = [
        Panel::new(
            "Duration of a call, p50",
            one_row.chain(others).filter_map(|line| bar(line, 0)),
        ),
        Panel::new(
            "CPU time of a client for 100,000 rows",
            peers.iter().filter_map(|line| bar(line, 4)),
        ),
    ];
    if panels.iter().any(|panel| panel.bars.is_empty()) {
        return Err("the chart needs the sections call and peers".into());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    paint(&panels, path).map_err(|error| error.to_string().into())
}

fn bar(line: &Line, cell: usize) -> Option<(String, f64)> {
    let Some(Cell::Seconds(seconds)) = line.cells.get(cell) else { return None };
    Some((line.what.replace('`', ""), *seconds))
}

fn paint(panels: &[Panel], path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let size = (WIDTH, panels.iter().map(Panel::height).sum());
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    let mut top = 0;
    for panel in panels {
        panel.paint(&root.clone().shrink((0, top), (WIDTH, panel.height())))?;
        top += panel.height();
    }
    root.present()?;
    Ok(())
}

impl Panel {
    fn new(title: &'static str, bars: impl Iterator<Item = (String, f64)>) -> Self {
        let mut bars: Vec<_> = bars.collect();
        bars.sort_by(|a, b| a.1.total_cmp(&b.1));
        Self { title, bars }
    }

    fn height(&self) -> u32 {
        HEAD + BAR * self.bars.len() as u32 + FOOT
    }

    fn paint<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let grey = RGBColor(90, 90, 90);
        let title = ("sans-serif", 18).into_font().color(&BLACK);
        let better = format!("{} (shorter is better)", self.title);
        area.draw(&Text::new(better, (20, 18), title))?;
        let (left, right) = (300.0, f64::from(WIDTH) - 110.0);
        let least = self.bars.iter().map(|bar| bar.1).fold(f64::INFINITY, f64::min).log10().floor();
        let most = self.bars.iter().map(|bar| bar.1).fold(0.0, f64::max).log10().ceil();
        let x = |seconds: f64| {
            (left + (seconds.log10() - least) / (most - least).max(1.0) * (right - left)) as i32
        };
        let bottom = (HEAD + BAR * self.bars.len() as u32) as i32;
        for power in least as i32..=most as i32 {
            let at = x(10f64.powi(power));
            let line = [(at, HEAD as i32 - 8), (at, bottom)];
            area.draw(&PathElement::new(line, RGBColor(225, 225, 225)))?;
            let label = ("sans-serif", 12).into_font().color(&grey);
            area.draw(&Text::new(show(10f64.powi(power)), (at - 12, bottom + 8), label))?;
        }
        for (i, (what, seconds)) in self.bars.iter().enumerate() {
            let top = (HEAD + BAR * i as u32) as i32;
            let is_ours = what.starts_with("StreamTable") || what.starts_with("a ");
            let colour = if is_ours { RGBColor(37, 99, 235) } else { RGBColor(160, 165, 175) };
            let end = x(*seconds).max(left as i32 + 2);
            let shape = [(left as i32, top + 4), (end, top + 24)];
            area.draw(&Rectangle::new(shape, colour.filled()))?;
            let label = ("sans-serif", 13).into_font().color(&BLACK);
            area.draw(&Text::new(name(what), (20, top + 7), label.clone()))?;
            area.draw(&Text::new(show(*seconds), (end + 8, top + 7), label))?;
        }
        Ok(())
    }
}

/// Rows of the section `call` do not include the client's name.
fn name(what: &str) -> String {
    match what.strip_prefix("a ") {
        Some(rest) => format!("StreamTable, {rest}"),
        None => what.to_owned(),
    }
}

fn show(seconds: f64) -> String {
    Cell::Seconds(seconds).show()
}
