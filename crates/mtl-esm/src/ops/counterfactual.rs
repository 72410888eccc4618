//! The counterfactual losses of ESCM² (Wang et al., SIGIR 2022): a conversion rate trained on
//! clicked rows that stand for all rows.
//!
//! With δ the cross-entropy of p = P(event | given), o whether `given` happened and ô its
//! predicted probability, o/ô has mean 1 over the clicks where ô is right, so the mean over all
//! rows of o·δ/ô estimates that of δ had everything been clicked. The propensity is clipped from
//! below (rows of tiny ô would count without bound) and **detached**: were it not, the model could
//! lower the loss by raising ô.

use mtl_nn::ops::sigmoid;
use mtl_nn::{Backprop, Batch, Forward, Op, Scalar, ValueSlot, Var};

use super::SpaceSlots;
use super::event_loss::{cross_entropy, cross_entropy_slopes};

/// Row losses w·κ·δ with κ = o/max(ô, floor), over all rows; rows × 1. ESCM²-IPS.
///
/// The batch's loss is divided by Σ w over all rows whose labels are known.
#[derive(Debug)]
pub struct InversePropensity {
    inputs: [Var; 2],
    labels: SpaceSlots,
    floor: f64,
}

/// Row losses w·(δ̂ + κ·e + κ·e²) with e = δ − δ̂ and κ = o/max(ô, floor), over all rows;
/// rows × 1. ESCM²-DR.
///
/// δ̂ = softplus(z) ≥ 0 is the error that the imputation tower z expects. The first two terms
/// estimate the mean of δ, right if either δ̂ or ô is; the third trains δ̂ towards δ, and δ is a
/// constant of it: were it not, the event's tower would move *its* error towards what is imputed,
/// and a positive, whose e is large, would count 1 + 2e times (see [`Self::joint`]). δ is not
/// capped, and the square of a huge one overflows where δ itself does not.
#[derive(Debug)]
pub struct DoublyRobust {
    inputs: [Var; 3],
    labels: SpaceSlots,
    floor: f64,
    joint: bool,
}

impl InversePropensity {
    /// The loss of `log`, P(event | given), with the propensity `given` (both rows × 2).
    ///
    /// # Panics
    /// If they are not two columns, or `floor` is not in (0, 1].
    pub fn new(log: Var, given: Var, floor: f64, labels: SpaceSlots) -> Self {
        check(log, given, floor);
        Self { inputs: [log, given], labels, floor }
    }
}

impl DoublyRobust {
    /// The loss of `log`, P(event | given), with the propensity `given` (both rows × 2) and the
    /// imputation tower's `logit` (rows × 1).
    ///
    /// # Panics
    /// If the columns are others, or `floor` is not in (0, 1].
    pub fn new(log: Var, given: Var, logit: Var, floor: f64, labels: SpaceSlots) -> Self {
        check(log, given, floor);
        assert_eq!(logit.n_cols(), 1, "a logit is one column");
        Self { inputs: [log, given, logit], labels, floor, joint: false }
    }

    /// Minimises the sum as it stands, so that κ·e² moves the event's tower too. Probabilities are
    /// then too high where the event is rare: they settle where Σ κ·(1 + 2e)·(y − p) = 0.
    #[must_use]
    pub fn joint(self, joint: bool) -> Self {
        Self { joint, ..self }
    }
}

fn check(log: Var, given: Var, floor: f64) {
    assert!(log.n_cols() == 2 && given.n_cols() == 2, "an event is (ln p, ln(1 − p))");
    assert!(floor > 0.0 && floor <= 1.0, "a propensity is in (0, 1]");
}

/// κ = o/max(ô, floor).
#[inline]
fn inverse<S: Scalar>(given: &[S], o: S, floor: f64) -> S {
    o / given[0].exp().max(S::of(floor))
}

/// δ̂ = ln(1 + e^z).
#[inline]
fn softplus<S: Scalar>(z: S) -> S {
    z.max(S::zero()) + (-z.abs()).exp().ln_1p()
}

/// Σ w over the rows whose labels are known.
fn total_weight<S: Scalar>(labels: &SpaceSlots, batch: &Batch<S>) -> f64 {
    let row = |r: usize| labels.read(|slot| batch.value_column(slot)[r]).2.f64();
    (0..batch.rows).map(row).sum()
}

/// The propensity is a constant of the loss: nothing flows back into it.
fn detach<S: Scalar>(pass: &mut Backprop<'_, S>, input: usize) {
    let (rows, sink) = (pass.rows(), pass.input_gradient(input));
    if let Some(mut sink) = sink {
        (0..rows).for_each(|r| sink.put_row(r, [S::zero(); 2].into_iter()));
    }
}

impl<S: Scalar> Op<S> for InversePropensity {
    fn kind(&self) -> &'static str {
        "inverse_propensity"
    }

    fn n_cols(&self) -> usize {
        1
    }

    fn inputs(&self) -> &[Var] {
        &self.inputs
    }

    fn value_slots(&self) -> &[ValueSlot] {
        self.labels.slots()
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (log, given) = (pass.input(0), pass.input(1));
        for r in 0..log.rows() {
            let (y, o, w) = self.labels.read(|slot| pass.values(slot, 1).row(r)[0]);
            let scale = w * inverse(given.row(r), o, self.floor);
            let (mut out, _) = pass.output();
            out.row(r)[0] =
                if scale == S::zero() { S::zero() } else { scale * cross_entropy(log.row(r), y) };
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (given, rows, d) = (pass.input(1), pass.rows(), pass.take_gradient());
        let d = d.as_mat();
        for r in 0..rows {
            let (y, o, w) = self.labels.read(|slot| pass.values(slot, 1).row(r)[0]);
            let scale = d.row(r)[0] * w * inverse(given.row(r), o, self.floor);
            let Some(mut sink) = pass.input_gradient(0) else { break };
            sink.put_row(r, cross_entropy_slopes(y, scale).into_iter());
        }
        detach(pass, 1);
    }

    fn total_weight(&self, batch: &Batch<S>) -> Option<f64> {
        Some(total_weight(&self.labels, batch))
    }
}

impl DoublyRobust {
    /// (y, w, κ, e, δ̂) of a row.
    #[inline]
    fn row<S: Scalar>(
        &self,
        (log, given, logit): (&[S], &[S], S),
        value: impl Fn(ValueSlot) -> S,
    ) -> (S, S, S, S, S) {
        let (y, o, w) = self.labels.read(value);
        let kappa = inverse(given, o, self.floor);
        let imputed = softplus(logit);
        (y, w, kappa, cross_entropy(log, y) - imputed, imputed)
    }
}

impl<S: Scalar> Op<S> for DoublyRobust {
    fn kind(&self) -> &'static str {
        "doubly_robust"
    }

    fn n_cols(&self) -> usize {
        1
    }

    fn inputs(&self) -> &[Var] {
        &self.inputs
    }

    fn value_slots(&self) -> &[ValueSlot] {
        self.labels.slots()
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (log, given, logit) = (pass.input(0), pass.input(1), pass.input(2));
        for r in 0..log.rows() {
            let inputs = (log.row(r), given.row(r), logit.row(r)[0]);
            let (_, w, kappa, e, imputed) = self.row(inputs, |slot| pass.values(slot, 1).row(r)[0]);
            let (mut out, _) = pass.output();
            // An unclicked row must not turn the square of a huge error into NaN.
            let corrected = if kappa == S::zero() { S::zero() } else { kappa * (e + e * e) };
            out.row(r)[0] = if w == S::zero() { S::zero() } else { w * (imputed + corrected) };
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (log, given, logit) = (pass.input(0), pass.input(1), pass.input(2));
        let (rows, d) = (pass.rows(), pass.take_gradient());
        let d = d.as_mat();
        let parts = |pass: &Backprop<'_, S>, r: usize| {
            let inputs = (log.row(r), given.row(r), logit.row(r)[0]);
            let (y, w, kappa, e, _) = self.row(inputs, |slot| pass.values(slot, 1).row(r)[0]);
            (y, d.row(r)[0] * w, kappa, S::one() + e + e)
        };
        for r in 0..rows {
            let (y, scale, kappa, slope) = parts(pass, r);
            let Some(mut sink) = pass.input_gradient(0) else { break };
            // ∂/∂δ = κ, and κ(1 + 2e) if the square is for δ too.
            let scale = scale * kappa * if self.joint { slope } else { S::one() };
            sink.put_row(r, cross_entropy_slopes(y, scale).into_iter());
        }
        detach(pass, 1);
        for r in 0..rows {
            let (_, scale, kappa, slope) = parts(pass, r);
            let Some(mut sink) = pass.input_gradient(2) else { break };
            // ∂/∂δ̂ = 1 − κ(1 + 2e).
            let imputed = scale * (S::one() - kappa * slope) * sigmoid(logit.row(r)[0]);
            sink.put_row(r, std::iter::once(imputed));
        }
    }

    fn total_weight(&self, batch: &Batch<S>) -> Option<f64> {
        Some(total_weight(&self.labels, batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::TargetSlots;
    use crate::testing::Frozen;
    use mtl_nn::{GraphBuilder, Result, check};

    /// Labels, and a propensity that finite differences do not move: it is a constant of the loss.
    fn parts(b: &mut GraphBuilder<f64>) -> Result<(Var, Var, SpaceSlots)> {
        let (log, given) = (b.values("log", 2)?, b.values("weight_propensity", 2)?);
        let (log, given) = (b.read(log)?, b.push("given", Frozen::new(given, 2))?);
        let (event, click) = (b.values("label_event", 1)?, b.values("label_given", 1)?);
        let weight = b.values("weight", 1)?;
        let click = TargetSlots::label(click, Some(weight));
        Ok((log, given, SpaceSlots::new(TargetSlots::label(event, None), click)))
    }

    #[test]
    fn finite_differences_with_the_propensity_held() -> Result<()> {
        for floor in [0.01, 1.0] {
            let mut b = GraphBuilder::new();
            let (log, given, labels) = parts(&mut b)?;
            let loss = b.push("loss", InversePropensity::new(log, given, floor, labels))?;
            check::gradients(b, &[loss])?;

            let mut b = GraphBuilder::new();
            let (log, given, labels) = parts(&mut b)?;
            let z = b.values("z", 1)?;
            let z = b.read(z)?;
            let loss = DoublyRobust::new(log, given, z, floor, labels).joint(true);
            let loss = b.push("loss", loss)?;
            check::gradients(b, &[loss])?;
        }
        Ok(())
    }

    #[test]
    fn propensity_is_clipped() {
        let given = |p: f64| [p.ln(), (1.0 - p).ln()];
        assert!((inverse(&given(0.25), 1.0, 0.1) - 4.0).abs() < 1e-12);
        assert!((inverse(&given(0.001), 1.0, 0.1) - 10.0).abs() < 1e-12);
        assert_eq!(inverse(&given(0.25), 0.0, 0.1), 0.0);
    }
}
