//! Values by epoch: learning curves, cosines between gradients.

use plotters::prelude::*;

use super::Figure;
use super::canvas::{Area, EDGE, mesh, range, room_for_ticks, said, stroke, tick};
use super::legend::WithLegend;
use crate::Result;
use crate::theme::Role;

/// Lines over epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct LinePlot {
    /// What is shown.
    pub title: String,
    /// What the vertical axis measures, with its unit.
    pub y: String,
    /// The lines.
    pub series: Vec<Series>,
    /// Whether 0 is marked and in sight.
    pub zero: bool,
}

/// A line: a model's run, a pair of losses.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name in the legend; lines of one name have one entry.
    pub name: String,
    /// Which colour.
    pub colour: usize,
    /// Epoch, from 1, and value.
    pub points: Vec<(usize, f64)>,
    /// The epoch whose weights were kept, marked by a disc.
    pub best: Option<usize>,
}

impl LinePlot {
    /// Draws it.
    ///
    /// # Errors
    /// [`crate::Error::Draw`] if the plotting crate fails.
    pub fn draw(&self) -> Result<Figure> {
        let mut names: Vec<(String, usize)> = Vec::new();
        for series in &self.series {
            if !names.iter().any(|(name, _)| *name == series.name) {
                names.push((series.name.clone(), series.colour));
            }
        }
        let shown = format!("{} by epoch", self.y);
        let figure = WithLegend { title: &self.title, shown: &shown, names: &names, height: 250 };
        figure.draw(|area| self.plot(area))
    }

    fn plot(&self, area: &Area<'_>) -> Result<(), String> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let last = points().map(|&(epoch, _)| epoch).max().unwrap_or(1) as i32;
        // One epoch is no line: its values stand in the middle.
        let shown = if last == 1 { 0..2 } else { 1..last };
        let epoch = |&epoch: &i32| match (1..=last).contains(&epoch) {
            true => epoch.to_string(),
            false => String::new(),
        };
        let zero = self.zero.then_some(0.0);
        let values = range(points().map(|&(_, value)| value).chain(zero));
        let mut chart = ChartBuilder::on(area)
            .margin_right(16)
            .margin_top(4)
            .margin_left(EDGE)
            .margin_bottom(EDGE)
            .x_label_area_size(40)
            .y_label_area_size(room_for_ticks(&values))
            .build_cartesian_2d(shown.clone(), values.clone())
            .map_err(said)?;
        mesh(&mut chart, 11.0)
            .disable_x_mesh()
            .x_labels(8)
            .x_label_formatter(&epoch)
            .y_labels(5)
            .y_label_formatter(&tick(&values))
            .x_desc("epoch")
            .y_desc(self.y.as_str())
            .draw()
            .map_err(said)?;
        if self.zero {
            let line = [(shown.start, 0.0), (shown.end, 0.0)];
            chart.draw_series(LineSeries::new(line, Role::Muted.colour())).map_err(said)?;
        }
        for series in &self.series {
            let finite = series.points.iter().filter(|(_, value)| value.is_finite());
            let points: Vec<_> = finite.map(|&(epoch, value)| (epoch as i32, value)).collect();
            let style = stroke(series.colour, 2);
            let is_best = |epoch: i32| series.best == Some(epoch as usize) || points.len() == 1;
            let discs = points.iter().filter(|(epoch, _)| is_best(*epoch));
            let discs: Vec<_> = discs.map(|&p| Circle::new(p, 3, style.filled())).collect();
            chart.draw_series(LineSeries::new(points.iter().copied(), style)).map_err(said)?;
            chart.draw_series(discs).map_err(said)?;
        }
        Ok(())
    }
}
