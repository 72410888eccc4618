//! Values with their intervals, one below another.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::Figure;
use super::canvas::{Area, WIDTH, drawn, range, said, shortened, stroke, text_style, tick, write};
use crate::Result;
use crate::theme::Role;

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
        let height = 28 + 52 + ROW * self.intervals.len() as u32;
        let svg = drawn(&self.title, (WIDTH, height), |area| self.plot(area))?;
        let names: Vec<&str> = self.intervals.iter().map(|i| i.name.as_str()).collect();
        let description = format!("{}: {}, of {}", self.title, self.x, names.join(", "));
        Ok(Figure::new(&self.title, description, svg))
    }

    fn plot(&self, area: &Area<'_>) -> Result<(), String> {
        let longest = self.intervals.iter().map(|i| i.name.chars().count()).max().unwrap_or(0);
        let left = (longest as u32 * 7 + 16).clamp(50, WIDTH / 2);
        let ends = self.intervals.iter().flat_map(|i| [i.low, i.high]).chain([self.reference]);
        let (values, n) = (range(ends), self.intervals.len() as f64);
        let mut chart = ChartBuilder::on(area)
            .margin_right(20)
            .margin_top(4)
            .margin_left(left)
            .x_label_area_size(40)
            .build_cartesian_2d(values.clone(), 0.0..n)
            .map_err(said)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .light_line_style(TRANSPARENT)
            .bold_line_style(Role::Grid.colour())
            .axis_style(Role::Muted.colour())
            .label_style(text_style(11.0, Role::Muted))
            .axis_desc_style(text_style(11.0, Role::Muted))
            .x_labels(4)
            .x_label_formatter(&tick(&values))
            .x_desc(self.x.as_str())
            .draw()
            .map_err(said)?;
        let line = [(self.reference, 0.0), (self.reference, n)];
        chart.draw_series([PathElement::new(line, Role::Muted.colour())]).map_err(said)?;
        for (i, interval) in self.intervals.iter().enumerate() {
            let y = n - 0.5 - i as f64;
            let style = stroke(interval.colour, 2);
            let bar = PathElement::new([(interval.low, y), (interval.high, y)], style);
            chart.draw_series([bar]).map_err(said)?;
            chart
                .draw_series([Circle::new((interval.mean, y), 4, style.filled())])
                .map_err(said)?;
            // Places on the canvas count from its top, those of an area from the area's own.
            let (_, top) = chart.backend_coord(&(values.start, y));
            let at = (left as i32 - 6, top - 28);
            let name = shortened(&interval.name, left as i32 / 7 - 1);
            write(area, &name, at, 11.0, Role::Ink, (HPos::Right, VPos::Center))?;
        }
        Ok(())
    }
}
