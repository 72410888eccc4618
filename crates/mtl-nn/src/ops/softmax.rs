//! `Softmax`: gates.

use crate::{Backprop, Forward, Op, OpPart, Scalar, Var};

/// g_k = e^{z_k} / Σ_j e^{z_j} over each segment of the columns; rows × the input's columns.
///
/// Several gates stand side by side, one segment each, so all tasks' gates are one node.
#[derive(Debug)]
pub struct Softmax {
    input: [Var; 1],
    segments: Vec<usize>,
}

impl Softmax {
    /// `segments` are the widths of the gates; their sum is the input's width.
    ///
    /// # Panics
    /// If the widths do not add up, or one is 0.
    pub fn new(z: Var, segments: Vec<usize>) -> Self {
        assert_eq!(segments.iter().sum::<usize>(), z.n_cols(), "segments cover the columns");
        assert!(!segments.contains(&0), "a gate has at least one expert");
        Self { input: [z], segments }
    }

    /// The widths of the gates.
    pub fn segments(&self) -> &[usize] {
        &self.segments
    }
}

impl<S: Scalar> Op<S> for Softmax {
    fn kind(&self) -> &'static str {
        "softmax"
    }

    fn n_cols(&self) -> usize {
        self.input[0].n_cols()
    }

    fn inputs(&self) -> &[Var] {
        &self.input
    }

    fn parts(&self) -> Vec<OpPart> {
        let mut start = 0;
        let part = |&n: &usize| {
            let columns = start..start + n;
            start += n;
            OpPart { inputs: vec![(0, columns.clone())], columns, ..OpPart::default() }
        };
        self.segments.iter().map(part).collect()
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let z = pass.input(0);
        let (mut g, _) = pass.output();
        for r in 0..z.rows() {
            let (mut z, mut g) = (z.row(r), g.row(r));
            for &n in &self.segments {
                let (z_head, z_tail) = z.split_at(n);
                let (g_head, g_tail) = g.split_at_mut(n);
                softmax(z_head, g_head);
                (z, g) = (z_tail, g_tail);
            }
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let (g, d, live) = (pass.output(), pass.take_gradient(), pass.live());
        let d = d.as_mat();
        let Some(mut dz) = pass.input_gradient(0) else { return };
        for r in 0..g.rows() {
            let (g, d, dz_row) = (g.row(r), d.row(r), dz.to.row(r));
            let mut start = 0;
            for (i, &n) in self.segments.iter().enumerate() {
                let columns = start..start + n;
                start += n;
                if !live[i] {
                    continue;
                }
                let (g, d) = (&g[columns.clone()], &d[columns.clone()]);
                let mean = g.iter().zip(d).fold(S::zero(), |sum, (&g, &d)| sum + g * d);
                for ((&g, &d), dz_value) in g.iter().zip(d).zip(&mut dz_row[columns]) {
                    let value = g * (d - mean);
                    *dz_value = if dz.add { *dz_value + value } else { value };
                }
            }
        }
    }

    fn skips_dead_parts(&self) -> bool {
        true
    }

    fn keeps_gradient(&self) -> bool {
        true
    }
}

fn softmax<S: Scalar>(z: &[S], g: &mut [S]) {
    // The maximum is taken out first: e^z overflows f32 at 89.
    let max = z.iter().fold(S::neg_infinity(), |max, &z| max.max(z));
    let mut total = S::zero();
    for (g, &z) in g.iter_mut().zip(z) {
        *g = (z - max).exp();
        total += *g;
    }
    let inverse = total.recip();
    g.iter_mut().for_each(|g| *g *= inverse);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GraphBuilder, Result, check};

    #[test]
    fn finite_differences() -> Result<()> {
        let mut b = GraphBuilder::new();
        let x = b.values("x", 6)?;
        let x = b.read(x)?;
        let y = b.push("softmax", Softmax::new(x, vec![2, 1, 3]))?;
        check::gradients(b, &[y])
    }

    #[test]
    fn gates_sum_to_one_at_extreme_logits() {
        let mut g = [0.0f32; 3];
        softmax(&[300.0, -300.0, 299.0], &mut g);
        assert!((g.iter().sum::<f32>() - 1.0).abs() < 1e-6 && g[1] == 0.0 && g[0] > g[2]);
    }
}
