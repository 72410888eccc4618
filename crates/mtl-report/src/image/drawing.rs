//! The elements of an SVG as the plotting crate writes it: flat, each with all that it is in its
//! attributes.

use super::raster::{Colour, Point};

/// An element: its name, its attributes and the text after them, as they are written.
pub(super) struct Element<'s> {
    pub(super) name: &'s str,
    tag: &'s str,
    text: &'s str,
}

/// The elements from first to last. Nothing but a tag has a `<` in it, texts and attributes have it
/// escaped.
pub(super) fn elements(svg: &str) -> impl Iterator<Item = Element<'_>> {
    svg.split('<').skip(1).filter(|rest| !rest.starts_with('/')).map(|rest| {
        let (tag, text) = rest.split_once('>').unwrap_or((rest, ""));
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        Element { name, tag, text }
    })
}

impl<'s> Element<'s> {
    /// An attribute as it is written.
    pub(super) fn attribute(&self, name: &str) -> Option<&'s str> {
        let (_, rest) = self.tag.split_once(&format!(" {name}=\""))?;
        rest.split('"').next()
    }

    /// An attribute that is a number, and has to be there.
    pub(super) fn number(&self, name: &str) -> Result<f32, String> {
        match self.attribute(name) {
            Some(value) => self.parsed(name, value),
            None => Err(format!("`{}` has no {name}, expected a number", self.name)),
        }
    }

    /// An attribute that is a number, or another one in its place.
    pub(super) fn number_or(&self, name: &str, other: f32) -> Result<f32, String> {
        self.attribute(name).map_or(Ok(other), |value| self.parsed(name, value))
    }

    /// An attribute that is a colour; none if it is `none`, or not there.
    pub(super) fn colour(&self, name: &str) -> Result<Option<Colour>, String> {
        let Some(value) = self.attribute(name).filter(|value| *value != "none") else {
            return Ok(None);
        };
        let part = |i: usize| u8::from_str_radix(value.get(i..i + 2)?, 16).ok();
        let parts = [part(1), part(3), part(5)];
        match parts {
            [Some(red), Some(green), Some(blue)] if value.starts_with('#') => {
                Ok(Some([red, green, blue]))
            }
            _ => Err(self.wrong(name, value, "a colour such as #0072b2")),
        }
    }

    /// The points of a line or a polygon.
    pub(super) fn points(&self) -> Result<Vec<Point>, String> {
        let points = self.attribute("points").unwrap_or_default();
        let point = |pair: &str| {
            let (x, y) = pair.split_once(',')?;
            Some((x.parse().ok()?, y.parse().ok()?))
        };
        let wrong = || self.wrong("points", points, "pairs of numbers");
        points.split_whitespace().map(|pair| point(pair).ok_or_else(wrong)).collect()
    }

    /// The text of an element, without the line ends around it.
    pub(super) fn text(&self) -> String {
        let text = self.text.trim_matches('\n');
        let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
        text.replace("&apos;", "'").replace("&amp;", "&")
    }

    fn parsed(&self, name: &str, value: &str) -> Result<f32, String> {
        let number = value.parse().ok().filter(|number: &f32| number.is_finite());
        number.ok_or_else(|| self.wrong(name, value, "a number"))
    }

    fn wrong(&self, name: &str, value: &str, expected: &str) -> String {
        format!("`{}` has {name} `{value}`, expected {expected}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_as_they_are_written() {
        let svg = "<svg width=\"9\">\n<circle cx=\"-1\" x=\"2\" stroke=\"none\" stroke-width=\"2.5\" fill=\"#0072B2\"/>\n\
                   <text dy=\"0.5ex\">\n&amp;lt; &lt;b&gt;\n</text>\n<polyline points=\"1,2 3.5,-4 \"/>\n</svg>\n";
        let found: Vec<Element<'_>> = elements(svg).collect();
        let names: Vec<&str> = found.iter().map(|element| element.name).collect();
        assert_eq!(names, ["svg", "circle", "text", "polyline"]);
        let circle = &found[1];
        assert_eq!((circle.number("x"), circle.number("cx")), (Ok(2.0), Ok(-1.0)));
        assert_eq!(
            (circle.number_or("stroke-width", 1.0), circle.number_or("r", 7.0)),
            (Ok(2.5), Ok(7.0))
        );
        assert_eq!(circle.colour("fill"), Ok(Some([0, 0x72, 0xb2])));
        assert_eq!((circle.colour("stroke"), circle.colour("color")), (Ok(None), Ok(None)));
        assert_eq!(found[2].text(), "&lt; <b>");
        assert_eq!(found[3].points(), Ok(vec![(1.0, 2.0), (3.5, -4.0)]));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let svg = "<circle r=\"big\" fill=\"red\" points=\"1;2\"/>";
        let circle = elements(svg).next().unwrap();
        assert_eq!(circle.number("r"), Err("`circle` has r `big`, expected a number".to_owned()));
        assert_eq!(circle.number("cx"), Err("`circle` has no cx, expected a number".to_owned()));
        let wrong = "`circle` has fill `red`, expected a colour such as #0072b2";
        assert_eq!(circle.colour("fill"), Err(wrong.to_owned()));
        assert!(circle.points().is_err());
    }
}
