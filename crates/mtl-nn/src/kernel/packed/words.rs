//! Values into words, in the order in which kernels read them.

use super::{HALF, PANEL, TILE, panel_width};
use crate::Mat;

/// What a word holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel) enum Format {
    /// An `f32`.
    Plain,
    /// An `f32` rounded to bf16.
    Rounded,
    /// Two values that follow one another along the inner dimension, in bf16, the first in the
    /// lower half; what is missing at the end is 0.
    Pairs,
    /// Pairs, and zeros up to whole tiles of AMX: see [`TILE`].
    Tiles,
}

impl Format {
    /// Values of a word.
    pub(super) const fn depth(self) -> usize {
        match self {
            Self::Plain | Self::Rounded => 1,
            Self::Pairs | Self::Tiles => 2,
        }
    }

    /// Words that a kernel multiplies at a time: a product starts and ends with all of them.
    const fn step(self) -> usize {
        match self {
            Self::Plain | Self::Rounded | Self::Pairs => 1,
            Self::Tiles => TILE,
        }
    }

    /// Words of `n` values, to the end of the last step.
    pub(super) const fn words(self, n: usize) -> usize {
        n.div_ceil(self.depth()).next_multiple_of(self.step())
    }

    /// The word at which the step of value `i` starts, and the values from there to it.
    pub(super) const fn step_of(self, i: usize) -> (usize, usize) {
        let values = self.depth() * self.step();
        (i / values * self.step(), i % values)
    }

    /// Packs the rows of A for a product along its columns: rows × words, one row after another.
    /// `lead` zeros come before each row, so that a row may start in the middle of a step.
    #[inline(always)]
    pub(super) fn rows(self, a: Mat<'_, f32>, lead: usize, out: &mut [u32]) {
        let n = self.words(lead + a.cols());
        for (r, out) in out.chunks_exact_mut(n.max(1)).take(a.rows()).enumerate() {
            self.line(a.row(r), lead, out);
        }
    }

    #[inline(always)]
    fn line(self, values: &[f32], lead: usize, out: &mut [u32]) {
        match self {
            Self::Plain => out.iter_mut().zip(values).for_each(|(to, v)| *to = v.to_bits()),
            Self::Rounded => out.iter_mut().zip(values).for_each(|(to, &v)| *to = rounded(v)),
            Self::Pairs | Self::Tiles => {
                let (zeros, out) = out.split_at_mut(lead / 2);
                zeros.fill(0);
                let (values, out) = match values {
                    [first, rest @ ..] if lead % 2 == 1 => {
                        out[0] = pair(0.0, *first);
                        (rest, &mut out[1..])
                    }
                    _ => (values, out),
                };
                let (pairs, last) = values.as_chunks::<2>();
                out.iter_mut().zip(pairs).for_each(|(to, &[low, high])| *to = pair(low, high));
                let out = &mut out[pairs.len()..];
                match last {
                    [value] => {
                        out[0] = pair(*value, 0.0);
                        out[1..].fill(0);
                    }
                    _ => out.fill(0),
                }
            }
        }
    }

    /// Packs B in panels; its inner dimension runs down the rows. Columns that are missing in the
    /// last panel keep what they held: they are never stored.
    #[inline(always)]
    pub(super) fn panels(self, panel: usize, b: Mat<'_, f32>, out: &mut [u32]) {
        let size = panel * self.words(b.rows());
        for (p, out) in out.chunks_mut(size.max(1)).enumerate() {
            self.panel((panel, p), b, out);
        }
    }

    /// Panel `p` of B, of at most `panel` columns.
    #[inline(always)]
    pub(super) fn panel(self, (panel, p): (usize, usize), b: Mat<'_, f32>, out: &mut [u32]) {
        let width = panel_width(panel, p * panel, b.cols());
        let b = b.columns(p * panel, (b.cols() - p * panel).min(width));
        match b.cols() {
            PANEL => self.across::<PANEL>(b, out),
            HALF => self.across::<HALF>(b, out),
            _ => self.down(b, width, out),
        }
    }

    /// As [`Format::down`] for a number of columns known to the compiler.
    #[inline(always)]
    fn across<const N: usize>(self, x: Mat<'_, f32>, out: &mut [u32]) {
        let line = |r: usize| -> &[f32; N] { x.row(r).first_chunk().expect("N columns") };
        for (i, to) in out.as_chunks_mut::<N>().0.iter_mut().enumerate() {
            match self {
                Self::Plain => *to = line(i).map(f32::to_bits),
                Self::Rounded => *to = line(i).map(rounded),
                Self::Pairs | Self::Tiles => {
                    let line = |r: usize| if r < x.rows() { line(r) } else { &[0.0; N] };
                    let (low, high) = (line(2 * i), line(2 * i + 1));
                    for c in 0..N {
                        to[c] = pair(low[c], high[c]);
                    }
                }
            }
        }
    }

    /// Words × columns: the inner dimension runs down the rows. `stride` words from line to line.
    #[inline(always)]
    pub(super) fn down(self, x: Mat<'_, f32>, stride: usize, out: &mut [u32]) {
        let lines = out.chunks_exact_mut(stride.max(1));
        for (i, to) in lines.take(self.words(x.rows())).enumerate() {
            match self {
                Self::Plain => to.iter_mut().zip(x.row(i)).for_each(|(to, v)| *to = v.to_bits()),
                Self::Rounded => to.iter_mut().zip(x.row(i)).for_each(|(to, &v)| *to = rounded(v)),
                Self::Pairs | Self::Tiles if 2 * i + 1 < x.rows() => {
                    let both = x.row(2 * i).iter().zip(x.row(2 * i + 1));
                    to.iter_mut().zip(both).for_each(|(to, (&low, &high))| *to = pair(low, high));
                }
                Self::Pairs | Self::Tiles if 2 * i < x.rows() => {
                    let last = x.row(2 * i);
                    to.iter_mut().zip(last).for_each(|(to, &low)| *to = pair(low, 0.0));
                }
                Self::Pairs | Self::Tiles => to.fill(0),
            }
        }
    }

    /// Packs the rows of Aᵀ for a product along its columns, as [`Format::rows`] does those of A: the
    /// inner dimension runs down the rows of `a`. `out` has rows up to a multiple of [`BLOCK`], and
    /// the format pads its words to one.
    #[inline(always)]
    pub(super) fn columns(self, a: Mat<'_, f32>, out: &mut [u32]) {
        let inner = self.words(a.rows());
        for (p, out) in out.chunks_exact_mut((BLOCK * inner).max(1)).enumerate() {
            let a = a.columns(p * BLOCK, (a.cols() - p * BLOCK).min(BLOCK));
            for start in (0..inner).step_by(BLOCK) {
                let (first, n) = (self.depth() * start, self.depth() * BLOCK);
                let a = a.part(first, (a.rows() - first).min(n));
                let mut square = [[0; BLOCK]; BLOCK];
                match a.cols() {
                    BLOCK => self.across::<BLOCK>(a, square.as_flattened_mut()),
                    _ => self.down(a, BLOCK, square.as_flattened_mut()),
                }
                for (line, words) in out.chunks_exact_mut(inner).zip(transposed(square)) {
                    line[start..start + BLOCK].copy_from_slice(&words);
                }
            }
        }
    }

    /// Packs panel `p` of Bᵀ, whose inner dimension runs along the rows of `b`: `panel` rows of it.
    #[inline(always)]
    pub(super) fn transposed_panel(
        self,
        (panel, p): (usize, usize),
        b: Mat<'_, f32>,
        out: &mut [u32],
    ) {
        let (start, width) = (p * panel, panel_width(panel, p * panel, b.rows()));
        let rows = b.rows().min(start + width) - start;
        let step = BLOCK * self.depth();
        for (i, out) in out.chunks_mut(BLOCK * width).enumerate() {
            let first = i * step;
            let b = b.columns(first, (b.cols() - first).min(step));
            let n = self.words(b.cols());
            for half in (0..rows).step_by(BLOCK) {
                let mut words = [[0; BLOCK]; BLOCK];
                for (r, words) in (half..rows.min(half + BLOCK)).zip(&mut words) {
                    self.line(b.row(start + r), 0, words);
                }
                let lines = out.chunks_exact_mut(width).take(n);
                for (line, words) in lines.zip(transposed(words)) {
                    line[half..half + BLOCK].copy_from_slice(&words);
                }
            }
        }
    }
}

/// Rows and columns of a square that is transposed in registers.
const BLOCK: usize = 16;

// A tile's rows are whole squares.
const _: () = assert!(BLOCK == TILE);

/// Transposes a square by four perfect shuffles of its rows, each of which is one instruction for
/// 16 words. (Word by word it took 1.4 times as long.)
#[inline(always)]
fn transposed(mut square: [[u32; BLOCK]; BLOCK]) -> [[u32; BLOCK]; BLOCK] {
    const HALF: usize = BLOCK / 2;
    for _ in 0..BLOCK.ilog2() {
        let mut next = [[0; BLOCK]; BLOCK];
        for i in 0..HALF {
            let (a, b) = (square[i], square[i + HALF]);
            for k in 0..HALF {
                (next[2 * i][2 * k], next[2 * i][2 * k + 1]) = (a[k], b[k]);
                (next[2 * i + 1][2 * k], next[2 * i + 1][2 * k + 1]) = (a[HALF + k], b[HALF + k]);
            }
        }
        square = next;
    }
    square
}

/// An `f32` to the nearest bf16, ties to even, as the `f32` of that value: the lower half is 0.
/// NaN stays NaN.
#[inline(always)]
const fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    // Half of the last place that is kept; a carry goes into the exponent, at most to infinity.
    let nearest = bits.wrapping_add(0x7FFF + ((bits >> 16) & 1));
    (if x.is_nan() { bits | 0x0040_0000 } else { nearest }) & 0xFFFF_0000
}

#[inline(always)]
const fn pair(low: f32, high: f32) -> u32 {
    rounded(low) >> 16 | rounded(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_to_the_nearest_and_ties_to_even() {
        let cases = [
            (1.0, 1.0),
            (1.0 + 1.0 / 256.0, 1.0),               // half way: down to even
            (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0), // half way: up to even
            (-1.003_906_4, -1.007_812_5),           // a little more than half way
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
            (-0.0, -0.0),
        ];
        for (x, expected) in cases {
            assert_eq!(rounded(x), f32::to_bits(expected), "{x}");
        }
        for bits in [0x7FFF_FFFF, 0xFFFF_FFFF, 0x7F80_0001] {
            assert!(f32::from_bits(rounded(f32::from_bits(bits))).is_nan(), "{bits:x}");
        }
    }

    #[test]
    fn tiles_are_pairs_and_zeros() {
        let bits: Vec<f32> = (0..35 * 19).map(|i| i as f32).collect();
        let x = Mat::new(&bits, 35, 19, 19);
        let inner = Format::Tiles.words(35);
        assert_eq!((inner, Format::Tiles.step_of(70)), (32, (32, 6)));
        let mut columns = vec![7; 32 * inner];
        Format::Tiles.columns(x, &mut columns);
        let mut lines = vec![7; 19 * inner];
        Format::Tiles.down(x, 19, &mut lines);
        for c in 0..19 {
            for i in 0..inner {
                let value = |r: usize| if r < 35 { x.row(r)[c] } else { 0.0 };
                let word = pair(value(2 * i), value(2 * i + 1));
                assert_eq!(columns[c * inner + i], word, "row {c}, word {i}");
                assert_eq!(lines[i * 19 + c], word, "line {i}, column {c}");
            }
        }
        let mut row = vec![7; Format::Tiles.words(5 + 19)];
        Format::Tiles.rows(Mat::new(&bits, 1, 19, 19), 5, &mut row);
        let mut expected = [0; 16];
        expected[2] = pair(0.0, 0.0);
        for (i, word) in expected[3..12].iter_mut().enumerate() {
            *word = pair((2 * i + 1) as f32, (2 * i + 2) as f32);
        }
        assert_eq!(row, expected);
    }

    #[test]
    fn a_row_may_start_in_the_middle_of_a_word() {
        let values = [1.0, 2.0, 3.0, 4.0];
        let bf16 = |x: f32| x.to_bits() >> 16;
        let word = |low, high| bf16(low) | bf16(high) << 16;
        let mut out = [7; 3];
        Format::Pairs.rows(Mat::new(&values, 1, 4, 4), 1, &mut out);
        assert_eq!(out, [word(0.0, 1.0), word(2.0, 3.0), word(4.0, 0.0)]);
        let mut out = [7; 4];
        Format::Pairs.rows(Mat::new(&values, 2, 2, 2), 1, &mut out);
        assert_eq!(out, [word(0.0, 1.0), word(2.0, 0.0), word(0.0, 3.0), word(4.0, 0.0)]);
    }
}
