//! Some columns of a first factor, side by side, and the words of a second that they meet.

use std::ops::Range;

use super::Format;
use crate::Mat;

/// Columns and spans of words, kept from product to product.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans {
    spans: Vec<Range<usize>>,
    values: Vec<f32>,
}

impl Spans {
    /// The columns of x, which are in order, side by side, and the spans of words that they meet. A span
    /// has whole steps of the format; what else would lie in them is 0.
    pub(super) fn of<'s>(
        &'s mut self,
        format: Format,
        x: Mat<'_, f32>,
        columns: &[Range<usize>],
    ) -> (Mat<'s, f32>, &'s [Range<usize>]) {
        self.spans.clear();
        let columns = columns.iter().filter(|range| !range.is_empty());
        for range in columns.clone() {
            let (start, _) = format.step_of(range.start);
            let end = format.words(range.end);
            match self.spans.last_mut() {
                Some(last) if start <= last.end => last.end = end,
                _ => self.spans.push(start..end),
            }
        }
        let n = format.depth() * self.spans.iter().map(Range::len).sum::<usize>();
        self.values.clear();
        self.values.resize(x.rows() * n, 0.0);
        for r in 0..x.rows() {
            let (row, mut to) = (x.row(r), &mut self.values[r * n..(r + 1) * n]);
            let mut columns = columns.clone().peekable();
            for span in &self.spans {
                let (first, end) = (format.depth() * span.start, format.depth() * span.end);
                let (values, rest) = to.split_at_mut(end - first);
                while let Some(range) = columns.next_if(|range| range.end <= end) {
                    values[range.start - first..range.end - first]
                        .copy_from_slice(&row[range.clone()]);
                }
                to = rest;
            }
        }
        (Mat::new(&self.values, x.rows(), n, n), &self.spans)
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "a list of one range of columns")]
mod tests {
    use super::*;

    fn check(format: Format, columns: &[Range<usize>], expected: &[Range<usize>]) {
        let x: Vec<f32> = (1..=2 * 71).map(|i| i as f32).collect();
        let x = Mat::new(&x, 2, 71, 71);
        let mut spans = Spans::default();
        spans.of(format, x, &[0..9]);
        let (found, words) = spans.of(format, x, columns);
        assert_eq!(words, expected, "{format:?}");
        let values = words.iter().flat_map(|s| format.depth() * s.start..format.depth() * s.end);
        for (i, c) in values.enumerate() {
            let is_asked_for = columns.iter().any(|range| range.contains(&c));
            let expected = if is_asked_for { x.row(1)[c] } else { 0.0 };
            assert_eq!(found.row(1)[i], expected, "{format:?}, column {c}");
        }
    }

    #[test]
    fn spans_have_whole_steps_and_zeros_where_nothing_is_asked_for() {
        let columns = [1..2, 3..8, 40..71];
        check(Format::Plain, &columns, &columns);
        check(Format::Pairs, &columns, &[0..4, 20..36]);
        check(Format::Pairs, &[0..71], &[0..36]);
        check(Format::Tiles, &[33..34], &[16..32]);
        check(Format::Tiles, &columns, &[0..48]);
        check(Format::Pairs, &[2..2, 5..6], &[2..3]);
    }
}
