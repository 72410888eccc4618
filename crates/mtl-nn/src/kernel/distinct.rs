//! Products over the distinct rows of some columns: see [`crate::repeats`].

use std::ops::Range;

use super::{Products, add, vectorise};
use crate::{Mat, MatMut, Scalar, Sink};

/// Columns whose sums are in registers.
const BLOCK: usize = 32;

/// Columns of the output that a forward pass works on at a time where the kernels are ours: the values
/// of all classes of a shard, 2,000 in a model of 30 features, then fit in the second-level cache.
const FORWARD: usize = BLOCK;

/// Columns that a backward pass works on at a time: it has one run's classes in hand, and all rows.
const BACKWARD: usize = 64;

/// Some runs of columns, and for each of them the classes of the rows: rows of a class hold the same
/// values there. Classes are numbered over all runs, run after run.
#[derive(Clone, Debug)]
pub(crate) struct Distinct<S> {
    runs: Vec<Range<usize>>,
    /// The columns of no run.
    rest: Vec<Range<usize>>,
    rows: usize,
    /// By run, its first class; then the number of all.
    first: Vec<usize>,
    /// The first row of each class.
    heads: Vec<u32>,
    /// The class of each row in each run: rows × runs.
    of_row: Vec<u32>,
    /// The rows of each class, class after class, and where those of a class begin.
    members: Vec<u32>,
    starts: Vec<u32>,
    /// The values of the runs' columns, class after class, and where those of a run begin.
    values: Vec<S>,
    offsets: Vec<usize>,
}

impl<S: Scalar> Distinct<S> {
    /// Runs, at least one, in the order of their columns, of a matrix of `n_cols`.
    pub(crate) fn new(runs: Vec<Range<usize>>, n_cols: usize) -> Self {
        let ends = runs.iter().map(|run| run.start).chain([n_cols]);
        let starts = [0].into_iter().chain(runs.iter().map(|run| run.end));
        let rest = starts.zip(ends).map(|(start, end)| start..end);
        Self {
            rest: rest.filter(|columns| !columns.is_empty()).collect(),
            runs,
            rows: 0,
            first: Vec::new(),
            heads: Vec::new(),
            of_row: Vec::new(),
            members: Vec::new(),
            starts: Vec::new(),
            values: Vec::new(),
            offsets: Vec::new(),
        }
    }

    /// Forgets all classes, for other rows.
    pub(crate) fn reset(&mut self, rows: usize) {
        self.rows = rows;
        self.first.clear();
        self.heads.clear();
        self.of_row.resize(rows * self.runs.len(), 0);
    }

    /// The classes to come are those of the next run.
    pub(crate) fn begin_run(&mut self) {
        self.first.push(self.heads.len());
    }

    /// A new class, with its first row.
    #[inline]
    pub(crate) fn open(&mut self, row: usize) -> u32 {
        let class = self.heads.len() as u32;
        self.heads.push(row as u32);
        self.join(row, class);
        class
    }

    /// One more row of a class.
    #[inline]
    pub(crate) fn join(&mut self, row: usize, class: u32) {
        let (n, run) = (self.runs.len(), self.first.len() - 1);
        self.of_row[row * n + run] = class;
    }

    /// The first row of a class.
    #[inline]
    pub(crate) fn head(&self, class: u32) -> usize {
        self.heads[class as usize] as usize
    }

    /// After the last row of the last run: brings together the rows of each class.
    pub(crate) fn close(&mut self) {
        let (n, n_classes) = (self.runs.len(), self.heads.len());
        self.first.push(n_classes);
        self.starts.clear();
        self.starts.resize(n_classes + 1, 0);
        for &class in &self.of_row {
            self.starts[class as usize + 1] += 1;
        }
        for class in 0..n_classes {
            self.starts[class + 1] += self.starts[class];
        }
        self.members.resize(self.of_row.len(), 0);
        // Filled from the first on, each start moves to the next; they are moved back below.
        for (row, classes) in self.of_row.chunks_exact(n).enumerate() {
            for &class in classes {
                let at = &mut self.starts[class as usize];
                self.members[*at as usize] = row as u32;
                *at += 1;
            }
        }
        self.starts.copy_within(0..n_classes, 1);
        self.starts[0] = 0;
        self.offsets.clear();
        self.offsets.push(0);
        let mut end = 0;
        for (run, columns) in self.runs.iter().enumerate() {
            end += self.classes(run).len() * columns.len();
            self.offsets.push(end);
        }
    }

    /// Takes the values of each class from its first row.
    pub(crate) fn fill(&mut self, x: Mat<'_, S>) {
        self.values.clear();
        for (run, columns) in self.runs.iter().enumerate() {
            for &head in &self.heads[self.first[run]..self.first[run + 1]] {
                self.values.extend_from_slice(&x.row(head as usize)[columns.clone()]);
            }
        }
    }

    /// The first row of each class, run after run.
    pub(crate) fn heads(&self) -> &[u32] {
        &self.heads
    }

    /// By run, where its classes end.
    pub(crate) fn ends(&self) -> &[usize] {
        &self.first[1..]
    }

    /// The first row of each class of a run.
    pub(crate) fn heads_of(&self, run: usize) -> &[u32] {
        &self.heads[self.classes(run)]
    }

    /// Whether the products of the classes are less work than those of the rows, by as much as the
    /// sums over classes cost.
    pub(crate) fn pays(&self) -> bool {
        let all: usize = self.runs.iter().map(|columns| columns.len() * self.rows).sum();
        self.n_values() * 4 <= all * 3
    }

    /// Values of all classes.
    fn n_values(&self) -> usize {
        self.offsets.last().copied().unwrap_or(0)
    }

    const fn n_classes(&self) -> usize {
        self.heads.len()
    }

    /// The classes of a run.
    fn classes(&self, run: usize) -> Range<usize> {
        self.first[run]..self.first[run + 1]
    }

    /// The values of a run's classes: classes × the run's columns.
    fn of_run(&self, run: usize) -> Mat<'_, S> {
        let (n, width) = (self.classes(run).len(), self.runs[run].len());
        Mat::new(&self.values[self.offsets[run]..self.offsets[run + 1]], n, width, width)
    }

    /// The rows of a class.
    fn members(&self, class: usize) -> &[u32] {
        &self.members[self.starts[class] as usize..self.starts[class + 1] as usize]
    }

    /// Sums over the rows of each class of a run: rows × n to classes × n.
    #[inline(always)]
    fn sums(&self, run: usize, n: usize, block: &[S], out: &mut [S]) {
        for (class, out) in self.classes(run).zip(out.chunks_exact_mut(n)) {
            // A class has four rows or so: half as many columns would mean twice as many loops that
            // end when nobody expects it.
            if let Ok(out) = <&mut [S; BACKWARD]>::try_from(&mut *out) {
                let mut sum = [S::zero(); BACKWARD];
                for &row in self.members(class) {
                    let row = block.as_chunks::<BACKWARD>().0[row as usize];
                    for i in 0..BACKWARD {
                        sum[i] += row[i];
                    }
                }
                *out = sum;
                continue;
            }
            out.fill(S::zero());
            for &row in self.members(class) {
                add(out, &block[row as usize * n..(row as usize + 1) * n]);
            }
        }
    }

    /// To each row of `start` the values of its classes: rows × n.
    #[inline(always)]
    fn spread(&self, y: &mut MatMut<'_, S>, start: &[S], of_classes: &[S]) {
        let n = y.cols();
        let rows = self.of_row.chunks_exact(self.runs.len()).enumerate();
        if n == BLOCK {
            let start = start.as_chunks::<BLOCK>().0;
            let of_classes = of_classes.as_chunks::<BLOCK>().0;
            for (r, classes) in rows {
                let mut sum = start[r];
                for &class in classes {
                    let value = &of_classes[class as usize];
                    for i in 0..BLOCK {
                        sum[i] += value[i];
                    }
                }
                y.row(r).copy_from_slice(&sum);
            }
            return;
        }
        for (r, classes) in rows {
            let y = y.row(r);
            y.copy_from_slice(&start[r * n..(r + 1) * n]);
            for &class in classes {
                add(y, &of_classes[class as usize * n..(class as usize + 1) * n]);
            }
        }
    }
}

/// What products over classes work on, kept from product to product.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClassRoom<S> {
    /// Some columns of all rows.
    block: Vec<S>,
    /// The same columns of all classes.
    of_classes: Vec<S>,
    /// The gradient of the classes' values, laid out like them.
    dx: Vec<S>,
}

/// The first `n` values, with whatever was there.
fn at_least<S: Scalar>(room: &mut Vec<S>, n: usize) -> &mut [S] {
    if room.len() < n {
        room.resize(n, S::zero());
    }
    &mut room[..n]
}

/// The weights of a product, and where they are packed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factor<'a, S> {
    /// The op's bank.
    pub(crate) bank: usize,
    /// The first of the columns, in the bank.
    pub(crate) start: usize,
    /// The columns, from there on.
    pub(crate) w: Mat<'a, S>,
}

impl Products<'_> {
    /// y = x·W, where `distinct` are the classes of x.
    ///
    /// A value's terms are added run by run, so a row has the same bits alone and among others. Columns
    /// come from the first to the last; `ready` is told how many are there, again and again.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub(crate) fn forward_distinct<S: Scalar>(
        &mut self,
        mut y: MatMut<'_, S>,
        x: Mat<'_, S>,
        by: Factor<'_, S>,
        distinct: &Distinct<S>,
        room: &mut ClassRoom<S>,
        mut ready: impl FnMut(&mut MatMut<'_, S>, usize),
    ) {
        let (rows, n) = (x.rows(), y.cols());
        assert!(distinct.rows == rows && by.w.cols() == n, "shapes of a product");
        if rows == 1 {
            self.forward_row(y.reborrow(), x, by.w, distinct, room);
            return ready(&mut y, n);
        }
        let step = if self.are_ours() { FORWARD } else { n };
        for first in (0..n).step_by(step) {
            let width = step.min(n - first);
            let block = at_least(&mut room.block, rows * width);
            block.fill(S::zero());
            for (i, columns) in distinct.rest.iter().enumerate() {
                let to = MatMut::new(block, rows, width, width);
                let x = x.columns(columns.start, columns.len());
                self.forward_part(to, i > 0, x, by, (columns.clone(), first));
            }
            let of_classes = at_least(&mut room.of_classes, distinct.n_classes() * width);
            for (run, columns) in distinct.runs.iter().enumerate() {
                let x = distinct.of_run(run);
                let to = &mut of_classes[distinct.first[run] * width..];
                let to = MatMut::new(to, x.rows(), width, width);
                self.forward_part(to, false, x, by, (columns.clone(), first));
            }
            let mut part = y.columns(first, width);
            vectorise(
                #[inline(always)]
                || distinct.spread(&mut part, block, of_classes),
            );
            ready(&mut y, first + width);
        }
    }

    /// One row has no classes: W streams by once, in the same order of sums.
    fn forward_row<S: Scalar>(
        &mut self,
        mut y: MatMut<'_, S>,
        x: Mat<'_, S>,
        w: Mat<'_, S>,
        distinct: &Distinct<S>,
        room: &mut ClassRoom<S>,
    ) {
        let n = y.cols();
        let part = at_least(&mut room.block, n);
        y.fill(S::zero());
        for columns in distinct.rest.iter().chain(&distinct.runs) {
            let x = x.columns(columns.start, columns.len());
            let w = w.part(columns.start, columns.len());
            super::product(MatMut::new(part, 1, n, n), false, x, w, super::Transpose::Neither);
            vectorise(
                #[inline(always)]
                || add(y.row(0), part),
            );
        }
    }

    /// dW = xᵀ·dz and dx = dz·Wᵀ, or one of them, where `distinct` are the classes of x. The rows of dx
    /// are not those of x's rows: the sum over a class stands in its first row. In the others there are
    /// zeros, or what was there if `only_heads`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub(crate) fn backward_distinct<S: Scalar>(
        &mut self,
        mut dw: Option<Sink<'_, S>>,
        mut dx: Option<Sink<'_, S>>,
        (x, dz): (Mat<'_, S>, Mat<'_, S>),
        by: Factor<'_, S>,
        (distinct, only_heads): (&Distinct<S>, bool),
        room: &mut ClassRoom<S>,
    ) {
        let (rows, n) = (dz.rows(), dz.cols());
        assert!(distinct.rows == rows && by.w.cols() == n, "shapes of a product");
        let step = if self.are_ours() { BACKWARD } else { n };
        for first in (0..n).step_by(step) {
            let width = step.min(n - first);
            let block = at_least(&mut room.block, rows * width);
            for (r, to) in block.chunks_exact_mut(width).enumerate() {
                to.copy_from_slice(&dz.row(r)[first..first + width]);
            }
            let block = &*block;
            for (run, columns) in distinct.runs.iter().enumerate() {
                let x = distinct.of_run(run);
                let sums = at_least(&mut room.of_classes, x.rows() * width);
                vectorise(
                    #[inline(always)]
                    || distinct.sums(run, width, block, sums),
                );
                let sums = Mat::new(sums, x.rows(), width, width);
                if let Some(Sink { to, add }) = &mut dw {
                    let mut to = to.part(columns.start, columns.len());
                    self.weights_part(to.columns(first, width), *add, x, sums);
                }
                if dx.is_some() {
                    let all = at_least(&mut room.dx, distinct.n_values());
                    let to = &mut all[distinct.offsets[run]..distinct.offsets[run + 1]];
                    let to = MatMut::new(to, x.rows(), columns.len(), columns.len());
                    self.input_part(to, first > 0, sums, by, (columns.clone(), first));
                }
            }
            let dz = Mat::new(block, rows, width, width);
            for columns in &distinct.rest {
                let x = x.columns(columns.start, columns.len());
                if let Some(Sink { to, add }) = &mut dw {
                    let mut to = to.part(columns.start, columns.len());
                    self.weights_part(to.columns(first, width), *add, x, dz);
                }
                if let Some(Sink { to, add }) = &mut dx {
                    let to = to.columns(columns.start, columns.len());
                    self.input_part(to, *add || first > 0, dz, by, (columns.clone(), first));
                }
            }
        }
        if let Some(Sink { to, add }) = dx {
            distinct.to_heads(to, (add, only_heads), &room.dx);
        }
    }
}

impl<S: Scalar> Distinct<S> {
    /// The gradients of the classes into those of their first rows.
    fn to_heads(
        &self,
        mut dx: MatMut<'_, S>,
        (add_to, only_heads): (bool, bool),
        of_classes: &[S],
    ) {
        if !add_to && !only_heads {
            for r in 0..dx.rows() {
                let row = dx.row(r);
                self.runs.iter().for_each(|columns| row[columns.clone()].fill(S::zero()));
            }
        }
        for (run, columns) in self.runs.iter().enumerate() {
            let values = &of_classes[self.offsets[run]..self.offsets[run + 1]];
            for (&head, values) in self.heads_of(run).iter().zip(values.chunks_exact(columns.len()))
            {
                let to = &mut dx.row(head as usize)[columns.clone()];
                if add_to {
                    add(to, values);
                } else {
                    to.copy_from_slice(values);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
