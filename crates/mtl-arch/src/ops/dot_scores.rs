//! `DotScores`: how well each candidate's key meets its own query.

use mtl_nn::kernel::{dot, vectorise};
use mtl_nn::{Backprop, Forward, Op, OpPart, Scalar, Var};

/// s_u = ⟨key_u, query_u⟩/√k for candidates u side by side, rows × candidates.
///
/// Xi et al., KDD 2021 (AITM), eq. 5, before its softmax: every candidate asks itself.
#[derive(Debug)]
pub struct DotScores {
    /// Key, query, key, query, …; each rows × k.
    inputs: Vec<Var>,
}

impl DotScores {
    /// The scores of these (key, query) pairs.
    ///
    /// # Panics
    /// If a key and its query differ in width.
    pub fn new(candidates: &[(Var, Var)]) -> Self {
        assert!(candidates.iter().all(|(key, query)| key.n_cols() == query.n_cols()), "one width");
        Self { inputs: candidates.iter().flat_map(|&(key, query)| [key, query]).collect() }
    }

    fn scale<S: Scalar>(&self, candidate: usize) -> S {
        S::of(1.0 / (self.inputs[2 * candidate].n_cols() as f64).sqrt())
    }
}

impl<S: Scalar> Op<S> for DotScores {
    fn kind(&self) -> &'static str {
        "dot_scores"
    }

    fn n_cols(&self) -> usize {
        self.inputs.len() / 2
    }

    fn inputs(&self) -> &[Var] {
        &self.inputs
    }

    fn parts(&self) -> Vec<OpPart> {
        let input = |i: usize| (i, 0..self.inputs[i].n_cols());
        let part = |u: usize| OpPart {
            columns: u..u + 1,
            inputs: vec![input(2 * u), input(2 * u + 1)],
            ..OpPart::default()
        };
        (0..self.inputs.len() / 2).map(part).collect()
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        for u in 0..self.inputs.len() / 2 {
            let (key, query, scale) =
                (pass.input(2 * u), pass.input(2 * u + 1), self.scale::<S>(u));
            let (mut s, _) = pass.output();
            vectorise(
                #[inline(always)]
                || {
                    for r in 0..key.rows() {
                        s.row(r)[u] = scale * dot(key.row(r), query.row(r));
                    }
                },
            );
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let d = pass.take_gradient();
        let d = d.as_mat();
        for i in 0..self.inputs.len() {
            let (u, scale) = (i / 2, self.scale::<S>(i / 2));
            // The key's slope is the query, and the other way round.
            let other = pass.input(i ^ 1);
            let Some(mut sink) = pass.input_gradient(i) else { continue };
            vectorise(
                #[inline(always)]
                || {
                    for r in 0..d.rows() {
                        let slope = scale * d.row(r)[u];
                        sink.put_row(r, other.row(r).iter().map(|&v| slope * v));
                    }
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use mtl_nn::{GraphBuilder, Result, check};

    use super::*;

    #[test]
    fn finite_differences() -> Result<()> {
        let mut b = GraphBuilder::new();
        let x = b.values("x", 12)?;
        let x = b.read(x)?;
        let pair = |i: usize| (x.columns(6 * i, 3), x.columns(6 * i + 3, 3));
        let s = b.push("s", DotScores::new(&[pair(0), pair(1)]))?;
        check::gradients(b, &[s])
    }
}
