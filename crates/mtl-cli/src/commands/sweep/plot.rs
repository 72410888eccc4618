//! The picture of a sweep, as SVG: fixed weights as discs, adaptive methods as named triangles, the
//! front as a line.

use std::ops::Range;

use plotters::prelude::*;

use super::{Axis, Point, Sweep};

const SIZE: (u32, u32) = (960, 640);
const FONT: &str = "sans-serif";

pub(super) fn svg(sweep: &Sweep) -> anyhow::Result<String> {
    let mut text = String::new();
    // The errors of the drawing library borrow what it draws on.
    draw(sweep, &mut text).map_err(|error| anyhow::anyhow!("sweep.svg: {error}"))?;
    Ok(text)
}

fn draw(sweep: &Sweep, text: &mut String) -> Result<(), String> {
    let said = |error: DrawingAreaErrorKind<_>| error.to_string();
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(said)?;
    let values = |i: usize| sweep.points.iter().map(move |point| point.values[i]);
    let title = format!("{}: {} rows, seed {}", sweep.model, sweep.reported, sweep.seed);
    let mut chart = ChartBuilder::on(&root)
        .caption(title, (FONT, 20))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(range(values(0)), range(values(1)))
        .map_err(said)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(describe(&sweep.metrics[0]))
        .y_desc(describe(&sweep.metrics[1]))
        .draw()
        .map_err(said)?;
    chart.draw_series(LineSeries::new(front(sweep), BLACK.mix(0.5))).map_err(said)?;
    let place = |point: &Point| (point.values[0], point.values[1]);
    let (fixed, adaptive): (Vec<_>, Vec<_>) =
        sweep.points.iter().partition(|point| point.weighting == "fixed");
    let discs = fixed.into_iter().map(|point| Circle::new(place(point), 5, BLUE.filled()));
    chart.draw_series(discs).map_err(said)?;
    let named = together(&adaptive).into_iter().map(|(point, names)| {
        EmptyElement::at(place(point))
            + TriangleMarker::new((0, 0), 6, RED.filled())
            + Text::new(names, (8, -6), (FONT, 13))
    });
    chart.draw_series(named).map_err(said)?;
    root.present().map_err(said)
}

/// Points with the names of all that lie on the same place: T = 2 makes some methods one.
fn together<'p>(points: &[&'p Point]) -> Vec<(&'p Point, String)> {
    let mut places: Vec<(&Point, String)> = Vec::new();
    for point in points {
        match places.iter_mut().find(|(first, _)| first.values == point.values) {
            Some((_, names)) => *names = format!("{names}, {}", point.weighting),
            None => places.push((point, point.weighting.clone())),
        }
    }
    places
}

/// The points of the front from left to right.
fn front(sweep: &Sweep) -> Vec<(f64, f64)> {
    let on_front = sweep.points.iter().filter(|point| point.on_front);
    let mut front: Vec<_> = on_front.map(|point| (point.values[0], point.values[1])).collect();
    front.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    front
}

/// All values with a margin, wide enough to be drawn if they are one.
fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let margin = (0.08 * (high - low)).max(1e-6 * high.abs()).max(1e-9);
    low - margin..high + margin
}

fn describe(axis: &Axis) -> String {
    match axis.larger_is_better {
        true => axis.name.clone(),
        false => format!("{} (less is better)", axis.name),
    }
}
