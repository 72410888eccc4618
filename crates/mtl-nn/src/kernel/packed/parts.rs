//! Products of some columns of an input and some of an output: what a product over classes is made of.

use std::ops::Range;

use super::room::Room;
use super::tile::{Left, Right, Words, multiply};
use super::{Format, HALF, Products, panel_width};
use crate::kernel::distinct::Factor;
use crate::kernel::{Transpose, product, vectorise};
use crate::{Mat, MatMut, Scalar};

/// Columns of the input, and the first of the output's, counted from the factor's.
type Place = (Range<usize>, usize);

impl Products<'_> {
    /// Whether kernels of ours multiply `f32`s as they are.
    pub(in crate::kernel) fn are_ours(&self) -> bool {
        matches!(&self.ours, Some(ours) if ours.engine.0 == Format::Plain)
    }

    /// y = x·W, or y += with `add_to`, for the rows of W that `columns` are and as many columns from
    /// `first` on as y has.
    pub(in crate::kernel) fn forward_part<S: Scalar>(
        &mut self,
        mut y: MatMut<'_, S>,
        add_to: bool,
        x: Mat<'_, S>,
        by: Factor<'_, S>,
        (columns, first): Place,
    ) {
        let n = y.cols();
        let w = by.w.part(columns.start, columns.len()).columns(first, n);
        if let Some(ours) = &mut self.ours
            && ours.engine.0 == Format::Plain
            && let Some((y, x)) = S::f32_mat_mut(y.reborrow()).zip(S::f32_mat(x))
            && let Some(w) = S::f32_mat(w)
        {
            let tile = ours.engine.1;
            // Panels of a bank follow one another; these columns start with one.
            let b = match ours.banks.get(by.bank).and_then(Option::as_ref) {
                Some(bank) if (by.start + first).is_multiple_of(tile.panel()) => Right::Panels {
                    words: &bank.forward.words()[(by.start + first) * bank.n_in..],
                    cols: n,
                    total: bank.n_in,
                    first: columns.start,
                    inner: columns.len(),
                },
                _ => super::products::right((Format::Plain, tile), w, &mut ours.scratch.right),
            };
            multiply(tile, y, add_to, rows_of(x), b);
        } else {
            product(y, add_to, x, w, Transpose::Neither);
        }
    }

    /// dW = xᵀ·dz, or dW += with `add_to`.
    pub(in crate::kernel) fn weights_part<S: Scalar>(
        &mut self,
        mut dw: MatMut<'_, S>,
        add_to: bool,
        x: Mat<'_, S>,
        dz: Mat<'_, S>,
    ) {
        if let Some(ours) = &mut self.ours
            && ours.engine.0 == Format::Plain
            && let Some(dw) = S::f32_mat_mut(dw.reborrow())
            && let Some((x, dz)) = S::f32_mat(x).zip(S::f32_mat(dz))
        {
            let tile = ours.engine.1;
            let words = Words::Values(x.data());
            let a = Left { words, rows: x.cols(), inner: x.rows(), row: 1, step: x.stride() };
            // A block of columns is read three times or so: packing it would cost more.
            let b = match dz.cols().is_multiple_of(HALF) {
                true => Right::Values(dz),
                false => super::products::right((Format::Plain, tile), dz, &mut ours.scratch.right),
            };
            multiply(tile, dw, add_to, a, b);
        } else {
            product(dw, add_to, x, dz, Transpose::First);
        }
    }

    /// dx = dz·Wᵀ, or dx += with `add_to`, for the rows of W that `columns` are and as many columns from
    /// `first` on as dz has.
    pub(in crate::kernel) fn input_part<S: Scalar>(
        &mut self,
        mut dx: MatMut<'_, S>,
        add_to: bool,
        dz: Mat<'_, S>,
        by: Factor<'_, S>,
        (columns, first): Place,
    ) {
        let w = by.w.part(columns.start, columns.len()).columns(first, dz.cols());
        if let Some(ours) = &mut self.ours
            && ours.engine.0 == Format::Plain
            && let Some((mut dx, dz)) = S::f32_mat_mut(dx.reborrow()).zip(S::f32_mat(dz))
            && let Some(w) = S::f32_mat(w)
        {
            let tile = ours.engine.1;
            let bank = ours.banks.get(by.bank).and_then(Option::as_ref);
            for at in (0..columns.len()).step_by(HALF) {
                let n = HALF.min(columns.len() - at);
                let strip = bank.and_then(|bank| {
                    let (total, words) = (bank.n_out, bank.transposed.words());
                    let lines = by.start + first..by.start + first + dz.cols();
                    strip((tile.panel(), words), (bank.n_in, total), columns.start + at, lines)
                });
                let (words, step) = strip
                    .unwrap_or_else(|| (transposed(w.part(at, n), &mut ours.scratch.right), HALF));
                let b = Right::Strip { words, step, inner: dz.cols(), cols: n };
                multiply(tile, dx.columns(at, n), add_to, rows_of(dz), b);
            }
        } else {
            product(dx, add_to, dz, w, Transpose::Second);
        }
    }
}

/// Values row by row, where they lie.
const fn rows_of(a: Mat<'_, f32>) -> Left<'_> {
    let words = Words::Values(a.data());
    Left { words, rows: a.rows(), inner: a.cols(), row: a.stride(), step: 1 }
}

/// Half a panel's columns from `column` on, of some lines of a packed bank of `n` columns, and the words
/// from line to line; `None` where a panel ends within them.
fn strip(
    (panel, words): (usize, &[u32]),
    (n, total): (usize, usize),
    column: usize,
    lines: Range<usize>,
) -> Option<(&[u32], usize)> {
    let start = column / panel * panel;
    let width = panel_width(panel, start, n);
    if column - start + HALF > width || words.is_empty() {
        return None;
    }
    let first = start * total + lines.start * width + column - start;
    Some((&words[first..(start + width) * total], width))
}

/// Wᵀ, in lines of half a panel.
fn transposed<'s>(w: Mat<'_, f32>, scratch: &'s mut Room) -> &'s [u32] {
    let words = scratch.at_least(HALF * w.cols());
    vectorise(
        #[inline(always)]
        || {
            for (j, line) in words.as_chunks_mut::<HALF>().0.iter_mut().enumerate() {
                for (r, to) in line.iter_mut().enumerate().take(w.rows()) {
                    *to = w.row(r)[j].to_bits();
                }
            }
        },
    );
    words
}
