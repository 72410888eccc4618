//! A drawing as an image: the elements that the plotting crate writes, filled pixel by pixel.
//!
//! This reads no other SVG. What it needs of one is shapes of straight lines, circles and text, in
//! one colour each; a reader of all of SVG with its fonts is thirty crates and half of a build.

mod drawing;
mod letters;
mod outline;
mod raster;

use self::drawing::{Element, elements};
use self::letters::Letters;
use self::outline::{circle, stroke, turned};
use self::raster::{Colour, Point, Raster};

/// Pixels of an image for one of the drawing, to each side: on paper a figure of 380 pixels is then
/// three inches wide at 500 dots an inch.
const SCALE: f32 = 4.0;

/// Dots of a metre: 96 an inch for the drawing's pixels.
const PER_METRE: u32 = (SCALE * 96.0 / 0.0254) as u32;

/// A drawing as a PNG file, with what it shows in words.
///
/// # Errors
/// What was found in the drawing, or the encoder, and not expected.
pub(crate) fn png(svg: &str, description: &str) -> Result<Vec<u8>, String> {
    let raster = drawn(svg)?;
    let (width, height) = raster.size();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let unit = png::Unit::Meter;
    encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: PER_METRE, yppu: PER_METRE, unit }));
    let failed = |error: png::EncodingError| error.to_string();
    encoder.add_itxt_chunk("Description".to_owned(), description.to_owned()).map_err(failed)?;
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(raster.pixels()).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

fn drawn(svg: &str) -> Result<Raster, String> {
    let mut elements = elements(svg);
    let canvas = elements.next().filter(|first| first.name == "svg").ok_or("no drawing")?;
    let pixels = |length: f32| (SCALE * length).round() as usize;
    let mut raster = Raster::new(pixels(canvas.number("width")?), pixels(canvas.number("height")?));
    let letters = Letters::new();
    for element in elements {
        draw(&mut raster, &letters, &element)?;
    }
    Ok(raster)
}

/// What an element covers, in the drawing's pixels.
enum Shape {
    /// A closed outline: filled, or drawn along.
    Closed(Vec<Point>),
    /// A line.
    Open(Vec<Point>),
    /// Filled outlines.
    Text(Vec<Vec<Point>>),
}

fn draw(raster: &mut Raster, letters: &Letters, element: &Element<'_>) -> Result<(), String> {
    let number = |name| element.number(name);
    let shape = match element.name {
        "rect" => {
            let (x, y) = (number("x")?, number("y")?);
            let (right, bottom) = (x + number("width")?, y + number("height")?);
            Shape::Closed(vec![(x, y), (right, y), (right, bottom), (x, bottom)])
        }
        "circle" => {
            // Corners that nobody sees: as many as the image has pixels around it.
            Shape::Closed(circle((number("cx")?, number("cy")?), number("r")?, SCALE))
        }
        "polygon" => Shape::Closed(element.points()?),
        "polyline" => Shape::Open(element.points()?),
        "line" => Shape::Open(vec![(number("x1")?, number("y1")?), (number("x2")?, number("y2")?)]),
        "text" => Shape::Text(text(letters, element)?),
        other => return Err(format!("an element `{other}`, which images have not")),
    };
    let opacity = element.number_or("opacity", 1.0)?;
    let width = element.number_or("stroke-width", 1.0)?;
    let mut fill = |outlines: &[Vec<Point>], colour: Colour| {
        let place = |&(x, y): &Point| (SCALE * x, SCALE * y);
        let outlines: Vec<Vec<Point>> =
            outlines.iter().map(|outline| outline.iter().map(place).collect()).collect();
        raster.fill(&outlines, colour, opacity);
    };
    let (inside, line) = (element.colour("fill")?, element.colour("stroke")?);
    match shape {
        Shape::Closed(outline) => {
            if let Some(colour) = inside {
                fill(std::slice::from_ref(&outline), colour);
            }
            if let Some(colour) = line {
                // Once around, and on to where the first bend is round too.
                let around = outline.iter().chain(outline.iter().take(2)).copied();
                fill(&stroke(&around.collect::<Vec<_>>(), width, SCALE), colour);
            }
        }
        Shape::Open(points) => {
            if let Some(colour) = line {
                fill(&stroke(&points, width, SCALE), colour);
            }
        }
        Shape::Text(outlines) => {
            if let Some(colour) = inside {
                fill(&outlines, colour);
            }
        }
    }
    Ok(())
}

/// The outlines of a text where its element has it.
fn text(letters: &Letters, element: &Element<'_>) -> Result<Vec<Vec<Point>>, String> {
    let size = element.number("font-size")?;
    let text = element.text();
    let (x, y) = (element.number("x")?, element.number("y")?);
    let start = match element.attribute("text-anchor").unwrap_or("start") {
        "start" => x,
        "middle" => x - letters.width(&text, size) / 2.0,
        "end" => x - letters.width(&text, size),
        other => return Err(format!("text-anchor is {other}")),
    };
    let shift = element.attribute("dy").unwrap_or("0em");
    let unit = match shift.get(shift.len().saturating_sub(2)..) {
        Some("em") => size,
        Some("ex") => letters.x_height(size),
        _ => return Err(format!("dy is {shift}")),
    };
    let amount: f32 = shift[..shift.len() - 2].parse().map_err(|_| format!("dy is {shift}"))?;
    let outlines = letters.outlines(&text, size, (start, y + amount * unit));
    match element.attribute("transform") {
        None => Ok(outlines),
        Some(turn) => {
            let degrees = turn.strip_prefix("rotate(").and_then(|rest| rest.split(',').next());
            let degrees = degrees.and_then(|degrees| degrees.trim().parse().ok());
            let degrees: f32 = degrees.ok_or_else(|| format!("transform is {turn}"))?;
            Ok(turned(&outlines, degrees, (x, y)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INK: [u8; 3] = [0x1b, 0x1f, 0x24];

    /// A drawing of 40 × 20 with these elements, as an image that was written and read.
    fn image(elements: &str) -> (usize, Vec<[u8; 3]>) {
        let head = "<svg width=\"40\" height=\"20\" viewBox=\"0 0 40 20\" \
                    xmlns=\"http://www.w3.org/2000/svg\">\n";
        let svg = format!("{head}{elements}\n</svg>\n");
        let bytes = png(&svg, "Δ AUC: of two").unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        assert_eq!(reader.info().utf8_text[0].get_text().unwrap(), "Δ AUC: of two");
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height, info.color_type), (160, 80, png::ColorType::Rgb));
        (160, pixels.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect())
    }

    fn at((width, pixels): &(usize, Vec<[u8; 3]>), x: usize, y: usize) -> [u8; 3] {
        pixels[y * width + x]
    }

    #[test]
    fn elements_are_where_the_drawing_has_them() {
        let found = image(
            "<rect x=\"0\" y=\"0\" width=\"40\" height=\"20\" opacity=\"1\" fill=\"#ffffff\" stroke=\"none\"/>\n\
             <rect x=\"2\" y=\"2\" width=\"4\" height=\"4\" opacity=\"0.5\" fill=\"#000000\" stroke=\"none\"/>\n\
             <line opacity=\"1\" stroke=\"#ff0000\" stroke-width=\"1\" x1=\"10\" y1=\"5\" x2=\"20\" y2=\"5\"/>\n\
             <polyline fill=\"none\" opacity=\"1\" stroke=\"#00ff00\" stroke-width=\"2\" points=\"10,10 20,10 20,18 \"/>\n\
             <circle cx=\"30\" cy=\"10\" r=\"4\" opacity=\"1\" fill=\"#0000ff\" stroke=\"none\" stroke-width=\"1\"/>\n\
             <polygon opacity=\"1\" fill=\"#0000ff\" points=\"36,2 39,2 39,5 36,5 \"/>\n\
             <rect x=\"1\" y=\"12\" width=\"6\" height=\"6\" opacity=\"1\" fill=\"none\" stroke=\"#1b1f24\"/>",
        );
        assert_eq!(at(&found, 1, 1), [255; 3]);
        assert!(matches!(at(&found, 16, 16), [127 | 128, 127 | 128, 127 | 128]));
        // A line of 1 is four pixels, two to each side.
        let row = [17, 18, 21, 22].map(|y| at(&found, 60, y));
        assert_eq!(row, [[255; 3], [255, 0, 0], [255, 0, 0], [255; 3]]);
        assert_eq!([(60, 40), (80, 60), (82, 38)].map(|(x, y)| at(&found, x, y)), [[0, 255, 0]; 3]);
        assert_eq!([(120, 40), (150, 12)].map(|(x, y)| at(&found, x, y)), [[0, 0, 255]; 2]);
        assert_eq!(at(&found, 120 + 13, 40 + 13), [255; 3], "the corner of the circle's square");
        let frame = [(4, 60), (28, 60), (16, 48), (16, 72), (4, 48)];
        assert_eq!(frame.map(|(x, y)| at(&found, x, y)), [INK; 5]);
        assert_eq!(at(&found, 16, 60), [255; 3], "an empty frame");
    }

    #[test]
    fn text_is_there_and_stands_as_it_is_anchored() {
        let ink = |attributes: &str, text: &str| -> Vec<(usize, usize)> {
            let element = format!(
                "<text {attributes} font-size=\"10\" opacity=\"1\" fill=\"#1b1f24\">\n{text}\n</text>"
            );
            let (width, pixels) = image(&element);
            let inked = pixels.iter().enumerate().filter(|(_, pixel)| **pixel == INK);
            inked.map(|(i, _)| (i % width, i / width)).collect()
        };
        let span = |of: &[usize]| (*of.iter().min().unwrap(), *of.iter().max().unwrap());
        let across = |ink: &[(usize, usize)]| span(&ink.iter().map(|p| p.0).collect::<Vec<_>>());
        let down = |ink: &[(usize, usize)]| span(&ink.iter().map(|p| p.1).collect::<Vec<_>>());
        let place = "x=\"20\" y=\"10\" dy=\"0.5ex\"";
        let start = ink(&format!("{place} text-anchor=\"start\""), "xox");
        let middle = ink(&format!("{place} text-anchor=\"middle\""), "xox");
        let end = ink(&format!("{place} text-anchor=\"end\""), "xox");
        assert!(start.len() > 150, "{}", start.len());
        assert!(across(&start).0 >= 80 && across(&end).1 <= 80);
        let ((left, right), half) = (across(&middle), 80);
        assert!((half - left).abs_diff(right + 1 - half) <= 4, "{left} {right}");
        // Letters without arms are as high above the middle as below.
        let (top, bottom) = down(&middle);
        assert!((40 - top).abs_diff(bottom + 1 - 40) <= 2, "{top} {bottom}");
        let turned = ink(
            &format!("{place} text-anchor=\"middle\" transform=\"rotate(270, 20, 10)\""),
            "xox",
        );
        assert!(down(&turned).1 - down(&turned).0 > across(&turned).1 - across(&turned).0);
        assert_ne!(ink(place, "&lt;"), ink(place, "l"), "an escaped letter is that letter");
        assert_eq!(ink(place, " ").len(), 0);
    }

    #[test]
    fn what_is_no_element_of_ours_is_said() {
        let found = |svg: &str| png(svg, "").unwrap_err();
        assert_eq!(found("<p>"), "no drawing");
        let head = "<svg width=\"4\" height=\"2\">";
        assert_eq!(
            found(&format!("{head}<path d=\"M0 0\"/>")),
            "an element `path`, which images have not"
        );
        assert!(found(&format!("{head}<rect x=\"0\"/>")).starts_with("`rect` has no y"));
    }
}
