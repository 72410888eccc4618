//! Figures read back: marks lie where the ticks of their axes say that the values of the JSON are.

use serde_json::Value;

/// A figure as SVG.
pub(crate) struct Plot<'s>(pub(crate) &'s str);

/// Where an axis has its values: pixels by value, from two ticks.
struct Scale {
    first: (f64, f64),
    last: (f64, f64),
}

impl Scale {
    /// From (value, pixel) of every tick.
    fn new(ticks: &[(f64, f64)]) -> Self {
        let (first, last) = (ticks[0], ticks[ticks.len() - 1]);
        assert!(first.0 < last.0, "two ticks at least, and rising: {ticks:?}");
        Self { first, last }
    }

    /// Pixels are whole, of ticks as of marks, and a mark may lie beyond the ticks.
    fn is_at(&self, pixel: f64, value: f64) -> bool {
        let ((v0, p0), (v1, p1)) = (self.first, self.last);
        (p0 + (value - v0) * (p1 - p0) / (v1 - v0) - pixel).abs() <= 2.0
    }
}

/// An attribute of a tag.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split('"').next()
}

fn number(tag: &str, name: &str) -> f64 {
    attribute(tag, name).unwrap_or_else(|| panic!("no {name} in {tag}")).parse().unwrap()
}

fn points(tag: &str) -> Vec<(f64, f64)> {
    let point = |pair: &str| {
        let (x, y) = pair.split_once(',').unwrap();
        (x.parse().unwrap(), y.parse().unwrap())
    };
    attribute(tag, "points").unwrap().split_whitespace().map(point).collect()
}

impl<'s> Plot<'s> {
    /// The tags of a kind, each up to the next tag.
    fn tags(&self, kind: &'s str) -> impl Iterator<Item = &'s str> {
        let open = format!("<{kind} ");
        let svg = self.0;
        svg.match_indices(&open)
            .map(|(at, _)| &svg[at..])
            .map(|rest| &rest[..rest[1..].find('<').unwrap() + 1])
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The scale of an axis, by how its ticks are written.
    fn scale(&self, anchor: &str, dy: &str, place: &str) -> Scale {
        let tick = |tag: &str| {
            let is_one =
                attribute(tag, "text-anchor") == Some(anchor) && attribute(tag, "dy") == Some(dy);
            let value: f64 = tag.split_once('>')?.1.trim().parse().ok()?;
            is_one.then(|| (value, number(tag, place)))
        };
        let mut ticks: Vec<(f64, f64)> = self.tags("text").filter_map(tick).collect();
        ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
        Scale::new(&ticks)
    }

    fn x(&self) -> Scale {
        self.scale("middle", "0.76em", "x")
    }

    fn y(&self) -> Scale {
        self.scale("end", "0.5ex", "y")
    }

    fn discs(&self) -> Vec<(f64, f64)> {
        self.tags("circle").map(|tag| (number(tag, "cx"), number(tag, "cy"))).collect()
    }

    fn triangles(&self) -> Vec<(f64, f64)> {
        let middle = |tag| {
            let corners = points(tag);
            let mean = |of: fn(&(f64, f64)) -> f64| corners.iter().map(of).sum::<f64>() / 3.0;
            (mean(|p| p.0), mean(|p| p.1))
        };
        self.tags("polygon").map(middle).collect()
    }

    /// Lines of a width.
    fn lines(&self, width: &str) -> Vec<Vec<(f64, f64)>> {
        let wide =
            self.tags("polyline").filter(|tag| attribute(tag, "stroke-width") == Some(width));
        wide.map(points).collect()
    }

    /// Discs at these places, in this order.
    pub(crate) fn has_discs(&self, expected: &[(f64, f64)]) {
        self.has_marks(&self.discs(), expected);
    }

    fn has_marks(&self, found: &[(f64, f64)], expected: &[(f64, f64)]) {
        assert_eq!(found.len(), expected.len(), "{}", self.0);
        let (x, y) = (self.x(), self.y());
        for (pixel, value) in found.iter().zip(expected) {
            let there = x.is_at(pixel.0, value.0) && y.is_at(pixel.1, value.1);
            assert!(there, "{value:?} is not at {pixel:?} of\n{}", self.0);
        }
    }

    /// Rows of means with their intervals, from above.
    pub(crate) fn has_intervals(&self, expected: &[(f64, f64, f64)]) {
        let (x, discs, lines) = (self.x(), self.discs(), self.lines("2"));
        assert_eq!((discs.len(), lines.len()), (expected.len(), expected.len()), "{}", self.0);
        assert!(discs.is_sorted_by(|a, b| a.1 < b.1), "one below another");
        for ((disc, line), (mean, low, high)) in discs.iter().zip(&lines).zip(expected) {
            let there = x.is_at(disc.0, *mean) && x.is_at(line[0].0, *low);
            let there =
                there && x.is_at(line[1].0, *high) && line.iter().all(|end| end.1 == disc.1);
            assert!(there, "{:?} is not at {disc:?}, {line:?} of\n{}", (mean, low, high), self.0);
        }
    }

    /// The points of a sweep, their arms and the front.
    pub(crate) fn has_sweep(&self, points: &[Value]) {
        let pair = |point: &Value| {
            let value = |i: usize| point["values"][i].as_f64().unwrap();
            (value(0), value(1))
        };
        let is_fixed = |point: &&Value| point["weighting"] == "fixed";
        let fixed: Vec<_> = points.iter().filter(is_fixed).map(pair).collect();
        self.has_marks(&self.discs(), &fixed);
        let mut named: Vec<_> = points.iter().filter(|p| !is_fixed(p)).map(pair).collect();
        named.dedup();
        self.has_marks(&self.triangles(), &named);

        let mut front: Vec<_> = points.iter().filter(|p| p["on_front"] == true).map(pair).collect();
        front.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        if front.len() > 1 {
            self.has_marks(&self.lines("2")[0], &front);
        }
        let (x, y, lines) = (self.x(), self.y(), self.lines("1"));
        for (point, (a, b)) in points.iter().map(|point| (point, pair(point))) {
            let has = |from: (f64, f64), to: (f64, f64)| {
                let at = |pixel: &(f64, f64), v: (f64, f64)| {
                    x.is_at(pixel.0, v.0) && y.is_at(pixel.1, v.1)
                };
                lines.iter().any(|line| line.len() == 2 && at(&line[0], from) && at(&line[1], to))
            };
            if let Some(sd) = point["sd"][0].as_f64() {
                assert!(has((a - sd, b), (a + sd, b)), "an arm of {point}");
            }
            if let Some(sd) = point["sd"][1].as_f64() {
                assert!(has((a, b - sd), (a, b + sd)), "an arm of {point}");
            }
        }
    }
}
