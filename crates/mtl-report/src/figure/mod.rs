//! Figures, each from plain numbers: what a plot shows, and its drawing as SVG.

mod bars;
mod canvas;
mod heat;
mod intervals;
mod labels;
mod lines;
mod pareto;
mod reliability;
mod rows;

pub use bars::{Bar, BarPlot};
pub use heat::HeatMap;
pub use intervals::{Interval, IntervalPlot};
pub use lines::{LinePlot, Series};
pub use pareto::{ParetoPlot, ParetoPoint};
pub use reliability::ReliabilityDiagram;

use crate::html::escape;
use crate::theme;

/// A drawn figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// A name for its file, without the ending.
    pub name: String,
    /// What it shows, for those who cannot see it.
    pub description: String,
    svg: String,
}

impl Figure {
    fn new(name: &str, description: String, svg: String) -> Self {
        Self { name: file_name(name), description, svg }
    }

    /// As a file of its own, in light colours.
    pub fn svg(&self) -> String {
        theme::light(&self.svg)
    }

    /// As a part of a page, in the colours of the reader's theme.
    pub(crate) fn inline(&self) -> String {
        let svg = theme::variables(&self.svg);
        let label = format!("<svg role=\"img\" aria-label=\"{}\" ", escape(&self.description));
        svg.replacen("<svg ", &label, 1)
    }
}

/// A name that any file system takes.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || c == '_' { c } else { '-' };
    name.chars().map(plain).collect()
}
