//! Two metrics of many weightings, and the front of those that no other beats in both.

use plotters::prelude::*;

use super::Figure;
use super::canvas::{Area, EDGE, drawn, mesh, range, room_for_ticks, said, text_style, tick};
use super::labels::{Frame, places};
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
    /// Half the length of its arms, where there are some.
    pub sd: [Option<f64>; 2],
    /// Whether no other point beats it.
    pub on_front: bool,
}

impl ParetoPoint {
    /// The ends of its arm along an axis: the point twice where it has none.
    fn ends(&self, axis: usize) -> [f64; 2] {
        let half = self.sd[axis].unwrap_or(0.0);
        [self.values[axis] - half, self.values[axis] + half]
    }

    /// Its arms, from end to end.
    fn arms(&self) -> impl Iterator<Item = [(f64, f64); 2]> {
        let [x, y] = self.values;
        let across = self.sd[0].map(|_| self.ends(0).map(|x| (x, y)));
        let down = self.sd[1].map(|_| self.ends(1).map(|y| (x, y)));
        across.into_iter().chain(down)
    }
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
        let ranges = [0, 1].map(|i| range(self.points.iter().flat_map(|p| p.ends(i))));
        let [x, y] = ranges;
        let mut chart = ChartBuilder::on(area)
            .margin_right(20)
            .margin_top(4)
            .margin_left(EDGE)
            .margin_bottom(EDGE)
            .x_label_area_size(44)
            .y_label_area_size(room_for_ticks(&y) + 6)
            .build_cartesian_2d(x.clone(), y.clone())
            .map_err(said)?;
        mesh(&mut chart, 12.0)
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
        let arms = self.points.iter().flat_map(ParetoPoint::arms);
        let arm = |ends: [(f64, f64); 2]| PathElement::new(ends, Role::Muted.colour());
        chart.draw_series(arms.map(arm)).map_err(said)?;
        let place = |point: &ParetoPoint| (point.values[0], point.values[1]);
        let fixed = self.points.iter().filter(|point| point.name.is_none());
        let colour = Role::Series(0).colour();
        let discs = fixed.map(|point| Circle::new(place(point), 5, colour.filled()));
        chart.draw_series(discs).map_err(said)?;
        let named = self.together();
        let colour = Role::Series(1).colour();
        let marks = named.iter().map(|(p, _)| TriangleMarker::new(place(p), 6, colour.filled()));
        chart.draw_series(marks).map_err(said)?;

        let fixed = self.points.iter().filter(|point| point.name.is_none());
        let all = named.iter().map(|(point, _)| *point).chain(fixed);
        let pixels: Vec<_> = all.map(|point| chart.backend_coord(&place(point))).collect();
        let widths: Vec<i32> =
            named.iter().map(|(_, names)| 6 * names.chars().count() as i32 + 4).collect();
        let (across, down) = chart.plotting_area().get_pixel_range();
        let within =
            Frame { left: across.start, top: down.start, right: across.end, bottom: down.end };
        // Pixels are those of the whole figure, text is placed in this area.
        let (left, top) = area.get_base_pixel();
        for ((_, names), (x, y)) in named.iter().zip(places(&pixels, &widths, within)) {
            let style = text_style(11.0, Role::Ink);
            let text = Text::new(names.clone(), (x - left, y - top), style);
            area.draw(&text).map_err(said)?;
        }
        Ok(())
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
