//! What lies one below another, each with its name to the left: bars, intervals.

use std::ops::Range;

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::Figure;
use super::canvas::{Area, EDGE, TITLE, WIDTH, drawn, mesh, range, said, shortened, tick, write};
use crate::Result;
use crate::theme::Role;

/// The frame of such a figure; the marks are the caller's.
pub(super) struct Rows<'p> {
    pub(super) title: &'p str,
    /// What the horizontal axis measures, with its unit.
    pub(super) x: &'p str,
    /// From above.
    pub(super) names: Vec<&'p str>,
    /// Pixels of a row.
    pub(super) height: u32,
    /// A line behind the marks.
    pub(super) reference: f64,
}

/// Where the marks of a row are drawn: rows are 1 apart.
pub(super) type Chart<'c, 'a> =
    ChartContext<'c, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

impl Rows<'_> {
    /// Draws the frame, wide enough for `ends`, and by `mark` each row, whose number and middle it gets.
    pub(super) fn draw(
        &self,
        ends: impl Iterator<Item = f64>,
        mark: impl Fn(&mut Chart<'_, '_>, usize, f64) -> Result<(), String>,
    ) -> Result<Figure> {
        let height = TITLE + 52 + EDGE + self.height * self.names.len() as u32;
        let values = range(ends.chain([self.reference]));
        let svg = drawn(self.title, (WIDTH, height), |area| self.plot(area, &values, mark))?;
        let description = format!("{}: {}, of {}", self.title, self.x, self.names.join(", "));
        Ok(Figure::new(self.title, description, svg))
    }

    fn plot(
        &self,
        area: &Area<'_>,
        values: &Range<f64>,
        mark: impl Fn(&mut Chart<'_, '_>, usize, f64) -> Result<(), String>,
    ) -> Result<(), String> {
        let longest = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let left = (longest as u32 * 7 + 16).clamp(50, WIDTH / 2);
        let n = self.names.len() as f64;
        let mut chart = ChartBuilder::on(area)
            .margin_right(20)
            .margin_top(4)
            .margin_left(left)
            .margin_bottom(EDGE)
            .x_label_area_size(40)
            .build_cartesian_2d(values.clone(), 0.0..n)
            .map_err(said)?;
        mesh(&mut chart, 11.0)
            .disable_y_mesh()
            .disable_y_axis()
            .x_labels(4)
            .x_label_formatter(&tick(values))
            .x_desc(self.x)
            .draw()
            .map_err(said)?;
        let line = [(self.reference, 0.0), (self.reference, n)];
        chart.draw_series([PathElement::new(line, Role::Muted.colour())]).map_err(said)?;
        for (i, name) in self.names.iter().enumerate() {
            let y = n - 0.5 - i as f64;
            mark(&mut chart, i, y)?;
            // Places on the canvas count from its top, those of an area from the area's own.
            let (_, top) = chart.backend_coord(&(values.start, y));
            let name = shortened(name, left as i32 / 7 - 1);
            let at = (left as i32 - 6, top - TITLE as i32);
            write(area, &name, at, 11.0, Role::Ink, (HPos::Right, VPos::Center))?;
        }
        Ok(())
    }
}
