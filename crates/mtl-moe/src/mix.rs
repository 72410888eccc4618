//! `Mix`: experts weighted by gates.

use mtl_nn::kernel::{axpy, dot, scale, vectorise};
use mtl_nn::{Backprop, Forward, Op, OpPart, Scalar, Var};

/// Rows computed for one expert before the next: their outputs stay in the first-level cache.
const BLOCK: usize = 16;

/// One mixture of a [`Mix`]: which experts it reads, in the order of its gate's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blend {
    /// Indices of the experts.
    pub experts: Vec<usize>,
}

/// h_t = Σ_k g_{t,k}·e_{t,k} for every gate t, side by side: rows × Σ_t d_t.
///
/// Ma et al., KDD 2018 (MMoE), eq. 6; Tang et al., RecSys 2020 (PLE), eq. 1. Gates may read
/// different experts, and experts may lie in different nodes.
#[derive(Debug)]
pub struct Mix {
    /// The experts that some gate reads, then the gates.
    inputs: Vec<Var>,
    blends: Vec<Placed>,
    /// For each expert input, the (blend, column of the gates) that read it.
    uses: Vec<Vec<(usize, usize)>>,
    n_cols: usize,
}

/// A blend with its place: columns of the output and of the gates.
#[derive(Debug)]
struct Placed {
    start: usize,
    n_cols: usize,
    gate: usize,
    experts: Vec<usize>,
}

impl Mix {
    /// Mixes `experts` by `gates`, whose columns are those of the blends side by side.
    ///
    /// # Panics
    /// If the gates' columns are not Σ experts of the blends, if a blend has no expert, or if its
    /// experts differ in width.
    pub fn new(experts: &[Var], gates: Var, blends: &[Blend]) -> Self {
        let (mut inputs, mut uses) = (Vec::new(), Vec::<Vec<_>>::new());
        let mut input_of = vec![None; experts.len()];
        let (mut placed, mut start, mut gate) = (Vec::new(), 0, 0);
        for (i, blend) in blends.iter().enumerate() {
            let n_cols = experts[blend.experts[0]].n_cols();
            let mut members = Vec::with_capacity(blend.experts.len());
            for (k, &expert) in blend.experts.iter().enumerate() {
                assert_eq!(experts[expert].n_cols(), n_cols, "experts of one gate agree in width");
                let input = *input_of[expert].get_or_insert_with(|| {
                    inputs.push(experts[expert]);
                    uses.push(Vec::new());
                    inputs.len() - 1
                });
                uses[input].push((i, gate + k));
                members.push(input);
            }
            placed.push(Placed { start, n_cols, gate, experts: members });
            start += n_cols;
            gate += blend.experts.len();
        }
        assert_eq!(gates.n_cols(), gate, "one gate column for each expert of each blend");
        inputs.push(gates);
        Self { inputs, blends: placed, uses, n_cols: start }
    }

    /// The mixtures, in the order of their columns: the experts' values, and the gate's, which has
    /// a column for each of them.
    pub fn blends(&self) -> impl Iterator<Item = (Vec<Var>, Var)> {
        let gates = self.inputs[self.inputs.len() - 1];
        self.blends.iter().map(move |blend| {
            let experts = blend.experts.iter().map(|&e| self.inputs[e]).collect();
            (experts, gates.columns(blend.gate, blend.experts.len()))
        })
    }

    /// Columns of the output that blend `i` fills: (start, number).
    pub fn columns(&self, i: usize) -> (usize, usize) {
        (self.blends[i].start, self.blends[i].n_cols)
    }
}

impl<S: Scalar> Op<S> for Mix {
    fn kind(&self) -> &'static str {
        "mix"
    }

    fn n_cols(&self) -> usize {
        self.n_cols
    }

    fn inputs(&self) -> &[Var] {
        &self.inputs
    }

    fn parts(&self) -> Vec<OpPart> {
        let last = self.inputs.len() - 1;
        let part = |blend: &Placed| {
            let gates = blend.gate..blend.gate + blend.experts.len();
            let mut inputs: Vec<_> =
                blend.experts.iter().map(|&e| (e, 0..self.inputs[e].n_cols())).collect();
            inputs.push((last, gates));
            let columns = blend.start..blend.start + blend.n_cols;
            OpPart { columns, inputs, ..OpPart::default() }
        };
        self.blends.iter().map(part).collect()
    }

    fn forward(&self, pass: &mut Forward<'_, S>) {
        let (rows, gates) = (pass.rows(), pass.input(self.inputs.len() - 1));

        for first in (0..rows).step_by(BLOCK) {
            let block = first..rows.min(first + BLOCK);
            for blend in &self.blends {
                for (k, &expert) in blend.experts.iter().enumerate() {
                    let e = pass.input(expert);
                    let (mut h, _) = pass.output();
                    let mut h = h.columns(blend.start, blend.n_cols);
                    vectorise(
                        #[inline(always)]
                        || {
                            for r in block.clone() {
                                let g = gates.row(r)[blend.gate + k];
                                if k == 0 {
                                    scale(h.row(r), g, e.row(r));
                                } else {
                                    axpy(h.row(r), g, e.row(r));
                                }
                            }
                        },
                    );
                }
            }
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, S>) {
        let last = self.inputs.len() - 1;
        let (rows, gates, dh) = (pass.rows(), pass.input(last), pass.take_gradient());
        let (dh, live) = (dh.as_mat(), pass.live());
        for (expert, uses) in self.uses.iter().enumerate() {
            let Some(mut de) = pass.input_gradient(expert) else { continue };
            vectorise(
                #[inline(always)]
                || {
                    for r in 0..rows {
                        let live_uses = uses.iter().filter(|(blend, _)| live[*blend]);
                        for (i, &(blend, column)) in live_uses.enumerate() {
                            let blend = &self.blends[blend];
                            let dh = &dh.row(r)[blend.start..blend.start + blend.n_cols];
                            let g = gates.row(r)[column];
                            if i == 0 && !de.add {
                                scale(de.to.row(r), g, dh);
                            } else {
                                axpy(de.to.row(r), g, dh);
                            }
                        }
                    }
                },
            );
        }
        for first in (0..rows).step_by(BLOCK) {
            let block = first..rows.min(first + BLOCK);
            for (blend, _) in self.blends.iter().zip(live).filter(|(_, live)| **live) {
                for (k, &expert) in blend.experts.iter().enumerate() {
                    let e = pass.input(expert);
                    let Some(mut dg) = pass.input_gradient(last) else { return };
                    vectorise(
                        #[inline(always)]
                        || {
                            for r in block.clone() {
                                let dh = &dh.row(r)[blend.start..blend.start + blend.n_cols];
                                let value = dot(dh, e.row(r));
                                let to = &mut dg.to.row(r)[blend.gate + k];
                                *to = if dg.add { *to + value } else { value };
                            }
                        },
                    );
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

#[cfg(test)]
mod tests {
    use mtl_nn::{GraphBuilder, check};

    use super::*;
    use crate::Result;

    #[test]
    fn finite_differences_with_overlapping_and_unread_experts() -> Result<()> {
        let mut b = GraphBuilder::new();
        let (experts, gates) = (b.values("experts", 12)?, b.values("gates", 6)?);
        let (experts, gates) = (b.read(experts)?, b.read(gates)?);
        let experts: Vec<_> = (0..4).map(|i| experts.columns(3 * i, 3)).collect();
        let blends = [vec![2, 0], vec![0, 1, 2], vec![1]].map(|experts| Blend { experts });
        let y = b.push("mix", Mix::new(&experts, gates, &blends))?;
        Ok(check::gradients(b, &[y])?)
    }

    #[test]
    fn finite_differences_with_experts_of_two_widths() -> Result<()> {
        let mut b = GraphBuilder::new();
        let (experts, gates) = (b.values("experts", 7)?, b.values("gates", 3)?);
        let (experts, gates) = (b.read(experts)?, b.read(gates)?);
        let experts = [experts.columns(0, 2), experts.columns(2, 2), experts.columns(4, 3)];
        let blends = [vec![1, 0], vec![2]].map(|experts| Blend { experts });
        let y = b.push("mix", Mix::new(&experts, gates, &blends))?;
        Ok(check::gradients(b, &[y])?)
    }
}
