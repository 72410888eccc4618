//! Amounts from 0, one below another.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::Figure;
use super::canvas::{Area, WIDTH, drawn, range, said, shortened, text_style, tick, write};
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
        let height = 28 + 52 + ROW * self.bars.len() as u32;
        let svg = drawn(&self.title, (WIDTH, height), |area| self.plot(area))?;
        let names: Vec<&str> = self.bars.iter().map(|bar| bar.name.as_str()).collect();
        let description = format!("{}: {}, of {}", self.title, self.x, names.join(", "));
        Ok(Figure::new(&self.title, description, svg))
    }

    fn plot(&self, area: &Area<'_>) -> Result<(), String> {
        let longest = self.bars.iter().map(|bar| bar.name.chars().count()).max().unwrap_or(0);
        let left = (longest as u32 * 7 + 16).clamp(50, WIDTH / 2);
        let ends = |bar: &Bar| {
            let error = bar.error.unwrap_or(0.0);
            [bar.value - error, bar.value + error]
        };
        let values = range(self.bars.iter().flat_map(ends).chain([0.0]));
        let n = self.bars.len() as f64;
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
        for (i, bar) in self.bars.iter().enumerate() {
            let y = n - 0.5 - i as f64;
            let corners = [(0.0, y - HALF), (bar.value, y + HALF)];
            let fill = Role::Series(if bar.value < 0.0 { 1 } else { 0 }).colour().mix(0.75);
            chart.draw_series([Rectangle::new(corners, fill.filled())]).map_err(said)?;
            if bar.error.is_some() {
                let [low, high] = ends(bar);
                let ink = Role::Ink.colour().stroke_width(1);
                let lines = [
                    [(low, y), (high, y)],
                    [(low, y - HALF / 2.0), (low, y + HALF / 2.0)],
                    [(high, y - HALF / 2.0), (high, y + HALF / 2.0)],
                ];
                let whiskers = lines.map(|line| PathElement::new(line, ink));
                chart.draw_series(whiskers).map_err(said)?;
            }
            // Places on the canvas count from its top, those of an area from the area's own.
            let (_, top) = chart.backend_coord(&(values.start, y));
            let name = shortened(&bar.name, left as i32 / 7 - 1);
            let at = (left as i32 - 6, top - 28);
            write(area, &name, at, 11.0, Role::Ink, (HPos::Right, VPos::Center))?;
        }
        let zero = PathElement::new([(0.0, 0.0), (0.0, n)], Role::Muted.colour().stroke_width(1));
        chart.draw_series([zero]).map_err(said)?;
        Ok(())
    }
}
