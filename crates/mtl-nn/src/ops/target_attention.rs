//! `TargetAttention`: the activation unit and weighted sum of the Deep Interest Network.
//!
//! Zhou et al., *Deep Interest Network for Click-Through Rate Prediction*, KDD 2018, eq. 3 and
//! figure 2.

use std::ops::Range;

use crate::kernel::{Transpose, add, product, vectorise};
use crate::layers::Activation;
use crate::ops::Keep;
use crate::{Backprop, Forward, ListSlot, Mat, MatMut, Op, ParamId, Scalar, Sink, Var};

/// The parameters and settings of a [`TargetAttention`].
#[derive(Clone, Debug)]
pub struct TargetAttentionParams {
    /// Weight and bias of each layer, the last with one column: (4·dim) × u₁, u₁ × u₂, …, × 1.
    pub layers: Vec<(ParamId, ParamId)>,
    /// Columns of each layer, the last being 1.
    pub units: Vec<usize>,
    /// The activation of all layers but the last, which is linear.
    pub activation: Activation,
    /// Whether a softmax over the list normalises the scores.
    pub softmax: bool,
}

/// `y = Σ_j a_j·h_j` with a_j = MLP([h_j, t, h_j − t, h_j ⊙ t]) (or its softmax over j): a list
/// pooled by how much each member has to do with a target; 0 for an empty list.
///
/// The members of all lists of a shard are one product a layer: no time is spent on padding.
///
/// # Shapes
/// h is rows × (longest · dim) as [`super::EmbedList`] writes it, t is rows × dim, y is rows × dim.
#[derive(Debug)]
pub struct TargetAttention {
    inputs: [Var; 2],
    slot: [ListSlot; 1],
    params: Vec<ParamId>,
    settings: TargetAttentionParams,
    dim: usize,
    max_length: usize,
}

impl TargetAttention {
    /// Over the lists `h`, whose lengths are those of `slot`, for the targets `t`.
    ///
    /// # Panics
    /// If the columns of `h` are not a multiple of those of `t`, or the last layer is not one
    /// column; layers check this with an error first.
    pub fn new(h: Var, slot: ListSlot, t: Var, settings: TargetAttentionParams) -> Self {
        let dim = t.n_cols();
        assert_eq!(h.n_cols() % dim, 0, "members as wide as the target");
        assert_eq!(settings.units.last(), Some(&1), "one score a member");
        let params = settings.layers.iter().flat_map(|&(weight, bias)| [weight, bias]).collect();
        let max_length = h.n_cols() / dim;
        Self { inputs: [h, t], slot: [slot], params, settings, dim, max_length }
    }

    /// The parameters and settings.
    pub const fn settings(&self) -> &TargetAttentionParams {
        &self.settings
    }

    /// Columns of what is kept of a member: its four-part input, each layer's output, and two
    /// buffers for gradients.
    fn widths(&self) -> [usize; 3] {
        let units = &self.settings.units;
        let widest = units.iter().copied().max().unwrap_or(1).max(4 * self.dim);
        [4 * self.dim, units.iter().sum(), 2 * widest]
    }

    /// The parts of what is kept, for `n` members.
    fn kept<'a, S>(&self, saved: &'a mut [S], n: usize) -> Kept<'a, S> {
        let [input, outputs, gradients] = self.widths();
        let (input, rest) = saved.split_at_mut(n * input);
        let (outputs, rest) = rest.split_at_mut(n * outputs);
        let (from, rest) = rest.split_at_mut(n * gradients / 2);
        Kept { input, outputs, from, to: &mut rest[..n * gradients / 2] }
    }

    /// The columns before layer `i`, and where its output lies in the outputs of `n` members.
    fn layer(&self, i: usize, n: usize) -> (usize, Range<usize>) {
        let units = &self.settings.units;
        let start: usize = units[..i].iter().sum();
        let n_in = if i == 0 { 4 * self.dim } else { units[i - 1] };
        (n_in, n * start..n * (start + units[i]))
    }

    /// Writes [h, t, h − t, h ⊙ t] of every member.
    fn pair<S: Scalar>(&self, h: Mat<'_, S>, t: Mat<'_, S>, lengths: &Lengths<'_>, out: &mut [S]) {
        let d = self.dim;
        let mut rows = out.chunks_exact_mut(4 * d);
        for (r, length) in lengths.each() {
            let t = t.row(r);
            for (h, row) in h.row(r).chunks_exact(d).take(length).zip(&mut rows) {
                row[..d].copy_from_slice(h);
                row[d..2 * d].copy_from_slice(t);
                for c in 0..d {
                    row[2 * d + c] = h[c] - t[c];
                    row[3 * d + c] = h[c] * t[c];
                }
            }
        }
    }

    /// The scores of all members, in the last layer's output.
    fn scores<S: Scalar>(&self, pass: &Forward<'_, S>, input: &[S], outputs: &mut [S], n: usize) {
        for (i, &(weight, bias)) in self.settings.layers.iter().enumerate() {
            let (n_in, place) = self.layer(i, n);
            let (before, rest) = outputs.split_at_mut(place.start);
            let x = if i == 0 { input } else { &before[before.len() - n * n_in..] };
            let n_out = self.settings.units[i];
            let z = &mut rest[..n * n_out];
            let y = MatMut::new(z, n, n_out, n_out);
            product(y, false, Mat::new(x, n, n_in, n_in), pass.param(weight), Transpose::Neither);
            let (bias, is_last) = (pass.param(bias).row(0), i + 1 == self.settings.layers.len());
            let activation = if is_last { Activation::Linear } else { self.settings.activation };
            vectorise(
                #[inline(always)]
                || {
                    for row in z.chunks_exact_mut(n_out) {
                        add(row, bias);
                        activation.forward(row, None, Keep::All);
                    }
                },
            );
        }
    }

    /// dh and dt through the weighted sum, and the gradient of the scores into `d_scores`.
    fn through_sum<S: Scalar>(
        &self,
        h: Mat<'_, S>,
        dy: Mat<'_, S>,
        lengths: &Lengths<'_>,
        a: &[S],
        d_scores: &mut [S],
    ) {
        let mut at = 0;
        for (r, length) in lengths.each() {
            let (h, dy) = (h.row(r).chunks_exact(self.dim), dy.row(r));
            let d = &mut d_scores[at..at + length];
            for (d, h) in d.iter_mut().zip(h) {
                *d = h.iter().zip(dy).map(|(&h, &dy)| h * dy).sum();
            }
            if self.settings.softmax {
                let a = &a[at..at + length];
                let mean: S = a.iter().zip(&*d).map(|(&a, &d)| a * d).sum();
                d.iter_mut().zip(a).for_each(|(d, &a)| *d = a * (*d - mean));
            }
            at += length;
        }
    }

    /// The gradients of all layers; returns that of the members' inputs, members × 4·dim.
    fn through_layers<'k, S: Scalar>(
        &self,
        pass: &mut Backprop<'_, S>,
        input: &[S],
        outputs: &[S],
        (mut from, mut to): (&'k mut [S], &'k mut [S]),
        n: usize,
    ) -> &'k [S] {
        for i in (0..self.settings.layers.len()).rev() {
            let (n_in, place) = self.layer(i, n);
            let n_out = self.settings.units[i];
            let x = if i == 0 { input } else { &outputs[place.start - n * n_in..place.start] };
            let x = Mat::new(x, n, n_in, n_in);
            let dz = Mat::new(&from[..n * n_out], n, n_out, n_out);
            if let Some(sink) = pass.param_gradient(2 * i) {
                weight_gradient(sink, x, dz);
            }
            if let Some(sink) = pass.param_gradient(2 * i + 1) {
                bias_gradient(sink, dz);
            }
            let weight = pass.param(self.settings.layers[i].0);
            let dx = MatMut::new(&mut to[..n * n_in], n, n_in, n_in);
            product(dx, false, dz, weight, Transpose::Second);
            if i > 0 {
                let activation = self.settings.activation;
                vectorise(
                    #[inline(always)]
                    || activation.backward(x.data(), &mut to[..n * n_in], Keep::All),
                );
            }
            std::mem::swap(&mut from, &mut to);
        }
        &from[..n * 4 * self.dim]
    }

    fn members_gradient<S: Scalar>(
        &self,
        mut sink: Sink<'_, S>,
        (t, dy): (Mat<'_, S>, Mat<'_, S>),
        lengths: &Lengths<'_>,
        (a, d_input): (&[S], &[S]),
    ) {
        let d = self.dim;
        let mut members = a.iter().zip(d_input.chunks_exact(4 * d));
        for (r, length) in lengths.each() {
            let (t, dy) = (t.row(r), dy.row(r));
            let row = sink.to.row(r);
            if !sink.add {
                row.fill(S::zero());
            }
            for (to, (&a, g)) in row.chunks_exact_mut(d).take(length).zip(&mut members) {
                for c in 0..d {
                    to[c] += a * dy[c] + g[c] + g[2 * d + c] + g[3 * d + c] * t[c];
                }
            }
        }
    }

    fn target_gradient<S: Scalar>(
        &self,
        mut sink: Sink<'_, S>,
        h: Mat<'_, S>,
        lengths: &Lengths<'_>,
        d_input: &[S],
    ) {
        let d = self.dim;
        let mut members = d_input.chunks_exact(4 * d);
        for (r, length) in lengths.each() {
            let to = sink.to.row(r);
            if !sink.add {
                to.fill(S::zero());
            }
            for (h, g) in h.row(r).chunks_exact(d).take(length).zip(&mut members) {
                for c in 0..d {
                    to[c] += g[d + c] - g[2 * d + c] + g[3 * d + c] * h[c];
                }
            }
        }
    }
}

/// What an op keeps of its members.
struct Kept<'a, S> {
    input: &'a mut [S],
    outputs: &'a mut [S],
    from: &'a mut [S],
    to: &'a mut [S],
}

/// The lengths of a pass's lists.
struct Lengths<'a>(crate::ListRows<'a>);

impl Lengths<'_> {
    fn each(&self) -> impl Iterator<Item = (usize, usize)> {
        self.0.iter().map(<[u32]>::len).enumerate()
    }
}

/// dW = xᵀ·dz; of no members, 0.
fn weight_gradient<S: Scalar>(mut sink: Sink<'_, S>, x: Mat<'_, S>, dz: Mat<'_, S>) {
    if x.rows() > 0 {
        product(sink.to, sink.add, x, dz, Transpose::First);
    } else if !sink.add {
        sink.to.fill(S::zero());
    }
}

fn bias_gradient<S: Scalar>(mut sink: Sink<'_, S>, dz: Mat<'_, S>) {
    if !sink.add {
        sink.to.fill(S::zero());
    }
    let db = sink.to.row(0);
    (0..dz.rows()).for_each(|j| add(db, dz.row(j)));
}

/// softmax in place.
fn softmax<S: Scalar>(scores: &mut [S]) {
    let largest = scores.iter().copied().fold(S::neg_infinity(), S::max);
    scores.iter_mut().for_each(|s| *s = (*s - largest).exp());
    let total: S = scores.iter().copied().sum();
    scores.iter_mut().for_each(|s| *s /= total);
}

impl<S: Scalar> Op<S> for TargetAttention {
    fn kind(&self) -> &'static str {
        "target_attention"
    }

    fn n_cols(&self) -> usize {
        self.dim
    }

    fn inputs(&self) -> &[Var] {
        &self.inputs
    }

    fn params(&self) -> &[ParamId] {
        &self.params
    }

    fn list_slots(&self) -> &[ListSlot] {
        &self.slot
    }

    fn n_saved(&self) -> usize {
        self.max_length * self.widths().iter().sum::<usize>()
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (h, t) = (pass.input(0), pass.input(1));
        let lengths = Lengths(pass.lists(self.slot[0]));
        let n = lengths.0.n_ids();
        let (mut y, mut saved) = pass.take_output();
        let kept = self.kept(saved.data(), n);
        self.pair(h, t, &lengths, kept.input);
        if n > 0 {
            self.scores(pass, kept.input, kept.outputs, n);
        }
        let place = self.layer(self.settings.units.len() - 1, n).1;
        let a = &mut kept.outputs[place];
        let mut at = 0;
        for (r, length) in lengths.each() {
            let a = &mut a[at..at + length];
            if self.settings.softmax && length > 0 {
                softmax(a);
            }
            let y = y.row(r);
            y.fill(S::zero());
            for (h, &a) in h.row(r).chunks_exact(self.dim).zip(&*a) {
                y.iter_mut().zip(h).for_each(|(y, &h)| *y += a * h);
            }
            at += length;
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (h, t, dy) = (pass.input(0), pass.input(1), pass.take_gradient());
        let lengths = Lengths(pass.lists(self.slot[0]));
        let n = lengths.0.n_ids();
        let mut saved = pass.take_saved();
        let Kept { input, outputs, from, to } = self.kept(saved.data(), n);
        let a = &outputs[self.layer(self.settings.units.len() - 1, n).1];
        self.through_sum(h, dy.as_mat(), &lengths, a, from);
        let d_input = self.through_layers(pass, input, outputs, (from, to), n);
        if let Some(sink) = pass.input_gradient(0) {
            self.members_gradient(sink, (t, dy.as_mat()), &lengths, (a, d_input));
        }
        if let Some(sink) = pass.input_gradient(1) {
            self.target_gradient(sink, h, &lengths, d_input);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Embed, EmbedList, Part};
    use crate::{GraphBuilder, Init, Result, Role, check};

    /// Lists and targets of one table, so that the gradients of both meet in its rows.
    fn build(activation: Activation, softmax: bool, hidden: &[usize]) -> Result<()> {
        let mut b = GraphBuilder::new();
        let (slot, item) = (b.lists("history", 4)?, b.ids("item"));
        let table = b.table("embedding.item.table", 6, 3, Init::Uniform(0.5))?;
        let t = b.push("t", Embed::new(vec![Part::Lookup { slot: item, table, dim: 3 }]))?;
        let h = b.push("h", EmbedList::new(slot, 4, table, 3))?;
        let units: Vec<usize> = hidden.iter().copied().chain([1]).collect();
        let (mut layers, mut n_in) = (Vec::new(), 12);
        for (i, &n) in units.iter().enumerate() {
            let uniform = Init::Uniform(0.6);
            let weight = b.param(format!("{i}.weight"), (n_in, n), Role::Weight, uniform)?;
            layers.push((weight, b.param(format!("{i}.bias"), (1, n), Role::Bias, uniform)?));
            n_in = n;
        }
        let settings = TargetAttentionParams { layers, units, activation, softmax };
        let y = b.push("y", TargetAttention::new(h, slot, t, settings))?;
        check::gradients(b, &[y, t])
    }

    #[test]
    fn finite_differences() -> Result<()> {
        for softmax in [false, true] {
            build(Activation::Relu, softmax, &[5, 2])?;
            build(Activation::Sigmoid, softmax, &[14])?;
            build(Activation::Tanh, softmax, &[])?;
        }
        Ok(())
    }
}
