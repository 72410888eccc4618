//! Values with their intervals, one below another.

use plotters::prelude::*;

use super::Figure;
use super::canvas::{said, stroke};
use super::rows::{Chart, Rows};
use crate::Result;

/// Values beside one that they are compared with: differences of AUC beside 0, the AUC of segments
/// beside that of all rows.
#[derive(Clone, Debug, PartialEq)]
pub struct IntervalPlot {
    /// What is shown.
    pub title: String,
    /// What the horizontal axis measures, with its unit.
    pub x: String,
    /// What they are compared with, a line.
    pub reference: f64,
    /// From above.
    pub intervals: Vec<Interval>,
}

/// A mean and its interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// Whose.
    pub name: String,
    /// Which colour.
    pub colour: usize,
    /// The mean.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

const ROW: u32 = 24;

impl IntervalPlot {
    /// Draws it.
    ///
    /// # Errors
    /// [`crate::Error::Draw`] if the plotting crate fails.
    pub fn draw(&self) -> Result<Figure> {
        let rows = Rows {
            title: &self.title,
            x: &self.x,
            names: self.intervals.iter().map(|i| i.name.as_str()).collect(),
            height: ROW,
            reference: self.reference,
        };
        let ends = self.intervals.iter().flat_map(|i| [i.low, i.high]);
        rows.draw(ends, |chart, i, y| self.intervals[i].mark(chart, y))
    }
}

impl Interval {
    fn mark(&self, chart: &mut Chart<'_, '_>, y: f64) -> Result<(), String> {
        let style = stroke(self.colour, 2);
        let bar = PathElement::new([(self.low, y), (self.high, y)], style);
        chart.draw_series([bar]).map_err(said)?;
        chart.draw_series([Circle::new((self.mean, y), 4, style.filled())]).map_err(said)?;
        Ok(())
    }
}
