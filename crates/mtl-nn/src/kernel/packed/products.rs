//! The three products of a dense layer over packed factors.

use std::ops::Range;

use rayon::prelude::*;

use super::room::Room;
use super::spans::Spans;
use super::tile::{Left, Right, Start, Words, multiply, multiply_from};
use super::{Format, HALF, TILE, Tile, panel_words};
use crate::kernel::{Kernels, Transpose, product, vectorise};
use crate::{Mat, MatMut, Scalar};

/// A bank of weights W, n_in × n_out, packed for y = x·W and, in training, for dx = dz·Wᵀ.
#[derive(Clone, Debug)]
pub(crate) struct Bank {
    engine: (Format, Tile),
    pub(super) n_in: usize,
    pub(super) n_out: usize,
    pub(super) forward: Room,
    pub(super) transposed: Room,
}

impl Bank {
    /// Room for a bank; `None` where its products take the weights as they are.
    pub(crate) fn new<S: Scalar>(kernels: Kernels, n_in: usize, n_out: usize) -> Option<Self> {
        let mut bank = Self::forward::<S>(kernels, n_in, n_out)?;
        let words = panel_words(n_in, bank.engine.0.words(n_out));
        bank.transposed = Room::new(words);
        Some(bank)
    }

    /// As [`Bank::new`], for y = x·W alone.
    pub(crate) fn forward<S: Scalar>(kernels: Kernels, n_in: usize, n_out: usize) -> Option<Self> {
        let engine = kernels.engine().filter(|_| has_kernel::<S>(n_in, n_out))?;
        let forward = Room::new(panel_words(n_out, engine.0.words(n_in)));
        Some(Self { engine, n_in, n_out, forward, transposed: Room::default() })
    }

    /// Packs the weights, in parallel over panels.
    pub(crate) fn pack<S: Scalar>(&mut self, w: Mat<'_, S>) {
        let Some(w) = S::f32_mat(w) else { return };
        let ((format, tile), n_in, n_out) = (self.engine, self.n_in, self.n_out);
        let panel = tile.panel();
        let panels = |inner: usize| (panel * format.words(inner)).max(1);
        let forward = self.forward.words_mut().par_chunks_mut(panels(n_in)).enumerate();
        let transposed = self.transposed.words_mut().par_chunks_mut(panels(n_out)).enumerate();
        rayon::join(
            || {
                forward.for_each(|(p, out)| {
                    vectorise(
                        #[inline(always)]
                        || format.panel((panel, p), w, out),
                    )
                })
            },
            || {
                transposed.for_each(|(p, out)| {
                    vectorise(
                        #[inline(always)]
                        || format.transposed_panel((panel, p), w, out),
                    );
                });
            },
        );
    }

    /// W as a second factor.
    fn right(&self) -> Right<'_> {
        let inner = self.engine.0.words(self.n_in);
        let (words, cols) = (self.forward.words(), self.n_out);
        Right::Panels { words, cols, total: inner, first: 0, inner }
    }
}

/// Columns and rows have loops of their own: see [`product`].
fn has_kernel<S: Scalar>(n_in: usize, n_out: usize) -> bool {
    S::IS_F32 && n_in > 1 && n_out > 1
}

/// What a product packs of activations and gradients; kept from product to product.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    left: Room,
    pub(super) right: Room,
    spans: Spans,
}

/// The products of one op, by the kernels of the step or the prediction: see [`crate::Op::banks`].
///
/// In `f64` and where the processor has no kernel of ours they are [`product`]s of the weights as
/// they are.
#[derive(Debug)]
pub struct Products<'a> {
    pub(super) ours: Option<Ours<'a>>,
}

/// Kernels of ours.
#[derive(Debug)]
pub(super) struct Ours<'a> {
    pub(super) engine: (Format, Tile),
    /// None of a prediction whose weights are not packed.
    pub(super) banks: &'a [Option<Bank>],
    pub(super) scratch: &'a mut Scratch,
}

impl<'a> Products<'a> {
    /// Those of the weights as they are.
    pub const fn plain() -> Self {
        Self { ours: None }
    }

    pub(crate) fn new(
        kernels: Kernels,
        banks: &'a [Option<Bank>],
        scratch: &'a mut Scratch,
    ) -> Self {
        match kernels.engine() {
            Some(engine) => Self { ours: Some(Ours { engine, banks, scratch }) },
            None => Self::plain(),
        }
    }

    fn packed(&mut self, bank: usize) -> Option<(&Bank, &mut Scratch)> {
        let ours = self.ours.as_mut()?;
        Some((ours.banks.get(bank)?.as_ref()?, ours.scratch))
    }

    /// y = x·W, where W is the op's bank `bank`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn forward<S: Scalar>(
        &mut self,
        bank: usize,
        mut y: MatMut<'_, S>,
        x: Mat<'_, S>,
        w: Mat<'_, S>,
    ) {
        // One row of weights as they lie is a loop of its own, which adds in the same order. AVX2 has
        // too few sums of one row and one panel on the way to be as fast.
        let is_loop = |Ours { engine: (format, tile), banks, .. }: &Ours<'_>| {
            let is_packed = banks.get(bank).is_some_and(Option::is_some);
            x.rows() == 1 && *format == Format::Plain && (!is_packed || *tile == Tile::Avx2)
        };
        if let Some(ours) = &mut self.ours
            && has_kernel::<S>(w.rows(), w.cols())
            && !is_loop(ours)
            && let Some((y, x)) = S::f32_mat_mut(y.reborrow()).zip(S::f32_mat(x))
            && let Some(w) = S::f32_mat(w)
        {
            let Ours { engine: (format, tile), banks, scratch } = ours;
            let b = match banks.get(bank).and_then(Option::as_ref) {
                Some(bank) => bank.right(),
                None => right((*format, *tile), w, &mut scratch.right),
            };
            multiply(*tile, y, false, left(*format, x, 0, &mut scratch.left), b);
        } else {
            product(y, false, x, w, Transpose::Neither);
        }
    }

    /// y = x·W over some columns of x, in order, and the rows of W that they meet, if W, the op's bank
    /// `bank`, is packed; `head` is added to every row. Returns false, with nothing done, otherwise.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub(crate) fn forward_columns<S: Scalar>(
        &mut self,
        bank: usize,
        mut y: MatMut<'_, S>,
        head: Option<&[S]>,
        x: Mat<'_, S>,
        columns: &[Range<usize>],
    ) -> bool {
        if let Some((bank, scratch)) = self.packed(bank)
            && let Some((y, x)) = S::f32_mat_mut(y.reborrow()).zip(S::f32_mat(x))
        {
            assert_eq!(x.cols(), bank.n_in, "columns of a bank's input");
            let head = head.and_then(|head| S::f32_mat(Mat::new(head, 1, head.len(), head.len())));
            let start = head.map_or(Start::Zero, |head| Start::Row(head.row(0)));
            let (format, tile) = bank.engine;
            let Scratch { left: words, right: lines, spans } = scratch;
            let (x, spans) = spans.of(format, x, columns);
            let a = left(format, x, 0, words);
            let (words, cols, total) = (bank.forward.words(), bank.n_out, format.words(bank.n_in));
            multiply_from(tile, y, start, a, Right::Lines { words, cols, total, spans }, lines);
            return true;
        }
        false
    }

    /// dx = dz·Wᵀ, or dx += with `add_to`, for the columns of the bank `bank` from `start` on, as
    /// many as `dz` has; `w` are those columns.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn input<S: Scalar>(
        &mut self,
        (bank, start): (usize, usize),
        mut dx: MatMut<'_, S>,
        add_to: bool,
        dz: Mat<'_, S>,
        w: Mat<'_, S>,
    ) {
        if dz.cols() > 1
            && let Some((bank, scratch)) = self.packed(bank)
            && let Some((dx, dz)) = S::f32_mat_mut(dx.reborrow()).zip(S::f32_mat(dz))
        {
            let (format, tile) = bank.engine;
            assert!(start + dz.cols() <= bank.n_out, "columns of a bank");
            // What shares a step with the first or the last column is multiplied by 0.
            let (first, lead) = format.step_of(start);
            let a = left(format, dz, lead, &mut scratch.left);
            let (words, cols) = (bank.transposed.words(), bank.n_in);
            let (total, inner) = (format.words(bank.n_out), a.inner);
            let b = Right::Panels { words, cols, total, first, inner };
            multiply(tile, dx, add_to, a, b);
        } else {
            product(dx, add_to, dz, w, Transpose::Second);
        }
    }

    /// dW = xᵀ·dz, or dW += with `add_to`, for weights in the bank `bank`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn weights<S: Scalar>(
        &mut self,
        bank: usize,
        mut dw: MatMut<'_, S>,
        add_to: bool,
        x: Mat<'_, S>,
        dz: Mat<'_, S>,
    ) {
        if dz.cols() > 1
            && let Some((bank, scratch)) = self.packed(bank)
            && let Some(dw) = S::f32_mat_mut(dw.reborrow())
            && let Some((x, dz)) = S::f32_mat(x).zip(S::f32_mat(dz))
        {
            let (format, tile) = bank.engine;
            let inner = format.words(x.rows());
            let b = right((format, tile), dz, &mut scratch.right);
            let (rows, left) = (x.cols(), &mut scratch.left);
            let a = match format {
                Format::Plain => {
                    let words = Words::Values(x.data());
                    Left { words, rows, inner, row: 1, step: x.stride() }
                }
                Format::Rounded | Format::Pairs => {
                    let words = left.at_least(inner * rows);
                    vectorise(
                        #[inline(always)]
                        || format.down(x, rows, words),
                    );
                    Left { words: Words::Packed(words), rows, inner, row: 1, step: rows }
                }
                Format::Tiles => {
                    let words = left.at_least(inner * rows.next_multiple_of(TILE));
                    vectorise(
                        #[inline(always)]
                        || format.columns(x, words),
                    );
                    Left { words: Words::Packed(words), rows, inner, row: inner, step: 1 }
                }
            };
            multiply(tile, dw, add_to, a, b);
        } else {
            product(dw, add_to, x, dz, Transpose::First);
        }
    }
}

/// B, whose inner dimension runs down the rows.
pub(super) fn right<'s>(
    (format, tile): (Format, Tile),
    b: Mat<'s, f32>,
    scratch: &'s mut Room,
) -> Right<'s> {
    // Lines further apart than in a panel come as fast as they are needed: packing did not pay. AVX2
    // reads a line more often.
    if format == Format::Plain && tile != Tile::Avx2 && b.cols().is_multiple_of(HALF) {
        return Right::Values(b);
    }
    let (inner, cols) = (format.words(b.rows()), b.cols());
    let words = scratch.at_least(panel_words(cols, inner));
    vectorise(
        #[inline(always)]
        || format.panels(tile.panel(), b, words),
    );
    Right::Panels { words, cols, total: inner, first: 0, inner }
}

/// A, row by row.
fn left<'s>(format: Format, a: Mat<'s, f32>, lead: usize, scratch: &'s mut Room) -> Left<'s> {
    let (rows, inner) = (a.rows(), format.words(lead + a.cols()));
    if format == Format::Plain {
        let words = Words::Values(a.data());
        return Left { words, rows, inner, row: a.stride(), step: 1 };
    }
    // The last tile has all of its rows; what lies in those that A lacks is multiplied, never stored.
    let whole = if format == Format::Tiles { rows.next_multiple_of(TILE) } else { rows };
    let words = scratch.at_least(whole * inner);
    vectorise(
        #[inline(always)]
        || format.rows(a, lead, words),
    );
    Left { words: Words::Packed(words), rows, inner, row: inner, step: 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernel::{Instructions, Precision};

    /// The tiles of AMX: where the processor has none, executed by an emulator.
    fn amx() -> Option<Kernels> {
        #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
        return Some(crate::kernel::packed::emulator::kernels());
        #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
        return None;
    }

    /// Every choice of kernels that this processor can run.
    fn all_kernels() -> Vec<Kernels> {
        let most = [
            Instructions::Portable,
            Instructions::Avx2,
            Instructions::Avx512,
            Instructions::Avx512Bf16,
        ];
        let kernels = [Precision::F32, Precision::Bf16]
            .into_iter()
            .flat_map(|p| most.map(|most| Kernels::new(p).at_most(most)));
        kernels.chain(amx()).collect()
    }

    fn values(key: usize, n: usize) -> Vec<f32> {
        (0..n).map(|i| ((key * 7919 + i) as f32 * 0.37).sin()).collect()
    }

    /// To bf16 by another route than the kernel's: the nearest of the two neighbours in f64.
    fn bf16(x: f32) -> f64 {
        let low = f32::from_bits(x.to_bits() & 0xFFFF_0000);
        let high = f32::from_bits((x.to_bits() & 0xFFFF_0000) + 0x1_0000);
        let (x, to_low, to_high) =
            (f64::from(x), f64::from(low) - f64::from(x), f64::from(high) - f64::from(x));
        let even = low.to_bits() & 0x1_0000 == 0;
        let down = to_low.abs() < to_high.abs() || (to_low.abs() == to_high.abs() && even);
        x + if down { to_low } else { to_high }
    }

    /// A matrix in a wider one, whose last columns nobody may touch.
    struct Window {
        data: Vec<f32>,
        rows: usize,
        cols: usize,
        pad: usize,
    }

    impl Window {
        fn new(key: usize, rows: usize, cols: usize, pad: usize) -> Self {
            Self { data: values(key, rows * (cols + pad)), rows, cols, pad }
        }

        fn at(&self, r: usize, c: usize) -> f32 {
            self.data[r * (self.cols + self.pad) + c]
        }

        fn mat(&self) -> Mat<'_, f32> {
            Mat::new(&self.data, self.rows, self.cols, self.cols + self.pad)
        }

        fn mat_mut(&mut self) -> MatMut<'_, f32> {
            MatMut::new(&mut self.data, self.rows, self.cols, self.cols + self.pad)
        }
    }

    /// Compares with f64 sums of the (rounded) factors `term(r, c, i)`.
    fn compare(
        (c, before): (&Window, &Window),
        add_to: bool,
        inner: usize,
        term: impl Fn(usize, usize, usize) -> (f64, f64),
    ) {
        for r in 0..c.rows {
            for j in 0..c.cols {
                let start = if add_to { f64::from(before.at(r, j)) } else { 0.0 };
                let (mut expected, mut size) = (start, start.abs());
                for i in 0..inner {
                    let (a, b) = term(r, j, i);
                    expected += a * b;
                    size += (a * b).abs();
                }
                let found = f64::from(c.at(r, j));
                // f32 rounding of at most `inner` sums of this size, in any order.
                let slack = (inner + 2) as f64 * f64::from(f32::EPSILON) * size;
                assert!((found - expected).abs() <= slack, "{r},{j}: {found} {expected}");
            }
            for j in c.cols..c.cols + c.pad {
                assert_eq!(c.at(r, j).to_bits(), before.at(r, j).to_bits(), "the window's border");
            }
        }
    }

    /// The three products of a bank n_in × n_out, the gradients of `n` columns from `start` on.
    fn check(kernels: Kernels, (rows, n_in, n_out): (usize, usize, usize), span: (usize, usize)) {
        let (start, n) = span;
        let w = Window::new(1, n_in, n_out, 3);
        let (x, dz) = (Window::new(2, rows, n_in, 1), Window::new(3, rows, n, 2));
        let mut bank = Bank::new::<f32>(kernels, n_in, n_out);
        if let Some(bank) = &mut bank {
            bank.pack(w.mat());
        }
        let (banks, mut scratch) = ([bank], Scratch::default());
        let mut products = Products::new(kernels, &banks, &mut scratch);
        // Columns and rows have loops in f32.
        let narrow = n_in == 1 || n_out == 1;
        let round = kernels.precision() == Precision::Bf16 && !narrow;
        let f = |round: bool, x: f32| if round { bf16(x) } else { f64::from(x) };

        let before = Window::new(4, rows, n_out, 2);
        let mut y = Window::new(4, rows, n_out, 2);
        products.forward(0, y.mat_mut(), x.mat(), w.mat());
        compare((&y, &before), false, n_in, |r, c, i| (f(round, x.at(r, i)), f(round, w.at(i, c))));

        let round = round && n > 1;
        for add_to in [false, true] {
            let before = Window::new(5, rows, n_in, 2);
            let mut dx = Window::new(5, rows, n_in, 2);
            let columns = w.mat().columns(start, n);
            products.input((0, start), dx.mat_mut(), add_to, dz.mat(), columns);
            compare((&dx, &before), add_to, n, |r, c, i| {
                (f(round, dz.at(r, i)), f(round, w.at(c, start + i)))
            });
            let before = Window::new(6, n_in, n, 2);
            let mut dw = Window::new(6, n_in, n, 2);
            products.weights(0, dw.mat_mut(), add_to, x.mat(), dz.mat());
            compare((&dw, &before), add_to, rows, |r, c, i| {
                (f(round, x.at(i, r)), f(round, dz.at(i, c)))
            });
        }
    }

    #[test]
    fn products_match_f64_sums_of_the_rounded_factors() {
        let shapes = [
            (1, 1, 1),
            (1, 7, 33),
            (2, 3, 2),
            (13, 17, 19),
            (14, 32, 16),
            (15, 33, 48),
            (29, 64, 31),
            (64, 1, 5),
            (43, 5, 1),
            (33, 65, 97),
            (64, 64, 64),
        ];
        for kernels in all_kernels() {
            for shape in shapes {
                check(kernels, shape, (0, shape.2));
            }
        }
    }

    proptest! {
        #[test]
        fn products_of_any_shape_and_span(
            shape in (1usize..40, 1usize..70, 1usize..70),
            from in 0usize..70,
            to in 0usize..70,
            choice in 0usize..7,
        ) {
            let (start, end) = (from.min(to).min(shape.2 - 1), from.max(to).clamp(1, shape.2));
            let kernels = all_kernels();
            check(kernels[choice % kernels.len()], shape, (start, end.max(start + 1) - start));
        }
    }

    /// Sums of one value have one order, whichever rows and columns stand beside it.
    #[test]
    fn a_row_has_the_same_bits_alone_and_among_others() {
        let (x, w) = (Window::new(1, 37, 50, 0), Window::new(2, 50, 40, 0));
        for kernels in all_kernels().into_iter().filter(|k| {
            // How the GEMM crate orders its sums is its own affair.
            !matches!(k.engine(), None | Some((_, Tile::Gemm)))
        }) {
            let mut bank = Bank::new::<f32>(kernels, 50, 40);
            bank.as_mut().expect("a packed engine").pack(w.mat());
            let (banks, mut scratch) = ([bank], Scratch::default());
            let mut products = Products::new(kernels, &banks, &mut scratch);
            let mut all = Window::new(3, 37, 40, 0);
            products.forward(0, all.mat_mut(), x.mat(), w.mat());
            for r in 0..37 {
                let mut one = Window::new(4, 1, 40, 0);
                products.forward(0, one.mat_mut(), Mat::new(x.mat().row(r), 1, 50, 50), w.mat());
                assert_eq!(one.mat().row(0), all.mat().row(r), "{kernels}, row {r}");
            }
        }
    }

    #[test]
    fn no_rows_give_no_gradient() {
        for kernels in all_kernels() {
            let w = Window::new(1, 4, 3, 0);
            let mut bank = Bank::new::<f32>(kernels, 4, 3);
            if let Some(bank) = &mut bank {
                bank.pack(w.mat());
            }
            let (banks, mut scratch) = ([bank], Scratch::default());
            let mut dw = Window::new(2, 4, 3, 0);
            let none = |cols| Mat::new(&[], 0, cols, cols);
            Products::new(kernels, &banks, &mut scratch).weights(
                0,
                dw.mat_mut(),
                false,
                none(4),
                none(3),
            );
            assert!(dw.data.iter().all(|&v| v == 0.0), "{kernels}");
        }
    }
}
