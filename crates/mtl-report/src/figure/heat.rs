//! Numbers as shades: how gates use experts, how gradients of losses agree.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::Figure;
use super::canvas::{Area, TITLE, WIDTH, drawn, said, shortened, write};
use crate::Result;
use crate::theme::Role;

/// A heat map whose cells say their number too.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// What is shown.
    pub title: String,
    /// Names of the rows, from above.
    pub rows: Vec<String>,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Values in [−1, 1], row by row; `None` is empty. Negative ones have another colour.
    pub values: Vec<Vec<Option<f64>>>,
}

const ROW: i32 = 24;
/// A line of a heading.
const LINE: i32 = 13;

impl HeatMap {
    /// Draws it.
    ///
    /// # Errors
    /// [`crate::Error::Draw`] if the plotting crate fails.
    pub fn draw(&self) -> Result<Figure> {
        let height = TITLE as i32 + self.head() + ROW * self.rows.len() as i32 + 12;
        let svg = drawn(&self.title, (WIDTH, height as u32), |area| self.cells(area))?;
        let (rows, columns) = (self.rows.join(", "), self.columns.join(", "));
        let description = format!("{}: {rows} (rows) by {columns} (columns)", self.title);
        Ok(Figure::new(&self.title, description, svg))
    }

    /// Where the columns begin, and how wide each is.
    fn columns(&self) -> (i32, i32) {
        let longest = self.rows.iter().map(|name| name.chars().count()).max().unwrap_or(0) as i32;
        let left = (longest * 7 + 20).clamp(50, WIDTH as i32 / 2);
        (left, ((WIDTH as i32 - left - 12) / self.columns.len().max(1) as i32).clamp(8, 96))
    }

    /// The lines of a column's name.
    fn heading(&self, name: &str) -> Vec<String> {
        broken(name, self.columns().1 / 7)
    }

    /// The height of the headings.
    fn head(&self) -> i32 {
        let lines = self.columns.iter().map(|name| self.heading(name).len()).max().unwrap_or(1);
        11 + LINE * lines as i32
    }

    fn cells(&self, area: &Area<'_>) -> Result<(), String> {
        let ((left, width), head) = (self.columns(), self.head());
        for (j, name) in self.columns.iter().enumerate() {
            let x = left + j as i32 * width + width / 2;
            let lines = self.heading(name);
            for (i, line) in lines.iter().enumerate() {
                let y = head - 12 - LINE * (lines.len() - 1 - i) as i32;
                write(area, line, (x, y), 11.0, Role::Muted, (HPos::Center, VPos::Center))?;
            }
        }
        for (i, (name, values)) in self.rows.iter().zip(&self.values).enumerate() {
            let y = head + i as i32 * ROW;
            let name = shortened(name, (left - 18) / 6);
            let at = (left - 8, y + ROW / 2);
            write(area, &name, at, 11.0, Role::Muted, (HPos::Right, VPos::Center))?;
            for (j, value) in values.iter().enumerate() {
                let x = left + j as i32 * width;
                self.cell(area, (x, y, width), *value)?;
            }
        }
        Ok(())
    }

    fn cell(
        &self,
        area: &Area<'_>,
        (x, y, width): (i32, i32, i32),
        value: Option<f64>,
    ) -> Result<(), String> {
        let corners = [(x + 1, y + 1), (x + width - 1, y + ROW - 1)];
        let Some(value) = value else {
            let empty = Rectangle::new(corners, Role::Grid.colour().mix(0.5).filled());
            return area.draw(&empty).map_err(said);
        };
        // Text over the darkest shade must be legible still.
        let shade = 0.03 + 0.57 * value.abs().min(1.0);
        let role = Role::Series(if value < 0.0 { 1 } else { 0 });
        area.draw(&Rectangle::new(corners, role.colour().mix(shade).filled())).map_err(said)?;
        if width < 30 {
            return Ok(());
        }
        let at = (x + width / 2, y + ROW / 2);
        write(area, &format!("{value:.2}"), at, 11.0, Role::Ink, (HPos::Center, VPos::Center))
    }
}

/// A name in two lines, where it is too long for one and has a place to break at.
fn broken(name: &str, n: i32) -> Vec<String> {
    let fits = |part: &str| part.chars().count() <= n.max(2) as usize;
    if !fits(name) {
        let places = name.match_indices(['_', '.', '-']).map(|(at, _)| name.split_at(at + 1));
        let halves = places.filter(|(a, b)| fits(a) && fits(b));
        if let Some((a, b)) = halves.min_by_key(|(a, b)| a.len().abs_diff(b.len())) {
            return vec![a.to_owned(), b.to_owned()];
        }
    }
    vec![shortened(name, n)]
}

#[cfg(test)]
mod tests {
    use super::broken;

    #[test]
    fn a_long_heading_is_broken_where_a_word_ends() {
        assert_eq!(broken("never_married", 9), ["never_", "married"]);
        assert_eq!(broken("never_married", 13), ["never_married"]);
        assert_eq!(broken("conversions", 9), ["…versions"]);
    }
}
