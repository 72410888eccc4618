//! `Probability`: a log-probability as a probability.

use mtl_nn::{Backprop, Forward, Op, Scalar, Var};

/// p = e^ℓ of an event's (ℓ, m); rows × 1.
#[derive(Debug)]
pub struct Probability {
    input: [Var; 1],
}

impl Probability {
    /// The probability of the event `log`, rows × 2 from an
    /// [`EventLogProbability`](super::EventLogProbability).
    ///
    /// # Panics
    /// If `log` has no columns.
    pub fn new(log: Var) -> Self {
        Self { input: [log.columns(0, 1)] }
    }
}

impl<S: Scalar> Op<S> for Probability {
    fn kind(&self) -> &'static str {
        "probability"
    }

    fn n_cols(&self) -> usize {
        1
    }

    fn inputs(&self) -> &[Var] {
        &self.input
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let log = pass.input(0);
        let (mut p, _) = pass.output();
        for r in 0..log.rows() {
            p.row(r)[0] = log.row(r)[0].exp();
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (p, d) = (pass.output(), pass.take_gradient());
        let Some(mut sink) = pass.input_gradient(0) else { return };
        let d = d.as_mat();
        for r in 0..p.rows() {
            sink.put_row(r, std::iter::once(d.row(r)[0] * p.row(r)[0]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtl_nn::{GraphBuilder, Result, check};

    #[test]
    fn finite_differences() -> Result<()> {
        let mut b = GraphBuilder::new();
        let log = b.values("log", 2)?;
        let log = b.read(log)?;
        let p = b.push("p", Probability::new(log))?;
        check::gradients(b, &[p])
    }
}
