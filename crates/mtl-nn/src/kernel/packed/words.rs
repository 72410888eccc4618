//! Values into words, in the order in which kernels read them.

use super::{HALF, PANEL, panel_width};
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
}

impl Format {
    /// Values of a word.
    pub(super) const fn depth(self) -> usize {
        match self {
            Self::Plain | Self::Rounded => 1,
            Self::Pairs => 2,
        }
    }

    /// Words of `n` values.
    pub(super) const fn words(self, n: usize) -> usize {
        n.div_ceil(self.depth())
    }

    /// Packs the rows of A for a product along its columns: rows × words, one row after another.
    /// `lead` zeros come before each row, so that a row may start in the middle of a word.
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
            Self::Pairs => {
                let (values, out) = match values {
                    [first, rest @ ..] if lead == 1 => {
                        out[0] = pair(0.0, *first);
                        (rest, &mut out[1..])
                    }
                    _ => (values, out),
                };
                let (pairs, last) = values.as_chunks::<2>();
                out.iter_mut().zip(pairs).for_each(|(to, &[low, high])| *to = pair(low, high));
                if let [value] = last {
                    out[pairs.len()] = pair(*value, 0.0);
                }
            }
        }
    }

    /// Packs B in panels; its inner dimension runs down the rows. Columns that are missing in the
    /// last panel keep what they held: they are never stored.
    #[inline(always)]
    pub(super) fn panels(self, b: Mat<'_, f32>, out: &mut [u32]) {
        let size = PANEL * self.words(b.rows());
        for (p, out) in out.chunks_mut(size.max(1)).enumerate() {
            self.panel(b, p, out);
        }
    }

    /// Panel `p` of B.
    #[inline(always)]
    pub(super) fn panel(self, b: Mat<'_, f32>, p: usize, out: &mut [u32]) {
        let width = panel_width(p * PANEL, b.cols());
        let b = b.columns(p * PANEL, (b.cols() - p * PANEL).min(width));
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
                Self::Pairs => {
                    let (low, high) =
                        (line(2 * i), (2 * i + 1 < x.rows()).then(|| line(2 * i + 1)));
                    let high = high.unwrap_or(&[0.0; N]);
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
                Self::Pairs if 2 * i + 1 < x.rows() => {
                    let both = x.row(2 * i).iter().zip(x.row(2 * i + 1));
                    to.iter_mut().zip(both).for_each(|(to, (&low, &high))| *to = pair(low, high));
                }
                Self::Pairs => {
                    let last = x.row(2 * i);
                    to.iter_mut().zip(last).for_each(|(to, &low)| *to = pair(low, 0.0));
                }
            }
        }
    }

    /// Packs panel `p` of Bᵀ, whose inner dimension runs along the rows of `b`: 32 rows of it.
    #[inline(always)]
    pub(super) fn transposed_panel(self, b: Mat<'_, f32>, p: usize, out: &mut [u32]) {
        let (start, width) = (p * PANEL, panel_width(p * PANEL, b.rows()));
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
