//! Figures, each from plain numbers: what a plot shows, and its drawing as SVG or as an image.

mod bars;
mod canvas;
mod heat;
mod intervals;
mod labels;
mod legend;
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
use crate::{Error, Result, image, theme};

/// The form of a figure's file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FigureFormat {
    /// A drawing, which a browser and a typesetter show in any size with letters of their own.
    #[default]
    Svg,
    /// An image of four pixels for each of the drawing's to either side, its letters in it.
    Png,
}

impl FigureFormat {
    /// The ending of its files' names.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
        }
    }
}

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

    /// As a PNG image, in light colours, with the description in it. The font is the program's own, with
    /// Latin, Greek and Cyrillic letters; a letter of another script is a box.
    ///
    /// # Errors
    /// [`Error::Draw`] if the drawing has what images have not.
    pub fn png(&self) -> Result<Vec<u8>> {
        let png = image::png(&self.svg(), &self.description);
        png.map_err(|message| Error::Draw { figure: self.name.clone(), message })
    }

    /// A file of that form.
    ///
    /// # Errors
    /// As [`Figure::png`], for an image.
    pub fn file(&self, format: FigureFormat) -> Result<Vec<u8>> {
        match format {
            FigureFormat::Svg => Ok(self.svg().into_bytes()),
            FigureFormat::Png => self.png(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of figure, with negative values, errors, legends and names that have to be escaped.
    fn all() -> Vec<Figure> {
        let name = "a <b> & \"c\" é";
        let line = |name: &str, colour| Series {
            name: name.to_owned(),
            colour,
            points: vec![(1, 0.5), (2, -0.25), (3, 0.75)],
            best: Some(2),
        };
        let bin = |mean_prediction, mean_label| mtl_eval::CalibrationBin {
            weight: 10.0,
            mean_prediction,
            mean_label,
        };
        let point = |name: Option<&str>, x, y| ParetoPoint {
            name: name.map(str::to_owned),
            values: [x, y],
            sd: [Some(0.1), None],
            on_front: true,
        };
        let interval = |mean| Interval {
            name: name.to_owned(),
            colour: 9,
            mean,
            low: mean - 1.0,
            high: mean + 1.0,
        };
        let bar = |value| Bar { name: name.to_owned(), value, error: Some(0.1) };
        let title = || name.to_owned();
        let series = vec![line("one", 0), line("two", 9)];
        let models = vec![("m".to_owned(), 3, vec![bin(0.1, 0.2), bin(0.5, 0.4)])];
        let drawn = [
            LinePlot { title: title(), y: "É of a gap".to_owned(), series, zero: true }.draw(),
            IntervalPlot {
                title: title(),
                x: "Δ".to_owned(),
                reference: 0.0,
                intervals: vec![interval(0.0), interval(2.0)],
            }
            .draw(),
            BarPlot { title: title(), x: "AUC".to_owned(), bars: vec![bar(0.5), bar(-0.5)] }.draw(),
            ReliabilityDiagram { title: title(), models }.draw(),
            HeatMap {
                title: title(),
                rows: vec!["r".to_owned()],
                columns: vec!["never_married".to_owned(), "b".to_owned()],
                values: vec![vec![Some(-0.5), None]],
            }
            .draw(),
            ParetoPlot {
                title: title(),
                axes: ["gap".to_owned(), "É of a gap".to_owned()],
                points: vec![point(None, 0.1, 0.2), point(Some("p"), 0.3, 0.1)],
            }
            .draw(),
        ];
        drawn.into_iter().collect::<Result<_>>().unwrap()
    }

    /// Red, green and blue of each pixel, and how many there are in a row.
    fn pixels(figure: &Figure) -> (usize, Vec<[u8; 3]>) {
        let file = std::io::Cursor::new(figure.file(FigureFormat::Png).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        let pixels = bytes.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        (info.width as usize, pixels)
    }

    #[test]
    fn every_kind_of_figure_is_an_image_with_its_title_and_its_marks() {
        for mut figure in all() {
            let (width, found) = pixels(&figure);
            let size = |name: &str| -> usize {
                let (_, rest) = figure.svg.split_once(&format!(" {name}=\"")).unwrap();
                rest.split('"').next().unwrap().parse().unwrap()
            };
            assert_eq!((width, found.len() / width), (4 * size("width"), 4 * size("height")));
            let inked = found.iter().filter(|pixel| **pixel != [255; 3]).count();
            let share = inked as f64 / found.len() as f64;
            assert!((0.005..0.5).contains(&share), "{}: {share}", figure.description);
            // Dark letters in the place of the title, which are not those of another one.
            let title = &found[..4 * 24 * width];
            let dark = |pixel: &[u8; 3]| pixel.iter().all(|&part| part < 60);
            assert!(title.iter().filter(|pixel| dark(pixel)).count() > 300);
            figure.svg = figure.svg.replacen("a &lt;b&gt;", "a &lt;d&gt;", 1);
            let (_, other) = pixels(&figure);
            assert_ne!(title, &other[..title.len()]);
            assert_eq!(found[title.len()..], other[title.len()..]);
        }
    }

    /// Pixels of the drawing that nothing may come into, along each of its four sides.
    const FREE: usize = 3;

    /// What an axis measures stood at the very edge, and high letters of it were cut off.
    #[test]
    fn nothing_stands_at_the_edge_of_a_figure() {
        for figure in all() {
            let (width, found) = pixels(&figure);
            let (height, free) = (found.len() / width, 4 * FREE);
            let inked = found.iter().enumerate().filter(|(_, pixel)| **pixel != [255; 3]);
            for (x, y) in inked.map(|(i, _)| (i % width, i / width)) {
                let is_inside =
                    (free..width - free).contains(&x) && (free..height - free).contains(&y);
                assert!(is_inside, "{}: {x}, {y} of {width}, {height}", figure.description);
            }
        }
    }
}
