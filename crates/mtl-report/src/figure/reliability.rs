//! Do probabilities mean what they say? Observed by predicted, bin by bin.

use mtl_eval::CalibrationBin;
use plotters::prelude::*;

use super::Figure;
use super::canvas::{Area, EDGE, mesh, room_for_ticks, said, stroke, tick};
use super::legend::WithLegend;
use crate::Result;
use crate::theme::Role;

/// A reliability diagram: on the diagonal a prediction of 0.3 comes true three times in ten.
#[derive(Clone, Debug, PartialEq)]
pub struct ReliabilityDiagram {
    /// What is shown.
    pub title: String,
    /// The bins of each model, with its name and colour.
    pub models: Vec<(String, usize, Vec<CalibrationBin>)>,
}

impl ReliabilityDiagram {
    /// Draws it.
    ///
    /// # Errors
    /// [`crate::Error::Draw`] if the plotting crate fails.
    pub fn draw(&self) -> Result<Figure> {
        let names: Vec<_> = self.models.iter().map(|(name, i, _)| (name.clone(), *i)).collect();
        let shown = "observed share by mean prediction";
        let figure = WithLegend { title: &self.title, shown, names: &names, height: 340 };
        figure.draw(|area| self.plot(area))
    }

    fn plot(&self, area: &Area<'_>) -> Result<(), String> {
        let bins = self.models.iter().flat_map(|(_, _, bins)| bins);
        let largest = bins.fold(0.0f64, |m, bin| m.max(bin.mean_prediction).max(bin.mean_label));
        let range = 0.0..(1.06 * largest).clamp(1e-6, 1.0);
        let mut chart = ChartBuilder::on(area)
            .margin_right(16)
            .margin_top(4)
            .margin_left(EDGE)
            .margin_bottom(EDGE)
            .x_label_area_size(40)
            .y_label_area_size(room_for_ticks(&range))
            .build_cartesian_2d(range.clone(), range.clone())
            .map_err(said)?;
        mesh(&mut chart, 11.0)
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&tick(&range))
            .y_label_formatter(&tick(&range))
            .x_desc("mean prediction (probability)")
            .y_desc("observed share of positives")
            .draw()
            .map_err(said)?;
        let ends = [(range.start, range.start), (range.end, range.end)];
        let ideal = DashedLineSeries::new(ends, 5, 4, Role::Muted.colour().stroke_width(1));
        chart.draw_series(ideal).map_err(said)?;
        for (_, colour, bins) in &self.models {
            let points = bins.iter().map(|bin| (bin.mean_prediction, bin.mean_label));
            let style = stroke(*colour, 2);
            chart.draw_series(LineSeries::new(points.clone(), style)).map_err(said)?;
            let discs = points.map(|point| Circle::new(point, 3, style.filled()));
            chart.draw_series(discs).map_err(said)?;
        }
        Ok(())
    }
}
