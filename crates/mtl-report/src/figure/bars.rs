//! Amounts from 0, one below another.

use plotters::prelude::*;

use super::Figure;
use super::canvas::said;
use super::rows::{Chart, Rows};
use crate::Result;
use crate::theme::Role;

/// Horizontal bars, such as what each feature is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct BarPlot {
    /// What is shown.
    pub title: String,
    /// What the horizontal axis measures, with its unit.
    pub x: String,
    /// From above.
    pub bars: Vec<Bar>,
}

/// An amount.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Of what.
    pub name: String,
    /// The amount; below 0 the bar goes to the left.
    pub value: f64,
    /// Its standard error, drawn to both sides.
    pub error: Option<f64>,
}

const ROW: u32 = 22;
/// Half the height of a bar, in rows.
const HALF: f64 = 0.32;

impl BarPlot {
    /// Draws it.
    ///
    /// # Errors
    /// [`crate::Error::Draw`] if the plotting crate fails.
    pub fn draw(&self) -> Result<Figure> {
        let rows = Rows {
            title: &self.title,
            x: &self.x,
            names: self.bars.iter().map(|bar| bar.name.as_str()).collect(),
            height: ROW,
            reference: 0.0,
        };
        let ends = self.bars.iter().flat_map(Bar::ends);
        rows.draw(ends, |chart, i, y| self.bars[i].mark(chart, y))
    }
}

impl Bar {
    /// The value less and plus its error.
    fn ends(&self) -> [f64; 2] {
        let error = self.error.unwrap_or(0.0);
        [self.value - error, self.value + error]
    }

    fn mark(&self, chart: &mut Chart<'_, '_>, y: f64) -> Result<(), String> {
        let corners = [(0.0, y - HALF), (self.value, y + HALF)];
        let fill = Role::Series(if self.value < 0.0 { 1 } else { 0 }).colour().mix(0.75);
        chart.draw_series([Rectangle::new(corners, fill.filled())]).map_err(said)?;
        if self.error.is_some() {
            let [low, high] = self.ends();
            let ink = Role::Ink.colour().stroke_width(1);
            let lines = [
                [(low, y), (high, y)],
                [(low, y - HALF / 2.0), (low, y + HALF / 2.0)],
                [(high, y - HALF / 2.0), (high, y + HALF / 2.0)],
            ];
            chart.draw_series(lines.map(|line| PathElement::new(line, ink))).map_err(said)?;
        }
        Ok(())
    }
}
