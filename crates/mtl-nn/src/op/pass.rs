//! What an op sees while it runs: its inputs and parameters, and the places of its results.

use std::ops::Range;

use super::{Mode, NodeId, Var};
use crate::kernel::{ClassRoom, Distinct, Products};
use crate::repeats::{Heads, Repeats};
use crate::shared::Split;
use crate::{
    Batch, IdSlot, ListRows, ListSlot, Mat, MatMut, ParamId, Params, Scalar, TableId, ValueSlot,
};

/// What an op sees in its forward pass.
#[derive(Debug)]
pub struct Forward<'a, S> {
    pub(crate) rows: usize,
    pub(crate) first_row: usize,
    pub(crate) op_inputs: &'a [Var],
    pub(crate) widths: &'a [usize],
    pub(crate) before: &'a [Vec<S>],
    pub(crate) out: &'a mut [S],
    pub(crate) saved: &'a mut [S],
    pub(crate) params: &'a Params<S>,
    pub(crate) products: Products<'a>,
    pub(crate) batch: &'a Batch<S>,
    pub(crate) mode: Mode,
    pub(crate) statistics: &'a [f64],
    pub(crate) shared: &'a [Vec<Range<usize>>],
    pub(crate) split: &'a mut Split<S>,
    /// By node; none where nobody asks.
    pub(crate) repeats: &'a [Option<Repeats<S>>],
    /// The classes of the op's own rows, if nobody reads any but the first of each.
    pub(crate) own: Option<&'a Distinct<S>>,
    pub(crate) room: &'a mut ClassRoom<S>,
}

/// The classes of the rows of an input: of a whole node, as what is known of its rows is.
fn distinct<'a, S: Scalar>(
    repeats: &'a [Option<Repeats<S>>],
    widths: &[usize],
    var: Var,
) -> Option<&'a Distinct<S>> {
    let is_whole = var.start() == 0 && var.n_cols() == widths[var.node.index()];
    let found = repeats.get(var.node.index())?.as_ref()?;
    is_whole.then(|| found.distinct())
}

/// The value of `var` among the buffers of a pass.
fn value<'a, S: Scalar>(
    values: &'a [Vec<S>],
    widths: &[usize],
    var: Var,
    rows: usize,
) -> Mat<'a, S> {
    let node = var.node.index();
    Mat::new(&values[node][var.start()..], rows, var.n_cols(), widths[node])
}

impl<'a, S: Scalar> Forward<'a, S> {
    /// Rows of this pass: a shard of the batch.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Position in the batch of this pass's first row.
    pub const fn first_row(&self) -> usize {
        self.first_row
    }

    /// Rows of the whole batch.
    pub const fn batch_rows(&self) -> usize {
        self.batch.rows
    }

    /// The whole batch, for ops whose rows meet.
    pub const fn batch(&self) -> &'a Batch<S> {
        self.batch
    }

    /// Training or prediction.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The `i`-th input, rows × its columns.
    #[inline]
    pub fn input(&self, i: usize) -> Mat<'a, S> {
        value(self.before, self.widths, self.op_inputs[i], self.rows)
    }

    /// The columns of the `i`-th input that hold one value in every row, where that is known.
    pub(crate) fn shared_input(&self, i: usize) -> Vec<Range<usize>> {
        let var = self.op_inputs[i];
        let Some(shared) = self.shared.get(var.node.index()) else { return Vec::new() };
        let (start, end) = (var.start(), var.start() + var.n_cols());
        let within = |range: &Range<usize>| range.start.max(start)..range.end.min(end);
        let within = shared.iter().map(within).filter(|range| range.start < range.end);
        within.map(|range| range.start - start..range.end - start).collect()
    }

    /// The rows of which somebody reads the `run`-th of [`crate::Op::columns_by_id`]; `None` for all
    /// rows. What the op writes into others is of no use.
    pub fn rows_read(&self, run: usize) -> Option<&'a [u32]> {
        self.own.map(|distinct| distinct.heads_of(run))
    }

    /// The classes of the rows of the `i`-th input, where they are to be multiplied once each: wherever
    /// that is less work, and in prediction always, so that a row has the same bits in any batch.
    pub(crate) fn distinct(&self, i: usize) -> Option<&'a Distinct<S>> {
        let distinct = distinct(self.repeats, self.widths, self.op_inputs[i])?;
        (self.mode == Mode::Predict || distinct.pays()).then_some(distinct)
    }

    /// A parameter.
    #[inline]
    pub fn param(&self, id: ParamId) -> Mat<'a, S> {
        self.params.param(id)
    }

    /// `n_cols` columns of parameters stored side by side, from the first of `id` on.
    #[inline]
    pub fn param_bank(&self, id: ParamId, n_cols: usize) -> Mat<'a, S> {
        self.params.bank(id, n_cols)
    }

    /// The products of the op. Taken once: after that they are those of the weights as they are.
    #[inline]
    pub const fn take_products(&mut self) -> Products<'a> {
        std::mem::replace(&mut self.products, Products::plain())
    }

    /// A table's values, row-major.
    #[inline]
    pub fn table(&self, id: TableId) -> &'a [S] {
        self.params.table(id)
    }

    /// The ids of a slot, for the rows of this pass.
    #[inline]
    pub fn ids(&self, slot: IdSlot) -> &'a [u32] {
        &self.batch.id_column(slot)[self.first_row..self.first_row + self.rows]
    }

    /// The lists of a slot, for the rows of this pass.
    #[inline]
    pub fn lists(&self, slot: ListSlot) -> ListRows<'a> {
        self.batch.list_column(slot).view(self.first_row, self.rows)
    }

    /// The values of a slot of `n_cols` columns, for the rows of this pass.
    #[inline]
    pub fn values(&self, slot: ValueSlot, n_cols: usize) -> Mat<'a, S> {
        let column = self.batch.value_column(slot);
        Mat::new(&column[self.first_row * n_cols..], self.rows, n_cols, n_cols)
    }

    /// The sums over the whole batch that the op gathered, or the values of all its rows; empty in
    /// prediction.
    pub const fn statistics(&self) -> &'a [f64] {
        self.statistics
    }

    /// The output, rows × [`crate::Op::n_cols`], and what the op saves, rows × [`crate::Op::n_saved`].
    #[inline]
    pub fn output(&mut self) -> (MatMut<'_, S>, MatMut<'_, S>) {
        let (n_out, n_saved) = (self.out.len() / self.rows, self.saved.len() / self.rows);
        (
            MatMut::new(self.out, self.rows, n_out, n_out),
            MatMut::new(self.saved, self.rows, n_saved, n_saved),
        )
    }

    /// As [`Forward::output`], but beside other borrows of the pass. Taken once.
    ///
    /// # Panics
    /// The second time.
    #[inline]
    pub fn take_output(&mut self) -> (MatMut<'a, S>, MatMut<'a, S>) {
        let (n_out, n_saved) = (self.out.len() / self.rows, self.saved.len() / self.rows);
        (
            MatMut::new(std::mem::take(&mut self.out), self.rows, n_out, n_out),
            MatMut::new(std::mem::take(&mut self.saved), self.rows, n_saved, n_saved),
        )
    }
}

/// Where a gradient goes.
#[derive(Debug)]
pub struct Sink<'a, S> {
    /// The gradient's place.
    pub to: MatMut<'a, S>,
    /// Whether to add to what is there; otherwise what is there is garbage to overwrite.
    pub add: bool,
}

impl<S: Scalar> Sink<'_, S> {
    /// Sets or adds one row.
    #[inline(always)]
    pub fn put_row(&mut self, r: usize, values: impl Iterator<Item = S>) {
        let row = self.to.row(r);
        if self.add {
            row.iter_mut().zip(values).for_each(|(to, v)| *to += v);
        } else {
            row.iter_mut().zip(values).for_each(|(to, v)| *to = v);
        }
    }
}

/// What an op sees in its backward pass.
#[derive(Debug)]
pub struct Backprop<'a, S> {
    pub(crate) rows: usize,
    pub(crate) first_row: usize,
    pub(crate) node: NodeId,
    pub(crate) op_inputs: &'a [Var],
    pub(crate) op_params: &'a [ParamId],
    pub(crate) widths: &'a [usize],
    pub(crate) values: &'a [Vec<S>],
    pub(crate) saved: &'a mut [S],
    pub(crate) before: &'a mut [Vec<S>],
    pub(crate) gradient: &'a mut [S],
    pub(crate) params: &'a Params<S>,
    pub(crate) products: Products<'a>,
    /// Two vectors laid out like the trainable values: see [`ParamSink::apart`].
    pub(crate) param_gradients: [&'a mut [S]; 2],
    pub(crate) input_sinks: &'a [Option<Put>],
    pub(crate) param_sinks: &'a [Option<ParamSink>],
    pub(crate) live: &'a [bool],
    pub(crate) resumed: &'a [Option<usize>],
    /// By loss: what a resumed gradient is multiplied by.
    pub(crate) factors: &'a [f64],
    pub(crate) batch: &'a Batch<S>,
    pub(crate) mode: Mode,
    pub(crate) forward_statistics: &'a [f64],
    pub(crate) statistics: &'a [f64],
    pub(crate) repeats: &'a [Option<Repeats<S>>],
    /// By input: whether its gradient may be written class by class.
    pub(crate) by_class: &'a [ByClass],
    pub(crate) room: &'a mut ClassRoom<S>,
}

/// Whether a gradient is set or added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Set,
    Add,
}

/// How the gradient of an input may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByClass {
    /// Row by row.
    No,
    /// The sum over a class of rows in its first row: it goes to tables alone, which add up the rows of
    /// an id.
    Beside,
    /// As [`ByClass::Beside`], and so do all other ops: rows that are no class's first are never read.
    Alone,
}

/// Where the gradient of a parameter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParamSink {
    pub(crate) put: Put,
    /// Whether into the second flat vector: that of one loss, where the first is that of all.
    pub(crate) apart: bool,
}

impl<'a, S: Scalar> Backprop<'a, S> {
    /// Rows of this pass: a shard of the batch.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Position in the batch of this pass's first row.
    pub const fn first_row(&self) -> usize {
        self.first_row
    }

    /// Rows of the whole batch.
    pub const fn batch_rows(&self) -> usize {
        self.batch.rows
    }

    /// The whole batch, for ops whose rows meet.
    pub const fn batch(&self) -> &'a Batch<S> {
        self.batch
    }

    /// The mode of the forward pass.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The `i`-th input, rows × its columns.
    #[inline]
    pub fn input(&self, i: usize) -> Mat<'a, S> {
        value(self.values, self.widths, self.op_inputs[i], self.rows)
    }

    /// The op's own output, rows × [`crate::Op::n_cols`].
    #[inline]
    pub fn output(&self) -> Mat<'a, S> {
        let node = self.node.index();
        Mat::new(&self.values[node], self.rows, self.widths[node], self.widths[node])
    }

    /// A parameter.
    #[inline]
    pub fn param(&self, id: ParamId) -> Mat<'a, S> {
        self.params.param(id)
    }

    /// `n_cols` columns of parameters stored side by side, from the first of `id` on.
    #[inline]
    pub fn param_bank(&self, id: ParamId, n_cols: usize) -> Mat<'a, S> {
        self.params.bank(id, n_cols)
    }

    /// The ids of a slot, for the rows of this pass.
    #[inline]
    pub fn ids(&self, slot: IdSlot) -> &'a [u32] {
        &self.batch.id_column(slot)[self.first_row..self.first_row + self.rows]
    }

    /// The lists of a slot, for the rows of this pass.
    #[inline]
    pub fn lists(&self, slot: ListSlot) -> ListRows<'a> {
        self.batch.list_column(slot).view(self.first_row, self.rows)
    }

    /// The values of a slot of `n_cols` columns, for the rows of this pass.
    #[inline]
    pub fn values(&self, slot: ValueSlot, n_cols: usize) -> Mat<'a, S> {
        let column = self.batch.value_column(slot);
        Mat::new(&column[self.first_row * n_cols..], self.rows, n_cols, n_cols)
    }

    /// What the op saved, rows × [`crate::Op::n_saved`].
    #[inline]
    pub fn saved(&mut self) -> MatMut<'_, S> {
        let n_saved = self.saved.len() / self.rows;
        MatMut::new(self.saved, self.rows, n_saved, n_saved)
    }

    /// What the op saved, as [`Backprop::saved`], but beside other borrows of the pass. Taken once.
    ///
    /// # Panics
    /// The second time.
    #[inline]
    pub fn take_saved(&mut self) -> MatMut<'a, S> {
        let n_saved = self.saved.len() / self.rows;
        MatMut::new(std::mem::take(&mut self.saved), self.rows, n_saved, n_saved)
    }

    /// The sums over the whole batch that the op gathered on the way forward.
    pub const fn forward_statistics(&self) -> &'a [f64] {
        self.forward_statistics
    }

    /// The sums over the whole batch that the op gathered on the way back.
    pub const fn statistics(&self) -> &'a [f64] {
        self.statistics
    }

    /// The gradient of the output, rows × [`crate::Op::n_cols`], the op's to overwrite. Taken once.
    ///
    /// # Panics
    /// The second time.
    #[inline]
    pub fn take_gradient(&mut self) -> MatMut<'a, S> {
        let n_cols = self.widths[self.node.index()];
        MatMut::new(std::mem::take(&mut self.gradient), self.rows, n_cols, n_cols)
    }

    /// The products of the op. Taken once: after that they are those of the weights as they are.
    #[inline]
    pub const fn take_products(&mut self) -> Products<'a> {
        std::mem::replace(&mut self.products, Products::plain())
    }

    /// The gradient of the output, read-only.
    #[inline]
    pub fn gradient(&self) -> Mat<'_, S> {
        let n_cols = self.widths[self.node.index()];
        Mat::new(self.gradient, self.rows, n_cols, n_cols)
    }

    /// Where the gradient of the `i`-th input goes; `None` if nobody needs it.
    #[inline]
    pub fn input_gradient(&mut self, i: usize) -> Option<Sink<'_, S>> {
        let add = self.input_sinks[i]? == Put::Add;
        let var = self.op_inputs[i];
        let node = var.node.index();
        let data = &mut self.before[node][var.start()..];
        Some(Sink { to: MatMut::new(data, self.rows, var.n_cols(), self.widths[node]), add })
    }

    /// The classes of the rows of the `i`-th input, where the forward pass multiplied them once each.
    pub(crate) fn distinct(&self, i: usize) -> Option<&'a Distinct<S>> {
        let distinct = distinct(self.repeats, self.widths, self.op_inputs[i])?;
        distinct.pays().then_some(distinct)
    }

    /// How the gradient of the `i`-th input may stand.
    pub(crate) fn by_class(&self, i: usize) -> ByClass {
        self.by_class[i]
    }

    /// [`Backprop::bank_gradient`] and [`Backprop::input_gradient`], beside one another.
    pub(crate) fn product_gradients(
        &mut self,
        (param, n_cols): (usize, usize),
        input: usize,
    ) -> (Option<Sink<'_, S>>, Option<Sink<'_, S>>) {
        let (flat, put) = (self.flat(param), self.input_sinks[input]);
        let spec = self.params.layout().param(self.op_params[param]);
        let [all, apart] = &mut self.param_gradients;
        let dw = flat.map(|(flat, add)| {
            let to = if flat == 0 { &mut **all } else { &mut **apart };
            Sink { to: spec.bank_window_mut(to, n_cols), add }
        });
        let var = self.op_inputs[input];
        let node = var.node.index();
        let (before, width) = (&mut self.before[node], self.widths[node]);
        let dx = put.map(|put| {
            let to = MatMut::new(&mut before[var.start()..], self.rows, var.n_cols(), width);
            Sink { to, add: put == Put::Add }
        });
        (dw, dx)
    }

    /// Where the gradient of the `i`-th parameter goes; `None` if nobody needs it.
    #[inline]
    pub fn param_gradient(&mut self, i: usize) -> Option<Sink<'_, S>> {
        let (flat, add) = self.flat(i)?;
        let spec = self.params.layout().param(self.op_params[i]);
        Some(Sink { to: spec.window_mut(self.param_gradients[flat]), add })
    }

    /// As [`Backprop::param_gradient`] for `n_cols` columns of parameters stored side by side,
    /// from the first of the `i`-th on; all of them must want the same.
    #[inline]
    pub fn bank_gradient(&mut self, i: usize, n_cols: usize) -> Option<Sink<'_, S>> {
        let (flat, add) = self.flat(i)?;
        let spec = self.params.layout().param(self.op_params[i]);
        Some(Sink { to: spec.bank_window_mut(self.param_gradients[flat], n_cols), add })
    }

    /// The flat vector of a parameter's gradient, and whether to add to it.
    fn flat(&self, i: usize) -> Option<(usize, bool)> {
        let sink = self.param_sinks[i]?;
        Some((usize::from(sink.apart), sink.put == Put::Add))
    }

    /// Whether part `i` of [`crate::Op::parts`] leads from what the pass starts at to something that
    /// is wanted.
    #[inline]
    pub const fn is_live(&self, i: usize) -> bool {
        self.live[i]
    }

    /// [`Backprop::is_live`] of all parts.
    pub const fn live(&self) -> &'a [bool] {
        self.live
    }

    /// For an op that [`crate::Op::resumes`]: the factor of part `i` if an earlier pass left its
    /// gradient; 0 if that pass did not run, and what is there means nothing.
    #[inline]
    pub fn resumed(&self, i: usize) -> Option<S> {
        let loss = self.resumed.get(i).copied().flatten()?;
        Some(S::of(self.factors[loss]))
    }

    /// Whether parameters `i` and `j` want their gradients in the same way.
    pub fn wants_alike(&self, i: usize, j: usize) -> bool {
        self.param_sinks[i] == self.param_sinks[j]
    }
}

/// The gradient of a lookup's output for a shard, as [`crate::Op::scatter`] sees it.
#[derive(Debug)]
pub struct RowGradients<'a, S> {
    /// The batch whose ids were looked up.
    pub batch: &'a Batch<S>,
    /// Position in the batch of the first row.
    pub first_row: usize,
    /// rows × [`crate::Op::n_cols`].
    pub gradient: Mat<'a, S>,
    pub(crate) heads: &'a Heads,
}

impl<'a, S: Scalar> RowGradients<'a, S> {
    /// The ids of a slot, for these rows.
    pub fn ids(&self, slot: IdSlot) -> &'a [u32] {
        &self.batch.id_column(slot)[self.first_row..self.first_row + self.gradient.rows()]
    }

    /// The rows that hold the gradient of the `run`-th of [`crate::Op::columns_by_id`]: each the sum over
    /// the rows of its id; `None` where each row holds its own.
    pub fn heads(&self, run: usize) -> Option<&'a [u32]> {
        self.heads.run(run)
    }

    /// The lists of a slot, for these rows.
    pub fn lists(&self, slot: ListSlot) -> ListRows<'a> {
        self.batch.list_column(slot).view(self.first_row, self.gradient.rows())
    }
}
