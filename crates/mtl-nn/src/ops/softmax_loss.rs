//! `SoftmaxLoss`: the loss of a task of several classes.

use super::label_slots::{LabelSlots, weight};
use crate::{Backprop, Batch, Forward, Op, Scalar, ValueSlot, Var};

/// Softmax cross-entropy of the logits z (rows × C) against the number of a class, weighted row
/// by row: ℓ = ln Σ_k e^{z_k} − z_y, rows × 1.
///
/// The label is 0, 1, … C − 1; NaN means that the row does not carry it, as in
/// [`RowLoss`](super::RowLoss). Any other label has a loss of NaN, which ends the step that meets it.
/// With two classes it is [`Bce`](super::Bce) of z_1 − z_0.
#[derive(Debug)]
pub struct SoftmaxLoss {
    input: [Var; 1],
    labels: LabelSlots,
}

impl SoftmaxLoss {
    /// The loss of `z` (rows × C) against the slot `label`, weighted by the slot `weight`.
    ///
    /// # Panics
    /// If there are fewer than two classes.
    pub fn new(z: Var, label: ValueSlot, weight: Option<ValueSlot>) -> Self {
        assert!(z.n_cols() > 1, "a softmax has two classes or more");
        Self { input: [z], labels: LabelSlots::new(label, weight) }
    }
}

/// The class of a label, if it is one of `n`.
fn class<S: Scalar>(label: S, n: usize) -> Option<usize> {
    let label = label.f64();
    let is_class = label >= 0.0 && label < n as f64 && label.fract() == 0.0;
    is_class.then_some(label as usize)
}

/// The largest logit, where it stands, and Σ e^{z_k − max} over the others.
fn peak<S: Scalar>(z: &[S]) -> (S, usize, S) {
    let mut at = 0;
    for (k, &value) in z.iter().enumerate() {
        // A NaN wins, and shows.
        if value > z[at] || value.is_nan() {
            at = k;
        }
    }
    let others = z.iter().enumerate().filter(|&(k, _)| k != at);
    (z[at], at, others.fold(S::zero(), |sum, (_, &value)| sum + (value - z[at]).exp()))
}

/// ln Σ e^{z_k} − z_y, without a sum that swallows its small terms.
fn loss<S: Scalar>(z: &[S], label: S) -> S {
    let (max, _, rest) = peak(z);
    class(label, z.len()).map_or(S::nan(), |y| (max - z[y]) + rest.ln_1p())
}

/// p_k − 1 for the label's class, p_k for the others, each times `factor`.
fn slopes<S: Scalar>(z: &[S], label: S, factor: S) -> impl Iterator<Item = S> {
    let (max, at, rest) = peak(z);
    let total = S::one() + rest;
    let y = class(label, z.len());
    z.iter().enumerate().map(move |(k, &value)| {
        let p = (value - max).exp() / total;
        factor
            * match y {
                None => S::nan(),
                // 1 − p_y would lose every digit where the class is certain.
                Some(y) if k == y && k == at => -(rest / total),
                Some(y) if k == y => p - S::one(),
                Some(_) => p,
            }
    })
}

impl<S: Scalar> Op<S> for SoftmaxLoss {
    fn kind(&self) -> &'static str {
        "softmax_loss"
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

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (z, rows) = (pass.input(0), pass.rows());
        let (labels, weights) = self.labels.read(|slot| pass.values(slot, 1).data());
        let (mut out, _) = pass.output();
        for r in 0..rows {
            let w = weight(labels[r], weights, r);
            // A weight of 0 must not turn an infinite loss into NaN.
            out.row(r)[0] = if w == S::zero() { S::zero() } else { w * loss(z.row(r), labels[r]) };
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (z, rows, d) = (pass.input(0), pass.rows(), pass.take_gradient());
        let (labels, weights) = self.labels.read(|slot| pass.values(slot, 1).data());
        let Some(mut dz) = pass.input_gradient(0) else { return };
        let d = d.as_mat();
        for r in 0..rows {
            let w = weight(labels[r], weights, r);
            if w == S::zero() {
                dz.put_row(r, std::iter::repeat_n(S::zero(), z.cols()));
            } else {
                dz.put_row(r, slopes(z.row(r), labels[r], w * d.row(r)[0]));
            }
        }
    }

    fn keeps_gradient(&self) -> bool {
        true
    }

    fn total_weight(&self, batch: &Batch<S>) -> Option<f64> {
        Some(self.labels.total_weight(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Bce, PointLoss};
    use crate::{GraphBuilder, Result, check};

    #[test]
    fn finite_differences() -> Result<()> {
        for n in [2, 5] {
            let mut b = GraphBuilder::new();
            let (z, label) = (b.values("z", n)?, b.values("label", 1)?);
            let weight = b.values("weight", 1)?;
            let z = b.read(z)?;
            let y = b.push("loss", SoftmaxLoss::new(z, label, Some(weight)))?;
            check::gradients(b, &[y])?;
        }
        Ok(())
    }

    #[test]
    fn two_classes_are_binary_cross_entropy() {
        for z in [-90.0f64, -3.0, -0.1, 0.0, 0.7, 5.0, 90.0] {
            for y in [0.0, 1.0] {
                let logits = [0.3, 0.3 + z];
                let (one, two) = (Bce.loss(logits[1] - 0.3, y), loss(&logits, y));
                assert!((one - two).abs() <= 1e-13 * one, "{z} {y}: {one:e} {two:e}");
                let slope = slopes(&logits, y, 1.0).nth(1).unwrap_or(f64::NAN);
                let expected = Bce.slope(logits[1] - 0.3, y);
                assert!((slope - expected).abs() <= 1e-13 * expected.abs(), "{z} {y}: {slope:e}");
            }
        }
    }

    #[test]
    fn extreme_logits_are_finite_and_strangers_are_not() {
        assert_eq!(loss(&[300.0f32, -300.0, 0.0], 1.0), 600.0);
        assert_eq!(loss(&[300.0f32, -300.0, 0.0], 0.0), 0.0);
        for label in [3.0f32, -1.0, 0.5] {
            assert!(loss(&[0.0f32; 3], label).is_nan(), "{label}");
        }
        assert!(loss(&[0.0f64, f64::NAN], 0.0).is_nan());
    }
}
