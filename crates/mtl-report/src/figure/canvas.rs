//! What all figures share: size, text, axes, ranges.

use std::fmt::Display;
use std::ops::Range;

use plotters::chart::MeshStyle;
use plotters::coord::Shift;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::theme::{N_SERIES, Role};
use crate::{Error, Result};

/// Width of a figure: of two side by side on a page, of one on a telephone.
pub(super) const WIDTH: u32 = 380;

/// Height of a figure's title.
pub(super) const TITLE: u32 = 28;

/// Between what an axis measures and the edge of the figure. The plotting crate writes that name at
/// the very edge of its area, and a font may be higher than the crate reckons.
pub(super) const EDGE: u32 = 6;

/// The page's own font; what is beyond it is the reader's.
const FONT: &str = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif";

/// The plotting crate divides sizes by this before it writes them.
const PER_PIXEL: f64 = 1.24;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws on a canvas of that size. `draw` gets the area below the title.
pub(super) fn drawn(
    title: &str,
    (width, height): (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), String>,
) -> Result<String> {
    let mut svg = String::new();
    let result = (|| {
        let root = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        root.fill(&Role::Surface.colour()).map_err(said)?;
        write(&root, title, (10, 8), 13.0, Role::Ink, (HPos::Left, VPos::Top))?;
        let below = root.margin(TITLE, 0, 0, 0);
        draw(&below)?;
        root.present().map_err(said)
    })();
    result.map_err(|message| Error::Draw { figure: title.to_owned(), message })?;
    Ok(svg)
}

pub(super) fn said(error: impl Display) -> String {
    error.to_string()
}

/// A style for text of so many pixels.
pub(super) fn text_style(pixels: f64, role: Role) -> TextStyle<'static> {
    (FONT, pixels * PER_PIXEL).into_font().color(&role.colour())
}

/// Writes text at a place of the area.
pub(super) fn write(
    area: &Area<'_>,
    text: &str,
    place: (i32, i32),
    pixels: f64,
    role: Role,
    (h, v): (HPos, VPos),
) -> Result<(), String> {
    let style = text_style(pixels, role).pos(Pos::new(h, v));
    area.draw(&Text::new(text.to_owned(), place, style)).map_err(said)
}

/// The axes and the grid of a chart, in the look that all have: behind the marks.
pub(super) fn mesh<'c, 'm, 'a, X, Y>(
    chart: &'m mut ChartContext<'c, SVGBackend<'a>, Cartesian2d<X, Y>>,
    pixels: f64,
) -> MeshStyle<'c, 'm, X, Y, SVGBackend<'a>>
where
    X: Ranged + ValueFormatter<X::ValueType>,
    Y: Ranged + ValueFormatter<Y::ValueType>,
{
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT)
        .bold_line_style(Role::Grid.colour())
        .axis_style(Role::Muted.colour())
        .label_style(text_style(pixels, Role::Muted))
        .axis_desc_style(text_style(pixels, Role::Muted));
    mesh
}

/// The line of a series; the second eight are thinner than the first.
pub(super) fn stroke(series: usize, width: u32) -> ShapeStyle {
    let colour = Role::Series(series).colour();
    match series < N_SERIES {
        true => colour.stroke_width(width),
        false => colour.mix(0.6).stroke_width(width),
    }
}

/// All finite values with a margin, wide enough to be drawn if they are one.
pub(super) fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low > high {
        return 0.0..1.0;
    }
    let margin = (0.08 * (high - low)).max(1e-3 * high.abs()).max(1e-9);
    low - margin..high + margin
}

/// Digits that tell the ticks of a range apart.
pub(super) fn tick(range: &Range<f64>) -> impl Fn(&f64) -> String + use<> {
    let step = (range.end - range.start) / 6.0;
    let digits = (-step.log10()).ceil().clamp(0.0, 6.0) as usize;
    move |value| {
        let text = format!("{value:.digits$}");
        // A zero that came from below is a zero.
        match text.strip_prefix('-') {
            Some(size) if size.trim_matches(['0', '.']).is_empty() => size.to_owned(),
            _ => text,
        }
    }
}

/// Room for the ticks of a vertical axis and, left of them, what it measures.
pub(super) fn room_for_ticks(range: &Range<f64>) -> u32 {
    let tick = tick(range);
    let longest = tick(&range.start).len().max(tick(&range.end).len()) as u32;
    30 + 7 * longest
}

/// At most so many characters, the end rather than the beginning: paths differ there.
pub(super) fn shortened(name: &str, n: i32) -> String {
    let (n, length) = (n.max(2) as usize, name.chars().count());
    match length > n {
        true => std::iter::once('…').chain(name.chars().skip(length - n + 1)).collect(),
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_can_always_be_drawn() {
        assert_eq!(range([f64::NAN].into_iter()), 0.0..1.0);
        let one = range([0.5].into_iter());
        assert!(one.start < 0.5 && 0.5 < one.end);
        let two = range([1.0, 2.0, f64::INFINITY].into_iter());
        assert_eq!(two, 0.92..2.08);
        assert_eq!(tick(&two)(&1.25), "1.2");
        assert_eq!(tick(&(0.90..0.91))(&0.905), "0.905");
        assert_eq!(tick(&(-1.0..1.0))(&-1e-9), "0.0");
        assert!(room_for_ticks(&(0.90..0.91)) > room_for_ticks(&two));
    }

    #[test]
    fn the_end_of_a_long_name_is_kept() {
        assert_eq!(shortened("expert.0", 8), "expert.0");
        assert_eq!(shortened("shared.expert.0", 9), "…expert.0");
    }
}
