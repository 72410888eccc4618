//! A plot of several series, and below it the legend: lines, reliability.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::Figure;
use super::canvas::{Area, TITLE, WIDTH, drawn, said, stroke, write};
use crate::Result;
use crate::theme::Role;

/// The frame of such a figure; the plot is the caller's.
pub(super) struct WithLegend<'p> {
    pub(super) title: &'p str,
    /// What is plotted against what.
    pub(super) shown: &'p str,
    /// The names of the series, each once, with the colour.
    pub(super) names: &'p [(String, usize)],
    /// Pixels of the title and the plot.
    pub(super) height: u32,
}

impl WithLegend<'_> {
    /// Draws the frame, and by `plot` what is above the legend.
    pub(super) fn draw(
        &self,
        plot: impl FnOnce(&Area<'_>) -> Result<(), String>,
    ) -> Result<Figure> {
        let size = (WIDTH, self.height + height(self.names));
        let svg = drawn(self.title, size, |area| {
            let (above, below) = area.split_vertically(self.height - TITLE);
            plot(&above)?;
            legend(&below, self.names)
        })?;
        let names: Vec<&str> = self.names.iter().map(|(name, _)| name.as_str()).collect();
        let description = format!("{}: {}, of {}", self.title, self.shown, names.join(", "));
        Ok(Figure::new(self.title, description, svg))
    }
}

/// Names beside the colours of their series, in columns.
fn legend(area: &Area<'_>, names: &[(String, usize)]) -> Result<(), String> {
    let (n, width) = columns(names);
    for (i, (name, series)) in names.iter().enumerate() {
        let (x, y) = (14 + (i % n * width) as i32, 10 + (i / n) as i32 * 17);
        let line = PathElement::new([(x, y), (x + 16, y)], stroke(*series, 2));
        area.draw(&line).map_err(said)?;
        write(area, name, (x + 21, y), 11.0, Role::Ink, (HPos::Left, VPos::Center))?;
    }
    Ok(())
}

/// The height that [`legend`] takes.
fn height(names: &[(String, usize)]) -> u32 {
    let (n, _) = columns(names);
    if names.is_empty() { 0 } else { names.len().div_ceil(n) as u32 * 17 + 8 }
}

/// How many columns a legend has, and how wide each is.
fn columns(names: &[(String, usize)]) -> (usize, usize) {
    let longest = names.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let space = WIDTH as usize - 20;
    let n = (space / (longest * 7 + 34)).clamp(1, 4);
    (n, space / n)
}
