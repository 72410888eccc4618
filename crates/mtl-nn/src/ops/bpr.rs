//! `Bpr`: a loss of pairs of rows of one group.

use super::label_slots::{LabelSlots, weight};
use super::losses::softplus;
use super::sigmoid;
use crate::kernel::vectorise;
use crate::{Backprop, Batch, Forward, IdSlot, Op, Scalar, ValueSlot, Var};

/// Pairwise ranking loss within a group: over all pairs (i, j) of rows of the batch that have the
/// same group and y_i > y_j, ℓ_ij = ln(1 + e^{−(z_i − z_j)}), weighted by w_i·w_j.
///
/// Row i of the output (rows × 1) holds Σ_j w_i·w_j·ℓ_ij over the rows j that it should stand
/// before, and [`Op::total_weight`] is Σ w_i·w_j over all pairs, so the batch's loss is the
/// weighted mean over its pairs. A row without a label (NaN) or with a weight of 0 is in no pair;
/// a row of weight 2 counts like two equal rows. A batch without a pair has no loss.
///
/// The two rows of a pair may lie in different shards: the op is a barrier through which every
/// shard sees the logits of all rows, and sums over a row's partners run in the order of the
/// batch, so the number of threads changes no bit.
///
/// Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009, eq. 4,
/// over all pairs of the batch in place of sampled ones.
#[derive(Debug)]
pub struct Bpr {
    input: [Var; 1],
    labels: LabelSlots,
    group: [IdSlot; 1],
}

impl Bpr {
    /// The loss of `z` (rows × 1) against the slot `label` within the groups of the slot `group`
    /// (equal numbers are one group), weighted by the slot `weight`.
    ///
    /// # Panics
    /// If `z` is not one column.
    pub fn new(z: Var, label: ValueSlot, group: IdSlot, weight: Option<ValueSlot>) -> Self {
        assert_eq!(z.n_cols(), 1, "a pairwise loss reads one column");
        Self { input: [z], labels: LabelSlots::new(label, weight), group: [group] }
    }

    fn rows<'b, S: Scalar>(&self, batch: &'b Batch<S>) -> Rows<'b, S> {
        let (labels, weights) = self.labels.read(|slot| batch.value_column(slot));
        Rows { labels, weights, groups: batch.id_column(self.group[0]) }
    }
}

/// The columns of the whole batch that make pairs.
#[derive(Clone, Copy)]
struct Rows<'b, S> {
    labels: &'b [S],
    weights: Option<&'b [S]>,
    groups: &'b [u32],
}

/// Rows whose groups are compared at once; most such runs have no partner.
const RUN: usize = 64;

impl<S: Scalar> Rows<'_, S> {
    fn weight(&self, row: usize) -> f64 {
        weight(self.labels[row], self.weights, row).f64()
    }

    /// Calls `each` with every row of the group of `row` that has a label and a weight, in the
    /// order of the batch.
    #[inline(always)]
    fn partners(&self, row: usize, mut each: impl FnMut(usize, f64)) {
        let group = self.groups[row];
        for (run, groups) in self.groups.chunks(RUN).enumerate() {
            if !groups.iter().fold(false, |any, &g| any | (g == group)) {
                continue;
            }
            for (i, _) in groups.iter().enumerate().filter(|&(_, &g)| g == group) {
                let other = run * RUN + i;
                let weight = self.weight(other);
                if weight > 0.0 {
                    each(other, weight);
                }
            }
        }
    }

    /// Σ w_i·w_j·of(i, j) over the rows j that row i should stand before.
    #[inline(always)]
    fn below(&self, row: usize, of: impl Fn(usize) -> f64) -> f64 {
        let (own, mut sum) = (self.weight(row), 0.0);
        if own > 0.0 {
            self.partners(row, |other, weight| {
                if self.labels[other] < self.labels[row] {
                    sum += own * weight * of(other);
                }
            });
        }
        sum
    }

    /// The gradient of row's logit: −Σ d_i·w·σ(z_j − z_i) over the pairs that it leads, and the
    /// opposite over those in which it comes second. `d` are the gradients of the row losses.
    #[inline(always)]
    fn slope(&self, row: usize, z: &[f64], d: &[f64]) -> f64 {
        let (own, mut sum) = (self.weight(row), 0.0);
        if own > 0.0 {
            self.partners(row, |other, weight| {
                if self.labels[other] < self.labels[row] {
                    sum -= d[row] * own * weight * sigmoid(z[other] - z[row]);
                } else if self.labels[other] > self.labels[row] {
                    sum += d[other] * own * weight * sigmoid(z[row] - z[other]);
                }
            });
        }
        sum
    }
}

impl<S: Scalar> Op<S> for Bpr {
    fn kind(&self) -> &'static str {
        "bpr"
    }

    fn n_cols(&self) -> usize {
        1
    }

    fn inputs(&self) -> &[Var] {
        &self.input
    }

    fn value_slots(&self) -> &[ValueSlot] {
        self.labels.slots()
    }

    fn id_slots(&self) -> &[IdSlot] {
        &self.group
    }

    fn n_statistics(&self) -> usize {
        1
    }

    fn gathers_rows(&self) -> bool {
        true
    }

    fn gather(&self, pass: &Forward<'_, S>, values: &mut [f64]) {
        let z = pass.input(0);
        (0..pass.rows()).for_each(|r| values[r] = z.row(r)[0].f64());
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (rows, z, first) = (self.rows(pass.batch()), pass.statistics(), pass.first_row());
        let (mut out, _) = pass.output();
        vectorise(
            #[inline(always)]
            || {
                for r in 0..out.rows() {
                    let row = first + r;
                    out.row(r)[0] = S::of(rows.below(row, |other| softplus(z[other] - z[row])));
                }
            },
        );
    }

    fn gather_backward(&self, pass: &mut Backprop<'_, S>, values: &mut [f64]) {
        let d = pass.gradient();
        (0..d.rows()).for_each(|r| values[r] = d.row(r)[0].f64());
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (rows, first) = (self.rows(pass.batch()), pass.first_row());
        let (z, d, n) = (pass.forward_statistics(), pass.statistics(), pass.rows());
        let Some(mut dz) = pass.input_gradient(0) else { return };
        vectorise(
            #[inline(always)]
            || {
                for r in 0..n {
                    let slope = S::of(rows.slope(first + r, z, d));
                    dz.put_row(r, std::iter::once(slope));
                }
            },
        );
    }

    fn keeps_gradient(&self) -> bool {
        true
    }

    fn total_weight(&self, batch: &Batch<S>) -> Option<f64> {
        let rows = self.rows(batch);
        Some(vectorise(
            #[inline(always)]
            || (0..batch.rows).map(|row| rows.below(row, |_| 1.0)).sum(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GraphBuilder, Result, check};

    #[test]
    fn finite_differences() -> Result<()> {
        for weighted in [false, true] {
            let mut b = GraphBuilder::new();
            let (z, label, group) = (b.values("z", 1)?, b.values("label", 1)?, b.ids("group"));
            let weight = if weighted { Some(b.values("weight", 1)?) } else { None };
            let z = b.read(z)?;
            let y = b.push("loss", Bpr::new(z, label, group, weight))?;
            check::gradients(b, &[y])?;
        }
        Ok(())
    }

    #[test]
    fn pairs_are_within_a_group_and_between_different_labels() {
        let labels = [1.0, 0.0, 1.0, f64::NAN, 0.0, 0.0];
        let rows = Rows { labels: &labels, weights: None, groups: &[7, 7, 8, 8, 7, 9] };
        let pairs: Vec<f64> = (0..6).map(|row| rows.below(row, |_| 1.0)).collect();
        assert_eq!(pairs, [2.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let weights = [2.0, 3.0, 1.0, 1.0, 0.0, 1.0];
        let rows = Rows { weights: Some(&weights), ..rows };
        assert_eq!(rows.below(0, |_| 1.0), 6.0);
    }

    #[test]
    fn partners_are_found_across_runs() {
        let groups: Vec<u32> = (0..300).map(|row| row % 97).collect();
        let labels: Vec<f64> = (0..300).map(|row| f64::from(row < 97)).collect();
        let rows = Rows { labels: &labels, weights: None, groups: &groups };
        let mut found = Vec::new();
        rows.partners(5, |other, _| found.push(other));
        assert_eq!(found, [5, 102, 199, 296]);
        assert_eq!(rows.below(5, |other| other as f64), (102 + 199 + 296) as f64);
    }
}
