//! `Concat`: values side by side.

use crate::{Backprop, Forward, Op, OpPart, Scalar, Var};

/// y = [x₁, x₂, …], rows × Σ columns. Layers hand on columns of one node where they can; this is
/// for values of different nodes that one layer reads.
#[derive(Debug)]
pub struct Concat {
    inputs: Vec<Var>,
}

impl Concat {
    /// These values, in this order.
    pub const fn new(inputs: Vec<Var>) -> Self {
        Self { inputs }
    }
}

impl<S: Scalar> Op<S> for Concat {
    fn kind(&self) -> &'static str {
        "concat"
    }

    fn n_cols(&self) -> usize {
        self.inputs.iter().map(|x| x.n_cols()).sum()
    }

    fn inputs(&self) -> &[Var] {
        &self.inputs
    }

    fn parts(&self) -> Vec<OpPart> {
        let mut start = 0;
        let part = |(i, x): (usize, &Var)| {
            let columns = start..start + x.n_cols();
            start = columns.end;
            OpPart { columns, inputs: vec![(i, 0..x.n_cols())], ..OpPart::default() }
        };
        self.inputs.iter().enumerate().map(part).collect()
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let mut start = 0;
        for (i, var) in self.inputs.iter().enumerate() {
            let x = pass.input(i);
            let (mut y, _) = pass.output();
            for r in 0..x.rows() {
                y.row(r)[start..start + var.n_cols()].copy_from_slice(x.row(r));
            }
            start += var.n_cols();
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let d = pass.take_gradient();
        let d = d.as_mat();
        let mut start = 0;
        for (i, var) in self.inputs.iter().enumerate() {
            let columns = start..start + var.n_cols();
            start = columns.end;
            let Some(mut sink) = pass.input_gradient(i) else { continue };
            for r in 0..d.rows() {
                sink.put_row(r, d.row(r)[columns.clone()].iter().copied());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GraphBuilder, Result, check};

    #[test]
    fn finite_differences_of_a_value_that_stands_there_twice() -> Result<()> {
        let mut b = GraphBuilder::new();
        let (u, v) = (b.values("u", 2)?, b.values("v", 3)?);
        let (u, v) = (b.read(u)?, b.read(v)?);
        let y = b.push("y", Concat::new(vec![u, v, u]))?;
        check::gradients(b, &[y])
    }
}
