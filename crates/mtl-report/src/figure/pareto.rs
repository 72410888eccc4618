//! Two metrics of many weightings, and the front of those that no other beats in both.

use plotters::prelude::*;

use super::Figure;
use super::canvas::{Area, drawn, range, said, text_style, tick};
use crate::Result;
use crate::theme::Role;

/// A plot of two metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct ParetoPlot {
    /// What is shown.
    pub title: String,
    /// Names of the two metrics.
    pub axes: [String; 2],
    /// The points.
    pub points: Vec<ParetoPoint>,
}

/// A point of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ParetoPoint {
    /// Its name; points without one are discs, points with one named triangles.
    pub name: Option<String>,
    /// The two metrics.
    pub values: [f64; 2],
    /// Whether no other point beats it.
    pub on_front: bool,
}

/// Named points need more room than the other figures have.
const SIZE: (u32, u32) = (640, 440);

impl ParetoPlot {
    /// Draws it.
    ///
    /// # Errors
    /// [`crate::Error::Draw`] if the plotting crate fails.
    pub fn draw(&self) -> Result<Figure> {
        let svg = drawn(&self.title, SIZE, |area| self.plot(area))?;
        let [x, y] = &self.axes;
        Ok(Figure::new(&self.title, format!("{}: {y} by {x}", self.title), svg))
    }

    fn plot(&self, area: &Area<'_>) -> Result<(), String> {
        let ranges = [0, 1].map(|i| range(self.points.iter().map(|point| point.values[i])));
        let [x, y] = ranges;
        let mut chart = ChartBuilder::on(area)
            .margin_right(20)
            .margin_top(4)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(x.clone(), y.clone())
            .map_err(said)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(Role::Grid.colour())
            .axis_style(Role::Muted.colour())
            .label_style(text_style(12.0, Role::Muted))
            .axis_desc_style(text_style(12.0, Role::Muted))
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&tick(&x))
            .y_label_formatter(&tick(&y))
            .x_desc(self.axes[0].as_str())
            .y_desc(self.axes[1].as_str())
            .draw()
            .map_err(said)?;
        let front = LineSeries::new(self.front(), Role::Muted.colour().stroke_width(2));
        chart.draw_series(front).map_err(said)?;
        let place = |point: &ParetoPoint| (point.values[0], point.values[1]);
        let fixed = self.points.iter().filter(|point| point.name.is_none());
        let colour = Role::Series(0).colour();
        let discs = fixed.map(|point| Circle::new(place(point), 5, colour.filled()));
        chart.draw_series(discs).map_err(said)?;
        let middle = (x.start + x.end) / 2.0;
        let named = self.together().into_iter().map(|(point, names)| {
            // Names run into the plot, never out of it.
            let dx =
                if point.values[0] > middle { -8 - 6 * names.chars().count() as i32 } else { 8 };
            EmptyElement::at(place(point))
                + TriangleMarker::new((0, 0), 6, Role::Series(1).colour().filled())
                + Text::new(names, (dx, -6), text_style(11.0, Role::Ink))
        });
        chart.draw_series(named).map_err(said).map(|_| ())
    }

    /// Points with the names of all that lie on the same place: T = 2 makes some methods one.
    fn together(&self) -> Vec<(&ParetoPoint, String)> {
        let mut places: Vec<(&ParetoPoint, String)> = Vec::new();
        for point in &self.points {
            let Some(name) = &point.name else { continue };
            match places.iter_mut().find(|(first, _)| first.values == point.values) {
                Some((_, names)) => *names = format!("{names}, {name}"),
                None => places.push((point, name.clone())),
            }
        }
        places
    }

    /// The points of the front from left to right.
    fn front(&self) -> Vec<(f64, f64)> {
        let on_front = self.points.iter().filter(|point| point.on_front);
        let mut front: Vec<_> = on_front.map(|point| (point.values[0], point.values[1])).collect();
        front.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        front
    }
}
