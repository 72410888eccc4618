//! `Concat`: columns of several nodes side by side.

use crate::{Backprop, Forward, Op, OpPart, Scalar, Var};

/// `y = [x₁, x₂, …]`, rows × Σ columns.
///
/// It copies. Values that a slot or a table gives are put side by side by [`super::Embed`] at no
/// cost; this is for what is computed from them.
#[derive(Debug)]
pub struct Concat {
    inputs: Vec<Var>,
    n_cols: usize,
}

impl Concat {
    /// The inputs side by side, in order.
    pub fn new(inputs: Vec<Var>) -> Self {
        Self { n_cols: inputs.iter().map(|x| x.n_cols()).sum(), inputs }
    }
}

impl<S: Scalar> Op<S> for Concat {
    fn kind(&self) -> &'static str {
        "concat"
    }

    fn n_cols(&self) -> usize {
        self.n_cols
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
        for i in 0..self.inputs.len() {
            let x = pass.input(i);
            let (mut y, _) = pass.output();
            for r in 0..x.rows() {
                y.row(r)[start..start + x.cols()].copy_from_slice(x.row(r));
            }
            start += x.cols();
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let dy = pass.take_gradient();
        let mut start = 0;
        for (i, x) in self.inputs.iter().enumerate() {
            if let Some(mut sink) = pass.input_gradient(i) {
                let dy = dy.as_mat().columns(start, x.n_cols());
                (0..dy.rows()).for_each(|r| sink.put_row(r, dy.row(r).iter().copied()));
            }
            start += x.n_cols();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GraphBuilder, Result, check};

    #[test]
    fn finite_differences() -> Result<()> {
        let mut b = GraphBuilder::new();
        let (x, z) = (b.values("x", 4)?, b.values("z", 2)?);
        let (x, z) = (b.read(x)?, b.read(z)?);
        let y = b.push(
            "concat",
            Concat::new(vec![x.columns(1, 2), z, x.columns(0, 1), x.columns(0, 4)]),
        )?;
        check::gradients(b, &[y])
    }
}
